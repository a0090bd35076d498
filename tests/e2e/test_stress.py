# SPDX-License-Identifier: Apache-2.0
"""Threads x forks x calls x signals in one host: nothing fails, hangs or is lost, and every call has one event. KT_STRESS_SECONDS sets how long
(default 6 a lane); `tools/dev/stress` runs it for minutes, with the sanitizers' builds too."""
import json
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "harness"))
import e2e  # noqa: E402

SECONDS = int(os.environ.get("KT_STRESS_SECONDS", "6"))


class Stress(e2e.KtTest):
    def storm(self, via, trace):
        mock = self.lab.mock("up", tls=False)
        cfg = self.lab.config(f"""
pack: {{name: stress, version: 1.0.0, enabled: true}}
policies: {{chain: [prompt-injection, pii-detector, safety-filter, audit-logger]}}
policy:
  prompt-injection: {{}}
  pii-detector: {{}}
  safety-filter: {{mode: strict}}
  audit-logger: {{}}
providers:
  targets: [{{id: up, provider: mistral, model: mistral-large-latest, base_url: "{mock.url}"}}]
""")
        client = str(self.lab.build / "bench" / "kt_stress")
        env = {"MISTRAL_API_KEY": "k", **{k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")}}
        got = self.lab.run(via, cfg, [client, "api.openai.com", "443", "/etc/ssl/certs/ca-certificates.crt", "8", str(SECONDS)], env=env,
                           trace=trace, timeout=SECONDS * 4 + 120)
        self.assertEqual((got.returncode, got.stderr), (0, ""), got.stdout)
        seen = json.loads(got.stdout)
        self.assertEqual(seen["failed"], 0, seen)
        self.assertGreater(seen["calls"], 20 * SECONDS)
        self.assertGreater(seen["signals"], 20 * SECONDS)
        self.assertGreaterEqual(seen["children"], SECONDS // 2)
        events = self.lab.events()
        mine = [e for e in events if e["event_type"] == "decision"]
        self.assertEqual([e for e in events if e["event_type"] != "decision"], [])
        self.assertEqual({e["status"] for e in mine}, {200})
        self.assertEqual(len({e["id"] for e in events}), len(events))
        upstream = len(mock.requests())
        self.assertEqual(len(mine), upstream, "one event per call that the upstream saw")
        self.assertGreaterEqual(upstream, seen["calls"])  # the calls of children that were executed anew come on top
        self.assertLessEqual(upstream, seen["calls"] + seen["children"])
        self.assert_audit_ok()
        print(f"{via} {trace or 'handoff'}: {seen}, {len(events)} events", flush=True)

    def test_handoff(self):
        self.storm("wrap", None)

    def test_divert(self):
        self.storm("preload", "no-handoff")


if __name__ == "__main__":
    e2e.main()
