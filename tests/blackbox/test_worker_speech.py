"""Speech through the real worker: words to sound to words with the real espeak-ng, ffmpeg and pocketsphinx; whisper-cpp and
piper with fakes in the place of their programs.

SPDX-License-Identifier: MIT"""

import io
import json
import subprocess
import unittest
import wave

from engines import WHISPER_HEAD, Engines
from peers import Studio
from test_worker_jobs import open_session

FEATURES = ["progress", "cancel"]
WORDS = "you are in the world"  # what espeak-ng's en-us says and pocketsphinx hears; most other sentences it does not
VOICE = json.dumps({"audio": {"sample_rate": 16000}, "inference": {"length_scale": 1}, "num_speakers": 2,
                    "speaker_id_map": {"anna": 0, "ben": 1}, "language": {"code": "en_US"}}).encode()


def sound(*options):
    """A second and a half of tone in any form ffmpeg writes."""
    command = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "sine=d=1.5:r=44100", *options, "pipe:1"]
    return subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=60).stdout


def seconds(wav):
    with wave.open(io.BytesIO(wav)) as w:
        return w.getnframes() / w.getframerate()


class Case(unittest.TestCase):
    PROGRAMS = ["whisper-server", "piper"]
    DEADLINES = None

    def setUp(self):
        self.studio = self.enter(Studio())
        self.engines = self.enter(Engines(self.PROGRAMS, deadlines=self.DEADLINES))
        self.worker = self.enter(self.engines.worker(self.studio))
        self.session = open_session(self.studio, FEATURES)
        self.n = 0

    def enter(self, manager):
        value = manager.__enter__()
        self.addCleanup(manager.__exit__, None, None, None)
        return value

    def job(self):
        self.n += 1
        return f"job-{self.n}"

    def stt(self, engine, recording, files=(), **task):
        """Offers a transcription and waits for its end."""
        job = self.job()
        url = self.engines.files.add(f"/recordings/{job}", recording)
        self.session.offer(self.engines.offer(job, {"kind": "audio_stt", "inputUrl": url, **task}, engine, list(files), "speech"))
        self.session.expect("accept", jobId=job)
        return job

    def end(self, job):
        end = self.session.wait(f"the end of {job}",
                                lambda: next((f for f in self.session.frames
                                              if f["type"] in ("completeJson", "fail") and f["jobId"] == job), None), 60)
        if end["type"] == "completeJson":
            self.session.send({"type": "completeAck", "jobId": job})
        return end

    def heard(self, job):
        end = self.end(job)
        self.assertEqual(end["type"], "completeJson", end)
        return end["result"]

    def refused(self, job, words):
        end = self.end(job)
        self.assertEqual((end["type"], end.get("retryable")), ("fail", False), end)
        self.assertIn(words, end["error"])

    def progress(self, job):
        return [f for f in self.session.frames if f["type"] == "progress" and f["jobId"] == job]


class WordsInWordsOut(Case):
    PROGRAMS = []

    def test_words_to_sound_to_words(self):
        task = {"kind": "audio_tts", "text": WORDS, "voice": "en-us"}
        self.session.offer(self.engines.offer("say", task, "espeak-ng", []))
        upload = self.studio.next_upload()
        self.assertTrue(1 < seconds(upload.data) < 2)
        self.session.wait_log("binary upload ok")
        result = self.heard(self.stt("pocketsphinx", upload.data, timestamps="word"))
        self.assertEqual(result["text"], WORDS)
        self.assertEqual(result["language"], "en")
        self.assertAlmostEqual(result["duration"], seconds(upload.data), delta=0.01)
        self.assertEqual([w["word"] for w in result["segments"][0]["words"]], WORDS.split())
        self.session.wait_log("small English recogniser; install whisper.cpp for real transcription")

    def test_advertised(self):
        capabilities = self.session.seen("hello")[0]["capabilities"]
        self.assertIn("pocketsphinx:*", capabilities["supportedModelsPerKind"]["audio_stt"])
        self.assertNotIn("whisper-cpp:*", capabilities["supportedModels"])

    def test_what_it_cannot_do(self):
        self.refused(self.stt("pocketsphinx", b"RIFF", language="de"), "English only")
        self.refused(self.stt("pocketsphinx", b"this is no sound"), "no recording that ffmpeg can read")
        self.refused(self.stt("pocketsphinx", sound("-t", "0", "-f", "wav")), "sound")
        self.refused(self.stt("whisper-cpp", b"RIFF"), "whisper-server is missing")


