# SPDX-License-Identifier: Apache-2.0
"""Everything that a target can do wrong, by a server of this test's own (raw sockets, not `kt mock`): for each fault the exact attempts, a bounded time, one
answer for the client, one event. The client is a stock curl that believes it talks to api.openai.com."""
import concurrent.futures
import email.utils
import json
import pathlib
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "harness"))
import e2e  # noqa: E402
from ktlib import Lab, dead_port  # noqa: E402

GOOD = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "fine"}, "finish_reason": "stop"}]}
STREAM = [{"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}]},
          {"choices": [{"index": 0, "delta": {"content": "fine"}, "finish_reason": None}]},
          {"choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "stop"}], "usage": GOOD["usage"]}]
CONNECTION, TIMEOUT, RATE, SERVER, BODY, CLIENT = "connection_error", "timeout", "rate_limit", "server_error", "bad_body", "client_error"


def head(status, size, kind="application/json", more=""):
    return f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {size}\r\n{more}\r\n".encode()


def whole(status, body, kind="application/json", more=""):
    body = body if isinstance(body, bytes) else (body if isinstance(body, str) else json.dumps(body)).encode()
    return head(status, len(body), kind, more) + body


def sse(events, done=True):
    lines = [json.dumps({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", **e}) for e in events] + (["[DONE]"] if done else [])
    return "".join(f"data: {line}\n\n" for line in lines)


class Hostile(threading.Thread):
    """One TLS listener; the first folder of the path says what goes wrong. `tls` None = plain bytes."""

    def __init__(self, tls, before_tls=None):
        super().__init__(daemon=True)
        self.tls, self.before_tls = tls, before_tls
        self.over = threading.Event()
        self.seen = {}
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = self.listener.getsockname()[1]

    def run(self):
        while not self.over.is_set():
            try:
                conn, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.guarded, args=(conn,), daemon=True).start()

    def stop(self):
        self.over.set()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def guarded(self, conn):
        conn.settimeout(30)
        try:
            if self.before_tls:
                self.before_tls(self, conn)
                return
            conn = self.tls.wrap_socket(conn, server_side=True) if self.tls else conn
            while self.serve(conn):
                pass
        except (OSError, ValueError):
            pass
        finally:
            conn.close()

    def request(self, conn):
        data = b""
        while b"\r\n\r\n" not in data:
            got = conn.recv(65536)
            if not got:
                raise OSError("gone")
            data += got
        top, _, body = data.partition(b"\r\n\r\n")
        size = next(int(line.split(b":")[1]) for line in top.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        while len(body) < size:
            body += conn.recv(65536)
        return top.split(b" ")[1].decode(), json.loads(body)

    def serve(self, conn):
        path, body = self.request(conn)
        case, target = path.split("/")[1:3]
        with self.lock:
            tries = self.seen[(case, target)] = self.seen.get((case, target), 0) + 1
        if body["messages"][0]["content"] != "hello":
            conn.sendall(whole(418, {"error": {"message": "the body was lost"}}))
        elif target == "good":
            conn.sendall(whole(200, sse(STREAM), "text/event-stream") if body.get("stream") else whole(200, GOOD))
        else:
            return FAULTS[case].act(self, conn, tries)
        return True

    def trickle(self, conn, data, pause=0.1):
        for byte in data:
            conn.sendall(bytes([byte]))
            if self.over.wait(pause):
                return

    def reset(self, conn, first=b""):
        if first:
            conn.sendall(first)
            time.sleep(0.05)  # what was sent must be read before the reset discards it
        conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raw = conn.detach() if isinstance(conn, ssl.SSLSocket) else conn.fileno()
        socket.close(raw)
        return False


class Fault:
    """`outcomes` of the bad target's attempts; `status` that the client sees; `most` seconds that all may take; `settings` beside the targets."""

    def __init__(self, act, *outcomes, status=200, least=0.0, most=5.0, settings="", stream=False, url=None, code=None, extra="", lacks=""):
        self.outcomes, self.status, self.least, self.most, self.settings, self.stream = list(outcomes), status, least, most, settings, stream
        self.url, self.code, self.extra, self.lacks = url, code, extra, lacks
        self.act = act if callable(act) else (lambda server, conn, tries: conn.sendall(act) is None)


def hang(server, conn, tries):
    server.over.wait(30)
    return False


def limited(more, times=1):
    """429 `times` times, with what `more` makes of now; good from then on."""
    def act(server, conn, tries):
        conn.sendall(whole(429, {"message": "slow down"}, more=more()) if tries <= times else whole(200, GOOD))
        return True
    return act


RETRY = "  retry: {max_attempts: 3, initial_delay_ms: 50, max_delay_ms: 3000}\n"
cut = head(200, 500) + b'{"id":"c","choices":['
one = "timeout_seconds: 1, connect_timeout_seconds: 1"
FAULTS = {
    # the connection
    "refused": Fault(None, CONNECTION, url="https://127.0.0.1:{dead}"),
    "refused-retried": Fault(None, CONNECTION, CONNECTION, CONNECTION, url="https://127.0.0.1:{dead}", settings=RETRY),
    "dns": Fault(None, CONNECTION, url="https://nowhere.invalid"),
    "wrong-ca": Fault(None, CONNECTION, url="https://127.0.0.1:{other}"),
    "wrong-name": Fault(None, CONNECTION, url="https://localhost:{port}"),
    "no-tls": Fault(None, CONNECTION, url="https://127.0.0.1:{plain}"),
    "tls-alert": Fault(None, CONNECTION, url="https://127.0.0.1:{alert}"),
    "tls-hangs": Fault(None, TIMEOUT, url="https://127.0.0.1:{mute}", least=0.9, extra=one),
    # before, within and behind the head
    "reset-before-head": Fault(lambda s, c, n: s.reset(c), CONNECTION),
    "closed-before-head": Fault(lambda s, c, n: False, CONNECTION),
    "reset-in-head": Fault(lambda s, c, n: s.reset(c, b"HTTP/1.1 200 OK\r\nContent-"), CONNECTION),
    "reset-behind-head": Fault(lambda s, c, n: s.reset(c, head(200, 500)), CONNECTION),
    "reset-in-body": Fault(lambda s, c, n: s.reset(c, cut), CONNECTION),
    "closed-in-body": Fault(lambda s, c, n: bool(c.sendall(cut)), CONNECTION),
    "no-http": Fault(b"220 mail.example.org ESMTP\r\n", CONNECTION),
    "hang": Fault(hang, TIMEOUT, least=0.9, extra=one),
    "hang-retried": Fault(hang, TIMEOUT, least=0.9, most=4, extra=one, settings=RETRY),  # all tries share the second of the target
    "slow-head": Fault(lambda s, c, n: s.trickle(c, whole(200, GOOD)), TIMEOUT, least=0.9, extra=one),
    "slow-body": Fault(lambda s, c, n: (c.sendall(head(200, 400)), s.trickle(c, b" " * 400)), TIMEOUT, least=0.9, extra=one),
    # 429
    "429": Fault(whole(429, {}), RATE),
    "429-seconds": Fault(limited(lambda: "Retry-After: 1\r\n"), RATE, "ok", least=1, settings=RETRY),
    "429-date": Fault(limited(lambda: f"Retry-After: {email.utils.formatdate(time.time() + 2, usegmt=True)}\r\n"), RATE, "ok", least=0.9, settings=RETRY),
    "429-ms": Fault(limited(lambda: "retry-after-ms: 400\r\nRetry-After: 1\r\n"), RATE, "ok", least=0.4, most=5, settings=RETRY),
    "429-nonsense": Fault(limited(lambda: "Retry-After: soon\r\n"), RATE, "ok", settings=RETRY),
    "429-past": Fault(limited(lambda: "Retry-After: Sun, 06 Nov 1994 08:49:37 GMT\r\n", 2), RATE, RATE, "ok", settings=RETRY),
    "429-for-an-hour": Fault(limited(lambda: "Retry-After: 3600\r\n", 9), RATE, settings=RETRY),
    # what is said
    **{f"{s}": Fault(whole(s, "<h1>no</h1>", "text/html"), SERVER) for s in (500, 502, 503, 504, 529)},
    "503-retried": Fault(lambda s, c, n: c.sendall(whole(503, {}) if n < 3 else whole(200, GOOD)) is None, SERVER, SERVER, "ok", settings=RETRY),
    "302": Fault(whole(302, "", more="Location: https://example.org/\r\n"), SERVER),
    "400": Fault(whole(400, {"object": "error", "message": "no", "type": "invalid_request_error", "param": None, "code": "3230"}), CLIENT, status=400, code="3230"),
    "401": Fault(whole(401, {"detail": "Unauthorized"}), CLIENT, status=401, settings=RETRY),
    "403": Fault(whole(403, {"message": "no", "request_id": "r"}), CLIENT, status=403),
    "404": Fault(whole(404, "", "text/plain"), CLIENT, status=404),
    "422": Fault(whole(422, {"detail": [{"type": "extra_forbidden", "loc": ["body", "x"], "msg": "Extra inputs are not permitted"}]}), CLIENT, status=422),
    # 200, and no answer
    "html": Fault(whole(200, "<html>log in</html>", "text/html"), BODY),
    "html-as-json": Fault(whole(200, "<html>log in</html>"), BODY),
    "nothing": Fault(whole(200, ""), BODY),
    "204": Fault(b"HTTP/1.1 204 No Content\r\n\r\n", BODY),
    "cut-json": Fault(whole(200, json.dumps(GOOD)[:-2]), BODY),
    "no-choices": Fault(whole(200, {**GOOD, "choices": []}), BODY),
    "null-choices": Fault(whole(200, {**GOOD, "choices": None}), BODY),
    "a-list": Fault(whole(200, [GOOD]), BODY),
    "an-error": Fault(whole(200, {"error": {"message": "overloaded"}}), BODY),
    "no-gzip": Fault(whole(200, GOOD, more="Content-Encoding: gzip\r\n"), CONNECTION),
    "bad-chunks": Fault(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}", CONNECTION),
    "bad-body-retried": Fault(whole(200, "<html>"), BODY, BODY, BODY, settings=RETRY),
    # streams
    "stream-500": Fault(whole(500, {}), SERVER, stream=True),
    "stream-html": Fault(whole(200, "<html>log in</html>", "text/html"), BODY, stream=True),
    "stream-hang": Fault(hang, TIMEOUT, stream=True, least=0.9, extra=one),
    "stream-hangs-behind-head": Fault(lambda s, c, n: (c.sendall(head(200, 9999, "text/event-stream")), hang(s, c, n))[1], TIMEOUT, stream=True, least=0.9,
                                      extra=one),
    "stream-keeps-alive-for-ever": Fault(lambda s, c, n: (c.sendall(head(200, 9999, "text/event-stream")), s.trickle(c, b": wait\n\n" * 100, 0.02)), TIMEOUT,
                                         stream=True, least=0.9, extra=one),
    "stream-cut-before-content": Fault(lambda s, c, n: bool(c.sendall(head(200, 9999, "text/event-stream") + sse(STREAM[:1], False).encode())), CONNECTION,
                                       stream=True),
    "stream-error-first": Fault(whole(200, 'data: {"error":{"message":"overloaded"}}\n\n', "text/event-stream"), SERVER, stream=True),
    "stream-empty": Fault(whole(200, "data: [DONE]\n\n", "text/event-stream"), BODY, stream=True),
    "stream-cut-behind-content": Fault(lambda s, c, n: bool(c.sendall(head(200, 9999, "text/event-stream") + sse(STREAM[:2], False).encode())), CONNECTION,
                                       stream=True, lacks="[DONE]"),
    "stream-ends-without-a-reason": Fault(whole(200, sse(STREAM[:2], False), "text/event-stream"), BODY, stream=True, lacks="[DONE]"),
}
GIVEN_UP = ("stream-cut-behind-content", "stream-ends-without-a-reason")  # content has reached the client: no other target from there on


class Faults(unittest.TestCase):
    def setUp(self):
        self.lab = Lab(e2e.BUILD)
        self.lab.__enter__()
        self.addCleanup(self.lab.__exit__, None, None, None)
        tls, other = self.context("ours"), self.context("other")
        alert = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)  # no certificate: no handshake ends well
        self.servers = {"port": Hostile(tls), "other": Hostile(other), "plain": Hostile(None, lambda s, c: c.sendall(b"HTTP/1.1 400 X\r\n\r\n")),
                        "alert": Hostile(alert), "mute": Hostile(None, lambda s, c: s.over.wait(30))}
        for server in self.servers.values():
            server.start()
            self.addCleanup(server.stop)
        self.ports = {**{name: s.port for name, s in self.servers.items()}, "dead": dead_port()}

    def context(self, name):
        key, cert = self.lab.tmp / f"{name}.key", self.lab.tmp / f"{name}.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", f"/CN={name}",
                        "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(cert)], check=True, capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        return context

    def config(self, case, fault):
        base = (fault.url or "https://127.0.0.1:{port}").format(**self.ports)
        ca = f'tls: {{ca_file: "{self.lab.tmp}/ours.pem"}}'
        return self.lab.config(f"""
pack: {{name: faults, version: 1.0.0, enabled: true}}
policies: {{chain: [audit-logger]}}
policy: {{audit-logger: {{}}}}
providers:
{fault.settings}  targets:
    - {{id: bad, provider: mistral, model: m, base_url: "{base}/{case}/bad", {ca}{', ' if fault.extra else ''}{fault.extra}}}
    - {{id: good, provider: mistral, model: m, base_url: "https://127.0.0.1:{self.ports['port']}/{case}/good", {ca}}}
""", f"{case}.yaml")

    def ask(self, case):
        fault = FAULTS[case]
        body = json.dumps({"model": "gpt-4o", "messages": [{"role": "user", "content": "hello"}], **({"stream": True} if fault.stream else {})})
        command = ["curl", "-sS", "-N", "-i", "-m", "40", "-w", "\n%{time_total}", "-H", "content-type: application/json", "-d", body,
                   "https://api.openai.com/v1/chat/completions"]
        argv, env = self.lab.wrapped("wrap", self.config(case, fault), command, {"MISTRAL_API_KEY": "k"})
        argv[argv.index("--state-dir") + 1] = str(self.lab.tmp / f"state-{case}")
        return subprocess.run(argv, env=env, capture_output=True, text=True, timeout=60)

    def check(self, case, got):
        fault = FAULTS[case]
        self.assertEqual(got.returncode, 0, got.stderr)
        answer, _, seconds = got.stdout.rpartition("\n")
        top, _, body = answer.replace("\r\n", "\n").partition("\n\n")
        self.assertEqual(answer.count("HTTP/1.1 "), 1, answer)
        self.assertIn(f"HTTP/1.1 {fault.status} ", top)
        self.assertTrue(fault.least <= float(seconds) <= fault.most, f"{seconds} s, not {fault.least} to {fault.most}")
        own = fault.outcomes[-1] in ("ok", CLIENT) or case in GIVEN_UP
        want = [("bad", o) for o in fault.outcomes] + ([] if own else [("good", "ok")])
        events = self.lab.events(self.lab.tmp / f"state-{case}")
        self.assertEqual(len(events), 1)
        self.assertEqual([(a["target"], a["outcome"]) for a in events[0]["attempts"]], want, events[0]["attempts"])
        self.assertEqual((events[0]["status"], events[0]["target"]), (fault.status, want[-1][0]))
        self.assertIn(f"x-kt-attempts: {len(want)}\n", top + "\n")
        self.assertIn(f"x-kt-target: {want[-1][0]}\n", top + "\n")
        self.check_body(fault, case, body)
        self.assertEqual(self.servers["port"].seen.get((case, "good"), 0), 0 if own else 1)

    def check_body(self, fault, case, body):
        if case in GIVEN_UP:
            self.assertIn('"fine"', body)
            self.assertIn('data: {"error":{"message":', body)
        elif fault.status != 200:
            error = json.loads(body)["error"]
            self.assertEqual(set(error), {"message", "type", "param", "code"})
            self.assertTrue(isinstance(error["message"], str) and error["message"])
            self.assertEqual(error["code"], fault.code or error["code"])
        elif fault.stream:
            self.assertEqual(body.count('"fine"'), 1)
            self.assertTrue(body.rstrip().endswith("data: [DONE]"), body)
        else:
            self.assertEqual(json.loads(body)["choices"][0]["message"]["content"], "fine")
        if fault.lacks:
            self.assertNotIn(fault.lacks, body)

    def test_each(self):
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            answers = {case: pool.submit(self.ask, case) for case in FAULTS}
        for case, got in answers.items():
            with self.subTest(case):
                self.check(case, got.result())


if __name__ == "__main__":
    e2e.main()
