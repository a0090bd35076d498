# SPDX-License-Identifier: Apache-2.0
"""Programs that begin as root and go on as somebody else, as daemons do. Needs root, and more users than the namespace of other tests has."""
import os
import pathlib
import subprocess
import sys
import unittest

if os.environ.get("KT_TEST_ISOLATED") != "1" and os.geteuid() == 0 and subprocess.run(["unshare", "-nm", "true"], stderr=subprocess.DEVNULL).returncode == 0:
    os.environ["KT_TEST_ISOLATED"] = "1"
    os.execvp("unshare", ["unshare", "-nm", sys.executable, *sys.argv])
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "harness"))
import e2e  # noqa: E402
import net  # noqa: E402
from ktlib import PYTHON  # noqa: E402

CODE = r"""
import http.client, json, os, sys
def call():
    c = http.client.HTTPConnection("api.openai.com", 80, timeout=20)
    try:
        c.request("POST", "/v1/chat/completions", json.dumps({"model": "m", "messages": [{"role": "user", "content": "hello"}]}), {"Content-Type": "application/json"})
        return c.getresponse().status
    except OSError as e:
        return type(e).__name__
def drop():
    os.setgroups([])
    os.setresgid(65534, 65534, 65534)
    os.setresuid(65534, 65534, 65534)
def fork(fn, *more):
    pid = os.fork()
    if pid == 0:
        fn(*more)
        os._exit(0)
    os.waitpid(pid, 0)
def both(steps):
    children = []
    for _ in range(2):
        pid = os.fork()
        if pid == 0:
            do(steps)
            os._exit(0)
        children.append(pid)
    for pid in children: os.waitpid(pid, 0)
def do(steps):
    for i, s in enumerate(steps):
        if s == "call": os.write(1, b"%s\n" % str(call()).encode())
        elif s == "drop": drop()
        elif s == "fork": return fork(do, steps[i + 1:])
        elif s == "twice": return both(steps[i + 1:])
        elif s == "exec": os.execv(sys.executable, [sys.executable, *sys.argv[:1], *steps[i + 1:]])
do(sys.argv[1:])
"""


def many_users():
    """Not so in the user namespace of other tests, where the user is its only one."""
    with open("/proc/self/uid_map", encoding="ascii") as f:
        return any(int(line.split()[2]) > 65534 for line in f)


