"""A studio played by the test, and the real studio-worker under test.

    with Studio() as studio, Worker(studio) as worker:       # Worker(studio, approved=False) starts unregistered
        session = studio.accept()                            # the worker's upgraded socket
        session.welcome()                                    # awaits hello, answers welcome
        session.offer(llm("job-1", "Why?"))
        session.expect("accept", jobId="job-1")
        answer = session.expect("completeJson")
        session.send({"type": "completeAck", "jobId": "job-1"})

Studio      registrations, polls, uploads: everything asked, in order; each has .at (monotonic seconds).
            Scripts are lists that are used up one request each, then the default holds:
            on_register, on_poll: (status, body) or a function of the request returning that;
            on_upload: a status, DROP (answer nothing and cut) or an Event (answer 200 once it is set);
            on_connect: an HTTP status that refuses the upgrade, or STALL (never answer).
            accept(), next_upload(), next_poll(), next_register() wait with a deadline.
Session     One socket of the worker. A thread reads it and acks heartbeats (ack = False: no more). frames: all
            frames with .at; expect() takes the next frame of a type, with the fields given; logs: log entries.
            send(), text(), frame(), fragments(), raw(), ping(), close(), abort(), freeze(); wait_end() gives
            the close code (None for a socket cut without one).
Worker      A config folder and the process: start(), stop() (SIGTERM), kill(), wait_exit(), status(), command(),
            log entries of its stderr in log, wait_log(). gate(): a fake espeak-ng that runs until released.
WebSocket   RFC 6455 over a connected socket, either end; knows nothing of the protocol above it.
until()     polls a condition with a deadline; nothing here sleeps to synchronise.

Standard library only. SPDX-License-Identifier: MIT"""

import base64
import contextlib
import hashlib
import http.server
import json
import os
import pathlib
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
import urllib.parse

BUILD = pathlib.Path(os.environ.get("BUILD_DIR", pathlib.Path(__file__).resolve().parents[2] / "build"))
WORKER = str(BUILD / "studio-worker")
PREFIX = "/graphics/api"
SUBPROTOCOL = "studio-worker-v1"
PATIENCE = 15  # seconds: a deadline for what should happen at once
DROP, STALL = "drop", "stall"
INSTALL_ID = "00000000-0000-4000-8000-000000000001"
WORKER_ID, TOKEN = "wk-1", "token-of-wk-1"
TEXT, BINARY, CONTINUATION, CLOSE, PING, PONG = 1, 2, 0, 8, 9, 10
MAX_MESSAGE = 64 << 20


def until(what, condition, within=PATIENCE):
    """Polls until condition() is true and returns its value; fails naming what was waited for."""
    end = time.monotonic() + within
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"did not happen within {within} s: {what}")
        time.sleep(0.005)


class Frame(dict):
    """A JSON message and when it came."""
    at = 0.0


# ---- RFC 6455 -----------------------------------------------------------------------------------------

