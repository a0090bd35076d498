# SPDX-License-Identifier: Apache-2.0
"""Programs that take OpenSSL's functions by dlsym: captured in every mode, and where no hook can see them, said."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "harness"))
import e2e  # noqa: E402
import net  # noqa: E402

KEY = {"MISTRAL_API_KEY": "target-key-0001"}
WAYS = ("default", "handle", "deepbind", "version")


class Symbols(e2e.KtTest):
    def client(self):
        return self.compiled("symbols_chat", "symbols_chat.c", "-ldl")

    def test_enforce_hands_off(self):
        mock = self.lab.mock("up")
        for via in ("wrap", "preload"):
            for way in WAYS:
                with self.subTest(via=via, way=way):
                    known = len(self.lab.events())
                    result = self.lab.run(via, self.targets(mock), [self.client(), way], env=KEY)
                    self.assertEqual((result.returncode, result.stdout, result.stderr), (0, '{"status": 200}\n', ""))
                    self.assertEqual([(e["event_type"], e["lane"]) for e in self.lab.events()[known:]], [("decision", "handoff")])
        self.assertNotIn("alice.jones", "".join(r["body"] for r in mock.requests()))
        self.assert_audit_ok()

    def test_enforce_captures_what_no_hook_sees(self):
        """The handshake passes our hooks, writing does not: the connection is ours all the same."""
        mock = self.lab.mock("up")
        for args in (["walk"], ["handle", "first"]):
            result = self.lab.run("wrap", self.targets(mock), [self.client(), *args], env=KEY)
            self.assertEqual((result.returncode, result.stdout, result.stderr), (0, '{"status": 200}\n', ""))
        self.assertEqual([(e["event_type"], e["lane"]) for e in self.lab.events()], [("decision", "divert"), ("decision", "handoff")])
        self.assertNotIn("alice.jones", "".join(r["body"] for r in mock.requests()))

    def test_enforce_no_hook_at_all_fails_closed(self):
        """The engine's own OpenSSL, found in memory and walked: not even the handshake is seen."""
        result = self.lab.run("wrap", self.targets(self.lab.mock("up")), [self.client(), "walk", "first"], env=KEY)
        self.assertEqual((result.returncode, result.stdout), (1, ""))
        self.assertEqual([e["event_type"] for e in self.lab.events()], ["client_distrusts"])

    def test_private_copy_is_reported(self):
        """OpenSSL inside of the program: its connection is ours, its trust is not, and both modes say so."""
        mock = self.lab.mock("up")
        client = self.compiled("private_copy", "fork_storm.c", "-l:libssl.a", "-l:libcrypto.a")
        for mode, via in (("enforce", "wrap"), ("enforce", "preload"), ("observe", "wrap")):
            with self.subTest(mode=mode, via=via):
                known = len(self.lab.events())
                result = self.lab.run(via, self.targets(mock), [client, "1"], env={**KEY, "KT_MODE": mode})
                self.assertTrue(result.stdout.startswith("0 "), result)
                self.assertEqual([(e["event_type"], e["origin"]) for e in self.lab.events()[known:]], [("client_distrusts", "api.openai.com:443")])
        self.assertEqual(mock.requests(), [])

    def observed(self, *args):
        origin = self.lab.mocks.get("up") or self.lab.mock("up", ["--dialect", "openai", "--text", "The answer."], origin="api.openai.com")
        net.map_hosts(["api.openai.com"], str(self.lab.tmp))
        self.addCleanup(net.unmap_hosts)
        env = {"SSL_CERT_FILE": str(origin.ca), "KT_UPSTREAM_CA_FILE": str(origin.ca), "KT_MODE": "observe", **KEY}
        known = len(self.lab.events())
        alone = self.lab.run("none", None, [self.client(), *args], env=env)
        result = self.lab.run("wrap", self.targets(origin), [self.client(), *args], env=env, options=["--mode", "observe"])
        self.assertEqual((result.returncode, result.stdout, result.stderr), (0, '{"status": 200}\n', ""))
        self.assertEqual((result.returncode, result.stdout, result.stderr), (alone.returncode, alone.stdout, alone.stderr))
        return self.lab.events()[known:]

    def test_observe_taps(self):
        for way in WAYS:
            with self.subTest(way=way):
                events = self.observed(way)
                self.assertEqual([(e["event_type"], e["lane"], e["would_verdict"]) for e in events], [("decision", "tap", "redact")])

    def test_observe_reports_what_no_hook_sees(self):
        events = self.observed("walk")
        self.assertEqual([(e["event_type"], e["verdict"], e["origin"]) for e in events], [("unseen", "allow", "api.openai.com")])
        self.assertIn("past every hook", events[0]["message"])


if __name__ == "__main__":
    e2e.main()
