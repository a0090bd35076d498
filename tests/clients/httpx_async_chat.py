# SPDX-License-Identifier: Apache-2.0
import asyncio
import os

import httpx
from common import HEADERS, URL, calls_async


async def main():
    async with httpx.AsyncClient(timeout=30, http2=os.environ.get("KT_TEST_HTTP2") == "1") as client:

        async def call(body):
            if not body["stream"]:
                r = await client.post(URL, json=body, headers=HEADERS)
                return r.status_code, r.headers, r.text
            async with client.stream("POST", URL, json=body, headers=HEADERS) as r:
                return r.status_code, r.headers, "\n".join([line async for line in r.aiter_lines()])

        await calls_async(call)


asyncio.run(main())
