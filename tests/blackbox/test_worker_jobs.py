"""Protocol sections 5, 7 and 8: what becomes of a job, and of its result when things break.

SPDX-License-Identifier: MIT"""

import os
import pathlib
import threading
import time
import unittest

from peers import DROP, TOKEN, WORKER_ID, Studio, Worker, claim, image, llm, stt, tts, until, video

MAGIC = {"png": b"\x89PNG\r\n\x1a\n", "webp": b"RIFF", "wav": b"RIFF", "jpg": b"\xff\xd8\xff"}
TYPES = {"png": "image/png", "webp": "image/webp", "wav": "audio/wav", "jpg": "image/jpeg"}


def open_session(studio, features=None):
    session = studio.accept()
    session.welcome(features)
    session.expect("heartbeat")
    return session


def gated(job, text="one two three", **fields):
    """A job that runs until the worker's gate opens."""
    return tts(job, text, engine="espeak-ng", **fields)


def dead(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):  # reaped before the open, or between open and read
        return True


def files_below(folder):
    return [os.path.join(base, name) for base, _, names in os.walk(folder) for name in names]


class Kinds(unittest.TestCase):
    def test_bytes(self):
        with Studio() as studio, Worker(studio) as worker:
            session = open_session(studio)
            jobs = [(image("img-1", "a lighthouse\nat \"dawn\" ö", "png"), "png"), (image("img-2", ext="webp"), "webp"),
                    (image("img-3", ext="jpg"), "jpg"), (tts("tts-1", "spoken text"), "wav"), (video("vid-1"), "webp")]
            for offer, ext in jobs:
                task = offer["task"]
                with self.subTest(offer["jobId"]):
                    session.offer(offer)
                    session.expect("accept", jobId=offer["jobId"])
                    upload = studio.next_upload()
                    self.assertEqual((upload.worker_id, upload.job_id, upload.token), (WORKER_ID, offer["jobId"], TOKEN))
                    self.assertEqual(upload.order, ["prompt", "ext", "image"])
                    self.assertEqual(upload.prompt, task.get("prompt") or task.get("text"))
                    self.assertEqual(upload.ext, ext)
                    self.assertEqual(upload.filename, f"{offer['jobId']}.{ext}")
                    self.assertEqual(upload.content_type, TYPES[ext])
                    self.assertTrue(upload.data.startswith(MAGIC[ext]), upload.data[:16])
                    self.assertGreater(len(upload.data), 100)
                    session.wait_log("binary upload ok")
                    session.send({"type": "completeAck", "jobId": offer["jobId"]})
                    session.wait_log(f"{task['kind']} dispatched in ")
            self.assertEqual(session.seen("fail") + session.seen("completeJson"), [])
            entry = worker.wait_log("offer received img-1")
            self.assertEqual(entry["message"], "offer received img-1 game=game asset=asset model=synthetic-image vram=0")
            self.assertEqual((entry["jobId"], entry["category"], entry["level"]), ("img-1", "ws", "info"))

    def test_json(self):
        with Studio() as studio, Worker(studio) as worker:
            session = open_session(studio)
            long_prompt = "why? " * 20000
            offer = llm("llm-1", long_prompt)
            offer["task"]["messages"].insert(0, {"role": "system", "content": "be brief"})
            session.offer(offer)
            session.expect("accept", jobId="llm-1")
            answer = session.expect("completeJson", jobId="llm-1")
            self.assertEqual(answer["prompt"], long_prompt)
            self.assertEqual(answer["result"]["object"], "chat.completion")
            self.assertEqual(answer["result"]["choices"][0]["message"]["role"], "assistant")
            self.assertTrue(answer["result"]["choices"][0]["message"]["content"])
            session.send({"type": "completeAck", "jobId": "llm-1"})
            session.offer(stt("stt-1", "https://example.invalid/speech.wav"))
            answer = session.expect("completeJson", jobId="stt-1")
            self.assertEqual(answer["prompt"], "https://example.invalid/speech.wav")
            self.assertLessEqual({"text", "language", "duration"}, set(answer["result"]))
            session.send({"type": "completeAck", "jobId": "stt-1"})
            worker.wait_log("json result sent")
            self.assertEqual(session.wait_log("studio confirmed completion of job stt-1")["jobId"], "stt-1")
            self.assertEqual(studio.uploads, [])

    def test_what_it_cannot_serve(self):
        odd = claim("odd-kind", {"kind": "smell", "strength": 7})
        unknown = llm("unknown-engine")
        unknown["modelSource"]["engine"] = "warp-drive"
        missing = llm("missing-engine")
        missing["modelSource"]["engine"] = "llama-cpp"
        wrong = llm("wrong-kind")
        wrong["modelSource"]["engine"] = "espeak-ng"
        with Studio() as studio, Worker(studio) as worker:
            session = open_session(studio)
            for offer in (odd, unknown, missing, wrong):
                with self.subTest(offer["jobId"]):
                    session.offer(offer)
                    session.expect("accept", jobId=offer["jobId"])
                    fail = session.expect("fail", jobId=offer["jobId"])
                    self.assertIs(fail["retryable"], False)
                    self.assertTrue(fail["error"])
                    session.send({"type": "failAck", "jobId": offer["jobId"]})
                    session.wait_log(f"studio confirmed failure of job {offer['jobId']}")
            self.assertEqual(worker.wait_log("dispatch failed: ")["level"], "error")
            self.assertIn("warp-drive", session.seen("fail")[1]["error"])
            self.assertEqual(studio.uploads + session.seen("completeJson"), [])
            session.run_llm("after")

    def test_engine_failure_is_told(self):
        with Studio() as studio, Worker(studio, gate=True) as worker:
            session = open_session(studio)
            session.offer(gated("no-voice"))
            os.kill(worker.gate.wait_runs(1)[0], 9)
            fail = session.expect("fail", jobId="no-voice")
            self.assertIs(fail["retryable"], True)
            session.run_llm("after")


