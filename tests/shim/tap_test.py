# SPDX-License-Identifier: Apache-2.0
"""The tap lane of the shim: what is copied of plain sockets, and that nothing is altered."""
import os

from kt_harness import ShimTest, main

PLAN = """mode observe
fail_mode block
host 127.183.0.1 api.openai.com
host 127.183.0.2 127.0.0.1
"""


class Tap(ShimTest):
    def tapped(self, *args, **more):
        """(what the program says, port, what the engine got)."""
        out = self.host("tap", *args, KT_PLAN=self.current_plan(PLAN), KT_FAKE_TAP="1", **more)
        return out[1:], out[0].split()[1], [e for e in self.events() if not e.startswith(("start", "fork_"))]

    def test_every_way_of_writing_is_copied_once(self):
        out, port, got = self.tapped("writes")
        self.assertEqual(got[:6], [f"tap_open 127.0.0.1 {port} 0", "tap_data 1 0 5 write", "tap_data 1 0 4 send", "tap_data 1 0 6 sendto",
                                   "tap_data 1 0 3 wri", "tap_data 1 0 3 tev"])
        self.assertEqual([g for g in got[6:] if g != "tap_data 1 0 0 "], ["tap_data 1 0 4 send", "tap_data 1 0 3 msg"])
        self.assertEqual(out, ["bad -1 1"])

    def test_every_way_of_reading_is_copied_once_and_a_peek_is_not(self):
        out, port, got = self.tapped("reads")
        copied = [g.split(" ", 4)[4] for g in got if g.startswith("tap_data 1 1 ")]
        self.assertEqual("".join(copied), "readrecvrecvfromreadvrecvmsg_read_recv_recvfro")
        self.assertEqual(got[-1], "tap_close 1", "the peer has ended")
        self.assertEqual(out, ["4 0 4 0 8 0 5 0 7 0 5 0 5 0 8 0 end 0"], "counts and errno are the kernel's")

    def test_rarer_ways_of_writing_and_reading_are_copied(self):
        out, port, got = self.tapped("rarer")
        self.assertEqual(got, [f"tap_open 127.0.0.1 {port} 0", "tap_data 1 0 9 dprintf-7", "tap_data 1 0 8 pwritev2", "tap_data 1 1 6 answer"])
        self.assertEqual(out, ["dprintf 9", "preadv2 6", "bad -1 1"])

    def test_duplicates_of_a_socket_are_one_connection(self):
        _, port, got = self.tapped("duplicated")
        self.assertEqual(got, [f"tap_open 127.0.0.1 {port} 0", "tap_data 1 0 4 twin", "tap_data 1 0 5 third", "tap_data 1 0 4 last", "tap_close 1"])

    def test_what_the_c_library_writes_by_itself_is_reported(self):
        self.assertEqual(self.tapped("stream")[2], ["report 3 127.0.0.1 a stream of the C library over a socket (fdopen)"])
        os.unlink(self.log)
        self.assertEqual(self.tapped("standard")[2], ["report 3 127.0.0.1 a socket that became a standard stream"])

    def test_tls_of_a_library_that_we_do_not_see_is_reported(self):
        _, _, got = self.tapped("tls")
        self.assertEqual(got, ["report 3 127.0.0.1 TLS of a library that cannot be read along"])

    def test_sendfile_is_reported(self):
        _, port, got = self.tapped("sendfile")
        self.assertEqual(got, [f"tap_open 127.0.0.1 {port} 0", "tap_data 1 0 4 POST", "tap_close 1",
                               "report 3 127.0.0.1 a request that was sent by sendfile"])

    def test_many_messages_at_once_are_copied(self):
        out, port, got = self.tapped("many")
        self.assertEqual(got, [f"tap_open 127.0.0.1 {port} 0", "tap_data 1 0 4 one ", "tap_data 1 0 4 two ", "tap_data 1 0 5 three", "tap_data 1 1 6 answer",
                               "tap_data 1 1 7 , whole"])
        self.assertEqual(out, [])

    def test_splice_is_reported(self):
        _, port, got = self.tapped("splice")
        self.assertEqual(got, [f"tap_open 127.0.0.1 {port} 0", "tap_data 1 0 4 POST", "tap_close 1", "report 3 127.0.0.1 a request that was sent by splice"])

    def test_a_number_that_was_taken_over_is_not_copied(self):
        out, port, got = self.tapped("reused")
        self.assertEqual(got, [f"tap_open 127.0.0.1 {port} 0", "tap_data 1 0 5 first", "tap_close 1"])
        self.assertEqual(out, ["reused"])

    def test_a_fork_child_has_flows_of_its_own(self):
        out, port, got = self.tapped("forked")
        self.assertEqual(got, [f"tap_open 127.0.0.1 {port} 0", "tap_data 1 0 6 parent", f"tap_open 127.0.0.1 {port} 0",
                               "tap_data 2 0 5 child", "settle 1"])
        self.assertEqual(out, ["child 7"])

    def test_a_vfork_child_leaves_without_touching_the_engine(self):
        out, port, got = self.tapped("vforked")
        self.assertEqual(got, [f"tap_open 127.0.0.1 {port} 0", "tap_data 1 0 6 parent", "tap_data 1 0 4 more"])
        self.assertEqual(out, ["child 7"])

    def test_underscore_exit_settles_first(self):
        plan = self.current_plan(PLAN)
        self.host("tap", "tls", "_exit", KT_PLAN=plan, KT_FAKE_TAP="1", status=5)
        self.assertEqual(self.events()[-1], "settle 1")

    def test_exec_settles_first(self):
        _, _, got = self.tapped("exec")
        self.assertEqual(got[-1], "settle 0")


if __name__ == "__main__":
    main()
