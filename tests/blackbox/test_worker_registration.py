"""Protocol section 2, and what the owner sees of it: the real worker against a scripted studio.

SPDX-License-Identifier: MIT"""

import hashlib
import os
import pathlib
import re
import stat
import threading
import unittest

from peers import DROP, PATIENCE, Studio, Worker, until

APPROVED = (200, {"status": "approved", "workerId": "wk-9", "authToken": "fresh-token"})
PENDING = (200, {"status": "pending"})
REJECTED = (200, {"status": "rejected", "reason": "unknown machine"})
CAPABILITIES = {"machineName": str, "username": str, "agentVersion": str, "engine": str, "vramTotalGb": (int, float),
                "vramThresholdGb": (int, float), "autoEnabled": bool, "autoStart": bool, "supportedModels": list,
                "taskKinds": list, "supportedModelsPerKind": dict, "autoUpdate": bool, "startMinimised": bool,
                "onlyWhenIdle": bool}


class Registration(unittest.TestCase):
    def test_from_nothing_to_a_session(self):
        with Studio() as studio:
            studio.on_poll = [PENDING, PENDING, APPROVED]
            with Worker(studio, approved=False) as worker:
                request = studio.next_register()
                body = request.body
                self.assertEqual(set(body), {"installId", "registrationSecretHash", "capabilities", "userAgent"})
                self.assertRegex(body["installId"], r"^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$")
                self.assertRegex(body["registrationSecretHash"], r"^[0-9a-f]{64}$")
                self.assertRegex(body["userAgent"], r"^studio-worker/\d+\.\d+")
                self.assertNotIn("Authorization", request.headers)
                poll = studio.next_poll()
                self.assertEqual(poll.request_id, "rr-1")
                self.assertRegex(poll.secret, r"^[0-9a-f]{64}$")
                self.assertEqual(hashlib.sha256(poll.secret.encode()).hexdigest(), body["registrationSecretHash"])
                session = studio.accept()
                self.assertEqual(session.worker_id, "wk-9")
                self.assertEqual(studio.connects[0].token, "fresh-token")
                self.assertEqual(session.welcome()["authToken"], "fresh-token")
                self.assertEqual(len(studio.registrations), 1)
                identity = worker.identity()
                self.assertEqual((identity["worker_id"], identity["auth_token"]), ("wk-9", "fresh-token"))
                self.assertEqual(identity["install_id"], body["installId"])
                self.assertNotIn(poll.secret, str(identity))
                self.assertNotIn("rr-1", str(identity))
                self.assertEqual(stat.S_IMODE(os.stat(worker.identity_path).st_mode), 0o600)

    def test_capabilities_of_the_request(self):
        with Studio() as studio, Worker(studio, approved=False):
            capabilities = studio.next_register().body["capabilities"]
            for name, kind in CAPABILITIES.items():
                self.assertIsInstance(capabilities[name], kind, name)
            self.assertLessEqual(set(capabilities) - set(CAPABILITIES), {"userPresence"})

    def test_secret_is_on_disk_before_the_request(self):
        with Studio() as studio:
            seen = []
            worker = Worker(studio, approved=False, start=False)
            studio.on_register = [lambda r: (seen.append(worker.identity()), (500, None))[1]]
            with worker:
                worker.start()
                request = studio.next_register()
                secret = next(v for v in seen[0].values() if re.fullmatch("[0-9a-f]{64}", v))
                self.assertEqual(hashlib.sha256(secret.encode()).hexdigest(), request.body["registrationSecretHash"])
                # A studio in trouble changes nothing: the same request again.
                self.assertEqual(studio.next_register().body["registrationSecretHash"], request.body["registrationSecretHash"])

    def test_killed_at_every_step(self):
        with Studio() as studio:
            worker = Worker(studio, approved=False, start=False)
            with worker:
                # While the request is unanswered.
                arrived, go = threading.Event(), threading.Event()
                studio.on_register = [lambda r: (arrived.set(), go.wait(PATIENCE), (200, {"requestId": "rr-1", "status": "pending"}))[2]]
                worker.start()
                self.assertTrue(arrived.wait(PATIENCE))
                worker.kill()
                go.set()
                # While pending.
                worker.start()
                studio.next_register()
                again = studio.next_register()
                self.assertEqual(studio.registrations[0].body["installId"], again.body["installId"])
                self.assertEqual(studio.registrations[0].body["registrationSecretHash"], again.body["registrationSecretHash"])
                secret = studio.next_poll().secret
                worker.kill()
                # Between the approval and its saving: asked again, the studio mints another token.
                arrived, go = threading.Event(), threading.Event()
                studio.on_poll = [lambda r: (arrived.set(), go.wait(PATIENCE), APPROVED)[2],
                                  lambda r: (200, {"status": "approved", "workerId": "wk-9", "authToken": "second-token"})]
                worker.start()
                self.assertTrue(arrived.wait(PATIENCE))
                worker.kill()
                go.set()
                worker.start()
                session = studio.accept()
                self.assertEqual(session.welcome()["authToken"], "second-token")
                self.assertEqual({p.secret for p in studio.polls}, {secret})
                self.assertEqual(len(studio.registrations), 2)

    def test_rejected(self):
        with Studio() as studio:
            studio.on_poll = [REJECTED]
            with Worker(studio, approved=False) as worker:
                until("the rejection on disk", lambda: "unknown machine" in str(worker.identity()))
                status = worker.status()
                self.assertIn("rejected", str(status))
                self.assertIn("unknown machine", str(status))
                secret = studio.polls[0].secret
                self.assertNotIn(secret, str(worker.identity()))
                # Not again by itself, not even after a restart.
                code, _ = worker.stop()
                self.assertEqual(code, 0)
                worker.start()
                worker.wait_log("waiting for operator approval")
                self.assertIn("unknown machine", str(worker.status()))
                self.assertIsNone(worker.process.poll())
                self.assertEqual(len(studio.registrations), 1)
                # Until the owner says so.
                install = worker.identity()["install_id"]
                worker.command("register", "--reset")
                request = studio.next_register()
                request = studio.next_register()
                self.assertNotEqual(request.body["registrationSecretHash"], studio.registrations[0].body["registrationSecretHash"])
                self.assertNotEqual(request.body["installId"], install)

    def test_a_production_config_is_imported(self):
        for mode in (0o644, 0o600):
            with self.subTest(mode=mode), Studio() as studio:
                worker = Worker(studio, approved=False, start=False)
                with worker:
                    worker.write_config(api_base_url=studio.base, ws_reconnect_attempts=0, worker_id="wk-7",
                                        auth_token="old-token")
                    os.chmod(worker.config, mode)
                    before = pathlib.Path(worker.config).read_text()
                    worker.start()
                    session = studio.accept()
                    self.assertEqual((session.worker_id, session.welcome()["authToken"]), ("wk-7", "old-token"))
                    self.assertEqual(worker.identity()["auth_token"], "old-token")
                    self.assertEqual(stat.S_IMODE(os.stat(worker.identity_path).st_mode), 0o600)
                    self.assertEqual(pathlib.Path(worker.config).read_text(), before)
                    warnings = [line for line in worker.lines() if "chmod 600" in line]
                    self.assertEqual(len(warnings), 1 if mode == 0o644 else 0)
                    self.assertNotIn("old-token", "\n".join(worker.lines()))

    def test_stale_request(self):
        for status in (404, 401):
            with self.subTest(status), Studio() as studio:
                studio.on_poll = [(status, {"error": "unknown"}), APPROVED]
                studio.on_register = [(200, {"requestId": "rr-1", "status": "pending"}), (200, {"requestId": "rr-2", "status": "pending"})]
                with Worker(studio, approved=False):
                    first, second = studio.next_register(), studio.next_register()
                    self.assertEqual(first.body["installId"], second.body["installId"])
                    self.assertNotEqual(first.body["registrationSecretHash"], second.body["registrationSecretHash"])
                    studio.next_poll()
                    self.assertEqual(studio.next_poll().request_id, "rr-2")
                    studio.accept().welcome()

    def test_trouble_while_polling_changes_nothing(self):
        with Studio() as studio:
            studio.on_poll = [(500, None), (429, None), (DROP, None), (200, b"not json"), (200, {"status": "odd"}),
                              (200, {"status": "approved"}), (302, None), APPROVED]
            with Worker(studio, approved=False):
                studio.accept().welcome()
                self.assertEqual(len(studio.registrations), 1)
                self.assertEqual(len({p.secret for p in studio.polls}), 1)
                self.assertEqual({p.request_id for p in studio.polls}, {"rr-1"})

    def test_trouble_while_asking(self):
        with Studio() as studio:
            studio.on_register = [(500, None), (429, None), (200, b"x" * 200000), (200, {}), (200, {"requestId": 7}),
                                  (200, {"requestId": "rr-5", "status": "pending"})]
            with Worker(studio, approved=False):
                self.assertEqual(studio.next_poll().request_id, "rr-5")
                self.assertEqual(len({r.body["registrationSecretHash"] for r in studio.registrations}), 1)

    def test_one_exchange_a_tick(self):
        with Studio() as studio, Worker(studio, approved=False, poll_ms=400):
            studio.next_register()
            times = [studio.registrations[0].at] + [studio.next_poll().at for _ in range(3)]
            for a, b in zip(times, times[1:]):
                self.assertGreater(b - a, 0.3)
                self.assertLess(b - a, 2)

    def test_request_id_is_no_path(self):
        with Studio() as studio:
            studio.on_register = [(200, {"requestId": "../../x?y#z", "status": "pending"})]
            with Worker(studio, approved=False):
                self.assertEqual(studio.next_poll().request_id, "../../x?y#z")
                self.assertEqual(studio.strays, [])

    def test_mount_path(self):
        for tail in ("", "/", "/graphics/api", "/graphics/api/", "/?a=b#c"):
            with self.subTest(tail), Studio(mount="/custom") as studio:
                with Worker(base=studio.base.rstrip("/") + tail, approved=False):
                    studio.next_register()
                    self.assertEqual(studio.strays, [])

    def test_waiting_is_said_once_and_ends_at_once(self):
        with Studio() as studio, Worker(studio, approved=False) as worker:
            entry = worker.wait_log("waiting for operator approval before opening the session")
            self.assertEqual((entry["level"], entry["category"]), ("info", "ws"))
            studio.next_poll()
            code, seconds = worker.stop()
            self.assertEqual(code, 0)
            self.assertLess(seconds, 0.25)
            self.assertEqual(sum("waiting for operator approval" in line for line in worker.lines()), 1)

    def test_secrets_are_in_no_log(self):
        with Studio() as studio:
            studio.on_poll = [PENDING, APPROVED]
            with Worker(studio, approved=False, args=["--log-level", "debug"]) as worker:
                session = studio.accept()
                session.welcome()
                session.wait_log("server welcomed")
                worker.stop()
                text = "\n".join(worker.lines()) + str(session.logs)
                self.assertNotIn("fresh-token", text)
                self.assertNotIn(studio.polls[0].secret, text)


if __name__ == "__main__":
    unittest.main()
