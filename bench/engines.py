#!/usr/bin/env python3
"""Measures what warm engines are worth, and writes bench/ENGINES.md. See `engines.py --help`.

The worker runs against a scripted studio and the tests' fake sd-server and sd-cli, whose loading time can be chosen; with
--real, also against an sd-server, an sd-cli and a model found there. SPDX-License-Identifier: MIT"""

import argparse
import contextlib
import http.client
import json
import pathlib
import re
import shutil
import statistics
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests/blackbox"))

from engines import Engines  # noqa: E402
from peers import Studio  # noqa: E402

TASK = {"kind": "image", "prompt": "a cat", "width": 128, "height": 128, "steps": 4, "ext": "png"}
DEFAULTS = {"cfgScale": 1, "steps": 4, "width": 128, "height": 128}


@contextlib.contextmanager
def rig(programs, load_s=0.0, real=None):
    """A worker in session with a scripted studio, with these programs and no others in its models_root/bin."""
    with Studio() as studio, Engines([] if real else programs) as engines:
        if real:
            for name in programs:
                (engines.models / "bin" / name).symlink_to(pathlib.Path(real["bin"], name).resolve())
            for file in real["files"]:
                shutil.copy(file["path"], engines.models / file["filename"])
        engines.fault("load_s", load_s)
        empty = {"STUDIO_WORKER_SD_CLI": "", "PATH": "/usr/bin:/bin"}
        with engines.worker(studio, env=empty) as worker:
            session = studio.accept()
            session.welcome()
            yield studio, engines, worker, session


def files_of(engines, real):
    if not real:
        return engines.model("bench", "bench.gguf", role="model")
    return [{"role": f["role"], "filename": f["filename"], "url": "https://models.invalid/" + f["filename"],
             "approxBytes": (engines.models / f["filename"]).stat().st_size} for f in real["files"]]


def run_job(rig, job, files):
    """Seconds from the offer until the studio has the whole picture."""
    studio, engines, _, session = rig
    begun = time.monotonic()
    session.offer(engines.offer(job, TASK, "sd-cpp", files, "bench", DEFAULTS))
    upload = studio.next_upload(300)
    assert upload.job_id == job, upload.job_id
    return upload.at - begun


