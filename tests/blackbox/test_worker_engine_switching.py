"""Two models that don't fit into the GPU together, in turn: no wrong model's answer, nothing leaked.

SPDX-License-Identifier: MIT"""

import os
import pathlib
import unittest

from engines import Engines
from peers import WORKER, Studio, until
from test_worker_jobs import open_session


class Switching(unittest.TestCase):
    TURNS = 100

    def resident_kib(self, worker):
        for line in pathlib.Path(f"/proc/{worker.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
        raise KeyError("VmRSS")

    def test_two_models_that_do_not_fit_together(self):
        """100 times: no wrong model's answer, no leaked process, memory, descriptor or file."""
        with Studio() as studio, Engines(["llama-server"], vram_gib=6) as engines, engines.worker(studio) as worker:
            engines.fault("memory", 4 << 30)
            session = open_session(studio)
            models = [engines.model("model-a", "a.gguf"), engines.model("model-b", "b.gguf")]
            open_files = lambda: len(os.listdir(f"/proc/{worker.process.pid}/fd"))
            early = None
            for i in range(self.TURNS):
                session.offer(engines.llm(f"j{i}", f"turn {i}", models[i % 2], vram=4))
                answer = session.expect("completeJson", within=60, jobId=f"j{i}")
                self.assertEqual(answer["result"]["choices"][0]["message"]["content"], f"{'ab'[i % 2]} says: turn {i}")
                session.send({"type": "completeAck", "jobId": f"j{i}"})
                self.assertEqual(len(engines.pids()), 1)
                if i == 19:
                    early = self.resident_kib(worker), open_files()
            self.assertEqual(len(engines.starts()), self.TURNS)
            self.assertEqual(session.seen("fail"), [])
            if b"__asan_init" not in pathlib.Path(WORKER).read_bytes():
                self.assertLess(self.resident_kib(worker) - early[0], 1024)
            until("as few descriptors as before", lambda: open_files() <= early[1] + 1)
            used = engines.drm / "card0/device/mem_info_vram_used"
            self.assertEqual(int(used.read_text()), 4 << 30)
            self.assertEqual(len(os.listdir(os.path.join(worker.dir, "state", "engines"))), 1)
            self.assertEqual(worker.stop()[0], 0)
            engines.wait_gone()
            until("the memory to be back", lambda: int(used.read_text()) == 0)


if __name__ == "__main__":
    unittest.main()
