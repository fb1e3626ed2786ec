"""A studio that lies, floods and breaks the rules: the worker survives, reconnects and stays small.

SPDX-License-Identifier: MIT"""

import json
import socket
import struct
import threading
import unittest

from peers import BINARY, CONTINUATION, PING, PREFIX, TEXT, WORKER_ID, Studio, Worker, image, llm, until

MIB = 1 << 20


def without(message, *path):
    """A copy lacking one field."""
    copy = json.loads(json.dumps(message))
    at = copy
    for key in path[:-1]:
        at = at[key]
    del at[path[-1]]
    return json.dumps(copy)


def replaced(message, value, *path):
    copy = json.loads(json.dumps(message))
    at = copy
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return json.dumps(copy)


OFFER = {"type": "offer", "claim": llm("j")}
BAD_TEXTS = {
    "nothing": "",
    "no JSON": "hello",
    "half of it": '{"type": "heartbeatAck"',
    "more than one": '{"type": "heartbeatAck"} {"type": "heartbeatAck"}',
    "an array": "[]",
    "a number": "1",
    "null": "null",
    "no type": "{}",
    "a type that is no string": '{"type": 7}',
    "an unknown type": '{"type": "reboot"}',
    "a frame of the other direction": '{"type": "hello", "authToken": "x", "capabilities": {}}',
    "a NUL": b'{"type": "heartbeatAck\\u0000"}',
    "a raw NUL": b'{"type": "heartbeatAck"}\x00',
    "a lone surrogate": '{"type": "completeAck", "jobId": "\\ud800"}',
    "deep arrays": '{"type": "heartbeatAck", "x": ' + "[" * 100000 + "]" * 100000 + "}",
    "deep objects": '{"x":' * 50000 + "1" + "}" * 50000,
    "an open depth": "[" * 2000000,
    "an offer without a claim": '{"type": "offer"}',
    "a claim that is no object": '{"type": "offer", "claim": [1]}',
    "an offer without a task": without(OFFER, "claim", "task"),
    "an offer without a source": without(OFFER, "claim", "modelSource"),
    "an offer without an id": without(OFFER, "claim", "jobId"),
    "an id that is a number": replaced(OFFER, 7, "claim", "jobId"),
    "an estimate that is a text": replaced(OFFER, "7", "claim", "vramGbEstimate"),
    "a task without a kind": without(OFFER, "claim", "task", "kind"),
    "a task without messages": without(OFFER, "claim", "task", "messages"),
    "messages that are none": replaced(OFFER, [1, 2], "claim", "task", "messages"),
    "a source without an engine": without(OFFER, "claim", "modelSource", "engine"),
    "files that are none": replaced(OFFER, {"a": 1}, "claim", "modelSource", "files"),
    "an ack without an id": '{"type": "completeAck"}',
    "an ack of an object": '{"type": "failAck", "jobId": {}}',
    "an error without a code": '{"type": "error", "message": "x"}',
}


def accept_frame(fin, opcode, payload, rsv=0):
    return bytes([(0x80 if fin else 0) | rsv | opcode, len(payload)]) + payload


BROKEN_FRAMES = {
    "a binary message": lambda s: s.frame(BINARY, b'{"type": "heartbeatAck"}'),
    "an empty binary message": lambda s: s.frame(BINARY, b""),
    "fragmented binary": lambda s: (s.frame(BINARY, b"a", fin=False), s.frame(CONTINUATION, b"b")),
    "invalid UTF-8": lambda s: s.text(b'{"type": "completeAck", "jobId": "\xff\xfe"}'),
    "an overlong form": lambda s: s.text(b'{"type": "completeAck", "jobId": "\xc0\xaf"}'),
    "a continuation of nothing": lambda s: s.frame(CONTINUATION, b"x"),
    "a text within a text": lambda s: (s.frame(TEXT, b"{", fin=False), s.frame(TEXT, b"}")),
    "a reserved opcode": lambda s: s.frame(3, b"x"),
    "a reserved control opcode": lambda s: s.frame(11, b"x"),
    "a reserved bit": lambda s: s.raw(accept_frame(True, TEXT, b"{}", rsv=0x40)),
    "a fragmented ping": lambda s: s.raw(accept_frame(False, PING, b"x")),
    "a ping of 200 bytes": lambda s: s.raw(b"\x89\x7e" + struct.pack("!H", 200) + b"x" * 200),
    "garbage": lambda s: s.raw(b"\xff" * 64),
    "plain HTTP": lambda s: s.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"),
}
TOO_LARGE = {
    "4 MiB and a byte": lambda s: s.text(b" " * (4 * MIB + 1)),
    "in fragments": lambda s: [s.frame(TEXT if i == 0 else CONTINUATION, b" " * MIB, fin=False) for i in range(5)],
    "many tiny fragments": lambda s: s.raw(accept_frame(False, TEXT, b" ") + accept_frame(False, CONTINUATION, b" " * 125) * 40000),
    "a length of 4 GiB": lambda s: s.raw(b"\x81\x7f" + struct.pack("!Q", 1 << 32) + b"x" * MIB),
    "a length of 2^63": lambda s: s.raw(b"\x81\x7f" + struct.pack("!Q", 1 << 63) + b"x" * 100),
}