class Whisper(Case):
    def setUp(self):
        super().setUp()
        self.files = self.engines.model("speech", "tiny.bin", magic=WHISPER_HEAD)
        self.vad = self.engines.model("speech", "silero-v5.bin", magic=WHISPER_HEAD)

    def test_a_transcript(self):
        result = self.heard(self.stt("whisper-cpp", sound("-f", "wav"), self.files))
        self.assertEqual(result["text"], "tiny heard 1.5 seconds in en")
        self.assertEqual(result["language"], "en")
        self.assertAlmostEqual(result["duration"], 1.5, delta=0.01)
        self.assertEqual([s["text"] for s in result["segments"]], [result["text"]])
        self.assertIn("whisper-cpp:*", self.session.seen("hello")[0]["capabilities"]["supportedModelsPerKind"]["audio_stt"])

    def test_every_parameter(self):
        job = self.stt("whisper-cpp", sound("-ac", "2", "-f", "flac"), self.files + self.vad, language="Japanese", translate=True,
                       prompt="names: \"Ünal\" & co", vad=True, timestamps="word")
        result = self.heard(job)
        self.assertEqual(result["text"], 'tiny heard 1.5 seconds in ja translated with vad after names: "Ünal" & co')
        self.assertEqual(result["language"], "ja")
        self.assertGreater(len(result["segments"][0]["words"]), 5)
        request = self.engines.requests()[-1]
        self.assertEqual((request["language"], request["translate"], request["vad"], request["token_timestamps"],
                          request["split_on_word"]), ("ja", "true", "true", "true", "true"))

    def test_any_sound_on_one_warm_server(self):
        forms = [["-c:a", "libmp3lame", "-f", "mp3"], ["-c:a", "libvorbis", "-f", "ogg"], ["-c:a", "libopus", "-f", "webm"],
                 ["-c:a", "aac", "-f", "adts"], ["-f", "lavfi", "-i", "testsrc=s=64x64:d=1.5", "-c:a", "aac", "-f", "matroska"]]
        for form in forms:
            result = self.heard(self.stt("whisper-cpp", sound(*form), self.files))
            self.assertRegex(result["text"], r"^tiny heard 1\.[56] seconds in en$", form)
        self.assertEqual(len(self.engines.starts()), 1)

    def test_refused_before_anything_is_fetched(self):
        asked = len(self.engines.files.asked)
        self.refused(self.stt("whisper-cpp", b"", self.files, language="klingon"), "does not know the language 'klingon'")
        self.refused(self.stt("whisper-cpp", b"", self.files, vad=True), "needs a model of its own")
        self.refused(self.stt("whisper-cpp", b"", []), "no file of role 'model'")
        self.refused(self.stt("whisper-cpp", b"", self.files * 2), "two files could be the model")
        self.refused(self.stt("whisper-cpp", b"", self.engines.model("speech", "x.bin", role="vae")), "not 'vae'")
        self.assertEqual(len(self.engines.files.asked), asked)
        self.assertEqual(self.engines.starts(), [])

    def test_not_a_whisper_model(self):
        self.refused(self.stt("whisper-cpp", sound("-f", "wav"), self.engines.model("speech", "llama.bin")), "no model of whisper.cpp")
        self.assertEqual(self.engines.starts(), [])

    def test_progress(self):
        self.engines.fault("load_s", 2)
        self.engines.fault("work_s", 3)
        job = self.stt("whisper-cpp", sound("-f", "wav"), self.files)
        self.heard(job)
        running = [f["fraction"] for f in self.progress(job) if f["stage"] == "running"]
        self.assertGreaterEqual(len(running), 3)
        self.assertEqual(running, sorted(running))
        self.assertIn("loading", {f["stage"] for f in self.progress(job)})

    def test_cancel_leaves_the_server_warm(self):
        self.engines.fault("work_s", 60)
        job = self.stt("whisper-cpp", sound("-f", "wav"), self.files)
        self.engines.wait_diary("request")
        self.session.send({"type": "cancel", "jobId": job})
        fail = self.session.expect("fail", within=3, jobId=job)
        self.assertEqual((fail["error"], fail["retryable"]), ("cancelled", False))
        self.engines.mend("work_s")
        self.assertEqual(self.heard(self.stt("whisper-cpp", sound("-f", "wav"), self.files))["text"], "tiny heard 1.5 seconds in en")
        self.assertEqual(len(self.engines.starts()), 1)

    def test_cancel_of_one_that_does_not_listen(self):
        self.engines.fault("work_s", 60)
        self.engines.fault("deaf")
        job = self.stt("whisper-cpp", sound("-f", "wav"), self.files)
        self.engines.wait_diary("request")
        self.session.send({"type": "cancel", "jobId": job})
        self.session.expect("fail", within=3, jobId=job)
        self.engines.wait_gone()
        self.engines.mend("work_s", "deaf")
        self.heard(self.stt("whisper-cpp", sound("-f", "wav"), self.files))
        self.assertEqual(len(self.engines.starts()), 2)

    def test_a_huge_transcript_fits_one_frame(self):
        (self.engines.faults / "transcript").write_text("\n".join(f"sentence {i} of a speech that never ends" for i in range(12000)))
        result = self.heard(self.stt("whisper-cpp", sound("-f", "wav"), self.files, timestamps="word"))
        self.assertTrue(result["text"].endswith("sentence 11999 of a speech that never ends"))
        self.session.wait_log("the times of words do not all fit")