class WebSocket:
    """One end of an open WebSocket. `reader` reads exactly n bytes; masked: we are the client."""

    def __init__(self, conn, reader, masked=False):
        self.conn, self.reader, self.masked = conn, reader, masked
        self.lock = threading.Lock()

    @staticmethod
    def accept_key(key):
        return base64.b64encode(hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode()

    @staticmethod
    def xor(mask, data):
        wide = (mask * (len(data) // 4 + 1))[:len(data)]
        return (int.from_bytes(data, "big") ^ int.from_bytes(wide, "big")).to_bytes(len(data), "big")

    def encode(self, opcode, payload, fin=True):
        head = bytes([(0x80 if fin else 0) | opcode])
        flag, n = (0x80 if self.masked else 0), len(payload)
        if n < 126:
            head += bytes([flag | n])
        elif n < 65536:
            head += struct.pack("!BH", flag | 126, n)
        else:
            head += struct.pack("!BQ", flag | 127, n)
        if not self.masked:
            return head + payload
        mask = os.urandom(4)
        return head + mask + self.xor(mask, payload)

    def raw(self, data):
        with self.lock:
            self.conn.sendall(data)

    def frame(self, opcode, payload=b"", fin=True):
        self.raw(self.encode(opcode, payload, fin))

    def read_frame(self):
        """(fin, opcode, payload); EOFError at the end of the stream."""
        first, second = self.reader(2)
        length = second & 127
        if length > 125:
            length = struct.unpack("!H", self.reader(2))[0] if length == 126 else struct.unpack("!Q", self.reader(8))[0]
        if length > MAX_MESSAGE:
            raise AssertionError(f"a frame of {length} bytes")
        if bool(second & 0x80) == self.masked:
            raise AssertionError("the other end masks what it must not, or does not mask what it must")
        mask = self.reader(4) if second & 0x80 else None
        payload = self.reader(length)
        return bool(first & 0x80), first & 15, self.xor(mask, payload) if mask else payload

    def read_message(self):
        """The next (opcode, payload), fragments joined; answers pings."""
        kind, parts = None, []
        while True:
            fin, opcode, payload = self.read_frame()
            if opcode == PING:
                self.frame(PONG, payload)
                continue
            if opcode >= CLOSE:
                return opcode, payload
            kind = opcode if opcode != CONTINUATION else kind
            parts.append(payload)
            if fin:
                return kind, b"".join(parts)

    @classmethod
    def connect(cls, host, port, path, headers=()):
        """A client's end; ConnectionRefusedError with the status line when it is not upgraded."""
        conn = socket.create_connection((host, port), PATIENCE)
        conn.settimeout(None)
        stream = conn.makefile("rb")
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [f"GET {path} HTTP/1.1", f"Host: {host}:{port}", "Upgrade: websocket", "Connection: Upgrade",
                 f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13"] + [f"{k}: {v}" for k, v in headers]
        conn.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        status = stream.readline().decode()
        while stream.readline() not in (b"\r\n", b""):
            pass
        if " 101 " not in status:
            stream.close()
            conn.close()
            raise ConnectionRefusedError(status.strip())
        client = cls(conn, exactly(stream), masked=True)
        client.stream = stream
        return client

    def hang_up(self):
        """A client's end: closes the connection without a word."""
        self.stream.close()
        self.conn.close()


def exactly(stream):
    def read(n):
        data = stream.read(n) if n else b""
        if len(data) < n:
            raise EOFError("the other end closed the connection")
        return data
    return read


# ---- the studio's end of a socket ---------------------------------------------------------------------

class Session:
    def __init__(self, studio, handler, worker_id):
        self.studio, self.worker_id = studio, worker_id
        self.headers = {k.lower(): v for k, v in handler.headers.items()}
        self.socket = WebSocket(handler.connection, exactly(handler.rfile))
        self.at = time.monotonic()
        self.ack = True
        self.frames, self.pending, self.logs, self.pongs = [], [], [], []
        self.ended, self.close_code, self.close_reason, self.error = False, None, None, None
        self.ended_at = None
        self.cv = threading.Condition()
        self.reading = threading.Event()
        self.reading.set()

    # -- reading, on a thread of its own --
    def run(self):
        try:
            while not self.ended:
                self.reading.wait()
                self.take(*self.socket.read_message())
        except (EOFError, OSError, ValueError):
            pass
        except AssertionError as error:
            self.error = error
        with self.cv:
            self.ended = True
            self.ended_at = time.monotonic()
            self.cv.notify_all()

    def take(self, opcode, payload):
        if opcode == CLOSE:
            self.close_code = struct.unpack("!H", payload[:2])[0] if len(payload) >= 2 else 1005
            self.close_reason = payload[2:].decode()
            self.ended = True
            with contextlib.suppress(OSError):
                self.socket.frame(CLOSE, payload[:2])
            return
        if opcode == PONG:
            with self.cv:
                self.pongs.append(payload)
                self.cv.notify_all()
            return
        if opcode != TEXT:
            raise AssertionError(f"the worker sent a message of opcode {opcode}")
        frame = Frame(json.loads(payload.decode("utf-8")))
        frame.at = time.monotonic()
        with self.cv:
            self.frames.append(frame)
            self.pending.append(frame)
            if frame["type"] == "logBatch":
                self.logs.extend(frame["entries"])
            self.cv.notify_all()
        if frame["type"] == "heartbeat" and self.ack:
            self.send({"type": "heartbeatAck"})

    # -- waiting --
    def wait(self, what, condition, within=PATIENCE):
        """Waits under the lock for condition(); fails at the deadline, or when the socket ended without it."""
        end = time.monotonic() + within
        with self.cv:
            while True:
                value = condition()
                if value is not None and value is not False:
                    return value
                if self.error:
                    raise self.error
                left = end - time.monotonic()
                if self.ended or left <= 0:
                    why = f"the socket ended (code {self.close_code})" if self.ended else f"not within {within} s"
                    raise AssertionError(f"{what}: {why}; frames so far: {[f['type'] for f in self.frames][-20:]}")
                self.cv.wait(left)

    def expect(self, kind, within=PATIENCE, **fields):
        """Takes the next frame of this type whose fields have these values."""
        def find():
            for frame in self.pending:
                if frame["type"] == kind and all(frame.get(k) == v for k, v in fields.items()):
                    self.pending.remove(frame)
                    return frame
            return None
        return self.wait(f"a frame {kind} {fields or ''}", find, within)

    def seen(self, kind):
        with self.cv:
            return [f for f in self.frames if f["type"] == kind]

    def forget(self):
        with self.cv:
            self.pending.clear()

    def wait_log(self, text, within=PATIENCE):
        """The shipped log entry whose message has this text."""
        return self.wait(f"a shipped log line with {text!r}",
                         lambda: next((e for e in self.logs if text in e["message"]), None), within)

    def wait_end(self, within=PATIENCE):
        """The close code the worker sent; None when it cut the connection."""
        end = time.monotonic() + within
        with self.cv:
            while not self.ended:
                left = end - time.monotonic()
                if left <= 0:
                    raise AssertionError(f"the socket is still open after {within} s")
                self.cv.wait(left)
        return self.close_code

    def observe(self, seconds):
        """Lets real time pass, where the claim is that nothing happens; the types that came meanwhile."""
        with self.cv:
            before = len(self.frames)
        end = time.monotonic() + seconds
        with self.cv:
            while not self.ended and time.monotonic() < end:
                self.cv.wait(end - time.monotonic())
            return [f["type"] for f in self.frames[before:]]

    def ping(self, payload=b"?", within=PATIENCE):
        """A round trip through the worker's socket."""
        self.socket.frame(PING, payload)
        self.wait("a pong", lambda: payload in self.pongs, within)

    # -- sending --
    def send(self, message):
        self.text(json.dumps(message))

    def text(self, text):
        self.socket.frame(TEXT, text if isinstance(text, bytes) else text.encode())

    def frame(self, opcode, payload=b"", fin=True):
        self.socket.frame(opcode, payload, fin)

    def fragments(self, message, size):
        data = message if isinstance(message, bytes) else json.dumps(message).encode()
        pieces = [data[i:i + size] for i in range(0, len(data), size)]
        for i, piece in enumerate(pieces):
            self.socket.frame(TEXT if i == 0 else CONTINUATION, piece, fin=i == len(pieces) - 1)

    def raw(self, data):
        self.socket.raw(data)

    def close(self, code=1000, reason=""):
        with contextlib.suppress(OSError):
            self.socket.frame(CLOSE, struct.pack("!H", code) + reason.encode())

    def abort(self):
        """Cuts the connection with a reset, as a lost network does at best."""
        with contextlib.suppress(OSError):
            self.socket.conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.socket.conn.shutdown(socket.SHUT_RDWR)

    def freeze(self):
        """Half-open: neither reads nor says anything any more."""
        self.ack = False
        self.reading.clear()

    # -- the protocol --
    def welcome(self, features=None, within=PATIENCE):
        hello = self.expect("hello", within)
        message = {"type": "welcome", "workerId": self.worker_id, "serverTime": "2026-01-02T03:04:05.678Z"}
        if features is not None:
            message["features"] = features
        self.send(message)
        return hello

    def offer(self, claim):
        self.send({"type": "offer", "claim": claim})

    def run_llm(self, job, prompt="hello"):
        """One whole job; proof that the worker is serving."""
        self.offer(llm(job, prompt))
        self.expect("accept", jobId=job)
        answer = self.expect("completeJson", jobId=job)
        self.send({"type": "completeAck", "jobId": job})
        return answer


# ---- the studio ---------------------------------------------------------------------------------------

class Record:
    def __init__(self, **fields):
        self.__dict__.update(fields)
        self.at = time.monotonic()


def parse_multipart(content_type, body):
    """name → (headers, bytes), and the names in order."""
    boundary = re.search(r'boundary="?([^";]+)"?', content_type).group(1).encode()
    parts, order = {}, []
    sections = (b"\r\n" + body).split(b"\r\n--" + boundary)
    assert sections[0] == b"", "bytes before the first boundary"
    assert sections[-1].strip() == b"--", "the closing boundary is missing"
    for section in sections[1:-1]:
        head, _, data = section.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in head.decode().split("\r\n"))}
        name = re.search(r'\bname="([^"]*)"', headers["content-disposition"]).group(1)
        parts[name] = (headers, data)
        order.append(name)
    return parts, order


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *args):
        pass

    def body(self):
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            data = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                data += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return data
        length = int(self.headers.get("Content-Length", 0))
        data = self.rfile.read(length)
        if len(data) < length:
            raise EOFError("cut in the middle of a body")
        return data

    def answer(self, status, body=None):
        data = body if isinstance(body, bytes) else json.dumps({} if body is None else body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def bearer(self):
        kind, _, token = self.headers.get("Authorization", "").partition(" ")
        return token if kind == "Bearer" else None

    def route(self):
        studio, path = self.server.studio, self.path
        if not path.startswith(studio.mount + PREFIX + "/workers/"):
            studio.strays.append(path)
            return self.answer(404, {"error": "no such route"})
        rest = path[len(studio.mount + PREFIX + "/workers/"):]
        if self.command == "POST" and rest == "register-request":
            return studio.handle_register(self)
        if self.command == "GET" and (m := re.fullmatch(r"register-requests/([^/]+)", rest)):
            return studio.handle_poll(self, urllib.parse.unquote(m.group(1)))
        if self.command == "GET" and (m := re.fullmatch(r"([^/]+)/connect", rest)):
            return studio.handle_connect(self, urllib.parse.unquote(m.group(1)))
        if self.command == "POST" and (m := re.fullmatch(r"([^/]+)/jobs/([^/]+)/complete", rest)):
            return studio.handle_upload(self, *map(urllib.parse.unquote, m.groups()))
        studio.strays.append(path)
        return self.answer(404, {"error": "no such route"})

    do_GET = do_POST = route


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def handle_error(self, request, client_address):
        import sys
        error = sys.exc_info()[1]
        if not isinstance(error, (OSError, EOFError, ValueError)):
            self.studio.errors.append(error)


class Studio:
    """A scripted studio on a free port of 127.0.0.1. mount: a path in front of the prefix."""

    def __init__(self, mount="", port=0):
        self.mount = mount
        self.registrations, self.polls, self.uploads, self.connects = [], [], [], []
        self.on_register, self.on_poll, self.on_upload, self.on_connect = [], [], [], []
        self.sessions, self.waiting, self.strays, self.errors = [], [], [], []
        self.counters = {}
        self.cv = threading.Condition()
        self.released = threading.Event()  # lets stalled answers go when the studio ends
        self.server = Server(("127.0.0.1", port), Handler)
        self.server.studio = self
        self.port = self.server.server_address[1]
        self.base = f"http://127.0.0.1:{self.port}{mount}/"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, kind, *rest):
        self.stop()
        if kind is None and self.errors:
            raise AssertionError(f"the scripted studio failed: {self.errors[0]!r}")

    def stop(self):
        self.released.set()
        self.server.shutdown()
        self.server.server_close()
        for session in self.sessions:
            session.reading.set()
            session.abort()

    # -- handlers, on the server's threads --
    def note(self, kept, record):
        with self.cv:
            kept.append(record)
            self.cv.notify_all()
        return record

    def scripted(self, script, default, record):
        with self.cv:
            step = script.pop(0) if script else default
        return step(record) if callable(step) else step

    def handle_register(self, http):
        body = http.body()
        record = Record(body=json.loads(body), headers=dict(http.headers))
        status, answer = self.scripted(self.on_register, (200, {"requestId": "rr-1", "status": "pending"}), record)
        self.note(self.registrations, record)
        http.answer(status, answer)

    def handle_poll(self, http, request_id):
        record = Record(request_id=request_id, secret=http.bearer())
        status, answer = self.scripted(self.on_poll, (200, {"status": "pending"}), record)
        self.note(self.polls, record)
        if status == DROP:
            http.close_connection = True
            return
        http.answer(status, answer)

    def handle_connect(self, http, worker_id):
        record = Record(worker_id=worker_id, token=http.bearer(), headers={k.lower(): v for k, v in http.headers.items()})
        step = self.scripted(self.on_connect, 101, record)
        self.note(self.connects, record)
        if step == STALL:
            self.released.wait()
            http.close_connection = True
            return
        if step != 101:
            http.answer(step, {"error": "refused"})
            return
        http.send_response(101)
        http.send_header("Upgrade", "websocket")
        http.send_header("Connection", "Upgrade")
        http.send_header("Sec-WebSocket-Accept", WebSocket.accept_key(http.headers["Sec-WebSocket-Key"]))
        http.send_header("Sec-WebSocket-Protocol", SUBPROTOCOL)
        http.end_headers()
        session = Session(self, http, worker_id)
        with self.cv:
            self.sessions.append(session)
            self.waiting.append(session)
            self.cv.notify_all()
        session.run()
        http.close_connection = True

    def handle_upload(self, http, worker_id, job_id):
        body = http.body()
        parts, order = parse_multipart(http.headers["Content-Type"], body)
        image = parts["image"]
        record = Record(worker_id=worker_id, job_id=job_id, token=http.bearer(), order=order,
                        prompt=parts["prompt"][1].decode(), ext=parts["ext"][1].decode(), data=image[1],
                        filename=re.search(r'filename="([^"]*)"', image[0]["content-disposition"]).group(1),
                        content_type=image[0].get("content-type"), status=None)
        step = self.scripted(self.on_upload, 200, record)
        self.note(self.uploads, record)
        if isinstance(step, threading.Event):
            step.wait(60)
            step = 200
        record.status = step
        if step == DROP:
            http.close_connection = True
            http.connection.shutdown(socket.SHUT_RDWR)
            return
        http.answer(step, {"ok": step == 200})

    # -- waiting, on the test's thread --
    def next(self, name, kept, within):
        """The n-th record of a list, n counting up from call to call."""
        n = self.counters.get(name, 0)
        end = time.monotonic() + within
        with self.cv:
            while len(kept) <= n:
                left = end - time.monotonic()
                if left <= 0:
                    raise AssertionError(f"no further {name} within {within} s ({n} so far)")
                self.cv.wait(left)
        self.counters[name] = n + 1
        return kept[n]

    def accept(self, within=PATIENCE):
        return self.next("socket", self.sessions, within)

    def next_register(self, within=PATIENCE):
        return self.next("register-request", self.registrations, within)

    def next_poll(self, within=PATIENCE):
        return self.next("poll", self.polls, within)

    def next_upload(self, within=PATIENCE):
        return self.next("upload", self.uploads, within)

    def next_connect(self, within=PATIENCE):
        return self.next("connect", self.connects, within)


# ---- claims -------------------------------------------------------------------------------------------

DEFAULTS = {"cfgScale": 1, "steps": 1, "width": 64, "height": 64}


def source(engine="synthetic"):
    return {"engine": engine, "files": [], "cliDefaults": DEFAULTS}


def claim(job, task, model="synthetic", engine="synthetic", **fields):
    return {"jobId": job, "gameId": "game", "assetName": "asset", "model": model, "vramGbEstimate": 0,
            "task": task, "modelSource": source(engine), **fields}


def llm(job, prompt="hello", **fields):
    return claim(job, {"kind": "llm", "messages": [{"role": "user", "content": prompt}]}, "synthetic-llm", **fields)


def image(job, prompt="a lighthouse", ext="png", size=64, **fields):
    task = {"kind": "image", "prompt": prompt, "width": size, "height": size, "ext": ext}
    return claim(job, task, "synthetic-image", **fields)


def stt(job, url="https://example.invalid/a.wav", **fields):
    return claim(job, {"kind": "audio_stt", "inputUrl": url}, "synthetic-stt", **fields)


def tts(job, text="hello there", ext="wav", engine="synthetic", **fields):
    return claim(job, {"kind": "audio_tts", "text": text, "ext": ext}, f"{engine}-tts", engine=engine, **fields)


def video(job, prompt="waves", ext="webp", **fields):
    task = {"kind": "video", "prompt": prompt, "seconds": 0.5, "fps": 4, "width": 64, "height": 64, "ext": ext}
    return claim(job, task, "synthetic-video", **fields)


# ---- the worker ---------------------------------------------------------------------------------------

# Plays espeak-ng: real speech is made at once, or, with the gate in place, only after release(). `started` gets a line a run.
FAKE_ESPEAK = """#!/bin/sh
case "$*" in *--version*|*--voices*) exec @REAL@ "$@";; esac
echo $$ >> "@DIR@/started"
while [ -e "@DIR@/gate" ] && [ ! -e "@DIR@/open" ]; do sleep 0.02; done
exec @REAL@ "$@"
"""


class Gate:
    """A fake espeak-ng in front of the real one: jobs of engine espeak-ng run until open() is called."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir()
        (self.folder / "gate").touch()
        program = self.folder / "espeak-ng"
        program.write_text(FAKE_ESPEAK.replace("@DIR@", str(self.folder)).replace("@REAL@", shutil.which("espeak-ng")))
        program.chmod(0o755)

    def runs(self):
        """Process ids of the runs so far."""
        with contextlib.suppress(FileNotFoundError):
            return [int(line) for line in (self.folder / "started").read_text().split()]
        return []

    def wait_runs(self, n):
        return until(f"{n} runs of espeak-ng", lambda: len(self.runs()) >= n and self.runs())

    def open(self):
        (self.folder / "open").touch()

    def close(self):
        (self.folder / "open").unlink(missing_ok=True)


class Worker:
    """studio-worker in a folder of its own. options: keys of config.toml; approved: it has an identity already."""

    def __init__(self, studio=None, approved=True, start=True, poll_ms=50, env=None, base=None, gate=False, args=(), **options):
        self.dir = tempfile.mkdtemp(prefix="worker-test-")
        self.config = os.path.join(self.dir, "config.toml")
        self.identity_path = os.path.join(self.dir, "identity.json")
        options.setdefault("api_base_url", base or studio.base)
        options.setdefault("ws_reconnect_attempts", 0)
        self.write_config(**options)
        if approved:
            self.write_identity(install_id=INSTALL_ID, worker_id=WORKER_ID, auth_token=TOKEN)
        self.gate = Gate(os.path.join(self.dir, "bin")) if gate else None
        self.env = dict(os.environ, STUDIO_WORKER_REGISTER_POLL_MS=str(poll_ms), HOME=self.dir)
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
            self.env.pop(name, None)
        if gate:
            self.env["PATH"] = f"{self.gate.folder}:{self.env['PATH']}"
        self.env.update(env or {})
        self.args = list(args)
        self.process, self.log, self.cv = None, [], threading.Condition()
        if start:
            self.start()

    def __enter__(self):
        return self

    def __exit__(self, kind, *rest):
        code = None
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                if kind is None:
                    raise AssertionError("the worker did not end within 10 s of SIGTERM")
        if self.process:
            self.reader.join(10)
            code = self.process.returncode
        if kind is not None:
            print(f"\n--- the worker ended with {code}; its log ---\n" + "\n".join(self.lines()[-60:]))
        shutil.rmtree(self.dir, ignore_errors=True)
        # A crash or a sanitizer's report is a failure whatever the test was about.
        bad = [line for line in self.lines() if "Sanitizer" in line or "runtime error:" in line]
        if kind is None and (bad or (code is not None and code < 0 and code != -signal.SIGKILL)):
            raise AssertionError(f"the worker crashed ({code}): " + "\n".join(self.lines()[-80:]))

    def write_config(self, **options):
        text = "".join(f"{k} = {json.dumps(v)}\n" for k, v in options.items())
        pathlib.Path(self.config).write_text(text)

    def write_identity(self, **fields):
        fd = os.open(self.identity_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(fd, "w") as out:
            json.dump(fields, out)

    def identity(self):
        """identity.json as it stands; {} while there is none."""
        try:
            return json.loads(pathlib.Path(self.identity_path).read_text())
        except FileNotFoundError:
            return {}

    def start(self):
        self.started_at = time.monotonic()
        self.process = subprocess.Popen([WORKER, "--config", self.config, "run", "--log-format", "json", *self.args],
                                        env=self.env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self.reader = threading.Thread(target=self.read_log, args=(self.process.stderr,), daemon=True)
        self.reader.start()

    def read_log(self, stream):
        for line in stream:
            text = line.decode(errors="replace").rstrip("\n")
            try:
                entry = json.loads(text)
            except ValueError:
                entry = {"message": text, "level": "raw", "category": ""}
            with self.cv:
                self.log.append(entry)
                self.cv.notify_all()
        stream.close()
        with self.cv:
            self.cv.notify_all()

    def lines(self):
        with self.cv:
            return [f"{e.get('level', ''):5} {e.get('category', '')}: {e.get('message', '')}" for e in self.log]

    def wait_log(self, text, within=PATIENCE, after=0):
        """The first log entry from index `after` on whose message has this text."""
        end = time.monotonic() + within
        with self.cv:
            while True:
                for entry in self.log[after:]:
                    if text in entry.get("message", ""):
                        return entry
                left = end - time.monotonic()
                if left <= 0:
                    raise AssertionError(f"no log line with {text!r} within {within} s")
                self.cv.wait(left)

    def stop(self, within=10):
        """SIGTERM; the exit code and the seconds it took."""
        begin = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        return self.wait_exit(within), time.monotonic() - begin

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.reader.join(10)

    def wait_exit(self, within=PATIENCE):
        if self.process.poll() is not None:
            return self.process.returncode
        fd = os.pidfd_open(self.process.pid)  # Popen.wait() with a timeout looks only every 50 ms
        try:
            if not select.select([fd], [], [], within)[0]:
                raise AssertionError(f"the worker still runs after {within} s")
        finally:
            os.close(fd)
        return self.process.wait()

    def command(self, *args, check=True):
        """Runs `studio-worker --config … ARGS`; the finished process with its output as text."""
        done = subprocess.run([WORKER, "--config", self.config, *args], env=self.env, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=PATIENCE)
        if check and done.returncode:
            raise AssertionError(f"{args} ended with {done.returncode}: {done.stderr}")
        return done

    def status(self):
        return json.loads(self.command("status", "--json").stdout)

    def check_memory(self, mib):
        """The most it ever used is below that; a sanitizer's shadow memory counts for nothing."""
        if b"__asan_init" not in pathlib.Path(WORKER).read_bytes() and self.memory_mib() >= mib:
            raise AssertionError(f"the worker used {self.memory_mib():.0f} MiB, not below {mib}")

    def memory_mib(self):
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
        raise KeyError("VmHWM")
