"""The commands of studio-worker as their owner meets them: help, hints, exit codes, config.toml, status, lock.

SPDX-License-Identifier: MIT"""

import json
import os
import pathlib
import signal
import socket
import stat
import subprocess
import tempfile
import time
import unittest
import unittest.mock

from peers import INSTALL_ID, TOKEN, WORKER, WORKER_ID, Studio, Worker, llm, tts, until

COMMANDS = ["run", "status", "pause", "resume", "register", "config", "set-threshold", "models", "engines", "version", "help"]


def call(*args, config=None, env=None, cwd=None):
    words = [WORKER, *(["--config", str(config)] if config else []), *args]
    return subprocess.run(words, capture_output=True, text=True, timeout=30, env=env, cwd=cwd, stdin=subprocess.DEVNULL)


class Folder(unittest.TestCase):
    def setUp(self):
        self.temp = tempfile.TemporaryDirectory()
        self.addCleanup(self.temp.cleanup)
        self.folder = pathlib.Path(self.temp.name)
        self.config = self.folder / "config.toml"

    def call(self, *args, code=0, **more):
        done = call(*args, config=self.config, **more)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done


class Help(Folder):
    def test_every_help_fits_a_screen(self):
        texts = [call("help").stdout] + [call(c, "--help").stdout for c in COMMANDS if c != "help"]
        for text in texts:
            self.assertIn("usage: studio-worker", text)
            lines = text.splitlines()
            self.assertLessEqual(len(lines), 24, text)
            self.assertLessEqual(max(map(len, lines)), 80, text)

    def test_help_of_a_command_both_ways(self):
        for c in COMMANDS:
            self.assertEqual(call("help", c).stdout, call(c, "--help").stdout)
            self.assertEqual(call(c, "-h").returncode, 0)

    def test_overview_names_every_command(self):
        text = call("--help").stdout
        for c in COMMANDS:
            self.assertIn(f"  {c} ", text)

    def test_version(self):
        for words in (["version"], ["--version"], ["-V"]):
            self.assertRegex(call(*words).stdout, r"^studio-worker \d+\.\d+\.\d+\n$")

    def test_mistakes_get_a_hint_and_exit_2(self):
        for words, hint in [
            (["statsu"], "did you mean status?"),
            (["set-treshold", "3"], "did you mean set-threshold?"),
            (["nonsense"], "studio-worker help"),
            (["run", "--wait-for-lok"], "did you mean --wait-for-lock?"),
            (["run", "--log-format", "xml"], "human, json or auto"),
            (["run", "--log-level", "loud"], "--log-level"),
            (["run", "--log-level"], "needs a value"),
            (["run", "extra"], "unexpected argument extra"),
            (["status", "--jsn"], "did you mean --json?"),
            (["status", "--json=yes"], "takes no value"),
            (["register", "--api-base-url", "ftp://x/"], "--api-base-url"),
            (["register", "--api-base-url"], "needs a value"),
            (["set-threshold"], "usage: studio-worker set-threshold GB"),
            (["set-threshold", "much"], "must be a number"),
            (["set-threshold", "-1"], "must be between"),
            (["--bogus"], "--bogus"),
        ]:
            done = self.call(*words, code=2)
            self.assertIn(hint, done.stderr)
            self.assertEqual(done.stdout, "")
        self.assertIn("--config needs", call("status", "--config").stderr)
        self.assertFalse(self.config.exists())

    def test_config_may_stand_before_or_after_the_command(self):
        for words in (["--config", str(self.config), "config"], ["config", "--config", str(self.config)],
                      ["config", f"--config={self.config}"]):
            self.assertIn(str(self.config), call(*words).stdout)

    def test_engines_lists_what_is_there(self):
        self.assertIn("synthetic    ready", self.call("engines").stdout)


