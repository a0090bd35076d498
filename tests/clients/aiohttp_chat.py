# SPDX-License-Identifier: Apache-2.0
"""KT_TEST_CALLS calls at once; the last answer is reported, all must have the same status."""
import asyncio

import aiohttp
from common import HEADERS, URL, calls_async


async def main():
    timeout = aiohttp.ClientTimeout(total=30)
    async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0)) as session:

        async def call(body):
            async with session.post(URL, json=body, headers=HEADERS) as r:
                text = b"".join([line async for line in r.content]).decode() if body["stream"] else await r.text()
                return r.status, r.headers, text

        await calls_async(call, together=True)


asyncio.run(main())
