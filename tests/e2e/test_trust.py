# SPDX-License-Identifier: Apache-2.0
"""Self-capture, clients without SNI, clients that refuse the leaf, proxies: handled or reported, never silent."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "harness"))
import e2e  # noqa: E402
import shutil  # noqa: E402
import subprocess  # noqa: E402
from ktlib import PYTHON  # noqa: E402
from servers import ConnectProxy  # noqa: E402

BODY = '{"model":"gpt-4o","messages":[{"role":"user","content":"hello"}]}'
URL = "https://api.openai.com/v1/chat/completions"

NO_SNI = """
import json, socket, ssl
body = b'%s'
ctx = ssl.create_default_context()
ctx.check_hostname = False
sock = ctx.wrap_socket(socket.create_connection(("api.openai.com", 443), 10))
sock.sendall(b"POST /v1/chat/completions HTTP/1.1\\r\\nHost: api.openai.com\\r\\nContent-Length: %%d\\r\\nConnection: close\\r\\n\\r\\n" %% len(body) + body)
data = b""
while True:
    piece = sock.recv(65536)
    if not piece:
        break
    data += piece
print(data.split(b"\\r\\n")[0].decode())
""" % BODY


class Trust(e2e.KtTest):
    def curl(self, *more):
        return ["curl", "-sS", "--max-time", "20", URL, "-d", BODY, "-H", "Content-Type: application/json", *more]

    def test_intercepted_host_as_fallback_target_inside_curl(self):
        """libcurl and libssl are curl's own and bound to our hooks: the engine's call must still reach the target."""
        mock = self.lab.mock("up", ["--name", "localhost"])
        cfg = self.lab.config(f"""
pack: {{name: self, version: 1.0.0, enabled: true}}
policies: {{chain: [audit-logger]}}
policy:
  audit-logger: {{}}
intercept: {{hosts: [api.openai.com, localhost]}}
providers:
  targets:
    - {{id: dead, provider: mistral, model: m1, base_url: "https://127.0.0.1:1/v1"}}
    - {{id: local, provider: mistral, model: m2, base_url: "https://localhost:{mock.port}/v1", tls: {{ca_file: "{mock.ca}"}}}}
