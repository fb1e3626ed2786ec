"""Protocol section 6, the long waits: 20 s without a frame, 15 s of connecting.

SPDX-License-Identifier: MIT"""

import time
import unittest

from peers import STALL, Studio, Worker


class Silence(unittest.TestCase):
    def test_read_idle(self):
        """20 s without a frame: dead, whatever pings say."""
        with Studio() as studio, Worker(studio) as worker:
            session = studio.accept()
            session.welcome()
            session.expect("heartbeat")
            session.ack = False
            begin = time.monotonic()
            mark = len(worker.log)
            while time.monotonic() < begin + 15:
                session.observe(3)
                session.ping()
            worker.wait_log("reconnect attempt 1", within=10, after=mark)
            self.assertAlmostEqual(time.monotonic() - begin, 20, delta=1.5)
            studio.accept().welcome()

    def test_acks_keep_it_alive(self):
        with Studio() as studio, Worker(studio):
            session = studio.accept()
            session.welcome()
            session.observe(22)
            self.assertFalse(session.ended)
            self.assertIn(len(session.seen("heartbeat")), (5, 6))

    def test_frozen_peer(self):
        """Half-open: nothing is read, nothing said. The teardown does not wait for the socket."""
        with Studio() as studio, Worker(studio) as worker:
            session = studio.accept()
            session.welcome()
            session.expect("heartbeat")
            session.freeze()
            mark = len(worker.log)
            worker.wait_log("reconnect attempt 1", within=25, after=mark)
            second = studio.accept(within=5)
            second.welcome()
            second.run_llm("j")

    def test_connect_bound(self):
        with Studio() as studio:
            studio.on_connect = [STALL]
            with Worker(studio) as worker:
                begin = studio.next_connect().at
                worker.wait_log("connect failed: ", within=20)
                self.assertAlmostEqual(time.monotonic() - begin, 15, delta=1.5)
                studio.accept().welcome()


if __name__ == "__main__":
    unittest.main()
