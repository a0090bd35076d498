# SPDX-License-Identifier: Apache-2.0
import requests
from common import CALLS, HEADERS, STREAM, URL, body, report

session = requests.Session()
for _ in range(CALLS):
    r = session.post(URL, json=body(), headers=HEADERS, stream=STREAM, timeout=30)
    text = "\n".join(line.decode() for line in r.iter_lines()) if STREAM and r.status_code == 200 else r.text
report(r.status_code, r.headers, text)
