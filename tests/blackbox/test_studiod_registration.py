"""How studiod lets workers in: docs/protocol.md, section 2.

SPDX-License-Identifier: MIT"""

import secrets
import sqlite3
import unittest
import uuid

from studio import Socket, Studio, Worker, capabilities


class Registration(unittest.TestCase):
    def setUp(self):
        self.s = Studio()
        self.addCleanup(self.s.close)

    def decide(self, request, how="approve", body=None):
        return self.s.call("POST", f"/workers/pending/{request}/{how}", body if body is not None else {})

    def test_asked_again_is_the_same_request(self):
        request, _, install = self.s.ask()
        self.assertRegex(request, "^rr-")
        again, secret, _ = self.s.ask(install)
        self.assertEqual(request, again)
        self.assertNotEqual(self.s.ask()[0], request)
        self.assertEqual(len(self.s.get("/workers/pending")["requests"]), 2)
        # the newest secret counts
        self.assertEqual(self.s.poll(request, secret)[1], {"status": "pending"})

    def test_pending_shows_who_asks(self):
        request, _, install = self.s.ask()
        [entry] = self.s.get("/workers/pending")["requests"]
        self.assertEqual((entry["requestId"], entry["installId"], entry["peer"]), (request, install, "127.0.0.1"))
        self.assertEqual(entry["capabilities"]["machineName"], "test")
        self.assertNotIn("secret", str(entry).lower())

    def test_approval_and_a_token_a_poll(self):
        request, secret, _ = self.s.ask()
        status, answer = self.decide(request)
        self.assertEqual((status, answer["status"]), (200, "approved"))
        status, first = self.s.poll(request, secret)
        self.assertEqual((status, first["status"], first["workerId"]), (200, "approved", answer["workerId"]))
        _, second = self.s.poll(request, secret)
        self.assertNotEqual(first["authToken"], second["authToken"])
        self.assertEqual(first["workerId"], second["workerId"])
        Worker(self.s, (second["workerId"], second["authToken"])).close()
        stale = Socket(self.s, first["workerId"], first["authToken"])
        self.assertTrue(stale.status == 401 or stale.expect_close()[0] == 4001)
        self.assertEqual(self.s.get("/workers/pending")["requests"], [])

    def test_only_hashes_are_stored(self):
        request, secret, _ = self.s.ask()
        self.decide(request)
        _, answer = self.s.poll(request, secret)
        self.s.stop()
        db = sqlite3.connect(self.s.data + "/studio.db")
        dump = "\n".join(db.iterdump())
        db.close()
        self.assertIn(answer["workerId"], dump)
        for text in (secret, answer["authToken"], self.s.token):
            self.assertNotIn(text, dump)
            self.assertFalse(self.s.log_has(text))

    def test_wrong_secret_and_unknown_request(self):
        request, _, _ = self.s.ask()
        self.assertEqual(self.s.poll(request, secrets.token_hex(32))[0], 401)
        self.assertEqual(self.s.poll(request, "")[0], 401)
        self.assertEqual(self.s.poll("rr-unknown", secrets.token_hex(32))[0], 404)

    def test_rejection(self):
        request, secret, _ = self.s.ask()
        for body in ({}, {"reason": ""}, {"reason": 5}, {"reason": "x" * 1001}):
            status, answer = self.decide(request, "reject", body)
            self.assertEqual(status, 400)
            self.assertIn("reason", answer["message"])
        self.assertEqual(self.decide(request, "reject", {"reason": "no room"})[0], 200)
        self.assertEqual(self.s.poll(request, secret)[1], {"status": "rejected", "reason": "no room"})

    def test_decided_once(self):
        request, _, _ = self.s.ask()
        self.assertEqual(self.decide(request)[0], 200)
        self.assertEqual(self.decide(request)[0], 409)
        self.assertEqual(self.decide(request, "reject", {"reason": "r"})[0], 409)
        self.assertEqual(self.decide("rr-unknown")[0], 404)

    def test_the_same_install_keeps_its_worker(self):
        first, secret, install = self.s.ask()
        self.decide(first)
        _, a = self.s.poll(first, secret)
        second, secret2, _ = self.s.ask(install)
        self.assertNotEqual(first, second)
        self.decide(second)
        _, b = self.s.poll(second, secret2)
        self.assertEqual(a["workerId"], b["workerId"])
        self.assertEqual(len(self.s.get("/workers")["workers"]), 1)

    def test_bad_requests(self):
        good = {"installId": str(uuid.uuid4()), "registrationSecretHash": "0" * 64, "capabilities": capabilities()}
        for change in ({"installId": "x"}, {"installId": None}, {"registrationSecretHash": "zz"},
                       {"registrationSecretHash": None}, {"capabilities": []}, {"capabilities": None}):
            status, answer = self.s.call("POST", "/workers/register-request", {**good, **change}, token="")
            self.assertEqual(status, 400, change)
            self.assertIn(next(iter(change)), answer["message"])
        for raw in (b"", b"{", b"[]", b"\xff\xfe", b"[" * 100000, b'{"a":1,"a":2}'):
            self.assertEqual(self.s.call("POST", "/workers/register-request", raw, token="")[0], 400)

    def test_survives_a_crash(self):
        request, secret, install = self.s.ask()
        self.s.kill()
        self.s.start()
        self.assertEqual(self.s.poll(request, secret)[1], {"status": "pending"})
        self.decide(request)
        self.s.kill()
        self.s.start()
        _, answer = self.s.poll(request, secret)
        self.assertEqual(answer["status"], "approved")
        self.s.kill()
        self.s.start()
        Worker(self.s, (answer["workerId"], answer["authToken"]))


class RateLimit(unittest.TestCase):
    def ask(self, s, headers=None):
        body = {"installId": str(uuid.uuid4()), "registrationSecretHash": "0" * 64, "capabilities": capabilities()}
        return s.call("POST", "/workers/register-request", body, token="", headers=headers)

    def test_ten_a_minute(self):
        with Studio(register_per_minute=10) as s:
            self.assertEqual([self.ask(s)[0] for _ in range(12)], [200] * 10 + [429] * 2)
            self.assertEqual(self.ask(s, {"X-Forwarded-For": "192.0.2.7"})[0], 429)
            self.assertIn("minute", self.ask(s)[1]["message"])

    def test_behind_a_proxy_each_client_counts_for_itself(self):
        with Studio(register_per_minute=2, behind_proxy=True) as s:
            for client in ("192.0.2.1", "192.0.2.2"):
                spoofed = {"X-Forwarded-For": f"{secrets.token_hex(4)}, {client}"}
                self.assertEqual([self.ask(s, spoofed)[0] for _ in range(3)], [200, 200, 429])


if __name__ == "__main__":
    unittest.main()
