# SPDX-License-Identifier: Apache-2.0
"""raw_stream.py httpx|aiohttp|curl: streamed answers, line by line, whatever comes of them: a line of JSON for each prompt of KT_TEST_PROMPT
(commas between). KT_TEST_BASE = ask there instead of at OpenAI."""
import asyncio
import json
import os
import subprocess
import sys

URL = os.environ.get("KT_TEST_BASE", "http://api.openai.com/v1") + "/chat/completions"
HEADERS = {"Authorization": "Bearer sk-program-key-0001", "Content-Type": "application/json"}
BODY, out = {}, {}


class ProviderError(Exception):
    """As OpenAI's SDK for Python: an event with an error ends the stream by an exception."""


def take(line):
    if line == "data: [DONE]":
        out["done"] = True
    elif line.startswith("data: "):
        chunk = json.loads(line[6:])
        if chunk.get("error"):
            raise ProviderError(chunk["error"])
        for choice in chunk.get("choices", []):
            out["text"] += choice["delta"].get("content") or ""
            out["thought"] += (choice["delta"].get("reasoning_content") or "")
            out["calls"] += choice["delta"].get("tool_calls") or []
            out["finish"] = choice["finish_reason"]
            if choice["finish_reason"]:
                out["finishes"][choice["index"]] = choice["finish_reason"]
        out["usage"] = chunk.get("usage") or out.get("usage")


def refused(status, text):
    out["status"], out["error"] = status, json.loads(text)["error"]


async def with_httpx():
    import httpx
    async with httpx.AsyncClient(timeout=30) as client, client.stream("POST", URL, json=BODY, headers=HEADERS) as r:
        if r.status_code != 200:
            refused(r.status_code, await r.aread())
            return
        async for line in r.aiter_lines():
            take(line.rstrip("\n"))


async def with_aiohttp():
    import aiohttp
    async with aiohttp.ClientSession() as session, session.post(URL, json=BODY, headers=HEADERS) as r:
        if r.status != 200:
            refused(r.status, await r.text())
            return
        async for line in r.content:
            take(line.decode().rstrip("\n"))


def with_curl():
    headers = [part for name, value in HEADERS.items() for part in ("-H", f"{name}: {value}")]
    p = subprocess.run(["curl", "-sN", "-w", "\n%{http_code}", *headers, "-d", json.dumps(BODY), URL], capture_output=True, text=True)
    text, status = p.stdout.rsplit("\n", 1)
    if status != "200":
        refused(int(status), text)
    for line in text.splitlines() if status == "200" else []:
        take(line)


for prompt in os.environ["KT_TEST_PROMPT"].split(","):
    BODY = {"model": "gpt-4o", "messages": [{"role": "user", "content": prompt}], "stream": True}
    out = {"text": "", "thought": "", "calls": [], "finishes": {}, "done": False, "error": None}
    try:
        with_curl() if sys.argv[1] == "curl" else asyncio.run({"httpx": with_httpx, "aiohttp": with_aiohttp}[sys.argv[1]]())
    except ProviderError as e:
        out["error"] = e.args[0]
    except Exception as e:  # noqa: BLE001 - what a program would see
        out["error"] = type(e).__name__
    print(json.dumps(out))
