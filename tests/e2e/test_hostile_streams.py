# SPDX-License-Identifier: Apache-2.0
"""Providers that misbehave in every way that we could think of, and clients that do: no hang, no crash, no raw value out, and what is not whole is an
error to the client. Each case goes through two gateways: one whose policies write the stream anew, and one that passes bytes on."""
import asyncio
import json
import pathlib
import re
import subprocess
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "harness"))
import e2e  # noqa: E402
from gateway import Gateway  # noqa: E402
from ktlib import PYTHON, ROOT  # noqa: E402
from servers import make_ca  # noqa: E402

MAIL = "carol.white@example.org"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
DONE = b"data: [DONE]\n\n"


def sse(value, end=b"\n"):
    return b"data: " + (value if isinstance(value, bytes) else json.dumps(value).encode()) + end * 2


def chunk(delta, finish=None, index=0, **more):
    choice = {"index": index, "delta": delta, "finish_reason": finish}
    return sse({"id": "c1", "object": "chat.completion.chunk", "created": 7, "model": "m", "choices": [choice], **more})


def says(text, finish=None, index=0):
    return chunk({"content": text}, finish, index)


def called(index, arguments, **more):
    return chunk({"tool_calls": [{"index": index, "function": {"arguments": arguments}, **more}]})


def framed(*parts):
    return CHUNKED + b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in parts) + b"0\r\n\r\n"


