# SPDX-License-Identifier: Apache-2.0
import httpx
from common import CALLS, HEADERS, STREAM, URL, body, report

with httpx.Client(timeout=30) as client:
    for _ in range(CALLS):
        if STREAM:
            with client.stream("POST", URL, json=body(), headers=HEADERS) as r:
                text = "\n".join(r.iter_lines())
        else:
            r = client.post(URL, json=body(), headers=HEADERS)
            text = r.text
report(r.status_code, r.headers, text)
