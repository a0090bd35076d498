# SPDX-License-Identifier: Apache-2.0
"""A host that is not intercepted is not touched; a process without an LLM call never maps the engine."""
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "harness"))
import e2e  # noqa: E402
from ktlib import PYTHON  # noqa: E402
from servers import HttpsServer, make_ca  # noqa: E402

REQUESTS = """
import requests, sys
url, verify, wrong = sys.argv[1:4]
s = requests.Session()
s.verify = verify
print(s.get(url, timeout=10).text)
for bad in (True, wrong):
    s = requests.Session()  # a pooled connection would not be verified again
    s.verify = bad
    try:
        s.get(url, timeout=10)
        print("accepted")
    except requests.exceptions.SSLError:
        print("refused")
print("engine" if "libktengine" in open("/proc/self/maps").read() else "no engine")
print("shim" if "libkt.so" in open("/proc/self/maps").read() else "no shim")
"""


class Untouched(e2e.KtTest):
    def setUp(self):
        super().setUp()
        self.ca, cert, key = make_ca(self.lab.tmp, "own")
        self.other_ca, _, _ = make_ca(self.lab.tmp, "other")
        server = HttpsServer(cert, key)
        server.__enter__()
        self.addCleanup(server.__exit__)
        self.url = f"https://localhost:{server.port}/"
        self.mock = self.lab.mock("up")
        self.cfg = self.targets(self.mock)
        # A plan is current before, as it is for every process but the first of a config.
        self.lab.run("preload", self.cfg, [PYTHON, "-c", "import socket\ntry:\n socket.getaddrinfo('api.openai.com', 443)\nexcept OSError: pass"])

    def same_without_us(self, command, env=None):
        alone = self.lab.run("none", self.cfg, command, env=env)
        for via in ("wrap", "preload"):
            got = self.lab.run(via, self.cfg, command, env=env)
            want = alone.stdout.replace("no shim", "shim")
            self.assertEqual((got.returncode, got.stdout), (alone.returncode, want), f"{via}: {got.stderr}")
        return alone

    def test_requests_with_session_verify(self):
        alone = self.same_without_us([PYTHON, "-c", REQUESTS, self.url, str(self.ca), str(self.other_ca)])
        self.assertEqual(alone.stdout.split("\n")[:4], ["plain https", "refused", "refused", "no engine"])

    def test_short_processes_write_nothing(self):
        """Thousands of processes that call nobody: no file comes, none changes, and none of them maps the engine."""
        look = "find . -printf '%p %s %T@\\n' | sort"
        script = f"""cd "$1" && {look} >"$2/before" && i=0
while [ $i -lt 3000 ]; do /bin/true || exit 9; i=$((i+1)); done
{look} >"$2/after" && cmp "$2/before" "$2/after" && echo same"""
        out = self.lab.tmp / "short"
        out.mkdir()
        got = self.lab.run("wrap", self.cfg, ["sh", "-c", script, "sh", str(self.lab.state), str(out)], env={"MISTRAL_API_KEY": "k"}, timeout=400)  # 3 ms each on a machine of its own
        self.assertEqual((got.returncode, got.stdout, got.stderr), (0, "same\n", ""))
        self.assertGreater((out / "before").stat().st_size, 0)

    def test_short_processes_stay_small(self):
        """Peak memory, medians of starts in turn; time is the bench's (tests/bench/run)."""
        got = self.lab.run("none", None, [str(self.lab.build / "bench" / "kt_bench_spawn"), str(self.lab.libkt), "60", "/bin/true"],
                           env={"KT_POLICY_CONFIG": str(self.cfg), "KT_STATE_DIR": str(self.lab.state)})
        rss = json.loads(got.stdout)
        self.assertLess(rss["with_kib"] - rss["without_kib"], 200, rss)

    def test_requests_ca_bundle_variable(self):
        code = f"import requests; print(requests.get('{self.url}', timeout=10).text)"
        alone = self.same_without_us([PYTHON, "-c", code], env={"REQUESTS_CA_BUNDLE": str(self.ca)})
        self.assertEqual(alone.stdout.strip(), "plain https")

    def test_curl_checks(self):
        alone = self.same_without_us(["curl", "-sS", "--cacert", str(self.ca), self.url])
        self.assertEqual(alone.stdout, "plain https")
        self.assertEqual(self.same_without_us(["curl", "-s", "--cacert", str(self.other_ca), self.url]).returncode, 60)
        self.assertEqual(self.same_without_us(["curl", "-s", self.url]).returncode, 60)

    def test_no_event_is_written(self):
        self.run_ok("wrap", self.cfg, ["curl", "-sS", "--cacert", str(self.ca), self.url])
        self.assertEqual(self.lab.events(), [])

    def test_our_ca_is_trusted_for_intercepted_hosts_only(self):
        """The CA of the tree carries nameConstraints: even where a stack trusts it, no other name can be signed."""
        code = "import os; print(open(os.environ['NODE_EXTRA_CA_CERTS']).read())"
        pem = self.run_ok("wrap", self.cfg, [PYTHON, "-c", code]).stdout
        path = self.lab.tmp / "tree-ca.pem"
        path.write_text(pem)
        import subprocess
        text = subprocess.run(["openssl", "x509", "-in", str(path), "-noout", "-text"], capture_output=True, text=True).stdout
        self.assertRegex(text, r"X509v3 Name Constraints: critical")
        self.assertIn("DNS:api.openai.com", text)


if __name__ == "__main__":
    e2e.main()
