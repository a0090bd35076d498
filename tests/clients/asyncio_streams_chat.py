# SPDX-License-Identifier: Apache-2.0
"""HTTP by hand over asyncio's own TLS streams: memory BIOs, no fd that OpenSSL knows of. One connection for the calls in a row, one more
for each of those at once."""
import asyncio
import json
import ssl
import urllib.parse

from common import HEADERS, URL, calls_async

url = urllib.parse.urlsplit(URL)


async def read_body(reader, fields):
    if "content-length" in fields:
        return (await reader.readexactly(int(fields["content-length"]))).decode()
    text = b""
    while size := int(await reader.readline(), 16):
        text += await reader.readexactly(size)
        await reader.readline()
    await reader.readline()
    return text.decode()


async def on(connection, body):
    reader, writer = connection
    data = json.dumps(body).encode()
    fields = {"Host": url.hostname, "Content-Type": "application/json", "Content-Length": len(data), **HEADERS}
    head = f"POST {url.path} HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in fields.items()) + "\r\n"
    for piece in (head[:20].encode(), head[20:].encode() + data[:10], data[10:]):
        writer.write(piece)
        await writer.drain()
    lines = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()
    answer = {k.lower(): v.strip() for k, v in (line.split(":", 1) for line in lines[1:] if ":" in line)}
    return int(lines[0].split()[1]), answer, await read_body(reader, answer)


async def main():
    tls, idle, all_of_them = ssl.create_default_context(), [], []

    async def call(body):
        connection = idle.pop() if idle else await asyncio.open_connection(url.hostname, url.port or 443, ssl=tls)
        try:
            return await on(connection, body)
        finally:
            idle.append(connection)
            all_of_them.append(connection[1])

    await calls_async(call)
    for writer in all_of_them:
        writer.close()


asyncio.run(main())
