"""Engine llama-cpp through the real worker, with a fake llama-server: what is asked of it, what becomes of its answers.

SPDX-License-Identifier: MIT"""

import json
import os
import stat
import time
import unittest

from engines import Engines
from peers import Studio
from test_worker_jobs import open_session

FEATURES = ["progress", "cancel"]


class Case(unittest.TestCase):
    def setUp(self):
        self.studio = self.enter(Studio())
        self.engines = self.enter(Engines(["llama-server"]))
        self.model = self.engines.model("model-a", "a.gguf")

    def enter(self, manager):
        value = manager.__enter__()
        self.addCleanup(manager.__exit__, None, None, None)
        return value

    def serve(self, features=None, **options):
        self.worker = self.enter(self.engines.worker(self.studio, **options))
        self.session = open_session(self.studio, features)
        return self.session

    def run_job(self, job, prompt="hello", model=None, **fields):
        """The result of a job that goes well."""
        self.session.offer(self.engines.llm(job, prompt, model or self.model, **fields))
        self.session.expect("accept", jobId=job)
        answer = self.session.wait(f"the end of {job}", lambda: self.outcome(job))
        self.assertEqual(answer["type"], "completeJson", answer)
        self.session.send({"type": "completeAck", "jobId": job})
        return answer["result"]

    def outcome(self, job):
        return next((f for f in self.session.frames if f["type"] in ("completeJson", "fail") and f["jobId"] == job), None)

    def refused(self, job, words, offer):
        self.session.offer(offer)
        fail = self.session.expect("fail", jobId=job)
        self.assertIn(words, fail["error"])
        self.assertIs(fail["retryable"], False)
        return fail

    @staticmethod
    def message(result):
        return result["choices"][0]["message"]


