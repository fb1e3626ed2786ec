"""What becomes of a job, and of the worker, when an engine misbehaves: a row a fault, each with every engine it can happen to.

Every row asks for the same: the job ends as it should (tried once more on a fresh engine, then `fail` with the engine's own
first error line), no process is left, the next job succeeds, the worker stays small and its session is kept.

$STUDIO_WORKER_ENGINE_DEADLINES makes minutes of patience seconds.  SPDX-License-Identifier: MIT"""

import concurrent.futures
import contextlib
import io
import os
import pathlib
import resource
import unittest
import wave

from engines import FAKES, WHISPER_HEAD, Engines
from peers import WORKER, Studio, until
from test_worker_jobs import files_below, open_session

FEATURES = ["progress", "cancel"]
SMALL_MIB = 64  # the most a worker may ever use; idle it has some 12
HEARTBEAT_S = 5
PATIENCE = 60
SANITIZED = b"__asan_init" in pathlib.Path(WORKER).read_bytes()


def silence(seconds):
    out = io.BytesIO()
    with wave.open(out, "wb") as w:
        w.setnchannels(1)
        w.setsampwidth(2)
        w.setframerate(16000)
        w.writeframes(bytes(32000) * seconds)
    return out.getvalue()


class Kind:
    """One engine: its jobs, and whether an answer is for the model and the job that were asked."""
    garbage = "garbage"

    def __init__(self, engines, size=1000):
        self.engines, self.model = engines, engines.model("model-x", self.filename, role=self.role, magic=self.magic, size=size)


class Llama(Kind):
    programs, engine, remedy = ["llama-server"], "llama-cpp", "llama.cpp"
    filename, role, magic = "a.gguf", "model", b"GGUF"

    def offer(self, job):
        return self.engines.llm(job, f"this is {job}", self.model)

    def check(self, row, job):
        answer = row.session.expect("completeJson", jobId=job)
        row.test.assertEqual(answer["result"]["choices"][0]["message"]["content"], f"a says: this is {job}")
        row.session.send({"type": "completeAck", "jobId": job})


class Whisper(Kind):
    programs, engine, remedy = ["whisper-server"], "whisper-cpp", "whisper.cpp"
    filename, role, magic = "w.bin", "model", WHISPER_HEAD
    garbage = "what is no answer"

    def offer(self, job):
        url = self.engines.files.add("/recordings/a.wav", silence(2))
        return self.engines.offer(job, {"kind": "audio_stt", "inputUrl": url, "prompt": job}, self.engine, self.model)

    def check(self, row, job):
        answer = row.session.expect("completeJson", jobId=job)
        row.test.assertIn("w heard 2.0 seconds", answer["result"]["text"])
        row.test.assertIn(job, answer["result"]["text"])
        row.session.send({"type": "completeAck", "jobId": job})


class Sd(Kind):
    programs, engine, remedy = ["sd-server"], "sd-cpp", "stable-diffusion.cpp"
    filename, role, magic = "s.gguf", "diffusion-model", b"GGUF"

    def offer(self, job):
        task = {"kind": "image", "prompt": f"this is {job}", "width": 256, "height": 256, "steps": 2, "ext": "png"}
        return self.engines.offer(job, task, self.engine, self.model)

    def check(self, row, job):
        upload = row.studio.next_upload()
        row.test.assertEqual((upload.job_id, upload.prompt), (job, f"this is {job}"))
        row.test.assertTrue(upload.data.startswith(b"\x89PNG"))
        row.session.wait_log("binary upload ok")


KINDS = [kind for kind in (Llama, Whisper, Sd) if (FAKES / f"fake_{kind.programs[0].replace('-', '_')}.py").exists()]


class Row:
    """One worker with one engine, and what every row asks for at its end."""

    def __init__(self, test, kind, studio, engines, worker):
        self.test, self.studio, self.engines, self.worker = test, studio, engines, worker
        self.kind = kind(engines)
        self.session = open_session(studio, FEATURES)

    def offer(self, job):
        self.session.offer(self.kind.offer(job))
        self.session.expect("accept", jobId=job)

    def ended(self, job):
        frames = self.session.seen("completeJson") + self.session.seen("fail")
        return [f for f in frames if f["jobId"] == job] + [u for u in self.studio.uploads if u.job_id == job]

    def good(self, job):
        self.offer(job)
        until(f"the end of {job}", lambda: self.ended(job), PATIENCE)
        self.test.assertEqual([f for f in self.session.seen("fail") if f["jobId"] == job], [])
        self.kind.check(self, job)

    def bad(self, job, *words, retryable=True):
        self.offer(job)
        fail = self.session.expect("fail", within=PATIENCE, jobId=job)
        for word in words:
            self.test.assertIn(word, fail["error"])
        self.test.assertIs(fail["retryable"], retryable, fail)
        return fail

    def starts(self):
        return len(self.engines.starts())

    def calm(self):
        """The session was kept, its loop answers at once, the worker stayed small."""
        self.test.assertFalse(self.session.ended)
        self.session.ping(within=2)
        self.test.assertEqual(len(self.studio.sessions), 1)
        beats = [f.at for f in self.session.seen("heartbeat")]
        for a, b in zip(beats, beats[1:]):
            self.test.assertLess(b - a, HEARTBEAT_S + 2)
        self.worker.check_memory(SMALL_MIB)

    def over(self):
        """The next job succeeds, all is calm, and nothing outlives the worker."""
        self.good("next")
        self.calm()
        self.test.assertEqual(self.worker.stop()[0], 0)
        self.engines.wait_gone()
        for folder in ("engines", "scratch"):
            self.test.assertEqual(files_below(os.path.join(self.worker.dir, "state", folder)), [])


