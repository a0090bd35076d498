# SPDX-License-Identifier: Apache-2.0
import asyncio

import httpx
from common import CALLS, HEADERS, STREAM, URL, body, report


async def main():
    async with httpx.AsyncClient(timeout=30) as client:
        for _ in range(CALLS):
            if STREAM:
                async with client.stream("POST", URL, json=body(), headers=HEADERS) as r:
                    text = "\n".join([line async for line in r.aiter_lines()])
            else:
                r = await client.post(URL, json=body(), headers=HEADERS)
                text = r.text
        report(r.status_code, r.headers, text)


asyncio.run(main())
