#!/usr/bin/env python3
"""Plays sd-server (stable-diffusion.cpp 97d2990, August 2026) from captures of the real one: the port that opens when the
model is loaded (--eager-load), capabilities, the native job API with its states, a queue, cancellation that answers 409,
samplers and sizes it does not check, grey pictures it refuses.

The picture says what was asked, see sd_made.py: for a model file MODEL.gguf, {"model": "MODEL", "prompt": …, …} is in it. A
model with "video" in its name makes films only. Faults and the diary: faults.py (`hang` is a job that never ends); every
job is a line `request PID JSON` of the diary, with base64 cut. Of its own it reads

    step_s    (a number) seconds a step takes
    failed    the job fails with an error line
    no_webp   a build without WebP
    pack_s    (a number) seconds from "completed" in the output to the answer; polls meanwhile are lines `poll PID`
    old_build, help_s
              a build with --qwen-image-zero-cond-t; (a number) seconds that --help takes, after a line `help PID`

Standard library only. SPDX-License-Identifier: MIT"""

import base64
import binascii
import collections
import http.server
import json
import signal
import socketserver
import sys
import threading
import time

import faults
import sd_engine
import sd_made

VALUES = {**sd_engine.CONTEXT, "--listen-ip": "ip", "--listen-port": "port", "-l": "ip"}
QUEUE = 64
ANSWERS = {202: "Accepted"}


class Refused(Exception):
    def __init__(self, status, error):
        super().__init__(error)
        self.status, self.error = status, error


def invalid(place, what):
    sd_engine.say("ERROR", place, what)
    return Refused(400, "invalid generation parameters")


def decode(body, key, colors):
    """A picture of the request: base64 or a data URL."""
    for text in body.get(key, []) if isinstance(body.get(key), list) else [body[key]] if key in body else []:
        try:
            data = base64.b64decode(text.split(",", 1)[-1] if text.startswith("data:") else text, validate=True)
        except (binascii.Error, ValueError, AttributeError):
            data = b""
        if sd_made.colors(data) < colors:
            raise invalid("common.cpp:2100", f"invalid {key}")
        yield len(data)


def request_of(body, engine):
    sample = body.get("sample_params", {})
    method = sample.get("sample_method")
    pictures = {key: list(decode(body, key, 1 if key == "mask_image" else 3))
                for key in ("init_image", "ref_images", "mask_image") if key in body}
    loras = []
    for item in body.get("lora", []):
        if not sd_engine.lora_path(engine.args.get("loras"), item.get("path", "")):
            raise invalid("common.cpp:2096", "invalid lora")
        loras.append([item["path"], item.get("multiplier", 1.0)])
    kind = "avi" if engine.model.video else body.get("output_format", "png")
    if kind not in (["avi"] if engine.model.video else engine.formats()):
        raise Refused(400, f"invalid output_format, must be one of [{', '.join(engine.formats())}]")
    return {"prompt": body.get("prompt", ""), "negative": body.get("negative_prompt", ""), "width": body.get("width", 512),
            "height": body.get("height", 512), "steps": min(max(sample.get("sample_steps", 20), 1), 100),
            "seed": body.get("seed", 42), "strength": body.get("strength", 0.75), "cfg": sample.get("guidance", {}).get("txt_cfg", 7.0),
            "sampler": method if method in sd_engine.SAMPLERS else "default", "flow_shift": sample.get("flow_shift"),
            "pictures": sorted(pictures), "loras": loras, "format": kind, "frames": body.get("video_frames", 1),
            "fps": body.get("fps", 16), "metadata": body.get("embed_image_metadata", True)}


