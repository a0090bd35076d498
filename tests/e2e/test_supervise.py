# SPDX-License-Identifier: Apache-2.0
"""The supervise lane: what the shim cannot see is captured by kt wrap itself."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "harness"))
import e2e  # noqa: E402
import net  # noqa: E402
import os  # noqa: E402
import shutil  # noqa: E402
import signal  # noqa: E402
import socket  # noqa: E402
import subprocess  # noqa: E402
import time  # noqa: E402
from ktlib import PYTHON, wait_for  # noqa: E402
from lost import KEY, Lost  # noqa: E402


class Supervise(Lost):
    def test_go_below_a_shell_finds_its_trust(self):
        self.captured(["sh", "-c", f"{self.go(0)}; exit $?"])

    def test_raw_connect(self):
        for mode in ("raw", "nb"):
            self.captured([self.c("dynamic"), mode])

    def test_shim_is_still_first(self):
        self.captured([self.c("dynamic"), "libc"], lane="divert")

    def test_lost_preload(self):
        self.captured([self.c("dynamic"), "exec"])

    def test_static_programs(self):
        for name, compiler, flags in (("static", "gcc", ["-static"]), ("static-pie", "gcc", ["-static-pie"]),
                                      ("musl", "musl-gcc", ["-static"])):
            for mode in ("libc", "nb"):
                with self.subTest(name=name, mode=mode):
                    self.captured([self.c(name, *flags, compiler=compiler), mode])

    # What the engine in the keeper cannot take: a program in a network namespace of its own reaches no listener of ours.

    def elsewhere(self, fail_mode, *options):
        server = self.lab.tmp / "server.py"
        server.write_text("""
import socket, subprocess, sys
s = socket.create_server(("127.0.0.1", 80))
p = subprocess.Popen(sys.argv[1:])
s.settimeout(0.1)
seen = "nobody"
while seen == "nobody" and p.poll() is None:
    try:
        c = s.accept()[0]
        seen = "origin %s" % (b"alice.jones" in c.recv(65536))
        c.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\nConnection: close\\r\\n\\r\\n")
        c.close()
    except socket.timeout:
        pass
