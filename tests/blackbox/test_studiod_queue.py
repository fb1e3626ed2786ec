"""The queue as workers and operators see it: offers, accepts, rejects, failures, releases, resume, cancel.

SPDX-License-Identifier: MIT"""

import time
import unittest

from studio import Studio, Worker, until, upload


class Queue(unittest.TestCase):
    def setUp(self):
        self.s = Studio(offer_ms=700, grace_ms=1500)
        self.addCleanup(self.s.close)

    def fail(self, w, claim, retryable):
        w.send("fail", jobId=claim["jobId"], error="it broke", retryable=retryable)
        w.expect("failAck")

    def test_a_json_job(self):
        job = self.s.submit(gameId="g", assetName="a", vramGbEstimate=2)
        w = Worker(self.s)
        claim = w.offer()
        self.assertEqual({k: claim[k] for k in ("jobId", "gameId", "assetName", "model", "vramGbEstimate")},
                         {"jobId": job, "gameId": "g", "assetName": "a", "model": "synthetic-llm", "vramGbEstimate": 2})
        self.assertEqual(claim["task"]["kind"], "llm")
        self.assertEqual(claim["modelSource"]["engine"], "synthetic")
        self.assertEqual(self.s.job(job)["state"], "offered")
        w.send("accept", jobId=job)
        self.assertEqual(self.s.until_state(job, "claimed")["workerId"], w.id)
        status, answer = self.s.call("GET", f"/jobs/{job}/result")
        self.assertEqual((status, answer["error"]), (409, "not_ready"))
        self.assertEqual(w.complete(claim, {"n": 9007199254740993})["jobId"], job)
        done = self.s.job(job)
        self.assertEqual((done["state"], done["result"], done["prompt"]), ("done", {"n": 9007199254740993}, "p"))
        self.assertEqual(self.s.get(f"/jobs/{job}/result"), {"n": 9007199254740993})

    def test_one_offer_at_a_time_in_order(self):
        jobs = [self.s.submit() for _ in range(3)]
        w = Worker(self.s)
        for job in jobs:
            claim = w.accept()
            self.assertEqual(claim["jobId"], job)
            self.assertTrue(w.quiet(0.2) or w.expect("heartbeatAck"))
            w.complete(claim)

    def test_a_job_is_offered_to_one_worker(self):
        workers = [Worker(self.s) for _ in range(3)]
        job = self.s.submit()
        claim = workers[0].accept()  # the earliest connected
        self.assertEqual(claim["jobId"], job)
        for w in workers[1:]:
            w.expect("heartbeatAck")
            self.assertTrue(w.quiet(0.2))

    def test_selection(self):
        needs = self.s.submit(vramGbEstimate=20)
        w = Worker(self.s, caps={**self.caps(), "vramThresholdGb": 12.0})
        w.expect("heartbeatAck")
        self.assertTrue(w.quiet(0.3))
        w.beat(vramThresholdGb=24.0)
        self.assertEqual(w.offer()["jobId"], needs)
        for change in ({"autoEnabled": False}, {"onlyWhenIdle": True, "userPresence": "active"},
                       {"taskKinds": ["image"], "supportedModelsPerKind": {"image": ["synthetic"]}}):
            with self.subTest(str(change)):
                with Studio() as s:
                    other = Worker(s, caps={**self.caps(), **change})
                    s.submit()
                    other.beat()
                    other.expect("heartbeatAck")
                    other.expect("heartbeatAck")
                    self.assertTrue(other.quiet(0.5))

    def caps(self):
        from studio import capabilities
        return capabilities()

    def test_an_unanswered_offer_is_withdrawn(self):
        job = self.s.submit()
        w = Worker(self.s)
        w.offer()
        self.s.until_state(job, "queued")
        self.assertEqual(self.s.job(job)["attempts"], 0)
        other = Worker(self.s)
        self.assertEqual(other.accept()["jobId"], job)

    def test_a_transient_reject_costs_nothing_and_is_not_offered_at_once(self):
        job = self.s.submit()
        w = Worker(self.s)
        w.offer()
        w.send("reject", jobId=job, reason="worker already has an in-flight job", code="busy")
        self.s.until_state(job, "queued")
        w.beat()
        w.expect("heartbeatAck")
        self.assertTrue(w.quiet(0.5))
        self.assertEqual(self.s.job(job)["attempts"], 0)
        other = Worker(self.s)
        self.assertEqual(other.offer()["jobId"], job)

    def test_three_attempts(self):
        job = self.s.submit()
        w = Worker(self.s)
        for attempt in (1, 2):
            self.fail(w, w.accept(), True)
            until("it is queued or offered again", lambda: self.s.job(job)["attempts"] == attempt)
        self.fail(w, w.accept(), True)
        done = self.s.until_state(job, "failed")
        self.assertEqual((done["attempts"], done["error"]), (3, "it broke"))
        status, answer = self.s.call("GET", f"/jobs/{job}/result")
        self.assertEqual((status, answer["error"]), (409, "job_failed"))
        self.assertIn("it broke", answer["message"])

    def test_a_final_failure_and_a_retry(self):
        job = self.s.submit()
        w = Worker(self.s)
        self.fail(w, w.accept(), False)
        self.s.until_state(job, "failed")
        self.assertEqual(self.s.call("POST", f"/jobs/{job}/retry")[0], 200)
        w.complete(w.accept())
        self.assertEqual(self.s.job(job)["state"], "done")
        status, answer = self.s.call("POST", f"/jobs/{job}/retry")
        self.assertEqual((status, answer["error"]), (409, "not_failed"))

    def test_a_lost_worker_without_resume_releases_at_once(self):
        job = self.s.submit()
        w = Worker(self.s)
        w.accept()
        self.s.until_state(job, "claimed")
        w.cut()
        began = time.monotonic()
        self.s.until_state(job, "queued")
        self.assertLess(time.monotonic() - began, 1)
        self.assertEqual(self.s.job(job)["attempts"], 0)

    def test_a_lost_offer_is_queued_again(self):
        job = self.s.submit()
        w = Worker(self.s, features=["resume"])
        w.offer()
        w.cut()
        self.assertEqual(Worker(self.s).accept()["jobId"], job)

    def test_resume_keeps_the_claim(self):
        job = self.s.submit()
        w = Worker(self.s, features=["resume"], resume=[])
        claim = w.expect("offer", skip=("heartbeatAck", "resumed"))["claim"]
        w.send("accept", jobId=job)
        self.s.until_state(job, "claimed")
        w.cut()
        until("the studio has noticed", lambda: all(
            (x.get("status") or {}).get("state", "gone") != "connected" for x in self.s.get("/workers")["workers"] if x["id"] == w.id))
        self.assertEqual(self.s.job(job)["state"], "claimed")
        w = Worker(self.s, w.credentials, features=["resume"], resume=[{"jobId": job, "state": "running"}])
        resumed = w.expect("resumed")
        self.assertEqual((resumed["keep"], resumed["drop"]), ([job], []))
        w.complete(claim)
        self.assertEqual(self.s.job(job)["state"], "done")

    def test_the_grace_ends(self):
        job = self.s.submit()
        w = Worker(self.s, features=["resume"], resume=[])
        w.expect("offer", skip=("heartbeatAck", "resumed"))
        w.send("accept", jobId=job)
        self.s.until_state(job, "claimed")
        w.cut()
        began = time.monotonic()
        other = Worker(self.s)
        self.assertEqual(other.accept()["jobId"], job)
        self.assertGreater(time.monotonic() - began, 1)
        back = Worker(self.s, w.credentials, features=["resume"], resume=[{"jobId": job, "state": "running"}])
        resumed = back.expect("resumed")
        self.assertEqual((resumed["keep"], resumed["drop"]), ([], [job]))

    def test_resume_survives_a_restart_of_the_studio(self):
        job = self.s.submit()
        w = Worker(self.s, features=["resume"], resume=[])
        claim = w.expect("offer", skip=("heartbeatAck", "resumed"))["claim"]
        w.send("accept", jobId=job)
        self.s.until_state(job, "claimed")
        self.s.kill()
        self.s.start()
        w = Worker(self.s, w.credentials, features=["resume"], resume=[{"jobId": job, "state": "finished"}])
        self.assertEqual(w.expect("resumed")["keep"], [job])
        w.complete(claim)
        self.assertEqual(self.s.job(job)["state"], "done")

    def test_progress(self):
        job = self.s.submit()
        w = Worker(self.s, features=["progress"])
        w.accept()
        w.send("progress", jobId=job, stage="running", fraction=0.25, detail="step 5 of 20")
        p = until("progress shows", lambda: self.s.job(job).get("progress"))
        self.assertEqual((p["stage"], p["fraction"], p["detail"]), ("running", 0.25, "step 5 of 20"))

    def test_cancel_of_a_queued_job(self):
        job = self.s.submit()
        status, answer = self.s.call("DELETE", f"/jobs/{job}")
        self.assertEqual((status, answer["state"], answer["error"]), (200, "failed", "cancelled"))
        w = Worker(self.s)
        w.expect("heartbeatAck")
        self.assertTrue(w.quiet(0.2))
        self.assertEqual(self.s.call("DELETE", f"/jobs/{job}"), (200, {"id": job, "deleted": True}))
        self.assertEqual(self.s.call("GET", f"/jobs/{job}")[0], 404)

    def test_cancel_reaches_the_worker(self):
        job = self.s.submit()
        w = Worker(self.s, features=["cancel"])
        w.accept()
        self.s.until_state(job, "claimed")
        self.assertEqual(self.s.call("DELETE", f"/jobs/{job}")[1]["state"], "failed")
        self.assertEqual(w.expect("cancel")["jobId"], job)
        w.send("fail", jobId=job, error="cancelled", retryable=False)
        w.expect("failAck")
        self.assertEqual(self.s.job(job)["error"], "cancelled")

    def test_cancel_of_a_job_of_a_worker_that_cannot(self):
        job = self.s.submit()
        w = Worker(self.s)
        claim = w.accept()
        self.s.until_state(job, "claimed")
        self.s.call("DELETE", f"/jobs/{job}")
        w.complete(claim)  # dropped, but acknowledged: no violation is made of our own doing
        self.assertEqual(self.s.job(job)["state"], "failed")

    def test_delete_removes_the_file(self):
        import os
        job = self.s.image()
        w = Worker(self.s)
        w.accept()
        self.s.until_state(job, "claimed")
        self.assertEqual(upload(self.s, w.id, w.token, job, [b"x" * 1000], 1000)[0], 200)
        results = os.path.join(self.s.data, "results")
        files = lambda: [f for _, _, fs in os.walk(results) for f in fs if not f.startswith(".")]
        self.assertEqual(len(files()), 1)
        self.assertEqual(self.s.call("DELETE", f"/jobs/{job}")[0], 200)
        until("the file is gone", lambda: not files())

    def test_list_pages_and_filters(self):
        llm = [self.s.submit() for _ in range(5)]
        images = [self.s.image() for _ in range(5)]
        seen, cursor = [], ""
        while True:
            page = self.s.get(f"/jobs?limit=3{cursor}")
            seen += [j["id"] for j in page["jobs"]]
            if "nextCursor" not in page:
                break
            cursor = f"&cursor={page['nextCursor']}"
        self.assertEqual(seen, [*reversed(llm + images)])
        self.assertEqual([j["id"] for j in self.s.get("/jobs?kind=llm&limit=2")["jobs"]], [llm[4], llm[3]])
        self.assertEqual(self.s.get("/jobs?state=done")["jobs"], [])
        self.assertEqual(len(self.s.get("/jobs?state=queued&kind=image")["jobs"]), 5)
        for bad in ("state=lost", "kind=smell", "limit=0", "limit=1000", "limit=x", "cursor=-1"):
            status, answer = self.s.call("GET", "/jobs?" + bad)
            self.assertEqual(status, 400, bad)
            self.assertIn(bad.split("=")[0], answer["message"])


if __name__ == "__main__":
    unittest.main()