""")
        for via in ("wrap", "preload"):
            for trace in (None, f"no-handoff:{self.lab.tmp}/trace"):
                before = len(mock.requests())
                result = self.run_ok(via, cfg, self.curl(), env={"MISTRAL_API_KEY": "k"}, trace=trace)
                self.assertIn("chat.completion", result.stdout)
                self.assertEqual(len(mock.requests()), before + 1)
        self.assertEqual([e["target"] for e in self.lab.events()], ["local"] * 4)
        self.assert_audit_ok()

    def test_an_exchanged_ca_file(self):
        """A private CA that is exchanged while a program runs counts from the next connection on."""
        first, second = self.lab.mock("first", ["--name", "localhost"]), self.lab.mock("second", ["--name", "localhost"])
        ca = self.lab.tmp / "private-ca.pem"
        shutil.copy(first.ca, ca)
        targets = "".join(f'    - {{id: {name}, provider: mistral, model: m, base_url: "https://localhost:{mock.port}/v1", tls: {{ca_file: "{ca}"}}}}\n'
                          for name, mock in (("first", first), ("second", second)))
        cfg = self.lab.config("pack: {name: p, version: 1.0.0, enabled: true}\npolicies: {chain: [audit-logger]}\npolicy: {audit-logger: {}}\n"
                              "providers:\n  targets:\n" + targets)
        calls = ("import sys, urllib.request as u\nfor line in sys.stdin: print(u.urlopen(u.Request('%s', b'%s', {'Content-Type': 'application/json'})).status, flush=True)"
                 % (URL, BODY))
        argv, env = self.lab.wrapped("wrap", cfg, [PYTHON, "-c", calls])
        with subprocess.Popen(argv, env=env | {"MISTRAL_API_KEY": "k"}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=self.lab.tmp) as program:
            for mock in (first, second):
                program.stdin.write("\n")
                program.stdin.flush()
                self.assertEqual(program.stdout.readline(), "200\n")
                shutil.copy(second.ca, ca)
                mock.stop()
            program.stdin.close()
        self.assertEqual([e["target"] for e in self.lab.events()], ["first", "second"])

    def test_client_without_sni(self):
        mock = self.lab.mock("up")
        for trace in (None, f"no-handoff:{self.lab.tmp}/trace"):
            result = self.run_ok("wrap", self.targets(mock), [PYTHON, "-c", NO_SNI], env={"MISTRAL_API_KEY": "k"}, trace=trace)
            self.assertEqual(result.stdout.strip(), "HTTP/1.1 200 OK")
        self.assertEqual({e["origin"] for e in self.lab.events()}, {"api.openai.com:443"})

    def test_client_that_refuses_the_leaf(self):
        """A Python context whose own verification cannot be helped: the certificate is checked against a pin in its handshake."""
        mock = self.lab.mock("up")
        node = "fetch('%s', {method: 'POST', body: '{}'}).then(() => console.log('accepted'), e => console.log('refused'))" % URL
        result = self.run_ok("wrap", self.targets(mock), ["env", "-u", "NODE_EXTRA_CA_CERTS", "NODE_EXTRA_CA_CERTS=/dev/null", "node", "-e", node])
        self.assertIn("refused", result.stdout)
        kinds = [e["event_type"] for e in self.lab.events()]
        self.assertIn("client_distrusts", kinds)
        self.assertEqual(mock.requests(), [])

    def test_pinned_key(self):
        mock = self.lab.mock("up")
        pin = "sha256//" + "A" * 43 + "="
        result = self.lab.run("wrap", self.targets(mock), self.curl("--pinnedpubkey", pin), env={"MISTRAL_API_KEY": "k"})
        self.assertEqual(result.returncode, 90, result.stderr)
        self.assertIn("client_distrusts", [e["event_type"] for e in self.lab.events()])
        self.assertEqual(mock.requests(), [])

    def proxied(self, fail_mode):
        mock = self.lab.mock("up", ["--name", "api.openai.com", "--dialect", "openai"])
        with ConnectProxy(mock.port) as proxy:
            env = {"HTTPS_PROXY": f"http://127.0.0.1:{proxy.port}", "KT_FAIL_MODE": fail_mode, "MISTRAL_API_KEY": "k"}
            result = self.lab.run("preload", self.targets(mock), self.curl("--cacert", str(mock.ca)), env=env)
            self.assertEqual(proxy.tunnels, 1)
        unseen = [e for e in self.lab.events() if e["event_type"] == "unseen"]
        self.assertGreaterEqual(len(unseen), 1, self.lab.events())
        self.assertTrue(unseen[0]["origin"].startswith("api.openai.com"))
        return result, mock

    def test_proxy_tunnel_is_reported_and_blocked(self):
        result, mock = self.proxied("block")
        self.assertEqual(result.returncode, 35, result.stderr)
        self.assertEqual(mock.requests(), [])

    def test_proxy_tunnel_is_reported_and_allowed(self):
        result, mock = self.proxied("allow")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(len(mock.requests()), 1)

    def test_proxy_tunnel_is_read_along_in_observe_mode(self):
        """The program keeps its proxy; kt wrap adds no exception."""
        mock = self.lab.mock("up", ["--name", "api.openai.com", "--dialect", "openai"])
        with ConnectProxy(mock.port) as proxy:
            env = {"HTTPS_PROXY": f"http://127.0.0.1:{proxy.port}", "MISTRAL_API_KEY": "k"}
            result = self.lab.run("wrap", self.targets(mock), self.curl("--cacert", str(mock.ca)), env=env, options=["--mode", "observe"])
            self.assertEqual((result.returncode, proxy.tunnels), (0, 1), result.stderr)
        self.assertEqual(len(mock.requests()), 1)
        self.assertEqual([(e["event_type"], e["lane"], e["origin"]) for e in self.lab.events()], [("decision", "tap", "api.openai.com:443")])


if __name__ == "__main__":
    e2e.main()
