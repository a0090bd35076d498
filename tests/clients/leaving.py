# SPDX-License-Identifier: Apache-2.0
"""leaving.py httpx|aiohttp|curl: reads a stream until its first words, lets go of it, and says when. Lives on: only the call ends.
httpx-task, httpx-h2-task, aiohttp-task: the task that reads the stream is cancelled in its middle."""
import asyncio
import json
import os
import subprocess
import sys
import time

URL = "https://api.openai.com/v1/chat/completions"
BODY = {"model": "gpt-4o", "messages": [{"role": "user", "content": os.environ["KT_TEST_PROMPT"]}], "stream": True}
HEADERS = {"Authorization": "Bearer sk-program-key-0001", "Content-Type": "application/json"}


async def with_httpx(begun=None, http2=False):
    import httpx
    async with httpx.AsyncClient(timeout=30, http2=http2) as client, client.stream("POST", URL, json=BODY, headers=HEADERS) as r:
        async for line in r.aiter_lines():
            if "begun" in line and begun:
                begun.set()
            elif "begun" in line:
                return None


async def cancelled(read, **more):
    begun = asyncio.Event()
    task = asyncio.create_task(read(begun, **more))
    await begun.wait()
    went = time.monotonic()
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled(), task
    await asyncio.sleep(0.1)
    return went


async def with_aiohttp(begun=None):
    import aiohttp
    async with aiohttp.ClientSession() as session, session.post(URL, json=BODY, headers=HEADERS) as r:
        async for line in r.content:
            if b"begun" in line and begun:
                begun.set()
            elif b"begun" in line:
                r.close()
                went = time.monotonic()
                await asyncio.sleep(0.1)  # what asyncio closes over TLS, it closes later
                return went


def with_curl():
    headers = [part for name, value in HEADERS.items() for part in ("-H", f"{name}: {value}")]
    p = subprocess.Popen(["curl", "-sN", *headers, "-d", json.dumps(BODY), URL], stdout=subprocess.PIPE, text=True)
    for line in p.stdout:
        if "begun" in line:
            break
    p.kill()
    p.stdout.close()
    p.wait()


ways = {"httpx": with_httpx, "aiohttp": with_aiohttp, "httpx-task": lambda: cancelled(with_httpx), "aiohttp-task": lambda: cancelled(with_aiohttp),
        "httpx-h2-task": lambda: cancelled(with_httpx, http2=True)}
went = with_curl() if sys.argv[1] == "curl" else asyncio.run(ways[sys.argv[1]]())
print(went or time.monotonic(), flush=True)
sys.stdin.read()
