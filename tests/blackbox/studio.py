"""A real studiod under test: starting and killing it, its HTTP API, and a worker played by the test.

Standard library only. SPDX-License-Identifier: MIT"""

import base64
import contextlib
import hashlib
import http.client
import json
import os
import pathlib
import secrets
import select
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time
import uuid

BUILD = pathlib.Path(os.environ.get("BUILD_DIR", pathlib.Path(__file__).resolve().parents[2] / "build"))
STUDIOD = str(BUILD / "studiod")
PREFIX = "/graphics/api"
PATIENCE = 20  # seconds: a deadline for what should happen at once


def until(what, condition, patience=PATIENCE):
    """Polls until condition() is true; fails with what was waited for."""
    end = time.monotonic() + patience
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"did not happen within {patience} s: {what}")
        time.sleep(0.01)


def read(path):
    return pathlib.Path(path).read_text(errors="replace")


class Studio:
    """A studiod in a folder of its own. Options become its config file."""

    def __init__(self, **options):
        self.dir = tempfile.mkdtemp(prefix="studiod-test-")
        self.data = os.path.join(self.dir, "data")
        self.config = os.path.join(self.dir, "config.toml")
        options.setdefault("register_per_minute", 1000)
        lines = [f"{k} = {json.dumps(v)}\n" for k, v in options.items()]
        pathlib.Path(self.config).write_text("".join(lines))
        self.process = None
        self.port = 0
        self.start()

    def command(self, *args, listen=None):
        where = ["--listen", listen] if listen else []
        return [STUDIOD, "--config", self.config, "--data", self.data, *where, *args]

    def start(self, preexec=None):
        self.log = open(os.path.join(self.dir, "log"), "ab")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(self.data, "address"))
        self.process = subprocess.Popen(
            self.command("serve", "--log-level", "debug", "--log-format", "json", listen=f"127.0.0.1:{self.port}"),
            stderr=self.log, stdout=self.log, preexec_fn=preexec)
        address = os.path.join(self.data, "address")

        def ready():
            assert self.process.poll() is None, f"studiod ended with {self.process.returncode}: {self.tail()}"
            return os.path.exists(address) and read(address).endswith("\n")

        until("studiod listens", ready)
        self.port = int(read(address).rsplit(":", 1)[1])
        self.token = read(os.path.join(self.data, "admin-token")).strip()

    def tail(self):
        return pathlib.Path(self.dir, "log").read_text(errors="replace")[-3000:]

    def stop(self):
        """SIGTERM; returns exit status and seconds it took."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(PATIENCE)
        self.log.close()
        return code, time.monotonic() - began

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.log.close()

    def close(self):
        try:
            if self.process.poll() is None:
                code, _ = self.stop()
                assert code == 0, f"studiod ended with {code}: {self.tail()}"
            else:
                self.log.close()
        finally:
            shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def cli(self, *args):
        return subprocess.run(self.command(*args), capture_output=True, text=True, timeout=60)

    def rss_mib(self):
        for line in read(f"/proc/{self.process.pid}/status").splitlines():
            if line.startswith("VmRSS"):
                return int(line.split()[1]) / 1024
        return 0

    def sanitized(self):
        """Built with AddressSanitizer, whose memory says nothing about the program's."""
        return b"__asan_init" in pathlib.Path(STUDIOD).read_bytes()

    def connection(self, timeout=PATIENCE):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def raw(self, method, path, body=None, token=None, headers=None):
        """Returns (status, content type, bytes). Paths without a leading "/graphics" or "/healthz" get the prefix."""
        if not path.startswith((PREFIX, "/healthz")):
            path = PREFIX + path
        headers = dict(headers or {})
        token = self.token if token is None else token
        if token:
            headers["Authorization"] = "Bearer " + token
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body)
            headers.setdefault("Content-Type", "application/json")
        c = self.connection()
        try:
            c.connect()
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # refused before the end of the body
                c.request(method, path, body, headers)
            r = c.getresponse()
            return r.status, r.headers.get("Content-Type", ""), r.read()
        finally:
            c.close()

    def call(self, method, path, body=None, token=None, headers=None):
        """Returns (status, JSON)."""
        status, kind, data = self.raw(method, path, body, token, headers)
        assert kind.startswith("application/json"), f"{method} {path}: {status} {kind} {data[:200]}"
        return status, json.loads(data)

    def get(self, path):
        status, answer = self.call("GET", path)
        assert status == 200, (path, status, answer)
        return answer

    def submit(self, model="synthetic-llm", task=None, **more):
        task = task or {"messages": [{"role": "user", "content": "hello"}]}
        status, job = self.call("POST", "/jobs", {"model": model, "task": task, **more})
        assert status == 201, (status, job)
        return job["id"]

    def image(self, **more):
        return self.submit("synthetic-image", {"prompt": "a lighthouse"}, **more)

    def job(self, job_id):
        return self.get(f"/jobs/{job_id}")

    def until_state(self, job_id, state):
        return until(f"job {job_id} is {state}", lambda: (j := self.job(job_id))["state"] == state and j)

    def log_has(self, text):
        return text in pathlib.Path(self.dir, "log").read_text(errors="replace")

    # ---- letting workers in ----

    def ask(self, install_id=None, secret=None):
        install_id = install_id or str(uuid.uuid4())
        secret = secret or secrets.token_hex(32)
        status, answer = self.call("POST", "/workers/register-request", {
            "installId": install_id, "registrationSecretHash": hashlib.sha256(secret.encode()).hexdigest(),
            "capabilities": capabilities(), "userAgent": "studio-worker/test"}, token="")
        assert status == 200, (status, answer)
        return answer["requestId"], secret, install_id

    def poll(self, request_id, secret):
        return self.call("GET", f"/workers/register-requests/{request_id}", token=secret)

    def admit(self):
        """A new worker's id and token."""
        request_id, secret, _ = self.ask()
        status, answer = self.call("POST", f"/workers/pending/{request_id}/approve", {})
        assert status == 200, (status, answer)
        _, answer = self.poll(request_id, secret)
        assert answer["status"] == "approved", answer
        return answer["workerId"], answer["authToken"]

    def upload(self, worker_id, token, job_id, data, ext="png", prompt="p", **more):
        return upload(self, worker_id, token, job_id, [data], len(data), ext, prompt, **more)