@unittest.skipUnless(os.geteuid() == 0 and many_users() and os.environ.get("KT_TEST_ISOLATED") == "1", "only root can become another user")
class DroppedRights(e2e.KtTest):
    def setUp(self):
        super().setUp()
        tmp = self.lab.tmp
        self.install_for_others()
        self.cfg = self.targets(self.lab.mock("up"))
        self.lab.mock("near", ["--dialect", "openai"], tls=False, origin="api.openai.com")
        net.map_hosts(["api.openai.com"], tmp)
        (tmp / "hosts").chmod(0o644)
        self.addCleanup(net.unmap_hosts)
        self.script = tmp / "program.py"
        self.script.write_text(CODE)

    def steps(self, steps, via="wrap", options=(), status=0):
        known = len(self.lab.events())
        got = self.lab.run(via, self.cfg, [PYTHON, str(self.script), *steps.split()], env={"MISTRAL_API_KEY": "k"}, options=options)
        self.assertEqual((got.returncode, got.stderr if not status else ""), (status, ""))
        return got.stdout.split(), self.lab.events()[known:]

    def test_calls_go_on_with_their_events(self):
        """The log stays open for the program, its workers, and their children."""
        for via, options in (("wrap", ()), ("preload", ()), ("wrap", ("--mode", "observe", "--fail-on", "unseen"))):
            for steps, calls, by_root in (("call drop call", 2, 1), ("drop call", 1, 0), ("fork drop call", 1, 0), ("call drop fork call", 2, 1),
                                          ("call twice drop call call", 5, 1), ("drop call twice call", 3, 0)):
                with self.subTest(steps, via=via, options=options):
                    said, events = self.steps(steps, via, options)
                    self.assertEqual(said, ["200"] * calls)
                    self.assertEqual([e["event_type"] for e in events], ["decision"] * calls)
                    if "observe" not in options:  # there the event comes behind the answer, and may find the later user
                        self.assertEqual([e["app"]["uid"] for e in events], [0] * by_root + [65534] * (calls - by_root))
        self.assert_audit_ok()

    def test_a_folder_that_is_new(self):
        """Also where its name ends in a slash."""
        for name in ("new", "new-too/"):
            said = self.lab.run("preload", self.cfg, ["env", f"KT_STATE_DIR={self.lab.tmp}/{name}", PYTHON, str(self.script), "drop", "call"],
                                env={"MISTRAL_API_KEY": "k"})
            self.assertEqual((said.stdout.split(), said.stderr), (["200"], ""), name)

    def test_workers_share_one_open_log(self):
        """All of them have the same open file: a lock of the file would be one for all."""
        said, events = self.steps("drop " + "twice " * 4 + "call call call call")
        self.assertEqual((said, len(events)), (["200"] * 64, 64))
        self.assert_audit_ok()

    def test_another_program_behind_it_is_reported(self):
        """The open files end there. Its calls are refused, or let through where only observed; the supervisor writes the event."""
        for options, said, verdict in (((), "503", "block"), (("--fail-mode", "allow"), "200", "allow"), (("--mode", "observe"), "200", "allow")):
            with self.subTest(options):
                words, events = self.steps("drop exec call call", options=(*options, "--fail-on", "unseen"), status=1)
                self.assertEqual(words, [said] * 2)
                self.assertEqual([(e["event_type"], e["verdict"], e["reason_code"]) for e in events], [("unseen", verdict, "not_captured")])
                self.assertRegex(events[0]["message"], r"process \d+ \(user 65534\) may not write the audit log")

    def test_one_that_only_drops_its_rights_leaves_the_log_to_the_later_user(self):
        """As su does: a folder of root's in the user's would lock the user out, from then on."""
        self.cfg.chmod(0o644)
        for file in self.lab.tmp.rglob("*.pem"):
            file.chmod(0o644)
        drop = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        for there in (True, False):
            home = self.lab.tmp / f"home{there}"
            self.lab.state = home / "kt"
            for folder in (home, self.lab.state)[:1 + there]:
                folder.mkdir(mode=0o700)
                os.chown(folder, 65534, 65534)
            for program in (["/bin/true"], [PYTHON, str(self.script), "call"], ["/bin/true"], [PYTHON, str(self.script), "call"]):
                with self.subTest(program, there=there):
                    got = self.lab.run("preload", self.cfg, [*drop, *program], env={"MISTRAL_API_KEY": "k"})
                    self.assertEqual((got.returncode, got.stdout, got.stderr), (0, "200\n" if program[1:] else "", ""))
            self.assertEqual([(e["event_type"], e["app"]["uid"]) for e in self.lab.events()], [("decision", 65534)] * 2)
            self.assertEqual({p.stat().st_uid for p in (self.lab.state, *self.lab.state.rglob("*"))}, {65534})

    def test_a_log_that_is_full_goes_on(self):
        """It can begin no new file; others do, later."""
        self.cfg.write_text(self.cfg.read_text() + "audit: {max_file_bytes: 65536}\n")
        said, events = self.steps("drop " + "call " * 60)
        self.assertEqual((said, len(events)), (["200"] * 60, 60))
        rotated = lambda: len(list((self.lab.state / "audit").glob("*-*.jsonl")))
        self.assertGreater((self.lab.state / "audit/current.jsonl").stat().st_size, 65536)
        self.assertEqual(rotated(), 0)
        self.steps("call")
        self.assertEqual(rotated(), 1)
        self.assert_audit_ok()

    def test_a_log_that_was_put_aside_does_not_grow(self):
        """Others have begun a new one, which this program cannot open: it must not write into the old one."""
        self.cfg.write_text(self.cfg.read_text() + "audit: {max_file_bytes: 65536}\n")
        code = f"""
exec(open({str(self.script)!r}).read().split("do(sys.argv")[0])
drop(); print(call(), flush=True); sys.stdin.readline(); print(call(), call(), flush=True)
"""
        argv, env = self.lab.wrapped("preload", self.cfg, [PYTHON, "-c", code], env={"MISTRAL_API_KEY": "k"})
        with subprocess.Popen(argv, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as p:
            self.assertEqual(p.stdout.readline(), "200\n")
            self.steps("call " * 60)
            self.assertGreater(len(list((self.lab.state / "audit").glob("*-*.jsonl"))), 0)
            self.assertEqual(p.communicate("\n")[0], "503 503\n")
        self.assert_audit_ok()


if __name__ == "__main__":
    e2e.main()