def server_port(engines):
    for pid in pathlib.Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            line = (pid / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace") if pid.name.isdigit() else ""
            if "--listen-port" in line and str(engines.models) in line:
                return int(re.search(r"--listen-port (\d+)", line)[1])
    sys.exit("no warm sd-server is there")


def ask_directly(port, body):
    """Seconds of the same request to the same server, polled every millisecond."""
    conn = http.client.HTTPConnection("127.0.0.1", port)

    def ask(method, path, data=None):
        conn.request(method, path, data, {"Content-Type": "application/json"} if data else {})
        return json.loads(conn.getresponse().read())

    begun = time.monotonic()
    job = ask("POST", "/sdcpp/v1/img_gen", json.dumps(body))
    while True:
        state = ask("GET", job["poll_url"])
        if state["status"] not in ("queued", "generating"):
            assert state["status"] == "completed", state
            return time.monotonic() - begun
        time.sleep(0.001)


def measure_added(jobs, real=None):
    """What the worker adds to a warm server's own time, asked in turn through it and directly."""
    body = {"prompt": TASK["prompt"], "width": 128, "height": 128, "output_format": "png",
            "sample_params": {"sample_steps": 4, "guidance": {"txt_cfg": 1.0}}}
    with rig(["sd-server"], real=real) as r:
        files = files_of(r[1], real)
        run_job(r, "warm-up", files)
        port = server_port(r[1])
        ours, direct = [], []
        for n in range(jobs):
            ours.append(run_job(r, f"job-{n}", files))
            direct.append(ask_directly(port, body))
    added = [(o - d) * 1000 for o, d in zip(ours, direct)]
    return {"jobs": jobs, "worker_ms": statistics.median(ours) * 1000, "direct_ms": statistics.median(direct) * 1000,
            "added_ms": statistics.median(added), "added_max_ms": max(added)}


def measure_cold(load_s, jobs, real=None):
    """A job on a warm server against one sd-cli run a job, alternating."""
    with rig(["sd-server"], load_s, real) as warm, rig(["sd-cli"], load_s, real) as cold:
        files = files_of(warm[1], real), files_of(cold[1], real)
        first = run_job(warm, "warm-up", files[0])
        ours, theirs = [], []
        for n in range(jobs):
            ours.append(run_job(warm, f"job-{n}", files[0]))
            theirs.append(run_job(cold, f"job-{n}", files[1]))
    return {"load_s": load_s, "jobs": jobs, "first_s": first, "warm_s": statistics.median(ours),
            "cold_s": statistics.median(theirs), "ratio": statistics.median(theirs) / statistics.median(ours)}


def real_model(options):
    if not options.real:
        return None
    pairs = [pair.split("=", 1) for pair in options.file]
    return {"bin": options.real, "files": [{"role": role, "path": path, "filename": pathlib.Path(path).name} for role, path in pairs]}


def report(added, cold, real_added, real_cold):
    rows = [f"| a warm server's job through the worker, minus the same request made directly | {added['added_ms']:.1f} ms | ≤ 20 ms | "
            f"{'yes' if added['added_ms'] <= 20 else '**no**'} |"]
    if real_added:
        rows.append(f"| the same with the real sd-server | {real_added['added_ms']:.1f} ms | ≤ 20 ms | "
                    f"{'yes' if real_added['added_ms'] <= 20 else '**no**'} |")
    loads = [f"| {c['load_s']:g} s | {c['cold_s']:.2f} s | {c['warm_s']:.2f} s | {c['ratio']:.1f} × |" for c in cold]
    if real_cold:
        loads.append(f"| the real engine, tiny model | {real_cold['cold_s']:.2f} s | {real_cold['warm_s']:.2f} s | {real_cold['ratio']:.1f} × |")
    nl = "\n"
    text = f"""# Measured: warm engines

Written by `bench/engines.py`; nothing here is typed by hand. {time.strftime('%Y-%m-%d')}.

| what | measured | bar | met |
|---|---|---|---|
{nl.join(rows)}

Medians of {added['jobs']} jobs, asked in turn through the worker (from the offer until the studio has the picture: the engine, the result
synced to the outbox, the upload) and directly (polled every millisecond): {added['worker_ms']:.1f} ms and {added['direct_ms']:.1f} ms
with the fake sd-server; the largest difference was {added['added_max_ms']:.1f} ms.
{f"With the real one {real_added['worker_ms']:.1f} ms and {real_added['direct_ms']:.1f} ms, at most {real_added['added_max_ms']:.1f} ms more." if real_added else ""}

Against one `sd-cli` process a job, in one run, by how long the model takes to load:

| loading takes | a job with `sd-cli` | a job on a warm `sd-server` | ratio |
|---|---|---|---|
{nl.join(loads)}
"""
    (ROOT / "bench/ENGINES.md").write_text(text)
    print(text)
    return added["added_ms"] <= 20


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer jobs, loading times up to 1 s")
    parser.add_argument("--real", metavar="FOLDER", help="a folder with a real sd-server and sd-cli")
    parser.add_argument("--file", metavar="ROLE=PATH", action="append", default=[], help="a file of the real model; may be given again")
    options = parser.parse_args()
    real = real_model(options)
    added = measure_added(5 if options.quick else 40)
    cold = [measure_cold(load_s, 1 if load_s > 1 else 3) for load_s in ([0, 1] if options.quick else [0, 1, 5, 20])]
    real_added = measure_added(5 if options.quick else 20, real) if real else None
    real_cold = measure_cold(0, 3, real) if real else None
    sys.exit(0 if report(added, cold, real_added, real_cold) else 1)


main()
