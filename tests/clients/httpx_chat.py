# SPDX-License-Identifier: Apache-2.0
import httpx
from common import HEADERS, URL, calls

with httpx.Client(timeout=30) as client:

    def call(body):
        if not body["stream"]:
            r = client.post(URL, json=body, headers=HEADERS)
            return r.status_code, r.headers, r.text
        with client.stream("POST", URL, json=body, headers=HEADERS) as r:
            return r.status_code, r.headers, "\n".join(r.iter_lines())

    calls(lambda: call)  # threads share it
