#!/usr/bin/env python3
"""A file server on loopback for downloads: ranges, ETag, If-Range, a rate for each connection, and a count of the bytes that
left it. `file_server.py FILE [--rate BYTES] [--no-ranges]` prints its port, then a line with the count for every line it reads.
SPDX-License-Identifier: MIT"""

import argparse
import os
import socket
import sys
import threading
import time

PIECE = 256 << 10


class FileServer:
    def __init__(self, path, rate=0, ranges=True):
        self.path, self.rate, self.ranges = path, rate, ranges
        self.size = os.path.getsize(path)
        self.etag = f'"{os.stat(path).st_ino:x}-{self.size:x}"'
        self.lock, self.served, self.requests, self.most = threading.Lock(), 0, 0, 0
        self.live = 0
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/{os.path.basename(path)}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self.listener.close()

    def _accept(self):
        while True:
            try:
                conn, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(conn,), daemon=True).start()

    def _serve(self, conn):
        with conn:
            try:
                while self._answer(conn):
                    pass
            except OSError:
                pass

    def _head(self, conn):
        text = b""
        while b"\r\n\r\n" not in text:
            piece = conn.recv(4096)
            if not piece:
                return None
            text += piece
        lines = text.decode("latin-1").split("\r\n")
        return {k.lower(): v.strip() for k, _, v in (l.partition(":") for l in lines[1:] if l)}

    def _span(self, headers):
        """(status, first, last + 1)"""
        wanted = headers.get("range", "")
        if not self.ranges or not wanted.startswith("bytes=") or headers.get("if-range", self.etag) != self.etag:
            return 200, 0, self.size
        first, _, last = wanted[6:].partition("-")
        first, last = int(first), min(int(last) if last else self.size - 1, self.size - 1)
        return (206, first, last + 1) if first <= last else (416, 0, 0)

    def _answer(self, conn):
        headers = self._head(conn)
        if headers is None:
            return False
        status, first, end = self._span(headers)
        head = f"HTTP/1.1 {status} X\r\nContent-Length: {end - first}\r\nETag: {self.etag}\r\n"
        if self.ranges:
            head += "Accept-Ranges: bytes\r\n"
        if status == 206:
            head += f"Content-Range: bytes {first}-{end - 1}/{self.size}\r\n"
        if status == 416:
            head += f"Content-Range: bytes */{self.size}\r\n"
        conn.sendall((head + "\r\n").encode())
        self._body(conn, first, end)
        return True

    def _body(self, conn, at, end):
        with self.lock:
            self.requests += 1
            self.live += 1
            self.most = max(self.most, self.live)
        try:
            with open(self.path, "rb") as file:
                began, sent = time.monotonic(), 0
                while at + sent < end:
                    piece = min(PIECE if not self.rate else 32 << 10, end - at - sent)
                    n = os.sendfile(conn.fileno(), file.fileno(), at + sent, piece)
                    if n == 0:
                        return
                    sent += n
                    with self.lock:
                        self.served += n
                    if self.rate:
                        ahead = sent / self.rate - (time.monotonic() - began)
                        if ahead > 0:
                            time.sleep(ahead)
        finally:
            with self.lock:
                self.live -= 1


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file")
    parser.add_argument("--rate", type=int, default=0, help="bytes a second and connection")
    parser.add_argument("--no-ranges", action="store_true")
    options = parser.parse_args()
    server = FileServer(options.file, options.rate, not options.no_ranges)
    print(server.port, flush=True)
    for _ in sys.stdin:
        print(server.served, server.requests, server.most, flush=True)


if __name__ == "__main__":
    main()
