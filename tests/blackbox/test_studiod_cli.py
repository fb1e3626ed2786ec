"""studiod's command line: help, errors with remedies, exit codes, the data folder, and each command against a running studio.

SPDX-License-Identifier: MIT"""

import fcntl
import json
import os
import pathlib
import pty
import shutil
import signal
import sqlite3
import stat
import struct
import subprocess
import tempfile
import termios
import threading
import unittest

from studio import STUDIOD, Studio, Worker, until, upload

COMMANDS = ["serve", "workers", "approve", "reject", "submit", "jobs", "version", "help"]


def run(*args, **more):
    return subprocess.run([STUDIOD, *args], capture_output=True, text=True, timeout=60, **more)


class Usage(unittest.TestCase):
    def test_every_help_fits_a_screen(self):
        for args in [[], *[[c] for c in COMMANDS]]:
            r = run(*args, "--help")
            self.assertEqual(r.returncode, 0, args)
            lines = r.stdout.splitlines()
            self.assertLessEqual(len(lines), 24, args)
            self.assertLessEqual(max(map(len, lines)), 80, args)
            self.assertTrue(lines[0].startswith("usage: studiod"), args)
        for command in COMMANDS:
            self.assertEqual(run("help", command).stdout, run(command, "--help").stdout)

    def test_every_command_is_in_the_help(self):
        text = run("help").stdout
        for command in COMMANDS:
            self.assertIn(f"  {command} ", text)

    def test_wrong_usage_is_2_with_a_hint(self):
        for args, words in [
            (["--dta", "x", "serve"], ["--dta", "--data"]),
            (["servee"], ["servee", "did you mean serve?"]),
            (["serve", "--log-levle", "info"], ["did you mean --log-level?"]),
            (["serve", "now"], ["now"]),
            (["serve", "--log-level"], ["needs a value"]),
            (["jobs", "--json=yes"], ["takes no value"]),
            (["approve"], ["studiod workers"]),
            (["reject", "rr-1"], ["--reason"]),
            (["submit"], ["--model"]),
            (["submit", "--model", "m", "two", "words"], ["quotes"]),
            (["jobs", "--state", "a&b"], ["--state"]),
            (["frob"], ["unknown command frob\nTry"]),
            (["--listen", "foo", "serve"], ["listen", "127.0.0.1:8787"]),
            (["serve", "--listen", "127.0.0.1:99999"], ["listen"]),
            (["serve", "--log-level", "foo"], ["log_level"]),
            (["serve", "--log-format", "xml"], ["log_format", "json"]),
            (["jobs", "--limit", "0"], ["--limit", "200"]),
            (["jobs", "--limit", "many"], ["--limit"]),
            (["jobs", "--state", "bogus"], ["--state", "queued"]),
            (["jobs", "--kind", "x"], ["--kind", "audio_stt"]),
            (["submit", "--model", "m", "--kind", "x"], ["--kind", "audio_stt"]),
            (["--config", "/nonexistent/config.toml", "jobs"], ["/nonexistent/config.toml"]),
        ]:
            r = run(*args)
            self.assertEqual(r.returncode, 2, args)
            for word in words:
                self.assertIn(word, r.stderr, args)

    def test_bare_studiod_prints_the_help(self):
        r = run()
        self.assertEqual((r.returncode, r.stdout, r.stderr), (0, run("--help").stdout, ""))

    def test_global_options_stand_before_or_after_the_command(self):
        with tempfile.TemporaryDirectory() as data:
            for args in (["--data", data, "jobs"], ["jobs", "--data", data], ["jobs", f"--data={data}"]):
                self.assertIn(data, run(*args).stderr)

    @unittest.skipUnless(os.geteuid() == 0 and shutil.which("setpriv"), "needs root")
    def test_a_data_folder_of_someone_else(self):
        with Studio() as s:
            os.chmod(s.dir, 0o755)
            r = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", STUDIOD, "--data", s.data, "jobs"],
                               capture_output=True, text=True, timeout=60)
            if "setpriv" in r.stderr or "ermission denied" in r.stderr and STUDIOD in r.stderr:
                self.skipTest("the build folder is closed to others")
            self.assertEqual(r.returncode, 3)
            self.assertIn("permission denied", r.stderr)
            self.assertIn("sudo", r.stderr)

    def test_version(self):
        self.assertRegex(run("version").stdout, r"^studiod \d+\.\d+\.\d+\n$")
        self.assertEqual(run("version").stdout, run("--version").stdout)

    def test_commands_without_a_studio_are_3(self):
        with tempfile.TemporaryDirectory() as data:
            for args in (["workers"], ["jobs"], ["approve", "rr-1"], ["submit", "--model", "m", "--prompt", "p"]):
                r = run("--data", data, *args)
                self.assertEqual(r.returncode, 3, args)
                self.assertIn(f"studiod --data {data} serve", r.stderr)


