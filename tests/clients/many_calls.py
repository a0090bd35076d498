# SPDX-License-Identifier: Apache-2.0
"""KT_TEST_PROCESSES processes, each with KT_TEST_CALLS calls. The first KT_TEST_ALONE calls are made by one more process before the
others begin. Prints {"statuses": {"200": n}, "targets": {"a": n}} over all of them."""
import collections
import json
import os
import sys
import warnings

import requests
from common import CALLS, HEADERS, URL, body

warnings.filterwarnings("ignore", category=DeprecationWarning)


def calls(n, out):
    session = requests.Session()
    for _ in range(n):
        r = session.post(URL, json=body(), headers=HEADERS, timeout=60)
        out.write(f"{r.status_code} {r.headers.get('x-kt-target', '-')}\n")
    out.flush()


def run(processes, n):
    """All begin at once: they wait until the pipe is closed."""
    go_read, go_write = os.pipe()
    readers = []
    for _ in range(processes):
        r, w = os.pipe()
        if os.fork() == 0:
            status = 1
            try:
                os.close(go_write)
                os.close(r)
                os.read(go_read, 1)
                with os.fdopen(w, "w") as out:
                    calls(n, out)
                status = 0
            finally:
                os._exit(status)
        os.close(w)
        readers.append(r)
    os.close(go_read)
    os.close(go_write)
    lines = []
    for r in readers:
        with os.fdopen(r) as f:
            lines += f.read().splitlines()
    failed = sum(os.wait()[1] != 0 for _ in range(processes))
    if failed:
        sys.exit(f"{failed} processes failed")
    return lines


alone = int(os.environ.get("KT_TEST_ALONE", "0"))
lines = (run(1, alone) if alone else []) + run(int(os.environ.get("KT_TEST_PROCESSES", "4")), CALLS)
print(json.dumps({"statuses": collections.Counter(line.split()[0] for line in lines),
                  "targets": collections.Counter(line.split()[1] for line in lines)}))
