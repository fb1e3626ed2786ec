"""studiod is killed (SIGKILL) at seeded moments while jobs are queued, claimed and delivered: nothing that it accepted is lost.

What counts as accepted: a job whose POST was answered with 201, a result whose upload was answered with 200 or whose
completeJson was acknowledged. CRASH_ROUNDS and CRASH_SEED change how often and which. SPDX-License-Identifier: MIT"""

import http.client
import os
import random
import threading
import time
import unittest

from studio import Closed, Studio, Worker, until, upload

ROUNDS = int(os.environ.get("CRASH_ROUNDS", "200"))
SEED = int(os.environ.get("CRASH_SEED", "1"))
CUT = (OSError, http.client.HTTPException, Closed, ValueError, AssertionError)


class Round:
    """One life of the studio: a client that queues and a worker that delivers until the studio dies."""

    def __init__(self, test, rnd):
        self.t, self.s, self.rnd = test, test.s, rnd
        self.stop = threading.Event()
        self.ended = None

    def client(self):
        while not self.stop.is_set():
            image = self.rnd.random() < 0.5
            try:
                job = self.s.image() if image else self.s.submit()
            except CUT:
                return
            self.t.accepted.append(job)
            time.sleep(self.rnd.uniform(0, 0.04))

    def worker(self):
        try:
            w = Worker(self.s, self.t.credentials)
            while not self.stop.is_set():
                claim = w.expect("offer", skip=("heartbeatAck", "completeAck"))["claim"]
                w.send("accept", jobId=claim["jobId"])
                self.deliver(w, claim)
                w.beat()
        except CUT as e:
            if not self.stop.is_set():
                self.ended = repr(e)

    def deliver(self, w, claim):
        job = claim["jobId"]
        nonce = f"{job}-{self.rnd.randrange(1 << 30)}"
        self.t.delivered.setdefault(job, []).append(nonce)
        if claim["task"]["kind"] == "llm":
            w.send("completeJson", jobId=job, result={"nonce": nonce}, prompt="p")
            w.expect("completeAck", skip=("heartbeatAck", "completeAck"))
        else:
            until("claimed", lambda: self.s.job(job)["state"] == "claimed", 5)
            data = nonce.encode() * 2000
            status, answer = upload(self.s, w.id, w.token, job, [data], len(data))
            if status != 200:
                self.t.problems.append(f"{job}: upload answered {status} {answer}")
                return
        self.t.confirmed[job] = nonce

    def run(self):
        threads = [threading.Thread(target=self.client), threading.Thread(target=self.worker)]
        for t in threads:
            t.start()
        time.sleep(self.rnd.uniform(0.005, 0.2))
        self.s.kill()
        self.stop.set()
        for t in threads:
            t.join()


class Crash(unittest.TestCase):
    def setUp(self):
        self.s = Studio(offer_ms=1000)
        self.addCleanup(self.s.close)
        self.credentials = self.s.admit()
        self.accepted, self.confirmed, self.delivered, self.problems = [], {}, {}, []

    def check(self):
        """Every accepted job is there; every confirmed result is the one that was confirmed."""
        for job in self.accepted:
            self.assertIn(self.s.job(job)["state"], ("queued", "offered", "claimed", "done"), job)
        for job, nonce in self.confirmed.items():
            record = self.s.job(job)
            self.assertEqual(record["state"], "done", job)
            self.check_result(job, record, nonce)

    def check_result(self, job, record, nonce):
        if record["kind"] == "llm":
            self.assertEqual(record["result"], {"nonce": nonce})
        else:
            self.assertEqual(self.s.raw("GET", f"/jobs/{job}/result")[2], nonce.encode() * 2000)

    def test_nothing_accepted_is_lost(self):
        rnd = random.Random(SEED)
        for _ in range(ROUNDS if not self.s.sanitized() else min(ROUNDS, 60)):
            Round(self, rnd).run()
            self.s.start()
            # The last jobs of a round are the ones the crash was near to.
            for job in self.accepted[-3:]:
                self.assertIn(self.s.job(job)["state"], ("queued", "offered", "claimed", "done"))
        self.check()
        self.finish(rnd)
        self.check()
        self.assertEqual(self.problems, [])
        done = [j for j in self.accepted if self.s.job(j)["state"] == "done"]
        self.assertEqual(len(done), len(self.accepted))
        for job in done:  # a result is always one that was delivered for that job
            record = self.s.job(job)
            if record["kind"] == "llm":
                self.assertIn(record["result"]["nonce"], self.delivered[job])
        print(f"\n{len(self.accepted)} jobs accepted, {len(self.confirmed)} results confirmed, none lost")

    def finish(self, rnd):
        """Without crashes, everything that is left gets done."""
        left = Round(self, rnd)
        t = threading.Thread(target=left.worker)
        t.start()
        try:
            until("every job is done", lambda: left.ended or not any(
                self.s.get(f"/jobs?limit=1&state={state}")["jobs"] for state in ("queued", "offered", "claimed")), 120)
            self.assertIsNone(left.ended)
        finally:
            left.stop.set()
            self.s.submit()  # wakes the worker
            t.join()


if __name__ == "__main__":
    unittest.main()
