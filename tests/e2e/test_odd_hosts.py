# SPDX-License-Identifier: Apache-2.0
"""Programs that do odd things to themselves: their calls go on, and nothing of ours reaches them."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "harness"))
import e2e  # noqa: E402

KEY = {"MISTRAL_API_KEY": "target-key-0001"}


class OddHosts(e2e.KtTest):
    def setUp(self):
        super().setUp()
        self.program = self.compiled("odd_host", "odd_host.c", "-pthread")
        self.cfg = self.targets(self.lab.mock("up"))

    def steps(self, steps, via="wrap", options=(), status=0, trace=None):
        known = len(self.lab.events())
        got = self.lab.run(via, self.cfg, [str(self.program), *steps.split()], env=KEY, options=options, trace=trace)
        self.assertEqual(got.returncode, status, got.stdout + got.stderr)
        return got.stdout.splitlines(), self.lab.events()[known:]

    def test_a_thread_cancelled_in_its_first_call(self):
        for via in ("preload", "wrap"):
            with self.subTest(via):
                said, events = self.steps("cancelled call call", via=via)
                self.assertEqual(said, ["cancelled 0", "call 200", "call 200"])
                self.assertEqual(len(events), 2)

    def test_no_file_may_grow(self):
        """The signals that our own writes raise are not the program's, with a handler or without."""
        self.assertEqual(self.steps("file-size call call")[0], ["file-size 0", "call 503", "call 503"])
        for via in ("wrap", "preload"):
            with self.subTest(via):
                self.assertEqual(self.steps("catch file-size call call caught", via=via)[0], ["file-size 0", "call 503", "call 503", "caught 0"])


if __name__ == "__main__":
    e2e.main()