class Slot(unittest.TestCase):
    def test_busy(self):
        with Studio() as studio, Worker(studio, gate=True) as worker:
            session = open_session(studio)
            session.offer(gated("long"))
            session.expect("accept", jobId="long")
            worker.gate.wait_runs(1)
            session.offer(llm("second"))
            reject = session.expect("reject")
            self.assertEqual(reject, {"type": "reject", "jobId": "second", "code": "busy", "reason": "worker already has an in-flight job"})
            self.assertEqual(worker.wait_log("rejecting offer second")["message"], "rejecting offer second: worker is already busy")
            session.forget()
            self.assertEqual(session.expect("heartbeat")["currentJobId"], "long")
            worker.gate.open()
            self.assertEqual(studio.next_upload().job_id, "long")
            session.forget()
            self.assertNotIn("currentJobId", session.expect("heartbeat"))
            session.run_llm("third")

    def test_paused(self):
        with Studio() as studio, Worker(studio, gate=True) as worker:
            session = open_session(studio)
            session.offer(gated("running"))
            worker.gate.wait_runs(1)
            worker.command("pause")
            self.assertTrue(worker.status()["paused"])
            session.offer(llm("second"))
            reject = session.expect("reject")
            self.assertEqual(reject, {"type": "reject", "jobId": "second", "code": "paused", "reason": "worker paused by operator"})
            worker.wait_log("rejecting offer second: worker is paused")
            # What runs, goes on.
            worker.gate.open()
            self.assertEqual(studio.next_upload().job_id, "running")
            worker.command("resume")
            session.run_llm("third")

    def test_pause_is_not_persisted(self):
        with Studio() as studio, Worker(studio) as worker:
            open_session(studio)
            worker.command("pause")
            self.assertEqual(worker.stop()[0], 0)
            worker.start()
            open_session(studio).run_llm("j")

    def test_many_jobs_in_turn(self):
        with Studio() as studio, Worker(studio) as worker:
            session = open_session(studio)
            for n in range(100):
                session.run_llm(f"job-{n}", f"prompt {n}")
            self.assertEqual(session.seen("reject"), [])
            until("an empty outbox", lambda: worker.status()["outbox"] == 0)


