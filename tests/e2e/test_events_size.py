# SPDX-License-Identifier: Apache-2.0
"""The commands over a long log need no more memory than over a short one (tests/bench/events has a million events)."""
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "harness"))
import e2e  # noqa: E402
from ktlib import PYTHON, ROOT  # noqa: E402


class EventsSize(e2e.KtTest):
    def peaks(self, events):
        got = subprocess.run([PYTHON, str(ROOT / "tests/bench/events"), "--build", str(self.lab.build), "--events", str(events)], capture_output=True, text=True,
                             env=self.lab.env(), timeout=200)
        self.assertEqual(got.returncode, 0, got.stdout + got.stderr)
        return {command: float(mib) for mib, command in re.findall(r"^ +[\d.]+ +([\d.]+)  (kt .*)$", got.stdout, re.M)}

    def test_memory_does_not_grow_with_the_log(self):
        short, long = self.peaks(4000), self.peaks(60000)  # the latter is more than one file
        self.assertEqual(len(short), 8)
        for command, mib in long.items():
            self.assertLess(mib, 200, command)
            self.assertLess(mib, short[command] + 24, f"{command}: grows with the log")


if __name__ == "__main__":
    e2e.main()
