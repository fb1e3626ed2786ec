"""Engine onnx through the real worker: pictures painted in a helper process, with a fake of the library.

SPDX-License-Identifier: MIT"""

import contextlib
import os
import pathlib
import signal
import struct
import unittest
import zlib

from engines import Engines
from peers import BUILD, Studio, until
from test_worker_jobs import open_session

LIBRARY = BUILD / "tests" / "libfake_onnxruntime.so"


def png(width, height, pixel):
    """pixel(x, y) gives a grey."""
    rows = b"".join(b"\0" + bytes(pixel(x, y) for x in range(width)) for y in range(height))

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)) +
            chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def png_rows(data):
    """Width, height and the first channel of every pixel of an 8-bit RGB PNG without filters but the simple ones."""
    width, height = struct.unpack(">II", data[16:24])
    at, packed = 8, b""
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at:at + 8])
        packed += data[at + 8:at + 8 + size] if kind == b"IDAT" else b""
        at += size + 12
    raw, stride, rows, above = zlib.decompress(packed), 3 * width, [], bytes(3 * width)
    for y in range(height):
        kind, line = raw[y * (stride + 1)], bytearray(raw[y * (stride + 1) + 1:(y + 1) * (stride + 1)])
        for i in range(stride):
            left, up, corner = line[i - 3] if i >= 3 else 0, above[i], above[i - 3] if i >= 3 else 0
            paeth = min((left, up, corner), key=lambda v: abs(left + up - corner - v))
            line[i] = (line[i] + (0, left, up, (left + up) // 2, paeth)[kind]) & 255
        rows.append(bytes(line[::3]))
        above = bytes(line)
    return width, height, rows


class Onnx(unittest.TestCase):
    def setUp(self):
        self.studio = self.enter(Studio())
        self.engines = self.enter(Engines([]))
        self.image = self.engines.files.add("/in.webp", png(90, 60, lambda x, y: 64))  # the name lies
        self.mask = self.engines.files.add("/mask.png", png(90, 60, lambda x, y: 255 if x < 45 else 0))

    def enter(self, manager):
        value = manager.__enter__()
        self.addCleanup(manager.__exit__, None, None, None)
        return value

    def serve(self, library=LIBRARY, **options):
        self.worker = self.enter(self.engines.worker(self.studio, onnxruntime_path=str(library), **options))
        self.session = open_session(self.studio, ["progress", "cancel"])

    def model(self, text, name="lama"):
        return [self.engines.file(name, "lama.onnx", magic=text.encode() + b"\n", size=100)]

    def offer(self, job, files, model="lama", **task):
        task = {"kind": "image", "prompt": "", "ext": "png", "initImageUrl": self.image, "maskUrl": self.mask, **task}
        self.session.offer(self.engines.offer(job, {k: v for k, v in task.items() if v is not None}, "onnx", files, model))

    def engine_helpers(self):
        """Processes of our engine helpers: they have our folder in their environment."""
        found = []
        for entry in pathlib.Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdigit() and b"engine-helper" in (entry / "cmdline").read_bytes() and \
                        str(self.engines.dir).encode() in (entry / "environ").read_bytes():
                    found.append(int(entry.name))
        return found

    def failed(self, job):
        fail = self.session.expect("fail", jobId=job)
        return fail["error"], fail["retryable"]

    def test_the_marked_half_is_painted_and_the_model_stays_warm(self):
        self.serve()
        files = self.model("lama 32 1")
        for job in ("job-1", "job-2"):
            self.offer(job, files)
            width, height, rows = png_rows(self.studio.next_upload().data)
            self.assertEqual((width, height), (90, 60))
            self.assertGreaterEqual(rows[30][10], 250)
            self.assertEqual(rows[30][80], 64)
            if job == "job-1":
                first = self.engine_helpers()
                self.assertEqual(len(first), 1)
        self.assertEqual(self.engine_helpers(), first)

    def test_a_crash_of_the_library_is_a_failed_job(self):
        self.serve()
        self.offer("job-1", self.model("crash", "bad"), model="bad")
        error, retryable = self.failed("job-1")
        self.assertIn("onnx", error)
        self.assertTrue(retryable)
        self.offer("job-2", self.model("lama 32 1"))
        self.assertEqual(self.studio.next_upload().job_id, "job-2")

    def test_a_model_that_does_not_load(self):
        self.serve()
        self.offer("job-1", self.model("nonsense", "bad"), model="bad")
        error, _ = self.failed("job-1")
        self.assertIn("Protobuf parsing failed", error)

    def test_what_is_checked_before_anything_starts(self):
        self.serve()
        files = self.model("lama 32 1")
        for task, words in (({"maskUrl": None}, "maskUrl"), ({"initImageUrl": None}, "initImageUrl"), ({"ext": "gif"}, "png, webp and jpg"),
                            ({"refImageUrl": self.image}, "refImageUrl")):
            self.offer(f"job-{words}", files, **task)
            error, retryable = self.failed(f"job-{words}")
            self.assertIn(words, error)
            self.assertFalse(retryable)
        self.assertEqual(self.engines.files.asked, [])
        self.assertEqual(self.engine_helpers(), [])

    def test_an_empty_mask(self):
        self.serve()
        self.mask = self.engines.files.add("/none.png", png(90, 60, lambda x, y: 0))
        self.offer("job-1", self.model("lama 32 1"))
        error, retryable = self.failed("job-1")
        self.assertIn("white", error)
        self.assertFalse(retryable)

    def test_nothing_outlives_the_worker(self):
        self.serve()
        self.offer("job-1", self.model("lama 32 1"))
        self.studio.next_upload()
        self.assertEqual(len(self.engine_helpers()), 1)
        os.kill(self.worker.process.pid, signal.SIGKILL)
        until("the end of the helper process", lambda: not self.engine_helpers())

    def test_without_the_library_nothing_is_advertised(self):
        self.serve(library="/nonexistent/libonnxruntime.so.1")
        hello = next(f for f in self.session.frames if f["type"] == "hello")
        self.assertNotIn("onnx:*", hello["capabilities"]["supportedModels"])
        self.offer("job-1", self.model("lama 32 1"))
        error, retryable = self.failed("job-1")
        self.assertIn("ONNX Runtime is missing", error)