class Answers(Case):
    def test_a_chat_completion(self):
        self.serve()
        result = self.run_job("j1", "Why is it so?")
        self.assertEqual(result["object"], "chat.completion")
        self.assertEqual(result["model"], "model-a")
        self.assertEqual(result["choices"], [{"index": 0, "finish_reason": "stop",
                                              "message": {"role": "assistant", "content": "a says: Why is it so?"}}])
        self.assertEqual(result["usage"]["prompt_tokens"], 19 + len("Why is it so?"))
        self.assertEqual(result["usage"]["completion_tokens"], 6)
        self.assertEqual(self.session.expect("completeJson")["prompt"], "Why is it so?")

    def test_second_job_finds_the_server_warm(self):
        self.serve()
        for i in range(3):
            self.assertEqual(self.message(self.run_job(f"j{i}", f"number {i}"))["content"], f"a says: number {i}")
        self.assertEqual(len(self.engines.starts()), 1)
        self.assertEqual(len(self.engines.files.asked), len(set(self.engines.files.asked)))

    def test_another_model_and_another_context_are_other_servers(self):
        self.serve()
        other = self.engines.model("model-b", "b.gguf")
        self.assertEqual(self.message(self.run_job("j1"))["content"], "a says: hello")
        self.assertEqual(self.message(self.run_job("j2", model=other))["content"], "b says: hello")
        self.assertEqual(self.message(self.run_job("j3", defaults={"contextSize": 512}))["content"], "a says: hello")
        self.assertEqual([words[words.index("-c") + 1] for words in self.engines.starts()], ["8192", "8192", "512"])

    def test_what_is_asked(self):
        self.serve()
        self.run_job("j", "hi", system="be brief", stop=["zzz"], topP=0.5, temperature=0.25, maxTokens=99, reasoning={"effort": "low"},
                     chatTemplateKwargs={"a": 1}, defaults={"chatTemplateKwargs": {"a": 2, "b": 3}})
        asked = self.engines.requests()[0]
        self.assertEqual(asked["messages"], [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hi"}])
        self.assertEqual((asked["stop"], asked["top_p"], asked["temperature"], asked["max_tokens"]), (["zzz"], 0.5, 0.25, 99))
        self.assertEqual(asked["chat_template_kwargs"], {"a": 1, "b": 3, "enable_thinking": True, "reasoning_effort": "low"})
        self.assertIs(asked["stream"], True)

    def test_command_line_and_key(self):
        self.serve()
        self.run_job("j", defaults={"contextSize": 1024})
        words = self.engines.starts()[0]
        for flag, value in (("--host", "127.0.0.1"), ("-c", "1024"), ("-np", "1"), ("--alias", "model-a"), ("--cache-ram", "0"),
                            ("--sse-ping-interval", "2"), ("-ngl", "999")):
            self.assertEqual(words[words.index(flag) + 1], value)
        self.assertTrue(words[words.index("-m") + 1].endswith("/models/model-a/a.gguf"))
        self.assertIn("--offline", words)
        self.assertIn("--no-ui", words)
        self.assertNotIn("--no-webui", words)
        key = words[words.index("--api-key-file") + 1]
        self.assertEqual(stat.S_IMODE(os.stat(key).st_mode) & 0o077, 0)
        with open(key) as f:
            secret = f.read().strip()
        self.assertGreaterEqual(len(secret), 32)
        for pid in self.engines.pids():
            with open(f"/proc/{pid}/cmdline") as f:
                self.assertNotIn(secret, f.read())
        self.assertFalse([line for line in self.worker.lines() if secret in line])

    def test_vision_and_lora_files(self):
        self.serve()
        files = self.model + self.engines.model("model-a", "eye.gguf", role="text-encoder-vision") + self.engines.model("model-a", "l.gguf", role="lora")
        self.run_job("j", model=files)
        words = self.engines.starts()[0]
        self.assertTrue(words[words.index("--mmproj") + 1].endswith("/eye.gguf"))
        self.assertTrue(words[words.index("--lora") + 1].endswith("/l.gguf"))

    def test_stop_and_length(self):
        self.serve()
        result = self.run_job("j1", "one two three four", maxTokens=3)
        self.assertEqual(result["choices"][0]["finish_reason"], "length")
        self.assertEqual(self.message(result)["content"], "a says: one")
        result = self.run_job("j2", "one two STOP three", stop=["STOP"])
        self.assertEqual(self.message(result)["content"], "a says: one two ")

    def test_json_schema(self):
        self.serve()
        schema = {"type": "object", "properties": {"ok": {"type": "boolean"}, "who": {"type": "string"}}, "required": ["ok"]}
        result = self.run_job("j", "hi", jsonSchema=schema)
        self.assertEqual(json.loads(self.message(result)["content"]), {"ok": True, "who": "a says: hi"})
        self.assertEqual(self.engines.requests()[0]["response_format"]["json_schema"]["schema"], schema)

    def test_reasoning_is_split_out(self):
        self.serve()
        message = self.message(self.run_job("j1", "hi", reasoning=True))
        self.assertEqual(message, {"role": "assistant", "content": "a says: hi", "reasoning_content": "thinking of hi"})
        self.assertNotIn("reasoning_content", self.message(self.run_job("j2", "hi", reasoning=False)))
        message = self.message(self.run_job("j3", "[think] hi"))
        self.assertEqual(message, {"role": "assistant", "content": "a says: [think] hi", "reasoning_content": "tags about [think] hi"})

    def test_tool_calls_pass(self):
        self.serve()
        result = self.run_job("j", "[tool] x")
        self.assertEqual(result["choices"][0]["finish_reason"], "tool_calls")
        self.assertEqual(self.message(result)["tool_calls"],
                         [{"id": "call-1", "type": "function", "function": {"name": "look_up", "arguments": '{"what": "x"}'}}])


class Refusals(Case):
    def test_prompt_too_long(self):
        self.serve()
        self.refused("j", "the prompt has 1519 tokens, the model's context only 1024",
                     self.engines.llm("j", "x" * 1500, self.model, defaults={"contextSize": 1024}))
        self.run_job("k", "x" * 900, defaults={"contextSize": 1024})
        self.assertEqual(len(self.engines.starts()), 1)

    def test_answer_too_big(self):
        self.serve()
        self.engines.fault("word", 300000)
        self.engines.fault("tokens", 10)
        self.refused("j", "more than 2048 KiB", self.engines.llm("j", "hi", self.model))
        self.engines.mend("tokens", "word")
        self.run_job("k")
        self.assertEqual(len(self.engines.starts()), 1)

    def test_nothing_is_touched_for_a_task_that_can_not_be(self):
        self.serve()
        e, m = self.engines, self.model
        rows = [("maxTokens is 0", e.llm("j", "x", m, maxTokens=0)), ("temperature is -1", e.llm("j", "x", m, temperature=-1)),
                ("topP is 2", e.llm("j", "x", m, topP=2)), ("jsonSchema", e.llm("j", "x", m, jsonSchema=[])),
                ("role 'wizard'", e.llm("j", "x", m, messages=[{"role": "wizard", "content": "x"}])),
                ("contextSize", e.llm("j", "x", m, defaults={"contextSize": 7})), ("reasoning can be", e.llm("j", "x", m, reasoning=7)),
                ("no file of role model", e.llm("j", "x", [])), ("GGUF", e.llm("j", "x", e.model("m", "m.safetensors"))),
                ("role 'vae'", e.llm("j", "x", m + e.model("model-a", "v.gguf", role="vae")))]
        for i, (words, offer) in enumerate(rows):
            with self.subTest(words):
                offer["jobId"] = f"j{i}"
                self.refused(f"j{i}", words, offer)
        self.assertEqual((e.starts(), e.files.asked), ([], []))

    def test_a_file_that_is_no_model(self):
        self.serve()
        self.session.offer(self.engines.llm("j", "x", self.engines.model("bad", "bad.gguf", magic=b"none")))
        fail = self.session.expect("fail", jobId="j")
        self.assertIn("failed to load model", fail["error"])
        self.run_job("k")


class Running(Case):
    def test_cancel_keeps_the_server(self):
        self.serve(FEATURES)
        self.engines.fault("token_s", 0.05)
        self.engines.fault("tokens", 2000)
        self.session.offer(self.engines.llm("j", "x", self.model, maxTokens=4000))
        self.engines.wait_diary("job")
        begin = time.monotonic()
        self.session.send({"type": "cancel", "jobId": "j"})
        fail = self.session.expect("fail", jobId="j")
        self.assertEqual((fail["error"], fail["retryable"]), ("cancelled", False))
        self.assertLess(time.monotonic() - begin, 3)
        self.engines.wait_diary("dropped")
        self.engines.mend("tokens", "token_s")
        self.run_job("k")
        self.assertEqual(len(self.engines.starts()), 1)

    def test_cancel_while_it_loads(self):
        self.serve(FEATURES)
        self.engines.fault("load_s", 60)
        self.session.offer(self.engines.llm("j", "x", self.model))
        self.engines.wait_diary("start")
        begin = time.monotonic()
        self.session.send({"type": "cancel", "jobId": "j"})
        self.assertEqual(self.session.expect("fail", jobId="j")["error"], "cancelled")
        self.assertLess(time.monotonic() - begin, 3)

    def test_progress(self):
        self.serve(FEATURES)
        self.engines.fault("load_s", 1)
        self.engines.fault("prompt_s", 2)
        self.engines.fault("token_s", 0.02)
        self.engines.fault("tokens", 100)
        self.run_job("j", "x", maxTokens=200)
        seen = self.session.seen("progress")
        self.assertIn("loading", {f["stage"] for f in seen})
        details = [f.get("detail", "") for f in seen if f["stage"] == "running"]
        self.assertTrue([d for d in details if "of 20 tokens of the prompt" in d], details)
        told = [f for f in seen if "tok/s" in f.get("detail", "")]
        self.assertGreaterEqual(len(told), 2, details)
        for frame in told:
            self.assertAlmostEqual(frame["fraction"], int(frame["detail"].split()[0]) / 200, places=3)

    def test_nothing_is_left_when_the_worker_ends(self):
        self.serve()
        self.run_job("j")
        self.assertEqual(len(self.engines.pids()), 1)
        self.assertEqual(self.worker.stop()[0], 0)
        self.engines.wait_gone(3)

    def test_nothing_is_left_when_the_worker_is_killed(self):
        self.serve()
        self.run_job("j")
        self.worker.kill()
        self.engines.wait_gone(3)


class Known(Case):
    def test_advertised(self):
        self.serve()
        beat = self.session.expect("heartbeat")
        self.assertIn("llama-cpp:*", beat["capabilities"]["supportedModels"])
        self.assertEqual(beat["capabilities"]["supportedModelsPerKind"]["llm"].count("llama-cpp:*"), 1)

    def test_listed(self):
        self.serve()
        text = " ".join(self.worker.command("engines").stdout.split())
        self.assertIn("0.2.0-dev (build 0, commit unknown)", text)
        self.engines.fault("old")
        text = " ".join(self.worker.command("engines").stdout.split())
        self.assertIn("too old: it lacks --api-key-file", text)

    def test_missing(self):
        (self.engines.models / "bin" / "llama-server").unlink()
        self.serve()
        self.assertNotIn("llama-cpp:*", self.session.expect("heartbeat")["capabilities"]["supportedModels"])
        self.refused("j", "llama.cpp", self.engines.llm("j", "x", self.model))
        self.assertIn("github.com/ggml-org/llama.cpp", " ".join(self.worker.command("engines").stdout.split()))


if __name__ == "__main__":
    unittest.main()
