# SPDX-License-Identifier: Apache-2.0
import requests
from common import HEADERS, URL, calls


def make():
    session = requests.Session()

    def call(body):
        r = session.post(URL, json=body, headers=HEADERS, stream=body["stream"], timeout=30)
        lines = body["stream"] and r.status_code == 200
        return r.status_code, r.headers, "\n".join(line.decode() for line in r.iter_lines()) if lines else r.text

    return call


calls(make)
