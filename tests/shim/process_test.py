# SPDX-License-Identifier: Apache-2.0
"""What happens to the process around a call: exec, close, dlopen, start-up, trust variables."""
import os
import shutil
import socket
import subprocess

from kt_harness import ENGINE, HOSTS, LIBKT, PYTHON, ShimTest, main

PRINTENV = "/usr/bin/printenv"


class ByHandle(ShimTest):
    """libc's functions taken from a handle of libc: FFI, JNA, P/Invoke and ctypes do so."""

    def test_they_are_hooked_as_those_of_the_program(self):
        code = """
import ctypes, socket, struct
libc, own = ctypes.CDLL("libc.so.6", use_errno=True), ctypes.CDLL(None)
names = "connect getaddrinfo gethostbyname write send sendto sendmsg writev read recv close dup2 execve execv posix_spawn dlsym".split()
address = lambda lib, name: ctypes.cast(getattr(lib, name), ctypes.c_void_p).value
print([n for n in names if address(libc, n) != address(own, n)])
libc.gethostbyname.restype = ctypes.c_void_p
h = ctypes.string_at(libc.gethostbyname(b"api.openai.com"), 32)
first = ctypes.cast(struct.unpack_from("P", h, 24)[0], ctypes.POINTER(ctypes.POINTER(ctypes.c_ubyte * 4)))
ip = bytes(first[0].contents)
print(socket.inet_ntoa(ip))
fd = libc.socket(2, 1, 0)
print(libc.connect(fd, struct.pack("=H", 2) + struct.pack(">H", 80) + ip + bytes(8), 16))
s = socket.socket(fileno=fd)
text = b"GET / HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n"
print(libc.write(fd, text, len(text)) == len(text), b"api.openai.com" in s.recv(4096))
libc.dlsym.restype = ctypes.c_void_p
print(libc.dlsym(ctypes.c_void_p(libc._handle), b"nothing_of_this_name"), libc.dlsym(ctypes.c_void_p(libc._handle), b"strlen") is not None)
"""
        self.assertEqual(self.python(code).stdout.splitlines(), ["[]", "127.183.0.1", "0", "True True", "None True"])

    def test_a_wrapper_that_takes_them_does_not_come_to_itself(self):
        code = "import socket; socket.create_connection(('127.0.0.1', %d)); print('there', end=' '); socket.create_connection(('api.openai.com', 80)); print('ours')"
        wrapper = os.path.join(HOSTS, "libktwrapper.so")
        with socket.create_server(("127.0.0.1", 0)) as server:
            for preload in (f"{LIBKT}:{wrapper}", f"{wrapper}:{LIBKT}"):
                with self.subTest(preload):
                    self.assertEqual(self.python(code % server.getsockname()[1], LD_PRELOAD=preload).stdout, "there ours\n")


