# SPDX-License-Identifier: Apache-2.0
"""Names, addresses and connects: the divert lane without TLS."""
import os
import socket
import threading
import subprocess

from kt_harness import HOSTS, PLAN, ShimTest, main

SYNTH = "127.183.0.1"
# A program that chooses its own source, as one behind a firewall does.
BOUND = """
import socket, threading
server = socket.create_server(("127.0.0.1", 0))
peers = []
def serve():
    while True:
        c, peer = server.accept()
        peers.append(peer)
        c.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 6\\r\\n\\r\\nserver")
        while c.recv(4096): pass
threading.Thread(target=serve, daemon=True).start()
def call(here, where, fd=socket.AF_INET):
    s = socket.socket(fd)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(here)
    s.connect(where)
    s.sendall(b"GET / HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
    s.recv(4096)
    return s
def free():
    with socket.create_server(("127.0.0.1", 0)) as s: return s.getsockname()[1]
"""


class Resolve(ShimTest):
    def test_name_becomes_its_address_with_the_name_as_canonical_name(self):
        self.assertEqual(self.host("net", "resolve"), ["addr 127.183.0.1 canon api.openai.com next 0"])

    def test_case_and_last_dot_do_not_matter(self):
        self.assertIn("addr 127.183.0.1 canon API.OpenAI.com. next 0", self.host("net", "resolve", "API.OpenAI.com."))

    def test_inet6_hints_get_the_mapped_form(self):
        self.assertTrue(self.host("net", "resolve6")[0].startswith("addr ::ffff:127.183.0.1 "))

    def test_gethostbyname_family(self):
        self.assertEqual(self.host("net", "names"), [
            "gethostbyname api.openai.com 127.183.0.1",
            "gethostbyname2 api.openai.com ::ffff:127.183.0.1",
            "gethostbyname_r 0 api.openai.com 127.183.0.1",
            "gethostbyname2_r 0 api.openai.com",
            "small buffer 1",
        ])

    def test_an_address_back_to_its_name(self):
        self.assertEqual(self.host("net", "back")[1:], [
            "getnameinfo 0 api.openai.com 443",
            "small 1",
            "gethostbyaddr api.openai.com",
            "gethostbyaddr_r 0 api.openai.com 16",
        ])

    def test_getaddrinfo_a(self):
        self.assertEqual(self.host("net", "async"), ["getaddrinfo_a 0", "addr 127.183.0.1", "addr ::ffff:127.183.0.1", "addr 127.0.0.1"])

    def test_suffix_and_prefix_of_a_host_are_other_hosts(self):
        for other in ("notapi.openai.com", "api.openai.com.invalid", "openai.com.localhost"):
            p = self.run_program(os.path.join(HOSTS, "shim_host_net"), "resolve", other, status=None)
            self.assertNotIn("127.183.", p.stdout)

    def test_numeric_and_local_names_ask_for_no_plan(self):
        for name in ("127.0.0.1", "localhost", "127.1", "0x7f000001", "::1"):
            self.run_program(os.path.join(HOSTS, "shim_host_net"), "resolve", name, status=None)
        self.assertEqual(self.events(), [])

    def test_local_names_ask_for_a_plan_where_the_config_speaks_of_them(self):
        for text in ("intercept: {hosts: [LocalHost]}", "intercept:\n  hosts:\n  - 127.0.0.1\n", "#" * 4090 + "::1", '# "0:0:0:0:0:0:0:1"'):
            with self.subTest(text[-20:]):
                if os.path.exists(self.log):
                    os.unlink(self.log)
                with open(self.config, "w") as f:
                    f.write(text)
                self.run_program(os.path.join(HOSTS, "shim_host_net"), "resolve", "localhost", status=None)
                self.assertEqual(self.events(), ["start", "make_plan"])

    def test_an_intercepted_local_address_is_diverted_by_the_first_connect(self):
        self.plan_in("mode enforce\nfail_mode block\nhost 127.183.0.3 127.0.0.1\n")
        with open(self.config, "w") as f:
            f.write("intercept: {hosts: [127.0.0.1]}\n")
        want = ["connect 0 errno 4242", "peer 127.0.0.1 11434 len 16", "got echo literal"]
        self.assertEqual(self.host("net", "literal", "127.0.0.1", "11434"), want)
        self.assertIn("adopt 127.0.0.1 11434", "\n".join(self.events()))

    def test_a_name_without_a_plan_loads_the_engine_once_and_its_plan_is_used(self):
        self.host("net", "resolve")
        self.assertEqual(self.events(), ["start", "make_plan"])

    def test_with_a_current_plan_the_engine_stays_away(self):
        self.host("net", "resolve", KT_PLAN=self.current_plan())
        self.assertEqual(self.events(), [])

    def test_a_plan_that_is_not_current_or_not_ours_is_not_used(self):
        for how in ({"expires": -1}, {"mode": 0o666}, {"ca": False}):
            with self.subTest(how):
                if os.path.exists(self.log):
                    os.unlink(self.log)
                self.host("net", "resolve", KT_PLAN=self.current_plan(**how))
                self.assertEqual(self.events(), ["start", "make_plan"])

    def test_wildcard_names_have_one_address_in_all_processes(self):
        plan = self.current_plan()
        names = ["x%d.openai.azure.com" % i for i in range(8)]
        procs = [(n, subprocess.Popen([os.path.join(HOSTS, "shim_host_net"), "resolve", n], env=self.env(KT_PLAN=plan),
                                      stdout=subprocess.PIPE, text=True)) for n in names * 3]
        seen = {}
        for name, p in procs:
            addr = p.communicate(timeout=30)[0].split()[1]
            self.assertEqual(seen.setdefault(name, addr), addr)
        self.assertEqual(len(set(seen.values())), len(names))
        self.assertTrue(all(a.startswith("127.183.128.") for a in seen.values()), seen)

    def test_excluded_and_bare_wildcard_suffix_are_not_intercepted(self):
        for name in ("internal.openai.azure.com", "openai.azure.com"):
            p = self.run_program(os.path.join(HOSTS, "shim_host_net"), "resolve", name, status=None, KT_PLAN=self.current_plan())
            self.assertNotIn("127.183.", p.stdout)

    def test_half_a_line_at_the_end_of_the_plan_is_survived(self):
        plan = self.current_plan(PLAN + "name 127.183.128.1 half")
        out = self.host("net", "resolve", "y.openai.azure.com", KT_PLAN=plan)
        self.assertTrue(out[0].startswith("addr 127.183.128."))
        with open(plan) as f:
            self.assertTrue(f.read().endswith(" y.openai.azure.com\n"))


