# SPDX-License-Identifier: Apache-2.0
"""The last tripwire of the shim: ClientHellos of libraries that nobody hooks, on connections of the program's own."""
import os
import pathlib
import sys

from kt_harness import HOSTS, ShimTest, main

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "harness"))
from hello import ECH, hello, with_extension  # noqa: E402

OBSERVE = "mode observe\nfail_mode block\nhost 127.183.0.1 api.openai.com\nhost 127.183.0.2 127.0.0.1\n"
ALLOW = "fail_mode allow\nhost 127.183.0.1 api.openai.com\n"

SENDER = """
import ctypes, fcntl, os, socket, ssl, threading
hello = bytes.fromhex("%s")
server = socket.create_server(("127.0.0.1", 0))
got = []
def serve():
    while True:
        c = server.accept()[0]
        got.append(b"")
        while piece := c.recv(65536): got[-1] += piece
        c.close()
threading.Thread(target=serve, daemon=True).start()
def dial(fd=None):
    s = socket.socket() if fd is None else socket.socket(fileno=fd)
    s.connect(server.getsockname())
    return s
def high():
    s = socket.socket()
    return fcntl.fcntl(s.detach(), fcntl.F_DUPFD, 300)
def say(what, send, *args):
    try: send(*args); print(what, "sent")
    except OSError: print(what, "refused")
def unused_session(host="api.openai.com"):  # one that our hooks judge, whose words go nowhere
    s = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname=host)
    try: s.do_handshake()
    except ssl.SSLWantReadError: pass
    return s
"""


