"""Results of bytes: multipart uploads, their checks, and how much memory they take.

SPDX-License-Identifier: MIT"""

import hashlib
import os
import socket
import threading
import unittest

from studio import PREFIX, Studio, Worker, multipart_parts, until, upload


class Upload(unittest.TestCase):
    def setUp(self):
        self.s = Studio(max_result_bytes=200 << 20)
        self.addCleanup(self.s.close)

    def claimed(self, w=None):
        w = w or Worker(self.s)
        job = self.s.image()
        self.assertEqual(w.accept()["jobId"], job)
        self.s.until_state(job, "claimed")
        return w, job

    def files(self):
        return [f for _, _, fs in os.walk(os.path.join(self.s.data, "results")) for f in fs]

    def test_result(self):
        w, job = self.claimed()
        data = os.urandom(300000)
        self.assertEqual(upload(self.s, w.id, w.token, job, [data], len(data), prompt="päper")[0], 200)
        self.assertEqual(w.expect("completeAck")["jobId"], job)
        done = self.s.job(job)
        self.assertEqual((done["state"], done["bytes"], done["ext"], done["prompt"], done["sha256"], done["workerId"]),
                         ("done", len(data), "png", "päper", hashlib.sha256(data).hexdigest(), w.id))
        status, kind, got = self.s.raw("GET", f"/jobs/{job}/result")
        self.assertEqual((status, kind, got == data), (200, "image/png", True))

    def test_the_same_again_is_200_another_is_409(self):
        w, job = self.claimed()
        self.assertEqual(upload(self.s, w.id, w.token, job, [b"one"], 3)[0], 200)
        self.assertEqual(upload(self.s, w.id, w.token, job, [b"one"], 3)[0], 200)
        status, answer = upload(self.s, w.id, w.token, job, [b"two"], 3)
        self.assertEqual((status, answer["error"]), (409, "conflict"))
        self.assertEqual(self.s.raw("GET", f"/jobs/{job}/result")[2], b"one")
        self.assertEqual(len(self.files()), 1)

    def test_not_yours(self):
        w, job = self.claimed()
        other, token = self.s.admit()
        queued = self.s.image()
        llm_worker = Worker(self.s)
        for worker_id, auth, job_id, status in (
                (other, token, job, 409), (other, w.token, job, 401), (w.id, "x" * 64, job, 401), (w.id, "", job, 401),
                ("wk-unknown", w.token, job, 401), (w.id, w.token, "job-unknown", 404), (other, token, queued, 409)):
            got, answer = upload(self.s, worker_id, auth, job_id, [b"data"], 4)
            self.assertEqual(got, status, (worker_id, job_id, answer))
        llm_worker.close()
        self.assertEqual(self.s.job(job)["state"], "claimed")
        self.assertEqual(self.files(), [])

    def test_cancelled_is_410(self):
        w, job = self.claimed()
        self.s.call("DELETE", f"/jobs/{job}")
        self.assertEqual(upload(self.s, w.id, w.token, job, [b"late"], 4)[0], 410)

    def test_a_released_claim_is_409(self):
        w, job = self.claimed()
        w.cut()
        self.s.until_state(job, "queued")
        self.assertEqual(upload(self.s, w.id, w.token, job, [b"late"], 4)[0], 409)

    def test_bad_bodies(self):
        w, job = self.claimed()
        head, tail, kind = multipart_parts("png", "p")
        path = f"/workers/{w.id}/jobs/{job}/complete"
        for name, body, content_type, statuses in (
                ("no image", head.split(b"--studiotestboundary\r\nContent-Disposition: form-data; name=\"image\"")[0]
                 + b"--studiotestboundary--\r\n", kind, {400}),
                ("empty image", head + tail, kind, {400}),
                ("bad ext", head.replace(b"\r\npng\r\n", b"\r\n../x\r\n") + b"d" + tail, kind, {400}),
                ("no boundary", b"x", "multipart/form-data", {400, 415}),
                ("json", b"{}", "application/json", {400, 415}),
                ("no end", head + b"data", kind, {400})):
            with self.subTest(name):
                status, answer = self.s.call("POST", path, body, token=w.token, headers={"Content-Type": content_type})
                self.assertIn(status, statuses)
                self.assertIn("message", answer)
        self.assertEqual(self.s.job(job)["state"], "claimed")
        self.assertEqual(upload(self.s, w.id, w.token, job, [b"fine"], 4), (200, {"status": "done"}))

    def test_too_large(self):
        self.s.stop()
        with open(self.s.config, "a") as f:
            f.write("\n")
        text = open(self.s.config).read().replace(str(200 << 20), "100000")
        open(self.s.config, "w").write(text)
        self.s.start()
        w, job = self.claimed()
        status, answer = upload(self.s, w.id, w.token, job, [b"x" * 50000] * 3, 150000)
        self.assertEqual((status, answer["error"]), (413, "too_large"))
        self.assertEqual(self.files(), [])
        self.assertEqual(upload(self.s, w.id, w.token, job, [b"x" * 100000], 100000)[0], 200)

    def test_a_client_that_leaves_half_way(self):
        w, job = self.claimed()
        head, _, kind = multipart_parts("png", "p")
        c = socket.create_connection(("127.0.0.1", self.s.port))
        c.sendall(f"POST {PREFIX}/workers/{w.id}/jobs/{job}/complete HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {w.token}\r\n"
                  f"Content-Type: {kind}\r\nContent-Length: 1000000\r\n\r\n".encode() + head + b"z" * 300000)
        until("something is on disk", self.files)
        c.close()
        until("the half result is gone", lambda: not self.files())
        self.assertEqual(upload(self.s, w.id, w.token, job, [b"whole"], 5)[0], 200)

    def test_100_mib_takes_little_memory(self):
        w, job = self.claimed()
        until("it is idle", lambda: self.s.rss_mib() > 0)
        idle = self.s.rss_mib()
        peak = 0

        def watch():
            nonlocal peak
            peak = max(peak, self.s.rss_mib())

        chunk = os.urandom(1 << 20)
        status, answer = upload(self.s, w.id, w.token, job, [chunk] * 100, 100 << 20, watch=watch)
        self.assertEqual(status, 200, answer)
        digest, got = hashlib.sha256(), 0
        c = self.s.connection()
        c.request("GET", f"{PREFIX}/jobs/{job}/result", headers={"Authorization": "Bearer " + self.s.token})
        r = c.getresponse()
        self.assertEqual(int(r.headers["Content-Length"]), 100 << 20)
        while data := r.read(1 << 20):
            digest.update(data)
            got += len(data)
            watch()
        self.assertEqual((got, digest.hexdigest()), (100 << 20, self.s.job(job)["sha256"]))
        print(f"\nstudiod: {idle:.1f} MiB idle, {peak:.1f} MiB at most during 100 MiB in and out")
        if not self.s.sanitized():
            self.assertLess(idle, 20)
            self.assertLess(peak, 40)

    def test_many_at_once(self):
        pairs = []
        for _ in range(8):
            w = Worker(self.s)
            job = self.s.image()
            until("a worker has it", lambda: self.s.job(job)["state"] == "offered")
            pairs.append((w, job))
        by_id = {w.id: w for w, _ in pairs}
        for w, job in pairs:
            claim = by_id[self.s.job(job)["workerId"]].accept()
            self.assertEqual(claim["jobId"], job)
            self.s.until_state(job, "claimed")
        answers = {}

        def deliver(w, job):
            data = job.encode() * 50000
            answers[job] = upload(self.s, w.id, w.token, job, [data], len(data))[0]

        threads = [threading.Thread(target=deliver, args=(by_id[self.s.job(job)["workerId"]], job)) for _, job in pairs]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(set(answers.values()), {200})
        for _, job in pairs:
            self.assertEqual(self.s.raw("GET", f"/jobs/{job}/result")[2], job.encode() * 50000)


if __name__ == "__main__":
    unittest.main()
