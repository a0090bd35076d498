# SPDX-License-Identifier: Apache-2.0
"""What a child or another program inherits: connections, environments."""
import pathlib
import ssl
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "harness"))
import e2e  # noqa: E402
from ktlib import PYTHON, wait_for  # noqa: E402

KEY = {"MISTRAL_API_KEY": "target-key-0001"}


class Heirs(e2e.KtTest):
    def heir(self, code, *, said, kinds, via="wrap", **env):
        program = """
import http.client, json, os, socket, ssl, subprocess, sys, time
BODY = json.dumps({"model": "m", "messages": [{"role": "user", "content": "hello"}]})
def opened(tls):
    c = http.client.HTTPSConnection("api.openai.com") if tls else http.client.HTTPConnection("api.openai.com")
    c.connect()
    return c
def ask(c):
    c.auto_open = 0
    try:
        c.request("POST", "/v1/chat/completions", BODY, {"Content-Type": "application/json"})
        r = c.getresponse()
        r.read()
        return r.status
    except (OSError, http.client.HTTPException):
        return "closed"
"""
        known = len(self.lab.events())
        got = self.run_ok(via, self.targets(self.lab.mocks.get("up") or self.lab.mock("up")), [PYTHON, "-c", program + code], env={**KEY, **env})
        self.assertEqual(got.stdout.split(), said, got.stderr)
        found = lambda: sorted(e["event_type"] for e in self.lab.events()[known:])
        wait_for(lambda: found() == kinds, what=f"{kinds}, not {found()}")

    def test_clean_environments(self):
        """A program that cleans its own keeps its key; one that is started so has none, and its event says so."""
        call = "c = opened(False); print(ask(c), flush=True)"
        for via in ("wrap", "preload"):
            self.heir("os.environ.clear(); " + call, said=["200"], kinds=["decision"], via=via)
            self.heir("os.environ.clear()\nif os.fork() == 0:\n    " + call + "\n    os._exit(0)\nos.wait()", said=["200"], kinds=["decision"], via=via)
            self.heir("import inspect; subprocess.run([sys.executable, '-c', sys.orig_argv[2].split('import inspect')[0] + " + repr(call) + "], env={})",
                      said=["502"], kinds=["decision"], via=via)
            last = self.lab.events()[-1]
            self.assertEqual((last["verdict"], last["error"]), ("allow", "all_targets_failed"))

    def test_connection_that_outlives_its_opener(self):
        """The engine's end is gone: what the heir says on it is lost, and that is an event. While the opener lives it is served."""
        for tls in (False, True):
            for via in ("wrap", "preload"):
                with self.subTest(tls=tls, via=via):
                    self.heir(f"""
c = opened({tls})
parent = os.getpid()
if os.fork() == 0:
    while os.getppid() == parent: time.sleep(0.005)
    print(ask(c), flush=True)
else:
    os._exit(0)
""", said=["closed"], kinds=["interrupted"], via=via)
        self.assertEqual(self.lab.events()[-1]["origin"], "api.openai.com")
        self.heir("""
c = opened(False)
if os.fork() == 0:
    print(ask(c), ask(c), flush=True)
    os._exit(0)
os.wait()
""", said=["200", "200"], kinds=["decision"] * 2)
        self.heir("""
c = opened(False)
print(ask(c), flush=True)
if os.fork() == 0:
    os._exit(0)  # has it, but says nothing
os.wait()
""", said=["200"], kinds=["decision"])

    def test_heir_that_closes_in_good_order(self):
        """An alert is no last word: TLS 1.3 hides it in application data."""
        for env in ({}, {"KT_TRACE": "no-handoff"}):
            for version in ("TLSv1_2", "TLSv1_3"):
                with self.subTest(env=env, version=version):
                    self.heir(f"""
c = http.client.HTTPSConnection("api.openai.com", context=ssl.create_default_context())
c._context.minimum_version = c._context.maximum_version = ssl.TLSVersion.{version}
c.connect()
print(ask(c), flush=True)
parent = os.getpid()
if os.fork() == 0:
    while os.getppid() == parent: time.sleep(0.005)
    try: c.sock.unwrap()
    finally: os._exit(print(ask(opened(False)), flush=True) or 0)
os._exit(0)
""", said=["200", "200"], kinds=["decision"] * 2, **env)

    def test_stranger_on_an_heirs_number(self):
        """What a fork child connects itself is looked at, whatever had the number before."""
        hello = ssl.MemoryBIO()
        with self.assertRaises(ssl.SSLWantReadError):
            ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), hello, server_hostname="api.openai.com").do_handshake()
        hello = hello.read().hex()
        for before, after in (("c.close()", ""), ("", "os.close(fd)"), ("", "os.closerange(fd, fd + 1)")):
            for via in ("wrap", "preload"):
                with self.subTest(before=before, after=after, via=via):
                    self.heir(f"""
server = socket.create_server(("127.0.0.1", 0))
c = opened(False)
fd = c.sock.fileno()
print(ask(c), flush=True)
{before}
if os.fork() == 0:
    {after or "pass"}
    s = socket.socket()
    s.connect(server.getsockname())
    try: s.send(bytes.fromhex("{hello}")); said = "sent"
    except OSError: said = "refused"
    print(s.fileno() == fd, said, flush=True)
    os._exit(0)
os.wait()
""", said=["200", "True", "refused"], kinds=["decision", "unseen"], via=via)

    def test_exec_that_leaves_the_connection_served(self):
        """A helper by fork and exec while nothing was said yet, and programs that cannot be executed, also where only the kernel can tell."""
        def broken(name, data):
            path = self.lab.tmp / name
            path.write_bytes(data)
            path.chmod(0o755)
            return f"for go in (os.execv, os.execvp):\n    try: go({str(path)!r}, ['x'])\n    except OSError: pass\n    else: assert 0"
        for code in ("if os.fork() == 0: os.execv('/bin/true', ['true'])\nos.wait()",
                     "if os.fork() == 0: os.execvp('true', ['true'])\nos.wait()",
                     "try: os.execv('/', ['none'])\nexcept OSError: pass",
                     "import ctypes; ctypes.CDLL(None).execvp(b'no-such-program', (ctypes.c_char_p * 2)(b'none', None))",
                     broken("elf", b"\x7fELF" + bytes(60)), broken("text", b"no program\n"), broken("lost", b"#!/no/such/interpreter\n"),
                     broken("dir", b"#!/tmp\n")):
            for via in ("wrap", "preload"):
                with self.subTest(code=code, via=via):
                    self.heir(f"c = opened(False); os.set_inheritable(c.sock.fileno(), True)\n{code}\nprint(ask(c), flush=True)",
                              said=["200"], kinds=["decision"], via=via)

    def test_connection_that_is_given_to_another_program(self):
        self.heir("""
c = opened(False)
os.dup2(c.sock.fileno(), 7)
c.sock.close()
os.execv(sys.executable, [sys.executable, "-c", "import socket; s = socket.socket(fileno=7); print('closed' if not s.recv(1) else 'open')"])
""", said=["closed"], kinds=["interrupted"])
        self.heir("""
c = opened(False)
print(ask(c), flush=True)
os.set_inheritable(c.sock.fileno(), True)  # many programs leave theirs so
c.sock.detach()
os.execv("/bin/true", ["true"])
""", said=["200"], kinds=["decision"])
        self.heir("c = opened(False); subprocess.run(['/bin/true'], close_fds=False); print(ask(c), flush=True)", said=["200"], kinds=["decision"])


if __name__ == "__main__":
    e2e.main()
