# SPDX-License-Identifier: Apache-2.0
"""The matrix of clients: one program in every cell (mode, way in, lane), all at the same time, each beside the same program without us."""
import contextlib
import json
import re
import subprocess
import time

import net
from ktlib import PYTHON, ROOT, Lab, compiled, dead_port, dig

STREAMED = 1  # calls of a program that are streamed; one more is plain


class Cell:
    """One run of the program, in a folder and a state of its own. Its calls are known by its name, which stands in their prompt."""

    def __init__(self, stack, build, number, mode, via="none", lane="none"):
        self.mode, self.via, self.lane = mode, via, lane
        self.label = f"{mode} {via} {lane}" if via != "none" else "without us"
        self.mark = f"Run r{number:02}"
        self.lab = stack.enter_context(Lab(build))
        self.proc = None

    def start(self, spec, names):
        from scenario import fill
        env = {"KT_TEST_PROMPT": f"{spec['prompt']} {self.mark}", "KT_TEST_AT_ONCE": str(spec["at_once"])}
        for kind in ("all", self.mode):
            env.update(fill(spec["env"].get(kind, {}), names))
        config = self.lab.config(fill(spec["config"][self.mode], names)) if self.via != "none" else None
        trace = f"no-handoff:{self.lab.tmp}/kt.trace" if self.mode == "enforce" and self.lane == "divert" else None
        options = [*(["--mode", "observe"] if self.mode == "observe" else []), *spec.get("options", [])]
        argv, env = self.lab.wrapped(self.via, config, fill(spec["run"], names), env=env, options=options, trace=trace)
        self.out, self.err = (open(self.lab.tmp / f"cell.{what}", "w+", errors="replace") for what in ("stdout", "stderr"))
        self.proc = subprocess.Popen(argv, env=env, cwd=self.lab.tmp, stdin=subprocess.DEVNULL, stdout=self.out, stderr=self.err)

    def finish(self, deadline):
        try:
            self.status = self.proc.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.proc.kill()
            self.status = f"none, it was still running; {self.proc.wait()}"
        self.stdout, self.stderr = (self._text(f) for f in (self.out, self.err))

    @staticmethod
    def _text(file):
        with file:
            file.seek(0)
            return file.read()


def plain(text):
    """Without what no two answers share: the mock's ids, times and models, sizes of prompts (redacted ones are shorter)."""
    text = re.sub(r'("(?:created|prompt_tokens|total_tokens)"): ?\d+', r"\1:0", text)
    text = re.sub(r'("model"): ?"[^"]*"', r'\1:""', text)
    return re.sub(r"(chatcmpl-)?[0-9a-f]{20,}", "id", text)


def of_any_provider(value):
    """An answer without the members that only OpenAI's or only Mistral's have, and its stream's number of chunks: in enforce mode another provider
    answers than without us."""
    own = ("tool_calls", "prefix", "refusal", "logprobs", "service_tier", "system_fingerprint", "chunks")
    if isinstance(value, dict):
        return {k: of_any_provider(v) for k, v in value.items() if k not in own}
    return [of_any_provider(v) for v in value] if isinstance(value, list) else value


def compared(cell, enforce):
    out = {what: plain(str(getattr(cell, what))) for what in ("status", "stdout", "stderr")}
    return {**out, "stdout": of_any_provider(json.loads(out["stdout"]))} if enforce else out


def check_output(cell, alone, spec):
    from scenario import check, check_match
    said = f"stdout: {cell.stdout[-1500:]}\nstderr: {cell.stderr[-1500:]}"
    check(cell.status == 0, f"exit status {cell.status}\n{said}")
    try:
        answer = json.loads(cell.stdout)
    except ValueError:
        check(False, f"no JSON\n{said}")
        return
    check_match("stdout as JSON", answer, spec["json"])
    got = dig(answer, "plain.text") or dig(answer, "plain.body.choices.0.message.content")
    check(got == spec["text"] and dig(answer, "stream.done") in (True, None), f"the answers: {answer}")
    check(answer["at_once"] == [200] * spec["at_once"], f"at once: {answer['at_once']}")
    mine, without = (compared(c, cell.mode == "enforce") for c in (cell, alone))
    for what, a in without.items():
        check(mine[what] == a, f"{what} is {mine[what]!r}, without us {a!r}")