def capabilities(**more):
    kinds = ["image", "llm", "audio_stt", "audio_tts", "video"]
    models = {k: ["synthetic", f"synthetic-{k.removeprefix('audio_')}"] for k in kinds}
    return {
        "machineName": "test", "username": "tester", "agentVersion": "0.0.1", "engine": "multi", "vramTotalGb": 24.0,
        "vramThresholdGb": 12.0, "autoEnabled": True, "autoStart": False,
        "supportedModels": sorted({m for l in models.values() for m in l}), "taskKinds": kinds,
        "supportedModelsPerKind": models, "autoUpdate": False, "startMinimised": False, "onlyWhenIdle": False, **more}


def multipart_parts(ext, prompt, boundary="studiotestboundary"):
    """Head and tail of a body whose file stands between them."""
    def field(name, value):
        return f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'

    head = field("prompt", prompt) + field("ext", ext) + (
        f'--{boundary}\r\nContent-Disposition: form-data; name="image"; filename="x.{ext}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n")
    return head.encode(), f"\r\n--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


def upload(studio, worker_id, token, job_id, chunks, size, ext="png", prompt="p", watch=None):
    """Sends a result in chunks; watch() is called between them. Returns (status, JSON)."""
    head, tail, kind = multipart_parts(ext, prompt)
    c = studio.connection()
    try:
        c.putrequest("POST", f"{PREFIX}/workers/{worker_id}/jobs/{job_id}/complete")
        c.putheader("Authorization", "Bearer " + token)
        c.putheader("Content-Type", kind)
        c.putheader("Content-Length", str(len(head) + size + len(tail)))
        c.endheaders()
        try:
            c.send(head)
            for chunk in chunks:
                c.send(chunk)
                if watch:
                    watch()
            c.send(tail)
        except (BrokenPipeError, ConnectionResetError):
            pass  # refused before the end of the body; the answer is there to be read
        r = c.getresponse()
        return r.status, json.loads(r.read())
    finally:
        c.close()


class Closed(Exception):
    """The studio ended the connection."""

    def __init__(self, code, reason=""):
        super().__init__(f"closed with {code} {reason}")
        self.code = code


class Socket:
    """A WebSocket client: frames in and out, and the means to misbehave."""

    def __init__(self, studio, worker_id, token, subprotocol="studio-worker-v1"):
        self.sock = socket.create_connection(("127.0.0.1", studio.port), timeout=PATIENCE)
        self.buffer = b""
        key = base64.b64encode(os.urandom(16)).decode()
        auth = f"Authorization: Bearer {token}\r\n" if token else ""
        proto = f"Sec-WebSocket-Protocol: {subprotocol}\r\n" if subprotocol else ""
        self.sock.sendall(
            f"GET {PREFIX}/workers/{worker_id}/connect HTTP/1.1\r\nHost: 127.0.0.1:{studio.port}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n{proto}{auth}\r\n".encode())
        head = self._until(b"\r\n\r\n")
        self.status = int(head.split()[1])

    def _fill(self):
        data = self.sock.recv(65536)
        if not data:
            raise Closed(1006, "without a close frame")
        self.buffer += data

    def _until(self, mark):
        while mark not in self.buffer:
            self._fill()
        head, _, self.buffer = self.buffer.partition(mark)
        return head

    def _take(self, n):
        while len(self.buffer) < n:
            self._fill()
        data, self.buffer = self.buffer[:n], self.buffer[n:]
        return data

    def send_raw(self, opcode, data, fin=True, mask=True):
        head = bytes([(0x80 if fin else 0) | opcode])
        bit = 0x80 if mask else 0
        if len(data) < 126:
            head += bytes([bit | len(data)])
        elif len(data) < 65536:
            head += bytes([bit | 126]) + struct.pack("!H", len(data))
        else:
            head += bytes([bit | 127]) + struct.pack("!Q", len(data))
        if mask:
            key = os.urandom(4)
            stream = int.from_bytes((key * (len(data) // 4 + 1))[:len(data)], "big")
            data = key + (int.from_bytes(data, "big") ^ stream).to_bytes(len(data), "big")
        self.sock.sendall(head + data)

    def send(self, kind, **fields):
        self.send_raw(1, json.dumps({"type": kind, **fields}).encode())

    def receive(self, patience=PATIENCE):
        """The next frame as a dict; raises Closed at the end of the connection, TimeoutError when nothing comes."""
        self.sock.settimeout(patience)
        while True:
            a, b = self._take(2)
            n = b & 0x7f
            if n == 126:
                n = struct.unpack("!H", self._take(2))[0]
            elif n == 127:
                n = struct.unpack("!Q", self._take(8))[0]
            data = self._take(n)
            if a & 0xf == 1:
                return json.loads(data)
            if a & 0xf == 8:
                code = struct.unpack("!H", data[:2])[0] if len(data) >= 2 else 1005
                with contextlib.suppress(OSError):
                    self.send_raw(8, data[:2])
                raise Closed(code, data[2:].decode(errors="replace"))
            if a & 0xf == 9:
                self.send_raw(10, data)

    def expect(self, kind, patience=PATIENCE, skip=("heartbeatAck",)):
        end = time.monotonic() + patience
        while True:
            frame = self.receive(max(0.01, end - time.monotonic()))
            if frame["type"] == kind:
                return frame
            assert frame["type"] in skip, f"waited for {kind}, got {frame}"

    def expect_close(self, patience=PATIENCE):
        """Reads to the end; returns (close code, frames before it)."""
        frames = []
        try:
            while True:
                frames.append(self.receive(patience))
        except Closed as end:
            return end.code, frames
        except (ConnectionResetError, BrokenPipeError):
            return 1006, frames

    def quiet(self, seconds):
        """That no frame comes for a while."""
        self.sock.settimeout(seconds)
        readable, _, _ = select.select([self.sock], [], [], seconds)
        return not readable and not self.buffer

    def cut(self):
        """Ends without a word, as a cable that is pulled."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def close(self):
        with contextlib.suppress(OSError):
            self.send_raw(8, struct.pack("!H", 1000))
        self.sock.close()

    def __del__(self):
        if hasattr(self, "sock"):
            self.sock.close()


class Worker(Socket):
    """A worker in its session: hello was said, welcome was heard."""

    def __init__(self, studio, credentials=None, features=None, resume=None, caps=None, hello=True):
        self.id, self.token = credentials or studio.admit()
        self.studio = studio
        super().__init__(studio, self.id, self.token)
        assert self.status == 101, self.status
        if not hello:
            return
        self.caps = caps or capabilities()
        self.send("hello", authToken=self.token, capabilities=self.caps)
        self.welcome = self.expect("welcome")
        if features:
            self.send("features", features=features)
        if resume is not None:
            self.send("resume", jobs=resume)
        self.beat()

    @property
    def credentials(self):
        return self.id, self.token

    def beat(self, **more):
        self.caps.update(more)
        self.send("heartbeat", capabilities=self.caps)

    def offer(self, patience=PATIENCE):
        return self.expect("offer", patience)["claim"]

    def accept(self):
        claim = self.offer()
        self.send("accept", jobId=claim["jobId"])
        return claim

    def complete(self, claim, result=None, **more):
        self.send("completeJson", jobId=claim["jobId"], result=result or {"ok": True}, prompt="p", **more)
        return self.expect("completeAck")
