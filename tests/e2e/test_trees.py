# SPDX-License-Identifier: Apache-2.0
"""Process trees and rude programs: what happens around a call must neither lose it nor harm the program."""
import concurrent.futures
import os
import pathlib
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "harness"))
import e2e  # noqa: E402
from ktlib import PYTHON, wait_for  # noqa: E402

KEY = {"MISTRAL_API_KEY": "target-key-0001"}

# `call()` is one chat call over TLS on a connection of its own; it returns the status.
CHAT = """
import http.client, json, os, signal, socket, ssl, sys, threading, time
BODY = json.dumps({"model": "gpt-4o", "messages": [{"role": "user", "content": "Mail alice.jones@example.org"}]})
def call(tls=True):
    kind = http.client.HTTPSConnection if tls else http.client.HTTPConnection
    c = kind("api.openai.com", timeout=30)
    c.request("POST", "/v1/chat/completions", BODY, {"Content-Type": "application/json"})
    r = c.getresponse()
    r.read()
    c.close()
    return r.status
"""


class Trees(e2e.KtTest):
    maxDiff = None

    def setUp(self):
        super().setUp()
        self.mock = self.lab.mock("up")
        self.cfg = self.targets(self.mock)

    def python(self, code, via="wrap", want="", events=None, status=0, **kwargs):
        """Runs the code behind CHAT; its output, and as many decisions as calls."""
        known = len(self.lab.events())
        result = self.lab.run(via, self.cfg, [PYTHON, "-c", CHAT + code], env={**KEY, **kwargs.pop("env", {})}, **kwargs)
        self.assertEqual((result.returncode, result.stdout, result.stderr), (status, want, ""))
        got = self.lab.events()[known:]
        if events is not None:
            self.assertEqual([e["event_type"] for e in got], ["decision"] * events)
        self.assertNotIn("alice.jones", "".join(r["body"] for r in self.mock.requests()))
        return got

    def test_program_with_a_sanitizer(self):
        """Its runtime refuses RTLD_DEEPBIND: the engine is loaded without."""
        client = self.compiled("lost_chat_asan", "lost_chat.c", "-fsanitize=address", "-static-libasan")
        for via in ("wrap", "preload"):
            known = len(self.lab.events())
            result = self.lab.run(via, self.cfg, [client, "libc"], env={**KEY, "ASAN_OPTIONS": "verify_asan_link_order=0:detect_leaks=0"})
            self.assertEqual((result.returncode, result.stdout, result.stderr), (0, '{"status": 200}\n', ""))
            self.assertEqual([e["lane"] for e in self.lab.events()[known:]], ["divert"])

    def test_allocator_of_the_programs_own(self):
        """jemalloc, tcmalloc: the engine must use the one that libc's strdup uses."""
        own = self.compiled("own_malloc.so", "own_malloc.c", "-shared", "-fPIC", "-fno-builtin")
        for command, lane in (([self.compiled("lost_chat", "lost_chat.c"), "libc"], "divert"),
                              (["curl", "-sS", "-o", "out", "-w", '{"status": %{http_code}}\\n', "-d", '{"model":"m","messages":[{"role":"user","content":"hello"}]}',
                                "-H", "Content-Type: application/json", "https://api.openai.com/v1/chat/completions"], "handoff")):
            with self.subTest(lane):
                known = len(self.lab.events())
                preload = f"LD_PRELOAD={own}:{self.lab.libkt}"
                result = self.lab.run("wrap", self.cfg, ["env", preload, *command], env=KEY)
                self.assertEqual((result.returncode, result.stdout, result.stderr), (0, '{"status": 200}\n', ""))
                self.assertEqual([e["lane"] for e in self.lab.events()[known:]], [lane])

    def test_chdir_before_the_first_call(self):
        """Folders that were given relative to where the program started."""
        for via in ("wrap", "preload"):
            with self.subTest(via):
                env = self.lab.env({**KEY, "KT_STATE_DIR": "state", "KT_POLICY_CONFIG": "policy-config.yaml"})
                argv = [PYTHON, "-c", CHAT + "os.chdir('/'); print(call()); import subprocess; print(subprocess.run([sys.executable, '-c', sys.argv[1]], stdout=subprocess.PIPE, text=True).stdout, end='')", CHAT + "print(call())"]
                if via == "wrap":
                    argv = [str(self.lab.kt), "wrap", "--state-dir", "state", "--policy-config", "policy-config.yaml", "--", *argv]
                else:
                    env["LD_PRELOAD"] = str(self.lab.libkt)
                known = len(self.lab.events())
                result = subprocess.run(argv, env=env, cwd=self.lab.tmp, capture_output=True, text=True, timeout=60)
                self.assertEqual((result.returncode, result.stdout, result.stderr), (0, "200\n200\n", ""))
                self.assertEqual([e["event_type"] for e in self.lab.events()[known:]], ["decision"] * 2)

    def test_chroot_after_a_call(self):
        """The engine is there already and has what it needs open."""
        code = "print(call()); os.mkdir('jail'); os.chroot('jail'); os.chdir('/'); print(call())"
        self.python(code, want="200\n200\n", events=2)

    def test_chroot_before_the_first_call(self):
        """Neither engine nor config can be reached from there: plain HTTP is taken by the supervisor, and alone it is refused."""
        code = """
import http.client, encodings.idna
os.mkdir('jail'); os.chroot('jail'); os.chdir('/')
try: print(call(tls=False))
except OSError as e: print(type(e).__name__)
"""
        self.assertEqual([e["lane"] for e in self.python(code, want="200\n", events=1)], ["supervise"])
        self.python(code.replace("jail", "jail2"), via="preload", want="ConnectionRefusedError\n", events=0)

    def test_prefork_server(self):
        """A master that has called forks workers that call, all at once, again and again."""
        code = """
assert call() == 200
pids = []
for i in range(4):
    pid = os.fork()
    if pid == 0:
        os._exit(0 if [call() for i in range(3)] == [200] * 3 else 1)
    pids.append(pid)
print([os.waitpid(p, 0)[1] for p in pids], call())
"""
        self.python(code, want="[0, 0, 0, 0] 200\n", events=14)

    def test_clone_without_libc(self):
        """A child that libc knows nothing of has no engine thread: under kt wrap the supervisor takes its call, alone it is refused."""
        code = """
import ctypes
libc = ctypes.CDLL(None)
assert call(tls=False) == 200
pid = libc.syscall(57) if os.uname().machine == "x86_64" else libc.syscall(220, 17, 0, 0, 0, 0)
if pid == 0:
    try: status = call(tls=False)
    except OSError as e: status = type(e).__name__
    os.write(1, b"child %s\\n" % str(status).encode())
    os.kill(os.getpid(), signal.SIGKILL)
os.waitpid(pid, 0)
print("parent", call(tls=False))
"""
        got = self.python(code, want="child 200\nparent 200\n", events=3)
        self.assertEqual(sorted(e["lane"] for e in got), ["divert", "divert", "supervise"])
        self.python(code, via="preload", want="child ConnectionRefusedError\nparent 200\n", events=2)

    def test_timers_and_dying_children(self):
        """SIGALRM every millisecond and SIGCHLD storms, with system calls that are restarted and that are not."""
        for restart in (True, False):
            code = f"""
import subprocess
signal.signal(signal.SIGALRM, lambda *a: None)
signal.signal(signal.SIGCHLD, lambda *a: None)
signal.siginterrupt(signal.SIGALRM, {not restart})
signal.siginterrupt(signal.SIGCHLD, {not restart})
stop = []
def children():
    while not stop: subprocess.run(["/bin/true"])
t = threading.Thread(target=children, daemon=True)
t.start()
signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
got = [call() for i in range(12)]
signal.setitimer(signal.ITIMER_REAL, 0)
stop.append(1)
t.join()
print(got == [200] * 12)
"""
            with self.subTest(restart=restart):
                self.python(code, want="True\n", events=12)

    def test_fork_in_the_middle_of_a_hook(self):
        """A signal handler that forks, wherever the program just is."""
        client = self.compiled("fork_storm", "fork_storm.c", "-lssl", "-lcrypto")
        for via in ("wrap", "preload"):
            known = len(self.lab.events())
            result = self.lab.run(via, self.cfg, [client, "150"], env=KEY, timeout=60)
            self.assertEqual((result.returncode, result.stderr), (0, ""))
            calls, inside, others = map(int, result.stdout.split())
            print(f"{inside} forks inside of libkt.so, {others} elsewhere", flush=True)
            self.assertEqual(calls, 150)
            self.assertGreater(inside + others, 10)
            self.assertEqual([e["event_type"] for e in self.lab.events()[known:]], ["decision"] * 150)

    def test_fork_while_a_thread_is_inside_of_openssl(self):
        """A lock of OpenSSL stays taken in the child for ever: there we refuse, in bounded time and with an event, or the supervisor takes the call."""
        client = self.compiled("fork_in_openssl", "fork_in_openssl.c", "-lssl", "-lcrypto")
        c11 = self.compiled("fork_in_openssl_c11", "fork_in_openssl.c", "-DC11", "-lssl", "-lcrypto")
        late, seen = (-1, ("unseen", "%s", None)), (200, ("decision", "allow", "supervise"))
        rows = [("preload", "block", "not", "tls", late), ("preload", "block", "first", "plain", late), ("preload", "allow", "first", "tls", late), ("preload", "allow", "not", "plain", late),
                ("wrap", "block", "not", "plain", seen), ("wrap", "allow", "first", "tls", seen)]
        with concurrent.futures.ThreadPoolExecutor(len(rows)) as pool:  # each waits 3 s
            runs = [pool.submit(self.lab.run, via, self.cfg, [c11 if (first, tls) == ("not", "tls") else client, first, tls], env={**KEY, "KT_FAIL_MODE": fail}, timeout=60) for via, fail, first, tls, _ in rows]
        want = []
        for (via, fail, first, tls, (status, event)), run in zip(rows, runs):
            before = 200 if first == "first" else 0
            got = run.result()
            self.assertEqual((got.returncode, got.stdout, got.stderr), (0, f"before {before}, child {status}, its end 0, parent 200\n", ""), (via, fail, first, tls))
            want += [("decision", "allow", "handoff")] * (2 if before else 1) + [tuple(x and x.replace("%s", fail) for x in event)]
        self.assertEqual(sorted(map(str, want)), sorted(str((e["event_type"], e["verdict"], e.get("lane"))) for e in self.lab.events()))
        self.assert_audit_ok()

    def test_dup2_storm(self):
        """A thread that puts /dev/null over every number it does not know, while calls are made."""
        code = """
import resource
top = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
null = os.open("/dev/null", os.O_RDWR)
stop, busy = [], 0
def storm():
    global busy
    while not stop:
        for fd in range(200, min(top, 2048)):
            try: os.dup2(null, fd); os.close(fd)
            except OSError: busy += 1
t = threading.Thread(target=storm)
t.start()
got = [call() for i in range(15)]
stop.append(1)
t.join()
print(got == [200] * 15, busy > 0)
"""
        self.python(code, want="True True\n", events=15)

    def test_daemon_that_closes_everything(self):
        """fork, setsid, fork, close_range: the daemon's own calls are captured."""
        code = """
done = os.path.abspath("done")
print(call(), flush=True)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.closerange(0, 65536)
        status = call()
        with open(done, "w") as f: f.write(str(status))
    os._exit(0)
"""
        self.python(code, want="200\n")
        done = self.lab.tmp / "done"
        wait_for(lambda: done.exists() and done.read_text(), what="the daemon's call")
        self.assertEqual(done.read_text(), "200")
        wait_for(lambda: len(self.lab.events()) == 2, what="its event")

    def test_exit_with_calls_in_flight(self):
        """The upstream never answers and the program does not wait: neither do we, and the call has its event."""
        stalled = self.lab.mock("stalled", ["--fault", "hang"])
        cfg = self.targets(stalled)
        quickest = {}
        for how in ("sys.exit(3)", "os._exit(3)", "os.execv('/bin/sh', ['sh', '-c', 'exit 3'])", "os.kill(os.getpid(), 9)"):
            code = CHAT + f"""
threading.Thread(target=call, daemon=True).start()
while True:
    with open({str(stalled.record)!r}) if os.path.exists({str(stalled.record)!r}) else open(os.devnull) as f:
        if len(f.readlines()) > int(sys.argv[1]): break
    time.sleep(0.005)
print(time.time(), flush=True)
{how}
"""
            for via in ("wrap", "preload"):
                with self.subTest(how=how, via=via):
                    known, seen = len(self.lab.events()), len(stalled.requests())
                    result = self.lab.run(via, cfg, [PYTHON, "-c", code, str(seen)], env=KEY, timeout=30)
                    took = time.time() - float(result.stdout)
                    print(f"{how} under {via}: gone after {took * 1000:.0f} ms", flush=True)
                    self.assertEqual(result.stderr, "")
                    self.assertEqual(result.returncode, -9 if "kill" in how else 3)
                    self.assertLess(took, 5)  # the mock never answers: a wait would be the time limit of minutes
                    quickest[how] = min(took, quickest.get(how, took))
                    late = "kill" in how and via == "preload"  # the next process with a call writes its event
                    want = [] if late else ["interrupted"] if "kill" in how else ["decision"]
                    self.assertEqual([e["event_type"] for e in self.lab.events()[known:]], want)
        # An exit is held up for 100 ms at most; of two each, because the machine may be busy in one of them.
        self.assertLess(max(quickest.values()), 0.1, quickest)


if __name__ == "__main__":
    e2e.main()