class Connect(ShimTest):
    def test_a_bound_source_address_and_port_stay(self):
        code = BOUND + """
port = free()
for host in ("127.0.0.1", "0.0.0.0", "127.0.0.5"):
    s = call((host, port), ("api.openai.com", 443))
    print(s.getsockname()[1] == port, s.getsockname()[0], s.getpeername()[0])
    s.shutdown(socket.SHUT_WR); s.close()
port = free()
s = call(("::", port), ("::ffff:127.183.0.1", 443), socket.AF_INET6)
print(s.getsockname()[1] == port, s.getpeername()[0])
other = call(("0.0.0.0", free()), server.getsockname())
print(other.getsockname() in peers)
"""
        self.assertEqual(self.python(code).stdout.splitlines(),
                         ["True 127.0.0.1 127.183.0.1"] * 2 + ["True 127.0.0.5 127.183.0.1", "True ::ffff:127.183.0.1", "True"])
        self.assertEqual(len([e for e in self.events() if e.startswith("adopt ")]), 4, self.events())

    def test_a_bound_source_port_stays_where_is_only_observed(self):
        code = BOUND + """
port = free()
s = call(("127.0.0.1", port), server.getsockname())
print(peers == [("127.0.0.1", port)], s.getsockname()[1] == port)
"""
        plan = self.current_plan("mode observe\nhost 127.183.0.2 127.0.0.1\n")
        self.assertEqual(self.python(code, KT_PLAN=plan, KT_FAKE_TAP="1").stdout, "True True\n")
        self.assertEqual([e.split()[0] for e in self.events() if e.startswith("tap_")][:2], ["tap_open", "tap_data"])

    def test_blocking(self):
        for mode, peer, size in (("blocking", "127.183.0.1", 16), ("blocking6", "::ffff:127.183.0.1", 28)):
            with self.subTest(mode):
                out = self.host("net", mode)
                self.assertEqual(out[1:], [
                    "connect 0 errno 4242",
                    "peer %s 443 len %d" % (peer, size),
                    "got echo hello",
                    "connect -1 errno 106",
                    "peer %s 443 len %d" % (peer, size),
                    "got echo twin",
                ])

    def test_nonblocking_with_epoll_and_asked_again(self):
        for mode, peer in (("nonblocking", "127.183.0.1 443 len 16"), ("nonblocking6", "::ffff:127.183.0.1 443 len 28")):
            with self.subTest(mode):
                out = self.host("net", mode)
                self.assertEqual(out[1:], ["connect -1 errno 115", "epoll 1 fd 1 so_error 0", "connect 0 errno 4242",
                                           "connect -1 errno 106", "peer " + peer, "got echo again"])
        self.assertEqual(sum(e.startswith("adopt") for e in self.events()), 2)

    def test_epoll_registration_made_before_connect_lives(self):
        self.assertEqual(self.host("net", "epoll")[1:], ["connect -1 errno 115", "epoll 1", "got echo early"])

    def test_a_socket_that_is_bound_to_a_device(self):
        net = "ip link set lo up && ip link add kt0 type veth peer name kt1 && ip link set kt1 up && ip addr add 10.88.0.1/24 dev kt0 && ip link set kt0 up"
        own = ("unshare", "-rn", "sh", "-c")
        if subprocess.run([*own, net], capture_output=True).returncode != 0:
            self.skipTest("no network namespaces here")
        for args in ((), ("drop",)):
            with self.subTest(args):
                host = " ".join((os.path.join(HOSTS, "shim_host_net"), "device", "api.openai.com", *args))
                program = "unset LD_PRELOAD; %s && LD_PRELOAD=$PRELOAD exec %s" % (net, host)
                out = self.run_program(*own, program, LD_PRELOAD=None, PRELOAD=self.env()["LD_PRELOAD"]).stdout.splitlines()
                self.assertEqual(out[1:], ["bound 0", "connect 1 blocked 0", "got echo device"])

    def test_v6only_socket_uses_the_ipv6_loopback(self):
        if not socket.has_ipv6 or not os.path.exists("/proc/net/if_inet6"):
            self.skipTest("no IPv6 here")
        # A v4-mapped address on a V6ONLY socket: the kernel would say ENETUNREACH, we have a listener there.
        self.assertEqual(self.host("net", "v6only")[1:], ["connect 0 errno 4242", "local ::1",
                                                          "peer ::ffff:127.183.0.1 443 len 28", "got echo six"])

    def test_tcp_fast_open_does_not_stall(self):
        self.assertEqual(self.host("net", "fastopen")[1:], ["connect 0 errno 4242", "got echo fast"])

    def test_tcp_fast_open_inside_a_send(self):
        for how in ("fastsend", "fastsend-msg", "fastsend-mmsg"):
            with self.subTest(how):
                self.assertEqual(self.host("net", how)[1:], ["sent 10 errno 4242", "sent -1 errno 106", "peer 127.183.0.1 443 len 16", "got echo fast"])
                self.assertEqual(self.host("net", how + "-nb")[1:], ["sent -1 errno 115", "sent 10 errno 4242", "peer 127.183.0.1 443 len 16",
                                                                     "got echo fast"])

    def test_unknown_synthetic_address_is_refused_here(self):
        self.assertEqual(self.host("net", "literal", "127.183.77.1", "443"), ["connect -1 errno 111"])

    def test_intercepted_literal_is_diverted(self):
        want = ["connect 0 errno 4242", "peer 10.99.88.77 8443 len 16", "got echo literal"]
        self.assertEqual(self.host("net", "literal", "10.99.88.77", "8443", KT_PLAN=self.current_plan()), want)
        self.assertEqual(self.host("net", "literal", "10.99.88.77", "8443"), want)
        self.assertIn("adopt 10.99.88.77 8443", "\n".join(self.events()))

    def test_address_from_another_process_is_known(self):
        plan = self.current_plan()
        addr = self.host("net", "resolve", "late.openai.azure.com", KT_PLAN=plan)[0].split()[1]
        out = self.host("net", "literal", addr, "443", KT_PLAN=plan)
        self.assertEqual(out[0], "connect 0 errno 4242")
        self.assertTrue(any(e.startswith("adopt late.openai.azure.com 443") for e in self.events()))

    def test_udp_to_a_synthetic_address_reaches_nobody(self):
        out = self.host("net", "udp", SYNTH, "443")
        self.assertEqual(out[-1], "udp send -1 errno 111")
        self.assertFalse(any(e.startswith("adopt") for e in self.events()))

    def test_other_servers_are_not_touched(self):
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)

        def echo():
            s, _ = listener.accept()
            with s:
                s.sendall(s.recv(100))
        threading.Thread(target=echo, daemon=True).start()
        port = str(listener.getsockname()[1])
        out = self.host("net", "literal", "127.0.0.1", port)
        self.assertEqual(out, ["connect 0 errno 4242", "peer 127.0.0.1 %s len 16" % port, "got echo literal"])
        self.assertEqual(self.events(), [])

    def test_memory_that_cannot_be_read(self):
        """Is the kernel's to refuse, on any socket: to a stranger, whose first words are looked at, and watched or not."""
        want = ["%s -1 14" % how for how in "write send writev pieces sendmsg message sendmmsg recvmsg fastopen getpeername".split()]
        self.assertEqual(self.host("net", "unreadable"), want + ["empty 0 0", "rest -1 14"])

    def test_fork_parent_and_child_go_on(self):
        out = self.host("net", "fork")
        self.assertEqual([l for l in out if "got" in l], ["got echo before", "got echo child", "got echo parent"])
        self.assertIn("child status 0", out)
        events = self.events()
        self.assertEqual(events.index("fork_prepare") + 1, min(events.index("fork_parent"), events.index("fork_child")))

    def test_trace_names_what_was_done_and_nothing_goes_to_the_program(self):
        trace = os.path.join(self.dir, "trace")
        self.host("net", "blocking", KT_TRACE="shim:" + trace)
        with open(trace) as f:
            text = f.read()
        self.assertIn("api.openai.com is 127.183.0.1", text)
        self.assertIn("to api.openai.com:443: connect 0", text)