class Exec(ShimTest):
    def run_exec(self, how, **env):
        out = self.run_program(os.path.join(HOSTS, "shim_host_exec"), how, PRINTENV, KT_PLAN="/plan", **env).stdout
        return dict(l.split("=", 1) for l in out.splitlines())

    def test_a_clean_environment_keeps_the_shim(self):
        for how in ("execve", "execvpe", "execle", "fexecve", "execveat", "posix_spawn", "posix_spawnp", "vfork", "thread-fork",
                    "execv", "execvp", "execl", "execlp"):
            with self.subTest(how):
                env = self.run_exec(how)
                self.assertEqual(env["KEEP"], "1")
                self.assertEqual(env["LD_PRELOAD"], LIBKT + ":/nonexistent-but-kept.so")
                self.assertEqual(env["KT_MODE"], "mine", "the caller's own value wins")
                self.assertEqual(env["KT_PLAN"], "/plan")
                self.assertEqual(env["KT_STATE_DIR"], self.dir)
                self.assertNotIn("HOME", env)

    def test_no_environment_at_all(self):
        for how in ("execve-empty", "execve-null"):
            with self.subTest(how):
                env = self.run_exec(how)
                self.assertEqual(env["LD_PRELOAD"], LIBKT)
                self.assertEqual(set(env), {"LD_PRELOAD"} | {k for k in self.env() if k.startswith("KT_")} | {"KT_PLAN"})

    def test_thousands_of_variables(self):
        env = self.run_exec("huge")
        self.assertEqual(env["V4999"], "1")
        self.assertEqual(env["LD_PRELOAD"], LIBKT)

    def test_complete_environment_is_passed_as_it_is(self):
        out = self.run_program("/bin/sh", "-c", "exec printenv LD_PRELOAD").stdout
        self.assertEqual(out.strip(), LIBKT)

    def test_relative_preload_becomes_absolute_for_children(self):
        lib = os.path.join(self.dir, "libkt.so")
        shutil.copy(LIBKT, lib)
        p = subprocess.run([PYTHON, "-c", "import os; os.chdir('/'); os.execve('%s', ['printenv'], {})" % PRINTENV],
                           cwd=self.dir, env=self.env(LD_PRELOAD="./libkt.so"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.assertEqual(p.stderr, "")
        self.assertIn("LD_PRELOAD=%s\n" % lib, p.stdout)

    def test_a_shell_that_system_starts(self):
        """It is told what was cleared, but for what is no name to it, and where its command leaves no room (128 KiB) nothing."""
        code = "import os\nos.environ.clear()\n%s"
        out = self.python(code % "os.system('printenv LD_PRELOAD')", **{"KT_A-B": "1", "KT_;echo injected;X": "2", "KT_N'M": "3"})
        self.assertEqual((out.stdout, out.stderr), (LIBKT + "\n", ""))
        for n in (130600, 131000, 131069):
            out = self.python(code % ("print(os.system(': ' + 'x' * %d))" % n))
            self.assertEqual((out.stdout, out.stderr), ("0\n", ""), n)

    def test_python_subprocess_with_clean_env_is_captured(self):
        code = ("import subprocess,sys; print(subprocess.run([sys.executable,'-c',"
                "'import socket;print(socket.gethostbyname(\"api.openai.com\"))'],env={},capture_output=True,text=True).stdout)")
        self.assertIn("127.183.0.1", self.python(code).stdout)


class Fds(ShimTest):
    def test_rude_programs_do_not_hit_the_engine(self):
        for how, says in (("close", None), ("close_range", "close_range 0"), ("closefrom", None), ("dup2", "dup2 -1 busy 1"),
                          ("dup3", "dup3 -1 busy 1"), ("one", "close -1 ebadf 1")):
            with self.subTest(how):
                out = self.host("fds", how)
                self.assertIn("engine fd high 1", out)
                self.assertIn("works 1", out)
                self.assertEqual(out[-1], "own dup2 1 close 0")
                if says:
                    self.assertIn(says, out)

    def test_under_a_low_limit_of_fds(self):
        out = self.run_program("/bin/sh", "-c", "ulimit -n 256; exec %s close_range" % os.path.join(HOSTS, "shim_host_fds")).stdout
        self.assertIn("works 1", out)


class Dlopen(ShimTest):
    def test_deepbind_is_taken_away_and_runpath_kept(self):
        out = self.host("dlopen")
        self.assertEqual(out, ["inner sees 127.183.0.1", "dlclose 0"])


class Dlsym(ShimTest):
    CODE = """
import ctypes
c = ctypes.CDLL(None)
c.dlsym.restype, c.dlsym.argtypes = ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_char_p]
c.dlerror.restype = ctypes.c_char_p
def ask(handle, name):
    fn = c.dlsym(handle, name)
    return fn, c.dlerror()
"""

    def test_what_nobody_has_is_not_found(self):
        code = self.CODE + """
fn, why = ask(None, b"SSL_write")
print(fn, b"undefined symbol: SSL_write" in why)
h = ctypes.CDLL("libssl.so.3")._handle
fn, why = ask(h, b"SSL_write_ex2")
print(fn, b"undefined symbol: SSL_write_ex2" in why)
"""
        self.assertEqual(self.python(code).stdout.split(), ["None", "True", "None", "True"])

    def test_what_is_found_leaves_no_error_and_is_always_the_same(self):
        code = self.CODE + """
h = ctypes.CDLL("libssl.so.3")._handle
for name in (b"SSL_write", b"SSL_read_ex", b"SSL_get_error"):
    a, b = ask(h, name), ask(h, name)
    print(a == b, a[0] is not None, a[1])
"""
        self.assertEqual(self.python(code).stdout.splitlines(), ["True True None"] * 3)

    def test_two_libraries_are_not_mixed_up(self):
        other = os.path.join(self.dir, "libssl.so.3")
        shutil.copy(os.path.realpath("/usr/lib/%s-linux-gnu/libssl.so.3" % os.uname().machine), other)
        code = self.CODE + """
def works(h):
    def fn(name, *types):
        return ctypes.CFUNCTYPE(*types)(ask(h, name)[0])
    p = ctypes.c_void_p
    ctx = fn(b"SSL_CTX_new", p, p)(fn(b"TLS_client_method", p)())
    ssl = fn(b"SSL_new", p, p)(ctx)
    buf = ctypes.create_string_buffer(1)
    n = fn(b"SSL_read", ctypes.c_int, p, p, ctypes.c_int)(ssl, buf, 1)
    fn(b"SSL_free", None, p)(ssl)
    return n
a, b = ctypes.CDLL("libssl.so.3")._handle, ctypes.CDLL(%r)._handle
print(a != b, ask(a, b"SSL_read")[0] != ask(b, b"SSL_read")[0], works(a), works(b))
""" % other
        self.assertEqual(self.python(code).stdout.split(), ["True", "True", "-1", "-1"])


class Start(ShimTest):
    def test_a_process_without_llm_calls_never_maps_the_engine(self):
        code = ("import socket,ssl,urllib.request;"
                "socket.getaddrinfo('127.0.0.1', 80); socket.getaddrinfo('localhost', 80);"
                "s=socket.socket(); s.settimeout(1); s.connect_ex(('127.0.0.1', 9));"
                "print('fakeengine' in open('/proc/self/maps').read())")
        self.assertEqual(self.python(code).stdout, "False\n")
        code = code.replace("'localhost', 80);", "'localhost', 80); exec('try: socket.getaddrinfo(\"no.such.invalid\", 80)\\nexcept OSError: pass');")
        self.assertEqual(self.python(code, KT_PLAN=self.current_plan()).stdout, "False\n", "nor with a plan and other names")
        self.assertEqual(self.events(), [])

    def test_start_does_not_open_or_allocate(self):
        if not shutil.which("strace"):
            self.skipTest("no strace")
        trace = os.path.join(self.dir, "strace")

        def calls(preload):
            env = self.env(LD_PRELOAD=None)
            argv = ["strace", "-f", "-o", trace] + (["-E", "LD_PRELOAD=" + preload] if preload else []) + ["/bin/true"]
            p = subprocess.run(argv, env=env, capture_output=True, text=True)
            if p.returncode != 0:
                self.skipTest("strace may not trace here")
            with open(trace) as f:
                return [l.split("(")[0].split()[-1] for l in f]
        libc_only = os.path.join(self.dir, "nothing.so")
        subprocess.run(["cc", "-shared", "-x", "c", "/dev/null", "-o", libc_only], check=True)
        with_shim, with_nothing = calls(LIBKT), calls(libc_only)
        for name in ("openat", "brk", "socket", "read", "getrandom"):
            self.assertLessEqual(with_shim.count(name), with_nothing.count(name), name)

    def test_thread_local_storage_is_small(self):
        """Libraries that a program opens later share what is left of the static block; the engine's must fit there. The shim's is
        laid out at the start, each thread has it."""
        for lib, limit in ((LIBKT, 96), (ENGINE.replace("tests/shim/libktfakeengine.so", "lib/libktengine.so"), 64)):
            out = subprocess.run(["readelf", "-lW", lib], stdout=subprocess.PIPE, text=True, check=True).stdout
            sizes = [int(l.split()[5], 16) for l in out.splitlines() if l.split()[:1] == ["TLS"]]
            self.assertLessEqual(sum(sizes), limit, lib)

    def test_exports_only_the_hooks(self):
        with open(os.path.join(os.path.dirname(__file__), "..", "..", "shim", "libkt.map")) as f:
            text = f.read().split("global:")[1].split("local:")[0]
        want = {w.strip() for w in text.replace("\n", " ").split(";") if w.strip()}
        out = subprocess.run(["nm", "-D", "--defined-only", LIBKT], stdout=subprocess.PIPE, text=True, check=True).stdout
        self.assertEqual({l.split()[-1].split("@")[0] for l in out.splitlines()}, want)


class TrustVariables(ShimTest):
    CODE = "import ctypes; g=ctypes.CDLL(None).%s; g.restype=ctypes.c_char_p; print((g(b'%s') or b'-').decode())"

    def ask(self, name, fn="getenv", **env):
        return self.python(self.CODE % (fn, name), **env).stdout.strip()

    def test_plan_ca_where_the_user_set_none(self):
        plan = self.current_plan()
        ca = os.path.join(self.dir, "ca", "plan-only.pem")
        for name in ("NODE_EXTRA_CA_CERTS", "DENO_CERT"):
            for fn in ("getenv", "secure_getenv"):
                self.assertEqual(self.ask(name, fn, KT_PLAN=plan), ca)
                self.assertEqual(self.ask(name, fn, KT_PLAN=plan, **{name: "/mine.pem"}), "/mine.pem")
        self.assertEqual(self.events(), [])

    def test_no_plan_is_made_by_the_engine(self):
        self.assertEqual(self.ask("NODE_EXTRA_CA_CERTS"), os.path.join(self.dir, "ca", "ca.pem"))

    def test_others_are_as_ever(self):
        for name in ("NODE_OPTIONS", "DENO_DIR", "SSL_CERT_FILE", "N", ""):
            self.assertEqual(self.ask(name), "-")
        self.assertEqual(self.ask("HOME"), self.dir)
        self.assertEqual(self.events(), [])

    def test_no_engine_no_answer(self):
        self.assertEqual(self.ask("NODE_EXTRA_CA_CERTS", KT_ENGINE="/nonexistent"), "-")


if __name__ == "__main__":
    main()