class Uploads(unittest.TestCase):
    def test_retries(self):
        for trouble in (500, 503, DROP):
            with self.subTest(trouble), Studio() as studio, Worker(studio):
                session = open_session(studio)
                studio.on_upload = [trouble, trouble]
                session.offer(image("j"))
                first, second, third = (studio.next_upload() for _ in range(3))
                self.assertAlmostEqual(second.at - first.at, 1, delta=0.4)
                self.assertAlmostEqual(third.at - second.at, 2, delta=0.4)
                self.assertTrue(first.data == second.data == third.data)
                session.wait_log("binary upload ok")
                self.assertEqual(session.seen("fail"), [])

    def test_giving_up(self):
        with Studio() as studio, Worker(studio) as worker:
            session = open_session(studio)
            studio.on_upload = [500, 502, 503]
            session.offer(image("j"))
            fail = session.expect("fail", jobId="j")
            self.assertIs(fail["retryable"], True)
            self.assertIn("503", fail["error"])
            session.send({"type": "failAck", "jobId": "j"})
            data = [studio.next_upload().data for _ in range(3)][0]
            # The slot is free, and the kept result is offered no more by itself.
            session.run_llm("other")
            session.abort()
            session = open_session(studio)
            session.run_llm("other-2")
            self.assertEqual(len(studio.uploads), 3)
            # A new offer of the same job finds it.
            session.offer(image("j"))
            session.expect("accept", jobId="j")
            self.assertEqual(studio.next_upload().data, data)
            worker.wait_log("attached to its kept result")
            self.assertEqual(sum("dispatched in" in line and "image" in line for line in worker.lines()), 1)

    def test_client_errors_are_not_retried(self):
        with Studio() as studio, Worker(studio) as worker:
            session = open_session(studio)
            for status in (400, 413, 422):
                with self.subTest(status):
                    studio.on_upload = [status]
                    session.offer(image(f"j-{status}", prompt=str(status)))
                    fail = session.expect("fail", jobId=f"j-{status}")
                    self.assertIn(str(status), fail["error"])
                    session.send({"type": "failAck", "jobId": f"j-{status}"})
            session.run_llm("after")
            self.assertEqual(len(studio.uploads), 3)
            self.assertEqual(worker.status()["outbox"], 0)

    def test_conflict(self):
        """409: not ours at the moment. No fail, no further HTTP, ten minutes for a new offer."""
        with Studio() as studio, Worker(studio) as worker:
            session = open_session(studio)
            studio.on_upload = [409]
            session.offer(image("j"))
            data = studio.next_upload().data
            worker.wait_log("409")
            session.run_llm("other")
            session.abort()
            session = open_session(studio)
            session.run_llm("other-2")
            self.assertEqual(len(studio.uploads), 1)
            self.assertEqual(worker.stop()[0], 0)
            worker.start()
            session = open_session(studio)
            session.run_llm("other-3")
            self.assertEqual(len(studio.uploads), 1)
            until("only that in the outbox", lambda: worker.status()["outbox"] == 1)
            session.offer(image("j"))
            session.expect("accept", jobId="j")
            self.assertEqual(studio.next_upload().data, data)
            self.assertEqual([f for s in studio.sessions for f in s.seen("fail")], [])
            until("an empty outbox", lambda: worker.status()["outbox"] == 0)

    def test_gone(self):
        with Studio() as studio, Worker(studio) as worker:
            session = open_session(studio)
            for status in (404, 410):
                with self.subTest(status):
                    studio.on_upload = [status]
                    session.offer(image(f"j-{status}"))
                    studio.next_upload()
                    worker.wait_log(str(status))
                    session.run_llm(f"after-{status}")
                    until("an empty outbox", lambda: worker.status()["outbox"] == 0)
            self.assertEqual(session.seen("fail"), [])

    def test_ack_instead_of_an_answer(self):
        with Studio() as studio, Worker(studio) as worker:
            session = open_session(studio)
            go = threading.Event()
            studio.on_upload = [go]
            session.offer(image("j"))
            studio.next_upload()
            session.send({"type": "completeAck", "jobId": "j"})
            session.wait_log("studio confirmed completion of job j")
            go.set()
            until("an empty outbox", lambda: worker.status()["outbox"] == 0)
            session.send({"type": "completeAck", "jobId": "never-heard-of"})
            session.send({"type": "failAck", "jobId": "never-heard-of"})
            session.run_llm("after")


