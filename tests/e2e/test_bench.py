# SPDX-License-Identifier: Apache-2.0
"""kt bench against an endpoint that answers, fails, hangs, or is not there."""
import json
import pathlib
import signal
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "harness"))
import e2e  # noqa: E402
from ktlib import dead_port, wait_for  # noqa: E402


class Bench(e2e.KtTest):
    def bench(self, *args, env=None):
        return subprocess.run([str(self.lab.kt), "bench", *map(str, args)], capture_output=True, text=True, env=self.lab.env(env), timeout=60,
                              cwd=self.lab.tmp)

    def test_counts_what_was_sent(self):
        mock = self.lab.mock("up", ["--require-key", "tok-en"])
        (self.lab.tmp / "prompt.txt").write_text('a "quoted"\nprompt')
        got = self.bench("--target", mock.url, "--ca-file", mock.ca, "--requests", 60, "--concurrency", 7, "--prompt-file", "prompt.txt", "--model", "m",
                         "--output", "out.json", env={"KT_GATEWAY_TOKEN": "tok-en"})
        self.assertEqual((got.returncode, got.stderr), (0, ""), got.stdout)
        self.assertIn("60, 60 good, 0 failed", got.stdout)
        self.assertNotIn("tok-en", got.stdout)
        out = json.loads((self.lab.tmp / "out.json").read_text())
        self.assertEqual((out["calls"], out["good"], out["status"], out["concurrency"]), (60, 60, {"200": 60}, 7))
        self.assertLessEqual(out["call_ms"]["p50"], out["call_ms"]["p99"])
        requests = mock.requests()
        self.assertEqual(len(requests), 60)
        self.assertLessEqual(len({r["connection"] for r in requests}), 7)
        for r in requests:
            self.assertEqual(json.loads(r["body"]), {"model": "m", "messages": [{"role": "user", "content": 'a "quoted"\nprompt'}]})

    def test_streams_and_failures(self):
        mock = self.lab.mock("up", ["--fault", "status=503,count=3"], tls=False)
        got = self.bench("--target", f"http://127.0.0.1:{mock.port}", "--requests", 9, "--concurrency", 2, "--stream", "--output", "-")
        self.assertEqual(got.returncode, 1, got.stderr)
        self.assertEqual(json.loads(got.stdout)["status"], {"200": 6, "503": 3})
        self.assertTrue(all(json.loads(r["body"])["stream"] for r in mock.requests()))
        got = self.bench("--target", f"http://127.0.0.1:{dead_port()}", "--requests", 2)
        self.assertEqual(got.returncode, 1)
        self.assertIn("no answer", got.stdout)

    def test_interrupted(self):
        mock = self.lab.mock("up", tls=False)
        p = subprocess.Popen([str(self.lab.kt), "bench", "--target", mock.url, "--duration", "10m"], stdout=subprocess.PIPE, text=True, env=self.lab.env())
        wait_for(lambda: len(mock.requests()) > 20, what="calls")
        p.send_signal(signal.SIGINT)
        out, _ = p.communicate(timeout=20)
        self.assertEqual(p.returncode, 0, out)
        self.assertIn("calls per second", out)

    def test_wrong_use(self):
        for args in (["--requests", "0"], ["--concurrency", "1001"], ["--target", "ftp://x"], ["--target", "localhost"], ["--duration", "x"],
                     ["--prompt-file", "nowhere.txt"], ["--model"], ["extra"]):
            got = self.bench(*args)
            self.assertEqual((got.returncode, got.stdout), (2, ""), args)
            self.assertIn("kt bench: ", got.stderr)


if __name__ == "__main__":
    e2e.main()
