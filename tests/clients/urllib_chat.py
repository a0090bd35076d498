# SPDX-License-Identifier: Apache-2.0
import json
import urllib.error
import urllib.request

from common import CALLS, HEADERS, STREAM, URL, body, report

for _ in range(CALLS):
    request = urllib.request.Request(URL, json.dumps(body()).encode(), {**HEADERS, "Content-Type": "application/json"})
    try:
        response = urllib.request.urlopen(request, timeout=30)
    except urllib.error.HTTPError as e:
        response = e
    text = (b"".join(response) if STREAM else response.read()).decode()
report(response.status, response.headers, text)