def check_calls(cell, mocks, spec):
    """Its calls came to where they should, all of them, as they should be; and to nowhere else."""
    from scenario import check, check_match, check_text
    right = "target" if cell.mode == "enforce" else "origin"
    rule = spec["upstream"]["enforce" if cell.mode == "enforce" else "observe"]
    for name, requests in mocks.items():
        mine = [r for r in requests if cell.mark in r["body"]]
        want = spec["at_once"] + 1 + STREAMED if name == right else 0
        check(len(mine) == want, f"{len(mine)} requests at the {name}, wanted {want}")
        for r in mine if name == right else []:
            check_text(f"the {name}", r["body"], rule, "body")
            check_match(f"the {name}", {k.lower(): v for k, v in r["headers"].items()}, rule.get("header", {}))
            check_match(f"the {name}", json.loads(r["body"]), rule.get("body_json", {}))


def check_log(cell, spec):
    from scenario import TLS_RECORD, check, check_match
    events = cell.lab.events()
    decisions = [e for e in events if e["event_type"] == "decision"]
    others = {e["event_type"] for e in events} - {"decision", *spec["other_events"]}
    want = spec["at_once"] + 1 + STREAMED
    said = [(e["event_type"], e.get("lane"), e["verdict"], e.get("origin"), e.get("message")) for e in events if e["event_type"] != "decision"]
    check(len(decisions) == want and not others, f"{len(decisions)} decisions, wanted {want}; other events: {said}")
    for e in decisions:
        check_match("event", e, {**spec["event"][cell.mode]["match"], "lane": cell.lane})
    check(sum(e["stream"] is True for e in decisions) == STREAMED, f"streams: {[e['stream'] for e in decisions]}")
    for e in events:
        check(not TLS_RECORD.search(json.dumps(e, ensure_ascii=False)), f"bytes of TLS in {e}")
    verify = cell.lab.verify()
    check(verify.returncode == 0, f"kt events verify: {verify.stdout}{verify.stderr}")


def program(spec, build):
    """Where the client must be compiled first: what `${program}` stands for."""
    c = spec.get("compile")
    return compiled(build, c["name"], ROOT / "tests/clients" / c["source"], c["run"], c.get("env")) if c else ""


def make_cells(stack, build, spec):
    cells = [Cell(stack, build, 0, "alone")]
    for mode in ("enforce", "observe"):
        cells += [Cell(stack, build, len(cells) + i, mode, *way.split()) for i, way in enumerate(spec[mode])]
    return cells


def start_mocks(lab, spec, cells):
    gather = [arg for c in cells for arg in ("--gather", f"{c.mark}, at once={spec['at_once']}")]
    answer = ["--text", spec["text"], "--chunks", "5", *gather]
    front = spec.get("front")
    origin = lab.mock("origin", [*answer, "--require-key", "sk-program-key-0001", "--dialect", spec.get("dialect", "openai")], not front,
                      None if front else spec["host"])
    target = lab.mock("target", [*answer, "--require-key", "target-key-0001"])
    ca = lab.h2_front("origin", spec["host"], front == "h2-gzip").ca if front else origin.ca
    return {"origin.ca": ca, "target.ca": target.ca, "target.url": target.url}


def run_matrix(all_of_it, build):
    """Yields (label, what went wrong or None) for each cell."""
    from scenario import TLS_RECORD, check
    spec = all_of_it["matrix"]
    with contextlib.ExitStack() as stack:
        lab = stack.enter_context(Lab(build))
        net.map_hosts([spec["host"]], lab.tmp)
        stack.callback(net.unmap_hosts)
        cells = make_cells(stack, build, spec)
        names = {"clients": ROOT / "tests/clients", "python": PYTHON, "tmp": lab.tmp, "dead_port": dead_port(), "program": program(spec, build),
                 **start_mocks(lab, spec, cells)}
        for cell in cells:
            cell.start(spec, names)
        deadline = time.monotonic() + spec.get("timeout", 90)
        for cell in cells:
            cell.finish(deadline)
        mocks = {name: mock.requests() for name, mock in lab.mocks.items()}
        for cell in cells:
            try:
                check_output(cell, cells[0], spec)
                check_calls(cell, mocks, spec)
                if cell.via != "none":
                    check_log(cell, spec)
                yield cell.label, None
            except Exception as e:  # noqa: BLE001 - a test runner reports whatever went wrong
                yield cell.label, e
        for request in sum(mocks.values(), []):
            check(not TLS_RECORD.search(request["body"]), f"bytes of TLS in {request['body']!r}")
