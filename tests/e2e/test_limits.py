# SPDX-License-Identifier: Apache-2.0
"""What the README says that ktwrap cannot see or take is said by ktwrap as well: an event, a line, or a status."""
import pathlib
import socket
import ssl
import subprocess
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "harness"))
import e2e  # noqa: E402
import net  # noqa: E402
from ktlib import PYTHON  # noqa: E402
from servers import make_ca  # noqa: E402

KEY = {"MISTRAL_API_KEY": "target-key-0001"}
ASK = ["-sS", "--max-time", "20", "-H", "Content-Type: application/json", "-d", '{"model": "m", "messages": [{"role": "user", "content": "hello"}]}']


class Limits(e2e.KtTest):
    def wrapped(self, command, options=(), via="wrap"):
        known = len(self.lab.events())
        got = self.lab.run(via, self.targets(self.lab.mocks.get("up") or self.lab.mock("up")), command, env=KEY, options=options)
        return got, self.lab.events()[known:]

    def test_http2_alone_is_refused(self):
        for via in ("wrap", "preload"):
            got, events = self.wrapped(["curl", "--http2-prior-knowledge", *ASK, "http://api.openai.com/v1/chat/completions"], via=via)
            self.assertNotEqual(got.returncode, 0)
            self.assertEqual([(e["event_type"], e["verdict"], e["origin"]) for e in events], [("request_refused", "error", "api.openai.com:80")])
        self.assertEqual(self.lab.mocks["up"].requests(), [])

    def test_state_that_cannot_be_shared_is_said_in_front(self):
        """Killed calls would leave nothing."""
        self.lab.state.mkdir(mode=0o700)
        (self.lab.state / "state").write_text("no folder can be made here")
        got, events = self.wrapped(["curl", *ASK, "http://api.openai.com/v1/chat/completions"], options=("--fail-on", "block"))
        self.assertEqual((got.returncode, len(events)), (0, 1), got.stderr)
        self.assertIn("calls that exec or a signal cuts off will not be seen", got.stderr)

    def test_system_and_popen_behind_clearenv(self):
        """They give their child the environment as it is: the shell is told what is missing, whatever is in it."""
        program = self.compiled("odd_host", "odd_host.c", "-pthread")
        key = self.lab.tmp / "key"  # one in the environment is cleared as well
        key.write_text("target-key-0001\n")
        key.chmod(0o600)
        cfg = self.targets(self.lab.mock("up"))
        cfg.write_text(cfg.read_text().replace("{id: up,", f"{{id: up, secret_key_ref: {{file: {key}}},"))
        self.lab.state = self.lab.tmp / "it's a \"state\" of $HOME"
        for step in ("system", "popen"):
            for via in ("wrap", "preload"):
                with self.subTest(step, via=via):
                    known = len(self.lab.events())
                    got = self.lab.run(via, cfg, [str(program), f"clear-{step}"], env=KEY)
                    events = self.lab.events()[known:]
                    self.assertEqual((got.stdout, got.stderr), (f"call 200\n{step} 0\n", ""))
                    self.assertEqual([(e["event_type"], e["lane"]) for e in events], [("decision", "divert")])

    def test_a_connection_that_is_passed_over_a_socket(self):
        """It is served while its opener lives, and closed then: nothing leaves."""
        code = """
import array, os, socket, sys, time
a, b = socket.socketpair()
lives = sys.argv[1] == "lives"
r, w = os.pipe()
if os.fork() == 0:
    os.close(w)
    data, anc, _, _ = b.recvmsg(1, socket.CMSG_SPACE(4))
    s = socket.socket(fileno=array.array("i", anc[0][2])[0])
    if not lives: os.read(r, 1)  # till the opener is gone
    body = b'{"model": "m", "messages": [{"role": "user", "content": "hello"}]}'
    try:
        s.sendall(b"POST /v1/chat/completions HTTP/1.1\\r\\nHost: api.openai.com\\r\\nContent-Type: application/json\\r\\nContent-Length: %d\\r\\n\\r\\n" % len(body) + body)
        said = s.recv(12).decode()
    except OSError: said = ""
    os.write(1, (said or "closed").encode() + b"\\n")
    os._exit(0)
c = socket.create_connection(("api.openai.com", 80))
a.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [c.fileno()]))])
if lives: os.wait()
os._exit(0)
"""
        for how, said, count in (("lives", "HTTP/1.1 200\n", 1), ("ends", "closed\n", 0)):
            with self.subTest(how):
                got, events = self.wrapped(["sh", "-c", f'{PYTHON} -c "$0" {how} | cat', code])
                self.assertEqual((got.stdout, got.stderr, len(events)), (said, "", count))
        self.assertEqual(len(self.lab.mocks["up"].requests()), 1)

    def test_a_program_whose_memory_nobody_may_read(self):
        """Without rights over it nobody can tell where it connects to: let through with an event, or refused."""
        static = self.compiled("lost-static", "lost_chat.c", "-static")
        self.lab.mock("near", ["--dialect", "openai"], tls=False, origin="api.openai.com")
        net.map_hosts(["api.openai.com"], self.lab.tmp)
        self.addCleanup(net.unmap_hosts)
        cfg = self.targets(self.lab.mock("up"))
        for options, said, verdict in (((), '{"status": 200}\n', "allow"), (("--strict",), "", "block")):
            with self.subTest(options):
                known = len(self.lab.events())
                argv, env = self.lab.wrapped("wrap", cfg, [static, "libc"], env={**KEY, "HIDDEN": "1"}, options=(*options, "--fail-on", "unseen"))
                got = subprocess.run(["setpriv", "--no-new-privs", "--inh-caps=-all", "--bounding-set=-all", "--", *argv], env=env, cwd=self.lab.tmp,
                                     capture_output=True, text=True, timeout=60)
                self.assertEqual((got.returncode, got.stdout), (1, said), got.stderr)
                self.assertEqual([(e["event_type"], e["verdict"]) for e in self.lab.events()[known:]], [("unseen", verdict)])

    def serve_mutual(self, ca, cert, key):
        """One answer per connection, for who shows a certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        context.load_verify_locations(ca)
        context.verify_mode = ssl.CERT_REQUIRED
        body = b'{"id":"x","object":"chat.completion","choices":[]}'
        listener = socket.create_server(("127.0.0.1", 443))
        self.addCleanup(listener.close)
        self.addCleanup(listener.shutdown, socket.SHUT_RDWR)

        def serve():
            while True:
                try:
                    conn = listener.accept()[0]
                except OSError:
                    return
                try:
                    with context.wrap_socket(conn, server_side=True) as tls:
                        tls.recv(65536)
                        tls.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body)
                except OSError:
                    conn.close()
        threading.Thread(target=serve, daemon=True).start()

    def test_a_client_certificate_is_not_shown(self):
        """The origin demands one: the call fails with its event, and in observe mode the program shows its own."""
        ca, cert, key = make_ca(self.lab.tmp, "own", "api.openai.com")
        self.serve_mutual(ca, cert, key)
        net.map_hosts(["api.openai.com"], self.lab.tmp)
        self.addCleanup(net.unmap_hosts)
        cfg = self.lab.config("pack: {name: e2e, version: 1.0.0, enabled: true}\npolicies: {chain: [audit-logger]}\npolicy: {audit-logger: {}}\n")
        command = ["curl", *ASK, "-o", "/dev/null", "-w", "%{http_code}", "--cacert", str(ca), "--cert", str(cert), "--key", str(key), "https://api.openai.com/v1/chat/completions"]
        for options, said, outcome in (((), "502", "connection_error"), (("--mode", "observe"), "200", "ok")):
            got = self.lab.run("wrap", cfg, command, env={"SSL_CERT_FILE": str(ca)}, options=options)
            self.assertEqual((got.returncode, got.stdout), (0, said), got.stderr)
            self.assertEqual([a["outcome"] for a in self.lab.events()[-1]["attempts"]], [outcome])

    def test_a_name_of_a_wildcard_in_a_static_program(self):
        """One that /etc/hosts has is captured; of others `kt doctor` says that they go past us."""
        static = self.compiled("lost-static", "lost_chat.c", "-static")
        cfg = self.targets(self.lab.mock("up"), top='intercept: {hosts: ["*.openai.azure.com"]}')
        self.lab.mock("near", ["--dialect", "openai"], tls=False, origin="mine.openai.azure.com")
        net.map_hosts(["mine.openai.azure.com"], self.lab.tmp)
        self.addCleanup(net.unmap_hosts)
        found = self.lab.run("none", None, [str(self.lab.kt), "doctor", "--policy-config", str(cfg), "--", static], env=KEY).stdout
        self.assertRegex(found, "note +program +it asks no resolver of libc: a name that only a wildcard")
        dynamic = self.lab.run("none", None, [str(self.lab.kt), "doctor", "--policy-config", str(cfg), "--", "curl"], env=KEY).stdout
        self.assertNotIn("wildcard", dynamic)
        for options in ((), ("--strict",)):
            with self.subTest(options):
                known = len(self.lab.events())
                got = self.lab.run("wrap", cfg, [static, "libc", "mine.openai.azure.com"], env=KEY, options=options)
                self.assertEqual((got.returncode, got.stdout), (0, '{"status": 200}\n'), got.stderr)
                self.assertEqual([e.get("lane") for e in self.lab.events()[known:]], ["supervise"])


if __name__ == "__main__":
    e2e.main()
