# SPDX-License-Identifier: Apache-2.0
"""The distribution's pycurl: libcurl over GnuTLS, with I/O functions of its own, so that no fd tells whose session it is."""
import io
import json
import os

import pycurl
from common import AT_ONCE, CALLS, HEADERS, PROMPT, URL, body, report, report_matrix

assert "GnuTLS" in pycurl.version, pycurl.version


def prepare(curl, data):
    answer = io.BytesIO()
    curl.setopt(pycurl.URL, URL)
    curl.setopt(pycurl.TIMEOUT, 30)
    if os.environ.get("KT_TEST_CA"):
        curl.setopt(pycurl.CAINFO, os.environ["KT_TEST_CA"])
    curl.setopt(pycurl.HTTPHEADER, [f"{k}: {v}" for k, v in {**HEADERS, "Content-Type": "application/json"}.items()])
    curl.setopt(pycurl.POSTFIELDS, json.dumps(data))
    curl.setopt(pycurl.WRITEDATA, answer)
    return answer


def call(curl, data):
    answer = prepare(curl, data)
    curl.perform()
    return curl.getinfo(pycurl.RESPONSE_CODE), {}, answer.getvalue().decode()


def at_once(n):
    multi, all_of_them = pycurl.CurlMulti(), [pycurl.Curl() for _ in range(n)]
    answers = [prepare(curl, body(PROMPT + ", at once", False)) for curl in all_of_them]
    for curl in all_of_them:
        multi.add_handle(curl)
    left = n
    while left:
        while multi.perform()[0] == pycurl.E_CALL_MULTI_PERFORM:
            pass
        left = multi.perform()[1]
        multi.select(1.0)
    assert all(json.loads(a.getvalue()) for a in answers)
    return [curl.getinfo(pycurl.RESPONSE_CODE) for curl in all_of_them]


curl = pycurl.Curl()
if AT_ONCE:
    report_matrix(call(curl, body(stream=False)), call(curl, body(stream=True)), at_once(AT_ONCE))
else:
    for _ in range(CALLS):
        result = call(curl, body())
    report(*result)
