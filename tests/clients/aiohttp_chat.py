# SPDX-License-Identifier: Apache-2.0
"""KT_TEST_CALLS calls at once; the last answer is reported, all must have the same status."""
import asyncio

import aiohttp
from common import CALLS, HEADERS, STREAM, URL, body, report


async def call(session):
    async with session.post(URL, json=body(), headers=HEADERS) as r:
        text = b"".join([line async for line in r.content]).decode() if STREAM else await r.text()
        return r.status, r.headers, text


async def main():
    timeout = aiohttp.ClientTimeout(total=30)
    async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0)) as session:
        answers = await asyncio.gather(*[call(session) for _ in range(CALLS)])
    assert len({status for status, _, _ in answers}) == 1, [status for status, _, _ in answers]
    report(*answers[-1])


asyncio.run(main())
