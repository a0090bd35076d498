# SPDX-License-Identifier: Apache-2.0
"""The distribution's pycurl: libcurl over GnuTLS, with I/O functions of its own, so that no fd tells whose session it is."""
import io
import json
import os

import pycurl
from common import CALLS, HEADERS, URL, body, report

assert "GnuTLS" in pycurl.version, pycurl.version
curl = pycurl.Curl()
for _ in range(CALLS):
    answer = io.BytesIO()
    curl.setopt(pycurl.URL, URL)
    curl.setopt(pycurl.TIMEOUT, 30)
    if os.environ.get("KT_TEST_CA"):
        curl.setopt(pycurl.CAINFO, os.environ["KT_TEST_CA"])
    curl.setopt(pycurl.HTTPHEADER, [f"{k}: {v}" for k, v in {**HEADERS, "Content-Type": "application/json"}.items()])
    curl.setopt(pycurl.POSTFIELDS, json.dumps(body()))
    curl.setopt(pycurl.WRITEDATA, answer)
    curl.perform()
report(curl.getinfo(pycurl.RESPONSE_CODE), {}, answer.getvalue().decode())
