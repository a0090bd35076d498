# SPDX-License-Identifier: Apache-2.0
"""A provider over TLS, once with HTTP/1.1 and once with HTTP/2, that says when each of its streams ends: watch_origin.py CERT KEY.
The first line is both ports, then "open VERSION", "full" (nobody reads any more) and "closed SECONDS" by the monotonic clock.
The request's last message says what it does: "first" answers nothing, "idle" a few words, "flow" words without end, "slow" as many as are taken."""
import asyncio
import json
import ssl
import sys
import time

import h2.config
import h2.connection
import h2.events


def piece(content):
    choice = {"index": 0, "delta": {"content": content}, "finish_reason": None}
    return ("data: " + json.dumps({"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}) + "\n\n").encode()


def say(*words):
    print(*words, flush=True)


class Old(asyncio.Protocol):
    """One request of HTTP/1.1."""
    version = "1.1"

    def connection_made(self, transport):
        self.transport, self.taken, self.full, self.task = transport, b"", False, None

    def data_received(self, data):
        self.taken += data
        head, end, body = self.taken.partition(b"\r\n\r\n")
        length = [int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        if end and not self.task and len(body) >= length[0]:
            self.begin(body)

    def begin(self, body):
        say("open", self.version)
        self.task = asyncio.ensure_future(self.answer(json.loads(body)["messages"][-1]["content"]))

    def send_head(self):
        self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")

    def send(self, data):
        self.transport.write(data)

    def room(self):
        return not self.full

    async def answer(self, what):
        if what != "first":
            self.send_head()
            self.send(piece("begun "))
        waits = 0
        while what in ("flow", "slow"):
            sends = what == "flow" or self.room()
            if sends:
                self.send(piece("more words " if what == "flow" else "p" * 16000))
            waits = 0 if sends else waits + 1
            if waits == 40:
                say("full")
            await asyncio.sleep(0.002 if what == "flow" or not sends else 0)

    def pause_writing(self):
        self.full = True

    def resume_writing(self):
        self.full = False

    def connection_lost(self, exc):
        self.over()

    def over(self):
        if self.task:
            say("closed", time.monotonic())
            self.task.cancel()
        self.task = None


class Two(Old):
    """The same of HTTP/2."""
    version = "2.0"

    def connection_made(self, transport):
        super().connection_made(transport)
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        self.h2.initiate_connection()
        transport.write(self.h2.data_to_send())

    def data_received(self, data):
        for event in self.h2.receive_data(data):
            if isinstance(event, h2.events.DataReceived):
                self.taken += event.data
            elif isinstance(event, h2.events.StreamEnded):
                self.stream = event.stream_id
                self.begin(self.taken)
            elif isinstance(event, (h2.events.StreamReset, h2.events.ConnectionTerminated)):
                self.over()
        self.transport.write(self.h2.data_to_send())

    def send_head(self):
        self.h2.send_headers(self.stream, [(":status", "200"), ("content-type", "text/event-stream")])

    def send(self, data):
        self.h2.send_data(self.stream, data)
        self.transport.write(self.h2.data_to_send())

    def room(self):
        return not self.full and self.h2.local_flow_control_window(self.stream) > 20000


async def main(cert, key):
    ports = []
    for protocol, name in ((Old, "http/1.1"), (Two, "h2")):
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(cert, key)
        context.set_alpn_protocols([name])
        server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0, ssl=context)
        ports.append(server.sockets[0].getsockname()[1])
    say(*ports)
    await asyncio.Event().wait()


asyncio.run(main(*sys.argv[1:]))