class Survival(unittest.TestCase):
    """A finished result is delivered, whatever happened meanwhile."""

    def test_killed_during_the_upload(self):
        with Studio() as studio, Worker(studio) as worker:
            session = open_session(studio)
            stuck = threading.Event()
            studio.on_upload = [stuck]
            session.offer(image("j", size=256))
            first = studio.next_upload()
            worker.kill()
            stuck.set()
            worker.start()
            session = studio.accept()
            session.expect("hello")
            self.assertEqual(len(studio.uploads), 1)  # nothing before welcome
            session.send({"type": "welcome", "workerId": WORKER_ID, "serverTime": "t"})
            again = studio.next_upload()
            self.assertEqual((again.job_id, again.data, again.prompt, again.filename), (first.job_id, first.data, first.prompt, first.filename))
            until("an empty outbox", lambda: worker.status()["outbox"] == 0)
            self.assertEqual(session.seen("accept") + session.seen("fail"), [])
            self.assertEqual(files_below(os.path.join(worker.dir, "state", "scratch")), [])

    def test_killed_with_a_json_result(self):
        with Studio() as studio, Worker(studio) as worker:
            session = open_session(studio)
            session.offer(llm("j", "question"))
            first = session.expect("completeJson", jobId="j")
            worker.kill()
            worker.start()
            session = open_session(studio)
            until("it in the outbox", lambda: worker.status()["outbox"] == 1)
            session.run_llm("other")
            self.assertEqual([f["jobId"] for f in session.seen("completeJson")], ["other"])
            session.offer(llm("j", "question"))
            session.expect("accept", jobId="j")
            self.assertEqual(session.expect("completeJson", jobId="j"), first)
            session.send({"type": "completeAck", "jobId": "j"})
            until("an empty outbox", lambda: worker.status()["outbox"] == 0)
            worker.wait_log("attached to its kept result")

    def test_same_id_but_another_task(self):
        with Studio() as studio, Worker(studio):
            session = open_session(studio)
            session.offer(llm("j", "first question"))
            first = session.expect("completeJson", jobId="j")
            session.abort()
            session = open_session(studio)
            session.offer(llm("j", "second question"))
            second = session.expect("completeJson", jobId="j")
            self.assertEqual(second["prompt"], "second question")
            self.assertNotEqual(first["result"]["choices"], second["result"]["choices"])

    def test_link_lost_while_running(self):
        with Studio() as studio, Worker(studio, gate=True) as worker:
            session = open_session(studio)
            session.offer(gated("j"))
            worker.gate.wait_runs(1)
            session.abort()
            session = studio.accept()
            session.welcome()
            self.assertEqual(session.expect("heartbeat")["currentJobId"], "j")
            session.offer(gated("j"))
            session.expect("accept", jobId="j")
            worker.gate.open()
            self.assertEqual(studio.next_upload().job_id, "j")
            session.wait_log("binary upload ok")
            self.assertEqual(len(worker.gate.runs()), 1)
            self.assertEqual(session.seen("fail"), [])

    def test_finished_without_a_session(self):
        with Studio() as studio, Worker(studio, gate=True) as worker:
            session = open_session(studio)
            session.offer(gated("j"))
            worker.gate.wait_runs(1)
            studio.on_connect = [500]
            session.abort()
            worker.wait_log("reconnect attempt 1")
            worker.gate.open()
            worker.wait_log("dispatched in")
            self.assertEqual(studio.uploads, [])
            session = open_session(studio)
            self.assertEqual(studio.next_upload().job_id, "j")
            session.wait_log("binary upload ok")
            for kind in ("accept", "fail", "completeJson"):
                self.assertEqual(session.seen(kind), [])
            until("an empty outbox", lambda: worker.status()["outbox"] == 0)

    def test_unclaimed_upload_waits_for_the_studio(self):
        """A studio in trouble after the reconnect: no fail (there is no claim), tried again later."""
        with Studio() as studio, Worker(studio) as worker:
            session = open_session(studio)
            stuck = threading.Event()
            studio.on_upload = [stuck, 500, 503]
            session.offer(image("j"))
            data = studio.next_upload().data
            worker.kill()
            stuck.set()
            worker.start()
            session = open_session(studio)
            self.assertEqual([studio.next_upload().data for _ in range(3)], [data] * 3)
            until("an empty outbox", lambda: worker.status()["outbox"] == 0)
            self.assertEqual(session.seen("fail"), [])

    def test_killed_while_running(self):
        with Studio() as studio, Worker(studio, gate=True) as worker:
            session = open_session(studio)
            session.offer(gated("j"))
            child = worker.gate.wait_runs(1)[0]
            worker.kill()
            until("the engine to die with the worker", lambda: dead(child))
            worker.start()
            session = open_session(studio)
            self.assertEqual(files_below(os.path.join(worker.dir, "state", "scratch")), [])
            session.offer(gated("j"))
            worker.gate.open()
            self.assertEqual(studio.next_upload().job_id, "j")
            self.assertEqual(session.seen("fail"), [])

    def test_stopped_while_running(self):
        with Studio() as studio, Worker(studio, gate=True) as worker:
            session = open_session(studio)
            session.offer(gated("j"))
            child = worker.gate.wait_runs(1)[0]
            code, seconds = worker.stop()
            self.assertEqual(code, 0)
            self.assertLess(seconds, 0.25)
            self.assertEqual(session.wait_end(), 1000)
            until("the engine to die with the worker", lambda: dead(child))
            self.assertEqual(session.seen("fail"), [])

    def test_stopped_during_the_upload(self):
        with Studio() as studio, Worker(studio) as worker:
            session = open_session(studio)
            stuck = threading.Event()
            studio.on_upload = [stuck]
            session.offer(image("j"))
            data = studio.next_upload().data
            code, seconds = worker.stop()
            stuck.set()
            self.assertEqual(code, 0)
            self.assertLess(seconds, 0.25)
            self.assertEqual(worker.status()["outbox"], 1)
            worker.start()
            open_session(studio)
            self.assertEqual(studio.next_upload().data, data)

    def test_hostile_job_ids(self):
        with Studio() as studio, Worker(studio) as worker:
            session = open_session(studio)
            before = set(os.listdir("/tmp"))
            for name in ("../../../../tmp/escape", "/tmp/escape", "a/b", ".", "..", "x" * 200, "spaß?&#%", "con\\nul", "a\"b"):
                with self.subTest(name):
                    session.offer(image(name))
                    session.expect("accept", jobId=name)
                    upload = studio.next_upload()
                    self.assertEqual(upload.job_id, name)
            self.assertNotIn("escape", {n for n in set(os.listdir("/tmp")) - before})
            until("an empty outbox", lambda: worker.status()["outbox"] == 0)

    def test_unwritable_outbox_fails_the_job_only(self):
        with Studio() as studio, Worker(studio) as worker:
            session = open_session(studio)
            outbox = pathlib.Path(worker.dir, "state", "outbox")
            moved = outbox.with_name("outbox-moved")
            outbox.rename(moved)
            outbox.write_text("in the way")
            session.offer(image("j"))
            fail = session.expect("fail", jobId="j")
            self.assertIs(fail["retryable"], True)
            self.assertIn("outbox", fail["error"])
            outbox.unlink()
            moved.rename(outbox)
            session.offer(image("k"))
            self.assertEqual(studio.next_upload().job_id, "k")

    def test_damaged_outbox_entry(self):
        with Studio() as studio, Worker(studio) as worker:
            session = open_session(studio)
            stuck = threading.Event()
            studio.on_upload = [stuck]
            session.offer(image("j"))
            studio.next_upload()
            worker.kill()
            stuck.set()
            for path in files_below(os.path.join(worker.dir, "state", "outbox")):
                if not path.endswith(".json") and os.path.getsize(path) > 100:
                    with open(path, "r+b") as out:
                        out.write(b"damaged")
            worker.start()
            session = open_session(studio)
            worker.wait_log("damaged")
            self.assertEqual(len(studio.uploads), 1)
            session.run_llm("after")


