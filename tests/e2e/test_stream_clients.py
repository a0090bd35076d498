# SPDX-License-Identifier: Apache-2.0
"""What stock clients make of streams: as without us, wrapped and behind a gateway, and their going takes the call along."""
import json
import pathlib
import statistics
import subprocess
import sys

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[1] / "harness"), str(pathlib.Path(__file__).resolve().parent)]
import e2e  # noqa: E402
import test_streams  # noqa: E402
from ktlib import PYTHON, wait_for  # noqa: E402
from test_streams import CLIENTS  # noqa: E402


class StreamClients(test_streams.StreamCase):
    # ---- stock clients see what they see without us ----

    WANTED = {"text": "Hello w\u00f6rld \U0001F600", "tools": "", "pieces": "", "choices": "one uno twodue", "aside": "Hello again", "error": "Hello ", "status": ""}

    def begin(self, via, command, what, config, base=None):
        env = {"KEY": "k", "KT_TEST_PROMPT": what, "KT_TEST_STREAM": "1"}
        if via == "none":
            env["KT_TEST_BASE"] = base or self.up.url
        argv, env = self.lab.wrapped(via, config, command, env)
        return subprocess.Popen(argv, env=env, cwd=self.lab.tmp, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def answers(self, asked):
        """Of several programs that run at once: name -> what each saw of each prompt."""
        out = {}
        for name, p in asked.items():
            text, err = p.communicate(timeout=90)
            self.assertEqual(p.returncode, 0, f"{name}: {text[-2000:]}\n{err[-2000:]}")
            out[name] = [self.put_together(json.loads(line)) for line in text.splitlines()]
        return out

    @staticmethod
    def put_together(seen):
        """Calls as clients put their pieces together; how a text is cut is nobody's business."""
        calls = {}
        for piece in seen["calls"]:
            call = calls.setdefault(piece.get("index", 0), {"id": "", "name": "", "arguments": ""})
            call["id"] += piece.get("id") or "" if piece.get("id") != "null" else ""
            for key in ("name", "arguments"):
                call[key] += piece["function"].get(key) or ""
        return {**seen, "calls": calls}

    def same(self, command, provider, wanted=WANTED):
        config, prompts = self.config(provider), ",".join(wanted)
        got = self.answers({"alone": self.begin("none", command, prompts, None), "wrap": self.begin("wrap", command, prompts + ",cut,late", config),
                            "gateway": self.begin("none", command, prompts, None, self.gateway(provider))})
        for i, (what, text) in enumerate(wanted.items()):
            with self.subTest(what):
                self.assertEqual(got["wrap"][i], got["alone"][i])
                self.assertEqual(got["gateway"][i], got["alone"][i])
                self.assertEqual(got["alone"][i]["text"], text)
        cut, late = got["wrap"][-2:]
        self.assertTrue(cut["error"], "a cut is an error, never a short answer")
        self.assertEqual((late["text"], late["finish"]), ("begun ended", "stop"), "comments in front of it are no words")
        self.assert_audit_ok()

    def test_openai_sdk(self):
        self.same(["node", str(CLIENTS / "node/openai_stream.mjs")], "openai")

    def test_mistral_sdk(self):
        """Of a Mistral target it gets what it would get without us, its thoughts too."""
        self.same(["node", str(CLIENTS / "node/mistral_stream.mjs")], "mistral", {**self.WANTED, "thought": "that is four"})

    def test_thoughts_for_clients_of_openai(self):
        config, gateway, httpx = self.config("mistral"), self.gateway("mistral"), [PYTHON, str(CLIENTS / "raw_stream.py"), "httpx"]
        openai = ["node", str(CLIENTS / "node/openai_stream.mjs")]
        for name, got in self.answers({"sdk": self.begin("wrap", openai, "thought", config), "sdk, gateway": self.begin("none", openai, "thought", None, gateway),
                                       "httpx": self.begin("wrap", httpx, "thought", config)}).items():
            self.assertEqual((got[0]["thought"], got[0]["text"]), ("Two and two, Two and two, ", "that is four"), name)

    def test_httpx(self):
        self.same([PYTHON, str(CLIENTS / "raw_stream.py"), "httpx"], "openai")

    def test_aiohttp(self):
        self.same([PYTHON, str(CLIENTS / "raw_stream.py"), "aiohttp"], "openai")

    def test_curl(self):
        self.same([PYTHON, str(CLIENTS / "raw_stream.py"), "curl"], "openai")

    def test_a_block_ends_every_choice_and_raises(self):
        """Of three choices one has finished: the other two end with content_filter, and the client raises."""
        openai, mistral = (["node", str(CLIENTS / f"node/{name}_stream.mjs")] for name in ("openai", "mistral"))
        gateway, native = self.gateway("openai", pii="block"), self.gateway("mistral", pii="block").replace("/v1", "/mistral/v1")
        openai_config, mistral_config = self.config("openai", pii="block"), self.config("mistral", pii="block")
        asked = {"openai": self.begin("wrap", openai, "blocked", openai_config), "openai, gateway": self.begin("none", openai, "blocked", None, gateway),
                 "mistral": self.begin("wrap", mistral, "blocked", mistral_config), "mistral, gateway": self.begin("none", mistral, "blocked", None, native)}
        asked |= {name: self.begin("wrap", [PYTHON, str(CLIENTS / "raw_stream.py"), name], "blocked", openai_config) for name in ("httpx", "aiohttp", "curl")}
        for name, (seen,) in self.answers(asked).items():
            with self.subTest(name):
                self.assertEqual((seen["text"], seen["finishes"]), ("one uno ein ", {"0": "content_filter", "1": "stop", "2": "content_filter"}))
                self.assertTrue(seen["error"], "it raises")
                self.assertNotIn("carol", json.dumps(seen))
        self.assert_audit_ok()

    STATUSES = (400, 401, 403, 404, 409, 422, 429, 500, 503)

    def test_what_a_provider_refuses_with(self):
        """Status and words of a refusal are the provider's; of a target that failed the status is ours, and its words stand in the message."""
        prompts = ",".join([f"status{n}" for n in self.STATUSES] + ["refused"])
        programs = {"openai": ["node", str(CLIENTS / "node/openai_stream.mjs")], "mistral": ["node", str(CLIENTS / "node/mistral_stream.mjs")],
                    **{n: [PYTHON, str(CLIENTS / "raw_stream.py"), n] for n in ("httpx", "aiohttp", "curl")}}
        asked = {(name, via): self.begin(via, command, prompts, self.config("mistral" if name == "mistral" else "openai"))
                 for name, command in programs.items() for via in ("none", "wrap")}
        got = self.answers(asked)
        for name in programs:
            for n, alone, wrapped in zip(self.STATUSES, got[name, "none"], got[name, "wrap"]):
                with self.subTest(f"{name} {n}"):
                    self.assertTrue(alone["error"])
                    if n < 500:
                        self.assertEqual(wrapped, alone)
                        continue
                    self.assertEqual((alone["status"], wrapped["status"]), (n, 502))
                    self.assertIn(f'up (server_error: status {n}: "no such thing")', json.dumps(wrapped).replace('\\"', '"').replace('\\', ""))
            alone, wrapped = got[name, "none"][-1], got[name, "wrap"][-1]
            self.assertTrue(alone["error"] and wrapped["error"], f"{name}: {alone} {wrapped}")
            self.assertEqual(wrapped["status"], 429, "nothing was said: it is as good as a status")
            self.assertIn("slow down", json.dumps(wrapped))

    # ---- a client that goes ----

    def test_every_client_that_goes_takes_its_call_along(self):
        """Over TLS, in each lane, all of them at once; the programs themselves live on."""
        python, node = [PYTHON, str(CLIENTS / "leaving.py")], ["node", str(CLIENTS / "node/leaving.mjs")]
        cells = [([*python, name], lane) for name in ("httpx", "aiohttp", "curl") for lane in ("handoff", "divert")]
        cells += [([*node, name], "divert") for name in ("openai", "mistral")]
        config, times = self.config("mistral"), []
        for command, lane in cells:
            with self.subTest(f"{command[-1]} {lane}"):
                env, seen = {"KEY": "k", "KT_TEST_PROMPT": "gone"}, len(self.up.gone_at)
                argv, env = self.lab.wrapped("wrap", config, command, env, trace=f"no-handoff:{self.lab.tmp}/trace" if lane == "divert" else None)
                p = subprocess.Popen(argv, env=env, cwd=self.lab.tmp, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
                self.addCleanup(lambda p=p: (p.kill() if p.poll() is None else None, p.wait(), [f.close() for f in (p.stdin, p.stdout)]))
                went = float(p.stdout.readline())
                wait_for(lambda: len(self.up.gone_at) > seen, what="the provider to see it")
                took = self.up.gone_at[-1] - went
                print(f"{command[-1]}, {lane}: the provider saw it {took * 1000:.1f} ms behind", flush=True)
                self.assertLess(took, 1.0, "tests/e2e/test_cancel.py measures")
                times.append(took)
                p.communicate(timeout=30)
                self.assertEqual(p.returncode, 0)
        self.assertLess(statistics.median(times), 0.1)
        events = self.lab.events()
        left = [(e["interruption"], e["lane"]) for e in events if "interruption" in e]
        self.assertEqual(left, [("client_gone", lane) for command, lane in cells if command[-1] != "curl"])
        self.assertEqual(sum(e["event_type"] == "interrupted" for e in events), 2, "curl is killed")


if __name__ == "__main__":
    e2e.main()