class Hostile(unittest.TestCase):
    def provoke(self, cases):
        """Each case ends one session; the next is as good as ever."""
        with Studio() as studio, Worker(studio) as worker:
            for name, act in cases.items():
                with self.subTest(name):
                    session = studio.accept()
                    session.welcome()
                    session.expect("heartbeat")
                    mark = len(worker.log)
                    try:
                        act(session)
                    except OSError:
                        pass  # it may hang up before it has all of it
                    entry = worker.wait_log("reconnect attempt 1 in 1000ms", after=mark)
                    self.assertTrue(entry["message"].startswith(("session error: ", "disconnected")), entry)
                    session.wait_end()
            studio.accept().welcome()
            session = studio.sessions[-1]
            session.run_llm("still-alive")
            self.assertEqual([f for s in studio.sessions[:-1] for f in s.seen("accept")], [])
            worker.check_memory(64)

    def test_bad_texts(self):
        self.provoke({name: (lambda s, t=text: s.text(t)) for name, text in BAD_TEXTS.items()})

    def test_broken_frames(self):
        self.provoke(BROKEN_FRAMES)

    def test_too_large(self):
        self.provoke(TOO_LARGE)

    def test_bad_before_welcome(self):
        texts = ["", "[]", '{"type": "welcome"}', '{"type": "welcome", "workerId": 7, "serverTime": "t"}', json.dumps(OFFER)[:-5]]
        with Studio() as studio, Worker(studio) as worker:
            for text in texts:
                with self.subTest(text):
                    session = studio.accept(within=40)
                    session.expect("hello")
                    session.text(text)
                    session.wait_end()
                    session = studio.accept()  # a good session in between, so that the backoff starts anew
                    session.welcome()
                    session.expect("heartbeat")
                    session.close(1000)
            worker.wait_log("session error: ")
            studio.accept().welcome()

    def test_large_and_fragmented_is_fine(self):
        with Studio() as studio, Worker(studio) as worker:
            session = studio.accept()
            session.welcome()
            data = json.dumps({"type": "offer", "claim": llm("one")}).encode()
            session.text(data + b" " * (4 * MIB - len(data)))
            session.expect("completeJson", jobId="one")
            session.send({"type": "completeAck", "jobId": "one"})
            data = json.dumps({"type": "offer", "claim": llm("two", "x" * 900000)}).encode()
            session.fragments(data + b" " * (4 * MIB - len(data)), 65536)
            session.expect("completeJson", jobId="two")
            session.send({"type": "completeAck", "jobId": "two"})
            # A byte a fragment, pings between, UTF-8 cut in the middle.
            data = json.dumps({"type": "offer", "claim": llm("three", "ü€😀")}, ensure_ascii=False).encode()
            for i, byte in enumerate(data):
                session.frame(TEXT if i == 0 else CONTINUATION, bytes([byte]), fin=i == len(data) - 1)
                if i % 10 == 0:
                    session.frame(PING, b"between")
            self.assertEqual(session.expect("completeJson", jobId="three")["prompt"], "ü€😀")
            # And byte by byte on the wire.
            for byte in session.socket.encode(TEXT, b'{"type": "completeAck", "jobId": "three"}'):
                session.raw(bytes([byte]))
            session.wait_log("studio confirmed completion of job three")
            self.assertFalse(session.ended)
            self.assertEqual(len(studio.sessions), 1)

    def test_unknown_fields_and_nulls_are_ignored(self):
        with Studio() as studio, Worker(studio):
            session = studio.accept()
            session.expect("hello")
            session.send({"type": "welcome", "workerId": WORKER_ID, "serverTime": "t", "features": None, "mood": {"a": [1]}})
            session.expect("heartbeat")
            offer = llm("j", "q", extra=[None])
            offer["task"] |= {"system": None, "topP": None, "jsonSchema": None, "colour": "red"}
            offer["modelSource"] |= {"licence": "x"}
            session.offer(offer)
            session.expect("completeJson", jobId="j")

    def test_numbers_out_of_range(self):
        with Studio() as studio, Worker(studio) as worker:
            session = studio.accept()
            session.welcome()
            for n, (field, value) in enumerate([("width", -5), ("height", 10**9), ("width", 0), ("seed", 2**64 - 1), ("steps", 10**18)]):
                with self.subTest(f"{field}={value}"):
                    offer = image(f"j-{n}")
                    offer["task"][field] = value
                    session.offer(offer)
                    until("an answer", lambda: session.ended or any(f.get("jobId") == f"j-{n}" for f in session.seen("fail"))
                          or any(u.job_id == f"j-{n}" for u in studio.uploads))
                    if session.ended:
                        session = studio.accept()
                        session.welcome()
            session.run_llm("after")
            worker.check_memory(256)

    def test_flood_of_offers(self):
        with Studio() as studio, Worker(studio) as worker:
            session = studio.accept()
            session.welcome()
            n = 5000
            session.raw(b"".join(session.socket.encode(TEXT, json.dumps({"type": "offer", "claim": llm(f"f-{i}")}).encode()) for i in range(n)))
            until("an answer to every offer", lambda: len(session.seen("accept")) + len(session.seen("reject")) == n, 60)
            until("a result for every accept", lambda: len(session.seen("completeJson")) == len(session.seen("accept")), 30)
            worker.check_memory(128)

    def test_flood_without_reading(self):
        """The answers pile up on our side: a bounded queue, then the end of the session."""
        with Studio() as studio, Worker(studio) as worker:
            session = studio.accept()
            session.welcome()
            session.expect("heartbeat")
            session.freeze()
            session.socket.conn.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            payload = session.socket.encode(TEXT, json.dumps({"type": "offer", "claim": llm("x" * 4000)}).encode()) * 100

            def flood():
                try:
                    while not studio.released.is_set() and len(studio.sessions) == 1:
                        session.raw(payload)
                except OSError:
                    pass
            thread = threading.Thread(target=flood, daemon=True)
            mark = len(worker.log)
            thread.start()
            worker.wait_log("reconnect attempt 1", within=60, after=mark)
            studio.accept(within=30).welcome()
            thread.join(10)
            studio.sessions[-1].run_llm("after")
            worker.check_memory(160)

    def test_flood_of_pings(self):
        with Studio() as studio, Worker(studio) as worker:
            session = studio.accept()
            session.welcome()
            session.raw(session.socket.encode(PING, b"p" * 100) * 20000)
            session.ping(b"last")
            session.run_llm("after")
            worker.check_memory(64)

    def test_log_injection(self):
        with Studio() as studio, Worker(studio) as worker:
            session = studio.accept()
            session.expect("hello")
            session.send({"type": "welcome", "workerId": "wk\n{\"level\":\"error\"}\x1b[2J", "serverTime": "t\r\n"})
            session.run_llm("j\nINFO forged")
            entry = worker.wait_log("server welcomed")
            self.assertNotIn("\n", entry["message"])
            self.assertNotIn("\x1b", entry["message"])
            self.assertEqual([e for e in worker.log if e["level"] == "raw"], [])

    def test_bad_upgrades(self):
        answers = [
            b"", b"\r\n\r\n", b"garbage\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: bm8=\r\n\r\n",
            b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
            b"HTTP/1.1 101 X\r\n" + b"X-Long: " + b"y" * 200000 + b"\r\n\r\n",
            b"HTTP/1.1 101 X\r\n" + b"X: y\r\n" * 20000 + b"\r\n",
            b"HTTP/1.1 500 " + b"x" * 100000 + b"\r\n\r\n", b"\x00" * 1000, b"HTTP/9.9 101\r\n\r\n",
        ]
        for answer in answers:
            with self.subTest(answer[:60]), socket.create_server(("127.0.0.1", 0)) as server:
                server.settimeout(20)
                with Worker(base=f"http://127.0.0.1:{server.getsockname()[1]}/", ws_reconnect_attempts=1) as worker:
                    for _ in range(2):
                        conn, _ = server.accept()
                        with conn:
                            conn.settimeout(20)
                            request = b""
                            while b"\r\n\r\n" not in request:
                                request += conn.recv(65536)
                            self.assertTrue(request.startswith(f"GET {PREFIX}/workers/{WORKER_ID}/connect HTTP/1.1".encode()))
                            try:
                                conn.sendall(answer)
                                conn.shutdown(socket.SHUT_WR)
                                while conn.recv(65536):
                                    pass
                            except OSError:
                                pass
                    self.assertGreater(worker.wait_exit(20), 0)
                    worker.wait_log("connect failed: ")

    def test_oversized_answers_to_http(self):
        with Studio() as studio:
            studio.on_poll = [(200, b"[" * 3000000), (200, b"x" * (20 * MIB)), (200, {"status": "approved", "workerId": WORKER_ID, "authToken": "t"})]
            with Worker(studio, approved=False) as worker:
                session = studio.accept()
                session.welcome()
                session.run_llm("j")
                worker.check_memory(64)


if __name__ == "__main__":
    unittest.main()
