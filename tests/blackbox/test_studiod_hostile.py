"""Whoever reaches studiod's port may send anything: it answers, closes or ignores, and goes on serving.

SPDX-License-Identifier: MIT"""

import json
import os
import random
import socket
import threading
import time
import unittest

from studio import PREFIX, Closed, Socket, Studio, Worker, capabilities, until


class Hostile(unittest.TestCase):
    def setUp(self):
        self.s = Studio(hello_ms=3000)
        self.addCleanup(self.s.close)
        self.addCleanup(self.still_serves)

    def still_serves(self):
        self.assertEqual(self.s.get("/healthz")["status"], "ok")
        job = self.s.submit()
        w = Worker(self.s)
        until("it is done", lambda: self.complete(w, job))

    def complete(self, w, job):
        w.complete(w.accept())
        return self.s.job(job)["state"] == "done"

    def send(self, data, half_close=False):
        """What comes back on a fresh connection."""
        with socket.create_connection(("127.0.0.1", self.s.port), timeout=15) as c:
            try:
                c.sendall(data)
                if half_close:
                    c.shutdown(socket.SHUT_WR)
                got = b""
                while part := c.recv(65536):
                    got += part
                return got
            except OSError:  # reset, gone before we were through, or it waits for more
                return b""

    def assert_grew_less(self, before, mib):
        if not self.s.sanitized():
            self.assertLess(self.s.rss_mib() - before, mib)

    def ends(self, socket_, codes):
        try:
            code, _ = socket_.expect_close()
        except (OSError, ValueError):
            code = 1006
        self.assertIn(code, codes)

    # ---- HTTP ----

    def test_token_is_needed_everywhere(self):
        for method, path in (("GET", "/jobs"), ("POST", "/jobs"), ("GET", "/jobs/x"), ("DELETE", "/jobs/x"), ("GET", "/jobs/x/result"),
                             ("POST", "/jobs/x/retry"), ("GET", "/workers"), ("GET", "/workers/pending"),
                             ("POST", "/workers/pending/x/approve"), ("POST", "/workers/pending/x/reject"),
                             ("DELETE", "/workers/x"), ("GET", "/workers/x/logs"), ("GET", "/models"), ("GET", "/models/x"),
                             ("PUT", "/models/x"), ("DELETE", "/models/x")):
            for token in ("", "x", self.s.token[:-1], self.s.token + "0", self.s.token.upper() + " "):
                status, answer = self.s.call(method, path, {} if method in ("POST", "PUT") else None, token=token)
                self.assertEqual((status, answer["error"]), (401, "unauthorized"), (method, path))
        wid, token = self.s.admit()
        self.assertEqual(self.s.call("GET", "/jobs", token=token)[0], 401)

    def test_unknown_paths_and_methods(self):
        for method, path, statuses in (("GET", "/nothing", {404}), ("GET", PREFIX + "x/jobs", {404}), ("PUT", "/jobs", {404, 405}),
                                       ("GET", "/jobs/a/b/c", {404}), ("GET", "/../../etc/passwd", {400, 404}),
                                       ("GET", "/jobs/..%2f..%2fadmin-token/result", {404}), ("GET", "/jobs/%00", {400, 404}),
                                       ("GET", "/models/%ff%fe", {400, 404})):
            status, kind, data = self.s.raw(method, PREFIX + path)
            self.assertIn(status, statuses, path)
            self.assertNotIn(b"root:", data)

    def test_bodies(self):
        for body in (b"", b"{", b"[]", b"null", b"5", b"\xff", b"[" * 200000, b"{\"a\":" * 1000, b'{"model":"a","model":"b"}',
                     b'{"model": 1e999}', b'{"model":"\\ud800"}', b'{"model":"a\\u0000b","task":{}}'):
            status, answer = self.s.call("POST", "/jobs", body)
            self.assertEqual(status, 400, body[:40])
            self.assertIn("message", answer)
        big = json.dumps({"model": "synthetic-llm", "task": {"messages": [{"role": "user", "content": "x" * (1 << 20)}]}})
        self.assertEqual(self.s.raw("POST", "/jobs", big)[0], 413)
        deep = b'{"model":"synthetic-llm","task":{"kind":"llm","messages":[{"role":"u","content":"c"}],"jsonSchema":' + b"[" * 60 + b"]" * 60 + b"}}"
        self.assertIn(self.s.call("POST", "/jobs", deep)[0], (201, 400))
        for job in self.s.get("/jobs?state=queued")["jobs"]:
            self.s.call("DELETE", f"/jobs/{job['id']}")

    def test_broken_http(self):
        rnd = random.Random(1)
        broken = (b"\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET " + b"/" * 20000 + b" HTTP/1.1\r\n\r\n",
                     b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 5000 + b"\r\n", b"POST / HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
                     b"POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00",
                     b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET /healthz HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
                     b"GET / HTTP/1.1\r\nUpgrade: " + b"x" * 3000 + b"\r\nConnection: upgrade\r\n\r\n", os.urandom(5000),
                     *(rnd.randbytes(200) for _ in range(50)))
        # All at the same time: who never finishes a request is only closed after ten seconds.
        threads = [threading.Thread(target=self.send, args=(data, True)) for data in broken]
        for t in threads:
            t.start()
        self.assertEqual(self.s.get("/healthz")["status"], "ok")
        for t in threads:
            t.join()
        self.assertEqual(self.s.get("/healthz")["status"], "ok")

    def test_split_into_single_bytes(self):
        with socket.create_connection(("127.0.0.1", self.s.port), timeout=15) as c:
            c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for byte in b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n":
                c.sendall(bytes([byte]))
            self.assertIn(b"200", c.recv(65536))

    def test_slow_clients_do_not_hold_others_up(self):
        slow = []
        for _ in range(50):
            c = socket.create_connection(("127.0.0.1", self.s.port))
            c.sendall(f"POST {PREFIX}/workers/register-request HTTP/1.1\r\nContent-Length: 500\r\n\r\n{{".encode())
            slow.append(c)
        began = time.monotonic()
        self.s.get("/healthz")
        self.assertLess(time.monotonic() - began, 1)
        for c in slow:
            c.close()

    def test_a_client_that_does_not_read_a_result(self):
        w = Worker(self.s)
        job = self.s.image()
        w.accept()
        self.s.until_state(job, "claimed")
        data = b"r" * (8 << 20)
        self.assertEqual(self.s.upload(w.id, w.token, job, data)[0], 200)
        w.close()
        before = self.s.rss_mib()
        lazy = []
        for _ in range(10):
            c = socket.create_connection(("127.0.0.1", self.s.port))
            c.sendall(f"GET {PREFIX}/jobs/{job}/result HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {self.s.token}\r\n\r\n".encode())
            lazy.append(c)
        for c in lazy:  # each answer has begun, and nobody reads on
            c.settimeout(10)
            self.assertEqual(c.recv(1), b"H")
        self.s.get("/healthz")
        self.assert_grew_less(before, 20)
        for c in lazy:
            c.close()

    def test_many_sockets(self):
        """More strangers than it waits for: they come and go, workers stay."""
        w = Worker(self.s)
        idle = [socket.create_connection(("127.0.0.1", self.s.port)) for _ in range(200)]
        strangers = [Socket(self.s, "wk-unknown", "t") for _ in range(50)]
        w.beat()
        w.expect("heartbeatAck")
        for c in idle:
            c.close()
        for c in strangers:
            c.cut()

    def test_connections_that_open_and_reset(self):
        for _ in range(300):
            c = socket.create_connection(("127.0.0.1", self.s.port))
            c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
            c.close()

    # ---- WebSocket ----

    def test_binary_and_oversize(self):
        w = Worker(self.s)
        w.send_raw(2, b"binary")
        self.ends(w, (1003, 4002, 1006))
        w = Worker(self.s)
        try:
            for i in range(5):
                w.send_raw(1 if i == 0 else 0, b"x" * (1 << 20), fin=i == 4)
        except (BrokenPipeError, ConnectionResetError):
            pass
        self.ends(w, (1009, 4002, 1006, 1002))

    def test_a_frame_that_announces_more_than_there_will_be(self):
        w = Worker(self.s)
        before = self.s.rss_mib()
        w.sock.sendall(b"\x81\xff" + (1 << 62).to_bytes(8, "big") + b"mask" + b"x" * 1000)
        self.ends(w, (1009, 4002, 1006, 1002))
        self.assert_grew_less(before, 8)

    def test_protocol_errors_of_the_websocket(self):
        for name, opcode, data, more in (("reserved opcode", 3, b"", {}), ("unmasked", 1, b"{}", {"mask": False}),
                                         ("long ping", 9, b"p" * 200, {}), ("fragmented ping", 9, b"p", {"fin": False}),
                                         ("continuation of nothing", 0, b"x", {}), ("bad UTF-8", 1, b"\xff\xfe", {}),
                                         ("close of one byte", 8, b"\x03", {})):
            with self.subTest(name):
                w = Worker(self.s)
                try:
                    w.send_raw(opcode, data, **more)
                    self.ends(w, (1002, 1003, 1005, 1007, 4002, 1006, 1000))
                except TimeoutError:
                    self.fail("the connection stays")

    def test_garbage_frames(self):
        rnd = random.Random(7)
        good = [json.dumps({"type": t, **f}) for t, f in (
            ("heartbeat", {"capabilities": capabilities()}), ("accept", {"jobId": "job-x"}),
            ("fail", {"jobId": "j", "error": "e", "retryable": True}), ("completeJson", {"jobId": "j", "result": {"a": [1, 2]}}),
            ("logBatch", {"entries": [{"ts": "t", "level": "info", "category": "c", "message": "m"}]}),
            ("progress", {"jobId": "j", "stage": "running", "fraction": 0.5}), ("features", {"features": ["resume"]}))]
        texts = [b"", b"{}", b"[]", b'{"type":5}', b'{"type":"hello"}', b"[" * 5000, b'{"type":"accept","jobId":"' + b"x" * 100000 + b'"}',
                 b'{"type":"accept","jobId":"\\u0000"}', b'{"type":"progress","jobId":"j","stage":"running","fraction":1e400}']
        for _ in range(60):
            text = bytearray(rnd.choice(good).encode())
            for _ in range(rnd.randrange(1, 6)):
                text[rnd.randrange(len(text))] = rnd.randrange(32, 127)
            texts.append(bytes(text))
        credentials = self.s.admit()
        for text in texts:
            w = Worker(self.s, credentials)
            w.send_raw(1, text)
            w.send_raw(1, text)
            w.close()
        for text in texts:
            w = Worker(self.s, credentials, hello=False)
            w.send_raw(1, text)
            w.cut()

    def test_a_worker_that_does_not_read(self):
        w = Worker(self.s)
        before = self.s.rss_mib()
        beat = json.dumps({"type": "heartbeat", "capabilities": w.caps}).encode()
        w.sock.settimeout(1)
        try:
            for _ in range(20000):
                w.send_raw(1, beat)
        except OSError:
            pass
        self.assert_grew_less(before, 40)
        w.cut()

    def test_log_flood(self):
        w = Worker(self.s)
        entries = [{"ts": "2026-05-25T12:00:00.000Z", "level": "info", "category": "c", "message": "m" * 100}] * 4000
        for _ in range(10):
            w.send("logBatch", entries=entries)
        w.beat()
        w.expect("heartbeatAck")
        w.close()

    def test_everybody_at_once(self):
        stop = time.monotonic() + 3
        errors = []

        def noise(seed):
            rnd = random.Random(seed)
            try:
                while time.monotonic() < stop:
                    what = rnd.randrange(4)
                    if what == 0:
                        self.send(rnd.randbytes(300) + b"\r\n\r\n", half_close=True)
                    elif what == 1:
                        self.s.raw("GET", "/jobs?limit=5")
                    elif what == 2:
                        self.s.call("DELETE", f"/jobs/{self.s.submit()}")
                    else:
                        w = Worker(self.s, credentials=credentials[seed % 4])
                        w.send_raw(1, rnd.randbytes(rnd.randrange(100)))
                        w.cut()
            except (Closed, ConnectionError, TimeoutError):
                pass
            except Exception as e:  # noqa: BLE001 - reported below
                errors.append(repr(e))

        credentials = [self.s.admit() for _ in range(4)]
        threads = [threading.Thread(target=noise, args=(i,)) for i in range(8)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(errors, [])


if __name__ == "__main__":
    unittest.main()
