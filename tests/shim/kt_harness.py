# SPDX-License-Identifier: Apache-2.0
"""What the shim's tests share: a folder with a plan, a clean environment, programs under LD_PRELOAD, a foreign TLS server."""
import os
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import unittest

LIBKT = os.environ["KT_TEST_LIBKT"]
ENGINE = os.environ["KT_TEST_ENGINE"]
HOSTS = os.environ["KT_TEST_HOSTS"]
PYTHON = "/usr/bin/python3"

PLAN = """mode enforce
fail_mode block
exclude internal.openai.azure.com
host 127.183.0.1 api.openai.com
host 127.183.0.2 api.mistral.ai
host 127.183.0.3 10.99.88.77
wild *.openai.azure.com
"""


class ShimTest(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="kt-shim-")
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        self.log = os.path.join(self.dir, "engine.log")
        self.config = os.path.join(self.dir, "policy-config.yaml")
        self.plan_in(PLAN)
        with open(self.config, "w") as f:
            f.write("mode: enforce\n")

    def plan_in(self, text):
        """What the engine makes a plan of."""
        with open(os.path.join(self.dir, "plan.in"), "w") as f:
            f.write(text)

    def current_plan(self, text=PLAN, mode=0o600, expires=3600, ca=True):
        """A plan file as `kt wrap` leaves it; returns its path for KT_PLAN."""
        os.makedirs(os.path.join(self.dir, "ca"), exist_ok=True)
        pem = os.path.join(self.dir, "ca", "plan-only.pem")
        if ca:
            open(pem, "w").close()
        elif os.path.exists(pem):
            os.unlink(pem)
        path = os.path.join(self.dir, "current-plan")
        with open(path, "w") as f:
            f.write("ktplan 1\nexpires %d\nca %s\n%s" % (time.time() + expires, pem, text))
        os.chmod(path, mode)
        return path

    def env(self, **more):
        env = {
            "PATH": "/usr/bin:/bin",
            "HOME": self.dir,
            "LD_PRELOAD": LIBKT,
            "KT_ENGINE": ENGINE,
            "KT_STATE_DIR": self.dir,
            "KT_FAKE_LOG": self.log,
            "KT_POLICY_CONFIG": self.config,
        }
        env.update(more)
        return {k: v for k, v in env.items() if v is not None}

    def run_program(self, *argv, status=0, timeout=60, **env):
        p = subprocess.run(argv, env=self.env(**env), stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout,
                           text=True, errors="replace", stdin=subprocess.DEVNULL)
        if status is not None:
            self.assertEqual(p.returncode, status, "%s\nstdout: %s\nstderr: %s\nlog: %s" % (argv, p.stdout, p.stderr, self.events()))
        return p

    def host(self, name, *args, **kw):
        """Runs a host program; returns its lines."""
        p = self.run_program(os.path.join(HOSTS, "shim_host_" + name), *args, **kw)
        self.assertEqual(p.stderr, "")
        return p.stdout.splitlines()

    def python(self, code, **kw):
        return self.run_program(PYTHON, "-c", code, **kw)

    def events(self):
        try:
            with open(self.log) as f:
                return f.read().splitlines()
        except FileNotFoundError:
            return []

    def foreign_server(self, name="api.openai.com"):
        """A TLS server of its own with its own CA, on loopback. Returns (port, CA file)."""
        crt, key = os.path.join(self.dir, "foreign.pem"), os.path.join(self.dir, "foreign.key")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                        "-subj", "/CN=foreign", "-addext", "subjectAltName=DNS:%s,DNS:localhost,IP:127.0.0.1" % name,
                        "-keyout", key, "-out", crt], check=True, capture_output=True)
        ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        ctx.load_cert_chain(crt, key)
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)
        threading.Thread(target=serve, args=(listener, ctx), daemon=True).start()
        return listener.getsockname()[1], crt


def serve(listener, ctx):
    while True:
        try:
            raw, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=serve_one, args=(raw, ctx), daemon=True).start()


def serve_one(raw, ctx):
    body = b'{"origin":"foreign","lane":"none"}'
    try:
        with raw:
            raw.settimeout(20)
            first = raw.recv(8, socket.MSG_PEEK)
            if first.startswith(b"CONNECT "):  # an HTTP proxy that knows only itself
                while b"\r\n\r\n" not in first:
                    first = raw.recv(65536, socket.MSG_PEEK)
                raw.recv(first.index(b"\r\n\r\n") + 4)
                raw.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            with ctx.wrap_socket(raw, server_side=True) as s:
                while s.recv(65536):
                    s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
    except OSError:
        pass


def main():
    unittest.main(module=sys.modules["__main__"], verbosity=2)
