"""A download that is killed with SIGKILL at random moments ends whole, verified, and little is fetched twice."""

import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "bench"))

import store  # noqa: E402


class Kill(unittest.TestCase):
    def test_killed_at_random(self):
        for seed in (1, 2):
            with self.subTest(seed=seed), tempfile.TemporaryDirectory() as tmp:
                folder = pathlib.Path(tmp)
                path, digest = store.make_file(folder, 64)
                got = store.measure_kills(folder, path, digest, 15, seed)
                self.assertTrue(got["whole"], got)
                self.assertGreaterEqual(got["kills"], 8, got)
                # Each kill may cost what eight streams hold in chunks of 128 KiB and the MiB that no ledger claims yet.
                self.assertLessEqual(got["ratio"], 1 + (got["kills"] + 1) * 2 / 64, got)


if __name__ == "__main__":
    unittest.main()
