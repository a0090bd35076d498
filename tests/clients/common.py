# SPDX-License-Identifier: Apache-2.0
"""What the Python clients share: the request, and the one line of JSON that a test reads."""
import json
import os

URL = os.environ.get("KT_TEST_URL", "https://api.openai.com/v1/chat/completions")
KEY = "sk-program-key-0001"
PROMPT = os.environ.get("KT_TEST_PROMPT", "Write to alice.jones@example.org, card 4111 1111 1111 1111.")
STREAM = os.environ.get("KT_TEST_STREAM") == "1"
CALLS = int(os.environ.get("KT_TEST_CALLS", "1"))
HEADERS = {"Authorization": f"Bearer {KEY}"}


def body(prompt=PROMPT):
    return {"model": "gpt-4o", "messages": [{"role": "user", "content": prompt}], "stream": STREAM, "store": False,
            "max_completion_tokens": 64}


def report(status, headers, text):
    """`text` is the raw answer. Prints what tests compare."""
    out = {"status": status, "retry": headers.get("x-should-retry"), "type": headers.get("content-type")}
    if STREAM and status == 200:
        out["text"], out["chunks"], out["done"] = "", 0, False
        for line in text.splitlines():
            if line == "data: [DONE]":
                out["done"] = True
            elif line.startswith("data: "):
                out["chunks"] += 1
                for choice in json.loads(line[6:])["choices"]:
                    out["text"] += choice["delta"].get("content") or ""
    else:
        out["body"] = json.loads(text)
    print(json.dumps(out))