class Extensions(unittest.TestCase):
    ALL = ["progress", "cancel", "resume"]

    def test_resume_keeps_a_running_job(self):
        with Studio() as studio, Worker(studio, gate=True) as worker:
            session = open_session(studio, self.ALL)
            self.assertEqual(session.expect("resume")["jobs"], [])
            session.offer(gated("j"))
            worker.gate.wait_runs(1)
            session.abort()
            session = open_session(studio, self.ALL)
            self.assertEqual(session.expect("resume")["jobs"], [{"jobId": "j", "state": "running"}])
            session.send({"type": "resumed", "keep": ["j"], "drop": []})
            worker.gate.open()
            self.assertEqual(studio.next_upload().job_id, "j")
            session.wait_log("binary upload ok")
            self.assertEqual(session.seen("accept") + session.seen("fail"), [])
            self.assertEqual(len(worker.gate.runs()), 1)

    def test_resume_delivers_json_after_a_crash(self):
        with Studio() as studio, Worker(studio) as worker:
            session = open_session(studio, self.ALL)
            session.offer(llm("j", "question"))
            first = session.expect("completeJson", jobId="j")
            worker.kill()
            worker.start()
            session = open_session(studio, self.ALL)
            self.assertEqual(session.expect("resume")["jobs"], [{"jobId": "j", "state": "finished"}])
            session.send({"type": "resumed", "keep": ["j"], "drop": []})
            self.assertEqual(session.expect("completeJson", jobId="j"), first)
            session.send({"type": "completeAck", "jobId": "j"})
            until("an empty outbox", lambda: worker.status()["outbox"] == 0)

    def test_resume_drops(self):
        with Studio() as studio, Worker(studio, gate=True) as worker:
            session = open_session(studio, self.ALL)
            session.offer(gated("j"))
            child = worker.gate.wait_runs(1)[0]
            session.abort()
            session = open_session(studio, self.ALL)
            session.expect("resume")
            session.send({"type": "resumed", "keep": [], "drop": ["j"]})
            until("the engine to end", lambda: dead(child))
            session.offer(llm("next"))
            until("the slot to be free", lambda: any(f["jobId"] == "next" for f in session.seen("accept") + session.seen("reject")))
            self.assertEqual([f for f in session.seen("fail") + studio.uploads], [])

    def test_cancel(self):
        with Studio() as studio, Worker(studio, gate=True) as worker:
            session = open_session(studio, self.ALL)
            session.offer(gated("j"))
            child = worker.gate.wait_runs(1)[0]
            begin = time.monotonic()
            session.send({"type": "cancel", "jobId": "j"})
            fail = session.expect("fail", jobId="j")
            self.assertEqual((fail["error"], fail["retryable"]), ("cancelled", False))
            self.assertLess(time.monotonic() - begin, 3)
            self.assertTrue(dead(child))
            session.send({"type": "cancel", "jobId": "never-heard-of"})
            session.run_llm("after")
            self.assertEqual(studio.uploads, [])

    def test_progress(self):
        with Studio() as studio, Worker(studio, gate=True) as worker:
            session = open_session(studio, self.ALL)
            session.offer(gated("j"))
            first = session.expect("progress", jobId="j")
            self.assertIn(first["stage"], ("downloading", "loading", "running", "uploading"))
            session.observe(2)
            worker.gate.open()
            studio.next_upload()
            frames = session.seen("progress")
            for a, b in zip(frames, frames[1:]):
                self.assertGreater(b.at - a.at, 0.4)
            for frame in frames:
                self.assertLessEqual(set(frame), {"type", "jobId", "stage", "fraction", "detail"})
                self.assertTrue(0 <= frame.get("fraction", 0) <= 1)


if __name__ == "__main__":
    unittest.main()
