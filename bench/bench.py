#!/usr/bin/env python3
"""Measures what the project promises and writes bench/RESULTS.md. See `bench.py --help`.

Every figure of a comparison comes from runs that alternate between the two programs on the same studio.
SPDX-License-Identifier: MIT"""

import argparse
import base64
import contextlib
import hashlib
import json
import os
import pathlib
import platform
import shutil
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request

import store

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get("BUILD_DIR", ROOT / "build"))
TICKS = os.sysconf("SC_CLK_TCK")
SYNTHETIC = {"engine": "synthetic", "files": [], "cliDefaults": {"cfgScale": 1, "steps": 1, "width": 512, "height": 512}}


# ---- processes ------------------------------------------------------------------------------------

def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(f) for f in fields[11:15]) / TICKS  # user, system, and those of reaped children


def memory_mib(pid, key="VmRSS"):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) / 1024
    raise KeyError(key)


@contextlib.contextmanager
def process(argv, **options):
    with tempfile.NamedTemporaryFile("w+", suffix=".log") as log:
        child = subprocess.Popen([str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=log, stderr=log, **options)
        try:
            yield child
            if child.poll() not in (None, 0):
                log.seek(0)
                sys.exit(f"{argv[0]} ended with {child.returncode}:\n{log.read()[-3000:]}")
        finally:
            if child.poll() is None:
                child.send_signal(signal.SIGTERM)
                try:
                    child.wait(10)
                except subprocess.TimeoutExpired:
                    child.kill()
                    child.wait()


def worker_folder(base, worker_id, token):
    """A config folder of a worker that was let in already."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="bench-worker-"))
    (folder / "config.toml").write_text(f'api_base_url = "{base}"\nws_reconnect_attempts = 0\n')
    identity = folder / "identity.json"
    identity.touch(0o600)
    identity.write_text(json.dumps({"install_id": "00000000-0000-4000-8000-000000000001", "worker_id": worker_id, "auth_token": token}))
    return folder


@contextlib.contextmanager
def our_worker(base, worker_id, token):
    folder = worker_folder(base, worker_id, token)
    try:
        with process([BUILD / "studio-worker", "--config", folder / "config.toml", "run", "--log-level", "warn"]) as child:
            yield child
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def node_worker(base, worker_id, token, **more):
    env = dict(os.environ, BASE=base + "graphics/api", WORKER_ID=worker_id, TOKEN=token, **more)
    with process(["node", ROOT / "bench/node/worker.js"], env=env) as child:
        yield child


@contextlib.contextmanager
def keeping_node_worker(base, worker_id, token):
    with tempfile.NamedTemporaryFile() as kept, node_worker(base, worker_id, token, KEEP=kept.name) as child:
        yield child


# ---- a scripted studio: one blocking WebSocket, so that its own share of a latency stays small ----------

class Socket:
    def __init__(self, conn):
        self.conn, self.buffer = conn, b""
        conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        conn.settimeout(30)

    def _need(self, n):
        while len(self.buffer) < n:
            piece = self.conn.recv(65536)
            if not piece:
                raise EOFError("the worker closed the socket")
            self.buffer += piece
        out, self.buffer = self.buffer[:n], self.buffer[n:]
        return out

    def handshake(self):
        while b"\r\n\r\n" not in self.buffer:
            self.buffer += self.conn.recv(65536)
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        headers = dict(l.split(": ", 1) for l in head.decode().split("\r\n")[1:])
        key = {k.lower(): v for k, v in headers.items()}["sec-websocket-key"]
        accept = base64.b64encode(hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode()
        self.conn.sendall((f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                           f"Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: studio-worker-v1\r\n\r\n").encode())

    def send(self, frame):
        data = json.dumps(frame).encode()
        head = bytes([0x81, len(data)]) if len(data) < 126 else struct.pack("!BBH", 0x81, 126, len(data))
        self.conn.sendall(head + data)

    def receive(self):
        while True:
            first, second = self._need(2)
            length = second & 127
            if length > 125:
                length = struct.unpack("!H" if length == 126 else "!Q", self._need(2 if length == 126 else 8))[0]
            mask = self._need(4)
            payload = bytearray(self._need(length))
            wide = (mask * (length // 4 + 1))[:length]
            data = (int.from_bytes(payload, "big") ^ int.from_bytes(wide, "big")).to_bytes(length, "big") if length else b""
            if first & 15 == 1:
                frame = json.loads(data)
                if frame["type"] == "heartbeat":
                    self.send({"type": "heartbeatAck"})
                return frame

    def until(self, *types):
        while True:
            frame = self.receive()
            if frame["type"] in types:
                return frame


@contextlib.contextmanager
def scripted_studio():
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(30)
        yield server, f"http://127.0.0.1:{server.getsockname()[1]}/"


def greet(server):
    peer = Socket(server.accept()[0])
    peer.handshake()
    hello = peer.until("hello")
    at = time.monotonic()
    peer.send({"type": "welcome", "workerId": "wk-bench", "serverTime": "2026-01-01T00:00:00.000Z"})
    peer.until("heartbeat")
    assert hello["authToken"] == "bench-token"
    return peer, at


def llm_offer(n):
    return {"type": "offer", "claim": {
        "jobId": f"bench-{n}", "gameId": "bench", "assetName": "answer", "model": "synthetic-llm", "vramGbEstimate": 0,
        "task": {"kind": "llm", "messages": [{"role": "user", "content": f"Question number {n}"}]}, "modelSource": SYNTHETIC}}


def percentile(values, p):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * p))]


def measure_latency(jobs):
    accept, complete = [], []
    with scripted_studio() as (server, base), our_worker(base, "wk-bench", "bench-token"):
        peer, _ = greet(server)
        for n in range(jobs):
            frame, start = llm_offer(n), time.perf_counter()
            peer.send(frame)
            peer.until("accept")
            accept.append((time.perf_counter() - start) * 1000)
            peer.until("completeJson")
            complete.append((time.perf_counter() - start) * 1000)
            peer.send({"type": "completeAck", "jobId": f"bench-{n}"})
    return {"jobs": jobs, "accept_p50": percentile(accept, .5), "accept_p99": percentile(accept, .99),
            "complete_p50": percentile(complete, .5), "complete_p99": percentile(complete, .99)}


def measure_start(runs):
    times = []
    for _ in range(runs):
        with scripted_studio() as (server, base):
            start = time.monotonic()
            with our_worker(base, "wk-bench", "bench-token"):
                times.append((greet(server)[1] - start) * 1000)
    return {"runs": runs, "median": statistics.median(times), "max": max(times)}


# ---- a real studio -----------------------------------------------------------------------------------

class Studio:
    def __init__(self):
        self.data = pathlib.Path(tempfile.mkdtemp(prefix="bench-studio-"))
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        self.base = f"http://127.0.0.1:{self.port}/"

    def __enter__(self):
        self.stack = contextlib.ExitStack()
        self.child = self.stack.enter_context(process(
            [BUILD / "studiod", "--data", self.data, "--listen", f"127.0.0.1:{self.port}", "serve", "--log-level", "warn"]))
        deadline = time.monotonic() + 10
        while True:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(self.base + "healthz", timeout=1).read()
                break
            if time.monotonic() > deadline:
                sys.exit("studiod does not answer")
            time.sleep(0.02)
        self.token = (self.data / "admin-token").read_text().strip()
        return self

    def __exit__(self, *error):
        self.stack.close()
        shutil.rmtree(self.data, ignore_errors=True)

    def call(self, method, path, body=None, bearer=None):
        request = urllib.request.Request(self.base + "graphics/api" + path, method=method,
                                         data=None if body is None else json.dumps(body).encode(),
                                         headers={"Authorization": f"Bearer {bearer or self.token}", "Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as reply:
            return json.loads(reply.read() or b"null")

    def admit(self, install):
        secret = os.urandom(32).hex()
        capabilities = {"machineName": "bench", "username": "bench", "agentVersion": "0", "engine": "multi", "vramTotalGb": 0,
                        "vramThresholdGb": 12, "autoEnabled": True, "autoStart": False, "supportedModels": [], "taskKinds": [],
                        "supportedModelsPerKind": {}, "autoUpdate": False, "startMinimised": False, "onlyWhenIdle": False}
        request = self.call("POST", "/workers/register-request", {
            "installId": install, "registrationSecretHash": hashlib.sha256(secret.encode()).hexdigest(),
            "capabilities": capabilities, "userAgent": "studio-worker/0"})["requestId"]
        self.call("POST", f"/workers/pending/{request}/approve", {})
        answer = self.call("GET", f"/workers/register-requests/{request}", bearer=secret)
        return answer["workerId"], answer["authToken"]

    def submit(self, model, task):
        return self.call("POST", "/jobs", {"model": model, "task": task})["id"]

    def wait(self, job, seconds=120):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            state = self.call("GET", f"/jobs/{job}")
            if state["state"] in ("done", "failed"):
                return state
            time.sleep(0.02)
        sys.exit(f"job {job} did not end")


def measure_throughput(jobs, rounds):
    """CPU seconds of the worker process for `jobs` jobs, alternating between the two workers; less what it cost to start."""
    workers = {"ours": our_worker, "node": node_worker, "keeping": keeping_node_worker}
    cost, wall = {name: [] for name in workers}, {name: [] for name in workers}
    with Studio() as studio:
        identities = {name: studio.admit(f"00000000-0000-4000-8000-00000000000{n}") for n, name in enumerate(workers, 1)}
        for _ in range(rounds):
            for name, start in workers.items():
                with start(studio.base, *identities[name]) as child:
                    studio.wait(studio.submit("synthetic-llm", {"kind": "llm", "messages": [{"role": "user", "content": "warm up"}]}))
                    before, began = cpu_seconds(child.pid), time.monotonic()
                    for n in range(jobs):
                        last = studio.submit("synthetic-llm", {"kind": "llm", "messages": [{"role": "user", "content": f"Question {n}"}]})
                    studio.wait(last)
                    cost[name].append(cpu_seconds(child.pid) - before)
                    wall[name].append(time.monotonic() - began)
    def ratios(other):
        return [n / max(o, 1 / TICKS) for o, n in zip(cost["ours"], cost[other])]
    return {"jobs": jobs, "rounds": rounds, "ours": statistics.median(cost["ours"]), "node": statistics.median(cost["node"]),
            "ratio": statistics.median(ratios("node")), "ratios": ratios("node"), "keeping": statistics.median(cost["keeping"]),
            "keeping_ratio": statistics.median(ratios("keeping")), "keeping_ratios": ratios("keeping"), "wall": {k: statistics.median(v) for k, v in wall.items()}}


def measure_idle(seconds):
    with Studio() as studio, our_worker(studio.base, *studio.admit("00000000-0000-4000-8000-000000000001")) as child:
        deadline = time.monotonic() + 10
        while (studio.call("GET", "/workers")["workers"][0].get("status") or {}).get("state") != "connected":
            if time.monotonic() > deadline:
                sys.exit("the worker does not connect")
            time.sleep(0.05)
        before = cpu_seconds(child.pid), cpu_seconds(studio.child.pid)
        time.sleep(seconds)
        after = cpu_seconds(child.pid), cpu_seconds(studio.child.pid)
        return {"seconds": seconds, "worker_rss": memory_mib(child.pid), "studiod_rss": memory_mib(studio.child.pid),
                "worker_cpu": (after[0] - before[0]) / seconds * 100, "studiod_cpu": (after[1] - before[1]) / seconds * 100}


def measure_big_result(mib):
    """Long speech of espeak-ng, a child process: the text's length is scaled from a first, short job."""
    with Studio() as studio, our_worker(studio.base, *studio.admit("00000000-0000-4000-8000-000000000001")) as child:
        def speak(words):
            text = " ".join(f"sentence number {n} of a long story." for n in range(words // 7))
            state = studio.wait(studio.submit("espeak-en", {"kind": "audio_tts", "text": text}), 300)
            assert state["state"] == "done", state
            return state["bytes"]
        per_word = speak(700) / 700
        size = speak(int(mib * 1.02 * 2**20 / per_word))
        return {"mib": size / 2**20, "worker_peak": memory_mib(child.pid, "VmHWM"), "studiod_peak": memory_mib(studio.child.pid, "VmHWM")}


# ---- the report ------------------------------------------------------------------------------------

def machine():
    cpu = next((l.split(":", 1)[1].strip() for l in open("/proc/cpuinfo") if l.startswith("model name")), platform.machine())
    system = next((l.split("=", 1)[1].strip().strip('"') for l in open("/etc/os-release") if l.startswith("PRETTY_NAME")), "Linux")
    node = subprocess.run(["node", "--version"], capture_output=True, text=True).stdout.strip()
    return f"{os.cpu_count()} cores of {cpu}, {system}, Linux {platform.release()}, Node {node}"


def report(results):
    lat, start, thr, idle, big = (results[k] for k in ("latency", "start", "throughput", "idle", "big"))
    rows = [
        ("offer → `accept`, p99", f"{lat['accept_p99']:.2f} ms", "≤ 2 ms", lat["accept_p99"] <= 2),
        ("offer → `completeJson`, p50", f"{lat['complete_p50']:.2f} ms", "≤ 3 ms", lat["complete_p50"] <= 3),
        (f"jobs per CPU-second against Node, {thr['jobs']} LLM jobs", f"{thr['ratio']:.1f} ×", "≥ 5 ×", thr["ratio"] >= 5),
        (f"worker, idle {idle['seconds']} s: RSS", f"{idle['worker_rss']:.1f} MiB", "≤ 14 MiB", idle["worker_rss"] <= 14),
        (f"worker, idle {idle['seconds']} s: CPU", f"{idle['worker_cpu']:.2f} %", "≤ 0.1 %", idle["worker_cpu"] <= 0.1),
        (f"studiod, idle {idle['seconds']} s: RSS", f"{idle['studiod_rss']:.1f} MiB", "≤ 20 MiB", idle["studiod_rss"] <= 20),
        ("start → `hello`, median", f"{start['median']:.1f} ms", "≤ 50 ms", start["median"] <= 50),
        (f"result of {big['mib']:.0f} MiB: worker peak RSS", f"{big['worker_peak']:.1f} MiB", "< 40 MiB", big["worker_peak"] < 40),
        (f"result of {big['mib']:.0f} MiB: studiod peak RSS", f"{big['studiod_peak']:.1f} MiB", "< 40 MiB", big["studiod_peak"] < 40),
    ]
    if "store" in results:
        one, free, shaped, kills = (results["store"][k] for k in ("one", "free", "shaped", "kills"))
        mib = results["store"]["mib"]
        rows += [
            (f"download of {mib} MiB, one stream, against `curl \\| sha256sum`", f"{one['ratio']:.2f} ×", "≥ 0.9 ×", one["ratio"] >= 0.9),
            ("the same where the server has ranges", f"{free['ratio']:.2f} ×", "≥ 0.9 ×", free["ratio"] >= 0.9),
            ("20 MB/s a connection, against `aria2c -x8`", f"{shaped['ratio']:.2f} ×", "≥ 0.9 ×", shaped["ratio"] >= 0.9),
            ("download: peak RSS", f"{max(one['rss'], free['rss'], shaped['rss']):.1f} MiB", "≤ 20 MiB",
             max(one["rss"], free["rss"], shaped["rss"]) <= 20),
            (f"killed {kills['kills']} times: bytes served, and whole", f"{kills['ratio']:.3f} ×, {'whole' if kills['whole'] else 'broken'}",
             "≤ 1.1 ×", kills["whole"] and kills["ratio"] <= 1.1),
        ]
    table = "\n".join(f"| {name} | {value} | {bar} | {'yes' if met else '**no**'} |" for name, value, bar, met in rows)
    text = f"""# Measured

Written by `make bench`; nothing here is typed by hand.

Machine: {machine()}. {time.strftime('%Y-%m-%d')}.

| what | measured | bar | met |
|---|---|---|---|
{table}

How:

- Latency: {lat['jobs']} synthetic LLM offers, one after the other, from a scripted studio in Python on loopback; its own time is
  included. `accept` p50 {lat['accept_p50']:.2f} ms, `completeJson` p99 {lat['complete_p99']:.2f} ms (each result is fsynced in the
  outbox first).
- Node: `bench/node/worker.js` on the `ws` package: WebSocket, heartbeat, multipart, nothing else. {thr['rounds']} rounds alternating
  between the two workers on one `studiod`; user and system time of the worker process from `/proc/PID/stat` for {thr['jobs']} jobs, after one
  warm-up job. Medians {thr['ours']:.2f} s and {thr['node']:.2f} s of CPU; ratios by round: {', '.join(f'{r:.1f}' for r in thr['ratios'])}.
  That worker keeps nothing; ours syncs every result to disk before it sends it and ships its log. The same Node worker with one synced write a
  result needs {thr['keeping']:.2f} s: {thr['keeping_ratio']:.1f} × ours (by round: {', '.join(f'{r:.1f}' for r in thr['keeping_ratios'])}).
- Idle: one worker with a session on one `studiod`; `VmRSS` and CPU time over {idle['seconds']} s (studiod: {idle['studiod_cpu']:.2f} % of a core).
- Start: from `fork` to the `hello` frame at a scripted studio, {start['runs']} starts; slowest {start['max']:.1f} ms.
- Large result: long speech of espeak-ng as a WAV through engine, outbox, upload and blob store; `VmHWM` of both programs.
"""
    if "store" in results:
        text += f"""- Downloads: `studio-worker models pull` with `--sha256` beside curl and aria2c (`-x8 -s8 -k1M`), alternating, from a file server in Python on
  loopback, the page cache written out between runs. Seconds of one stream: ours {one['ours']:.1f}, `curl | sha256sum` {one['piped']:.1f} (writes no file),
  `curl -o` and then `sha256sum` {one['filed']:.1f}. At 20 MB/s a connection: ours {shaped['ours']:.1f} with {shaped['streams']} streams at most, aria2c {shaped['aria']:.1f}.
"""
    (ROOT / "bench/RESULTS.md").write_text(text)
    print(text)
    return all(met for *_, met in rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer jobs and seconds; prints, but still writes RESULTS.md")
    parser.add_argument("--only", help="one of latency, start, throughput, idle, big, store: prints the raw figures, writes nothing")
    options = parser.parse_args()
    measures = {
        "latency": lambda: measure_latency(200 if options.quick else 2000),
        "start": lambda: measure_start(5 if options.quick else 20),
        "throughput": lambda: measure_throughput(300 if options.quick else 2000, 1 if options.quick else 3),
        "idle": lambda: measure_idle(5 if options.quick else 60),
        "big": lambda: measure_big_result(100),
        "store": lambda: store.measure(options.quick),
    }
    results = {}
    for name, measure in measures.items():
        if options.only in (None, name):
            print(f"measuring {name} …", file=sys.stderr, flush=True)
            results[name] = measure()
    if options.only:
        print(json.dumps(results, indent=2))
        return
    sys.exit(0 if report(results) else 1)


main()