class Serve(unittest.TestCase):
    def fails(self, studio_or_dir, *words, listen="127.0.0.1:0", code=1):
        data = studio_or_dir.data if isinstance(studio_or_dir, Studio) else studio_or_dir
        r = run("--data", data, "--listen", listen, "serve")
        self.assertEqual(r.returncode, code, r.stderr)
        for word in words:
            self.assertIn(word, r.stderr)

    def test_folder_lock_token_and_end(self):
        with Studio() as s:
            mode = os.stat(os.path.join(s.data, "admin-token"))
            self.assertEqual(stat.S_IMODE(mode.st_mode), 0o600)
            self.assertEqual(stat.S_IMODE(os.stat(s.data).st_mode), 0o700)
            self.assertEqual(stat.S_IMODE(os.stat(os.path.join(s.data, "studio.db")).st_mode), 0o600)
            self.assertRegex(s.token, "^[0-9a-f]{64}$")
            self.fails(s, "another studiod", f":{s.port}", "--data")
            worker = Worker(s)
            code, seconds = s.stop()
            self.assertEqual(code, 0)
            self.assertLess(seconds, 2)
            self.assertEqual(worker.expect_close()[0], 1001)
            self.assertFalse(os.path.exists(os.path.join(s.data, "address")))
            token = s.token
            s.start()
            self.assertEqual(s.token, token)
            self.assertNotIn(token, s.tail())

    def test_sigint_ends_it_too(self):
        with Studio() as s:
            s.process.send_signal(signal.SIGINT)
            self.assertEqual(s.process.wait(5), 0)

    def test_port_in_use(self):
        with Studio() as s, tempfile.TemporaryDirectory() as other:
            self.fails(other, f"127.0.0.1:{s.port}", "--listen", listen=f"127.0.0.1:{s.port}")
            self.assertFalse(os.path.exists(os.path.join(other, "address")))

    def test_bad_address(self):
        with tempfile.TemporaryDirectory() as d:
            for address in ("nonsense", "127.0.0.1:99999", "127.0.0.1:"):
                self.fails(os.path.join(d, "data"), "listen", listen=address, code=2)
            self.assertFalse(os.path.exists(os.path.join(d, "data")))

    def test_listens_only_where_told(self):
        with Studio() as s:
            rows = [l.split() for f in ("tcp", "tcp6") if os.path.exists(f"/proc/net/{f}")
                    for l in open(f"/proc/net/{f}").readlines()[1:]]
            listening = [r[1] for r in rows if r[3] == "0A" and int(r[1].split(":")[1], 16) == s.port]
            self.assertEqual(listening, ["0100007F:%04X" % s.port])

    def test_data_folder_cannot_be_made(self):
        with tempfile.TemporaryDirectory() as d:
            file = pathlib.Path(d, "file")
            file.write_text("x")
            self.fails(str(file), str(file), "--data")
            self.fails(str(file / "below"), "--data")

    def test_database_of_a_newer_version(self):
        with Studio() as s:
            s.stop()
            db = sqlite3.connect(os.path.join(s.data, "studio.db"))
            tables = [t for (t,) in db.execute("select name from sqlite_master where type='table'") if "version" in t or "migr" in t]
            for table in tables:
                column = db.execute(f"pragma table_info({table})").fetchall()[0][1]
                db.execute(f"update {table} set {column} = 9999 where {column} = (select max({column}) from {table})")
            db.execute("pragma user_version = 9999")
            db.commit()
            db.close()
            self.fails(s, "newer")

    def test_damaged_database_and_token(self):
        with Studio() as s:
            s.stop()
            token = pathlib.Path(s.data, "admin-token")
            good = token.read_text()
            token.write_text("short\n")
            self.fails(s, "admin-token", "remove it")
            token.write_text(good)
            for suffix in ("-wal", "-shm"):
                pathlib.Path(s.data, "studio.db" + suffix).unlink(missing_ok=True)
            pathlib.Path(s.data, "studio.db").write_bytes(b"this is no database" * 500)
            self.fails(s, "studio.db")

    def test_config_file(self):
        with tempfile.TemporaryDirectory() as d:
            config = pathlib.Path(d, "config.toml")
            for text, words in (("gracems = 5\n", ["config.toml:1", "did you mean grace_ms?"]),
                                ("\nlisten = 5\n", ["config.toml:2", "listen"]), ("listen = [\n", ["not valid TOML"]),
                                ("log_level = \"loud\"\n", ["log_level"])):
                config.write_text(text)
                r = run("--config", str(config), "--data", os.path.join(d, "data"), "--listen", "127.0.0.1:0", "serve")
                self.assertIn(r.returncode, (1, 2))
                for word in words:
                    self.assertIn(word, r.stderr)