p.wait()
print(seen)
""")
        mock = self.lab.mocks.get("up") or self.lab.mock("up")
        script = f"ip link set lo up && exec {PYTHON} {server} {self.c('static', '-static')} libc 2>&1"
        net.map_hosts(["api.openai.com"], str(self.lab.tmp))
        try:
            return self.lab.run("wrap", self.targets(mock), ["unshare", "-n", "sh", "-c", script], env=KEY, options=["--fail-mode", fail_mode, *options])
        finally:
            net.unmap_hosts()

    def test_fail_mode_decides_about_what_the_engine_cannot_take(self):
        result = self.elsewhere("allow")
        self.assertEqual((result.returncode, sorted(result.stdout.splitlines())), (0, ["origin True", '{"status": 200}']), result.stderr)
        self.assertEqual([(e["event_type"], e["verdict"], e["origin"]) for e in self.lab.events()], [("unseen", "allow", "api.openai.com")])

    def test_block_refuses_what_the_engine_cannot_take(self):
        for fail_mode, options in (("block", []), ("allow", ["--strict"])):
            known = len(self.lab.events())
            result = self.elsewhere(fail_mode, *options)
            self.assertEqual(sorted(result.stdout.splitlines()), ["connect: Connection refused", "nobody"])
            self.assertEqual([(e["event_type"], e["origin"]) for e in self.lab.events()[known:]], [("unseen", "api.openai.com")])
            self.assertRegex(self.lab.events()[-1]["app"]["exe"], "static")

    def test_unprivileged(self):
        """A user without any rights gets the whole lane: /etc/hosts, static programs, orphans."""
        mock = self.lab.mock("up")
        command = ["setpriv", "--no-new-privs", "--inh-caps=-all", "--bounding-set=-all", "--"]
        argv, env = self.lab.wrapped("wrap", self.targets(mock), [self.c("static", "-static"), "libc"], env=KEY)
        result = subprocess.run([*command, *argv], env=env, cwd=self.lab.tmp, capture_output=True, text=True, timeout=60)
        self.assertEqual((result.returncode, result.stdout, result.stderr), (0, '{"status": 200}\n', ""))
        self.assertEqual([(e["event_type"], e["lane"]) for e in self.lab.events()], [("decision", "supervise")])

    def test_numeric_address(self):
        mock = self.lab.mock("up")
        config = self.targets(mock, top='intercept: {hosts: [203.0.113.7, "api.openai.com"]}')
        result = self.lab.run("wrap", config, [self.c("static", "-static"), "ip", "203.0.113.7"], env=KEY)
        self.assertEqual((result.returncode, result.stdout, result.stderr), (0, '{"status": 200}\n', ""))
        self.assertEqual([e["lane"] for e in self.lab.events()], ["supervise"])

    def test_unknown_synthetic_address_is_refused(self):
        result = self.lab.run("wrap", self.targets(self.lab.mock("up")), [self.c("static", "-static"), "ip", "127.183.99.99"], env=KEY)
        self.assertEqual((result.returncode, result.stderr), (1, "connect: Connection refused\n"))

    def test_hosts_file_of_shim_and_of_others(self):
        """Programs that hold the shim read the real file."""
        result = self.lab.run("wrap", None, [PYTHON, "-c", "print(open('/etc/hosts').read(), end='')"])
        self.assertEqual(result.stdout, pathlib.Path("/etc/hosts").read_text())

    def test_no_supervise(self):
        result = self.lab.run("wrap", None, ["sh", "-c", "grep -c '^Seccomp:.*0' /proc/self/status"], options=["--no-supervise"])
        self.assertEqual(result.stdout, "1\n")

        both = self.lab.run("wrap", None, ["true"], options=["--no-supervise", "--strict"])
        self.assertEqual(both.returncode, 2)
        self.assertIn("--strict needs the supervisor", both.stderr)

    def test_nested_wrap_joins_the_outer(self):
        inner = [str(self.lab.kt), "wrap", "--state-dir", str(self.lab.state), "--policy-config", str(self.lab.tmp / "policy-config.yaml"), "--"]
        self.captured([*inner, self.c("static", "-static"), "libc"])

    def test_a_client_of_a_container_daemon_is_reported(self):
        """What its containers call is no child of ours. Once per run; the client goes on, and other sockets say nothing."""
        def serve(name):
            server = socket.socket(socket.AF_UNIX)
            server.bind(str(self.lab.tmp / name))
            server.listen()
            self.addCleanup(server.close)
            return str(self.lab.tmp / name)
        code = ("import socket, sys\nfor path in sys.argv[1:]:\n  for i in range(2): socket.socket(socket.AF_UNIX).connect(path)\nprint('connected')")
        docker, other = serve("docker.sock"), serve("other.sock")
        for paths, want in (([other], []), ([other, docker], [("unseen", "allow", None)])):
            known = len(self.lab.events())
            result = self.lab.run("wrap", self.targets(self.lab.mocks.get("up") or self.lab.mock("up")), [PYTHON, "-c", code, *paths], env=KEY)
            self.assertEqual((result.returncode, result.stdout, result.stderr), (0, "connected\n", ""))
            events = self.lab.events()[known:]
            self.assertEqual([(e["event_type"], e["verdict"], e.get("origin")) for e in events], want)
            self.assertTrue(all("container daemon" in e["message"] for e in events), events)

    def test_status_signals_and_output(self):
        for script, want in (("exit 7", 7), ("kill -TERM $$", -signal.SIGTERM), ("kill -SEGV $$", -signal.SIGSEGV)):
            self.assertEqual(self.lab.run("wrap", self.targets(self.lab.mocks.get("up") or self.lab.mock("up")), ["sh", "-c", script]).returncode, want)

    def test_orphans_stay_supervised_and_hold_nobody_up(self):
        mock = self.lab.mock("up")
        go = self.lab.tmp / "go"
        out = self.lab.tmp / "out"
        script = f"(while [ ! -e {go} ]; do sleep 0.05; done; {self.c('static', '-static')} libc >{out} 2>&1) >/dev/null 2>&1 </dev/null & exit 3"
        began = time.monotonic()
        result = self.lab.run("wrap", self.targets(mock), ["sh", "-c", script], env=KEY)
        self.assertEqual(result.returncode, 3)
        self.assertLess(time.monotonic() - began, 10)
        go.touch()
        wait_for(lambda: out.exists() and out.read_text(), what="the orphan's answer")
        self.assertEqual(out.read_text(), '{"status": 200}\n')
        self.assertEqual(len(mock.requests()), 1)
        wait_for(lambda: not list(self.lab.runtime.rglob("*.key")), what="the keeper's end")

    def test_stop_and_continue(self):
        argv, env = self.lab.wrapped("wrap", None, ["sh", "-c", "kill -STOP $$; echo on"])
        proc = subprocess.Popen(argv, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=self.lab.tmp)
        state = lambda: pathlib.Path(f"/proc/{proc.pid}/stat").read_text().rsplit(")", 1)[1].split()[0]  # noqa: E731
        wait_for(lambda: state() == "T", what="kt to stop with its program")
        proc.send_signal(signal.SIGCONT)
        self.assertEqual(proc.communicate(timeout=20)[0], "on\n")
        self.assertEqual(proc.returncode, 0)

    def test_many_processes_that_connect_and_die(self):
        """Notifications of processes that are killed while they wait must not harm the next ones."""
        self.lab.mock("up")
        code = """