class Config(Folder):
    def test_set_threshold_changes_one_value(self):
        self.config.write_bytes(b"# mine\r\nvram_threshold_gb = 4 # small\r\nfuture = 1\r\n")
        os.chmod(self.config, 0o640)
        self.call("set-threshold", "8.5")
        self.assertEqual(self.config.read_bytes(), b"# mine\r\nvram_threshold_gb = 8.5 # small\r\nfuture = 1\r\n")
        self.assertEqual(stat.S_IMODE(self.config.stat().st_mode), 0o640)

    def test_a_broken_file_is_named_with_its_line_and_left_alone(self):
        text = 'auto_start = true\nauth_token = "hunter2\n'
        self.config.write_text(text)
        for words in (["run"], ["config"], ["status"], ["set-threshold", "3"], ["register", "--reset"]):
            done = self.call(*words, code=3)
            self.assertIn(f"{self.config}:2:", done.stderr)
            self.assertNotIn("hunter2", done.stdout + done.stderr)
        self.assertEqual(self.config.read_text(), text)

    def test_a_named_file_that_is_missing_is_an_error_of_run(self):
        missing = self.folder / "a" / "config.toml"
        done = call("run", config=missing)
        self.assertEqual(done.returncode, 3)
        self.assertIn(f"--config {missing} register --api-base-url", done.stderr)
        self.assertFalse(missing.parent.exists())
        self.assertEqual(call("register", "--api-base-url", "http://127.0.0.1:1/", config=missing).returncode, 0)
        self.assertIn("127.0.0.1:1", missing.read_text())

    def test_a_wrong_type_is_named(self):
        self.config.write_text('\n\nauto_start = "secret"\n')
        done = self.call("config", code=3)
        self.assertIn(f"{self.config}:3: auto_start must be true or false", done.stderr)
        self.assertNotIn("secret", done.stderr)

    def test_config_prints_every_option(self):
        self.config.write_text("vram_threshold_gb = 3\n")
        text = self.call("config").stdout
        for key in ("api_base_url", "auto_start", "start_minimised", "only_when_idle", "auto_update_enabled",
                    "auto_update_interval_secs", "auto_update_feed", "auto_update_prerelease", "models_root",
                    "ws_reconnect_attempts", "local_api_port", "models_quota_gb", "download_limit_mbps", "allow_hosts",
                    "engine_idle_secs", "vram_margin_gb", "llama_server_path", "onnxruntime_path"):
            self.assertIn(f"\n{key} = ", text)
        self.assertIn("vram_threshold_gb = 3.0", text)
        self.assertIn("(default 12.0)", text)

    def test_the_production_config_is_used_as_it_is(self):
        folder = self.folder / "minis-studio-worker"
        folder.mkdir()
        (folder / "config.toml").write_text('api_base_url = "http://127.0.0.1:1/"\nworker_id = "w-7"\n'
                                            'auth_token = "t"\nauto_start = true\nvram_threshold_gb = 6.0\n')
        env = {**os.environ, "XDG_CONFIG_HOME": str(self.folder)}
        status = json.loads(call("status", "--json", env=env).stdout)
        self.assertEqual(status["configPath"], str(folder / "config.toml"))
        self.assertEqual(status["registration"], {"state": "approved", "detail": "w-7"})
        self.assertEqual(status["vramThresholdGb"], 6.0)


class Offline(Folder):
    def test_status_from_disk(self):
        status = json.loads(self.call("status", "--json").stdout)
        self.assertEqual(status["running"], False)
        self.assertEqual(status["registration"], {"state": "pristine"})
        self.assertEqual((status["jobs"], status["outbox"], status["currentJob"]), ([], 0, None))
        self.assertIn("not running", self.call("status").stdout)

    def test_pause_and_resume_without_a_daemon(self):
        for c in ("pause", "resume"):
            self.assertIn("no daemon runs", self.call(c, code=4).stderr)

    def test_reset_clears_a_production_config(self):
        self.config.write_text(f'# keep\nworker_id = "w"\nauth_token = "t"\ninstall_id = "{INSTALL_ID}"\n'
                               'registration_request_id = "r"\nregistration_secret = "s"\nauto_start = false\n')
        self.call("register", "--reset")
        self.assertEqual(self.config.read_text(), "# keep\nauto_start = false\n")
        self.assertEqual(json.loads((self.folder / "identity.json").read_text()), {})

    def test_what_a_studio_said_does_not_drive_the_terminal(self):
        (self.folder / "identity.json").write_text(json.dumps({"registration_rejected_reason": "no\x1b[2J\u009b1m"}))
        for words in (["register"], ["status"], ["status", "--json"]):
            text = self.call(*words).stdout
            self.assertIn("rejected", text)
            self.assertNotIn("\x1b", text)
            self.assertNotIn("\x9b", text)

    def test_a_stale_socket_is_no_daemon(self):
        (self.folder / "state").mkdir()
        with socket.socket(socket.AF_UNIX) as s:
            s.bind(str(self.folder / "state/control.sock"))
        self.assertIn("no daemon runs", self.call("pause", code=4).stderr)
        self.assertFalse(json.loads(self.call("status", "--json").stdout)["running"])