class Commands(unittest.TestCase):
    def setUp(self):
        self.s = Studio()
        self.addCleanup(self.s.close)

    def test_workers_approve_reject(self):
        r = self.s.cli("workers")
        self.assertEqual(r.returncode, 0)
        self.assertIn("No workers yet", r.stdout)
        request, secret, _ = self.s.ask()
        other, other_secret, _ = self.s.ask()
        out = self.s.cli("workers").stdout
        self.assertIn(request, out)
        self.assertIn(other, out)
        self.assertIn("REQUEST", out)
        r = self.s.cli("approve", request)
        self.assertEqual(r.returncode, 0, r.stderr)
        self.assertRegex(r.stdout, f"^approved {request} as worker wk-")
        self.assertEqual(self.s.cli("reject", other, "--reason", "not you").returncode, 0)
        self.assertEqual(self.s.poll(other, other_secret)[1], {"status": "rejected", "reason": "not you"})
        again = self.s.cli("approve", request)
        self.assertEqual(again.returncode, 1)
        self.assertIn("approved already", again.stderr)
        self.assertEqual(self.s.cli("approve", "rr-nothing").returncode, 1)
        _, answer = self.s.poll(request, secret)
        w = Worker(self.s, (answer["workerId"], answer["authToken"]))
        w.expect("heartbeatAck")
        out = self.s.cli("workers").stdout
        self.assertIn(answer["workerId"], out)
        self.assertIn("connected", out)
        self.assertLessEqual(max(map(len, out.splitlines())), 140)
        listed = json.loads(self.s.cli("workers", "--json").stdout)
        self.assertEqual([w["id"] for w in listed["workers"]], [answer["workerId"]])

    def test_control_characters_of_a_worker_do_not_reach_the_terminal(self):
        request, _, _ = self.s.ask()
        self.s.cli("reject", request, "--reason", "x")
        job = self.s.submit(assetName="a\x1b[31m")
        w = Worker(self.s)
        claim = w.accept()
        w.send("fail", jobId=claim["jobId"], error="bad \x1b[2J thing", retryable=False)
        w.expect("failAck")
        out = self.s.cli("jobs").stdout
        self.assertNotIn("\x1b", out)
        self.assertIn(job, out)

    def submit_in_background(self, *args):
        """The thread to join, and: r, the finished process; said(), what it has written to stderr so far."""
        with tempfile.NamedTemporaryFile(dir=self.s.dir, delete=False) as f:
            path = f.name
        result = {"said": lambda: pathlib.Path(path).read_text()}

        def go():
            with open(path, "w") as err:
                r = subprocess.run(self.s.command("submit", *args), stdout=subprocess.PIPE, stderr=err, text=True, timeout=60)
            r.stderr = result["said"]()
            result["r"] = r
        t = threading.Thread(target=go)
        t.start()
        return t, result

    def test_submit_wait_json(self):
        w = Worker(self.s)
        t, result = self.submit_in_background("--model", "synthetic-llm", "--prompt", "say hello", "--max-tokens", "7", "--wait")
        claim = w.accept()
        self.assertEqual(claim["task"]["messages"], [{"role": "user", "content": "say hello"}])
        self.assertEqual(claim["task"]["maxTokens"], 7)
        w.complete(claim, {"answer": 42})
        t.join()
        self.assertEqual(result["r"].returncode, 0, result["r"].stderr)
        self.assertEqual(json.loads(result["r"].stdout), {"answer": 42})

    def test_submit_output_file(self):
        w = Worker(self.s)
        out = os.path.join(self.s.dir, "out.png")
        t, result = self.submit_in_background("--model", "synthetic-image", "--prompt", "p", "--width", "256", "--ext", "png",
                                              "--output", out)
        claim = w.accept()
        self.assertEqual((claim["task"]["width"], claim["task"]["ext"]), (256, "png"))
        self.assertEqual(upload(self.s, w.id, w.token, claim["jobId"], [b"bytes"], 5)[0], 200)
        t.join()
        self.assertEqual(result["r"].returncode, 0, result["r"].stderr)
        self.assertEqual(pathlib.Path(out).read_bytes(), b"bytes")

    def test_submit_wait_of_a_failing_job_is_4(self):
        w = Worker(self.s)
        t, result = self.submit_in_background("--model", "synthetic-llm", "--prompt", "p", "--wait")
        claim = w.accept()
        w.send("fail", jobId=claim["jobId"], error="no such luck", retryable=False)
        t.join()
        self.assertEqual(result["r"].returncode, 4)
        self.assertIn("no such luck", result["r"].stderr)

    def test_submit_refusals_name_the_field(self):
        for args, word, code in ((["--model", "synthetic-image", "--prompt", "p", "--width", "-1"], "width", 2),
                                 (["--model", "nonexistent", "--prompt", "p"], "model nonexistent", 1),
                                 (["--model", "synthetic-image"], "prompt", 2)):
            r = self.s.cli("submit", *args)
            self.assertEqual(r.returncode, code, args)
            self.assertIn(word, r.stderr)
        r = self.s.cli("submit", "--model", "synthetic-image", "--prompt", "p", "--width", "wide")
        self.assertEqual(r.returncode, 2)
        self.assertIn("--width", r.stderr)

    def test_options_of_another_kind_are_refused(self):
        for model, option, kinds in (("synthetic-llm", "--width", "image, video"), ("synthetic-llm", "--steps", "image"),
                                     ("synthetic-image", "--voice", "audio_tts")):
            r = self.s.cli("submit", "--model", model, "--prompt", "p", option, "8")
            self.assertEqual(r.returncode, 2)
            self.assertIn(f"{option}: not for a job of kind", r.stderr)
            self.assertIn(f"only for: {kinds}\n", r.stderr)
        self.assertIn("No jobs", self.s.cli("jobs").stdout)

    def test_output_that_cannot_be_written_is_said_before_anything_is_queued(self):
        for output in ("/nonexistent/dir/x", self.s.dir, os.path.join(self.s.dir, "new/"), ""):
            r = self.s.cli("submit", "--model", "synthetic-image", "--prompt", "p", "--output", output)
            self.assertEqual(r.returncode, 2, output)
            self.assertIn("--output", r.stderr)
            self.assertIn(output, r.stderr)
        self.assertIn("No jobs", self.s.cli("jobs").stdout)

    def test_a_result_that_cannot_be_written_names_the_job(self):
        w = Worker(self.s)
        folder = os.path.join(self.s.dir, "gone")
        os.mkdir(folder)
        t, result = self.submit_in_background("--model", "synthetic-image", "--prompt", "p", "--output", os.path.join(folder, "x"))
        claim = w.accept()
        os.rmdir(folder)
        self.assertEqual(upload(self.s, w.id, w.token, claim["jobId"], [b"bytes"], 5)[0], 200)
        t.join()
        self.assertEqual(result["r"].returncode, 1)
        self.assertIn(f"studiod jobs {claim['jobId']} --output FILE", result["r"].stderr)

    def test_a_job_is_fetched_later(self):
        job = self.s.cli("submit", "--model", "synthetic-image", "--prompt", "p").stdout.strip()
        out = os.path.join(self.s.dir, "out.png")
        r = self.s.cli("jobs", job, "--output", out)
        self.assertEqual(r.returncode, 1)
        self.assertIn("not done yet (queued)", r.stderr)
        w = Worker(self.s)
        claim = w.accept()
        self.assertEqual(upload(self.s, w.id, w.token, claim["jobId"], [b"bytes"], 5)[0], 200)
        r = self.s.cli("jobs", job[:8], "--wait", "--output", out)
        self.assertEqual(r.returncode, 0, r.stderr)
        self.assertEqual(pathlib.Path(out).read_bytes(), b"bytes")
        self.assertEqual(self.s.cli("jobs", job, "--output", "-").stdout, "bytes")
        self.assertEqual(self.s.cli("jobs", job, "--output", "/dev/null").returncode, 0)
        self.assertFalse(os.path.isfile("/dev/null"))

    def test_jobs_cancel_and_retry(self):
        job = self.s.submit()
        self.assertEqual(self.s.cli("jobs", job, "--cancel").stdout, f"cancelled {job}\n")
        self.assertEqual(self.s.job(job)["state"], "failed")
        r = self.s.cli("jobs", job, "--cancel")
        self.assertEqual(r.returncode, 1)
        self.assertIn("nothing to cancel", r.stderr)
        self.assertEqual(self.s.cli("jobs", job, "--wait").returncode, 4)
        self.assertEqual(self.s.cli("jobs", job, "--retry").stdout, f"queued again {job}\n")
        self.assertEqual(self.s.job(job)["state"], "queued")
        for args in (["--cancel"], [job, "--limit", "3"], [job, "--cancel", "--retry"], [job, "--retry", "--output", "x"]):
            self.assertEqual(self.s.cli("jobs", *args).returncode, 2, args)

    def test_ids_by_their_beginning_and_unknown_ones(self):
        job = self.s.submit()
        self.assertEqual(json.loads(self.s.cli("jobs", job[:12]).stdout)["id"], job)
        self.assertIn("no job has the id job-;", self.s.cli("jobs", "job-", "--cancel").stderr)
        r = self.s.cli("jobs", "abcdef")
        self.assertEqual((r.returncode, r.stderr), (1, "studiod: no job has the id abcdef; 'studiod jobs' lists them\n"))
        request, _, _ = self.s.ask()
        self.assertIn(f"approved {request} as", self.s.cli("approve", request[:12]).stdout)
        for args in (["approve", "rr-none"], ["reject", "rr-none", "--reason", "x"]):
            r = self.s.cli(*args)
            self.assertEqual(r.returncode, 1)
            self.assertIn("rr-none", r.stderr)
            self.assertIn("studiod workers", r.stderr)
        firsts = [self.s.ask()[0][:4] for _ in range(17)]  # of 16 digits
        twice = next(f for f in firsts if firsts.count(f) > 1)
        self.assertIn(f"{firsts.count(twice)} requests begin with {twice}", self.s.cli("approve", twice).stderr)

    def on_a_terminal(self, *args):
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        done = subprocess.run(self.s.command(*args), stdout=theirs, stderr=subprocess.PIPE, timeout=60)
        os.close(theirs)
        self.assertEqual(done.returncode, 0, done.stderr)
        out = b""
        try:
            while data := os.read(ours, 65536):
                out += data
        except OSError:  # the other side is closed
            pass
        os.close(ours)
        return out.decode().replace("\r\n", "\n").splitlines()

    def test_tables_fit_a_terminal_of_80_columns(self):
        job = self.s.submit()
        w = Worker(self.s)
        claim = w.accept()
        self.s.ask()
        lines = self.on_a_terminal("workers")
        self.assertLessEqual(max(map(len, lines)), 80, lines)
        self.assertTrue(any(l.startswith(w.id[:12] + " ") and "12 GB of 24" in l and job[:12] in l for l in lines), lines)
        w.send("fail", jobId=claim["jobId"], error="a long story " * 20, retryable=False)
        w.expect("failAck")
        lines = self.on_a_terminal("jobs")
        self.assertLessEqual(max(map(len, lines)), 80, lines)
        self.assertTrue(lines[1].startswith(job[:12] + "  failed"), lines)

    def test_waiting_says_why_nobody_takes_it(self):
        t, result = self.submit_in_background("--model", "synthetic-image", "--prompt", "p", "--vram", "16", "--wait")
        w = Worker(self.s)
        image = until("the job is there", lambda: self.s.get("/jobs")["jobs"])[0]["id"]
        other, more = self.submit_in_background("--model", "own", "--source", '{"engine": "piper", "files": []}',
                                                "--task", '{"kind": "audio_tts", "text": "hi"}', "--wait")
        until("both say why", lambda: "it waits" in result["said"]() and "it waits" in more["said"]())
        for job in self.s.get("/jobs")["jobs"]:
            self.s.cli("jobs", job["id"], "--cancel")
        other.join()
        t.join()
        self.assertEqual(w.id in self.s.cli("workers").stdout, True)
        self.assertIn("no connected worker that serves model synthetic-image lends 16 GB; it waits (studiod workers)",
                      result["r"].stderr)
        self.assertIn("no connected worker serves model own; it waits", more["r"].stderr)
        self.assertIn(image, result["r"].stderr)

    def test_waiting_survives_a_restart_of_the_studio(self):
        t, result = self.submit_in_background("--model", "synthetic-llm", "--prompt", "p", "--wait")
        job = until("the job is there", lambda: self.s.get("/jobs")["jobs"])[0]["id"]
        self.s.kill()
        until("it notices", lambda: "trying again for 60 s" in result["said"]())
        self.s.start()
        w = Worker(self.s, features=["progress"])
        claim = w.accept()
        w.send("progress", jobId=job, stage="running", fraction=0.47)
        until("progress is shown", lambda: " 40 %" in result["said"]())
        w.complete(claim, {"answer": 42})
        t.join()
        self.assertEqual(result["r"].returncode, 0, result["r"].stderr)
        self.assertEqual(json.loads(result["r"].stdout), {"answer": 42})
        self.assertIn("trying again for 60 s", result["r"].stderr)
        self.assertIn(" 40 %", result["r"].stderr)

    def test_submit_task_file_and_source(self):
        task = pathlib.Path(self.s.dir, "task.json")
        task.write_text('{"kind": "audio_tts", "text": "hi"}')
        r = self.s.cli("submit", "--model", "own", "--task", f"@{task}", "--source", '{"engine": "piper", "files": []}', "--vram", "2.5")
        self.assertEqual(r.returncode, 0, r.stderr)
        job = self.s.job(r.stdout.strip())
        self.assertEqual((job["kind"], job["modelSource"]["engine"], job["vramGbEstimate"]), ("audio_tts", "piper", 2.5))

    def test_jobs(self):
        self.assertIn("No jobs", self.s.cli("jobs").stdout)
        ids = [self.s.submit() for _ in range(3)]
        image = self.s.image()
        out = self.s.cli("jobs").stdout.splitlines()
        self.assertEqual([l.split()[0] for l in out], ["JOB", image, *reversed(ids)])
        self.assertEqual(len(self.s.cli("jobs", "--kind", "image").stdout.splitlines()), 2)
        self.assertEqual(len(self.s.cli("jobs", "--limit", "2").stdout.splitlines()), 4)
        self.assertEqual(json.loads(self.s.cli("jobs", ids[0]).stdout)["id"], ids[0])
        self.assertEqual(self.s.cli("jobs", "nothing").returncode, 1)
        self.assertEqual(self.s.cli("jobs", "--state", "lost").returncode, 2)

    def test_a_studio_that_died_leaves_a_clear_message(self):
        self.s.kill()
        r = self.s.cli("jobs")
        self.assertEqual(r.returncode, 3)
        self.assertIn("serve", r.stderr)


