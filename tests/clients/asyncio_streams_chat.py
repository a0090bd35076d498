# SPDX-License-Identifier: Apache-2.0
"""HTTP by hand over asyncio's own TLS streams: memory BIOs, no fd that OpenSSL knows of."""
import asyncio
import json
import ssl
import urllib.parse

from common import CALLS, HEADERS, URL, body, report


async def main():
    url = urllib.parse.urlsplit(URL)
    reader, writer = await asyncio.open_connection(url.hostname, url.port or 443, ssl=ssl.create_default_context())
    data = json.dumps(body()).encode()
    fields = {"Host": url.hostname, "Content-Type": "application/json", "Content-Length": len(data), **HEADERS}
    head = f"POST {url.path} HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in fields.items()) + "\r\n"
    for _ in range(CALLS):
        for piece in (head[:20].encode(), head[20:].encode() + data[:10], data[10:]):
            writer.write(piece)
            await writer.drain()
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()
        answer = {k.lower(): v.strip() for k, v in (line.split(":", 1) for line in lines[1:] if ":" in line)}
        text = (await reader.readexactly(int(answer["content-length"]))).decode()
    report(int(lines[0].split()[1]), answer, text)
    writer.close()


asyncio.run(main())