import os, signal, socket, subprocess, sys
for i in range(60):
    p = os.fork()
    if p == 0:
        s = socket.socket()
        try: s.connect(("127.0.0.1", 1))
        except OSError: pass
        os._exit(0)
    if i % 3 == 0: os.kill(p, signal.SIGKILL)
    os.waitpid(p, 0)
r = subprocess.run(sys.argv[1:], capture_output=True, text=True)
sys.stdout.write(r.stdout); sys.stderr.write(r.stderr); sys.exit(r.returncode)
"""
        self.captured([PYTHON, "-c", code, self.c("static", "-static"), "libc"])

    def test_numeric_address_by_who_holds_the_shim_and_calls_past_it(self):
        """It has libkt.so mapped, yet makes its connects itself: only connects that the shim means go on."""
        self.origin(80)
        mock = self.lab.mock("up")
        config = self.targets(mock, top="intercept: {hosts: [203.0.113.7]}")
        runs = [([self.c("dynamic"), "raw", "203.0.113.7"], {}), ([self.go(1)], {"KT_TEST_URL": "http://203.0.113.7/v1/chat/completions"})]
        for options in ([], ["--strict"], ["--mode", "observe"], ["--mode", "observe", "--strict"]):
            for command, env in runs:
                with self.subTest(command=command, options=options):
                    known = len(self.lab.events())
                    result = self.lab.run("wrap", config, command, env={**KEY, **env}, options=options)
                    self.assertEqual(result.returncode, 0, result.stderr)
                    self.assertEqual([(e["event_type"], e["lane"]) for e in self.lab.events()[known:]], [("decision", "supervise")])
        self.assertEqual(len(self.got), 4)  # in observe mode kt itself calls the origin
        known = len(self.lab.events())
        libc = self.lab.run("wrap", config, [self.c("dynamic"), "libc", "203.0.113.7"], env=KEY, options=["--mode", "observe", "--strict"])
        self.assertEqual(libc.returncode, 0, libc.stderr)
        self.assertEqual([e["lane"] for e in self.lab.events()[known:]], ["tap"])  # the shim's own connect still goes on

    def test_an_address_as_long_as_a_unix_one(self):
        self.origin(80)
        config = self.targets(self.lab.mock("up"), top="intercept: {hosts: [203.0.113.7]}")
        result = self.lab.run("wrap", config, [self.c("static", "-static"), "long", "203.0.113.7"], env=KEY)
        self.assertEqual((result.returncode, result.stdout), (0, '{"status": 200}\n'), result.stderr)
        self.assertEqual([(e["event_type"], e["lane"]) for e in self.lab.events()], [("decision", "supervise")])
        self.assertEqual(self.got, [])

    def test_plain_programs_pay_little(self):
        """The budget is 300 us for a short process. The figure is printed, not asserted: a busy machine pays for the change of process."""
        count = 400
        script = ["sh", "-c", f"i=0; while [ $i -lt {count} ]; do {shutil.which('true')}; i=$((i+1)); done"]
        best = {}
        for _ in range(3):
            for via, options in (("off", ["--no-supervise"]), ("on", [])):
                began = time.monotonic()
                self.assertEqual(self.lab.run("wrap", None, script, options=options).returncode, 0)
                best[via] = min(best.get(via, 1e9), time.monotonic() - began)
        added = (best["on"] - best["off"]) / count * 1e6
        print(f"supervision adds {added:.0f} us per short process", flush=True)
        names = {p.name for p in self.lab.state.rglob("*") if p.is_file()}
        self.assertTrue(all("kt.log" not in n for n in names), names)


if __name__ == "__main__":
    e2e.main()
