# SPDX-License-Identifier: Apache-2.0
"""Threads that sleep in a read of their answer: we sleep in their place, and they must not notice."""
import errno
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "harness"))
import e2e  # noqa: E402
from ktlib import PYTHON  # noqa: E402

KEY = {"MISTRAL_API_KEY": "target-key-0001"}

# A connection without a time limit: SSL_read blocks. `ask(stream)` sends a request on it, `rest()` reads its answer.
CHAT = """
import http.client, json, os, signal, ssl, sys, threading, time
class Chat:
    def __init__(self):
        self.c = http.client.HTTPSConnection("api.openai.com")
    def ask(self, stream=False):
        body = json.dumps({"model": "gpt-4o", "stream": stream, "messages": [{"role": "user", "content": "hello"}]})
        self.c.request("POST", "/v1/chat/completions", body, {"Content-Type": "application/json"})
    def rest(self):
        r = self.c.getresponse()
        return r.status, r.read()
chat = Chat()
chat.ask()
assert chat.rest()[0] == 200
"""


class Reading(e2e.KtTest):
    maxDiff = None
    def python(self, code, faults, want):
        mock = self.lab.mock("up", ["--chunks", "40", "--chunk-delay-ms", "5", *(a for f in faults for a in ("--fault", f))])
        result = self.lab.run("wrap", self.targets(mock), [PYTHON, "-c", CHAT + code], env=KEY)
        self.assertEqual((result.returncode, result.stdout, result.stderr), (0, want, ""))
        return self.lab.events()

    def test_a_handler_that_raises_ends_the_read(self):
        """Python's handlers interrupt: what they raise must come now, not when the answer does."""
        code = """
class Enough(Exception): pass
def enough(*_): raise Enough
signal.signal(signal.SIGALRM, enough)
chat.ask()
began = time.monotonic()
signal.setitimer(signal.ITIMER_REAL, 0.2)
try: chat.rest(); print("the answer")
except Enough: print("interrupted", time.monotonic() - began < 1)
"""
        self.python(code, ["skip=1,delay_ms=3000"], "interrupted True\n")

    def test_an_audit_log_that_another_process_holds(self):
        """As one that was stopped does: our own thread waits for it, the program's has its signals."""
        code = """
import subprocess
hold = "import fcntl, sys; f = open(sys.argv[1], 'r+'); fcntl.flock(f, fcntl.LOCK_EX); print(1, flush=True); sys.stdin.read()"
holder = subprocess.Popen([sys.executable, "-c", hold, os.environ["KT_STATE_DIR"] + "/audit/lock"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
holder.stdout.readline()
class Enough(Exception): pass
def enough(*_): raise Enough
signal.signal(signal.SIGALRM, enough)
began = time.monotonic()
signal.setitimer(signal.ITIMER_REAL, 0.5)
try: chat.ask(); chat.rest(); print("the answer")
except Enough: print("interrupted", time.monotonic() - began < 3)
holder.stdin.close()
holder.wait()
chat = Chat()
chat.ask()
print(chat.rest()[0])
"""
        self.python(code, [], "interrupted True\n200\n")

    def test_handlers_that_return_change_nothing(self):
        """Ten of them while one read sleeps, with SA_RESTART and without; the other thread's read too."""
        code = """
ran = []
signal.signal(signal.SIGALRM, lambda *_: ran.append(1))
for restart in (False, True):
    signal.siginterrupt(signal.SIGALRM, not restart)
    chat.ask()
    signal.setitimer(signal.ITIMER_REAL, 0.03, 0.03)
    print(chat.rest()[0])
    signal.setitimer(signal.ITIMER_REAL, 0)
print(len(ran) > 5)
"""
        self.python(code, ["skip=1,delay_ms=400"], "200\n200\nTrue\n")

    def test_every_byte_in_order(self):
        """Streams, read in pieces of every size, by four threads at once, while the main thread is interrupted."""
        code = """
signal.signal(signal.SIGALRM, lambda *_: None)
signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
texts = []
def work(step):
    mine = Chat()
    for i in range(4):
        mine.ask(stream=True)
        r = mine.c.getresponse()
        got = b""
        while piece := r.read(step + i): got += piece
        chunks = [json.loads(l[6:]) for l in got.decode().splitlines() if l.startswith("data: {")]
        texts.append("".join(c["choices"][0]["delta"].get("content") or "" for c in chunks if c["choices"]))
        assert got.endswith(b"data: [DONE]\\n\\n"), got[-50:]
threads = [threading.Thread(target=work, args=(n,)) for n in (1, 7, 300, 20000)]
for t in threads: t.start()
work(64)
for t in threads: t.join()
signal.setitimer(signal.ITIMER_REAL, 0)
print(len(texts), len(set(texts)), len(texts[0]) > 40)
"""
        events = self.python(code, [], "20 1 True\n")
        self.assertEqual({(e["lane"], e["event_type"], e.get("interruption")) for e in events}, {("handoff", "decision", None)})
        self.assertEqual(len(events), 21)

    def test_a_fork_in_a_handler(self):
        """The child leaves the read that it is in the middle of; the parent's goes on."""
        code = """
def fork(*_):
    pid = os.fork()
    if pid == 0: os._exit(0)
    os.waitpid(pid, 0)
signal.signal(signal.SIGALRM, fork)
chat.ask()
signal.setitimer(signal.ITIMER_REAL, 0.05, 0.1)
status = chat.rest()[0]
signal.setitimer(signal.ITIMER_REAL, 0)
print(status)
"""
        self.python(code, ["skip=1,delay_ms=400"], "200\n")

    def steps(self, steps, faults, options=()):
        mock = self.lab.mock("up", [a for f in faults for a in ("--fault", f)])
        program = self.compiled("reader", "reader.c", "-pthread", "-lssl", "-lcrypto")
        got = self.lab.run("wrap", self.targets(mock), [str(program), *steps.split()], env=KEY, options=options)
        self.assertEqual((got.returncode, got.stderr), (0, ""))
        return got.stdout.splitlines()

    def test_threads_with_little_stack(self):
        """The chain and libcurl would not fit on it: such a thread's call goes through TLS, and its reads are its own."""
        self.assertEqual(self.steps("call little-call little-read little-more", []), ["call 200", "little-call 200", "little-read 200", "little-more 200"])
        self.assertEqual([e["lane"] for e in self.lab.events()], ["handoff", "divert", "handoff", "handoff", "handoff"])

    def test_threads_whose_handlers_differ_read_for_themselves(self):
        """And get what was sent, not what happens to lie in their buffer."""
        code = """
signal.signal(signal.SIGUSR1, lambda *_: None)
signal.siginterrupt(signal.SIGUSR1, False)
signal.signal(signal.SIGUSR2, lambda *_: None)
for i in range(3):
    chat.ask()
    status, text = chat.rest()
    print(status, json.loads(text)["object"])
def other():
    mine = Chat()
    mine.ask()
    print(mine.rest()[0])
t = threading.Thread(target=other)
t.start()
t.join()
"""
        self.python(code, [], "200 chat.completion\n" * 3 + "200\n")

    def test_a_handler_for_one_time(self):
        self.assertEqual(self.steps("once", ["delay_ms=1000"]), [f"once {-errno.EINTR}"])

    def test_a_handler_for_one_time_that_comes_later(self):
        """Of a thread that has slept in our place before, set by itself or by another thread."""
        self.assertEqual(self.steps("once-meanwhile once-later", ["delay_ms=700"]), [f"once-meanwhile {-errno.EINTR}", f"once-later {-errno.EINTR}"])

    def test_signals_of_libc_interrupt_nothing(self):
        self.assertEqual(self.steps("call groups", ["skip=1,delay_ms=700"]), ["call 200", "groups 200"])

    def test_a_thread_that_is_cancelled_cleans_up_with_its_own_mask(self):
        """In front of its sleep, and in it."""
        self.assertEqual(
            self.steps("call cancelled-before cancelled", ["skip=1,delay_ms=700"]), ["call 200", "cancelled-before 0", "cancelled 0"]
        )

    def test_a_thread_ends_behind_a_jump_out_of_its_read(self):
        self.assertEqual(self.steps("jumps jumps jumps", ["skip=1,delay_ms=1000"]), ["jumps 1"] * 3)

    def test_a_handler_jumps_out_of_a_handshake(self):
        self.assertEqual(self.steps("jumps-from-connect", []), ["jumps-from-connect 1"])

    def test_a_child_without_handlers_leaves_the_answer_alone(self):
        self.assertEqual(self.steps("call _Fork call", ["skip=2,count=1,delay_ms=700"], ["--no-supervise"]), ["call 200", "_Fork 200", "call 200"])


if __name__ == "__main__":
    e2e.main()
