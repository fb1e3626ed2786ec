"""Both programs and fake engine servers: model files on their way, warm engines, and what an operator sees and stops.

SPDX-License-Identifier: MIT"""

import json
import os
import pathlib
import sys
import time
import unittest

import peers
from engines import Engines
from studio import Studio, until

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "fake"))
from file_server import FileServer  # noqa: E402

GIB = 2**30


class TogetherEngines(unittest.TestCase):
    def start(self, vram_gib=None, **options):
        self.s = Studio(grace_ms=3000)
        self.addCleanup(self.s.close)
        self.e = Engines(vram_gib=vram_gib)
        self.addCleanup(self.e.__exit__, None)
        self.w = peers.Worker(base=f"http://127.0.0.1:{self.s.port}", approved=False, env=self.e.env(),
                              **self.e.options(**options))
        self.w.__enter__()
        self.addCleanup(self.w.__exit__, None)
        ask = until("it asks", lambda: self.s.get("/workers/pending")["requests"])[0]["requestId"]
        self.assertEqual(self.s.call("POST", f"/workers/pending/{ask}/approve", {})[0], 200)
        until("it is connected", lambda: self.s.get("/workers")["workers"][0].get("status"))

    def register(self, model, files, vram=0):
        status, answer = self.s.call("PUT", f"/models/{model}", {
            "kind": "llm", "vramGbEstimate": vram, "modelSource": {
                "engine": "llama-cpp", "files": files, "cliDefaults": {"cfgScale": 1, "steps": 2, "width": 64, "height": 64}}})
        self.assertEqual(status, 200, answer)

    def slow_model(self, size, rate):
        """A model's file behind a slow server."""
        path = self.e.dir / "slow.gguf"
        path.write_bytes(b"GGUF" + os.urandom(size - 4))
        server = FileServer(str(path), rate=rate, ranges=False)
        self.addCleanup(server.close)
        self.register("slow", [{"role": "model", "url": server.url, "filename": "slow.gguf", "approxBytes": size}])
        return server

    def ask(self, model, prompt="Why?"):
        return self.s.submit(model, {"kind": "llm", "messages": [{"role": "user", "content": prompt}]})

    def done(self, job):
        until(f"{job} is over", lambda: self.s.job(job)["state"] in ("done", "failed"), 60)
        record = self.s.job(job)
        self.assertEqual(record["state"], "done", record.get("error"))
        return record

    def progress(self, job, stage):
        return until(f"the stage {stage} shows", lambda: (p := self.s.job(job).get("progress")) and p["stage"] == stage and p)

    def status(self):
        return json.loads(self.w.command("status", "--json").stdout)

    def cancel(self, job):
        """DELETE; the worker is free again within 3 s."""
        began = time.monotonic()
        self.assertEqual(self.s.call("DELETE", f"/jobs/{job}")[0], 200)
        until("the worker is free", lambda: self.status()["currentJob"] is None)
        self.assertLess(time.monotonic() - began, 3 + 1)
        record = self.s.job(job)
        self.assertEqual((record["state"], record["error"]), ("failed", "cancelled"))

    def test_a_download_shows_stops_and_goes_on(self):
        self.start()
        server = self.slow_model(6 << 20, 1 << 20)
        job = self.ask("slow")
        shown = self.progress(job, "downloading")
        shown = until("its fraction moves", lambda: (p := self.s.job(job).get("progress")) and p.get("fraction", 0) > 0.02 and p)
        self.assertLess(shown["fraction"], 1)
        self.assertIn("slow.gguf", shown["detail"])
        [download] = self.status()["models"]["downloads"]
        self.assertEqual((download["model"], download["filename"], download["total"]), ("slow", "slow.gguf", 6 << 20))
        self.assertIn("slow.gguf", self.w.command("status").stdout)
        self.cancel(job)
        self.assertEqual(self.status()["models"]["downloads"], [])
        self.assertEqual(self.e.starts(), [])
        self.assertTrue((self.e.models / "slow" / "slow.gguf.part").exists())
        server.rate = 0
        self.done(self.ask("slow"))
        self.assertFalse((self.e.models / "slow" / "slow.gguf.part").exists())

    def test_an_address_that_is_refused_fails_the_job_for_good(self):
        self.start()
        self.register("inside", [{"role": "model", "url": "http://10.0.0.1/a.gguf", "filename": "a.gguf"}])
        job = self.ask("inside")
        until("it is over", lambda: self.s.job(job)["state"] == "failed")
        record = self.s.job(job)
        self.assertIn("10.0.0.1", record["error"])
        self.assertIn("allow_hosts", record["error"])
        self.assertLessEqual(record["attempts"], 1)

    def test_limits_change_while_it_downloads(self):
        self.start(download_limit_mbps=0.8)  # 100 kB a second: a minute and more
        self.slow_model(8 << 20, 0)
        job = self.ask("slow")
        self.progress(job, "downloading")
        began = time.monotonic()
        self.w.write_config(api_base_url=f"http://127.0.0.1:{self.s.port}", ws_reconnect_attempts=0, **self.e.options())
        self.done(job)
        self.assertLess(time.monotonic() - began, 30)

    def test_a_running_job_is_cancelled_and_the_next_one_runs(self):
        self.start()
        for model in ("model-a", "model-b"):
            self.register(model, self.e.model(model, f"{model}.gguf"))
        self.e.fault("hang", 1)  # that server never finishes with its first job, whoever still wants it
        job = self.ask("model-a")
        self.e.wait_diary("job")
        self.cancel(job)
        self.done(self.ask("model-b", "And now?"))

    def test_warm_engines_show_and_end_with_the_worker(self):
        self.start()
        self.register("model-a", self.e.model("model-a", "a.gguf"))
        self.done(self.ask("model-a"))
        [warm] = self.status()["warmEngines"]
        self.assertEqual((warm["engine"], warm["model"], warm["state"], warm["jobs"]), ("llama-cpp", "model-a", "loaded", 0))
        self.assertIn("llama-cpp model-a, idle for", self.w.command("status").stdout)
        self.e.fault("hang", 1)
        self.ask("model-a", "Again?")
        self.e.wait_diary("job", 2)
        began = time.monotonic()
        self.w.process.terminate()
        self.w.process.wait(10)
        self.assertLess(time.monotonic() - began, 1)  # 250 ms on a machine that does nothing else
        self.assertEqual(self.w.process.returncode, 0)
        self.e.wait_gone(3)

    def test_what_can_not_fit_is_refused_once_and_the_job_says_why(self):
        self.start(vram_gib=8, vram_threshold_gb=24)
        self.register("big", self.e.model("big", "big.gguf"), vram=20)
        self.register("small", self.e.model("small", "small.gguf"), vram=2)
        job, other = self.ask("big"), self.ask("big")
        waiting = until("it says why", lambda: "refused it: " in (self.s.job(job).get("waiting") or "") and self.s.job(job)["waiting"])
        self.assertRegex(waiting, r"20(\.0)? GB.*8(\.0)? GB|20(\.0)? GiB.*8(\.0)? GiB")
        self.done(self.ask("small"))
        self.assertEqual(self.s.job(job)["attempts"], 0)
        self.assertIn("refused it", self.s.job(other)["waiting"])
        refusals = [m for m in map(str, self.w.lines()) if "rejecting offer" in m]
        self.assertEqual(len(refusals), 1, refusals)


if __name__ == "__main__":
    unittest.main()
