"""Engine sd-cpp through the real worker, with a fake sd-server or sd-cli: what is asked of it, what is made of its pictures
and films. Every picture the fakes make says in itself what was asked for.  SPDX-License-Identifier: MIT"""

import json
import pathlib
import re
import struct
import subprocess
import sys
import tempfile
import time
import unittest
import zlib

from engines import FAKES, Engines
from peers import Studio, until
from test_worker_jobs import open_session

sys.path.insert(0, str(FAKES))
import sd_made  # noqa: E402

FEATURES = ["progress", "cancel"]
SECRET = "a lighthouse, \"quoted\" \\ ünïcode"


def asked(data):
    """What the fake wrote into a picture that nobody packed anew."""
    return json.JSONDecoder().raw_decode(data[data.index(b'{"cfg"'):].decode("latin-1"))[0]


def size_of(data):
    """Width, height and codec, by ffprobe."""
    with tempfile.NamedTemporaryFile() as f:
        f.write(data)
        f.flush()
        out = subprocess.run(["ffprobe", "-v", "error", "-count_frames", "-show_entries",
                              "stream=codec_name,width,height,nb_read_frames,r_frame_rate", "-of", "json", f.name],
                             capture_output=True, check=True).stdout
    return json.loads(out)["streams"][0]


def by_ffmpeg(extension, width=80, height=60, *options):
    """A picture that the fakes can't write."""
    with tempfile.TemporaryDirectory() as d:
        path = pathlib.Path(d, "p." + extension)
        subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", f"testsrc=size={width}x{height}:rate=1", "-frames:v", "1",
                        *options, str(path)], check=True, capture_output=True)
        return path.read_bytes()


