# SPDX-License-Identifier: Apache-2.0
"""RSS and fds after 2,000 calls equal those after 200, sequential and 50 concurrent."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "harness"))
import e2e  # noqa: E402
from ktlib import PYTHON, ROOT  # noqa: E402

# One TLS context for all threads: with one each, fifty copies of the system's roots drown what is measured here.
PROGRAM = """
import concurrent.futures, gc, http.client, json, os, ssl, sys
sys.path.insert(0, %r)
from common import HEADERS, body
workers = int(sys.argv[1])
data = json.dumps(body()).encode()
headers = {**HEADERS, "Content-Type": "application/json"}
context = ssl.create_default_context()
pool = concurrent.futures.ThreadPoolExecutor(workers)

def calls(n):
    c = http.client.HTTPSConnection("api.openai.com", timeout=60, context=context)
    for _ in range(n):
        c.request("POST", "/v1/chat/completions", data, headers)
        r = c.getresponse()
        text = r.read()
        assert r.status == 200, text
    c.close()

def run(total):
    list(pool.map(calls, [total // workers] * workers))
    gc.collect()
    rss = int(open("/proc/self/statm").read().split()[1]) * 4
    return rss, len(os.listdir("/proc/self/fd"))

first = run(200)
second = run(1800)
print(json.dumps({"rss": [first[0], second[0]], "fds": [first[1], second[1]]}))
""" % str(ROOT / "tests/clients")


class Leaks(e2e.KtTest):
    def measure(self, workers, lane):
        import json
        mock = self.lab.mock("up")
        trace = f"no-handoff:{self.lab.tmp}/trace" if lane == "divert" else None
        result = self.run_ok("wrap", self.targets(mock), [PYTHON, "-c", PROGRAM, str(workers)], env={"MISTRAL_API_KEY": "k"},
                             trace=trace, timeout=200)
        got = json.loads(result.stdout)
        print(lane, workers, "workers:", got, flush=True)
        # The pool of upstream connections grows to the concurrency that was reached, which the scheduler decides, and no further: one
        # per worker beside the eight of the program and the engine.
        self.assertLessEqual(got["fds"][1], max(got["fds"][0], workers + 8))
        # Fifty threads' arenas settle late; one thread's at once. A leak of 1 KiB per call would exceed both.
        self.assertLessEqual(got["rss"][1] - got["rss"][0], 300 if workers == 1 else 1700, got)

    def test_sequential_handoff(self):
        self.measure(1, "handoff")

    def test_sequential_divert(self):
        self.measure(1, "divert")

    def test_fifty_concurrent_handoff(self):
        self.measure(50, "handoff")

    def test_fifty_concurrent_divert(self):
        self.measure(50, "divert")


if __name__ == "__main__":
    e2e.main()
