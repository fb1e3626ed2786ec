"""Fake engines for the real studio-worker of peers.py, a GPU made of files, and a server for model files.

    with Studio() as studio, Engines() as engines, engines.worker(studio) as worker:
        model = engines.model("model-a", "a.gguf")               # a list of files of a modelSource
        session.offer(engines.llm("job-1", "Why?", model))
        session.expect("completeJson", jobId="job-1")            # "a says: Why?"

Engines     Every tests/fake/engines/fake_X_Y.py is installed as <models_root>/bin/X-Y (programs: only these). Their faults
            are files, see tests/fake/engines/faults.py: fault(name, value) and mend(name). diary() is what they wrote,
            as lists of words; starts(), jobs(), requests() are its parts. pids(): the living processes of the engines,
            whatever became of them; wait_gone() waits until there is none.
            vram_gib: a GPU of that size, by $STUDIO_WORKER_DRM; the fault file `memory` says what a server takes.
            env(), options(): for a Worker made by the test itself; deadlines: $STUDIO_WORKER_ENGINE_DEADLINES.
Files       A server of files with ranges and ETag on a free port of 127.0.0.1: add(path, data) gives the address;
            asked: the paths of the requests, in order.

Standard library only. SPDX-License-Identifier: MIT"""

import contextlib
import fcntl
import hashlib
import http.server
import json
import os
import pathlib
import re
import shutil
import signal
import sys
import tempfile
import threading

from peers import Worker, claim, until

FAKES = pathlib.Path(__file__).resolve().parents[1] / "fake" / "engines"
WHISPER_HEAD = b"lmgg" + (51865).to_bytes(4, "little") + (1500).to_bytes(4, "little")  # magic, vocabulary, audio context
DEFAULTS = {"cfgScale": 1, "steps": 2, "width": 64, "height": 64}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *args):
        pass

    def do_GET(self):
        files = self.server.files
        files.asked.append(self.path)
        data = files.data.get(self.path)
        if data is None:
            self.send_response(404)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        tag = '"' + hashlib.md5(data).hexdigest() + '"'
        first, last, wanted = 0, len(data) - 1, re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if wanted and self.headers.get("If-Range", tag) == tag and int(wanted[1]) < len(data):
            first, last = int(wanted[1]), min(int(wanted[2] or last), last)
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(data)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(last + 1 - first))
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("ETag", tag)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data[first:last + 1])

    do_HEAD = do_GET


