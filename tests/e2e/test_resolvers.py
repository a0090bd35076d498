# SPDX-License-Identifier: Apache-2.0
"""Programs that find an intercepted host by other ways than libc's resolver and connect to its own address: none goes past us in silence."""
import pathlib
import socket
import struct
import subprocess
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "harness"))
import e2e  # noqa: E402
import net  # noqa: E402
from ktlib import PYTHON, ROOT, compiled  # noqa: E402
from servers import ConnectProxy  # noqa: E402

KEY = {"MISTRAL_API_KEY": "target-key-0001"}
ADDRESS = "203.0.113.7"

# Node's dns.Resolver is c-ares, which asks over UDP by itself.
C_ARES = """
const {Resolver} = require('dns').promises, https = require('https');
const resolver = new Resolver();
resolver.setServers(['127.0.0.1:' + process.argv[1]]);
(async () => {
  const [host] = await resolver.resolve4('api.openai.com');
  const body = JSON.stringify({model: 'gpt-4o', messages: [{role: 'user', content: 'Mail alice.jones@example.org'}]});
  const headers = {authorization: 'Bearer sk-program-key-0001', 'content-type': 'application/json', 'content-length': Buffer.byteLength(body),
    host: 'api.openai.com'};
  const r = https.request({host, servername: 'api.openai.com', path: '/v1/chat/completions', method: 'POST', headers}, (a) => {
    a.resume();
    a.on('end', () => console.log('status', a.statusCode));
  });
  r.on('error', (e) => console.log(e.code));
  r.end(body);
})();
"""

# What aiodns is to aiohttp: a resolver of its own below a session.
AIODNS = """
import asyncio, socket, sys, aiohttp
from aiohttp.abc import AbstractResolver
class Own(AbstractResolver):
    async def resolve(self, host, port=0, family=socket.AF_INET):
        return [{"hostname": host, "host": "%s", "port": port, "family": socket.AF_INET, "proto": 0, "flags": socket.AI_NUMERICHOST}]
    async def close(self):
        pass
async def main():
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(resolver=Own())) as session:
        try:
            async with session.post("https://api.openai.com/v1/chat/completions", json={"model": "gpt-4o", "messages": []}) as r:
                print("status", r.status)
        except aiohttp.ClientError as e:
            print(type(e).__name__)
asyncio.run(main())
""" % ADDRESS


class Dns:
    """Answers each question for an A record with ADDRESS, over UDP."""

    def __init__(self, port=0):
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", port))
        self.port = self.sock.getsockname()[1]
        self.asked = []
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                query, peer = self.sock.recvfrom(4096)
            except OSError:
                return
            end = query.index(b"\0", 12) + 5
            self.asked.append(query[13:end - 5])
            a = query[end - 4:end] == b"\0\1\0\1"
            head = query[:2] + struct.pack(">HHHHH", 0x8180, 1, a, 0, 0)
            answer = b"\xc0\x0c\0\1\0\1" + struct.pack(">IH", 60, 4) + socket.inet_aton(ADDRESS) if a else b""
            self.sock.sendto(head + query[12:end] + answer, peer)

    def close(self):
        self.sock.close()