class Daemon(unittest.TestCase):
    def test_status_tells_what_happens(self):
        with Studio() as studio, Worker(studio) as worker:
            session = studio.accept()
            session.welcome()
            session.run_llm("j-1")
            status = until("the job in status", lambda: (s := worker.status()) and s["jobs"] and s)
            self.assertTrue(status["running"])
            self.assertEqual(status["pid"], worker.process.pid)
            self.assertEqual(status["registration"], {"state": "approved", "detail": WORKER_ID})
            self.assertEqual(status["session"]["state"], "serving")
            self.assertEqual(status["jobs"][-1]["jobId"], "j-1")
            until("a heartbeat in status", lambda: worker.status()["session"].get("lastHeartbeat"))
            text = worker.command("status").stdout
            for words in ("running, pid", "serving", WORKER_ID, "j-1", "synthetic"):
                self.assertIn(words, text)
            self.assertNotIn(TOKEN, text + json.dumps(status))
            sock = os.stat(os.path.join(os.path.dirname(worker.config), "state/control.sock"))
            self.assertEqual(stat.S_IMODE(sock.st_mode), 0o600)

    def test_a_config_broken_meanwhile_hinders_nobody(self):
        with Studio() as studio, Worker(studio) as worker:
            studio.accept().welcome()
            with open(worker.config, "a") as f:
                f.write("oops\n")
            worker.command("pause")
            done = worker.command("status", "--json")
            self.assertTrue(json.loads(done.stdout)["paused"])
            self.assertIn(worker.config, done.stderr)
            worker.command("resume")

    def test_history_outlives_the_daemon(self):
        with Studio() as studio, Worker(studio) as worker:
            session = studio.accept()
            session.welcome()
            session.run_llm("j-1")
            session.send({"type": "completeAck", "jobId": "j-1"})
            until("delivered", lambda: worker.status()["jobs"][-1]["state"] == "delivered")
            worker.stop()
            status = worker.status()
            self.assertFalse(status["running"])
            self.assertEqual([(j["jobId"], j["state"]) for j in status["jobs"]], [("j-1", "delivered")])

    def test_a_second_daemon_says_so_and_a_waiting_one_takes_over(self):
        with Studio() as studio, Worker(studio) as worker:
            studio.accept().welcome()
            second = worker.command("run")
            self.assertIn("another daemon", second.stderr)
            waiting = subprocess.Popen([WORKER, "--config", worker.config, "run", "--wait-for-lock"],
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=worker.env)
            try:
                worker.stop()
                studio.accept().welcome()
                until("the other pid", lambda: worker.status().get("pid") == waiting.pid)
            finally:
                waiting.terminate()
                self.assertEqual(waiting.wait(10), 0)

    def test_waiting_for_the_lock_ends_at_once(self):
        with Studio() as studio, Worker(studio) as worker:
            studio.accept().welcome()
            waiting = subprocess.Popen([WORKER, "--config", worker.config, "run", "--wait-for-lock"],
                                       stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=worker.env)
            self.addCleanup(waiting.stderr.close)
            self.assertIn(b"waiting for it to end", waiting.stderr.readline())
            begin = time.monotonic()
            waiting.send_signal(signal.SIGTERM)
            self.assertEqual(waiting.wait(10), 0)
            self.assertLess(time.monotonic() - begin, 0.25)

    def test_a_folder_with_a_long_path(self):
        with tempfile.TemporaryDirectory() as base, Studio() as studio:
            deep = os.path.join(base, "d" * 100, "e" * 100)
            os.makedirs(deep)
            with unittest.mock.patch("tempfile.tempdir", deep), Worker(studio) as worker:
                studio.accept().welcome()
                until("the daemon answers", lambda: worker.status()["running"])

    def test_a_threshold_set_by_command_reaches_the_studio(self):
        with Studio() as studio, Worker(studio) as worker:
            session = studio.accept()
            session.welcome()
            worker.command("set-threshold", "3.5")
            until("the new threshold", lambda: any(
                f["capabilities"]["vramThresholdGb"] == 3.5 for f in session.frames if f["type"] == "heartbeat"))


