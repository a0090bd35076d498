# SPDX-License-Identifier: Apache-2.0
"""Programs at the edge of what they may do (signal handlers, small stacks, environments that change): with us as without."""
import pathlib
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "harness"))
import e2e  # noqa: E402
import net  # noqa: E402
from ktlib import PYTHON, ROOT  # noqa: E402

KEY = {"MISTRAL_API_KEY": "target-key-0001"}


class EdgeHosts(e2e.KtTest):
    def setUp(self):
        super().setUp()
        self.program = self.compiled("edge_host", "edge_host.c", "-pthread", "-lssl", "-lcrypto")
        self.cfg = self.targets(self.lab.mock("up"))

    def steps(self, steps, via="preload", cfg=None, status=0, options=(), timeout=30):
        got = self.lab.run(via, cfg or self.cfg, [str(self.program), *steps.split()], env=KEY, options=options, timeout=timeout)
        self.assertEqual(got.returncode, status, got.stdout + got.stderr)
        return got.stdout.splitlines()

    def test_threads_that_share_credentials(self):
        """GnuTLS lets nobody add a CA to credentials that another thread verifies with; their verify function is asked all the same."""
        client = self.compiled("gnutls_threads", "gnutls_threads.c", "-pthread", "-l:libgnutls.so.30")
        got = self.lab.run("preload", self.cfg, [str(client), "8", "12"], env=KEY)
        self.assertEqual((got.returncode, got.stdout), (0, "failed 0 asked 96\n"), got.stderr)

    def test_the_environment_changes_meanwhile(self):
        self.assertEqual(self.steps("environ"), ["environ 2000"])

    def test_exit_by_a_handler_that_interrupts_malloc(self):
        for _ in range(4):
            self.assertEqual(self.steps("exit-in-malloc", status=7), ["call 200"])

    def test_a_jump_out_of_a_handshake(self):
        self.assertEqual(self.steps("jump call"), ["jump 0", "call 200"])

    def test_small_stacks(self):
        self.assertEqual(self.steps("small-stack"), ["small-stack 200"])
        self.assertEqual(self.steps("crash-handlers"), ["helper 0"] * 3)

    def test_an_address_that_cannot_be_read(self):
        self.assertEqual(self.steps("bad-address call"), ["bad-address -14", "call 200"])

    def test_libraries_that_wait_for_their_threads(self):
        self.compiled("edge_plugin", "edge_plugin.c", "-shared", "-fPIC", "-pthread", "-lssl", "-lcrypto")
        got = self.lab.run("preload", None, [str(self.program), "plugin", "plugin"], timeout=30)
        self.assertEqual((got.returncode, got.stdout), (0, "plugin 0\nplugin 0\n"), got.stderr)

    def test_a_library_that_waits_and_links_many(self):
        """By their paths, as libraries without a soname are linked."""
        small = [self.lab.tmp / f"small{i}.so" for i in range(36)]
        subprocess.run(["gcc", "-shared", "-fPIC", "-o", str(small[0]), "-x", "c", "/dev/null"], check=True)
        for copy in small[1:]:
            shutil.copy(small[0], copy)
        plugin = self.lab.tmp / "edge_plugin"
        subprocess.run(["gcc", "-O1", "-shared", "-fPIC", "-pthread", "-o", str(plugin), str(ROOT / "tests/clients/edge_plugin.c"), "-Wl,--no-as-needed", *map(str, small),
                        "-lssl", "-lcrypto"], check=True)
        host = shutil.copy(self.program, self.lab.tmp / "edge_host")
        got = self.lab.run("preload", None, [str(host), "plugin", "plugin"], timeout=30)
        self.assertEqual((got.returncode, got.stdout), (0, "plugin 0\nplugin 0\n"), got.stderr)

    def test_every_fd_closed_by_a_bare_system_call(self):
        self.assertEqual(self.steps("call raw-close call"), ["call 200", "raw-close 0", "call 200"])

    def test_a_socket_that_goes_elsewhere(self):
        self.assertEqual(self.steps("reconnect"), ["reconnect 1"])

    def test_no_child_of_ours(self):
        """A key by a command: the shell that prints it is nobody's the program could meet."""
        mock = self.lab.mocks["up"]
        cfg = self.lab.config(e2e.TARGETS.format(url=mock.url, ca=mock.ca, top="", more="").replace(
            "tls:", 'secret_key_ref: {command: "sleep 0.1; echo target-key-0001"}, tls:'), "command.yaml")
        self.assertEqual(self.steps("catch call wait", cfg=cfg), ["call 200", "wait -10", "children 0"])

    def test_bytes_that_are_thrown_away(self):
        """MSG_TRUNC without a buffer (tcp(7)); observed, the answer was not read and its call is reported."""
        self.lab.mock("near", ["--dialect", "openai"], tls=False, origin="api.openai.com")
        net.map_hosts(["api.openai.com"], self.lab.tmp)
        self.addCleanup(net.unmap_hosts)
        code = """
import ctypes, select, socket
libc = ctypes.CDLL(None, use_errno=True)
s = socket.create_connection(("api.openai.com", 80))
body = b'{"model":"gpt-4o","messages":[{"role":"user","content":"hello"}]}'
s.sendall(b"POST /v1/chat/completions HTTP/1.1\\r\\nHost: api.openai.com\\r\\nContent-Type: application/json\\r\\nContent-Length: %d\\r\\n\\r\\n" % len(body) + body)
select.select([s], [], [])
print(libc.recv(s.fileno(), None, 1000, socket.MSG_TRUNC) > 0)
"""
        got = self.lab.run("wrap", self.cfg, [PYTHON, "-c", code], env=KEY, options=("--mode", "observe"))
        self.assertEqual((got.returncode, got.stdout), (0, "True\n"), got.stderr)
        self.assertIn("unseen", [e["event_type"] for e in self.lab.events()])

    def test_calls_by_handlers_of_exit(self):
        """Registered before the first call, and so run behind the end of the engine: they follow fail_mode, with an event."""
        self.assertEqual(self.steps("at-exit call"), ["call 200", "at-exit -111"])
        self.assertEqual([e["event_type"] for e in self.lab.events()], ["decision", "unseen"])
        self.assertEqual(self.steps("at-exit"), ["at-exit 200"])  # the first call of all

    def test_preload_by_a_relative_path(self):
        """A child that is started in another folder is wrapped all the same."""
        for name in ("libkt.so", "libktengine.so"):
            shutil.copy(pathlib.Path(e2e.BUILD).resolve() / "lib" / name, self.lab.tmp)
        argv, env = self.lab.wrapped("preload", self.cfg, ["sh", "-c", "cd /; exec grep -c libkt.so /proc/self/maps"], env=KEY)
        env["LD_PRELOAD"] = "./libkt.so"
        got = subprocess.run(argv, env=env, cwd=self.lab.tmp, capture_output=True, text=True, timeout=30)
        self.assertNotEqual(got.stdout.strip(), "0", got.stderr)


if __name__ == "__main__":
    e2e.main()