ROLE, STOP = chunk({"role": "assistant", "content": ""}), chunk({}, "stop", usage={"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2})
SPLIT = ("write to carol.wh", "ite@example.org ", "now")
PLAIN = [ROLE, *(says(s) for s in SPLIT), STOP, DONE]
BODY = b"".join(PLAIN)
BEGUN = ROLE + says("begun ")
WHOLE = framed(*PLAIN)
FINISHED = WHOLE.index(b"[DONE]")
TEXT = "write to [EMAIL] now"


def whole(*parts):
    return framed(ROLE, *parts, STOP, DONE)


# name -> bytes of the answer, and the text that a client must see; None = an error, whatever came before; "" = either, but no raw value.
CASES = {
    "plain": (WHOLE, TEXT),
    "one chunk": (framed(BODY), TEXT),
    "a byte each": (framed(*(BODY[i:i + 1] for i in range(len(BODY)))), TEXT),
    "thousands of chunks": (whole(*[says("p ")] * 5000), "p " * 5000),
    "a delta of a megabyte": (whole(says("p" * 1_000_000)), "p" * 1_000_000),
    "an event of three": (whole(says("p" * 3_000_000)), None),
    "early hints": (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + WHOLE, TEXT),
    "a length": (HEAD + b"Content-Length: %d\r\n\r\n%s" % (len(BODY), BODY), TEXT),
    "until the end": (HEAD + b"\r\n" + BODY, TEXT),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\nContent-Type: text/event-stream\r\n\r\n" + BODY, TEXT),
    "trailers": (WHOLE[:-2] + b"X-Sum: 1\r\nX-More: 2\r\n\r\n", TEXT),
    "a charset": (WHOLE.replace(b"event-stream", b"event-stream; charset=utf-8"), TEXT),
    "no type": (WHOLE.replace(b"Content-Type: text/event-stream\r\n", b""), TEXT),
    "another type": (WHOLE.replace(b"text/event-stream", b"text/html"), None),
    "a byte order mark": (framed(b"\xef\xbb\xbf" + BODY), TEXT),
    "CRLF": (framed(BODY.replace(b"\n", b"\r\n")), TEXT),
    "CR": (framed(BODY.replace(b"\n", b"\r")), TEXT),
    "comments and ids": (framed(b": hi\n\nid: 1\nretry: 5\n", *PLAIN[:2], b": \x00\xff\n\n", *PLAIN[2:]), TEXT),
    "lines of JSON": (framed(ROLE, *(b"".join(b"data: " + line + b"\n" for line in json.dumps(json.loads(says(s)[6:]), indent=1).encode().split(b"\n")) + b"\n"
                                     for s in SPLIT), STOP, DONE), TEXT),
    "extensions of chunks": (CHUNKED + b"".join(b'%04x ;n="a;b";q\r\n%s\r\n' % (len(p), p) for p in PLAIN) + b"0;last\r\n\r\n", TEXT),
    "no blank behind the colon": (framed(BODY.replace(b"data: ", b"data:")), TEXT),
    "names of events": (framed(*(b"event: completion.chunk\nid: 7\n" + p for p in PLAIN)), TEXT),
    "empty events": (framed(b"\n\ndata:\n\ndata\n\nevent: x\n\n", ROLE, *(says(s) + b"event: ping\ndata:\n\n" for s in SPLIT), STOP, DONE), TEXT),
    "no end of the last line": (framed(BODY[:-2]), TEXT),
    "no done": (framed(*PLAIN[:-1]), TEXT),
    "5,000 empty deltas": (whole(*[chunk({}), says("")] * 2500, says("ab")), "ab"),
    "choices out of order": (framed(ROLE, says("a", index=5), says("b", index=2), *(chunk({}, "stop", index=i) for i in (0, 5, 2)), DONE), "ab"),
    "another spelling of a key": (whole(*(says(s).replace(b'"content"', b'"c\\u006fntent"') for s in SPLIT)), TEXT),
    "no index": (framed(sse({"choices": [{"delta": {"content": "ab "}}]}), sse({"choices": [{"delta": {"content": "c"}, "finish_reason": "stop"}]}), DONE), "ab c"),
    "no reason to finish": (whole(chunk({"content": "a "}, ""), chunk({"content": "b "}, 0), chunk({"content": "c "}, False), says("d")), "a b c d"),
    "a long field": (HEAD + b"X-Big: " + b"a" * 65000 + b"\r\n" + WHOLE[len(HEAD):], TEXT),
    "many hints": (b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * 500 + WHOLE, TEXT),
    "4,000 pieces of arguments": (whole(called(0, "", id="abcdefghi", type="function"), *(called(0, c) for c in ('{"a\\\\b":"\\u0063arol.white@example.org \\n"}' * 300)[:4000])), ""),
    "values in names": (whole(sse({"id": MAIL, "model": MAIL, "choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": MAIL}]})), ""),
    "values in what nobody knows": (whole(sse({"note": MAIL, "choices": [{"index": 0, "seen": [MAIL], "delta": {"content": "a", "x": {"y": MAIL}, "z": MAIL}}]})), ""),
    "behind the end": (framed(BODY, says(MAIL), DONE), TEXT),
    "usage in the middle": (whole(says("a "), chunk({}, usage={"prompt_tokens": 1}), says("b")), "a b"),
    "null choices": (whole(says("a "), sse({"choices": None, "usage": {"prompt_tokens": 1}}), says("b")), "a b"),
    "no choices": (whole(says("a "), sse({"choices": []}), sse({"ping": MAIL}), says("b")), "a b"),
    "roles": (whole(says("a "), ROLE, ROLE, says("b")), "a b"),
    "null content": (whole(says("a "), chunk({"content": None, "tool_calls": None}), chunk({}), says("b")), "a b"),
    "parts": (whole(*(chunk({"content": [{"type": "text", "text": s}]}) for s in SPLIT)), ""),
    "a number": (whole(chunk({"content": 5}), says("b")), ""),
    "null delta": (whole(sse({"choices": [{"index": 0, "delta": None, "finish_reason": None}]}), says("b")), "b"),
    "finished twice": (whole(says("a"), STOP), "a"),
    "words behind its end": (whole(says("carol.wh"), STOP, says("ite@example.org")), ""),
    "an object for arguments": (whole(chunk({"tool_calls": [{"id": "abcdefghi", "function": {"name": "f", "arguments": {"to": MAIL}}}]})), ""),
    "calls without an index": (whole(called(None, '{"to":"carol.wh', id="abcdefghi"), called(None, 'ite@example.org"}')), ""),
    "calls by turns": (whole(*(called(i, part) for part in ('{"to":"carol.wh', 'ite@example.org"}') for i in (0, 1))), ""),
    "a choice that stays open": (whole(says("a ", index=1)), None),
    # ---- not whole
    "nothing": (b"", None),
    "only a head": (CHUNKED + b"0\r\n\r\n", None),
    "no finish_reason": (framed(BEGUN), None),
    "done too early": (framed(BEGUN, DONE), None),
    "no such chunk": (CHUNKED + b"zz\r\n" + BODY, None),
    "an end too early": (framed(BEGUN) + framed(STOP, DONE)[len(CHUNKED):], None),
    "a longer field": (HEAD + b"X-Big: " + b"a" * 120000 + b"\r\n" + WHOLE[len(HEAD):], None),
    "a coding that nobody knows": (HEAD + b"Content-Encoding: foo\r\n" + WHOLE[len(HEAD):], None),
    "two codings of the transfer": (HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n" + WHOLE[len(CHUNKED):], None),
    "another protocol": (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n" + WHOLE, None),
    "a chunk too short": (CHUNKED + b"10\r\n" + BODY + b"\r\n0\r\n\r\n", None),
    "a chunk too long": (CHUNKED + b"ffff\r\n" + BEGUN, None),
    "a huge chunk": (CHUNKED + b"ffffffffffffffffff\r\n" + BODY, None),
    "a length too long": (HEAD + b"Content-Length: 9999\r\n\r\n" + BEGUN, None),
    "a length too short": (HEAD + b"Content-Length: %d\r\n\r\n%s" % (len(BEGUN) + 30, BODY), None),
    "two lengths": (HEAD + b"Content-Length: 5\r\nContent-Length: 700\r\n\r\n" + BODY, None),
    "two answers": (framed(BEGUN) + WHOLE, None),
    "no HTTP": (b"SSH-2.0-x\r\n\r\n", None),
    "a bare LF": (WHOLE.replace(b"\r\nContent-Type", b"\nContent-Type", 1), TEXT),
    "a NUL in the head": (WHOLE.replace(b"text/", b"te\0t/", 1), None),
    "a huge head": (HEAD + b"".join(b"X-%d: %s\r\n" % (i, b"a" * 1000) for i in range(1000)) + b"\r\n" + BODY, None),
    "NULs in an event": (framed(BEGUN, says("a").replace(b'"a"', b'"\0"'), STOP, DONE), None),
    "half of a character": (framed(BEGUN, says("a").replace(b'"a"', b'"\xc3"'), STOP, DONE), None),
    "no JSON": (framed(BEGUN, sse(b"{oops}"), STOP, DONE), None),
    "a list": (framed(BEGUN, sse([1]), STOP, DONE), None),
    "deep": (framed(BEGUN, sse(b"[" * 100000), STOP, DONE), None),
    "a line without an end": (framed(BEGUN, b"data: " + b"x" * 3_000_000), None),
    "an error": (framed(BEGUN, sse({"error": {"message": "gone"}})), None),
    "a named error": (framed(BEGUN, b"event: error\n" + sse({"detail": "gone"})), None),
    "gzip that is none": (CHUNKED.replace(b"\r\n\r\n", b"\r\nContent-Encoding: gzip\r\n\r\n") + b"5\r\nhello\r\n0\r\n\r\n", None),
    "many choices": (framed(ROLE, sse({"choices": [{"index": i, "delta": {"content": "a"}, "finish_reason": "stop"} for i in range(3000)]}), DONE), ""),
}
for n, index in enumerate((10**9, -1, "0", 1.5, "x" * 300, [0], True, None)):
    CASES[f"index {n}"] = (whole(*(chunk({"content": s}, index=index) for s in SPLIT)), "")
    other = json.loads(says("x")[6:])["choices"]
    CASES[f"index {n}, moved"] = (whole(chunk({"content": SPLIT[0]}, index=index), sse({"choices": [*other, {"index": index, "delta": {"content": SPLIT[1]}}]})), "")
    CASES[f"call {n}"] = (whole(called(index, '{"to":"carol.wh'), chunk({"tool_calls": [{"index": 0, "function": {"arguments": "x"}},
                                                                                   {"index": index, "function": {"arguments": 'ite@example.org"}'}}]})), "")


class Upstream:
    """Answers with the bytes of the case that the prompt names, "cut N" with so many of the plain one, and closes; one thread."""

    def __init__(self):
        self.loop, ready = asyncio.new_event_loop(), threading.Event()
        self.thread = threading.Thread(target=self._run, args=(ready,), daemon=True)
        self.thread.start()
        ready.wait(10)

    def _run(self, ready):
        asyncio.set_event_loop(self.loop)
        server = self.loop.run_until_complete(asyncio.start_server(self.serve, "127.0.0.1", 0, backlog=1024))
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        self.loop.run_forever()
        server.close()
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())

    def stop(self):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)

    async def serve(self, reader, writer):
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            body = json.loads(await reader.readexactly(int(re.search(r"(?i)content-length: *(\d+)", head).group(1))))
            what = body["messages"][-1]["content"]
            if what.startswith("cut "):
                writer.write(WHOLE[:int(what[4:])])
            elif what == "stall":
                writer.write(CHUNKED + b"%x\r\n%s\r\n" % (len(BEGUN), BEGUN))
                await reader.read()
            elif what == "long":
                for _ in range(200):
                    writer.write(framed(says(MAIL + " "))[len(CHUNKED) if _ else 0:-5])
                    await writer.drain()
                    await asyncio.sleep(0.001)
                writer.write(framed(STOP, DONE)[len(CHUNKED):])
            else:
                writer.write(CASES[what][0])
            await writer.drain()
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            writer.close()