@contextlib.contextmanager
def row(test, kind, installed=True, deadlines=None, **options):
    with Studio() as studio, Engines(kind.programs if installed else [], deadlines=deadlines) as engines:
        with engines.worker(studio, **options) as worker:
            yield Row(test, kind, studio, engines, worker)


class Faults(unittest.TestCase):
    def strikes(self, fault, *words, deadlines=None):
        """With every engine, at the same time."""
        with concurrent.futures.ThreadPoolExecutor(len(KINDS)) as pool:
            runs = {kind: pool.submit(self.strike, kind, fault, words, deadlines) for kind in KINDS}
            for kind, run in runs.items():
                with self.subTest(kind.engine):
                    run.result()

    def strike(self, kind, fault, words, deadlines):
        """Always: tried twice, failed with the reason, nothing left. Once: the second try is good."""
        with row(self, kind, deadlines=deadlines) as r:
            r.engines.fault(fault)
            r.bad("always", *[word(kind) if callable(word) else word for word in words])
            self.assertEqual(r.starts(), 2)
            r.engines.wait_gone()
            r.engines.fault(fault, 1)
            r.good("once")
            self.assertEqual(r.starts(), 4)
            r.over()

    def test_missing(self):
        for kind in KINDS:
            with self.subTest(kind.engine), row(self, kind, installed=False) as r:
                r.session.offer(r.kind.offer("j"))
                fail = r.session.expect("fail", jobId="j")
                self.assertIn(kind.remedy, fail["error"])
                self.assertIs(fail["retryable"], False)
                for program in kind.programs:
                    r.engines.install(FAKES / f"fake_{program.replace('-', '_')}.py")
                r.over()

    def test_wrong_version(self):
        with row(self, Llama) as r:
            r.engines.fault("old")
            r.bad("j", "too old", "--api-key-file", retryable=False)
            self.assertEqual(r.starts(), 0)
            r.engines.mend("old")
            r.engines.install(FAKES / "fake_llama_server.py")  # another file in its place is asked anew
            r.over()

    def test_exits_at_start_with_0(self):
        self.strikes("exit0", "exit code 0 before it was ready", "fault: ends at start with 0")

    def test_exits_at_start_with_1(self):
        self.strikes("exit1", "exit code 1 before it was ready", "fault: ends at start with 1")

    def test_never_ready(self):
        self.strikes("never_ready", "was not ready after", deadlines=0.05)

    def test_ready_then_hangs(self):
        self.strikes("hang", "no sign of life", deadlines=0.05)

    def test_dies_in_the_middle_of_a_job(self):
        self.strikes("die", "[ERROR] fault: the engine's own first error line", "signal 11")

    def test_answers_garbage(self):
        self.strikes("garbage", lambda kind: kind.garbage)

    def test_answers_100_mb(self):
        self.strikes("huge")

    def test_prints_1_gb(self):
        for kind in KINDS:
            with self.subTest(kind.engine), row(self, kind) as r:
                if SANITIZED:
                    r.engines.fault("flood_mb", 64)  # it reads a hundred times slower
                r.engines.fault("flood", 1)
                r.good("j")
                self.assertEqual(r.starts(), 1)
                self.assertLessEqual(len([line for line in r.worker.lines() if "xxxxxxxx" in line]), 200)
                r.over()

    def test_ignores_sigterm(self):
        for kind in KINDS:
            with self.subTest(kind.engine), row(self, kind, engine_idle_secs=1) as r:
                r.engines.fault("ignore_term")
                r.good("j")
                self.assertEqual(len(r.engines.pids()), 1)
                r.engines.wait_gone()  # after its idle time
                r.over()

    def test_forks_a_child_that_outlives_it(self):
        for kind in KINDS:
            with self.subTest(kind.engine), row(self, kind, engine_idle_secs=1) as r:
                r.engines.fault("fork")
                r.good("j")
                self.assertEqual(len(r.engines.pids()), 2)
                r.engines.wait_gone()  # after its idle time
                r.engines.fault("die")
                r.bad("k")
                r.engines.wait_gone()
                r.engines.mend("die")
                r.over()

    def test_a_child_that_outlives_even_the_worker(self):
        with row(self, Llama) as r:
            r.engines.fault("fork", 1)
            r.good("j")
            r.worker.kill()
            until("the engine to die with the worker", lambda: len(r.engines.pids()) == 1)
            r.worker.start()
            r.engines.wait_gone()  # swept at start
            r.session = open_session(r.studio, FEATURES)
            r.good("next")

    # A limit on the size of files stands for the disk: it needs no rights.

    def full(self, r, limit):
        resource.prlimit(r.worker.process.pid, resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))

    def test_disk_fills_in_the_middle_of_a_model(self):
        for kind in KINDS:
            with self.subTest(kind.engine), row(self, kind) as r:
                r.kind = kind(r.engines, size=1 << 20)
                self.full(r, 256 << 10)
                r.bad("j", "File too large")
                self.assertEqual(r.starts(), 0)
                self.full(r, resource.RLIM_INFINITY)
                r.over()

    def test_disk_fills_in_the_middle_of_the_output(self):
        for kind in KINDS:
            if kind is Sd:  # the others' results are small texts, in memory until they are in the outbox
                with self.subTest(kind.engine), row(self, kind) as r:
                    r.good("warm")
                    self.full(r, 1024)
                    r.bad("j")
                    self.full(r, resource.RLIM_INFINITY)
                    r.over()


if __name__ == "__main__":
    unittest.main()
