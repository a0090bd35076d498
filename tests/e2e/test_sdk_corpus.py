# SPDX-License-Identifier: Apache-2.0
"""Every kind of request of the stock openai SDK reaches a strict Mistral without a 422, keeps its texts and all that Mistral knows, and its answer parses.
What Mistral accepts is written down here and in `kt mock` by its published schema, not by our translator."""
import json
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "harness"))
import e2e  # noqa: E402
from ktlib import ROOT  # noqa: E402

CORPUS = ROOT / "tests/clients/node/sdk_corpus.mjs"
KEPT = ["temperature", "top_p", "max_tokens", "stream", "stop", "metadata", "response_format", "tools", "tool_choice", "presence_penalty",
        "frequency_penalty", "n", "prediction", "parallel_tool_calls", "prompt_cache_key"]
ID = re.compile(r"^[a-zA-Z0-9]{9}$")


def texts(messages):
    """Every text of a conversation, in order, whatever shape it stands in; empty ones are none."""
    out = []
    for m in messages:
        for key in ("content", "refusal"):
            value = m.get(key)
            if isinstance(value, str):
                out.append(value)
            elif isinstance(value, list):
                out += [p.get("text", p.get("refusal")) for p in value if p.get("type") in ("text", "refusal")]
        for c in m.get("tool_calls") or []:
            out.append(json.dumps(c["function"]["arguments"]))
        if m.get("function_call"):
            out.append(json.dumps(m["function_call"]["arguments"]))
    return [t for t in out if t]


