#!/usr/bin/env python3
"""Measures downloads of the model store on loopback, beside curl and aria2c in the same run. Called by bench.py, or alone:
`store.py [--quick]` prints the raw figures. SPDX-License-Identifier: MIT"""

import argparse
import contextlib
import hashlib
import json
import os
import pathlib
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get("BUILD_DIR", ROOT / "build"))
SERVER = ROOT / "tests/fake/file_server.py"
SHAPED = 20_000_000


@contextlib.contextmanager
def serving(path, *options):
    child = subprocess.Popen([sys.executable, SERVER, path, *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    port = int(child.stdout.readline())

    def counts():
        child.stdin.write("\n")
        child.stdin.flush()
        return dict(zip(("served", "requests", "most"), map(int, child.stdout.readline().split())))
    try:
        yield f"http://127.0.0.1:{port}/{path.name}", counts
    finally:
        child.stdin.close()
        child.wait()
        child.stdout.close()


def make_file(folder, mib):
    path = folder / "model.bin"
    digest = hashlib.sha256()
    with path.open("wb") as out:
        for _ in range(mib):
            piece = os.urandom(1 << 20)
            digest.update(piece)
            out.write(piece)
    return path, digest.hexdigest()


def peak_mib(pid):
    """VmHWM; what wait4() tells would count this very program before exec, too."""
    with contextlib.suppress(OSError):
        for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return 0


class Puller:
    """`studio-worker models pull` with a folder of its own."""

    def __init__(self, folder, url, digest):
        self.root = folder / "models"
        self.config = folder / "config.toml"
        self.config.write_text(f'models_root = "{self.root}"\n')
        self.argv = [BUILD / "studio-worker", "--config", self.config, "models", "pull", url, "--sha256", digest]

    def clean(self):
        shutil.rmtree(self.root, ignore_errors=True)

    def start(self):
        return subprocess.Popen([str(a) for a in self.argv], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    def pull(self):
        """(seconds, peak RSS in MiB)"""
        self.clean()
        began = time.monotonic()
        child, peak = self.start(), 0
        while child.poll() is None:
            peak = max(peak, peak_mib(child.pid))
            time.sleep(0.01)
        seconds = time.monotonic() - began
        with child.stdout:
            path = child.stdout.read().strip()
        assert child.returncode == 0 and path, f"the download failed: {child.returncode}"
        return seconds, peak


def timed(command):
    began = time.monotonic()
    subprocess.run(["sh", "-c", command], check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - began


def settle():
    """What one run left to be written must not be paid by the next."""
    os.sync()


def measure_one(folder, path, digest, rounds, options=("--no-ranges",)):
    ours, piped, filed, peak = [], [], [], 0
    copy = folder / "copy"
    with serving(path, *options) as (url, _):
        puller = Puller(folder, url, digest)
        for _ in range(rounds):
            settle()
            seconds, rss = puller.pull()
            ours.append(seconds)
            peak = max(peak, rss)
            puller.clean()
            settle()
            piped.append(timed(f"curl -s {url} | sha256sum"))
            filed.append(timed(f"curl -s -o {copy} {url} && sha256sum {copy}"))
            copy.unlink()
    return {"ours": statistics.median(ours), "piped": statistics.median(piped), "filed": statistics.median(filed),
            "ratio": statistics.median(p / o for p, o in zip(piped, ours)),
            "ratio_filed": statistics.median(f / o for f, o in zip(filed, ours)), "rss": peak}


def measure_shaped(folder, path, digest, rounds):
    ours, aria, peak, streams = [], [], 0, 0
    with serving(path, "--rate", str(SHAPED)) as (url, counts):
        puller = Puller(folder, url, digest)
        for _ in range(rounds):
            settle()
            seconds, rss = puller.pull()
            ours.append(seconds)
            peak = max(peak, rss)
            streams = max(streams, counts()["most"])
            puller.clean()
            settle()
            # -s8 -k1M: without them -x8 alone opens five connections.
            aria.append(timed(f"aria2c -q -x8 -s8 -k1M --file-allocation=none -d {folder} -o copy {url}"))
            (folder / "copy").unlink()
    return {"ours": statistics.median(ours), "aria": statistics.median(aria), "rss": peak, "streams": streams,
            "ratio": statistics.median(a / o for a, o in zip(aria, ours))}


def measure_kills(folder, path, digest, kills, seed=1, rate=SHAPED):
    """SIGKILL at random moments; the pauses are such that about all of them fall into the download."""
    dice = random.Random(seed)
    size = path.stat().st_size
    done = 0
    with serving(path, "--rate", str(rate)) as (url, counts):
        puller = Puller(folder, url, digest)
        puller.clean()
        began = time.monotonic()
        while done < kills:
            child = puller.start()
            # Whether it is still at it when the time is over is up to it: a kill that comes too late counts for nothing.
            target = counts()["served"] + dice.random() * 1.8 * size / kills
            while child.poll() is None and counts()["served"] < target:
                time.sleep(0.005)
            if child.poll() is not None:
                child.stdout.close()
                break
            child.kill()
            child.wait()
            child.stdout.close()
            done += 1
        child = puller.start()
        with child.stdout:
            got = child.stdout.read().strip()
        assert child.wait() == 0, "the download did not end well"
        seconds = time.monotonic() - began
        served = counts()["served"]
    digest_got = hashlib.sha256()
    with open(got, "rb") as file:
        while piece := file.read(1 << 20):
            digest_got.update(piece)
    left = [p.name for p in puller.root.rglob("*.part*")]
    return {"kills": done, "whole": digest_got.hexdigest() == digest and not left, "ratio": served / size, "seconds": seconds}


def measure(quick=False):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="bench-store-"))
    try:
        path, digest = make_file(folder, 256 if quick else 2048)
        rounds = 1 if quick else 3
        return {"mib": path.stat().st_size >> 20, "rounds": rounds,
                "one": measure_one(folder, path, digest, rounds), "free": measure_one(folder, path, digest, rounds, ()),
                "shaped": measure_shaped(folder, path, digest, 1 if quick else 2),
                "kills": measure_kills(folder, path, digest, 10 if quick else 50)}
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="256 MiB, one round, ten kills")
    print(json.dumps(measure(parser.parse_args().quick), indent=2))
