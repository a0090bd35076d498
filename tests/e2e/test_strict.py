# SPDX-License-Identifier: Apache-2.0
"""kt wrap --strict: nothing reaches an intercepted host unaudited."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "harness"))
import e2e  # noqa: E402
import net  # noqa: E402
import errno  # noqa: E402
import fcntl  # noqa: E402
import os  # noqa: E402
import select  # noqa: E402
import signal  # noqa: E402
import socket  # noqa: E402
import subprocess  # noqa: E402
import threading  # noqa: E402
import time  # noqa: E402
import unittest  # noqa: E402
from hello import ECH, hello, with_extension  # noqa: E402
from ktlib import PYTHON  # noqa: E402
from lost import KEY, Lost  # noqa: E402


SIOCATMARK = 0x8905


class Strict(Lost):
    def test_observe_reads_raw_calls_too(self):
        """The name is in the first words only. Where kt itself then calls is no matter here."""
        self.origin(80)
        self.strict([self.c("dynamic"), "raw", "203.0.113.7", "80", "api.openai.com"], options=["--mode", "observe"])
        self.assertEqual([(e["event_type"], e["lane"]) for e in self.lab.events()], [("decision", "supervise")])
        self.assertEqual(self.got, [])

    def test_captures_by_name(self):
        for command in ([self.c("static", "-static"), "libc"], [self.c("dynamic"), "raw"], [self.c("dynamic"), "exec"], [self.c("dynamic"), "libc"]):
            with self.subTest(command=command):
                result = self.strict(command)
                self.assertEqual((result.returncode, result.stdout, result.stderr), (0, '{"status": 200}\n', ""))
        self.assertEqual([e["lane"] for e in self.lab.events()], ["supervise"] * 3 + ["divert"])

    def test_captures_by_sni(self):
        self.origin(443)
        result = self.strict([self.go(0)], env={"KT_TEST_DIAL": "203.0.113.7:443", "KT_TEST_CALLS": "5"})
        self.assertEqual((result.returncode, result.stdout, result.stderr), (0, '{"status": 200}\n', ""))
        self.assertEqual([(e["lane"], e["origin"]) for e in self.lab.events()], [("supervise", "api.openai.com:443")] * 5)
        self.assertEqual(self.got, [])

    def test_captures_by_host(self):
        self.origin(80)
        for mode in ("ip", "nb"):
            result = self.strict([self.c("static", "-static"), mode, "203.0.113.7", "80", "api.openai.com"])
            self.assertEqual((result.returncode, result.stdout, result.stderr), (0, '{"status": 200}\n', ""))
        self.assertEqual([e["lane"] for e in self.lab.events()], ["supervise"] * 2)
        self.assertEqual(self.got, [])

    def test_the_engines_own_connects_pass(self):
        """It makes them in the program's threads, too; the target is intercepted itself, as api.mistral.ai is by default."""
        self.origin()
        mock = self.lab.mock("up", ["--listen", "203.0.113.7:0", "--gather", "hello=6"], tls=False)
        url = mock.url.replace("127.0.0.1", "203.0.113.7")
        cfg = self.lab.config(e2e.TARGETS.format(url=url, ca="/nowhere", more="", top="intercept: {hosts: [api.openai.com, 203.0.113.7]}").replace(', tls: {ca_file: "/nowhere"}', ""))
        code = """
import requests, threading, time
got = []
def go(i):  # one after the other, each finds the engine asleep and no connection free
    time.sleep(i * 0.05)
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hello"}]}
    got.append(requests.post("https://api.openai.com/v1/chat/completions", json=body).status_code)
all = [threading.Thread(target=go, args=(i,)) for i in range(6)]
[t.start() for t in all]
[t.join() for t in all]
print(got)
"""
        result = self.lab.run("wrap", cfg, [PYTHON, "-c", code], env=KEY, options=["--strict"])
        self.assertEqual((result.returncode, result.stdout), (0, f"{[200] * 6}\n"), result.stderr)
        self.assertEqual([(e["event_type"], len(e["attempts"])) for e in self.lab.events()], [("decision", 1)] * 6)

    def test_refuses_who_trusts_us_not(self):
        """The preload is lost and so is our certificate: refused, and the audit shows it."""
        self.origin(443)
        code = ("import ctypes, sys; libc = ctypes.CDLL(None); a = [sys.executable.encode(), b'-c', sys.argv[1].encode()]; "
                "libc.syscall(59, a[0], (ctypes.c_char_p * 4)(*a), (ctypes.c_char_p * 1)())")
        inner = ("import ssl, socket; s = socket.create_connection(('203.0.113.7', 443)); "
                 "ssl.create_default_context().wrap_socket(s, server_hostname='api.openai.com')")
        result = self.strict([PYTHON, "-c", code, inner])
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("CERTIFICATE_VERIFY_FAILED", result.stderr)
        self.assertEqual([e["event_type"] for e in self.lab.events()], ["client_distrusts"])
        self.assertEqual(self.got, [])

    def test_and_the_listener_sees_nothing(self):
        """A static Go program, raw system calls and a program that executes itself without the preload, by name and by address: all are
        captured, each has its event, and who counts at the intercepted host's own address counts no byte."""
        self.origin(80, 443)
        address = ["203.0.113.7", "80", "api.openai.com"]
        runs = (([self.go(0)], {"KT_TEST_DIAL": "203.0.113.7:443"}), ([self.go(0)], {}), ([self.c("dynamic"), "raw", *address], {}),
                ([self.c("dynamic"), "raw"], {}), ([self.c("static", "-static"), "ip", *address], {}), ([self.c("dynamic"), "exec"], {}))
        for command, env in runs:
            with self.subTest(command=command, env=env):
                known = len(self.lab.events())
                result = self.strict(command, env=env)
                self.assertEqual((result.returncode, result.stdout, result.stderr), (0, '{"status": 200}\n', ""))
                self.assertEqual([(e["event_type"], e["lane"]) for e in self.lab.events()[known:] if e["event_type"] != "client_distrusts"],
                                 [("decision", "supervise")])
        self.assertEqual(self.got, [])
        self.assertEqual(len(self.lab.mocks["up"].requests()), len(runs))
        self.assert_audit_ok()

    def test_lets_others_through(self):
        self.origin(80, 25)
        result = self.strict([self.c("static", "-static"), "nb", "203.0.113.7", "80"])
        self.assertEqual((result.returncode, result.stdout, result.stderr), (0, '{"status": 200}\n', ""))
        self.assertEqual(len(self.got), 1)
        gone = self.strict([self.c("static", "-static"), "raw", "203.0.113.7", "81"])
        self.assertEqual((gone.returncode, gone.stderr), (1, "connect: Connection refused\n"))
        self.assertEqual(self.lab.events(), [])

    def test_knows_the_engine_of_the_program(self):
        """A target at an intercepted address: the engine's own call must not come back to us."""
        self.origin()
        mock = self.lab.mock("far", ["--listen", "203.0.113.7:8080"], tls=False)
        config = self.lab.config(e2e.TARGETS.format(url="http://203.0.113.7:8080/v1", ca=self.lab.mock("up").ca, more="",
                                                    top="intercept: {hosts: [203.0.113.7, api.openai.com]}"))
        for mode in ("libc", "raw"):
            result = self.lab.run("wrap", config, [self.c("dynamic"), mode], env=KEY, options=["--strict"])
            self.assertEqual((result.returncode, result.stdout), (0, '{"status": 200}\n'), result.stderr)
        self.assertEqual([e["lane"] for e in self.lab.events()], ["divert", "supervise"])
        self.assertEqual(len(mock.requests()), 2)

    def test_refuses_tunnels_quic_and_io_uring(self):
        self.origin(3128)
        tunnel = ("import socket; s = socket.create_connection(('203.0.113.7', 3128)); "
                  "s.sendall(b'CONNECT api.openai.com:443 HTTP/1.1\\r\\n\\r\\n'); print(s.recv(10))")
        self.assertNotEqual(self.strict([PYTHON, "-c", tunnel]).returncode, 0)
        quic = """
import errno, socket
for send in (lambda s: s.connect(("203.0.113.7", 443)), lambda s: s.sendto(b"x", ("203.0.113.7", 443)),
             lambda s: s.sendmsg([b"x"], [], 0, ("203.0.113.7", 443))):
    try: send(socket.socket(type=socket.SOCK_DGRAM)); print("sent")
    except OSError as e: print(errno.errorcode[e.errno])
s = socket.socket(type=socket.SOCK_DGRAM)
s.connect(("203.0.113.7", 53)); s.send(b"x"); s.sendmsg([b"y"])
"""
        self.assertEqual(self.strict([PYTHON, "-c", quic]).stdout.split(), ["ECONNREFUSED"] * 3)
        ring = ("import ctypes, errno; libc = ctypes.CDLL(None, use_errno=True); "
                "print([(libc.syscall(425, 1, 0), errno.errorcode[ctypes.get_errno()]) for i in range(3)])")
        self.assertEqual(self.strict([PYTHON, "-c", ring]).stdout, "[(-1, 'ENOSYS'), (-1, 'ENOSYS'), (-1, 'ENOSYS')]\n")
        self.assertEqual([(e["event_type"], e["message"][:12]) for e in self.lab.events()],
                         [("unseen", "a tunnel thr"), ("unseen", "UDP to port "), ("unseen", "a program wa")])
        self.assertEqual(self.got, [])

    def past(self, way, port):
        return self.strict([self.compiled("past-strict", "past_strict.c", "-pthread"), way, "203.0.113.7", port])

    @unittest.skipUnless(os.uname().machine == "x86_64", "int 0x80")
    def test_refuses_32_bit_calls_of_64_bit_programs(self):
        self.origin(80)
        for way, want in (("connect32", -errno.EACCES), ("sendmsg32", -errno.EACCES), ("sendmmsg32", -errno.EACCES),
                          ("datagram32", -errno.EACCES), ("ring32", -errno.ENOSYS)):
            with self.subTest(way=way):
                known = len(self.lab.events())
                self.assertEqual(self.past(way, "443" if way == "datagram32" else "80").stdout, f"{want}\n")
                self.assertEqual([e["event_type"] for e in self.lab.events()[known:]], ["unseen"])
        self.assertEqual(self.got, [])

    def test_refuses_a_datagram_without_a_family(self):
        self.origin()
        self.assertEqual(self.past("unspec", "443").stdout, f"-1 {errno.ECONNREFUSED}\n")
        self.assertEqual([(e["event_type"], e["message"][:18]) for e in self.lab.events()], [("unseen", "UDP to port 443 (Q")])

    def test_goes_by_the_socket_not_by_the_memory(self):
        """A second thread changes the family of the address all the time."""
        self.origin(80)
        self.past("race", "80")
        self.assertEqual(self.got, [])

    def test_refuses_what_it_cannot_read_to_an_intercepted_host(self):
        """HTTP/2 without TLS, an empty greeting, a Host that can be read in two ways: reset, each with its event. To others they go on."""
        self.origin(80)
        talk = ("import socket, sys; s = socket.create_connection(('203.0.113.7', 80)); s.sendall(eval(sys.argv[1])); "
                "s.settimeout(20); print(len(s.recv(99)))")
        words = (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"hello", b"\x80\x2e\x01\x03\x01",
                 b"POST / HTTP/1.1\r\nHost: x\r\nHost: api.openai.com\r\n\r\n")
        for first in words[:3]:
            self.assertEqual(self.strict([PYTHON, "-c", talk, repr(first)]).returncode, 0)
        self.assertEqual((len(self.got), self.lab.events()), (3, []))
        net.map_hosts(["api.openai.com"], str(self.lab.tmp), "203.0.113.7")
        self.addCleanup(net.unmap_hosts)
        for first in words:
            with self.subTest(first=first):
                known = len(self.lab.events())
                self.assertIn("ConnectionResetError", self.strict([PYTHON, "-c", talk, repr(first)]).stderr)
                self.assertEqual([e["event_type"] for e in self.lab.events()[known:]], ["unseen"])
        self.assertEqual(len(self.got), 3)

    def test_an_encrypted_server_name(self):
        """To an address that an intercepted name has it is refused; to another one it passes, and that is said once."""
        self.origin(443)
        words = with_extension(hello("front.example"), *ECH).hex()
        talk = (f"import socket; s = socket.create_connection(('203.0.113.7', 443)); s.sendall(bytes.fromhex('{words}')); "
                "s.settimeout(20); print(len(s.recv(99)))")
        self.assertEqual(self.strict([PYTHON, "-c", f"for i in 1, 2: {talk}"]).stdout, "57\n57\n")
        self.assertEqual([(e["event_type"], e["verdict"]) for e in self.lab.events()], [("unseen", "allow")])
        net.map_hosts(["api.openai.com"], str(self.lab.tmp), "203.0.113.7")
        self.addCleanup(net.unmap_hosts)
        self.assertIn("ConnectionResetError", self.strict([PYTHON, "-c", talk]).stderr)
        self.assertEqual([(e["event_type"], e["verdict"]) for e in self.lab.events()[1:]], [("unseen", "block")])
        self.assertEqual(len(self.got), 2)

    def test_keeps_urgent_data(self):
        """Both ways, where it stands in the stream."""
        self.origin()
        code = """
import select, socket
s = socket.create_connection(("203.0.113.7", 2323))
s.sendall(b"EHLO x\\n")
for part in b"one!", b"two!": s.send(part, socket.MSG_OOB); assert s.recv(1) == b"k"
s.sendall(b"end")
assert s.recv(9) == b"answer"
select.select([], [], [s], 20)  # the byte comes beside the stream
print(s.recv(1, socket.MSG_OOB))
"""
        with socket.create_server(("203.0.113.7", 2323)) as listener:
            seen = []
            def serve():
                c = listener.accept()[0]
                c.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)
                mark = lambda: int.from_bytes(fcntl.ioctl(c, SIOCATMARK, bytes(4)), sys.byteorder)
                with c:
                    text = b""
                    while not text.endswith(b"end"):
                        select.select([c], [], [], 20)
                        urgent = mark()
                        piece = c.recv(1 if urgent else 4096)
                        text += b"[" + piece + b"]" if urgent else piece
                        if urgent:
                            c.sendall(b"k")
                    seen.append(text)
                    c.sendall(b"answer")
                    c.send(b"?", socket.MSG_OOB)
                    c.recv(1)
            server = threading.Thread(target=serve, daemon=True)
            server.start()
            got = self.strict([PYTHON, "-c", code])
            self.assertEqual((got.returncode, got.stdout), (0, "b'?'\n"), got.stderr)
            server.join(20)
        self.assertEqual(seen, [b"EHLO x\none[!]two[!]end"])

    def test_delivers_signals_during_a_connect(self):
        """Nobody answers there. A handler runs at once, and where it ends the connect that is so as without us."""
        subprocess.run("ip link add kt0 type veth peer name kt1 && ip addr add 198.51.100.1/24 dev kt0 && ip link set kt0 up && "
                       "ip link set kt1 up && ip neigh add 198.51.100.7 lladdr 02:00:00:00:00:01 dev kt0", shell=True, check=True)
        self.addCleanup(subprocess.run, ["ip", "link", "del", "kt0"], check=True)
        code = """
import signal, socket, time
def handler(*_): raise KeyError
signal.signal(signal.SIGALRM, handler); signal.setitimer(signal.ITIMER_REAL, .2)
began = time.monotonic()
try: socket.socket().connect(("198.51.100.7", 80))
except KeyError: print(time.monotonic() - began < 5)
"""
        self.assertEqual(self.strict([PYTHON, "-c", code]).stdout, "True\n")

    def test_keeps_a_bound_source_address(self):
        subprocess.run("ip addr replace 203.0.113.7/32 dev lo && ip addr replace 203.0.113.9/32 dev lo", shell=True, check=True)
        with socket.create_server(("203.0.113.7", 80)) as listener:
            code = "import socket; socket.create_connection(('203.0.113.7', 80), source_address=('203.0.113.9', 0)).send(b'EHLO x\\n')"
            self.assertEqual(self.strict([PYTHON, "-c", code]).returncode, 0)
            self.assertEqual(listener.accept()[1][0], "203.0.113.9")


if __name__ == "__main__":
    e2e.main()
