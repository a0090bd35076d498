# SPDX-License-Identifier: Apache-2.0
import json
import urllib.error
import urllib.request

from common import HEADERS, URL, calls


def call(body):
    request = urllib.request.Request(URL, json.dumps(body).encode(), {**HEADERS, "Content-Type": "application/json"})
    try:
        response = urllib.request.urlopen(request, timeout=30)
    except urllib.error.HTTPError as e:
        response = e
    text = (b"".join(response) if body["stream"] else response.read()).decode()
    return response.status, response.headers, text


calls(lambda: call)
