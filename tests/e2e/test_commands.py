# SPDX-License-Identifier: Apache-2.0
"""Every command and subcommand: --help wherever it stands, exit statuses, errors that say what to do next, and no secret in any output."""
import os
import pathlib
import pty
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "harness"))
import e2e  # noqa: E402
from gateway import Gateway, Provider  # noqa: E402
from ktlib import dead_port  # noqa: E402

SECRETS = {"KT_TEST_KEY": "env-secret-1f2e3d4c5b6a", "KT_GATEWAY_TOKEN": "token-secret-1f2e3d4c5b6a", "OPENAI_API_KEY": "program-secret-1f2e3d4c5b6a"}
FILE_SECRET, COMMAND_SECRET, TOKEN_SECRET = "file-secret-1f2e3d4c5b6a", "command-secret-1f2e3d4c5b6a", "tokenfile-secret-1f2e3d4c5b6a"
# What stands in front of --help: command, subcommand where there are some, and an option with and without a value.
HELP = ["wrap", "wrap --mode observe", "wrap --strict --report-dir d", "gateway", "gateway run", "gateway run --listen 127.0.0.1:1 --threads 2", "mock",
        "mock --port 0", "policy", "policy --json", "policy lint", "policy lint --file f --json", "policy test --json", "policy explain --effective",
        "policy explain f.json", "policy eval --kind pii", "policy reference", "policy reference --json", "events", "events --json", "events tail --limit 3",
        "events stats --json", "events export --format csv", "events prune --dry-run", "events verify --json", "report", "report --json", "report --html x.html",
        "doctor", "doctor --json", "doctor --state-dir d", "init", "init --template minimal", "env", "env --format docker", "bench", "bench --stream",
        "bench --target http://127.0.0.1:9 --model m"]
# Words behind `kt`, the exit status, and what must be said on stderr (a pattern).
STATUS = [("", 2, "usage"), ("nonsense", 2, "--help"), ("evnts", 2, "did you mean 'events'"), ("--version", 0, "^$"), ("wrap", 2, "no program"), ("wrap --mode x -- true", 2, "observe"),
          ("wrap -- ./no-such-program", 127, "no-such-program"), ("wrap -- true", 0, ""), ("wrap -- false", 1, ""), ("wrap -- sh -c 'kill -9 $$'", -9, ""),
          ("gateway", 2, "kt gateway run"), ("gateway run", 2, "kt init"), ("gateway run --listen nowhere --policy-config good.yaml", 2, "ADDR:PORT"), ("gateway run --policy-config good.yaml --api-token-file no-such-file", 2, "no-such-file"),
          ("gateway run --policy-config good.yaml --api-token-file short-token", 2, "short-token:2: a token"), ("gateway run --policy-config off.yaml", 2, "pack.enabled"),
          ("mock --listen 127.0.0.1:70000", 2, "65535"), ("policy test --pack-dir no-such-folder", 2, "no-such-folder: No such file"), ("policy test", 2, "--policy-config"),
          ("mock --port x", 2, "--port"), ("policy", 2, "lint"), ("policy lint --file no.yaml", 2, "no.yaml"), ("policy lint --file bad.yaml", 2, ""),
          ("policy lint --file good.yaml", 0, ""), ("policy explain --file good.yaml no.json", 2, "no.json"), ("policy test --policy-config good.yaml", 2, "suites"),
          ("policy eval --kind x", 2, "injection"), ("events", 2, "tail"), ("events tail --limit x", 2, "--limit"), ("events tail", 0, ""), ("events stats --json", 0, ""),
          ("events export --format xml", 2, "--format"), ("events prune --days x", 2, "--days"), ("events verify --state-dir none", 2, "no audit log"), ("events verify", 0, ""),
          ("report --html no/such/folder/x.html", 2, "no/such/folder"), ("report --since x", 2, "--since"), ("init --template nonsense", 2, "template"),
          ("env --format x", 2, "--format"), ("doctor --json no-such-program", 1, ""), ("bench --target nowhere", 2, "http"), ("bench --target http://127.0.0.1:{dead} --requests 2", 1, r"call +- +- ")]