class SdkCorpus(e2e.KtTest):
    def ask(self, via, config, url=None):
        env = {"MISTRAL_API_KEY": "k", **({"OPENAI_BASE_URL": url} if url else {})}
        got = self.lab.run(via, config, ["node", str(CORPUS)], env=env, timeout=120)
        self.assertEqual(got.returncode, 0, got.stderr)
        return {r["name"]: r for r in map(json.loads, filter(None, got.stdout.split("\n")))}

    def bodies(self, mock):
        return [(r["path"], json.loads(r["body"])) for r in mock.requests() if r["body"]]

    def test_all(self):
        recorder = self.lab.mock("openai", ["--dialect", "openai"], tls=False)
        self.ask("none", None, recorder.url)
        strict = self.lab.mock("strict")
        cfg = self.lab.config(f"""
pack: {{name: corpus, version: 1.0.0, enabled: true}}
policies: {{chain: [audit-logger]}}
policy: {{audit-logger: {{}}}}
providers:
  targets: [{{id: up, provider: mistral, model: mistral-small-latest, base_url: "{strict.url}", tls: {{ca_file: "{strict.ca}"}}}}]
""")
        answers = self.ask("wrap", cfg)
        self.assertGreater(len(answers), 120)
        for name, answer in answers.items():
            self.assertNotIn("error", answer, name)
            if "texts" in answer:
                self.assertTrue(all(answer["texts"]), answer)
                self.assertIn(answer.get("finish", "stop"), ("stop", "tool_calls"), answer)
            if name.endswith("(stream)"):
                self.assertGreater(answer["total"] or 0, 0, f"{name}: include_usage was asked for")
        self.assertEqual(answers["models"]["ids"], ["mistral-small-latest"])
        self.assertEqual(answers["embeddings"]["count"], 2)
        self.assertEqual(len(answers["n"]["texts"]), 2)
        asked, sent = self.bodies(recorder), self.bodies(strict)
        self.assertEqual(len(asked), len(sent))
        for (path, before), (_, after) in zip(asked, sent):
            with self.subTest(path=path, before=json.dumps(before)[:300]):
                self.check(path, before, after)
        self.assert_audit_ok()
        self.assertEqual({e["status"] for e in self.lab.events()}, {200})

    def check(self, path, before, after):
        if path.endswith("/chat/completions"):
            self.check_chat(before, after)
        elif path.endswith("/embeddings"):
            self.assertEqual((after["input"], after.get("output_dimension")), (before["input"], before.get("dimensions")))
        elif path.endswith("/completions"):
            self.assertEqual([after.get(k) for k in ("prompt", "suffix", "max_tokens", "temperature", "random_seed")],
                             [before.get(k) for k in ("prompt", "suffix", "max_tokens", "temperature", "seed")])

    def check_chat(self, before, after):
        self.assertEqual(after["model"], "mistral-small-latest")
        want = {k: before[k] for k in KEPT if before.get(k) is not None}
        if before.get("max_completion_tokens"):
            want["max_tokens"] = before["max_completion_tokens"]
        if (before.get("seed") or -1) >= 0:
            want["random_seed"] = before["seed"]
        if want.get("temperature", 0) > 1.5:
            want["temperature"] = 1.5
        self.want_tools(before, want)
        if want.get("prediction") and not isinstance(want["prediction"]["content"], str):
            want["prediction"] = {"type": "content", "content": want["prediction"]["content"][0]["text"]}
        if before.get("reasoning_effort"):
            want["reasoning_effort"] = "none" if before["reasoning_effort"] == "none" else "high"
        schema = (want.get("response_format") or {}).get("json_schema")
        if schema:
            schema.setdefault("schema", {})
        if schema and schema.get("strict") is None:
            schema.pop("strict", None)
        got = {k: v for k, v in after.items() if k not in ("model", "messages") and v is not None}
        self.assertEqual(got, want)
        self.assertEqual(texts(self.without_bridges(after["messages"])), texts(before["messages"]))
        self.check_ids(before["messages"], after["messages"])
        pictures = [p for m in after["messages"] if isinstance(m.get("content"), list) for p in m["content"] if p["type"] == "image_url"]
        self.assertEqual(len(pictures), json.dumps(before).count('"type": "image_url"'))

    @staticmethod
    def without_bridges(messages):
        """Mistral wants an assistant's word between a tool's result and the user's next message; OpenAI does not."""
        return [m for i, m in enumerate(messages) if not (m["role"] == "assistant" and m.get("content") == "Noted." and 0 < i < len(messages) - 1 and
                                                          messages[i - 1]["role"] == "tool" and messages[i + 1]["role"] == "user")]

    def want_tools(self, before, want):
        if before.get("functions"):
            want["tools"] = [{"type": "function", "function": dict(f)} for f in before["functions"]]
            choice = before.get("function_call")
            want["tool_choice"] = {"type": "function", "function": choice} if isinstance(choice, dict) else choice
        for tool in want.get("tools", []):
            f = tool.get("function")
            if f is not None:
                f.setdefault("parameters", {"type": "object", "properties": {}})
                if f.get("strict") is None:
                    f.pop("strict", None)
        if "tools" in want:
            want["tools"] = [t for t in want["tools"] if t["type"] == "function"]
        if not want.get("tools"):
            for key in ("tools", "tool_choice", "parallel_tool_calls"):
                want.pop(key, None)
        choice = want.get("tool_choice")
        if choice == "required" or (isinstance(choice, dict) and choice.get("type") != "function"):
            may_do_without = choice != "required" and choice.get("allowed_tools", {}).get("mode") == "auto"
            want["tool_choice"] = "auto" if may_do_without else "any"

    def check_ids(self, before, after):
        calls = [c["id"] for m in after for c in m.get("tool_calls") or []]
        results = [m["tool_call_id"] for m in after if m["role"] == "tool"]
        for name in calls + results:
            self.assertRegex(name, ID)
        original = [c["id"] for m in before for c in m.get("tool_calls") or []]
        self.assertEqual(len(set(calls)), len(set(original)) + sum(1 for m in before if m.get("function_call")))
        self.assertEqual(set(results), set(calls))
        for old, new in zip(original, calls):
            if ID.match(old):
                self.assertEqual(old, new)


if __name__ == "__main__":
    e2e.main()
