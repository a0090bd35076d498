# SPDX-License-Identifier: Apache-2.0
"""A client that goes takes its call along within 100 ms, whatever the stream does at that moment, in each lane and from providers with HTTP/1.1 and HTTP/2.
From the client's close to what the provider's own clock says; both read the machine's monotonic clock."""
import json
import pathlib
import queue
import socket
import statistics
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "harness"))
import e2e  # noqa: E402
from gateway import KEY, Gateway  # noqa: E402
from ktlib import PYTHON, ROOT  # noqa: E402
from servers import make_ca  # noqa: E402

CONFIG = """
pack: {{name: cancel, version: 1.0.0, enabled: true}}
policies: {{chain: [pii-detector, audit-logger]}}
policy:
  pii-detector: {{action: redact}}
  audit-logger: {{}}
providers:
  retry: {{max_attempts: 1}}
  targets: [{{id: up, provider: mistral, model: m, base_url: "https://localhost:{port}/v1", secret_key_ref: {{env: MISTRAL_API_KEY}}, tls: {{ca_file: "{ca}"}}}}]
"""
STATES = ("flow", "idle", "first", "slow")
TIMES = 5

# A line "STATE" makes a call, says so where the state is reached; "leave" closes and says when. A slow reader takes a little, and no more.
CLIENT = """
import json, socket, ssl, sys, time
def ask(host, port, tls, what):
    s = socket.create_connection((host, port))
    if tls:
        s = ssl.create_default_context().wrap_socket(s, server_hostname=host)
    body = json.dumps({"model": "m", "stream": True, "messages": [{"role": "user", "content": what}]}).encode()
    s.sendall(b"POST /v1/chat/completions HTTP/1.1\\r\\nHost: %s\\r\\nContent-Type: application/json\\r\\nContent-Length: %d\\r\\n\\r\\n%s" % (host.encode(), len(body), body))
    text = b""
    while what != "first" and b"begun" not in text:
        text += s.recv(512)
    while what == "flow" and text.count(b"more") < 5:
        text += s.recv(4096)
    return s
def main(host, port, tls):
    for line in sys.stdin:
        s = ask(host, port, tls, line.strip())
        print("there", flush=True)
        sys.stdin.readline()
        at = time.monotonic()
        s.close()
        print(at, flush=True)
"""


class Cancel(e2e.KtTest):
    def setUp(self):
        super().setUp()
        self.ca, cert, key = make_ca(self.lab.tmp, "watch")
        self.origin = self.started([PYTHON, str(ROOT / "tests/harness/watch_origin.py"), str(cert), str(key)])
        self.ports = [int(p) for p in self.origin.stdout.readline().split()]
        self.said = queue.Queue()
        threading.Thread(target=lambda: [self.said.put(line.split()) for line in self.origin.stdout], daemon=True).start()

    def started(self, argv, env=None):
        p = subprocess.Popen(argv, env=env, cwd=self.lab.tmp, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.addCleanup(lambda: (p.kill() if p.poll() is None else None, p.wait(), [f.close() for f in (p.stdin, p.stdout)]))
        return p

    def wait(self, word):
        said = self.said.get(timeout=20)
        while said[0] == "full" != word:  # it may find a little room now and then
            said = self.said.get(timeout=20)
        self.assertEqual(said[0], word)
        return said[1] if len(said) > 1 else None

    def leave(self, client, state, version):
        """Seconds from the client's close to the end of the stream at the provider."""
        client.stdin.write(state + "\n")
        client.stdin.flush()
        self.assertEqual(self.wait("open"), version)
        self.assertEqual(client.stdout.readline(), "there\n")
        if state == "slow":
            self.wait("full")
        client.stdin.write("leave\n")
        client.stdin.flush()
        went = float(client.stdout.readline())
        return float(self.wait("closed")) - went

    def check(self, lane, port, version):
        config = self.lab.config(CONFIG.format(port=port, ca=self.ca), f"{lane}-{version}.yaml")
        if lane == "gateway":
            g = Gateway(self.lab, config, (), KEY, name=f"gateway-{version}")
            self.addCleanup(g.stop)
            client = self.started([PYTHON, "-c", CLIENT + f"main('127.0.0.1', {g.port}, False)"])
        else:
            trace = f"no-handoff:{self.lab.tmp}/trace" if lane == "divert" else None
            argv, env = self.lab.wrapped("wrap", config, [PYTHON, "-c", CLIENT + "main('api.openai.com', 443, True)"], KEY, trace=trace)
            client = self.started(argv, env)
        for state in STATES:
            took = [self.leave(client, state, version) for _ in range(TIMES)]
            print(f"{lane}, HTTP/{version}, {state}: " + ", ".join(f"{t * 1000:.1f}" for t in took) + " ms", flush=True)
            with self.subTest(f"{lane} {version} {state}"):
                self.assertLess(statistics.median(took), 0.1)
        client.stdin.close()
        self.assertEqual(client.wait(20), 0)

    def test_whatever_the_stream_does(self):
        for lane in ("handoff", "divert", "gateway"):
            for port, version in zip(self.ports, ("1.1", "2.0")):
                self.check(lane, port, version)
        events = self.lab.events()
        self.assertEqual([e["error"] for e in events], ["client_gone"] * 6 * TIMES * len(STATES))
        self.assertEqual({e["lane"] for e in events}, {"handoff", "divert", "gateway"})
        self.assertEqual(sum(e.get("interruption") == "client_gone" for e in events), 6 * TIMES * (len(STATES) - 1), "all but where nothing had come")


if __name__ == "__main__":
    e2e.main()
