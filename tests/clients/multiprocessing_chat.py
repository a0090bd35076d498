# SPDX-License-Identifier: Apache-2.0
"""One call in the parent, then the rest in forked workers of a pool, at once."""
import multiprocessing
import sys

import requests
from common import CALLS, HEADERS, URL, body, report


def call(_):
    r = requests.post(URL, json=body(), headers=HEADERS, timeout=30)
    return r.status_code, dict(r.headers), r.text


if __name__ == "__main__":
    call(0)
    with multiprocessing.get_context(sys.argv[1]).Pool(2) as pool:
        results = pool.map(call, range(CALLS - 1))
    assert len({status for status, _, _ in results}) == 1
    report(*results[-1])
