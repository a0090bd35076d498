# SPDX-License-Identifier: Apache-2.0
"""OpenSSL in its rarer uses, and programs in rarer surroundings: what they print, and how they end, is what it is without us; and every call has its event."""
import pathlib
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "harness"))
import e2e  # noqa: E402
import net  # noqa: E402
from ktlib import PYTHON, ROOT, wait_for  # noqa: E402

WAYS = "plain et oneshot rdhup high-select large-pieces large-at-once no-retry two-fds memory pair"
LIVES = "resumed early keylogged alpn own-verify peer shut-twice freed closed-early reused"
SLEEPS = "jumped-read jumped-connect cancelled killed time-limits"
HOSTS = "waits handlers fixed-fds close-loop numbers not-dumpable vforks"
CALLS = {"waits": 2, "fixed-fds": 4, "close-loop": 4, "vforks": 10, "resumed": 2, "early": 3, "freed": 21, "reused": 72, "jumped-read": 2, "cancelled": 2, "fork-frees": 3, "fork-calls": 6,
         "late-mask": 3, "late-interrupt": 3, "late-sigset": 3, "jumped-poll": 2, "cancelled-poll": 2, "new-keys": 5, "farewells": 8, "referred": 2, "cramped": 2}


class OddClients(e2e.KtTest):
    def setUp(self):
        super().setUp()
        self.parts = [*map(str, (ROOT / "tests/clients").glob("odd_ssl_*.c")), "-pthread", "-lssl", "-lcrypto"]
        self.program = self.compiled("odd_ssl", "odd_ssl.c", *self.parts)

    def origin(self, *faults):
        more = [a for f in faults for a in ("--fault", f)]
        near = self.lab.mock("near", ["--dialect", "openai", *more], origin="api.openai.com")
        self.cfg = self.targets(self.lab.mock("up", more))
        self.env = {"MISTRAL_API_KEY": "target-key-0001", "SSL_CERT_FILE": str(near.ca)}
        net.map_hosts(["api.openai.com"], self.lab.tmp)
        self.addCleanup(net.unmap_hosts)

    def same(self, steps, lanes=("handoff", "divert", "tap"), before=(), kinds=None):
        """In each lane as without us. `kinds` where not each call is a decision."""
        command = [*before, str(self.program), *steps.split()]
        alone = self.lab.run("none", None, command, env=self.env)
        self.assertEqual(alone.returncode, 0, alone.stdout + alone.stderr)
        for lane in lanes:
            with self.subTest(steps, lane=lane):
                known = len(self.lab.events())
                got = self.lab.run("wrap", self.cfg, command, env=self.env, options=("--mode", "observe") if lane in ("tap", "unseen") else (),
                                   trace="no-handoff" if lane == "divert" else None)
                self.assertEqual((got.returncode, got.stdout, got.stderr), (alone.returncode, alone.stdout, alone.stderr))
                found = [(e["event_type"], e.get("lane")) for e in self.lab.events()[known:]]
                self.assertEqual(found, kinds or [("decision", lane)] * sum(CALLS.get(s, 1) for s in steps.split()))
        return alone.stdout

    def test_surroundings(self):
        """Little stack, memory and fds, other allocators' ways, tracers, terminals, and several at a time."""
        self.origin()
        p, sh = str(self.program), lambda text: ["sh", "-c", text]
        rows = [sh(f"ulimit -s 64; exec {p} plain plain"), sh(f"ulimit -s 24; exec {p} plain plain"), ["env", "MALLOC_PERTURB_=165", p, "plain"],
                ["env", "GLIBC_TUNABLES=glibc.malloc.check=3", "LD_BIND_NOW=1", p, "plain"], ["prlimit", "--nofile=20", p, "plain", "plain"],
                ["prlimit", "--as=104857600", p, "plain"], ["prlimit", "--nproc=1", p, "plain"], ["strace", "-f", "-o", "/dev/null", p, "plain"],
                ["script", "-qec", f"{p} plain", "/dev/null"], ["timeout", "50", "nohup", p, "plain"], ["/lib64/ld-linux-x86-64.so.2", p, "plain"],
                sh(f"printf 'plain\\nplain\\nplain\\nplain\\n' | xargs -P4 -n1 {p}"), sh(f"printf 'all: a b c\\na b c:\\n\\t@{p} plain\\n' | make -s -j3 -f -"),
                sh(f"mkdir -p gone; cd gone; rmdir ../gone; umask 777; exec {p} plain"), sh(f"trap '' PIPE CHLD USR1; exec {p} plain <&- 2>&-")]
        # The first call of a process by a thread with 16 KiB (64 are what it keeps there itself).
        rows.append(["env", "LITTLE=80", p, "little"])
        for command in rows:
            if not shutil.which(command[0]):
                continue
            alone = self.lab.run("none", None, command, env=self.env)
            self.assertRegex(alone.stdout, "(?m)^(plain|little) 200\r?$", alone.stderr)
            for via in ("wrap", "preload"):
                with self.subTest(command, via=via):
                    known = len(self.lab.events())
                    got = self.lab.run(via, self.cfg, command, env=self.env)
                    self.assertEqual((got.returncode, got.stdout, got.stderr), (alone.returncode, alone.stdout, alone.stderr))
                    self.assertEqual([e["event_type"] for e in self.lab.events()[known:]], ["decision"] * alone.stdout.count(" 200"))

    def test_fork_handlers_that_are_older_than_ours(self):
        """A library registers them at its start; an allocator's must stay inside of ours all the same."""
        self.origin()
        self.assertEqual(self.same("fork-frees"), "fork-frees 200\n")
        self.assertEqual(self.same("fork-calls"), "fork-calls 202\n")
        allocator = [str(ROOT / "tests/clients/own_malloc.c"), "-DFORK_HANDLERS", "-fno-builtin"]
        own = self.compiled("own_malloc_fork.so", "own_malloc.c", "-shared", "-fPIC", *allocator[1:])
        inside = self.compiled("odd_ssl_own", "odd_ssl.c", *self.parts, *allocator)
        for command, calls in (([f"LD_PRELOAD={own}:{self.lab.libkt}", str(self.program), "fork-calls"], 6), ([str(inside), "fork-frees"], 3)):
            with self.subTest(command):
                known = len(self.lab.events())
                got = self.lab.run("wrap", self.cfg, ["env", *command], env=self.env)
                self.assertEqual((got.returncode, got.stdout, got.stderr), (0, f"{command[-1]} {202 if calls == 6 else 200}\n", ""))
                self.assertEqual([e["event_type"] for e in self.lab.events()[known:]], ["decision"] * calls)

    def test_ways_to_wait_and_to_carry(self):
        self.origin()
        self.assertEqual(self.same(WAYS).count(" 200\n"), len(WAYS.split()))

    def test_a_bio_that_does_it_all(self):
        """BIO_write is no SSL_write: no hook sees it, and where only is observed that is said."""
        self.origin()
        self.same("bio-connect", ["divert"])
        self.same("bio-connect", ["unseen"], kinds=[("unseen", None)])

    def test_what_goes_past_one_session_is_not_hidden_by_another(self):
        """BIO_write again, beside a session that hooks see, and behind what they saw of the same one; however it ends."""
        self.origin()
        seen, unseen = ("decision", "tap"), ("unseen", None)
        for step, kinds in (("bio-alone", [unseen]), ("bio-beside", [seen, unseen]), ("bio-behind", [seen, unseen]), ("bio-freed", [seen, unseen]),
                            ("bio-open", [seen, unseen])):
            self.same(step, ["unseen"], kinds=kinds)
        self.same("bio-alone", ["divert"])

    def test_a_session_of_several_references(self):
        self.origin()
        self.assertEqual(self.same("referred"), "referred 200\n")

    def test_little_stack_and_no_thread_to_be_had(self):
        """A session that began where there was enough: what comes next goes on, on a stack that is kept for that."""
        self.origin()
        self.assertEqual(self.same("cramped"), "cramped 200\n")

    def test_lives_of_a_connection(self):
        self.origin()
        said = self.same(LIVES)
        self.assertIn("alpn: http/1.1\n", said)
        self.assertIn("reused 72\n", said)

    def test_connected_before_a_fork(self):
        self.origin()
        self.assertEqual(self.same("after-fork", ["divert", "tap"]), "after-fork 7\n")

    def test_ktls_is_not_to_be_had(self):
        """Its connection was of no use, which looks like distrust."""
        self.origin()
        self.same("sendfile", ["handoff"], kinds=[("client_distrusts", None), ("decision", "handoff")])

    def test_children_handlers_and_fds(self):
        self.origin()
        for step in HOSTS.split():
            self.assertIn(f"{step} 200\n", self.same(step))

    def test_a_daemon_of_a_daemon(self):
        self.origin()
        command = [str(self.program), "daemon-twice"]
        for via, options in (("wrap", ()), ("preload", ()), ("wrap", ("--mode", "observe"))):
            with self.subTest(via, options=options):
                known = len(self.lab.events())
                got = self.lab.run(via, self.cfg, command, env=self.env, options=options)
                self.assertEqual((got.returncode, got.stdout, got.stderr), (0, "daemon-twice 200\n", ""))
                wait_for(lambda: [e["event_type"] for e in self.lab.events()[known:]] == ["decision"] * 2, what="the daemon's event")

    def test_calls_around_main(self):
        """By a constructor, and by a handler of exit."""
        self.origin()
        command = ["env", "AROUND_MAIN=1", str(self.program), "plain"]
        for via, options in (("none", ()), ("wrap", ()), ("preload", ()), ("wrap", ("--mode", "observe"))):
            with self.subTest(via, options=options):
                known = len(self.lab.events())
                got = self.lab.run(via, self.cfg, command, env=self.env, options=options)
                self.assertEqual((got.returncode, got.stdout, got.stderr), (0, "before main 200\nplain 200\nbehind main 200\n", ""))
                self.assertEqual([e["event_type"] for e in self.lab.events()[known:]], ["decision"] * (0 if via == "none" else 3))

    def test_main_leaves_by_pthread_exit(self):
        """Before the first call, whose thread finds /proc/self empty, and behind the last: the process ends with its last thread."""
        self.origin()
        for leaves in ("first", "last"):
            said = self.same("plain plain", before=["env", f"MAIN_LEAVES={leaves}"])
            self.assertEqual(said, "plain 200\nplain 200\nbye\n")

    def test_a_library_that_is_closed(self):
        """With the OpenSSL that came with it."""
        self.origin()
        library = self.compiled("odd_ssl.so", "odd_ssl.c", "-shared", "-fPIC", *self.parts)
        code = f"""
import ctypes, _ctypes
for i in range(8):
    lib = ctypes.CDLL({str(library)!r})
    print(lib.odd_call())
    _ctypes.dlclose(lib._handle)
"""
        for via, options in (("none", ()), ("wrap", ()), ("preload", ()), ("wrap", ("--mode", "observe"))):
            with self.subTest(via, options=options):
                known = len(self.lab.events())
                got = self.lab.run(via, self.cfg, [PYTHON, "-c", code], env=self.env, options=options)
                self.assertEqual((got.returncode, got.stdout, got.stderr), (0, "200\n" * 8, ""))
                self.assertEqual([e["event_type"] for e in self.lab.events()[known:]], ["decision"] * (0 if via == "none" else 8))

    def test_what_happens_in_its_sleep(self):
        self.origin("delay_ms=300")
        self.same(SLEEPS)

    def test_what_stands_in_front_of_openssl(self):
        """It is asked as without us, where its place allows; only what is handed off it cannot see from behind us."""
        self.origin()
        front = self.compiled("front.so", "front.c", "-shared", "-fPIC")
        program = self.compiled("odd_ssl_front", "odd_ssl.c", *self.parts, str(ROOT / "tests/clients/front.c"))
        lib = str(self.lab.libkt)
        rows = [(f"{front}:{lib}", self.program, 1), (f"{lib}:{front}", self.program, 0), (lib, program, 1)]
        for preload, command, writes in rows:
            for options, lane in (((), "handoff"), (("--mode", "observe"), "tap")):
                with self.subTest(preload, lane=lane):
                    known = len(self.lab.events())
                    got = self.lab.run("wrap", self.cfg, ["env", f"LD_PRELOAD={preload}", str(command), "plain"], env=self.env, options=options)
                    seen = f"plain 200\nconnect 1 write {1 if lane == 'tap' else writes} free 1\n"
                    self.assertEqual((got.returncode, got.stdout, got.stderr), (0, seen, ""))
                    self.assertEqual([(e["event_type"], e["lane"]) for e in self.lab.events()[known:]], [("decision", lane)])

    def test_handlers_that_differ_from_now_on(self):
        """Of a thread that has slept in our place before."""
        self.origin("delay_ms=200")
        for step in ("late-mask", "late-interrupt", "late-sigset"):
            self.assertEqual(self.same(step, ["handoff"]), f"{step} 201\n")

    def test_who_waits_behind_a_reader_that_went_away(self):
        self.origin("delay_ms=300")
        self.assertEqual(self.same("jumped-poll cancelled-poll", ["handoff"]), "jumped-poll 200\ncancelled-poll 200\n")

    def test_new_keys_and_farewells(self):
        """What is no data of the program's, but said between it."""
        self.origin()
        self.assertEqual(self.same("new-keys farewells"), "new-keys 200\nfarewells 200\n")


if __name__ == "__main__":
    e2e.main()
