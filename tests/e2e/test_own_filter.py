# SPDX-License-Identifier: Apache-2.0
"""Programs whose own seccomp filter denies what we need: what we cannot take is refused, with an event, and `kt wrap --fail-on` breaks."""
import pathlib
import signal
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "harness"))
import e2e  # noqa: E402
import net  # noqa: E402
from ktlib import PYTHON  # noqa: E402

CODE = """
import ctypes, http.client, json, os, socket, ssl, struct, sys, threading
numbers = {"x86_64": {"listen": 50, "accept4": 288, "eventfd2": 290, "epoll_create1": 291, "getrandom": 318, "flock": 73,
                      "epoll_wait": 232, "epoll_ctl": 233, "bind": 49, "clone3": 435, "rseq": 334},
           "aarch64": {"listen": 201, "accept4": 242, "eventfd2": 19, "epoll_create1": 20, "getrandom": 278, "flock": 32,
                       "epoll_wait": 22, "epoll_ctl": 21, "bind": 200, "clone3": 435, "rseq": 293}}[os.uname().machine]
def call(tls):
    kind = http.client.HTTPSConnection if tls else http.client.HTTPConnection
    c = kind("api.openai.com", timeout=30)
    try:
        c.request("POST", "/v1/chat/completions", json.dumps({"model": "m", "messages": [{"role": "user", "content": "hello"}]}), {"Content-Type": "application/json"})
        return c.getresponse().status
    except OSError as e:
        return type(e).__name__
def deny(name):
    kills, _, name = name.rpartition(":")
    code = [(0x20, 0, 0, 0), (0x15, 0, 1, numbers[name]), (6, 0, 0, 0x80000000 if kills else 0x50000 | 1), (6, 0, 0, 0x7fff0000)]
    raw = ctypes.create_string_buffer(b"".join(struct.pack("<HBBI", *c) for c in code))
    prog = ctypes.create_string_buffer(struct.pack("<HxxxxxxQ", len(code), ctypes.addressof(raw)))
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(38, 1, 0, 0, 0) == 0
    assert libc.prctl(22, 2, ctypes.byref(prog), 0, 0) == 0, ctypes.get_errno()
if "warm" in sys.argv: assert call(True) == 200
for name in sys.argv[2:]: deny(name)
print(call(sys.argv[1] == "tls"), call(sys.argv[1] == "tls"))
"""


class OwnFilter(e2e.KtTest):
    def filtered(self, tls, *denied, via="wrap", status, out, options=("--fail-on", "unseen")):
        mock = self.lab.mock("up") if not self.lab.mocks else self.lab.mocks["up"]
        cfg, known = self.targets(mock), len(self.lab.events())
        got = self.lab.run(via, cfg, [PYTHON, "-c", CODE, tls, *denied], env={"MISTRAL_API_KEY": "k"}, options=options if via == "wrap" else ())
        self.assertEqual((got.stdout, got.returncode), (out, status), got.stderr)
        return got.stderr, self.lab.events()[known:]

    def test_refused_with_an_event(self):
        for name in ("listen", "accept4", "eventfd2", "epoll_create1", "getrandom", "epoll_wait", "epoll_ctl", "bind", "clone3", "rseq"):
            for via, tls in (("wrap", "tls"), ("wrap", "plain"), ("preload", "plain")):
                if (name, tls) == ("getrandom", "tls"):
                    continue  # the program's own TLS needs it, too
                with self.subTest(name, via=via, tls=tls):
                    stderr, events = self.filtered(tls, name, via=via, status=1 if via == "wrap" else 0, out="ConnectionRefusedError ConnectionRefusedError\n")
                    self.assertEqual([(e["event_type"], e["verdict"], e["reason_code"], e["origin"]) for e in events],
                                     [("unseen", "block", "not_captured", "api.openai.com")] * 2)  # one a minute, and at the end what was left out
                    self.assertRegex(events[1]["message"], "^[13] more ")  # a client tries each address
                    if via == "wrap":
                        self.assertIn("2 of 2 LLM calls broke the rule: unseen 2", stderr)

    def test_let_through_with_an_event(self):
        """By fail_mode, and where nothing may be altered: each connection has its event then."""
        self.lab.mock("near", ["--dialect", "openai"], tls=False, origin="api.openai.com")
        self.lab.mock("up")
        net.map_hosts(["api.openai.com"], self.lab.tmp)
        self.addCleanup(net.unmap_hosts)
        for options in (("--fail-mode", "allow"), ("--mode", "observe")):
            for name in ("listen", "accept4", "epoll_create1"):
                with self.subTest(name, options=options):
                    known = len(self.lab.events())
                    got = self.lab.run("wrap", self.targets(self.lab.mocks["up"]), [PYTHON, "-c", CODE, "plain", name], env={"MISTRAL_API_KEY": "k"},
                                       options=(*options, "--fail-on", "unseen"), trace="no-tap")
                    self.assertEqual((got.stdout, got.returncode), ("200 200\n", 1), got.stderr)
                    self.assertEqual([(e["event_type"], e["verdict"], e["origin"]) for e in self.lab.events()[known:]], [("unseen", "allow", "api.openai.com")] * 2)

    def test_one_that_kills_ends_the_program(self):
        """Nothing leaves, and it is said why."""
        for name in ("listen", "accept4", "epoll_create1"):
            with self.subTest(name):
                log = self.lab.state / "kt.log"
                known = len(log.read_text()) if log.exists() else 0
                stderr, events = self.filtered("plain", f"kills:{name}", status=-signal.SIGSYS, out="", options=())
                self.assertEqual((stderr, events), ("", []))
                self.assertIn("was ended by SIGSYS", log.read_text()[known:])
        self.assertEqual(self.lab.mocks["up"].requests(), [])

    def test_an_event_that_cannot_be_written_either(self):
        stderr, events = self.filtered("tls", "flock", "listen", status=1, out="ConnectionRefusedError ConnectionRefusedError\n")
        self.assertEqual(events, [])
        self.assertIn("audit events could not be written", stderr)


if __name__ == "__main__":
    e2e.main()
