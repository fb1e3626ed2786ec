"""What fake engine servers have in common: faults on demand, slow loading, GPU memory, a diary.

A test gives the worker FAKE_ENGINE_DIR, a folder, and puts files there; an empty or missing folder means no fault:

    exit0, exit1        ends at start with that code, after a line on stderr
    never_ready         listens, but never becomes ready
    hang                ready, then never answers a job
    die                 dies in the middle of a job (SIGSEGV), after a line on stderr
    garbage             answers a job with bytes that are nothing
    huge                answers a job with 100 MB
    ignore_term         SIGTERM is ignored
    flood               prints 1 GB while it works on a job; flood_mb (a number): so many MiB instead
    fork                leaves a child in a session of its own that outlives it
    load_s              (a number) seconds that loading takes
    memory              (bytes) GPU memory it holds from loading to its end, added to
                        $STUDIO_WORKER_DRM/card0/device/mem_info_vram_used by every server that lives

A fault file that holds a number n strikes n times and is then removed; an empty one strikes always. Every start, every job
and every end is a line in FAKE_ENGINE_DIR/diary: `start PID NAME ARG...`, `job PID TEXT`, `end PID`.
Standard library only. SPDX-License-Identifier: MIT"""

import contextlib
import fcntl
import os
import pathlib
import signal
import subprocess
import sys
import time

DIR = pathlib.Path(os.environ["FAKE_ENGINE_DIR"]) if "FAKE_ENGINE_DIR" in os.environ else None
DRM = os.environ.get("STUDIO_WORKER_DRM")


@contextlib.contextmanager
def locked():
    with open(DIR / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def number(name, default=0.0):
    """The number in a file such as load_s."""
    try:
        return float((DIR / name).read_text()) if DIR else default
    except (FileNotFoundError, ValueError):
        return default


def strikes(name):
    """Whether the fault is wanted now; counts it down."""
    if not DIR:
        return False
    with locked():
        path = DIR / name
        if not path.exists():
            return False
        left = path.read_text().strip()
        if left and int(left) <= 1:
            path.unlink()
        elif left:
            path.write_text(str(int(left) - 1))
        return True


def diary(word, *texts):
    if DIR:
        with locked(), open(DIR / "diary", "a") as f:
            print(word, os.getpid(), *texts, file=f)


def hold_memory():
    """GPU memory as a driver would show it: each server's share is a file, the counter their sum. A share whose process is
    gone no longer counts, so that memory returns with the death of its owner, however it died."""
    if not (DIR and DRM and number("memory")):
        return
    (DIR / "shares").mkdir(exist_ok=True)
    (DIR / "shares" / str(os.getpid())).write_text(str(int(number("memory"))))
    settle_memory()


def settle_memory():
    """Sums the shares of the living; tests call it too."""
    with locked():
        used = 0
        for share in (DIR / "shares").iterdir():
            if pathlib.Path(f"/proc/{share.name}").exists():
                used += int(share.read_text())
            else:
                share.unlink()
        counter = pathlib.Path(DRM, "card0/device/mem_info_vram_used")
        counter.with_name("new").write_text(f"{used}\n")
        counter.with_name("new").rename(counter)  # a reader never sees half of it


def say(text):
    print(text, file=sys.stderr, flush=True)


def begin(name):
    """At the start of a fake, before it listens."""
    diary("start", name, *sys.argv[1:])
    if strikes("ignore_term"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    for code in (0, 1):
        if strikes(f"exit{code}"):
            say(f"{name}: fault: ends at start with {code}")
            sys.exit(code)
    if strikes("fork"):
        subprocess.Popen(["sleep", "600"], start_new_session=True)


def load():
    """While the model loads. Returns False when it never shall be ready."""
    time.sleep(number("load_s"))
    hold_memory()
    return not strikes("never_ready")


def job(text):
    """At the start of a job, after its request was read; returns the bytes to answer with instead, or None."""
    diary("job", text)
    if strikes("hang"):
        time.sleep(3600)
    if strikes("flood"):
        line = b"x" * 4095 + b"\n"
        for _ in range(int(number("flood_mb", 1024) * (1 << 20)) // len(line)):
            sys.stdout.buffer.write(line)
    if strikes("die"):
        say("[ERROR] fault: the engine's own first error line")
        signal.raise_signal(signal.SIGSEGV)  # to this thread: os.kill may strike after the answer is out
    if strikes("garbage"):
        return b"\x00\xff{]"
    if strikes("huge"):
        return b"A" * (100 << 20)
    return None
