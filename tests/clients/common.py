# SPDX-License-Identifier: Apache-2.0
"""What the Python clients share: the request, the calls, and the one line of JSON that a test reads."""
import asyncio
import concurrent.futures
import json
import os

URL = os.environ.get("KT_TEST_URL", "https://api.openai.com/v1/chat/completions")
KEY = "sk-program-key-0001"
PROMPT = os.environ.get("KT_TEST_PROMPT", "Write to alice.jones@example.org, card 4111 1111 1111 1111.")
STREAM = os.environ.get("KT_TEST_STREAM") == "1"
CALLS = int(os.environ.get("KT_TEST_CALLS", "1"))
AT_ONCE = int(os.environ.get("KT_TEST_AT_ONCE", "0"))
HEADERS = {"Authorization": f"Bearer {KEY}"}


def body(prompt=PROMPT, stream=STREAM):
    return {"model": "gpt-4o", "messages": [{"role": "user", "content": prompt}], "stream": stream, "store": False,
            "max_completion_tokens": 64}


def result(status, headers, text, stream=STREAM):
    """`text` is the raw answer. What tests compare."""
    out = {"status": status, "retry": headers.get("x-should-retry"), "type": headers.get("content-type")}
    if stream and status == 200:
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
    return out


def report(status, headers, text):
    print(json.dumps(result(status, headers, text)))


def report_matrix(plain, stream, statuses):
    print(json.dumps({"plain": result(*plain, False), "stream": result(*stream, True), "at_once": statuses}))


def calls(make):
    """make() gives a function call(body) -> (status, headers, text); a thread makes its own. KT_TEST_CALLS calls, the last one reported; or,
    with KT_TEST_AT_ONCE = N, one plain, one streamed, and N at once."""
    call = make()
    if not AT_ONCE:
        for _ in range(CALLS):
            answer = call(body())
        report(*answer)
        return
    plain, stream = call(body(stream=False)), call(body(stream=True))
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        report_matrix(plain, stream, list(pool.map(lambda _: make()(body(PROMPT + ", at once", False))[0], range(AT_ONCE))))


async def calls_async(call, together=False):
    """The same for a coroutine; `together`: KT_TEST_CALLS calls are made at once, too."""
    if not AT_ONCE:
        answers = await asyncio.gather(*[call(body()) for _ in range(CALLS)]) if together else [await call(body()) for _ in range(CALLS)]
        assert len({status for status, _, _ in answers}) == 1, [status for status, _, _ in answers]
        report(*answers[-1])
        return
    plain, stream = await call(body(stream=False)), await call(body(stream=True))
    many = await asyncio.gather(*[call(body(PROMPT + ", at once", False)) for _ in range(AT_ONCE)])
    report_matrix(plain, stream, [status for status, _, _ in many])
