"""The session rules of docs/protocol.md, sections 1, 4 and 6, against studiod.

SPDX-License-Identifier: MIT"""

import json
import time
import unittest

from studio import Closed, Socket, Studio, Worker, capabilities, until


class Session(unittest.TestCase):
    def setUp(self):
        self.s = Studio(idle_ms=2000, hello_ms=1500)
        self.addCleanup(self.s.close)

    def test_welcome(self):
        w = Worker(self.s)
        self.assertEqual(w.welcome["workerId"], w.id)
        self.assertRegex(w.welcome["serverTime"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
        self.assertLessEqual({"progress", "cancel", "resume"}, set(w.welcome["features"]))
        w.beat()
        self.assertEqual(w.receive()["type"], "heartbeatAck")

    def test_upgrade_refusals(self):
        wid, token = self.s.admit()
        self.assertEqual(Socket(self.s, wid, "").status, 401)
        self.assertNotEqual(Socket(self.s, wid, token, subprotocol=None).status, 101)
        self.assertNotEqual(Socket(self.s, wid, token, subprotocol="other").status, 101)

    def assert_auth_failed(self, socket):
        if socket.status in (400, 401, 404):  # no path that means a worker
            return
        code, frames = socket.expect_close()
        self.assertEqual(code, 4001)
        self.assertEqual([f["code"] for f in frames], ["auth_failed"])

    def test_wrong_token(self):
        wid, token = self.s.admit()
        for worker_id, secret in ((wid, "x" * 64), ("wk-unknown", token), ("%00", token), ("..%2f..", token)):
            with self.subTest(worker_id):
                self.assert_auth_failed(Socket(self.s, worker_id, secret))

    def test_hello_with_another_token(self):
        w = Worker(self.s, hello=False)
        w.send("hello", authToken="y" * 64, capabilities=capabilities())
        self.assert_auth_failed(w)

    def test_nothing_before_hello(self):
        for kind, fields in (("heartbeat", {"capabilities": capabilities()}), ("accept", {"jobId": "j"}),
                             ("logBatch", {"entries": []}), ("readyForMore", {})):
            with self.subTest(kind):
                w = Worker(self.s, hello=False)
                w.send(kind, **fields)
                code, frames = w.expect_close()
                self.assertEqual(code, 4002)
                self.assertEqual([f["code"] for f in frames], ["protocol_violation"])

    def test_who_says_no_hello_is_closed(self):
        w = Worker(self.s, hello=False)
        self.assertEqual(w.expect_close(5)[0], 4002)

    def test_no_offer_before_hello(self):
        self.s.submit()
        w = Worker(self.s, hello=False)
        self.assertTrue(w.quiet(0.5))

    def test_the_older_socket_of_a_worker_goes(self):
        old = Worker(self.s)
        new = Worker(self.s, old.credentials)
        code, frames = old.expect_close()
        self.assertEqual(code, 4003)
        self.assertEqual([f["code"] for f in frames if f["type"] == "error"], ["duplicate_worker"])
        new.beat()
        new.expect("heartbeatAck")

    def test_a_deleted_worker(self):
        w = Worker(self.s)
        job = self.s.submit()
        w.accept()
        self.s.until_state(job, "claimed")
        self.assertEqual(self.s.call("DELETE", f"/workers/{w.id}")[0], 200)
        code, frames = w.expect_close()
        self.assertEqual(code, 4004)
        self.assertEqual([f["code"] for f in frames if f["type"] == "error"], ["worker_deleted"])
        self.s.until_state(job, "queued")
        self.assert_auth_failed(Socket(self.s, w.id, w.token))
        self.assertEqual(self.s.call("DELETE", f"/workers/{w.id}")[0], 404)

    def test_violations(self):
        for kind, fields in (
                ("accept", {"jobId": "nothing"}), ("completeJson", {"jobId": "nothing", "result": {}}),
                ("fail", {"jobId": "nothing", "error": "e", "retryable": True}), ("resume", {"jobs": []}),
                ("hello", {"authToken": "x", "capabilities": capabilities()}), ("unheardOf", {}),
                ("accept", {}), ("accept", {"jobId": 5}), ("heartbeat", {"capabilities": "x"})):
            with self.subTest(f"{kind} {fields}"):
                w = Worker(self.s)
                w.send(kind, **fields)
                code, frames = w.expect_close()
                self.assertEqual(code, 4002)
                self.assertEqual([f["code"] for f in frames if f["type"] == "error"], ["protocol_violation"])

    def test_a_silent_worker_is_closed_and_its_job_released(self):
        w = Worker(self.s)
        job = self.s.submit()
        w.accept()
        self.s.until_state(job, "claimed")
        began = time.monotonic()
        self.assertEqual(w.expect_close(6)[0], 1000)
        self.assertGreater(time.monotonic() - began, 1)
        self.s.until_state(job, "queued")

    def test_heartbeats_keep_it(self):
        w = Worker(self.s)
        for _ in range(5):
            time.sleep(0.6)
            w.beat()
            w.expect("heartbeatAck")

    def test_status_follows_the_worker(self):
        w = Worker(self.s, features=["progress", "cancel"])
        job = self.s.submit()
        w.accept()
        w.beat(vramThresholdGb=3.0)

        def status():
            [row] = self.s.get("/workers")["workers"]
            return row.get("status", {})

        until("the job shows", lambda: status().get("currentJob") == job)
        until("the features show", lambda: sorted(status().get("features", [])) == ["cancel", "progress"])
        until("the new threshold shows", lambda: status()["capabilities"]["vramThresholdGb"] == 3.0)
        w.close()
        until("it is gone", lambda: status().get("state", "gone") != "connected")
        [row] = self.s.get("/workers")["workers"]
        self.assertEqual(row["capabilities"]["machineName"], "test")

    def test_logs(self):
        w = Worker(self.s)
        entries = [{"ts": "2026-05-25T12:00:00.000Z", "level": "info", "category": "ws", "message": f"line {i} ü"} for i in range(30)]
        entries[3]["jobId"] = "job-x"
        w.send("logBatch", entries=entries)
        path = f"/workers/{w.id}/logs"
        until("the log arrives", lambda: len(self.s.get(path)["entries"]) == 30)
        page = self.s.get(path + "?limit=10")
        self.assertEqual([e["message"] for e in page["entries"]], [f"line {i} ü" for i in range(10)])
        self.assertEqual(page["entries"][3]["jobId"], "job-x")
        rest = self.s.get(f"{path}?after={page['next']}")
        self.assertEqual([e["message"] for e in rest["entries"]], [f"line {i} ü" for i in range(10, 30)])
        self.assertEqual(self.s.get(f"{path}?after={rest['next']}"), {"entries": [], "next": rest["next"]})
        self.assertEqual(self.s.call("GET", path + "?after=-1")[0], 400)

    def test_long_logs_are_cut_and_come_in_pages(self):
        w = Worker(self.s)
        line = {"ts": "2026-05-25T12:00:00.000Z", "level": "info", "category": "ws", "message": "x" * 10000}
        w.send("logBatch", entries=[line] * 300)
        w.send("logBatch", entries=[line] * 300)
        path = f"/workers/{w.id}/logs?limit=1000"
        until("the log arrives", lambda: self.s.get(path)["entries"])
        seen, after, pages = [], 0, 0
        while (page := self.s.get(f"{path}&after={after}"))["entries"]:
            self.assertLess(len(json.dumps(page)), 1200000)
            seen += [len(e["message"]) for e in page["entries"]]
            after, pages = page["next"], pages + 1
        self.assertEqual(set(seen), {4096})
        self.assertGreater(pages, 1)
        self.assertLess(len(seen), 300)  # the budget is a mebibyte at once

    def test_fragmented_text_and_ping(self):
        w = Worker(self.s)
        text = json.dumps({"type": "heartbeat", "capabilities": w.caps}).encode()
        w.expect("heartbeatAck")
        w.send_raw(1, text[:40], fin=False)
        w.send_raw(9, b"ping")
        w.send_raw(0, text[40:90], fin=False)
        w.send_raw(0, text[90:])
        self.assertEqual(w.expect("heartbeatAck")["type"], "heartbeatAck")

    def test_normal_close_is_answered(self):
        w = Worker(self.s)
        w.send_raw(8, b"\x03\xe8session ended")
        with self.assertRaises(Closed) as end:
            while True:
                w.receive()
        self.assertIn(end.exception.code, (1000, 1005))


if __name__ == "__main__":
    unittest.main()
