"""Protocol sections 1, 4 and 6: the real worker's session with a scripted studio.

SPDX-License-Identifier: MIT"""

import contextlib
import pathlib
import re
import signal
import socket
import time
import unittest

from peers import STALL, SUBPROTOCOL, TOKEN, WORKER_ID, Studio, Worker, llm, until

AUTH, FATAL = "auth failed: ", "fatal: "
ROOT = pathlib.Path(__file__).resolve().parents[2]


class Opening(unittest.TestCase):
    def test_upgrade_and_hello(self):
        with Studio() as studio, Worker(studio, vram_threshold_gb=7.5) as worker:
            session = studio.accept()
            connect = studio.connects[0]
            self.assertEqual((connect.worker_id, connect.token), (WORKER_ID, TOKEN))
            self.assertEqual(connect.headers["sec-websocket-protocol"], SUBPROTOCOL)
            hello = session.welcome()
            self.assertEqual(set(hello), {"type", "authToken", "capabilities"})
            self.assertEqual(hello["authToken"], TOKEN)
            c = hello["capabilities"]
            self.assertEqual((c["engine"], c["vramThresholdGb"], c["autoEnabled"]), ("multi", 7.5, True))
            self.assertEqual(c["supportedModels"], sorted(set(c["supportedModels"])))
            for kind in ("image", "llm", "stt", "tts", "video"):
                self.assertIn(f"synthetic-{kind}", c["supportedModels"])
            self.assertIn("synthetic", c["supportedModels"])
            self.assertEqual(set(c["taskKinds"]), {"image", "llm", "audio_stt", "audio_tts", "video"})
            self.assertEqual({m for models in c["supportedModelsPerKind"].values() for m in models}, set(c["supportedModels"]))
            self.assertNotIn(None, c.values())
            connecting = worker.wait_log("connecting to ")
            self.assertEqual(connecting["message"], f"connecting to {studio.base}")
            entry = worker.wait_log("advertising engine=multi")
            self.assertRegex(entry["message"], r"^advertising engine=multi, vram=[\d.]+/7\.5GB threshold, auto_enabled=true, "
                                               r"kinds=\[[^\]]*\], \d+ model\(s\)=\[[^\]]*\]$")
            self.assertEqual(entry["category"], "ws")
            self.assertEqual(worker.wait_log("server welcomed")["message"],
                             f"server welcomed {WORKER_ID} server_time=2026-01-02T03:04:05.678Z")

    def test_nothing_but_hello_before_welcome(self):
        with Studio() as studio, Worker(studio) as worker:
            session = studio.accept()
            session.expect("hello")
            session.offer(llm("early"))
            session.send({"type": "heartbeatAck"})
            session.send({"type": "completeAck", "jobId": "early"})
            self.assertEqual(worker.wait_log("before welcome: offer")["level"], "warn")
            worker.wait_log("server sent unexpected frame before welcome: heartbeatAck")
            worker.wait_log("server sent unexpected frame before welcome: completeAck")
            # Longer than a heartbeat and a log batch would take.
            self.assertEqual(session.observe(6), [])
            session.send({"type": "welcome", "workerId": WORKER_ID, "serverTime": "t"})
            session.expect("heartbeat", within=1)
            session.wait_log("before welcome: offer")
            session.run_llm("later")
            self.assertEqual([f["jobId"] for f in session.seen("accept")], ["later"])

    def test_heartbeats(self):
        with Studio() as studio, Worker(studio) as worker:
            session = studio.accept()
            session.welcome()
            welcomed = time.monotonic()
            first = session.expect("heartbeat")
            self.assertLess(first.at - welcomed, 0.5)
            self.assertEqual(set(first), {"type", "capabilities"})
            self.assertEqual(first["capabilities"]["autoEnabled"], True)
            # Edits and pause reach the studio on the next beat.
            worker.command("set-threshold", "3.5")
            worker.command("pause")
            second = session.expect("heartbeat")
            self.assertAlmostEqual(second.at - first.at, 5, delta=0.5)
            self.assertEqual(second["capabilities"]["vramThresholdGb"], 3.5)
            self.assertEqual(second["capabilities"]["autoEnabled"], False)
            worker.command("resume")
            third = session.expect("heartbeat")
            self.assertAlmostEqual(third.at - second.at, 5, delta=0.5)
            self.assertEqual(third["capabilities"]["autoEnabled"], True)
            session.wait_log("claiming paused by operator; new offers are rejected until resumed")
            session.wait_log("claiming resumed by operator; accepting new offers again")
            self.assertFalse(any("heartbeat" in e["message"].lower() for e in session.logs))

    def test_log_batches(self):
        with Studio() as studio, Worker(studio) as worker:
            session = studio.accept()
            session.welcome()
            session.run_llm("j-1")
            session.wait_log("studio confirmed completion of job j-1")
            for entry in session.logs:
                self.assertLessEqual(set(entry), {"ts", "level", "category", "message", "jobId"})
                self.assertRegex(entry["ts"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
                self.assertIn(entry["level"], ("info", "warn", "error"))
            self.assertEqual(session.wait_log("offer received j-1")["jobId"], "j-1")
            batches = session.seen("logBatch")
            for a, b in zip(batches, batches[1:]):
                self.assertGreater(b.at - a.at, 0.8)
            self.assertTrue(all(b["entries"] for b in batches))
            # What happened while there was no session comes first in the next.
            shipped = len(session.logs)
            self.assertGreater(shipped, 3)
            session.abort()
            session = studio.accept()
            session.welcome()
            session.wait_log("server welcomed")
            messages = [e["message"] for e in session.logs]
            lost = next(i for i, m in enumerate(messages) if "reconnect attempt 1 in 1000ms" in m)
            welcomed = next(i for i, m in enumerate(messages) if "server welcomed" in m)
            self.assertLess(lost, welcomed)
            times = [e["ts"] for e in session.logs]
            self.assertEqual(times, sorted(times))

    def test_threshold_above_the_memory(self):
        with Studio() as studio, Worker(studio, vram_threshold_gb=24, env={"STUDIO_WORKER_VRAM_GB": "8"}) as worker:
            c = studio.accept().welcome()["capabilities"]
            self.assertEqual((c["vramTotalGb"], c["vramThresholdGb"]), (8, 24))
            entry = until("the warning", lambda: next((e for e in worker.log if e["level"] == "warn"), None))
            self.assertIn("24", entry["message"])
            self.assertIn("8", entry["message"])
            self.assertEqual(entry["category"], "ws")

    def test_an_edited_config(self):
        with Studio() as studio, Studio() as other, Worker(studio) as worker:
            session = studio.accept()
            session.welcome()
            # A broken file changes nothing but the log.
            with open(worker.config, "a") as out:
                out.write("vram_threshold_gb = \n")
            worker.wait_log("config.toml")
            self.assertFalse(session.ended)
            session.run_llm("j")
            # Another studio: the session follows.
            worker.write_config(api_base_url=other.base, ws_reconnect_attempts=0)
            session = other.accept()
            session.welcome()
            session.run_llm("k")

    def test_never_ready_for_more(self):
        with Studio() as studio, Worker(studio):
            session = studio.accept()
            session.welcome()
            for n in range(5):
                session.run_llm(f"j-{n}")
            self.assertEqual(session.seen("readyForMore"), [])

    def test_features_only_when_announced(self):
        with Studio() as studio, Worker(studio):
            session = studio.accept()
            session.welcome()
            session.run_llm("j-1")
            session.wait_log("json result sent")
            for kind in ("features", "progress", "resume"):
                self.assertEqual(session.seen(kind), [])
            session.close(1000)
            session = studio.accept()
            session.welcome(features=["resume", "progress", "cancel", "time-travel"])
            self.assertLessEqual({"resume", "progress", "cancel"}, set(session.expect("features")["features"]))
            self.assertEqual(session.expect("resume")["jobs"], [])
            order = [f["type"] for f in session.frames]
            self.assertEqual(order.index("resume"), order.index("features") + 1)


class Ending(unittest.TestCase):
    def ended(self, worker, text):
        entry = worker.wait_log(text)
        self.assertEqual(entry["level"], "error")
        code = worker.wait_exit()
        self.assertGreater(code, 0)
        return code

    def test_auth_failures(self):
        def close(session):
            session.close(4001, "bad token")

        def error(session):
            session.send({"type": "error", "code": "auth_failed", "message": "bad token"})
        for name, act, greet in (("close", close, False), ("close later", close, True), ("error", error, False), ("error later", error, True)):
            with self.subTest(name), Studio() as studio, Worker(studio) as worker:
                session = studio.accept()
                session.welcome() if greet else session.expect("hello")
                act(session)
                self.ended(worker, "auth failed: bad token. Re-register the worker.")
                self.assertEqual(len(studio.connects), 1)
        with self.subTest("upgrade"), Studio() as studio:
            studio.on_connect = [401]
            with Worker(studio) as worker:
                self.ended(worker, AUTH)
                worker.wait_log("Re-register the worker.")

    def test_fatal_endings(self):
        for code in (4003, 4004):
            with self.subTest(code), Studio() as studio, Worker(studio) as worker:
                session = studio.accept()
                session.welcome()
                session.close(code, "go away")
                self.ended(worker, FATAL)
                self.assertEqual(len(studio.connects), 1)
        for code in ("protocol_violation", "duplicate_worker", "worker_deleted", "internal_error"):
            with self.subTest(code), Studio() as studio, Worker(studio) as worker:
                session = studio.accept()
                session.welcome()
                session.send({"type": "error", "code": code, "message": "no more"})
                self.ended(worker, f"server error {code}: no more")
                worker.wait_log(FATAL)
        with self.subTest("before welcome"), Studio() as studio, Worker(studio) as worker:
            session = studio.accept()
            session.expect("hello")
            session.send({"type": "error", "code": "worker_deleted", "message": "gone"})
            self.ended(worker, "server error before welcome worker_deleted: gone")

    def test_exit_codes_of_error_frames(self):
        """A studio's own trouble does not take a worker off for good: 8 is none of the unit's RestartPreventExitStatus."""
        unit = (ROOT / "packaging/studio-worker.service").read_text()
        [prevented] = re.findall(r"^RestartPreventExitStatus=(.*)$", unit, re.M)
        expected = {"internal_error": 8, "protocol_violation": 8, "worker_deleted": 6, "duplicate_worker": 6, "auth_failed": 5}
        for code, exit_code in expected.items():
            with self.subTest(code), Studio() as studio, Worker(studio) as worker:
                session = studio.accept()
                session.welcome()
                session.send({"type": "error", "code": code, "message": "no"})
                self.assertEqual(worker.wait_exit(), exit_code)
                self.assertEqual(str(exit_code) in prevented.split(), exit_code != 8)

    def test_exit_codes_tell_apart(self):
        codes = {}
        for code in (4001, 4003):
            with Studio() as studio, Worker(studio) as worker:
                session = studio.accept()
                session.welcome()
                session.close(code)
                codes[code] = worker.wait_exit()
        with Studio() as studio:
            studio.on_connect = [500] * 9
            with Worker(studio, ws_reconnect_attempts=1) as worker:
                codes["exhausted"] = worker.wait_exit()
        self.assertEqual(len(set(codes.values())), 3, codes)
        self.assertNotIn(0, codes.values())

    def test_disconnects_reconnect(self):
        """Everything else that ends a socket is followed by another one."""
        endings = {
            "close 1000": lambda s: s.close(1000, "bye"),
            "close 1001": lambda s: s.close(1001),
            "close 1011": lambda s: s.close(1011),
            "close 4002": lambda s: s.close(4002, "violation"),
            "close 4999": lambda s: s.close(4999),
            "close without a code": lambda s: s.frame(8, b""),
            "reset": lambda s: s.abort(),
            "an unknown error code": lambda s: s.send({"type": "error", "code": "new_trouble", "message": "m"}),
        }
        with Studio() as studio, Worker(studio) as worker:
            for name, end in endings.items():
                with self.subTest(name):
                    session = studio.accept()
                    session.welcome()
                    session.expect("heartbeat")
                    mark = len(worker.log)
                    begin = time.monotonic()
                    end(session)
                    entry = worker.wait_log("reconnect attempt 1 in 1000ms", after=mark)
                    self.assertEqual(entry["level"], "warn")
                    self.assertRegex(entry["message"], r"^(disconnected|session error: .+); reconnect attempt 1 in 1000ms$")
                    until("another socket", lambda: len(studio.sessions) > studio.counters["socket"])
                    self.assertAlmostEqual(studio.sessions[-1].at - begin, 1, delta=0.5)
            studio.accept().welcome()

    def test_normal_shutdown(self):
        with Studio() as studio, Worker(studio) as worker:
            session = studio.accept()
            session.welcome()
            session.expect("heartbeat")
            code, seconds = worker.stop()
            self.assertEqual(code, 0)
            self.assertLess(seconds, 0.25)
            self.assertEqual(session.wait_end(), 1000)
            self.assertEqual(session.close_reason, "session ended")


class Backoff(unittest.TestCase):
    def test_steps_and_giving_up(self):
        with Studio() as studio:
            studio.on_connect = [503] * 9
            with Worker(studio, ws_reconnect_attempts=2) as worker:
                self.assertGreater(worker.wait_exit(), 0)
                times = [c.at for c in studio.connects]
                self.assertEqual(len(times), 3)
                self.assertAlmostEqual(times[1] - times[0], 1, delta=0.4)
                self.assertAlmostEqual(times[2] - times[1], 2, delta=0.4)
                failed = worker.wait_log("connect failed: ")
                self.assertEqual(failed["level"], "warn")
                self.assertIn("503", failed["message"])
                worker.wait_log("disconnected; reconnect attempt 1 in 1000ms")
                worker.wait_log("disconnected; reconnect attempt 2 in 2000ms")
                self.assertEqual(worker.wait_log("giving up after 2 reconnect attempts")["level"], "error")

    def test_welcome_resets(self):
        with Studio() as studio:
            studio.on_connect = [500, 101, 101]
            with Worker(studio, ws_reconnect_attempts=2) as worker:
                studio.accept().abort()  # no welcome: the second failure
                worker.wait_log("reconnect attempt 2 in 2000ms")
                session = studio.accept()
                session.welcome()
                session.expect("heartbeat")
                mark = len(worker.log)
                session.abort()
                worker.wait_log("reconnect attempt 1 in 1000ms", after=mark)

    def test_nobody_listens(self):
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        with Worker(base=f"http://127.0.0.1:{port}/", ws_reconnect_attempts=1) as worker:
            self.assertGreater(worker.wait_exit(), 0)
            self.assertIn(f"127.0.0.1 port {port}", worker.wait_log("connect failed: ")["message"])

    def test_bad_scheme(self):
        with Worker(base="ftp://127.0.0.1/", ws_reconnect_attempts=1) as worker:
            self.assertGreater(worker.wait_exit(), 0)
            worker.wait_log("connect failed: ")

    def test_redirects_are_not_followed(self):
        with Studio() as studio:
            studio.on_connect = [302, 200]
            with Worker(studio) as worker:
                worker.wait_log("connect failed: ")
                studio.accept().welcome()
                self.assertEqual(len(studio.connects), 3)


class Shutdown(unittest.TestCase):
    """SIGTERM ends the worker within 250 ms, whatever it is doing."""

    def ends(self, worker):
        code, seconds = worker.stop()
        self.assertEqual(code, 0)
        self.assertLess(seconds, 0.25)

    def test_while_connecting(self):
        with Studio() as studio:
            studio.on_connect = [STALL]
            with Worker(studio) as worker:
                studio.next_connect()
                self.ends(worker)

    def test_while_greeting(self):
        with Studio() as studio, Worker(studio) as worker:
            studio.accept().expect("hello")
            self.ends(worker)

    def test_while_backing_off(self):
        with Studio() as studio:
            studio.on_connect = [500] * 9
            with Worker(studio) as worker:
                worker.wait_log("reconnect attempt 2 in 2000ms")
                self.ends(worker)

    def test_while_asking_to_be_let_in(self):
        with Studio() as studio:
            studio.on_register = [lambda r: (studio.released.wait(10), (500, None))[1]]
            with Worker(studio, approved=False) as worker:
                worker.wait_log("waiting for operator approval")
                self.ends(worker)

    def test_while_serving_a_frozen_peer(self):
        with Studio() as studio, Worker(studio) as worker:
            session = studio.accept()
            session.welcome()
            session.expect("heartbeat")
            session.freeze()
            self.ends(worker)

    def test_sigint_and_twice(self):
        with Studio() as studio, Worker(studio) as worker:
            studio.accept().welcome()
            worker.process.send_signal(signal.SIGINT)
            with contextlib.suppress(ProcessLookupError):
                worker.process.send_signal(signal.SIGTERM)
            self.assertEqual(worker.wait_exit(), 0)


if __name__ == "__main__":
    unittest.main()