def request(what):
    body = json.dumps({"model": "m", "stream": True, "messages": [{"role": "user", "content": what}]}).encode()
    return b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


def unchunked(raw):
    """The body, and whether it is whole."""
    out = b""
    while raw:
        size, _, raw = raw.partition(b"\r\n")
        n = int(size or b"-1", 16)
        if n <= 0:
            return out, n == 0
        out, raw = out + raw[:n], raw[n + 2:]
    return out, False


def as_a_client(raw):
    """(status, text, error) as an SDK sees it: an event with an error raises, and so does a body that is cut."""
    head, _, raw = raw.partition(b"\r\n\r\n")
    status = int(head.split()[1]) if head else 0
    body, good = unchunked(raw) if b"chunked" in head.lower() else (raw, True)
    body = re.sub(rb"\[EMAIL_\d+\]", b"[EMAIL]", body)
    if status != 200:
        return status, "", json.loads(body)["error"]["message"] if head else "no answer"
    text, finished = "", False
    for event in re.split(rb"\r\n\r\n|\n\n|\r\r", body):
        data = b"\n".join(line[5:].strip() for line in re.split(rb"\r\n|\n|\r", event.removeprefix(b"\xef\xbb\xbf")) if line.startswith(b"data:"))
        if data == b"[DONE]" or not data:
            finished |= bool(data)
            continue
        value = json.loads(data)
        if value.get("error"):
            return status, text, value["error"]["message"]
        for choice in value.get("choices") or []:
            delta = choice.get("delta") or {}
            text += delta.get("content") if isinstance(delta.get("content"), str) else ""
    return status, text, None if good and finished else "cut"


