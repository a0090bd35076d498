# SPDX-License-Identifier: Apache-2.0
"""Memory and fds after 2,000 calls equal those after 200, sequential and 50 concurrent.

The program itself grows while its threads' arenas settle, so the same program is measured without ktwrap in the same run: what counts
is what ktwrap adds. The provider answers late, and the first calls of all workers start together, so that the concurrency is
really reached in the first 200 calls and not by the scheduler's luck later on."""
import json
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "harness"))
import e2e  # noqa: E402
from ktlib import PYTHON, ROOT, clean_env  # noqa: E402

# One TLS context for all threads: with one each, fifty copies of the system's roots drown what is measured here.
PROGRAM = """
import concurrent.futures, ctypes, gc, http.client, json, os, ssl, sys, threading
sys.path.insert(0, %r)
from common import HEADERS, body
workers, host, port, ca = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4] or None
data = json.dumps(body()).encode()
headers = {**HEADERS, "Content-Type": "application/json"}
context = ssl.create_default_context(cafile=ca)
pool = concurrent.futures.ThreadPoolExecutor(workers)
together = threading.Barrier(workers)
mine = threading.local()

class Heap(ctypes.Structure):  # struct mallinfo2
    _fields_ = [(n, ctypes.c_size_t) for n in "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()]
mallinfo2 = ctypes.CDLL(None).mallinfo2
mallinfo2.restype = Heap

def calls(n):
    together.wait()
    if not hasattr(mine, "c"):
        mine.c = http.client.HTTPSConnection(host, port, timeout=60, context=context)
    for i in range(n):
        if i < 4:
            together.wait()
        mine.c.request("POST", "/v1/chat/completions", data, headers)
        r = mine.c.getresponse()
        text = r.read()
        assert r.status == 200, text
    together.wait()

def run(total):
    list(pool.map(calls, [total // workers] * workers))
    gc.collect()
    rss = int(open("/proc/self/statm").read().split()[1]) * 4
    heap = mallinfo2()
    return rss, len(os.listdir("/proc/self/fd")), (heap.uordblks + heap.hblkhd) // 1024

first = run(200)
second = run(1800)
third = run(1800)
print(json.dumps({"rss": [first[0], second[0], third[0]], "fds": [first[1], second[1], third[1]],
                  "heap": [first[2], second[2], third[2]]}))
""" % str(ROOT / "tests/clients")

# What a thread keeps for itself counts as used.
EXACT = {"GLIBC_TUNABLES": "glibc.malloc.tcache_count=0"}
# KiB that ktwrap may add from 200 to 2,000 calls, and from 2,000 to 3,800. The heap in use is exact, and does not grow at all as a rule: a leak of
# some 60 bytes per call shows. Resident memory tells of what is mapped; the arenas of the C library settle in it, for as long as fifty threads like.
HEAP_SLACK = {1: (64, 32), 50: (400, 100)}
RSS_SLACK = {1: (300, 200), 50: (4000, 3000)}


class Leaks(e2e.KtTest):
    def mock(self, name, workers):
        delay = ["--fault", "delay_ms=40"] if workers > 1 else []
        return self.lab.mock(name, ["--dialect", "openai"] + delay)

    def alone(self, workers):
        mock = self.mock("alone", workers)
        port = mock.url.split(":")[2].split("/")[0]
        result = subprocess.run([PYTHON, "-c", PROGRAM, str(workers), "127.0.0.1", port, str(mock.ca)], env={**clean_env(), **EXACT},
                                capture_output=True, text=True, timeout=200)
        self.assertEqual(result.returncode, 0, result.stderr)
        return json.loads(result.stdout)

    def measure(self, workers, lane):
        mock = self.mock("up", workers)
        trace = f"no-handoff:{self.lab.tmp}/trace" if lane == "divert" else None
        result = self.run_ok("wrap", self.targets(mock), [PYTHON, "-c", PROGRAM, str(workers), "api.openai.com", "443", ""],
                             env={"MISTRAL_API_KEY": "k", **EXACT}, trace=trace, timeout=200)
        got, control = json.loads(result.stdout), self.alone(workers)
        print(lane, workers, "workers:", got, "without ktwrap:", control, flush=True)
        self.assertEqual(len(set(got["fds"])), 1, got)
        for what, slacks in (("heap", HEAP_SLACK), ("rss", RSS_SLACK)):
            for stretch, slack in enumerate(slacks[workers]):
                grown, alone = (m[what][stretch + 1] - m[what][stretch] for m in (got, control))
                self.assertLessEqual(grown - max(0, alone), slack, (what, got, control))

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
