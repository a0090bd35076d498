# SPDX-License-Identifier: Apache-2.0
"""Calls in whose middle the process is killed or becomes another program: `kt wrap --fail-on` learns of each, and each has an event."""
import os
import pathlib
import signal
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "harness"))
import e2e  # noqa: E402
from ktlib import PYTHON, wait_for  # noqa: E402

KEY = {"MISTRAL_API_KEY": "target-key-0001"}

# `begin()` sends a request whose answer never comes, and `under_way(n)` waits until the provider has n of them.
CHAT = """
import http.client, json, os, signal, sys, threading, time
BODY = json.dumps({"model": "gpt-4o", "messages": [{"role": "user", "content": "Mail alice.jones@example.org"}]})
kept = []
def begin():
    c = http.client.HTTPSConnection("api.openai.com", timeout=30)
    c.request("POST", "/v1/chat/completions", BODY, {"Content-Type": "application/json"})
    kept.append(c)
def under_way(n):
    end = time.monotonic() + 30
    while time.monotonic() < end:
        try:
            if open(os.environ["RECORD"]).read().count("\\n") >= n: return
        except FileNotFoundError: pass
        time.sleep(0.005)
    sys.exit("the provider has not got it")
def in_child(fn):
    pid = os.fork()
    if pid == 0:
        fn()
        os._exit(0)
    return os.waitpid(pid, 0)[1]
def die(sig):
    import resource
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.kill(os.getpid(), sig)
    time.sleep(30)
"""