class Hostile(e2e.KtTest):
    def setUp(self):
        super().setUp()
        self.up = Upstream()
        self.addCleanup(self.up.stop)

    def gateway(self, name, url=None, **more):
        chain, provider = {"filter": ("pii-detector, audit-logger", "mistral"), "pass": ("audit-logger", "openai")}[name]
        config = self.lab.config(f"""
pack: {{name: hostile, version: 1.0.0, enabled: true}}
policies: {{chain: [{chain}]}}
policy:
  pii-detector: {{action: redact}}
  audit-logger: {{}}
providers:
  retry: {{max_attempts: 1}}
  circuit_breaker: {{enabled: false}}
  targets: [{{id: up, provider: {provider}, model: m, base_url: "{url or f'http://127.0.0.1:{self.up.port}/v1'}", secret_key_ref: {{env: KEY}}, timeout_seconds: {more.get("timeout", 4)}, stream_timeout_seconds: 60{more.get("tls", "")}}}]
""", f"{name}.yaml")
        g = Gateway(self.lab, config, options=["--max-concurrency", "400"], env={"KEY": "k"}, name=name)
        self.addCleanup(g.stop)
        return g

    def ask(self, g, names):
        """name -> all bytes of the answer, fifty at once."""
        async def one(what, gate):
            async with gate:
                reader, writer = await asyncio.open_connection("127.0.0.1", g.port, limit=1 << 24)
                writer.write(request(what))
                raw = await reader.read(-1)
                writer.close()
                return raw

        async def everything():
            gate = asyncio.Semaphore(50)
            return await asyncio.gather(*[one(what, gate) for what in names])
        return dict(zip(names, asyncio.run(asyncio.wait_for(everything(), 60))))

    def check(self, name, raw, want, filtered):
        with self.subTest(name):
            if filtered:
                self.assertNotIn(MAIL.encode(), raw)
                self.assertNotIn(b"@example.org", raw.replace(b'"ping": "' + MAIL.encode(), b""), "nor a half of it")
            status, text, error = as_a_client(raw)
            if want is None:
                self.assertTrue(error, raw[-600:])
            elif want:
                if not filtered:
                    want = want.replace("[EMAIL]", MAIL)
                self.assertEqual((status, error), (200, None), raw[-600:])
                self.assertEqual(text[:200], want[:200])
                self.assertEqual(len(text), len(want))

    def test_every_case(self):
        for name in ("filter", "pass"):
            g = self.gateway(name)
            for what, raw in self.ask(g, list(CASES) + ["stall"]).items():
                self.check(f"{name}: {what}", raw, CASES[what][1] if what != "stall" else None, name == "filter")
            self.assertIsNone(g.proc.poll(), "it lives")
        self.assertEqual(len(self.lab.events()), 2 * (len(CASES) + 1))
        self.assert_audit_ok()

    def test_a_cut_at_every_byte(self):
        for name in ("filter", "pass"):
            g = self.gateway(name)
            for what, raw in self.ask(g, [f"cut {n}" for n in range(len(WHOLE))]).items():
                n = int(what[4:])
                status, text, error = as_a_client(raw)
                with self.subTest(f"{name}: {what}"):
                    if name == "filter":
                        self.assertNotIn(b"@example.org", raw)
                    if n < FINISHED + 8:
                        self.assertTrue(error, raw[-600:])
                    want = TEXT if name == "filter" else TEXT.replace("[EMAIL]", MAIL)
                    self.assertTrue(want.startswith(text), text)
                    self.assertEqual(status == 200, bool(text) or (not error), "what has no content is a status")
            self.assertIsNone(g.proc.poll())

    def test_the_stock_sdk_raises(self):
        """All cases by the npm SDK, in one program."""
        names = [what for what in CASES if "," not in what and what not in ("parts", "null choices", "no choices", "null delta")]  # a program's own loop breaks there
        g = self.gateway("filter")
        env = self.lab.env({"KT_TEST_BASE": f"{g.url}/v1", "KT_TEST_PROMPT": ",".join(names), "KT_TEST_STREAM": "1"})
        r = subprocess.run(["node", str(ROOT / "tests/clients/node/openai_stream.mjs")], env=env, capture_output=True, text=True, timeout=120)
        self.assertEqual(r.returncode, 0, r.stderr[-2000:])
        for what, line in zip(names, r.stdout.splitlines(), strict=True):
            seen, want = json.loads(re.sub(r"\[EMAIL_\d+\]", "[EMAIL]", line)), CASES[what][1]
            with self.subTest(what):
                self.assertNotIn("@example.org", line)
                if want is None:
                    self.assertTrue(seen.get("error"), line[:600])
                elif want:
                    self.assertEqual((seen["text"][:200], seen.get("error")), (want[:200], None))

    def test_clients_that_misbehave(self):
        g = self.gateway("filter", timeout=30)
        whole = self.ask(g, ["long"])["long"]
        self.assertIsNone(as_a_client(whole)[2])

        async def leave(after):
            reader, writer = await asyncio.open_connection("127.0.0.1", g.port)
            writer.write(request("long"))
            while after > 0 and (piece := await reader.read(after)):
                after -= len(piece)
            writer.close()

        async def slow():
            reader, writer = await asyncio.open_connection("127.0.0.1", g.port, limit=64)
            writer.write(request("long"))
            text = b""
            for _ in range(50):
                text += await reader.read(1)
                await asyncio.sleep(0.005)
            text += await reader.read(-1)
            writer.close()
            return text

        async def half():
            reader, writer = await asyncio.open_connection("127.0.0.1", g.port)
            writer.write(request("long"))
            writer.write_eof()
            text = await reader.read(-1)
            writer.close()
            return text

        async def everything():
            return await asyncio.gather(slow(), half(), *[leave(n) for n in range(0, len(whole), 509)])
        got = asyncio.run(asyncio.wait_for(everything(), 60))
        for text in got[:2]:
            self.assertEqual(as_a_client(text), as_a_client(whole))
        self.assertEqual(g.chat({"model": "m", "stream": True, "messages": [{"role": "user", "content": "plain"}]})[0], 200, "it serves on")
        self.assertIsNone(g.proc.poll())
        self.assert_audit_ok()

    def test_http2(self):
        ca, cert, key = make_ca(self.lab.tmp, "watch")
        p = subprocess.Popen([PYTHON, str(ROOT / "tests/harness/watch_origin.py"), str(cert), str(key)], stdout=subprocess.PIPE, text=True)
        self.addCleanup(lambda: (p.kill(), p.wait(), p.stdout.close()))
        port = int(p.stdout.readline().split()[1])
        threading.Thread(target=lambda: [None for _ in p.stdout], daemon=True).start()
        wanted = {"whole": None, "trailers": None, "leave": None, "reset": "error", "goaway": "error", "end": "error", "close": "error"}
        for name in ("filter", "pass"):
            g = self.gateway(name, f"https://localhost:{port}/v1", tls=f', tls: {{ca_file: "{ca}"}}')
            for what, raw in self.ask(g, list(wanted)).items():
                with self.subTest(f"{name}: {what}"):
                    status, text, error = as_a_client(raw)
                    self.assertEqual((status, text[:6], bool(error)), (200, "begun ", wanted[what] is not None), raw[-500:])


if __name__ == "__main__":
    e2e.main()
