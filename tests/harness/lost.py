# SPDX-License-Identifier: Apache-2.0
"""Programs that the shim does not see, or not all of, for test_supervise.py and test_strict.py."""
import os
import socket
import subprocess
import threading

import e2e
from ktlib import ROOT, compiled

KEY = {"MISTRAL_API_KEY": "target-key-0001"}
CLIENTS = ROOT / "tests/clients"


class Lost(e2e.KtTest):
    def c(self, name, *flags, compiler="gcc"):
        return self.compiled(f"lost-{name}", "lost_chat.c", *flags, compiler=compiler)

    def go(self, cgo):
        return compiled(e2e.BUILD, f"go-{cgo}", CLIENTS / "chat.go", ["go", "build", "-o", "{out}", "{source}"], {"CGO_ENABLED": str(cgo)})

    def captured(self, command, lane="supervise", calls=1, env=None, options=(), verdict=None):
        mock = self.lab.mocks.get("up") or self.lab.mock("up")
        seen, known = len(mock.requests()), len(self.lab.events())
        result = self.lab.run("wrap", self.targets(mock), command, env={**KEY, **(env or {})}, options=options)
        self.assertEqual((result.returncode, result.stdout, result.stderr), (0, '{"status": 200}\n', ""))
        self.assertEqual(len(mock.requests()) - seen, calls)
        self.assertNotIn("alice.jones", "".join(r["body"] for r in mock.requests()))
        # Go opens connections that it then does not use: such an end looks like a client that refuses us.
        events = [e for e in self.lab.events()[known:] if calls == 1 or e["event_type"] != "client_distrusts"]
        self.assertEqual([(e["event_type"], e["lane"]) for e in events], [("decision", lane)] * calls)
        for e in events:  # who called, not who caught it
            self.assertNotIn(os.path.basename(e["app"]["exe"]), ("kt", ""))
            self.assertEqual(e["app"]["cwd"], str(self.lab.tmp))
        self.assert_audit_ok()

    def origin(self, *ports):
        """203.0.113.7 stands for the intercepted host in this network namespace: it counts who gets there."""
        subprocess.run(["ip", "addr", "replace", "203.0.113.7/32", "dev", "lo"], check=True)
        self.got = []
        for port in ports:
            listener = socket.create_server(("203.0.113.7", port))
            self.addCleanup(listener.close)
            self.addCleanup(listener.shutdown, socket.SHUT_RDWR)  # wakes accept; runs first
            threading.Thread(target=self.serve, args=(listener,), daemon=True).start()

    def serve(self, listener):
        while True:
            try:
                conn = listener.accept()[0]
            except OSError:
                return
            with conn:
                conn.settimeout(20)
                try:
                    data = conn.recv(65536)
                    if data:
                        self.got.append(data)
                        conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                except OSError:
                    pass

    def strict(self, command, env=None, top="", options=()):
        mock = self.lab.mocks.get("up") or self.lab.mock("up")
        return self.lab.run("wrap", self.targets(mock, top=top), command, env={**KEY, **(env or {})}, options=["--strict", *options])
