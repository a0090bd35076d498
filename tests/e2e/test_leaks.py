# SPDX-License-Identifier: Apache-2.0
"""RSS and fds after 2,000 calls equal those after 200, sequential and 50 concurrent."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "harness"))
import e2e  # noqa: E402
from ktlib import PYTHON, ROOT  # noqa: E402

PROGRAM = """
import concurrent.futures, gc, json, os, sys
sys.path.insert(0, %r)
import requests
from common import URL, HEADERS, body
workers = int(sys.argv[1])
data = json.dumps(body()).encode()
headers = {**HEADERS, "Content-Type": "application/json"}

def calls(n):
    s = requests.Session()
    for _ in range(n):
        r = s.post(URL, data=data, headers=headers, timeout=60)
        assert r.status_code == 200, r.text
    s.close()

def run(total):
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
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
        self.assertLessEqual(got["fds"][1], got["fds"][0])
        # Allocators settle late; a leak of 512 bytes per call would already exceed this.
        self.assertLessEqual(got["rss"][1] - got["rss"][0], 900, got)

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
