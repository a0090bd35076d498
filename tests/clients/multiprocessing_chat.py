# SPDX-License-Identifier: Apache-2.0
"""multiprocessing_chat.py fork|spawn: a call in the parent, a streamed one in a child; then KT_TEST_AT_ONCE at once, each in a forked process of
its own, or by threads of two spawned ones."""
import concurrent.futures
import json
import multiprocessing
import sys
import urllib.request

from common import AT_ONCE, HEADERS, PROMPT, URL, body, report_matrix


def call(data):
    request = urllib.request.Request(URL, json.dumps(data).encode(), {**HEADERS, "Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as response:
        return response.status, dict(response.headers.items()), response.read().decode()


def some(n):
    with concurrent.futures.ThreadPoolExecutor(n) as pool:
        return [status for status, _, _ in pool.map(call, [body(PROMPT + ", at once", False)] * n)]


if __name__ == "__main__":
    plain = call(body(stream=False))
    processes = AT_ONCE if sys.argv[1] == "fork" else 2
    with multiprocessing.get_context(sys.argv[1]).Pool(processes) as pool:
        stream = pool.apply(call, (body(stream=True),))
        statuses = pool.map(some, [AT_ONCE // processes] * processes, chunksize=1)
        pool.close()  # else they die by a signal, and what was read along of their last call with them
        pool.join()
    report_matrix(plain, stream, sum(statuses, []))
