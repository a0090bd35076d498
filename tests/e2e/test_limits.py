# SPDX-License-Identifier: Apache-2.0
"""What the README says that ktwrap cannot see or take is said by ktwrap as well: an event, a line, or a status."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "harness"))
import e2e  # noqa: E402

KEY = {"MISTRAL_API_KEY": "target-key-0001"}
ASK = ["-sS", "--max-time", "20", "-H", "Content-Type: application/json", "-d", '{"model": "m", "messages": [{"role": "user", "content": "hello"}]}']


class Limits(e2e.KtTest):
    def wrapped(self, command, options=(), via="wrap"):
        known = len(self.lab.events())
        got = self.lab.run(via, self.targets(self.lab.mocks.get("up") or self.lab.mock("up")), command, env=KEY, options=options)
        return got, self.lab.events()[known:]

    def test_http2_alone_is_refused(self):
        for via in ("wrap", "preload"):
            got, events = self.wrapped(["curl", "--http2-prior-knowledge", *ASK, "http://api.openai.com/v1/chat/completions"], via=via)
            self.assertNotEqual(got.returncode, 0)
            self.assertEqual([(e["event_type"], e["verdict"], e["origin"]) for e in events], [("request_refused", "error", "api.openai.com:80")])
        self.assertEqual(self.lab.mocks["up"].requests(), [])

    def test_state_that_cannot_be_shared_is_said_in_front(self):
        """Killed calls would leave nothing."""
        self.lab.state.mkdir(mode=0o700)
        (self.lab.state / "state").write_text("no folder can be made here")
        got, events = self.wrapped(["curl", *ASK, "http://api.openai.com/v1/chat/completions"], options=("--fail-on", "block"))
        self.assertEqual((got.returncode, len(events)), (0, 1), got.stderr)
        self.assertIn("calls that exec or a signal cuts off will not be seen", got.stderr)

    def test_a_program_that_loses_the_preload_by_clearenv(self):
        """system() gives its child the environment as it is: nothing of ours is in it, and the supervisor takes its calls."""
        program = self.compiled("odd_host", "odd_host.c", "-pthread")
        got, events = self.wrapped([str(program), "clear-system", str(program)])
        self.assertEqual(got.stdout.split("\n")[0], "call 200", got.stderr)
        self.assertEqual([(e["event_type"], e["lane"]) for e in events], [("decision", "supervise")])


if __name__ == "__main__":
    e2e.main()
