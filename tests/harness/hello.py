# SPDX-License-Identifier: Apache-2.0
"""ClientHellos as bytes, for programs whose TLS nobody hooks."""
import ssl

ECH = 0xfe0d, b"\x00" + bytes(200)  # an encrypted one inside, as far as anybody can tell


def hello(host="api.openai.com"):
    out = ssl.MemoryBIO()
    try:
        ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), out, server_hostname=host).do_handshake()
    except ssl.SSLWantReadError:
        return out.read()
    raise AssertionError("no handshake begins so")


def with_extension(data, kind, body):
    """The same ClientHello with one extension more, at its end."""
    more = kind.to_bytes(2, "big") + len(body).to_bytes(2, "big") + body
    at = 43 + 1 + data[43]  # behind the session's id
    at += 2 + int.from_bytes(data[at:at + 2], "big")
    at += 1 + data[at]
    extensions = int.from_bytes(data[at:at + 2], "big") + len(more)
    body = data[9:at] + extensions.to_bytes(2, "big") + data[at + 2:] + more
    message = data[5:6] + len(body).to_bytes(3, "big") + body
    return data[:3] + len(message).to_bytes(2, "big") + message