class Engine:
    def __init__(self, args):
        self.args, self.model = args, sd_engine.Model(args, "server")
        self.jobs, self.queue, self.next, self.lock = {}, collections.deque(), 0, threading.Condition()

    def formats(self):
        return ["png", "jpeg"] + ([] if faults.DIR and (faults.DIR / "no_webp").exists() else ["webp"])

    def mode(self):
        return "vid_gen" if self.model.video else "img_gen"

    def capabilities(self):
        mode = self.mode()
        formats = ["avi"] if self.model.video else self.formats()
        return {"current_mode": mode, "supported_modes": [mode], "samplers": sd_engine.SAMPLERS, "output_formats": formats,
                "output_formats_by_mode": {mode: formats}, "features": {"cancel_generating": False, "cancel_queued": True},
                "limits": {"max_batch_count": 8, "max_height": 4096, "max_queue_size": QUEUE, "max_width": 4096,
                           "min_height": 64, "min_width": 64},
                "model": {"name": self.model.name, "path": self.model.path, "stem": self.model.name}}

    def submit(self, mode, body):
        if mode != self.mode():
            raise Refused(400, f"loaded model does not support {mode}")
        request = request_of(body, self)
        faults.diary("request", json.dumps({**body, **{k: "…" for k in ("init_image", "ref_images", "mask_image") if k in body}}))
        with self.lock:
            if sum(j["status"] in ("queued", "generating") for j in self.jobs.values()) >= QUEUE:
                raise Refused(429, "job queue is full")
            job = {"id": f"job_{int(time.time()):x}_{self.next:08x}", "kind": mode, "created": int(time.time()), "started": None,
                   "completed": None, "status": "queued", "error": None, "result": None, "request": request, "raw": None, "packing": False}
            self.next += 1
            self.jobs[job["id"]] = job
            self.queue.append(job)
            self.lock.notify()
        return {"created": job["created"], "id": job["id"], "kind": mode, "poll_url": f"/sdcpp/v1/jobs/{job['id']}",
                "status": "queued"}

    def work(self):
        while True:
            with self.lock:
                while not self.queue:
                    self.lock.wait()
                job = self.queue.popleft()
                job.update(status="generating", started=int(time.time()))
            job["raw"] = faults.job(job["request"]["prompt"])
            made = sd_engine.generate(self.model, job["request"])
            job["packing"] = True
            time.sleep(faults.number("pack_s"))
            with self.lock:
                job["completed"] = int(time.time())
                if made is None:
                    job["error"] = {"code": "generation_failed", "message": "generate_image returned no results"}
                    job["status"] = "failed"
                    continue
                text = base64.b64encode(made).decode()
                request = job["request"]
                job["result"] = ({"b64_json": text, "fps": request["fps"], "frame_count": request["frames"],
                                  "mime_type": "video/x-msvideo", "output_format": "avi"} if self.model.video else
                                 {"images": [{"b64_json": text, "index": 0}], "output_format": request["format"]})
                job["status"] = "completed"

    def show(self, job):
        position = self.queue.index(job) + 1 if job in self.queue else 0
        keys = ("completed", "created", "error", "id", "kind", "result", "started", "status")
        return {**{k: job[k] for k in keys}, "queue_position": position}

    def cancel(self, job):
        if job["status"] == "generating":
            raise Refused(409, "job is currently generating and cannot be interrupted yet")
        if job["status"] == "queued":
            self.queue.remove(job)
            job.update(status="cancelled", completed=int(time.time()),
                       error={"code": "cancelled", "message": "job cancelled by client"})
        return self.show(job)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *args):
        pass

    def answer(self, status, data):
        raw = data if isinstance(data, bytes) else json.dumps(data, separators=(",", ":"), sort_keys=True).encode()
        self.send_response(status, ANSWERS.get(status))
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def reply(self, make):
        try:
            self.answer(*make())
        except Refused as e:
            self.answer(e.status, {"error": e.error})

    def job(self, id_):
        job = self.server.engine.jobs.get(id_)
        if not job:
            raise Refused(404, "job not found")
        return job

    def poll(self):
        engine = self.server.engine
        with engine.lock:
            job = self.job(self.path.rsplit("/", 1)[1])
            done = job["status"] in ("completed", "failed")
            if job["packing"] and not done:
                faults.diary("poll")
            return 200, job["raw"] if done and job["raw"] is not None else engine.show(job)

    def post(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        engine = self.server.engine
        if self.path.endswith("/cancel"):
            with engine.lock:
                return 200, engine.cancel(self.job(self.path.split("/")[-2]))
        if not body:
            raise Refused(400, "empty body")
        try:
            return 202, engine.submit(self.path.rsplit("/", 1)[1], json.loads(body))
        except json.JSONDecodeError:
            raise Refused(400, "invalid json") from None

    def do_GET(self):
        if self.path == "/sdcpp/v1/capabilities":
            self.answer(200, self.server.engine.capabilities())
        elif self.path.startswith("/sdcpp/v1/jobs/"):
            self.reply(self.poll)
        else:
            self.answer(404, b"")

    def do_POST(self):
        self.reply(self.post)


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def handle_error(self, request, client_address):
        pass


def main():
    args = sd_engine.arguments(sys.argv[1:], VALUES)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # it has no handler and dies by it
    faults.begin("sd-server")
    engine = Engine(args)
    ready = engine.model.load()
    if not ready:
        signal.pause()
    threading.Thread(target=engine.work, daemon=True).start()
    server = Server((args.get("ip", "127.0.0.1"), int(args.get("port", "1234"))), Handler)
    server.engine = engine
    sd_engine.say("INFO", "main.cpp:148 ", f"listening on: http://{args.get('ip')}:{args.get('port')}")
    server.serve_forever(0.05)


if __name__ == "__main__":
    main()