class Words(ShimTest):
    def send(self, code, words=None, **env):
        out = self.python(SENDER % (words or hello()).hex() + code, **env).stdout.splitlines()
        return out, [e for e in self.events() if e.startswith("report ")]

    def test_however_they_leave(self):
        code = """
libc = ctypes.CDLL(None)
def plain(s): os.write(s.fileno(), hello)
def again(s):
    for i in range(2): s.connect_ex(server.getsockname())
    os.write(s.fileno(), hello)
def copied(s): os.write(os.dup(s.fileno()), hello)
def pieces(s): os.writev(s.fileno(), [hello[:5], hello[5:]])
def socks(s):
    for part in bytes((5, 1, 0)), bytes((5, 1, 0, 3, 14)) + b"api.openai.com" + bytes((1, 187)), hello: s.sendall(part)
def tunnel(s):
    for part in b"CONNECT api.openai.com:443 HTTP/1.1\\r\\n", b"Host: api.openai.com\\r\\n\\r\\n", hello: s.sendall(part)
def unseen_close(s):
    try: plain(s)
    except OSError: pass
    fd = s.detach()
    libc.syscall(3, fd)
    t = dial()
    assert t.fileno() == fd
    plain(t)
for how in plain, again, copied, pieces, socks, tunnel, unseen_close: say(how.__name__, how, dial())
say("fast", socket.socket().sendto, hello, socket.MSG_FASTOPEN, server.getsockname())
print(any(hello in g for g in got))
"""
        out, reports = self.send(code)
        ways = ("plain", "again", "copied", "pieces", "socks", "tunnel", "unseen_close", "fast")
        self.assertEqual(out, [way + " refused" for way in ways] + ["False"])
        self.assertEqual([r[:23] for r in reports], ["report 1 api.openai.com"] * (len(ways) + 1))

    def test_a_hello_that_several_calls_write(self):
        code = """
def bytewise(s):
    for i in range(len(hello)): s.sendall(hello[i:i + 1])
def first_alone(s): s.sendall(hello[:1]); s.sendall(hello[1:])
def in_five(s):
    for i in range(0, len(hello), len(hello) // 5 + 1): os.writev(s.fileno(), [hello[i:i + len(hello) // 5 + 1]])
def by_twins(s): s.sendall(hello[:60]); os.write(os.dup(s.fileno()), hello[60:])
def in_records(s):  # the message in records of 30 bytes, each by a call
    for i in range(5, len(hello), 30): s.sendall(hello[:3] + len(hello[i:i + 30]).to_bytes(2, "big") + hello[i:i + 30])
def behind_words(s): s.sendall(b"STARTTLS\\r\\n"); bytewise(s)
for how in bytewise, first_alone, in_five, by_twins, in_records, behind_words: say(how.__name__, how, dial())
open = [dial() for i in range(40)]  # more at a time than are kept: the oldest give way
for s in open: s.sendall(hello[:9])
for s in open[-20:]: say("many", s.sendall, hello[9:])
print(any(hello in g for g in got))
"""
        out, reports = self.send(code)
        ways = ["bytewise", "first_alone", "in_five", "by_twins", "in_records", "behind_words"] + ["many"] * 20
        self.assertEqual(out, [w + " refused" for w in ways] + ["False"])
        self.assertEqual([r[:25] for r in reports], ["report 1 api.openai.com TLS"[:25]] * len(ways))

    def test_what_only_begins_like_one_passes(self):
        code = """
def pieces(s): s.sendall(b"\\x16"); s.sendall(b"\\x03"); s.sendall(b"no handshake"); s.sendall(b"\\x16\\x03\\x01")
def another(s):
    for i in range(0, len(hello), 50): s.sendall(hello[i:i + 50])
say("pieces", pieces, dial())
say("another", another, dial())
"""
        self.assertEqual(self.send(code, hello("localhost")), (["pieces sent", "another sent"], []))

    def test_each_connection_is_judged_by_itself(self):
        """One session that the hooks let go excuses no other: nor does one that is tapped."""
        code = "kept = unused_session(); say('other', dial().sendall, hello)"
        out, reports = self.send(code, KT_PLAN=self.current_plan(ALLOW))
        self.assertEqual((out, [r[:9] for r in reports]), (["other sent"], ["report 3 "] * 2))
        out, reports = self.send(code, KT_PLAN=self.current_plan(OBSERVE), KT_FAKE_TAP="1")
        self.assertEqual(out, ["other sent"])
        self.assertEqual([r.split(" ", 3)[2:] for r in reports[2:]], [["127.0.0.1", "TLS of a library that cannot be read along"]])

    def test_a_session_of_our_hooks_counts_once(self):
        """Its own words are known, by whatever thread and in however many pieces they leave."""
        code = """
out = ssl.MemoryBIO()
s = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), out, server_hostname="api.openai.com")
try: s.do_handshake()
except ssl.SSLWantReadError: pass
words, c = out.read(), dial()
def speak():
    for i in range(0, len(words), 70): c.sendall(words[i:i + 70])
t = threading.Thread(target=speak); t.start(); t.join()
print("spoken")
"""
        for plan, reports in ((ALLOW, ["report 3 "]), (OBSERVE, [])):
            with self.subTest(plan):
                known = len(self.events())
                out, _ = self.send(code, KT_PLAN=self.current_plan(plan), KT_FAKE_TAP="1")
                self.assertEqual((out, [e[:9] for e in self.events()[known:] if e.startswith("report ")]), (["spoken"], reports))

    def test_fds_of_which_no_flag_is_kept(self):
        """65536 and above; here those from 256 on, by a libkt.so that is made so."""
        code = """
def first_alone(s): s.sendall(hello[:1]); s.sendall(hello[1:])
s = dial(high()); print(s.fileno())
say("high", s.sendall, hello)
say("pieces", first_alone, dial(high()))
s = dial(); say("copied", os.write, fcntl.fcntl(s, fcntl.F_DUPFD, 300), hello)
f = fcntl.fcntl(os.open("/dev/null", os.O_WRONLY), fcntl.F_DUPFD, 300); os.write(f, hello)
ours = socket.socket(fileno=high()); ours.connect(("api.openai.com", 443))
t = ssl.create_default_context().wrap_socket(ours, server_hostname="api.openai.com")
t.sendall(b"GET / HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
print(t.recv(4096).decode().split('"lane":"')[1].split('"')[0])
"""
        out, reports = self.send(code, LD_PRELOAD=os.path.join(HOSTS, "libktfewfds.so"))
        self.assertEqual(out, ["300", "high refused", "pieces refused", "copied refused", "handoff"])
        self.assertEqual([r[:9] for r in reports], ["report 1 "] * 3)

    def test_an_encrypted_server_name_is_said(self):
        """Nobody can tell whom it means: one event a process, and it passes. A front that is intercepted is refused as ever."""
        code = "\nfor i in range(3): say('front', dial().sendall, hello)"
        for plan in (None, ALLOW, OBSERVE):
            with self.subTest(plan):
                known = len(self.events())
                out, _ = self.send(code, with_extension(hello("front.example"), *ECH),
                                   KT_PLAN=self.current_plan(*([plan.replace("host 127.183.0.2 127.0.0.1\n", "")] if plan else [])), KT_FAKE_TAP="1")
                self.assertEqual(out, ["front sent"] * 3)
                reports = [e for e in self.events()[known:] if e.startswith("report ")]
                self.assertEqual([r.split(":")[0] for r in reports], ["report 3 front.example a TLS handshake whose server name is encrypted (ECH)"])
        known = len(self.events())
        out, _ = self.send("say('ours', dial().sendall, hello)", with_extension(hello(), *ECH))
        self.assertEqual((out, [e[:23] for e in self.events()[known:] if e.startswith("report ")]), (["ours refused"], ["report 1 api.openai.com"]))


if __name__ == "__main__":
    main()
