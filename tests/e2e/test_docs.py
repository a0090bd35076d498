# SPDX-License-Identifier: Apache-2.0
"""Help, manual pages, completions and the config reference: generated, current, and right."""
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "harness"))
import e2e  # noqa: E402
from ktlib import PYTHON, ROOT  # noqa: E402


class Docs(e2e.KtTest):
    def setUp(self):
        super().setUp()
        self.out = self.lab.tmp / "docs"
        subprocess.run([PYTHON, str(ROOT / "tools/make_docs.py"), str(self.lab.kt), str(self.out), "1.2.3", "/usr/lib/ktwrap"], check=True)
        top = self.kt("--help")
        self.assertEqual(top.returncode, 0)
        self.commands = re.findall(r"^  ([a-z]+) +\S", top.stdout.split("commands:\n")[1].split("\n\n")[0], re.M)
        self.assertIn("wrap", self.commands)

    def kt(self, *args):
        return subprocess.run([str(self.lab.kt), *args], capture_output=True, text=True, env=self.lab.env(), cwd=self.lab.tmp, timeout=30)

    def test_every_command_explains_itself(self):
        for name in self.commands:
            got = self.kt(name, "--help")
            self.assertEqual((got.returncode, got.stderr), (0, ""), name)
            self.assertTrue(got.stdout.startswith("usage: kt " + name), name)
            got = self.kt(name, "--no-such-option")
            self.assertEqual((got.returncode, got.stdout), (2, ""), f"{name}: {got.stderr}")
            self.assertIn("--help", got.stderr, f"{name} does not say the way on")
        self.assertEqual(self.kt("no-such-command").returncode, 2)

    def test_the_reference_is_current(self):
        self.assertEqual((ROOT / "configs/REFERENCE.md").read_text(), self.kt("policy", "reference").stdout, "run tools/dev/update-golden")

    def test_manual_pages(self):
        for page in ("kt.1", "libkt.8", "policy-config.5"):
            got = subprocess.run(["man", "--warnings", "-E", "UTF-8", "-l", str(self.out / page)], capture_output=True, text=True,
                                 env={**self.lab.env(), "MANWIDTH": "200", "MANPAGER": "cat", "MANROFFSEQ": "", "LC_ALL": "C.UTF-8"})
            self.assertEqual((got.returncode, got.stderr), (0, ""), page)
            self.assertIn("1.2.3", got.stdout)
            if page == "kt.1":
                for name in self.commands:
                    self.assertIn("kt " + name, got.stdout)
        config = (self.out / "policy-config.5").read_text()
        keys = set(re.findall(r"^\| `([^`]+)`", self.kt("policy", "reference").stdout, re.M))
        self.assertEqual(keys - {k.replace("\\-", "-") for k in re.findall(r"^\.B (\S+)", config, re.M)}, set())

    def test_the_readme_quotes_what_is_printed(self):
        """The first column of "When something goes wrong": codes, event types and messages as the sources have them."""
        table = (ROOT / "README.md").read_text().split("## When something goes wrong\n")[1].split("\n## ")[0]
        quoted = [word for row in re.findall(r"^\| (.*?) \| .* \|$", table, re.M)[1:] for word in re.findall(r"`([^`]+)`", row)]
        self.assertGreater(len(quoted), 12)
        sources = "".join(f.read_text() for part in ("shim", "interceptor", "policyengine", "tools") for f in (ROOT / part).rglob("*.[ch]"))
        printed = re.sub(r'"\s*"', "", sources)  # literals over more than one line
        for text in quoted:
            words = re.sub(r"^kt wrap: |\.\.\.$", "", text).strip()
            pattern = re.escape(words).replace(re.escape("'x'"), "'%[.0-9]*s'")
            self.assertRegex(printed, f'"[^"]*{pattern}', f"the README quotes {text}")

    def complete(self, *words):
        script = f"source {self.out}/kt.bash; COMP_WORDS=({' '.join(words)} ''); COMP_CWORD={len(words)}; _kt; printf '%s\\n' \"${{COMPREPLY[@]}}\""
        got = subprocess.run(["bash", "-c", script], capture_output=True, text=True, cwd=self.lab.tmp)
        self.assertEqual((got.returncode, got.stderr), (0, ""))
        return got.stdout.split()

    def test_completions(self):
        self.assertLessEqual(set(self.commands), set(self.complete("kt")))
        self.assertLessEqual({"lint", "explain", "--file"}, set(self.complete("kt", "policy")))
        self.assertLessEqual({"tail", "verify", "--follow"}, set(self.complete("kt", "events")))
        self.assertEqual(self.complete("kt", "wrap", "--mode"), ["observe", "enforce"])
        (self.lab.tmp / "some.yaml").write_text("")
        self.assertIn("some.yaml", self.complete("kt", "wrap", "--policy-config"))
        for shell, file in (("zsh", "_kt"), ("fish", "kt.fish"), ("bash", "kt.bash")):
            got = subprocess.run([shell, "-n", str(self.out / file)], capture_output=True, text=True, env=self.lab.env())
            self.assertEqual((got.returncode, got.stderr), (0, ""), file)


if __name__ == "__main__":
    e2e.main()
