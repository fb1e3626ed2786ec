"""`studio-worker models` and `engines` as their owner meets them: a file that arrives in pieces, is listed, checked, removed.

SPDX-License-Identifier: MIT"""

import hashlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import unittest

from peers import WORKER, until

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "fake"))
from file_server import FileServer  # noqa: E402

DATA = bytes(range(256)) * (4 << 10)  # 1 MiB


class Folder(unittest.TestCase):
    def setUp(self):
        temp = tempfile.TemporaryDirectory()
        self.addCleanup(temp.cleanup)
        self.folder = pathlib.Path(temp.name)
        self.models = self.folder / "models"
        self.models.mkdir()
        self.config = self.folder / "config.toml"
        self.config.write_text(f'models_root = "{self.models}"\nmodels_quota_gb = 2.5\n')

    def words(self, *args):
        return [WORKER, "--config", str(self.config), *args]

    def call(self, *args, code=0, env=None):
        done = subprocess.run(self.words(*args), capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL,
                              env={**os.environ, "HOME": str(self.folder), **(env or {})})
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        if "--json" not in args:  # a screen of 80 columns; a path or a hash has no place to be broken
            for line in done.stdout.splitlines():
                self.assertTrue(len(line) <= 80 or " " not in line.strip() or str(self.folder) in line, line)
        return done

    def list(self):
        return json.loads(self.call("models", "list", "--json").stdout)

    def serve(self, data=DATA, name="tiny.gguf", **options):
        path = self.folder / name
        path.write_bytes(data)
        server = FileServer(str(path), **options)
        self.addCleanup(server.close)
        return server


class Pull(Folder):
    def test_pulled_listed_verified_removed(self):
        server = self.serve()
        digest = hashlib.sha256(DATA).hexdigest()
        out = self.call("models", "pull", server.url, "--model", "m-1", "--sha256", digest.upper()).stdout
        path = self.models / "m-1" / "tiny.gguf"
        self.assertEqual(out, f"{path}\n")
        self.assertEqual(path.read_bytes(), DATA)
        (self.models / "mine.gguf").write_bytes(b"GGUF")
        listed = self.list()
        self.assertEqual([(f["model"], f["filename"], f["bytes"], f["downloaded"]) for f in listed["files"]],
                         [("", "mine.gguf", 4, False), ("m-1", "tiny.gguf", len(DATA), True)])
        self.assertEqual(listed["files"][1]["sha256"], digest)
        self.assertEqual((listed["downloadedBytes"], listed["bytes"], listed["quotaBytes"]),
                         (len(DATA), len(DATA) + 4, 2500000000))
        text = self.call("models").stdout
        self.assertIn("downloaded", text)
        self.assertIn("yours", text)
        self.assertIn("2 files, 1.0 MB; downloaded 1.0 MB of 2.5 GB", text)
        self.assertIn("good     m-1/tiny.gguf", self.call("models", "verify").stdout)
        self.assertIn("mine.gguf was not downloaded", self.call("models", "rm", "mine.gguf", code=1).stderr)
        self.call("models", "rm", "m-1")
        self.assertFalse(path.exists())
        self.assertTrue((self.models / "mine.gguf").exists())

    def test_what_is_here_is_not_fetched_again(self):
        server = self.serve()
        self.call("models", "pull", server.url)
        served = server.served
        out = self.call("models", "pull", server.url).stdout
        self.assertEqual(out, f"{self.models / 'tiny' / 'tiny.gguf'}\n")
        self.assertLess(server.served - served, len(DATA))

    def test_a_bit_that_flipped_is_bad(self):
        self.call("models", "pull", self.serve().url, "--model", "m")
        path = self.models / "m" / "tiny.gguf"
        stat = path.stat()
        with open(path, "r+b") as f:
            f.seek(1000)
            f.write(b"\xff\xff")
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        out = self.call("models", "verify", code=1).stdout
        self.assertIn("bad      m/tiny.gguf", out)
        self.assertIn("0 good, 1 bad", out)
        report = json.loads(self.call("models", "verify", "--json", code=1).stdout)
        self.assertEqual((report["bad"], report["files"][0]["verdict"]), (1, "bad"))

    def test_a_wrong_hash_leaves_nothing(self):
        self.assertIn("SHA-256", self.call("models", "pull", self.serve().url, "--sha256", "a" * 64, code=1).stderr)
        self.assertEqual(self.list()["files"], [])

    def test_interrupted_it_goes_on_where_it_was(self):
        data = os.urandom(12 << 20)
        server = self.serve(data, rate=3 << 20)
        process = subprocess.Popen(self.words("models", "pull", server.url, "--model", "m"), stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        until("some of it is here", lambda: server.served > 5 << 20)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=20)
        self.assertEqual(process.returncode, 1)
        self.assertIn("are kept, and the same command goes on there", said)
        [entry] = self.list()["files"]
        self.assertEqual(entry["bytes"], len(data))
        self.assertGreater(entry["partialBytes"], 0)
        self.assertIn("% here", self.call("models").stdout)
        server.rate = 0
        self.call("models", "pull", server.url, "--model", "m")
        self.assertEqual((self.models / "m" / "tiny.gguf").read_bytes(), data)
        self.assertNotIn("partialBytes", self.list()["files"][0])

    def test_usage_is_told(self):
        for words, hint in [
            (["models", "pul"], "list, pull, rm or verify"),
            (["models", "pull"], "usage: studio-worker models pull URL"),
            (["models", "pull", "tiny.gguf"], "is no address"),
            (["models", "pull", "http://127.0.0.1:1/"], "give it a name with --name"),
            (["models", "pull", "http://127.0.0.1:1/x", "--name", "../x"], "plain file name"),
            (["models", "pull", "http://127.0.0.1:1/x", "--sha256", "abc"], "64 hex digits"),
            (["models", "rm"], "usage: studio-worker models rm"),
            (["models", "verify", "x"], "usage: studio-worker models verify"),
            (["models", "list", "--model", "x"], "--model does not go with it"),
        ]:
            done = self.call(*words, code=2)
            self.assertIn(hint, done.stderr)
            self.assertEqual(done.stdout, "")
        self.assertEqual(self.list()["files"], [])
        self.call("models", "rm", "nothing", code=1)


class Engines(Folder):
    def test_versions_places_and_models_by_kind(self):
        engines = {e["name"]: e for e in json.loads(self.call("engines", "--json").stdout)}
        self.assertEqual(engines["synthetic"]["models"]["image"], ["synthetic", "synthetic-image"])
        self.assertTrue(engines["espeak-ng"]["ready"])
        self.assertTrue(engines["espeak-ng"]["path"].endswith("/espeak-ng"))
        self.assertIn("espeak-ng:*", self.call("engines").stdout)

    def test_a_place_in_the_config_comes_first(self):
        self.config.write_text(f'models_root = "{self.models}"\nllama_server_path = "{self.folder}/nowhere"\n')
        llama = {e["name"]: e for e in json.loads(self.call("engines", "--json").stdout)}["llama-cpp"]
        self.assertFalse(llama["ready"])
        self.assertIn("llama-server", llama["missing"])
        self.assertEqual((llama["models"], llama["kinds"]), ({}, ["llm"]))
        program = self.folder / "my-server"
        program.write_text("#!/bin/sh\necho version: 7\n")
        program.chmod(0o755)
        self.config.write_text('llama_server_path = "~/my-server"\n')
        llama = {e["name"]: e for e in json.loads(self.call("engines", "--json").stdout)}["llama-cpp"]
        self.assertEqual(llama["path"], str(program))


if __name__ == "__main__":
    unittest.main()