class Commands(e2e.KtTest):
    def setUp(self):
        super().setUp()
        (self.lab.tmp / "key").write_text(FILE_SECRET + "\n")
        (self.lab.tmp / "key").chmod(0o600)
        (self.lab.tmp / "tokens").write_text(TOKEN_SECRET + "\n")
        (self.lab.tmp / "tokens").chmod(0o600)
        (self.lab.tmp / "short-token").write_text("# tokens\nbad tok\n")
        (self.lab.tmp / "bad.yaml").write_text(f"pack: {{name: x\nkey: {FILE_SECRET}")
        self.up = Provider()
        self.addCleanup(self.up.stop)
        self.cfg = self.lab.config(f"""
pack: {{name: commands, version: 1.0.0, enabled: true}}
policies: {{chain: [pii-detector, audit-logger]}}
policy: {{audit-logger: {{immutable: true}}}}
providers:
  strategy: round_robin
  targets:
    - {{id: a, provider: mistral, model: m, base_url: "{self.up.url}", secret_key_ref: {{env: KT_TEST_KEY}}}}
    - {{id: b, provider: mistral, model: m, base_url: "{self.up.url}", secret_key_ref: {{file: {self.lab.tmp}/key}}}}
    - {{id: c, provider: mistral, model: m, base_url: "{self.up.url}", secret_key_ref: {{command: printf {COMMAND_SECRET[:8]}%s {COMMAND_SECRET[8:]}}}}}
""", "good.yaml")
        (self.lab.tmp / "off.yaml").write_text((self.lab.tmp / "good.yaml").read_text().replace("enabled: true", "enabled: false"))

    def kt(self, words, **more):
        env = self.lab.env({**SECRETS, "KT_STATE_DIR": str(self.lab.tmp / "state"), **more})
        return subprocess.run(["sh", "-c", f'exec "{self.lab.kt}" {words}'], capture_output=True, text=True, env=env, cwd=self.lab.tmp, timeout=60,
                              stdin=subprocess.DEVNULL)

    def test_help_wherever_it_stands(self):
        listed = re.findall(r"^  ([a-z]+) +\S", self.kt("--help").stdout.split("commands:\n")[1].split("\n\n")[0], re.M)
        self.assertEqual(set(listed), {words.split()[0] for words in HELP}, "a command is missing here")
        for words in HELP:
            for asked in ("--help", "-h"):
                got = self.kt(f"{words} {asked}")
                self.assertEqual((got.returncode, got.stderr), (0, ""), words)
                self.assertTrue(got.stdout.startswith(f"usage: kt {words.split()[0]}"), f"{words}: {got.stdout[:80]}")
        for words in ("wrap -- sh -c 'echo $0' --help", "wrap --strict sh -c 'echo $0' --help"):
            self.assertEqual(self.kt(words).stdout, "--help\n", "what stands behind the program is the program's")

    def test_exit_statuses(self):
        for words, status, said in STATUS:
            with self.subTest(words):
                got = self.kt(words.format(dead=dead_port()))
                self.assertEqual(got.returncode, status, got.stdout + got.stderr)
                if said:
                    self.assertRegex(got.stdout + got.stderr if status != 0 else got.stderr, said)
                if status == 2:
                    self.assertTrue(got.stderr.strip() or got.stdout.strip(), "fails without a word")

    def test_a_bar_shows_how_far_eval_is(self):
        """On a terminal, and it leaves nothing behind; elsewhere there is none."""
        data = self.lab.tmp / "rows.jsonl"
        data.write_text('{"text": "call me at noon", "label": "benign"}\n' * 300)
        argv = [str(self.lab.kt), "policy", "eval", "--kind", "prompt-injection", "--data", str(data), "--json"]
        master, terminal = pty.openpty()
        on = subprocess.run(argv, stdout=subprocess.PIPE, stderr=terminal, text=True, timeout=60)
        os.close(terminal)
        shown = b""
        try:
            while piece := os.read(master, 65536):
                shown += piece
        except OSError:  # Linux says so where the other end is closed
            pass
        os.close(master)
        self.assertEqual(on.returncode, 0)
        self.assertRegex(shown, rb"\r\[#{30}\] 100 %  300 rows\r\x1b\[K$")
        off = subprocess.run(argv, capture_output=True, text=True, timeout=60)
        self.assertEqual((off.returncode, off.stderr, off.stdout), (0, "", on.stdout))

    def test_a_trace_that_will_not_be_is_said(self):
        for trace, said in (("htpt", "no component 'htpt'"), ("tls,x:/dev/null", "no component 'x'"), ("all:/no/dir/x", "/no/dir/x: No such file"), ("all,no-tap,no-handoff:t", None),
                            ("flow,tls", None), ("all:/dev/null", None), ("http:fd:9", None)):
            got = self.kt("wrap -- true", KT_TRACE=trace)
            self.assertEqual(got.returncode, 0)
            if said:
                self.assertIn(f"kt wrap: KT_TRACE: {said}", got.stderr, trace)
            else:
                self.assertNotIn("KT_TRACE", got.stderr, trace)

    def test_output_that_cannot_be_written_is_said(self):
        self.kt("wrap --policy-config good.yaml -- curl -s -m 20 -d '{\"model\":\"m\",\"messages\":[]}' http://api.openai.com/v1/chat/completions")
        for words in ("env", "events tail", "events stats", "policy lint --file good.yaml"):
            got = self.kt(f"{words} > /dev/full")
            self.assertEqual((got.returncode, "cannot write" in got.stderr), (2, True), words + got.stderr)

    def assert_no_secret(self, what, text):
        for secret in (*SECRETS.values(), FILE_SECRET, COMMAND_SECRET, TOKEN_SECRET):
            self.assertNotIn(secret, text, what)

    def test_no_secret_is_printed(self):
        g = Gateway(self.lab, self.cfg, ("--api-token-file", str(self.lab.tmp / "tokens")), SECRETS)
        self.addCleanup(g.stop)
        call = (f"curl -sk -m 20 {g.url}/v1/chat/completions -H 'Authorization: Bearer {TOKEN_SECRET}' -H 'Content-Type: application/json' "
                """-d '{"model":"m","messages":[{"role":"user","content":"hello"}]}'""")
        self.assertIn("The release", subprocess.run(["sh", "-c", call], capture_output=True, text=True, env=self.lab.env()).stdout)
        wrapped = call.replace(g.url, "http://api.openai.com").replace(TOKEN_SECRET, SECRETS["OPENAI_API_KEY"])
        # A mode for every command: what it prints of a config with keys, of their absence, of refusals, of the log.
        runs = [f"wrap --policy-config good.yaml -- {wrapped}", f"wrap --report-dir out --policy-config good.yaml -- {wrapped}",
                "policy lint --file good.yaml", "policy lint --file good.yaml --json", "policy lint --file bad.yaml", "policy explain --effective --policy-config good.yaml",
                "policy test --policy-config good.yaml", "policy reference", "events tail", "events tail --json", "events stats", "events stats --prometheus -",
                "events export --format json", "events export --format csv", "events verify", "events prune --dry-run", "report --json -", "report --html r.html",
                "report --markdown -", "report --junit -", "report --sarif -", "doctor --policy-config good.yaml", "doctor --json --policy-config good.yaml curl",
                "init --output i.yaml", "env --policy-config good.yaml", "env --policy-config good.yaml --format systemd", "env --policy-config good.yaml --format docker",
                f"bench --target {g.url}/v1 --requests 6", f"bench --target http://127.0.0.1:{dead_port()} --requests 2", "gateway run --listen nowhere --policy-config good.yaml",
                "gateway run --listen 127.0.0.1:0 --api-token-file good.yaml --tls-cert key --tls-key key --policy-config good.yaml", "mock --port x"]
        for words in runs:
            got = self.kt(words, KT_TRACE="flow,http,policy,route,upstream,audit,engine", KT_GATEWAY_TOKEN=TOKEN_SECRET)
            self.assert_no_secret(f"kt {words.split(' -- ')[0]}", got.stdout + got.stderr)
        self.assertEqual({h["headers"]["authorization"] for h in self.up.seen}, {f"Bearer {key}" for key in (SECRETS["KT_TEST_KEY"], FILE_SECRET, COMMAND_SECRET)}, "all keys were in use")
        g.stop()
        self.assert_no_secret("the gateway's stderr", g.stderr())
        for f in self.lab.tmp.rglob("*"):
            if f.is_file() and f.name not in ("key", "tokens", "bad.yaml") and f.stat().st_size < 4 << 20:
                self.assert_no_secret(f, f.read_bytes().decode("utf-8", "replace"))


if __name__ == "__main__":
    e2e.main()