def grey(width, height):
    """A PNG of one channel, which the engine would refuse, of stripes."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    row = b"\0" + (bytes(range(256)) * (width // 256 + 1))[:width]
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(row * height, 1)) + chunk(b"IEND", b""))


class Case(unittest.TestCase):
    programs = ["sd-server"]

    def setUp(self):
        self.studio = self.enter(Studio())
        self.engines = self.enter(Engines(self.programs))
        self.model = self.engines.model("model-a", "a.gguf", role="diffusion-model")

    def enter(self, manager):
        value = manager.__enter__()
        self.addCleanup(manager.__exit__, None, None, None)
        return value

    def serve(self, **options):
        self.worker = self.enter(self.engines.worker(self.studio, **options))
        self.session = open_session(self.studio, FEATURES)
        return self.session

    def offer(self, job, model=None, defaults=None, kind="image", vram=0, **task):
        fields = {"prompt": job, "ext": "png", **task} if kind == "image" else {"prompt": job, **task}
        self.session.offer(self.engines.offer(job, {"kind": kind, **fields}, "sd-cpp", model or self.model, defaults=defaults,
                                              vramGbEstimate=vram))

    def result(self, job):
        """The upload of a job that goes well."""
        upload = until(f"the end of {job}", lambda: self.outcome(job), 60)
        self.assertNotIsInstance(upload, dict, upload)
        return upload

    def outcome(self, job):
        found = [f for f in self.session.seen("fail") if f["jobId"] == job] + [u for u in self.studio.uploads if u.job_id == job]
        return found[0] if found else None

    def run_job(self, job, **fields):
        self.offer(job, **fields)
        return self.result(job)

    def refused(self, job, *words, **fields):
        self.offer(job, **fields)
        fail = self.session.expect("fail", jobId=job)
        for word in words:
            self.assertIn(word, fail["error"])
        self.assertIs(fail["retryable"], False)

    def picture(self, data, name="p"):
        return self.engines.files.add(f"/pictures/{name}", data)

    def last_request(self):
        return self.engines.requests()[-1]


class Pictures(Case):
    def test_every_value_reaches_the_engine(self):
        self.serve()
        upload = self.run_job("j", prompt=SECRET, negativePrompt="blurry", width=96, height=64, steps=3, cfgScale=2.5, seed=77,
                              samplingMethod="euler_a", defaults={"flowShift": 3.5})
        got = asked(upload.data)
        self.assertEqual(got["model"], "a")
        for key, value in {"prompt": SECRET, "negative": "blurry", "width": 96, "height": 64, "steps": 3, "cfg": 2.5, "seed": 77,
                           "sampler": "euler_a", "flow_shift": 3.5, "pictures": [], "loras": [], "metadata": False}.items():
            self.assertEqual(got[key], value, key)
        self.assertEqual(upload.prompt, SECRET)
        args = self.engines.starts()[0]
        self.assertIn("--eager-load", args)
        self.assertNotIn("--offload-to-cpu", args)

    def test_defaults_of_the_model_and_of_the_wire(self):
        self.serve()
        got = asked(self.run_job("j", steps=20, defaults={"width": 128, "height": 192, "steps": 5, "cfgScale": 4.5,
                                                          "samplingMethod": "lcm"}).data)
        self.assertEqual([got[k] for k in ("width", "height", "steps", "cfg", "sampler")], [128, 192, 5, 4.5, "lcm"])
        got = asked(self.run_job("k", width=64, defaults={"width": 128, "height": 192}).data)
        self.assertEqual((got["width"], got["height"], got["strength"]), (64, 192, 0.75))
        seeds = {asked(self.run_job(f"s{i}").data)["seed"] for i in range(3)}
        self.assertEqual(len(seeds), 3)  # nobody chose one

    def test_fallbacks_without_defaults(self):
        self.serve()
        claim = self.engines.offer("j", {"kind": "image", "prompt": "x", "ext": "png"}, "sd-cpp", self.model)
        claim["modelSource"]["cliDefaults"] = {}
        self.session.offer(claim)
        got = asked(self.result("j").data)
        self.assertEqual([got[k] for k in ("width", "height", "steps", "cfg")], [1024, 1024, 8, 1.0])

    def test_formats(self):
        self.serve()
        for ext, codec in (("webp", "webp"), ("jpg", "mjpeg"), ("jpeg", "mjpeg"), ("png", "png")):
            found = size_of(self.run_job(ext, ext=ext).data)
            self.assertEqual((found["codec_name"], found["width"], found["height"]), (codec, 64, 64))

    def test_a_build_without_webp(self):
        self.engines.fault("no_webp")
        self.serve()
        for job in ("first", "second"):  # only after the first is known what the build can do
            self.offer(job, ext="webp")
            outcome = until("the end", lambda: self.outcome(job))
            if isinstance(outcome, dict):
                self.assertEqual(job, "first")
        self.assertEqual(size_of(self.result("second").data)["codec_name"], "webp")

    def test_a_size_the_engine_rounds_up_is_cut(self):
        self.serve()
        for ext in ("png", "webp", "jpg"):
            found = size_of(self.run_job(ext, width=101, height=67, ext=ext).data)
            self.assertEqual((found["width"], found["height"]), (101, 67))

    def test_large(self):
        self.serve()
        upload = self.run_job("j", width=2048, height=2048, steps=1)
        self.assertEqual(len(upload.data) > 12 << 20, True)
        self.assertEqual(asked(upload.data)["width"], 2048)
        self.worker.check_memory(64)

    def test_one_server_for_all_jobs_of_a_model(self):
        self.serve()
        for i in range(3):
            self.assertEqual(asked(self.run_job(f"j{i}").data)["prompt"], f"j{i}")
        other = self.engines.model("model-b", "b.gguf", role="model")
        self.assertEqual(asked(self.run_job("other", model=other).data)["model"], "b")
        self.assertEqual(len(self.engines.starts()), 2)

    def test_files_by_role(self):
        self.serve()
        file = lambda name, role: self.engines.file("model-a", name, role)
        model = self.model + [file("qwen.gguf", "text-encoder"), file("clip_l.gguf", "text-encoder"),
                              file("t5xxl.gguf", "text-encoder"), file("mm.gguf", "text-encoder-vision"), file("ae.gguf", "vae")]
        self.run_job("j", model=model, defaults={"offloadToCpu": True, "zeroCondT": True})
        args = self.engines.starts()[-1]
        for flag, name in (("--diffusion-model", "a"), ("--llm", "qwen"), ("--clip_l", "clip_l"), ("--t5xxl", "t5xxl"),
                           ("--llm_vision", "mm"), ("--vae", "ae")):
            self.assertTrue(args[args.index(flag) + 1].endswith(f"/{name}.gguf"), flag)
        self.assertIn("--offload-to-cpu", args)
        self.assertEqual(args[args.index("--model-args") + 1], "qwen_image_zero_cond_t=true")
        tiny = self.model + [file("taesd.gguf", "vae")]
        self.run_job("k", model=tiny)
        self.assertIn("--tae", self.engines.starts()[-1])

    def test_what_help_says_is_kept_only_when_it_was_said(self):
        """A flag that changed its name: of this very program, and not of a --help that was cut short."""
        self.engines.fault("old_build")
        self.engines.fault("help_s", 60)
        self.serve()
        zero = {"zeroCondT": True}
        self.offer("j", defaults=zero)
        self.engines.wait_diary("help")
        self.session.send({"type": "cancel", "jobId": "j"})
        self.assertEqual(self.session.expect("fail", jobId="j")["error"], "cancelled")
        self.engines.mend("help_s")
        self.run_job("k", defaults=zero)
        self.run_job("l", defaults=zero)
        self.assertIn("--qwen-image-zero-cond-t", self.engines.starts()[-1])
        self.assertEqual(len(self.engines.wait_diary("help")), 2)
        self.engines.mend("old_build")
        self.engines.install(FAKES / "fake_sd_server.py")
        self.run_job("m", defaults=zero)
        self.assertIn("--model-args", self.engines.starts()[-1])

    def test_loras_belong_to_the_job(self):
        self.serve()
        lora = lambda folder: self.engines.file(folder, "style.safetensors", "lora")
        got = asked(self.run_job("j", model=self.model + [lora("model-a")]).data)
        self.assertEqual([strength for _, strength in got["loras"]], [1.0])
        self.assertEqual(asked(self.run_job("k").data)["loras"], [])
        self.assertEqual(len(self.engines.starts()), 1)


class Inputs(Case):
    def test_image_to_image(self):
        self.serve()
        got = asked(self.run_job("j", initImageUrl=self.picture(sd_made.png(80, 60, b"")), denoise=0.4).data)
        self.assertEqual((got["pictures"], got["strength"]), (["init_image"], 0.4))

    def test_a_mask_and_a_reference(self):
        self.serve()
        base, mask = self.picture(sd_made.png(80, 60, b"")), self.picture(by_ffmpeg("png", 40, 30, "-pix_fmt", "gray"), "mask")
        got = asked(self.run_job("j", initImageUrl=base, maskUrl=mask).data)
        self.assertEqual(got["pictures"], ["init_image", "mask_image"])
        got = asked(self.run_job("k", initImageUrl=base, refImageUrl=base, maskUrl=mask).data)
        self.assertEqual(got["pictures"], ["mask_image", "ref_images"])
        self.refused("l", "a mask needs a picture", maskUrl=mask)

    def test_what_the_engine_does_not_read_is_made_a_png(self):
        self.serve()
        odd = {"gif": by_ffmpeg("gif"), "bmp": by_ffmpeg("bmp"), "webp": by_ffmpeg("webp"),
               "grey": by_ffmpeg("png", 80, 60, "-pix_fmt", "gray")}
        for name, data in odd.items():
            with self.subTest(name):
                got = asked(self.run_job(name, initImageUrl=self.picture(data, f"{name}.jpg")).data)
                self.assertEqual(got["pictures"], ["init_image"])

    def test_what_is_no_picture(self):
        self.serve()
        self.refused("j", "the picture of the job", "no picture that is known", initImageUrl=self.picture(b"<html>" * 20))
        self.refused("k", "the picture of the job", "broken", initImageUrl=self.picture(sd_made.webp(80, 60, b"")[:30], "cut"))
        huge = bytearray(sd_made.png(80, 60, b""))
        huge[16:24] = struct.pack(">II", 60000, 60000)
        self.refused("l", "60000x60000", initImageUrl=self.picture(bytes(huge), "huge"))
        self.run_job("next")


class Shutdown(Case):
    def test_while_a_picture_is_made_fit(self):
        """Work in the pool that nobody can stop outlives everything else: the program ends without waiting, and without
        touching what it freed (a sanitizer's build tells)."""
        large = self.picture(grey(8100, 8100))
        seconds = []
        while len(seconds) < 4 and min(seconds, default=1) >= 0.3:  # 0.18 s; one that also waits for libuv takes 0.36 s
            self.serve()
            self.offer(f"j{len(seconds)}", initImageUrl=large, maskUrl=large)
            until("the picture", lambda: self.engines.files.asked.count("/pictures/p") > 2 * len(seconds))
            before = self.worker_ticks()
            until("work", lambda: self.worker_ticks() >= before + 10)
            code, took = self.worker.stop()
            self.assertEqual(code, 0)
            seconds.append(took)
        self.assertLess(min(seconds), 0.3)

    def worker_ticks(self):
        """Its time on the CPU, in hundredths of a second."""
        fields = pathlib.Path(f"/proc/{self.worker.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return int(fields[11]) + int(fields[12])


class Checks(Case):
    def test_nothing_is_started_for_a_task_that_can_not_be(self):
        self.serve()
        self.refused("a", "'gibberish'", "euler_a", samplingMethod="gibberish")
        self.refused("b", "100000x64", "64 to 4096", width=100000, height=64)
        self.refused("c", "101 steps", steps=101)
        self.refused("d", "denoise of 1.5", denoise=1.5)
        self.refused("e", "'tiff'", ext="tiff")
        self.refused("f", "no file of the role", model=self.engines.model("m", "x.gguf", role="vae"))
        self.refused("g", "'wings'", model=self.model + self.engines.model("m", "x.gguf", role="wings"))
        self.refused("h", "a cfgScale of -1", cfgScale=-1)
        self.assertEqual(self.engines.starts(), [])
        self.assertEqual(self.engines.files.asked, [])

    def test_a_failed_job_says_why_and_the_server_stays(self):
        self.serve()
        self.engines.fault("failed", 1)
        self.offer("j")
        fail = self.session.expect("fail", jobId="j")
        self.assertIn("vae: failed to allocate the compute buffer", fail["error"])
        self.run_job("k")
        self.assertEqual(len(self.engines.starts()), 1)

    def test_a_film_of_a_model_for_pictures(self):
        self.serve()
        self.refused("j", "does not support vid_gen", kind="video", seconds=0.5, ext="mp4")


class Films(Case):
    def setUp(self):
        super().setUp()
        self.film = self.engines.model("model-v", "video.gguf", role="diffusion-model")

    def test_every_container(self):
        self.serve()
        for ext, codec in (("mp4", "h264"), ("webm", "vp9"), ("gif", "gif")):
            upload = self.run_job(ext, kind="video", model=self.film, seconds=0.75, fps=8, width=96, height=64, ext=ext)
            found = size_of(upload.data)
            self.assertEqual((found["codec_name"], found["width"], found["height"]), (codec, 96, 64))
            self.assertEqual(found["nb_read_frames"], "6")
        self.assertEqual(self.last_request()["video_frames"], 9)  # 4n + 1
        upload = self.run_job("webp", kind="video", model=self.film, seconds=0.75, fps=8, width=96, height=64, ext="webp")
        self.assertEqual(upload.data[:4] + upload.data[8:12], b"RIFFWEBP")

    def test_odd_sizes_and_a_first_picture(self):
        self.serve()
        init = self.picture(sd_made.png(80, 60, b""))
        upload = self.run_job("j", kind="video", model=self.film, seconds=0.5, fps=8, width=67, height=71, ext="mp4",
                              initImageUrl=init)
        self.assertEqual((size_of(upload.data)["width"], size_of(upload.data)["height"]), (68, 72))
        self.assertIn("init_image", self.last_request())

    def test_checks(self):
        self.serve()
        for n, (words, fields) in enumerate([("a length of 0", {"seconds": 0}), ("a length of 61", {"seconds": 61}),
                                             ("61 frames a second", {"fps": 61}), ("'avi'", {"ext": "avi"}),
                                             ("ask for less", {"seconds": 60, "fps": 60})]):
            self.refused(f"j{n}", words, **{"kind": "video", "model": self.film, "seconds": 1, "ext": "mp4", **fields})
        self.assertEqual(self.engines.starts(), [])


class Progress(Case):
    def test_steps(self):
        self.engines.fault("step_s", 0.2)
        self.engines.fault("load_s", 0.3)
        self.serve()
        self.run_job("j", steps=12)
        seen = self.session.seen("progress")
        self.assertIn("loading", [f["stage"] for f in seen])
        running = [f for f in seen if f["stage"] == "running"]
        self.assertTrue(any(f.get("detail", "").startswith("step ") for f in running), running)
        fractions = [f["fraction"] for f in running if f.get("fraction") is not None]
        self.assertEqual(fractions, sorted(fractions))

    def test_a_film_that_is_long_in_packing_is_not_asked_for_all_the_time(self):
        self.engines.fault("pack_s", 1.5)
        self.serve()
        self.run_job("j")
        self.assertLessEqual(len(self.engines.wait_diary("poll")), 25)  # 4, 8, … 64, then every 100 ms

    def test_cancel_kills_what_can_not_be_stopped(self):
        self.engines.fault("step_s", 0.5)
        self.serve()
        self.offer("j", steps=100)
        self.engines.wait_diary("job")
        begin = time.monotonic()
        self.session.send({"type": "cancel", "jobId": "j"})
        fail = self.session.expect("fail", jobId="j")
        self.assertEqual((fail["error"], fail["retryable"]), ("cancelled", False))
        self.assertLess(time.monotonic() - begin, 3)
        self.engines.wait_gone()
        self.engines.mend("step_s")
        self.assertEqual(asked(self.run_job("k").data)["prompt"], "k")

    def test_cancel_while_it_loads(self):
        self.engines.fault("load_s", 30)
        self.serve()
        self.offer("j")
        self.engines.wait_diary("start")
        self.session.send({"type": "cancel", "jobId": "j"})
        self.assertEqual(self.session.expect("fail", jobId="j")["error"], "cancelled")


class Quick(Case):
    def test_the_worker_adds_little(self):
        """The best of three jobs on a warm server against what the server itself says it took."""
        self.serve()
        self.run_job("warm")
        self.engines.fault("step_s", 0.05)
        for i in range(3):
            self.run_job(f"j{i}", steps=3)
        until("the log", lambda: len(self.took()) == 4)
        self.assertLess(min(self.took()[1:]), 40)  # 7 ms on an idle machine

    def took(self):
        """Milliseconds of each job beyond the engine's."""
        log = "\n".join(self.worker.lines())
        engine = [1000 * float(s) for s in re.findall(r"generate_image completed in ([0-9.]+)s", log)]
        whole = [float(n) * (1 if unit == "ms" else 1000) for n, unit in re.findall(r"image dispatched in ([0-9.]+) (ms|s)", log)]
        return [w - e for w, e in zip(whole, engine)]


class Alone(Case):
    """Only sd-cli is there."""
    programs = ["sd-cli"]

    def test_pictures(self):
        self.serve()
        got = asked(self.run_job("j", prompt=SECRET, negativePrompt="blurry", width=96, height=64, steps=3, cfgScale=2.5, seed=77,
                                 samplingMethod="heun").data)
        for key, value in {"model": "a", "prompt": SECRET, "negative": "blurry", "width": 96, "steps": 3, "cfg": 2.5, "seed": 77,
                           "sampler": "heun", "metadata": False}.items():
            self.assertEqual(got[key], value, key)
        for ext, codec in (("webp", "webp"), ("jpg", "mjpeg"), ("jpeg", "mjpeg")):
            self.assertEqual(size_of(self.run_job(ext, ext=ext).data)["codec_name"], codec)
        self.assertEqual(len(self.engines.starts()), 4)

    def test_inputs_and_loras(self):
        self.serve()
        base, mask = self.picture(by_ffmpeg("webp")), self.picture(sd_made.png(40, 30, b""), "mask")
        got = asked(self.run_job("j", initImageUrl=base, maskUrl=mask, denoise=0.3,
                                 model=self.model + [self.engines.file("model-a", "style.safetensors", "lora")]).data)
        self.assertEqual((got["pictures"], got["strength"]), (["init_image", "mask_image"], 0.3))
        self.assertEqual((len(got["loras"]), got["prompt"]), (1, "j"))
        self.refused("k", "<lora:", prompt="x <lora:/etc/passwd:1>",
                     model=self.model + [self.engines.file("model-a", "style.safetensors", "lora")])
        got = asked(self.run_job("l", prompt="x <lora:/etc/passwd:1>").data)
        self.assertEqual(got["loras"], [])

    def test_films(self):
        self.serve()
        film = self.engines.model("model-v", "video.gguf", role="diffusion-model")
        upload = self.run_job("j", kind="video", model=film, seconds=0.75, fps=8, width=96, height=64, ext="mp4")
        self.assertEqual(size_of(upload.data)["nb_read_frames"], "6")

    def test_faults(self):
        self.serve()
        for fault, words in (("exit1", "ends at start with 1"), ("die", "the engine's own first error line"),
                             ("failed", "failed to allocate"), ("garbage", "none"), ("huge", "")):
            self.engines.fault(fault, 1)
            self.offer(fault)
            fail = self.session.expect("fail", jobId=fault)
            self.assertIn(words, fail["error"])
            self.assertIs(fail["retryable"], True)
        self.run_job("next")
        self.engines.wait_gone()

    def test_cancel(self):
        self.engines.fault("step_s", 0.5)
        self.serve()
        self.offer("j", steps=100)
        self.engines.wait_diary("job")
        self.session.send({"type": "cancel", "jobId": "j"})
        self.assertEqual(self.session.expect("fail", jobId="j")["error"], "cancelled")
        self.engines.wait_gone()

    def test_the_server_is_used_once_it_is_there(self):
        self.serve()
        self.run_job("j")
        self.engines.install(FAKES / "fake_sd_server.py")
        self.run_job("k")
        self.assertEqual([words[2] for words in self.engines.starts()], ["sd-cli", "sd-server"])


if __name__ == "__main__":
    unittest.main()