class Installed(unittest.TestCase):
    ROOT = pathlib.Path(__file__).resolve().parents[2]

    def test_man_page_and_completion_know_every_command(self):
        page = (self.ROOT / "docs/man/studiod.1").read_text()
        completion = (self.ROOT / "packaging/completions/studiod").read_text()
        for command in COMMANDS:
            self.assertRegex(page, rf"\bCm {command}\b|, {command}\b|\b{command} Op")
            self.assertIn(command, completion)
        options = {w.strip(",") for c in COMMANDS for w in run(c, "--help").stdout.split() if w.startswith("--") and len(w) > 4}
        for option in options:
            self.assertIn(option.removeprefix("--"), completion)

    def complete(self, *words):
        script = (f'source {self.ROOT}/packaging/completions/studiod; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _studiod;'
                  'printf "%s\\n" "${COMPREPLY[@]}"')
        path = f"{pathlib.Path(STUDIOD).parent}:{os.environ['PATH']}"
        r = subprocess.run(["bash", "-c", script, "bash", "studiod", *words], capture_output=True, text=True, timeout=60,
                           cwd=self.ROOT, env={**os.environ, "PATH": path})
        self.assertEqual(r.stderr, "")
        return r.stdout.split()

    def test_completion(self):
        self.assertEqual(self.complete("submit", "--prompt", ""), [])
        self.assertEqual(self.complete("submit", "--task", "@READM"), ["@README.md"])
        self.assertEqual(self.complete("jobs", "--out"), ["--output"])
        self.assertEqual(self.complete("submit", "--kind", "audio_s"), ["audio_stt"])
        with Studio() as s:
            request, _, _ = s.ask()
            self.assertEqual(self.complete("--data", s.data, "approve", ""), [request])

    @unittest.skipUnless(shutil.which("mandoc"), "needs mandoc")
    def test_man_page_is_clean(self):
        r = subprocess.run(["mandoc", "-Tlint", "-W", "warning", self.ROOT / "docs/man/studiod.1"], capture_output=True, text=True)
        self.assertEqual(r.stdout + r.stderr, "")


if __name__ == "__main__":
    unittest.main()