class Trouble(unittest.TestCase):
    """`status` says why it does not work, and what to do."""

    def error(self, worker, of):
        return worker.status()[of].get("lastError", {}).get("text", "")

    def test_an_unreachable_studio(self):
        with Worker(base="http://127.0.0.1:1/") as worker:
            until("the cause", lambda: "connect failed: " in self.error(worker, "session"))
            text = worker.command("status").stdout
            self.assertIn("last error", text)
            self.assertIn("api_base_url", text)

    def test_a_registration_that_fails(self):
        with Worker(base="http://127.0.0.1:1/", approved=False) as worker:
            until("the cause", lambda: "asking to be let in failed: " in self.error(worker, "registration"))
            worker.stop()
            self.assertIn("asking to be let in failed: ", worker.command("status").stdout)
        with Studio() as studio:
            studio.on_register = [(503, None)]
            with Worker(studio, approved=False, poll_ms=2000) as worker:
                until("the cause", lambda: "answered 503" in self.error(worker, "registration"))
                until("its end", lambda: not self.error(worker, "registration"))
                until("the request", lambda: "request rr-1 waits" in worker.command("status").stdout)
                worker.stop()
                self.assertIn("request rr-1 waits", worker.command("status").stdout)

    def test_after_the_end(self):
        for code, message, exit_code, text, remedy in [
                ("auth_failed", "bad\x1b]0;x\x07 token", 5, "auth failed: bad ]0;x  token", "register --reset"),
                ("worker_deleted", "gone", 6, "worker_deleted: gone", "register --reset"),
                ("internal_error", "oops", 8, "internal_error: oops", "studio-worker run")]:
            with self.subTest(code), Studio() as studio, Worker(studio) as worker:
                session = studio.accept()
                session.welcome()
                session.send({"type": "error", "code": code, "message": message})
                self.assertEqual(worker.process.wait(10), exit_code)
                self.assertEqual(self.error(worker, "session"), text)
                shown = worker.command("status").stdout
                self.assertIn(text, shown)
                self.assertIn(remedy, shown)
                self.assertNotIn("start it with", shown)
                worker.command("register", "--reset")
                self.assertEqual(self.error(worker, "session"), "")
        with Worker(base="http://127.0.0.1:1/", ws_reconnect_attempts=1) as worker:
            self.assertEqual(worker.process.wait(20), 7)
            self.assertIn("gave up after 1 attempts: connect failed: ", worker.command("status").stdout)

    def test_the_job_that_runs_fits_the_screen(self):
        with Studio() as studio, Worker(studio, gate=True) as worker:
            session = studio.accept()
            session.welcome()
            job = "job-" + "0123456789abcdef" * 2
            session.offer(tts(job, "one two three", engine="espeak-ng"))
            worker.gate.wait_runs(1)
            self.assertEqual(until("the job", lambda: worker.status()["currentJob"])["jobId"], job)
            text = worker.command("status").stdout
            self.assertIn(f"current job   {job}", text)
            self.assertLessEqual(max(map(len, text.splitlines())), 80, text)
            worker.gate.open()

    def test_a_result_in_the_outbox_does_not_run(self):
        with Studio() as studio, Worker(studio) as worker:
            session = studio.accept()
            session.welcome()
            session.offer(llm("j-1", "hello"))
            session.expect("completeJson", jobId="j-1")
            until("the result waits", lambda: worker.status()["outbox"] == 1)
            self.assertIsNone(worker.status()["currentJob"])
            self.assertLessEqual(max(map(len, worker.command("status").stdout.splitlines())), 80)
            worker.stop()
            self.assertEqual(worker.status()["outbox"], 1)


if __name__ == "__main__":
    unittest.main()