class CutOff(e2e.KtTest):
    def setUp(self):
        super().setUp()
        self.mock = self.lab.mock("up", ["--fault", "hang"])
        self.cfg = self.targets(self.mock)

    def wrap(self, code, status=1, via="wrap", options=("--fail-on", "block"), trace=None):
        known = len(self.lab.events())
        self.mock.record.write_text("")
        env = {**KEY, "RECORD": str(self.mock.record)}
        got = self.lab.run(via, self.cfg, [PYTHON, "-c", CHAT + code], env=env, options=options, trace=trace)
        self.assertEqual(got.returncode, status, got.stderr)
        self.assert_audit_ok()
        return got.stderr, self.lab.events()[known:]

    def assert_cut(self, got, count):
        stderr, events = got
        self.assertIn(f"kt wrap: {count} LLM calls were cut off by exec or a signal", stderr)
        for e in events:
            self.assertEqual((e["event_type"], e["verdict"], e["reason_code"], e["origin"]), ("interrupted", "error", "cut_off", "api.openai.com:443"))
            self.assertNotIn("exe", e["app"])
        self.assertEqual(len(events), count)

    def test_signals(self):
        """Also in children, whose parent's own call is none of theirs, and where the lane is another."""
        for sig in ("SIGKILL", "SIGSEGV", "SIGABRT", "SIGTERM"):
            for trace in (None, "no-handoff"):
                with self.subTest(sig, trace=trace):
                    self.assert_cut(self.wrap(f"begin(); under_way(1); die(signal.{sig})", trace=trace), 1)
        self.assert_cut(self.wrap("in_child(lambda: (begin(), under_way(1), die(signal.SIGKILL)))"), 1)

    def test_a_fork_does_not_copy_calls(self):
        code = """
begin(); under_way(1)
assert in_child(lambda: die(signal.SIGKILL)) == 9 # it has no call
assert in_child(lambda: None) == 0
kept[0].close()
"""
        stderr, events = self.wrap(code, status=0)
        self.assertEqual((stderr, [e["error"] for e in events]), ("", ["client_gone"]))

    def test_several_threads_and_children(self):
        code = """
threads = [threading.Thread(target=begin) for i in range(5)]
[t.start() for t in threads]
[t.join() for t in threads]
pids = []
for i in range(20):
    pid = os.fork()
    if pid == 0:
        begin()
        time.sleep(60)
    pids.append(pid)
under_way(25)
[os.kill(p, signal.SIGKILL) for p in pids]
[os.waitpid(p, 0) for p in pids]
die(signal.SIGKILL)
"""
        self.assert_cut(self.wrap(code), 25)

    def test_exec(self):
        """Its event is written before: with all that is known of the call."""
        for how, trace in (("os.execv('/bin/true', ['true'])", None), ("os.execvp('true', ['true'])", "no-handoff"),
                           ("os.execve('/bin/true', ['true'], {})", None)):
            with self.subTest(how):
                stderr, events = self.wrap(f"begin(); under_way(1); {how}", status=0, trace=trace)
                self.assertEqual((stderr, [(e["event_type"], e["error"], e["verdict"]) for e in events]), ("", [("decision", "interrupted", "redact")]))
        stderr, events = self.wrap("begin(); under_way(1); os.execv('/bin/true', ['true'])", options=["--fail-on", "redact"])
        self.assertIn("1 of 1 LLM calls broke the rule", stderr)

    def test_exec_that_fails_and_exec_of_a_child(self):
        code = """
import subprocess
begin(); under_way(1)
for path in ("/nonexistent", "/etc/passwd"):
    try: os.execv(path, ["x"])
    except OSError as e: print(e.errno)
subprocess.run(["/bin/true"], check=True)
pid = os.posix_spawn("/bin/true", ["true"], os.environ)
assert os.waitpid(pid, 0)[1] == 0
assert in_child(lambda: os.execv("/bin/true", ["true"])) == 0
kept[0].close()
"""
        stderr, events = self.wrap(code, status=0)
        self.assertEqual((stderr, [e["error"] for e in events]), ("", ["client_gone"]))
        # One that is only known to fail behind it: the call goes on, and has a second event with what became of it.
        pathlib.Path(self.lab.tmp / "text").write_text("no program")
        pathlib.Path(self.lab.tmp / "text").chmod(0o755)
        code = "begin(); under_way(1)\ntry: os.execv('./text', ['x'])\nexcept OSError as e: assert e.errno == 8\nkept[0].close()"
        stderr, events = self.wrap(code, status=0)
        self.assertEqual((stderr, [e["error"] for e in events]), ("", ["interrupted", "client_gone"]))
        self.assertEqual(events[0]["id"], events[1]["id"])
        # ... and where it is then killed, too, that shows.
        code = code.replace("kept[0].close()", "die(signal.SIGKILL)")
        stderr, events = self.wrap(code)
        self.assertEqual([e["event_type"] for e in events], ["decision", "interrupted"])

    def test_left_behind_and_without_a_rule(self):
        """A process that outlives the run has no event yet; without --fail-on the status stays, and the event is written all the same."""
        code = """
r, w = os.pipe()
pid = os.fork()
if pid == 0:
    os.setsid(); os.dup2(os.open("/dev/null", os.O_RDWR), 1); os.dup2(1, 2)
    begin(); under_way(1); os.write(w, b"x"); time.sleep(60); os._exit(0)
os.read(r, 1)
open("pid", "w").write(str(pid))
"""
        report = self.lab.tmp / "out"
        stderr, events = self.wrap(code, options=["--fail-on", "block", "--report-dir", str(report)])
        self.assertIn("kt wrap: 1 LLM calls are still under way in processes that were left behind", stderr)
        self.assertEqual(events, [])
        self.assertIn("Of 1 more calls there is no event", (report / "report.md").read_text())
        self.assertNotIn("No ", (report / "report.md").read_text())  # call was made, call broke the rule
        self.assertIn('failures="1"', (report / "junit.xml").read_text())
        os.kill(int((self.lab.tmp / "pid").read_text()), signal.SIGKILL)
        stderr, events = self.wrap("begin(); under_way(1); die(signal.SIGKILL)", status=-9, options=())
        self.assertEqual(stderr, "")
        wait_for(lambda: [e["event_type"] for e in self.lab.events()] == ["interrupted"] * 2, what="the event of the one left behind, too")
        self.assertEqual(len({e["app"]["run"] for e in self.lab.events()}), 2)

    def test_runs_inside_of_runs(self):
        inner = [str(self.lab.kt), "wrap", "--policy-config", str(self.cfg), "--state-dir", str(self.lab.state), "--", PYTHON, "-c",
                 CHAT + "begin(); under_way(1); die(signal.SIGKILL)"]
        stderr, events = self.wrap(f"import subprocess; print(subprocess.run({inner!r}).returncode)", options=["--fail-on", "error"])
        self.assertEqual(len(events), 1)
        self.assertIn("1 of 1 LLM calls broke the rule: error 1", stderr)

    def test_half_close(self):
        """As `nc -N` and clients of HTTP/1.0 do: the answer is wanted. A close behind it cancels the call within 100 ms, like any other."""
        slow = self.lab.mock("slow", ["--fault", "delay_ms=400"])
        cfg = self.targets(slow)
        code = """
import os, socket, time
body = b'{"model":"m","messages":[{"role":"user","content":"hello"}]}'
def begin():
    s = socket.create_connection(("api.openai.com", 80), timeout=30)
    s.sendall(b"POST /v1/chat/completions HTTP/1.1\\r\\nHost: api.openai.com\\r\\nContent-Type: application/json\\r\\nContent-Length: %d\\r\\n\\r\\n" % len(body) + body)
    return s
s = begin()
s.shutdown(socket.SHUT_WR)
got = b""
while piece := s.recv(65536): got += piece
print(got.split(b"\\r\\n")[0].decode())
s = begin()
s.shutdown(socket.SHUT_WR)
time.sleep(0.1)
s.close()
time.sleep(0.1)
print(len([l for l in open(os.environ["LOG"]) if "client_gone" in l]), flush=True)
"""
        log = self.lab.state / "audit" / "current.jsonl"
        got = self.lab.run("wrap", cfg, [PYTHON, "-c", code], env={**KEY, "LOG": str(log)})
        self.assertEqual((got.stdout, got.stderr), ("HTTP/1.1 200 OK\n1\n", ""))
        self.assertEqual([e.get("error") for e in self.lab.events()], [None, "client_gone"])

    def test_bare_preload(self):
        """Nobody waits for its end: the next process that makes a call writes the event."""
        _, events = self.wrap("begin(); under_way(1); die(signal.SIGKILL)", status=-9, via="preload")
        self.assertEqual(events, [])
        _, events = self.wrap("begin(); under_way(1); kept[0].close()", status=0, via="preload")
        self.assertEqual(sorted(e["event_type"] for e in events), ["decision", "interrupted"])


if __name__ == "__main__":
    e2e.main()
