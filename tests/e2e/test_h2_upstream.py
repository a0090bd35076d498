# SPDX-License-Identifier: Apache-2.0
"""A provider that speaks HTTP/2: what a client no longer wants, or a policy stops, is cancelled there at once, and other calls go on."""
import pathlib
import queue
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "harness"))
import e2e  # noqa: E402
import json  # noqa: E402
from gateway import CHAT, KEY, Gateway  # noqa: E402
from ktlib import ROOT  # noqa: E402
from servers import make_ca  # noqa: E402

CONFIG = """
pack: {{name: h2, version: 1.0.0, enabled: true}}
policies: {{chain: [dlp-filter, audit-logger]}}
policy:
  dlp-filter: {{blocked_terms: [Quartzfinch], action: block}}
  audit-logger: {{}}
providers:
  retry: {{max_attempts: 1}}
  targets:
    - {{id: up, provider: mistral, model: m, base_url: "https://localhost:{port}/v1", secret_key_ref: {{env: MISTRAL_API_KEY}}, tls: {{ca_file: "{ca}"}}}}
"""


class H2Upstream(e2e.KtTest):
    def setUp(self):
        super().setUp()
        ca, cert, key = make_ca(self.lab.tmp, "h2")
        self.node = subprocess.Popen(["node", str(ROOT / "tests/clients/node/h2_origin.mjs"), str(cert), str(key)], stdout=subprocess.PIPE, text=True)
        self.addCleanup(self.node.stdout.close)
        self.addCleanup(self.node.wait)
        self.addCleanup(self.node.kill)
        port = int(self.node.stdout.readline())
        self.seen = queue.Queue()
        threading.Thread(target=lambda: [self.seen.put((time.monotonic(), line.strip())) for line in self.node.stdout], daemon=True).start()
        self.gw = Gateway(self.lab, self.lab.config(CONFIG.format(port=port, ca=ca)), (), KEY)
        self.addCleanup(self.gw.stop)

    def say(self, text, stream=True):
        body = json.dumps({**CHAT, "messages": [{"role": "user", "content": text}], "stream": stream}).encode()
        s = self.gw.connect()
        s.settimeout(20)
        s.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: g\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        self.assertEqual(self.seen.get(timeout=20)[1], "open 2.0")
        return s

    def test_no_byte_waits_for_the_next(self):
        """Whatever comes at once is there at once: bursts of a stream, errors with a page, answers about as long as a TLS record."""
        for size in (1000, 3000, 10_000, 20_000, 33_000, 70_000, 300_000):
            with self.say(f"burst of {size} bytes") as s:
                out = b""
                while out.count(b"word") < size // 150 - 2:  # the last one may be the beginning of more
                    out += s.recv(65536)
                self.assertTrue(self.seen.empty(), size)
                while b"[DONE]" not in out:
                    out += s.recv(65536)
            self.assertRegex(self.seen.get(timeout=20)[1], "^closed")
        for status, stream, size in (*((200, False, n) for n in (*range(14_600, 16_600, 100), 30_000, 33_000, 66_000, 200_000)),
                                     (400, True, 5000), (400, True, 16_500)):
            with self.say(f"{status} of {size} bytes", stream) as s:
                out = b""
                while b"\r\n\r\n" not in out or (status == 200 and out.count(b"w") < size):
                    out += s.recv(65536)
            self.assertRegex(out, b"^HTTP/1.1 %d " % status)
            self.assertRegex(self.seen.get(timeout=20)[1], "^closed")

    def test_a_client_that_goes_is_gone_upstream_too(self):
        with self.say("go on") as stays:
            s = self.say("go on")
            while b"more words" not in s.recv(4096):
                pass
            at = time.monotonic()
            s.close()
            when, line = self.seen.get(timeout=20)
            self.assertRegex(line, "^closed [0-9]+$")
            print(f"cancelled upstream after {1000 * (when - at):.0f} ms")
            for _ in range(3):  # the other call is still served
                self.assertTrue(stays.recv(4096))
            self.assertTrue(self.seen.empty())

    def test_what_a_policy_stops_is_cancelled(self):
        with self.say("name it") as s:
            out = b""
            while piece := s.recv(4096):
                out += piece
                if b"[DONE]" in out:
                    break
            self.assertIn(b"output_blocked", out)
            self.assertNotIn(b"Quartzfinch", out)
            self.assertRegex(self.seen.get(timeout=20)[1], "^closed")


if __name__ == "__main__":
    e2e.main()
