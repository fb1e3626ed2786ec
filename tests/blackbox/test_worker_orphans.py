"""No process of an engine outlives its worker, however the worker ends, and whatever the engine started of its own.

SPDX-License-Identifier: MIT"""

import contextlib
import os
import unittest

from engines import Engines
from peers import Studio, until
from test_worker_jobs import open_session


class Orphans(unittest.TestCase):
    @contextlib.contextmanager
    def at_work(self, **faults):
        """A worker whose engine is in the middle of a job, or as far as the faults let it come."""
        with Studio() as studio, Engines(["llama-server"]) as engines, engines.worker(studio) as worker:
            for name, value in faults.items():
                engines.fault(name, value)
            session = open_session(studio)
            session.offer(engines.llm("job", "Why?", engines.model("model-a", "a.gguf")))
            engines.wait_diary("start" if "load_s" in faults else "job")
            yield engines, worker

    def records(self, worker):
        folder = os.path.join(worker.dir, "state", "engines")
        return os.listdir(folder) if os.path.exists(folder) else []

    def test_sigterm_while_it_loads(self):
        with self.at_work(load_s=60) as (engines, worker):
            worker.stop()
            self.assertEqual(engines.pids(), [])
            self.assertEqual(self.records(worker), [])

    def test_sigterm_in_the_middle_of_a_job(self):
        """At its exit everything is dead: the engine, which ignores SIGTERM, and its child in a session of its own."""
        with self.at_work(hang="", ignore_term="", fork="") as (engines, worker):
            self.assertEqual(len(engines.pids()), 2)
            code, seconds = worker.stop()
            self.assertEqual(code, 0)
            self.assertLess(seconds, 5)
            self.assertEqual(engines.pids(), [])
            self.assertEqual(self.records(worker), [])

    def test_sigkill_while_it_loads(self):
        with self.at_work(load_s=60, ignore_term="") as (engines, worker):
            worker.kill()
            engines.wait_gone(within=2)

    def test_sigkill_in_the_middle_of_a_job(self):
        with self.at_work(hang="", ignore_term="", fork="1") as (engines, worker):
            left = set(engines.pids())
            worker.kill()
            until("the engine to die with the worker", lambda: len(engines.pids()) == 1)
            engines.mend("hang")
            seen = len(worker.log)
            worker.start()
            until("the sweep at its start", lambda: not left & set(engines.pids()))
            until("the record to go with it", lambda: len(self.records(worker)) <= 1)
            worker.wait_log("connecting to", after=seen)

    def test_sigkill_of_the_worker_of_a_program_behind_a_shell(self):
        """A program that serves one job, started by a wrapper that does not exec: only its environment tells whose it is."""
        with Studio() as studio, Engines(["sd-cli"]) as engines:
            program = engines.models / "bin" / "sd-cli"
            program.write_text(program.read_text().replace("exec ", "") + "\ntrue\n")
            engines.fault("hang")
            with engines.worker(studio) as worker:
                session = open_session(studio)
                task = {"kind": "image", "prompt": "a cat", "ext": "png"}
                session.offer(engines.offer("job", task, "sd-cpp", engines.model("model-a", "a.gguf")))
                engines.wait_diary("job")
                worker.kill()
                left = engines.pids()
                self.assertEqual(len(left), 1)
                seen = len(worker.log)
                worker.start()
                engines.wait_gone()
                worker.wait_log("connecting to", after=seen)


if __name__ == "__main__":
    unittest.main()
