# SPDX-License-Identifier: Apache-2.0
"""OpenSSL clients of the less common kinds: trust, the tripwire, handoff."""
import os

from kt_harness import HOSTS, ShimTest, main

NO_HANDOFF = {"KT_TRACE": "no-handoff"}
REFUSED = "connect -1 error 5 errno 111 verify 0"


class Trust(ShimTest):
    def lanes(self, out):
        return [l.split('"lane":"')[1].split('"')[0] for l in out if l.startswith("answer {")]

    def check(self, *args, lanes, **env):
        out = self.host("ssl", *args, **env)
        self.assertEqual(self.lanes(out), lanes, out)
        self.assertFalse(any(e.startswith(("mixed", "report")) for e in self.events()), self.events())
        return out

    def test_connect_and_both_ways_of_writing(self):
        out = self.check("connect", "api.openai.com", lanes=["handoff", "handoff"])
        self.assertIn("connect 1 error 0 errno 0 verify 0", out)

    def test_handoff_off_means_divert_alone(self):
        self.check("connect", "api.openai.com", lanes=["tls", "tls"], **NO_HANDOFF)
        self.check("memory", "api.openai.com", lanes=["tls"], **NO_HANDOFF)

    def test_handshake_inside_the_first_write(self):
        self.check("implicit", "api.openai.com", lanes=["handoff", "handoff"])
        out = self.check("nonblocking", "api.openai.com", lanes=["handoff"])
        self.assertTrue(any(line.startswith("wrote 1 ") for line in out), out)  # a fast peer may leave nothing to wait for

    def test_no_sni_the_fd_names_the_origin(self):
        self.check("nosni", "api.openai.com", lanes=["handoff", "handoff"])
        self.check("nosni", "10.99.88.77", lanes=["handoff", "handoff"], KT_PLAN=None)

    def test_memory_bios_match_by_client_random(self):
        self.check("memory", "api.openai.com", lanes=["handoff"])

    def test_a_bio_that_connects_by_itself(self):
        for case in ("bio", "bio-nosni"):
            with self.subTest(case):
                self.assertIn("connect 1", self.check(case, "api.openai.com", lanes=["tls"]))

    def test_a_bio_that_connects_while_others_write(self):
        """An info callback's log: the session's own socket counts, no other fd."""
        for case in ("bio-noisy", "bio-noisy-nosni"):
            with self.subTest(case):
                self.assertIn("connect 1", self.check(case, "api.openai.com", lanes=["tls"]))

    def test_a_handshake_that_a_write_begins(self):
        for case in ("bio-write", "bio-write-nosni", "bio-write-noisy"):
            with self.subTest(case):
                self.check(case, "api.openai.com", lanes=["handoff"])

    def test_an_own_bio_without_a_name_is_known_by_its_first_bytes(self):
        for case, host in (("own-bio", "api.openai.com"), ("own-bio-nosni", "api.openai.com"), ("own-bio-nosni", "10.99.88.77")):
            with self.subTest(case=case, host=host):
                self.assertIn("connect 1 error 0 errno 0 verify 0", self.check(case, host, lanes=["handoff"], KT_PLAN=self.current_plan()))

    def test_an_own_bio_without_a_name_to_others_is_left_alone(self):
        port, crt = self.foreign_server()
        out = self.host("ssl", "own-bio-nosni", "localhost", "127.0.0.1", str(port), TEST_CA=crt)
        self.assertIn('answer {"origin":"foreign","lane":"none"}', out)
        self.assertEqual(self.events(), [])

    def test_an_address_over_memory_is_known_by_what_is_verified(self):
        code = r"""
import socket, ssl
raw = socket.create_connection(("10.99.88.77", 443))
i, o = ssl.MemoryBIO(), ssl.MemoryBIO()
s = ssl.create_default_context().wrap_bio(i, o, server_hostname="10.99.88.77")
def pump(call, *a):
    while True:
        try: return call(*a)
        except ssl.SSLWantReadError:
            raw.sendall(o.read()); i.write(raw.recv(65536))
        finally: raw.sendall(o.read())
pump(s.do_handshake)
pump(s.write, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
print(pump(s.read, 65536).decode().split('"lane":"')[1].split('"')[0])
"""
        self.assertEqual(self.python(code, KT_PLAN=self.current_plan()).stdout, "handoff\n")

    def test_a_dead_flow_is_an_error_and_no_wait(self):
        out = self.host("ssl", "dies", "api.openai.com")
        self.assertEqual(out, ["read -1 error 2", "write -1 error 5 errno 32 verify 0"])

    def test_a_handler_that_jumps_out_of_a_write_leaves_nothing_behind(self):
        out = self.check("jumps", "api.openai.com", lanes=["handoff", "handoff"])
        self.assertEqual(out[0], "jumped")

    def test_fork_after_handoff(self):
        out = self.host("ssl", "fork", "api.openai.com")
        self.assertEqual(self.lanes(out), ["handoff", "handoff", "handoff"])
        self.assertFalse(any(e.startswith("mixed") for e in self.events()), self.events())

    def test_addresses_of_ssls_are_used_again(self):
        self.check("reuse", "api.openai.com", lanes=["handoff"] * 20)

    def test_clients_own_ca_file_does_not_matter(self):
        _, crt = self.foreign_server()
        self.check("connect", "api.openai.com", lanes=["handoff", "handoff"], TEST_CA=crt)


