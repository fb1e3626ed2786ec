"""Both programs, nothing played: a studiod and a studio-worker, through everyday life and through being killed.

SPDX-License-Identifier: MIT"""

import json
import os
import random
import struct
import unittest

import peers
from studio import Studio, until

ROUNDS = int(os.environ.get("TOGETHER_ROUNDS", "20"))


class Together(unittest.TestCase):
    def setUp(self):
        self.s = Studio(grace_ms=3000)
        self.addCleanup(self.s.close)

    def worker(self, **options):
        w = peers.Worker(base=f"http://127.0.0.1:{self.s.port}", approved=False, **options)
        w.__enter__()
        self.addCleanup(w.__exit__, None)
        return w

    def admitted(self, **options):
        w = self.worker(**options)
        request = until("it asks", lambda: self.s.get("/workers/pending")["requests"])[0]["requestId"]
        self.assertEqual(self.s.call("POST", f"/workers/pending/{request}/approve", {})[0], 200)
        until("it is connected", self.connected)
        return w

    def connected(self):
        return [w for w in self.s.get("/workers")["workers"] if w.get("status", {}).get("state") == "connected"]

    def done(self, job, patience=60):
        until(f"{job} is over", lambda: self.s.job(job)["state"] in ("done", "failed"), patience)
        record = self.s.job(job)
        self.assertEqual(record["state"], "done", record.get("error"))
        return record

    def test_a_job_of_every_kind(self):
        self.admitted()
        jobs = {
            "image": self.s.submit("synthetic-image", {"prompt": "a lighthouse", "width": 96, "height": 64, "ext": "png"}),
            "llm": self.s.submit("synthetic-llm"),
            "audio_tts": self.s.submit("synthetic-tts", {"text": "hello there"}),
            "audio_stt": self.s.submit("synthetic-stt", {"inputUrl": "https://example.invalid/a.wav"}),
            "video": self.s.submit("synthetic-video", {"prompt": "waves", "seconds": 0.5, "fps": 4, "width": 64, "height": 64, "ext": "webp"}),
            "speech": self.s.submit("espeak-en", {"text": "good morning"}),
        }
        records = {kind: self.done(job) for kind, job in jobs.items()}
        results = {kind: self.s.raw("GET", f"/jobs/{job}/result") for kind, job in jobs.items()}
        self.assertEqual(results["image"][1], "image/png")
        self.assertEqual(struct.unpack("!II", results["image"][2][16:24]), (96, 64))
        self.assertEqual(json.loads(results["llm"][2])["object"], "chat.completion")
        self.assertIn("text", json.loads(results["audio_stt"][2]))
        for kind in ("audio_tts", "speech"):
            self.assertEqual((results[kind][1], results[kind][2][:4]), ("audio/wav", b"RIFF"))
        self.assertEqual(results["video"][2][8:12], b"WEBP")
        self.assertEqual(records["image"]["prompt"], "a lighthouse")
        worker = self.s.get("/workers")["workers"][0]["id"]
        until("its log arrives", lambda: any("json result sent" in e["message"] for e in self.s.get(f"/workers/{worker}/logs")["entries"]))

    def test_an_engine_it_lacks_fails_for_good_and_says_what_helps(self):
        self.admitted()
        caps = self.connected()[0]["capabilities"]
        self.assertIn("synthetic-image", caps["supportedModels"])
        # A model that is listed as its own, but made by an engine of another build.
        job = self.s.submit("synthetic-image", {"prompt": "p"}, modelSource={"engine": "sd-cpp", "files": []})
        until("it failed", lambda: self.s.job(job)["state"] == "failed")
        record = self.s.job(job)
        self.assertIn("sd-cpp", record["error"])
        self.assertEqual(record["attempts"] <= 1, True)

    def test_pause_and_resume(self):
        w = self.admitted()
        w.command("pause")
        until("the studio knows", lambda: not self.connected()[0]["status"]["capabilities"]["autoEnabled"])
        job = self.s.submit()
        self.assertEqual(self.s.job(job)["state"], "queued")
        w.command("resume")
        self.done(job)

    def test_rejected(self):
        w = self.worker()
        request = until("it asks", lambda: self.s.get("/workers/pending")["requests"])[0]["requestId"]
        self.s.call("POST", f"/workers/pending/{request}/reject", {"reason": "no room today"})
        until("its owner reads why", lambda: "no room today" in w.command("status").stdout)
        self.assertIsNone(w.process.poll())

    def test_deleted(self):
        w = self.admitted()
        self.s.call("DELETE", f"/workers/{self.connected()[0]['id']}")
        self.assertNotEqual(w.wait_exit(), 0)
        w.wait_log("fatal: ")

    def test_cancel(self):
        w = self.admitted(gate=True)
        job = self.s.submit("espeak-en", {"text": "a long speech"})
        w.gate.wait_runs(1)
        status, answer = self.s.call("DELETE", f"/jobs/{job}")
        self.assertEqual((status, answer["state"]), (200, "failed"))
        after = self.s.submit()
        self.done(after)  # the slot is free again
        self.assertEqual(self.s.job(job)["error"], "cancelled")

    def test_the_studio_dies_while_a_job_runs_and_nothing_is_made_twice(self):
        w = self.admitted(gate=True)
        job = self.s.submit("espeak-en", {"text": "speech"})
        w.gate.wait_runs(1)
        self.s.kill()
        self.s.start()
        w.gate.open()
        self.done(job)
        self.assertEqual(len(w.gate.runs()), 1)

    def test_the_worker_dies_while_a_job_runs_and_the_job_is_done(self):
        w = self.admitted(gate=True)
        job = self.s.submit("espeak-en", {"text": "speech"})
        w.gate.wait_runs(1)
        w.kill()
        w.gate.open()
        w.start()
        self.assertEqual(self.done(job)["attempts"], 0)

    def test_either_dies_at_any_time(self):
        rnd = random.Random(11)
        w = self.admitted()
        jobs = []
        for _ in range(ROUNDS):
            for _ in range(rnd.randrange(1, 4)):
                jobs.append(self.s.submit() if rnd.random() < 0.5 else self.s.submit(
                    "synthetic-image", {"prompt": str(rnd.random()), "width": 64, "height": 64}))
            peers.time.sleep(rnd.uniform(0, 0.2))
            if rnd.random() < 0.5:
                self.s.kill()
                self.s.start()
            else:
                w.kill()
                w.start()
        for job in jobs:
            self.done(job)


if __name__ == "__main__":
    unittest.main()