class Resolvers(e2e.KtTest):
    def setUp(self):
        super().setUp()
        subprocess.run(["ip", "addr", "replace", f"{ADDRESS}/32", "dev", "lo"], check=True)
        self.dns = Dns()
        self.addCleanup(self.dns.close)
        self.up = self.lab.mock("up")
        self.origin = self.lab.mock("origin", ["--listen", f"{ADDRESS}:443", "--name", "api.openai.com", "--dialect", "openai"])

    def run_it(self, command, via="wrap", options=(), env=None):
        known = len(self.lab.events())
        trust = {"NODE_EXTRA_CA_CERTS": str(self.origin.ca), "SSL_CERT_FILE": str(self.origin.ca)}
        result = self.lab.run(via, self.targets(self.up), command, env={**KEY, **trust, **(env or {})}, options=options)
        return result.stdout.strip(), [(e["event_type"], e["verdict"], e["origin"]) for e in self.lab.events()[known:]], result

    def c_ares(self):
        return ["node", "-e", C_ARES, str(self.dns.port)]

    def test_c_ares_is_refused(self):
        for via in ("wrap", "preload"):
            with self.subTest(via=via):
                out, events, result = self.run_it(self.c_ares(), via)
                self.assertEqual((out, events), ("ECONNRESET", [("unseen", "block", "api.openai.com")]), result)
        self.assertEqual(self.origin.requests() + self.up.requests(), [])
        self.assertIn(b"api\x06openai\x03com", self.dns.asked)

    def test_c_ares_is_let_go_and_reported(self):
        out, events, result = self.run_it(self.c_ares(), options=["--fail-mode", "allow"])
        self.assertEqual((out, events), ("status 200", [("unseen", "allow", "api.openai.com")]), result)

    def test_c_ares_is_reported_in_observe_mode(self):
        out, events, result = self.run_it(self.c_ares(), options=["--mode", "observe"])
        self.assertEqual((out, events), ("status 200", [("unseen", "allow", "api.openai.com")]), result)

    def test_c_ares_is_captured_under_strict(self):
        out, events, result = self.run_it(self.c_ares(), options=["--strict"])
        self.assertEqual((out, events), ("status 200", [("decision", "redact", "api.openai.com:443")]), result)
        self.assertEqual((len(self.origin.requests()), len(self.up.requests())), (0, 1))

    def test_aiodns(self):
        out, events, result = self.run_it([PYTHON, "-c", AIODNS])
        self.assertEqual((out, events), ("ClientConnectorCertificateError" if "Certificate" in out else "ClientConnectorSSLError",
                                         [("unseen", "block", "api.openai.com")]), result)
        out, events, result = self.run_it([PYTHON, "-c", AIODNS], options=["--fail-mode", "allow"])
        self.assertEqual((out, events), ("status 400", [("unseen", "allow", "api.openai.com")]), result)
        out, events, result = self.run_it([PYTHON, "-c", AIODNS], options=["--mode", "observe"])
        self.assertEqual((out, [e[0] for e in events]), ("status 400", ["decision"]), result)
        self.assertEqual(self.up.requests(), [])

    def test_java_through_a_proxy_of_its_own(self):
        """A tunnel by a stack that no hook knows: its first words count."""
        java = compiled(e2e.BUILD, "java", ROOT / "tests/clients/Chat.java", ["javac", "-d", "{out}", "{source}"])
        with ConnectProxy(self.up.port) as proxy:
            command = ["java", "-XX:TieredStopAtLevel=1", "-Dhttps.proxyHost=127.0.0.1", f"-Dhttps.proxyPort={proxy.port}", "-cp", java, "Chat", "url"]
            out, events, result = self.run_it(command)
        self.assertNotEqual(result.returncode, 0)
        self.assertEqual((out, events), ("", [("unseen", "block", "api.openai.com")]), result)
        self.assertEqual(self.up.requests(), [])

    def test_res_query(self):
        """libresolv's functions ask a name server by themselves; PHP's dns_get_record is made of them."""
        conf = self.lab.tmp / "resolv.conf"
        conf.write_text("nameserver 127.0.0.1\n")
        target = pathlib.Path("/etc/resolv.conf").resolve()
        subprocess.run(["mount", "--bind", conf, target], check=True)
        self.addCleanup(subprocess.run, ["umount", target], check=True)
        dns = Dns(53)
        self.addCleanup(dns.close)
        code = """
$ip = dns_get_record('api.openai.com', DNS_A)[0]['ip'];
$in = @stream_socket_client("tls://$ip:443", $e, $why, 10, STREAM_CLIENT_CONNECT, stream_context_create(['ssl' => ['peer_name' => 'api.openai.com']]));
echo $ip, $in ? ' open' : ' refused';
"""
        out, events, result = self.run_it(["php", "-r", code])
        self.assertEqual((out, events), (f"{ADDRESS} refused", [("unseen", "block", "api.openai.com")]), result)

    def test_ipv6_only_hints(self):
        for command in (["curl", "-6", "-sS"], ["wget", "-6", "-q", "-O", "-"]):
            header, body = ("-H", "-d") if command[0] == "curl" else ("--header", "--post-data")
            data = '{"model":"gpt-4o","messages":[{"role":"user","content":"Mail alice.jones@example.org"}]}'
            out, events, result = self.run_it([*command, header, "Content-Type: application/json", body, data, "https://api.openai.com/v1/chat/completions"])
            self.assertEqual((result.returncode, events), (0, [("decision", "redact", "api.openai.com:443")]), result)
            self.assertIn("chat.completion", out)

    def test_happy_eyeballs(self):
        """Both families at once: one connection, one event, and in observe mode none for the attempt that failed."""
        hello = '{"model": "gpt-4o", "messages": [{"role": "user", "content": "Mail alice.jones@example.org"}]}'
        python = f"""
import asyncio, ssl
async def main():
    i, o = await asyncio.open_connection("api.openai.com", 443, ssl=ssl.create_default_context(), happy_eyeballs_delay=0.02, interleave=1)
    body = {hello!r}
    o.write(f"POST /v1/chat/completions HTTP/1.1\\r\\nHost: api.openai.com\\r\\nAuthorization: Bearer k\\r\\nContent-Length: {{len(body)}}\\r\\n\\r\\n{{body}}".encode())
    print("status", (await i.readline()).split()[1].decode())
    o.close()
asyncio.run(main())
"""
        node = f"""
const r = require('https').request({{host: 'api.openai.com', path: '/v1/chat/completions', method: 'POST', autoSelectFamily: true, autoSelectFamilyAttemptTimeout: 20}},
  (a) => {{ console.log('status', a.statusCode); a.resume(); }});
r.end({hello!r});
"""
        self.origin.stop()  # it has port 443 of another address; this one is the name's
        near = self.lab.mock("near", ["--dialect", "openai"], origin="api.openai.com")
        net.map_hosts(["api.openai.com"], str(self.lab.tmp))
        self.addCleanup(net.unmap_hosts)
        with open(self.lab.tmp / "hosts", "a") as f:
            f.write("::1 api.openai.com\n")
        trust = {"NODE_EXTRA_CA_CERTS": str(near.ca), "SSL_CERT_FILE": str(near.ca), "KT_UPSTREAM_CA_FILE": str(near.ca)}
        for command in ([PYTHON, "-c", python], ["node", "-e", node]):
            for options in ([], ["--mode", "observe"]):
                with self.subTest(command=command[0], options=options):
                    out, events, result = self.run_it(command, options=options, env=trust)
                    self.assertEqual((out, events), ("status 200", [("decision", "allow" if options else "redact", "api.openai.com:443")]), result)

    def test_other_hosts_are_left_alone(self):
        script = C_ARES.replace("servername: 'api.openai.com'", "servername: 'localhost'")
        out, events, result = self.run_it(["node", "-e", script, str(self.dns.port)])
        self.assertEqual((out, events), ("status 200", []), result)


if __name__ == "__main__":
    e2e.main()
