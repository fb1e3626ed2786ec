"""Engine sd-cpp on a machine without its programs: the worker fetches the archive from a mirror, verifies it, and runs the
job with it; or says why not and leaves nothing behind.  SPDX-License-Identifier: MIT"""

import hashlib
import io
import os
import stat
import sys
import zipfile

from engines import FAKES
from test_worker_sd import Case, asked


def archive(*more):
    """A zip with the fake sd-server, its executable bit lost, and members (name, content)."""
    out = io.BytesIO()
    program = f'#!/bin/sh\nexec "{sys.executable}" -S "{FAKES / "fake_sd_server.py"}" "$@"\n'
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
        for name, content in [("sd-server", program), ("libggml.so", bytes(100000)), *more]:
            z.writestr(zipfile.ZipInfo(name), content)
    return out.getvalue()


class Prebuilt(Case):
    programs = []

    def serve_archive(self, data, sha256=None):
        url = self.engines.files.add("/mirror/sd.zip", data)
        self.serve(env={"STUDIO_WORKER_SD_CPP_URL": url,
                        "STUDIO_WORKER_SD_CPP_SHA256": sha256 or hashlib.sha256(data).hexdigest()})

    def bin(self):
        return sorted(p.name for p in (self.engines.models / "bin").iterdir() if not p.name.startswith("."))

    def test_the_first_job_brings_it(self):
        data = archive()
        self.serve_archive(data)
        for job in ("j", "k"):
            self.assertEqual(asked(self.run_job(job).data)["model"], "a")
        self.assertEqual(self.engines.files.asked.count("/mirror/sd.zip"), 1)
        folder = "sd-cpp-" + hashlib.sha256(data).hexdigest()[:12]
        self.assertEqual(self.bin(), [folder, "sd-server"])
        installed = self.engines.models / "bin" / folder
        self.assertEqual(os.readlink(self.engines.models / "bin" / "sd-server"), f"{folder}/sd-server")
        self.assertEqual(stat.S_IMODE(installed.stat().st_mode), 0o700)
        self.assertEqual(stat.S_IMODE((installed / "sd-server").stat().st_mode), 0o700)
        self.assertEqual(stat.S_IMODE((installed / "libggml.so").stat().st_mode), 0o600)

    def test_another_archive_is_not_installed(self):
        self.serve_archive(archive(), "0" * 64)
        self.refused("j", "SHA-256", "not installed")
        self.assertEqual(self.bin(), [])

    def test_path_tricks(self):
        self.serve_archive(archive(("../../evil", b"x")))
        self.refused("j", "leads out")
        self.assertEqual(self.bin(), [])
        self.assertFalse((self.engines.models / "evil").exists() or (self.engines.dir / "evil").exists())

    def test_a_mirror_without_it(self):
        url = self.engines.files.base + "/mirror/nothing.zip"
        self.serve(env={"STUDIO_WORKER_SD_CPP_URL": url, "STUDIO_WORKER_SD_CPP_SHA256": "0" * 64})
        self.refused("j", "404")
        self.assertEqual(self.bin(), [])