class Piper(Case):
    def setUp(self):
        super().setUp()
        data = self.engines.files
        self.voice = [{"role": "model", "url": data.add("/v/en_US-x.onnx", b"onnx"), "filename": "en_US-x.onnx"},
                      {"role": "model", "url": data.add("/v/en_US-x.onnx.json", VOICE), "filename": "en_US-x.onnx.json"}]

    def speak(self, files=None, **task):
        job = self.job()
        task = {"kind": "audio_tts", "text": "one two three four", **task}
        self.session.offer(self.engines.offer(job, task, "piper", self.voice if files is None else files, "voice"))
        self.session.expect("accept", jobId=job)
        return job

    def test_speech(self):
        self.speak()
        upload = self.studio.next_upload()
        self.assertAlmostEqual(seconds(upload.data), 1.2, delta=0.01)
        self.assertEqual((upload.ext, upload.prompt), ("wav", "one two three four"))
        self.session.wait_log("binary upload ok")
        self.speak(voice="ben", speed=2, ext="mp3")
        upload = self.studio.next_upload()
        self.assertEqual(upload.ext, "mp3")
        self.assertIn("--speaker 1 --length_scale 0.5000", " ".join(self.engines.starts()[-1]))

    def test_refused(self):
        self.refused(self.speak(voice="carl"), "has no speaker 'carl'")
        self.refused(self.speak(language="de"), "speaks en_US, not 'de'")
        self.refused(self.speak(self.voice[:1]), "no file .onnx.json")
        self.assertEqual(self.engines.starts(), [])

    def test_cancel(self):
        self.engines.fault("hang")
        job = self.speak()
        self.engines.wait_diary("job")
        self.session.send({"type": "cancel", "jobId": job})
        self.session.expect("fail", within=3, jobId=job, error="cancelled")
        self.engines.wait_gone()


if __name__ == "__main__":
    unittest.main()
