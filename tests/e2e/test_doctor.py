# SPDX-License-Identifier: Apache-2.0
"""kt doctor: what it says of real programs is what then happens, and no key is printed."""
import json
import os
import pathlib
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "harness"))
import e2e  # noqa: E402

SOURCE = "int main(void) { return 0; }\n"


class Doctor(e2e.KtTest):
    def setUp(self):
        super().setUp()
        self.cfg = self.targets(self.lab.mock("up"))

    def doctor(self, *args, env=None, status=0):
        got = subprocess.run([str(self.lab.kt), "doctor", "--json", "--policy-config", str(self.cfg), "--state-dir", str(self.lab.state), *args],
                             capture_output=True, text=True, env=self.lab.env({"MISTRAL_API_KEY": "key-0815", **(env or {})}), timeout=30)
        self.assertNotIn("key-0815", got.stdout + got.stderr)
        if status is not None:
            self.assertEqual(got.returncode, status, got.stdout + got.stderr)
        return json.loads(got.stdout)["findings"] if got.stdout.startswith("{") else got

    def texts(self, findings, topic):
        return " | ".join(f["text"] for f in findings if f["topic"] == topic)

    def build(self, name, *flags):
        path = self.lab.tmp / name
        subprocess.run(["gcc", "-x", "c", "-", "-o", str(path), *flags], input=SOURCE, text=True, check=True)
        return path

    def test_programs(self):
        for cmd, tls, lane in (("curl", "shared OpenSSL", "handoff"), ("wget", "GnuTLS", "divert"), ("node", "of its own", "divert"),
                               ("/usr/bin/python3", "none found", "as the TLS library")):
            found = self.doctor("--", cmd, "ignored argument")
            self.assertIn(tls, self.texts(found, "program"), cmd)
            self.assertIn(lane, self.texts(found, "lane"), cmd)

    def test_static_and_scripts(self):
        found = self.doctor("--", str(self.build("static", "-static")))
        self.assertIn("static", self.texts(found, "program"))
        self.assertIn("supervise", self.texts(found, "lane"))
        script = self.lab.tmp / "script"
        script.write_text("#!/usr/bin/python3 -u\n")
        script.chmod(0o755)
        self.assertIn("script for /usr/bin/python3", self.texts(self.doctor("--", str(script)), "program"))

    def test_scripts_by_env(self):
        for line in ("#!/usr/bin/env node", "#! /usr/bin/env\t-S -u HOME A=b node --no-warnings", "#!/usr/bin/env -Snode"):
            script = self.lab.tmp / "script"
            script.write_text(line + "\n")
            script.chmod(0o755)
            self.assertRegex(self.texts(self.doctor("--", str(script)), "program"), "script for /.*/node.*NODE_EXTRA_CA_CERTS", line)
        outer = self.lab.tmp / "outer"
        outer.write_text(f"#!{script}\n")
        outer.chmod(0o755)
        self.assertIn("NODE_EXTRA_CA_CERTS", self.texts(self.doctor("--", str(outer)), "program"))
        script.write_text(f"#!/usr/bin/env no-such-program\n")
        self.assertIn("no-such-program: No such file", self.texts(self.doctor("--", str(script), status=1), "program"))
        script.write_text(f"#!{script}\n")
        self.doctor("--", str(script), status=1)
        script.write_text("")
        self.assertIn("empty", self.texts(self.doctor("--", str(script), status=1), "program"))

    def test_trust_that_only_wrap_gives_is_said(self):
        own = {"NODE_EXTRA_CA_CERTS": "/etc/ssl/certs/ca-certificates.crt"}
        self.assertNotIn("bare LD_PRELOAD", self.texts(self.doctor("--", "node", env={"NODE_EXTRA_CA_CERTS": ""}), "program"))
        self.assertIn("by bare LD_PRELOAD", self.texts(self.doctor("--", "node", env=own), "program"))
        java = self.build("java")
        self.assertIn("Use kt wrap", self.texts(self.doctor("--", str(java)), "program"))

    def test_what_is_not_seen_is_said(self):
        setuid = self.build("setuid")
        os.chmod(setuid, 0o4755)
        self.assertIn("ignores the preload", self.texts(self.doctor("--", str(setuid), status=1), "program"))
        if shutil.which("musl-gcc"):
            path = self.lab.tmp / "musl"
            subprocess.run(["musl-gcc", "-x", "c", "-", "-o", str(path)], input=SOURCE, text=True, check=True)
            self.assertIn("musl", self.texts(self.doctor("--", str(path), status=1), "program"))
        foreign = bytearray(self.build("foreign").read_bytes())
        foreign[4] = 1  # ELFCLASS32
        (self.lab.tmp / "foreign").write_bytes(foreign)
        self.assertIn("word size", self.texts(self.doctor("--", str(self.lab.tmp / "foreign"), status=1), "program"))
        self.assertIn("No such file", self.texts(self.doctor("--", "no-such-program", status=1), "program"))

    def test_what_goes_past_is_said(self):
        self.assertIn("resolver of its own", self.texts(self.doctor("--", "node"), "program"))
        docker = self.build("docker")
        self.assertIn("container daemon", self.texts(self.doctor("--", str(docker)), "program"))
        self.assertNotIn("container daemon", self.texts(self.doctor("--", "curl"), "program"))

    def test_hostile_files(self):
        good = bytearray(self.build("good").read_bytes())
        for i in (0, 3, 16, 63, 64, 100, 4096):
            path = self.lab.tmp / f"cut{i}"
            path.write_bytes(good[:i])
            self.doctor("--", str(path), status=None)
        for at, value in ((32, b"\xff" * 8), (56, b"\xff\xff"), (64 + 8, b"\xff" * 8), (64 + 56 + 32, b"\xff" * 8)):
            bad = bytearray(good)
            bad[at:at + len(value)] = value
            path = self.lab.tmp / f"bad{at}"
            path.write_bytes(bad)
            found = self.doctor("--", str(path), status=None)
            self.assertTrue(self.texts(found, "program"), at)

    def test_config_keys_and_state(self):
        self.assertIn("present", self.texts(self.doctor(), "key"))
        found = self.doctor(env={"MISTRAL_API_KEY": ""}, status=1)
        self.assertIn("MISTRAL_API_KEY", self.texts(found, "key"))
        self.cfg.write_text("pack: 1\n")
        self.assertIn("kt policy lint", self.texts(self.doctor(status=1), "config"))
        shutil.rmtree(self.lab.state)
        self.lab.state.write_text("a file")
        try:
            self.assertIn("no audit events", self.texts(self.doctor(status=1), "state"))
        finally:
            self.lab.state.unlink()
        got = subprocess.run([str(self.lab.kt), "doctor", "--strange"], capture_output=True, text=True)
        self.assertEqual((got.returncode, got.stdout), (2, ""))


if __name__ == "__main__":
    e2e.main()