class FileServer(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass


class Files:
    def __init__(self):
        self.data, self.asked = {}, []
        self.server = FileServer(("127.0.0.1", 0), Handler)
        self.server.files = self
        self.base = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def add(self, path, data):
        self.data[path] = data
        return self.base + path

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


class Engines:
    def __init__(self, programs=None, vram_gib=None, deadlines=None):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="engines-test-"))
        self.models, self.faults, self.drm = self.dir / "models", self.dir / "faults", self.dir / "drm"
        self.deadlines, self.vram_gib = deadlines, vram_gib
        for folder in (self.models / "bin", self.faults / "shares", self.drm / "card0" / "device"):
            folder.mkdir(parents=True)
        self.files = Files()
        for fake in FAKES.glob("fake_*.py"):
            self.install(fake, programs)
        device = self.drm / "card0" / "device"
        if vram_gib:
            (device / "mem_info_vram_total").write_text(f"{int(vram_gib * 2**30)}\n")
            (device / "mem_info_vram_used").write_text("0\n")
        self.over = threading.Event()
        self.driver = threading.Thread(target=self.drive, daemon=True)
        self.driver.start()

    def install(self, fake, programs=None):
        """Also in the place of one that is there."""
        name = fake.stem.removeprefix("fake_").replace("_", "-")
        if programs is None or name in programs:
            new = self.dir / name
            new.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S "{fake}" "$@"\n')
            new.chmod(0o755)
            new.rename(self.models / "bin" / name)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.over.set()
        self.driver.join()
        self.files.stop()
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.dir, ignore_errors=True)

    # -- the GPU: memory returns with the death of its owner, however it died --
    def drive(self):
        while not self.over.wait(0.01):
            if self.vram_gib:
                with open(self.faults / ".lock", "w") as lock:
                    fcntl.flock(lock, fcntl.LOCK_EX)
                    self.settle()

    def settle(self):
        used = 0
        for share in (self.faults / "shares").iterdir():
            if alive(int(share.name)):
                used += int(share.read_text() or 0)
            else:
                share.unlink()
        counter = self.drm / "card0/device/mem_info_vram_used"
        counter.with_name("new").write_text(f"{used}\n")
        counter.with_name("new").rename(counter)  # a reader never sees half of it

    # -- the worker --
    def env(self):
        env = {"FAKE_ENGINE_DIR": str(self.faults), "STUDIO_WORKER_DRM": str(self.drm)}
        if self.deadlines:
            env["STUDIO_WORKER_ENGINE_DEADLINES"] = str(self.deadlines)
        return env

    def options(self, **more):
        return {"models_root": str(self.models), **more}

    def worker(self, studio, env=None, **options):
        return Worker(studio, env={**self.env(), **(env or {})}, **self.options(**options))

    # -- what the fakes do --
    def fault(self, name, value=""):
        (self.faults / name).write_text(str(value))

    def mend(self, *names):
        for name in names:
            (self.faults / name).unlink(missing_ok=True)

    def diary(self):
        with contextlib.suppress(FileNotFoundError):
            return [line.split(" ") for line in (self.faults / "diary").read_text().splitlines()]
        return []

    def starts(self):
        return [words for words in self.diary() if words[0] == "start"]

    def jobs(self):
        return [" ".join(words[2:]) for words in self.diary() if words[0] == "job"]

    def requests(self):
        return [json.loads(" ".join(words[2:])) for words in self.diary() if words[0] == "request"]

    def wait_diary(self, word, n=1):
        return until(f"{n} lines '{word}' in the diary",
                     lambda: (found := [w for w in self.diary() if w[0] == word]) and len(found) >= n and found)

    def pids(self):
        """Processes whose environment names our folder, but the worker itself."""
        mark = f"FAKE_ENGINE_DIR={self.faults}".encode()
        found = []
        for entry in pathlib.Path("/proc").iterdir():
            if entry.name.isdigit() and alive(int(entry.name)):
                with contextlib.suppress(OSError):
                    if mark in (entry / "environ").read_bytes().split(b"\0") and (entry / "comm").read_text() != "studio-worker\n":
                        found.append(int(entry.name))
        return found

    def wait_gone(self, within=15):
        until("the death of every process of an engine", lambda: not self.pids(), within)

    # -- models and offers --
    def model(self, name, *filenames, role="model", magic=b"GGUF", size=1000):
        """Files of a modelSource, one a name, each with bytes of its own."""
        return [self.file(name, filename, role, magic, size) for filename in filenames]

    def file(self, name, filename, role="model", magic=b"GGUF", size=1000):
        data = magic + f" {name}/{filename} ".encode()
        data += b"." * (size - len(data))
        url = self.files.add(f"/{name}/{filename}", data)
        return {"role": role, "url": url, "filename": filename, "approxBytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}

    def offer(self, job, task, engine, files, model=None, defaults=None, **fields):
        source = {"engine": engine, "files": files, "cliDefaults": {**DEFAULTS, **(defaults or {})}}
        name = model or (files[0]["url"].split("/")[-2] if files else "no-model")
        return claim(job, task, name, engine, modelSource=source, **fields)

    def llm(self, job, prompt, files, defaults=None, vram=0, model=None, **task):
        task = {"kind": "llm", "messages": [{"role": "user", "content": prompt}], **task}
        return self.offer(job, task, "llama-cpp", files, model, defaults, vramGbEstimate=vram)


def alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False
