#!/usr/bin/env python3
"""A warm engine server reduced to what the host room needs: it loads, is ready, answers jobs one a connection, has the faults
of faults.py.

    fake_server.py --port N [--key FILE] [--name NAME] [--dir DIR]

GET /health     503 while it loads, then 200; 401 without the key, when there is one
POST /job       "NAME: BODY"; a body that begins with "sleep S " is answered S seconds later

It prints "loading 1/4" to "loading 4/4" on stdout while it loads and each job on stderr. Of its own it reads the fault files

    before_s    (a number) seconds before it listens
    say         a text that is printed on stderr at its start
    steal       ends with 1 after another process, which it leaves behind, took its port

Standard library only; no http.server, which takes longer to import than all the rest to run. SPDX-License-Identifier: MIT"""

import os
import signal
import socket
import subprocess
import sys
import threading
import time

import faults

args = dict(zip(sys.argv[1::2], sys.argv[2::2]))
NAME = args.get("--name", "fake")
ready = threading.Event()


def answer(c, status, body):
    c.sendall(f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)


def read_request(c):
    data = b""
    while b"\r\n\r\n" not in data:
        more = c.recv(65536)
        if not more:
            return None
        data += more
    head, body = data.split(b"\r\n\r\n", 1)
    lines = head.decode("latin-1").split("\r\n")
    headers = {k.lower(): v.strip() for k, v in (line.split(":", 1) for line in lines[1:])}
    while len(body) < int(headers.get("content-length", 0)):
        body += c.recv(65536)
    return lines[0].split()[1], headers, body


def work(text):
    if text.startswith("sleep "):
        time.sleep(float(text.split()[1]))
    print(f"job {text[:100]}", file=sys.stderr, flush=True)
    return faults.job(text[:100]) or f"{NAME}: {text}".encode()


def serve(c):
    with c:
        request = read_request(c)
        if not request:
            return
        path, headers, body = request
        key = "--key" in args and "Bearer " + open(args["--key"]).read().strip()
        if key and headers.get("authorization") != key:
            answer(c, 401, b"no")
        elif not ready.is_set():
            answer(c, 503, b"loading")
        elif path == "/health":
            answer(c, 200, b"ok")
        else:
            answer(c, 200, work(body.decode()))


def load():
    steps = 4
    for i in range(steps):
        print(f"loading {i + 1}/{steps}", flush=True)
        time.sleep(faults.number("load_s") / steps)
    faults.hold_memory()
    if not faults.strikes("never_ready"):
        ready.set()


def stolen(port):
    """Another process listens there and answers nothing."""
    holder = "import socket,sys,time; s=socket.create_server(('127.0.0.1',int(sys.argv[1]))); print(1,flush=True); time.sleep(60)"
    p = subprocess.Popen([sys.executable, "-c", holder, str(port)], stdout=subprocess.PIPE, start_new_session=True)
    p.stdout.readline()
    faults.say("cannot bind the port")
    os._exit(1)


def main():
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    if faults.DIR and (faults.DIR / "say").exists():
        faults.say((faults.DIR / "say").read_text())
    faults.begin(NAME)
    if faults.strikes("steal"):
        stolen(int(args["--port"]))
    time.sleep(faults.number("before_s"))
    listener = socket.create_server(("127.0.0.1", int(args["--port"])), backlog=16)
    threading.Thread(target=load, daemon=True).start()
    while True:
        threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()


main()
