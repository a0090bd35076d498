# SPDX-License-Identifier: Apache-2.0
"""Programs that do odd things to themselves: their calls go on, and nothing of ours reaches them."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "harness"))
import e2e  # noqa: E402
import net  # noqa: E402

KEY = {"MISTRAL_API_KEY": "target-key-0001"}


class OddHosts(e2e.KtTest):
    def setUp(self):
        super().setUp()
        self.program = self.compiled("odd_host", "odd_host.c", "-pthread")
        self.cfg = self.targets(self.lab.mock("up"))

    def steps(self, steps, via="wrap", options=(), status=0, trace=None):
        known = len(self.lab.events())
        got = self.lab.run(via, self.cfg, [str(self.program), *steps.split()], env=KEY, options=options, trace=trace)
        self.assertEqual(got.returncode, status, got.stdout + got.stderr)
        return got.stdout.splitlines(), self.lab.events()[known:]

    def test_a_thread_cancelled_in_its_first_call(self):
        for via in ("preload", "wrap"):
            with self.subTest(via):
                said, events = self.steps("cancelled call call", via=via)
                self.assertEqual(said, ["cancelled 0", "call 200", "call 200"])
                self.assertEqual(len(events), 2)

    def test_no_file_may_grow(self):
        """The signals that our own writes raise are not the program's, with a handler or without."""
        self.assertEqual(self.steps("file-size call call")[0], ["file-size 0", "call 503", "call 503"])
        for via in ("wrap", "preload"):
            with self.subTest(via):
                self.assertEqual(self.steps("catch file-size call call caught", via=via)[0], ["file-size 0", "call 503", "call 503", "caught 0"])

    def test_no_file_may_grow_and_nothing_leaves(self):
        """Nor does a call whose event nobody could write; `kt wrap --fail-on` knows of it."""
        for options, status, sent in (((), 0, 0), (("--fail-on", "unseen"), 1, 0), (("--fail-mode", "allow", "--fail-on", "unseen"), 1, 1)):
            known = len(self.lab.mocks["up"].requests())
            got = self.lab.run("wrap", self.cfg, [str(self.program), "file-size", "call"], env=KEY, options=options)
            self.assertEqual((got.stdout.splitlines()[-1], got.returncode), ("call 200" if sent else "call 503", status), got.stderr)
            self.assertEqual(len(self.lab.mocks["up"].requests()) - known, sent)
            self.assertEqual("1 audit events could not be written" in got.stderr, status == 1, got.stderr)

    def test_no_fd_is_left(self):
        """No event can be had, but a line: observed, the call passes."""
        self.origin()
        for options, said in (((), "call -111"), (("--fail-mode", "allow"), "call 200"), (("--mode", "observe"), "call 200")):
            with self.subTest(options):
                log = self.lab.state / "kt.log"
                known = len(log.read_text()) if log.exists() else 0
                self.assertEqual(self.steps("no-fds call", options=options)[0], ["no-fds 0", said])
                self.assertIn("no audit log can be written", log.read_text()[known:])

    def test_low_numbers_are_the_programs(self):
        want = ["call 200", "fd 3", "fd 4", "fd 5"] * 2
        closed = ["std -9"] * 3
        self.origin()
        for via, options in (("wrap", ()), ("preload", ()), ("wrap", ("--mode", "observe"))):
            with self.subTest(via, options=options):
                self.assertEqual(self.steps("call fds call fds", via=via, options=options)[0], want)
                self.assertEqual(self.steps("no-std call std call std", via=via, options=options)[0], ["call 200", *closed] * 2)

    def origin(self):
        self.lab.mock("near", ["--dialect", "openai"], tls=False, origin="api.openai.com")
        net.map_hosts(["api.openai.com"], self.lab.tmp)
        self.addCleanup(net.unmap_hosts)

    def test_rights_given_up_by_a_child_that_shares_memory(self):
        """What is opened for it there is not the parent's."""
        self.assertEqual(self.steps("vfork high call vfork high call")[0], ["vfork 0", "left 0", "call 200"] * 2)

    def test_quick_exit(self):
        """Runs no handler of exit; what was just read along has its event."""
        self.origin()
        for _ in range(5):
            said, events = self.steps("call call quick", options=("--mode", "observe"), status=7)
            self.assertEqual((said, len(events)), (["call 200"] * 2, 2))

    def test_bare_exit(self):
        """The system call alone: what has no event yet left its mark."""
        self.origin()
        for _ in range(5):
            said, events = self.steps("call call raw-exit", options=("--mode", "observe"), status=7)
            self.assertEqual(said, ["call 200"] * 2)
            self.assertIn(len(events), (2, 3), events)  # it may end between an event and the end of its mark
            self.assertLessEqual({e["event_type"] for e in events}, {"decision", "interrupted"})

    def test_children_that_no_hook_sees(self):
        """The engine cannot work in them: `kt wrap` takes their calls, else they follow fail_mode, and the next process writes the event."""
        for how in ("_Fork", "clone3"):
            with self.subTest(how):
                said, events = self.steps(f"call {how} call")
                self.assertEqual(said, ["call 200", "child 200", "ended 5", "call 200"])
                self.assertEqual([e["event_type"] for e in events], ["decision"] * 3)
                said, events = self.steps(f"call {how} call", via="preload")
                self.assertEqual(said, ["call 200", "child -111", "ended 5", "call 200"])
                self.assertEqual(len(events), 2)
                self.assert_unseen_later()

    def test_children_that_no_hook_sees_are_let_through_where_only_observed(self):
        """They have no trust in the supervisor's certificates: it must not take their calls."""
        self.origin()
        said, events = self.steps("call _Fork call", options=("--mode", "observe"))
        self.assertEqual(said, ["call 200", "child 200", "ended 5", "call 200"])
        self.assertEqual(sorted(e["event_type"] for e in events), ["decision", "decision", "unseen"])

    def assert_unseen_later(self):
        _, events = self.steps("call", via="preload")
        self.assertEqual(sorted(e["event_type"] for e in events), ["decision", "unseen"])
        self.assertEqual([(e["origin"], e["reason_code"]) for e in events if e["event_type"] == "unseen"], [("api.openai.com:80", "not_captured")])

    def test_a_table_of_fds_of_its_own(self):
        self.origin()
        for how in ("unshare", "raw-unshare", "close_range"):
            for via, options in (("wrap", ()), ("preload", ()), ("wrap", ("--mode", "observe"))):
                with self.subTest(how, via=via, options=options):
                    said, events = self.steps(f"call {how} call {how} call", via=via, options=options)
                    self.assertEqual(said, ["call 200", f"{how} 0"] * 2 + ["call 200"])
                    self.assertEqual([e["event_type"] for e in events], ["decision"] * 3)

    def test_a_table_of_fds_of_one_thread(self):
        for how in ("unshare", "raw-unshare"):
            said, events = self.steps(f"thread call {how} call")
            self.assertEqual((said, [e["lane"] for e in events]), (["thread 0", "call 200", f"{how} 0", "call 200"], ["divert", "supervise"]))
        said, events = self.steps("thread call unshare call", via="preload")
        self.assertEqual((said, len(events)), (["thread 0", "call 200", "unshare 0", "call -111"], 1))
        self.assert_unseen_later()

    def test_what_only_programs_of_one_thread_may_do(self):
        """Namespaces, behind a call: the engine's thread is none of the program's."""
        self.origin()
        alone = self.lab.run("none", None, [str(self.program), "set-ns", "user-ns"]).stdout.splitlines()
        for via, options in (("wrap", ()), ("preload", ()), ("wrap", ("--mode", "observe"))):
            with self.subTest(via, options=options):
                said, events = self.steps("call set-ns call user-ns", via=via, options=options)
                self.assertEqual(said, ["call 200", alone[0], "call 200", alone[1]])
                self.assertEqual([e["event_type"] for e in events], ["decision"] * 2)


if __name__ == "__main__":
    e2e.main()