class NoEngine(ShimTest):
    def test_block_refuses_the_built_in_hosts(self):
        for bad in ({"KT_ENGINE": "/nonexistent/engine.so"}, {"KT_FAKE_FAIL": "start"}, {"KT_ENGINE": "/etc/passwd"}):
            with self.subTest(bad):
                for host in ("api.openai.com", "api.mistral.ai", "codestral.mistral.ai"):
                    out = self.host("net", "blocking", host, **bad)
                    self.assertTrue(out[0].startswith("addr 127.183.0."))
                    self.assertEqual(out[1], "connect -1 errno 111")

    def test_make_plan_that_fails_still_diverts(self):
        out = self.host("net", "blocking", KT_FAKE_FAIL="plan")
        self.assertEqual(out[1], "connect 0 errno 4242")

    def test_allow_asks_the_real_resolver(self):
        p = self.run_program(os.path.join(HOSTS, "shim_host_net"), "blocking", KT_ENGINE="/nonexistent", KT_FAIL_MODE="allow",
                             status=None)
        # No DNS here, or a real address that cannot be reached: not our refusal, and not our engine.
        self.assertNotIn("errno 111", p.stdout)
        self.assertEqual(self.events(), [])

    def test_allow_goes_to_a_literal_itself(self):
        plan = self.current_plan("fail_mode allow\nhost 127.183.0.9 127.0.0.1\n")
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)
        listener.settimeout(10)
        got = []
        t = threading.Thread(target=lambda: got.append(listener.accept()))
        t.start()
        p = subprocess.Popen([os.path.join(HOSTS, "shim_host_net"), "literal", "127.0.0.1", str(listener.getsockname()[1])],
                             env=self.env(KT_PLAN=plan, KT_ENGINE="/nonexistent"), stdout=subprocess.PIPE, text=True)
        t.join()
        got[0][0].close()
        self.assertTrue(p.communicate(timeout=20)[0].startswith("connect 0 errno 4242"))


if __name__ == "__main__":
    main()
