# SPDX-License-Identifier: Apache-2.0
"""Base of the end-to-end tests that need more than a scenario file. Run as: python3 tests/e2e/test_x.py --build build/release"""
import pathlib
import shutil
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import net  # noqa: E402
from ktlib import ROOT, Lab, compiled  # noqa: E402

BUILD = None

TARGETS = """
pack: {{name: e2e, version: 1.0.0, enabled: true}}
policies: {{chain: [prompt-injection, pii-detector, safety-filter, audit-logger]}}
policy:
  prompt-injection: {{threshold: 0.8, action: block}}
  pii-detector: {{action: redact}}
  safety-filter: {{mode: strict, action: block}}
  audit-logger: {{retention_days: 365}}
{top}
providers:
  targets:
    - {{id: up, provider: mistral, model: mistral-large-latest, base_url: "{url}", tls: {{ca_file: "{ca}"}}}}
{more}
"""


class KtTest(unittest.TestCase):
    def setUp(self):
        self.lab = Lab(BUILD)
        self.lab.__enter__()
        self.addCleanup(self.lab.__exit__, None, None, None)

    def targets(self, mock, top="", more=""):
        return self.lab.config(TARGETS.format(url=mock.url, ca=mock.ca, top=top, more=more))

    def install_for_others(self):
        """Makes the lab's own installation: the build may lie where another user cannot go."""
        tmp = self.lab.tmp
        tmp.chmod(0o755)
        for folder, names in (("bin", ["kt"]), ("lib", ["libkt.so", "libktengine.so"])):
            (tmp / folder).mkdir()
            for name in names:
                shutil.copy(self.lab.build / folder / name, tmp / folder / name)
        self.lab.kt, self.lab.libkt = tmp / "bin/kt", tmp / "lib/libkt.so"

    def compiled(self, name, source, *flags, compiler="gcc"):
        """A C program of tests/clients; one in several files (x.c, x_*.c) has the others in `flags`."""
        return compiled(BUILD, name, ROOT / "tests/clients" / source, [compiler, "-O1", "-w", "-o", "{out}", "{source}", *flags])

    def run_ok(self, *args, **kwargs):
        result = self.lab.run(*args, **kwargs)
        self.assertEqual(result.returncode, 0, f"stdout: {result.stdout[-2000:]}\nstderr: {result.stderr[-2000:]}")
        return result

    def assert_audit_ok(self):
        verify = self.lab.verify()
        self.assertEqual(verify.returncode, 0, verify.stdout + verify.stderr)


def main():
    global BUILD
    args = sys.argv[1:]
    if "--build" not in args:
        sys.exit("usage: test_x.py --build DIR [unittest options]")
    i = args.index("--build")
    BUILD = args[i + 1]
    net.isolate()
    sys.modules["e2e"].BUILD = BUILD
    unittest.main(module="__main__", argv=[sys.argv[0]] + args[:i] + args[i + 2:], verbosity=2)