class OtherHosts(ShimTest):
    def test_foreign_server_works_and_is_verified(self):
        port, crt = self.foreign_server()
        out = self.host("ssl", "connect", "localhost", "127.0.0.1", str(port), TEST_CA=crt)
        self.assertIn("connect 1 error 0 errno 0 verify 0", out)
        self.assertIn('answer {"origin":"foreign","lane":"none"}', out)
        out = self.host("ssl", "connect", "localhost", "127.0.0.1", str(port))
        self.assertTrue(out[0].startswith("connect -1 error 1 "), out)
        self.assertTrue(out[0].endswith("verify 18"), out)
        self.assertEqual(self.events(), [])


class Tripwire(ShimTest):
    """TLS to an intercepted host on a connection that is not ours."""

    def unseen(self, kind=1):
        """1 refused, 3 let through."""
        found = [e for e in self.events() if e.startswith("report ")]
        self.assertTrue(all(e.startswith("report %d api.openai.com" % kind) for e in found), found)
        return found

    def test_socket_block(self):
        port, crt = self.foreign_server()
        for case in ("connect", "implicit", "bio"):
            with self.subTest(case):
                if os.path.exists(self.log):
                    os.unlink(self.log)
                out = self.host("ssl", case, "api.openai.com", "127.0.0.1", str(port), TEST_CA=crt)
                self.assertEqual(len(self.unseen()), 1, self.events())
                self.assertFalse(any(l.startswith("answer {") for l in out), out)
                if case == "connect":
                    self.assertEqual(out[0], REFUSED)

    def test_memory_block(self):
        port, crt = self.foreign_server()
        out = self.host("ssl", "memory", "api.openai.com", "127.0.0.1", str(port), TEST_CA=crt)
        self.assertEqual(out, ["handshake -1 error 1 errno 111 verify 0"])
        self.assertEqual(len(self.unseen()), 1, self.events())

    def test_allow_reports_and_lets_go(self):
        port, crt = self.foreign_server()
        plan = self.current_plan("fail_mode allow\nhost 127.183.0.1 api.openai.com\n")
        for case in ("connect", "memory"):
            with self.subTest(case):
                if os.path.exists(self.log):
                    os.unlink(self.log)
                out = self.host("ssl", case, "api.openai.com", "127.0.0.1", str(port), TEST_CA=crt, KT_PLAN=plan)
                self.assertIn('answer {"origin":"foreign","lane":"none"}', out)
                self.assertEqual(len(self.unseen(3)), 1, self.events())

    def test_wrong_peer_over_memory_while_a_diverted_connection_lives(self):
        # A diverted connection to the same name exists, so only the client random tells that this one is not it.
        port, crt = self.foreign_server()
        code = """
import ctypes, socket, ssl
send = lambda b: ctypes.CDLL(None).syscall(1, raw.fileno(), b, len(b))  # write, where no hook sees the first words
held = socket.create_connection(("api.openai.com", 443))
raw = socket.create_connection(("127.0.0.1", %d))
ctx = ssl.create_default_context(cafile=%r)
i, o = ssl.MemoryBIO(), ssl.MemoryBIO()
s = ctx.wrap_bio(i, o, server_hostname="api.openai.com")
while True:
    try:
        s.do_handshake()
        s.write(b"secret")
        print("written")
        break
    except ssl.SSLWantReadError:
        send(o.read())
        i.write(raw.recv(65536))
    except OSError as e:
        print("failed", type(e).__name__)
        break
""" % (port, crt)
        self.assertEqual(self.python(code).stdout, "failed SSLCertVerificationError\n")
        self.assertEqual(len(self.unseen()), 1, self.events())

    def test_asyncio_learns_of_a_refusal_at_once(self):
        """It takes a system error for a call to wait: 60 seconds, by default."""
        port, crt = self.foreign_server()
        for held in ("", "held = socket.create_connection(('api.openai.com', 443))"):
            code = """
import asyncio, socket, ssl
%s
async def main():
    ctx = ssl.create_default_context(cafile=%r)
    try:
        await asyncio.open_connection("127.0.0.1", %d, ssl=ctx, server_hostname="api.openai.com", ssl_handshake_timeout=45)
        print("open")
    except OSError as e:
        print(type(e).__name__)
asyncio.run(main())
""" % (held, crt, port)
            with self.subTest(held=held):
                self.assertIn(self.python(code, timeout=20).stdout.strip(), ("SSLError", "SSLCertVerificationError", "ConnectionRefusedError"))

    def test_proxy_in_the_environment(self):
        port, crt = self.foreign_server()
        p = self.run_program("/usr/bin/curl", "-sS", "--cacert", crt, "https://api.openai.com/v1/models", status=None,
                             HTTPS_PROXY="http://127.0.0.1:%d" % port)
        self.assertNotEqual(p.returncode, 0)
        self.assertNotIn("foreign", p.stdout)
        self.assertEqual(len(self.unseen()), 1, (self.events(), p.stderr))


if __name__ == "__main__":
    main()
