#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs declarative scenarios: tests/scenario/*.toml (client, faults, expectation). tests/scenario/README.md has the words."""
import argparse
import contextlib
import json
import pathlib
import re
import shutil
import sys
import tomllib

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import net  # noqa: E402
from ktlib import PYTHON, ROOT, Lab, dead_port, dig  # noqa: E402
from matrix import run_matrix  # noqa: E402


class Failed(AssertionError):
    pass


TLS_RECORD = re.compile(r"[\x14-\x17]\x03[\x01-\x04]|\\u001[4-7]\\u0003\\u000[1-4]")  # JSON writes them so


def check(ok, text):
    if not ok:
        raise Failed(text)


def fill(value, names):
    if isinstance(value, str):
        return re.sub(r"\$\{([\w.]+)\}", lambda m: str(names[m.group(1)]), value)
    if isinstance(value, list):
        return [fill(v, names) for v in value]
    if isinstance(value, dict):
        return {k: fill(v, names) for k, v in value.items()}
    return value


def check_text(where, text, rules, prefix):
    for piece in rules.get(prefix + "_has", []):
        check(piece in text, f"{where}: {piece!r} is missing in {text!r}")
    for piece in rules.get(prefix + "_lacks", []):
        check(piece not in text, f"{where}: {piece!r} must not stand in {text!r}")


def check_match(where, value, match):
    for path, want in match.items():
        got = dig(value, path)
        if isinstance(want, str) and want.startswith("~"):
            check(got is not None and re.search(want[1:], str(got)), f"{where}: {path} is {got!r}, wanted to match {want[1:]!r}")
        else:
            check(got == want, f"{where}: {path} is {got!r}, wanted {want!r}; all: {json.dumps(value)[:1500]}")


def check_client(result, rules):
    want = rules.get("exit", 0)
    check(result.returncode == want,
          f"exit status {result.returncode}, wanted {want}\nstdout: {result.stdout[-1500:]}\nstderr: {result.stderr[-1500:]}")
    check_text("stdout", result.stdout, rules, "stdout")
    check_text("stderr", result.stderr, rules, "stderr")
    if "json" in rules:
        check_match("stdout as JSON", json.loads(result.stdout), rules["json"])


def check_upstream(lab, rules):
    for rule in rules:
        got = lab.mocks[rule["mock"]].requests()
        where = f"mock {rule['mock']}"
        if "count" in rule:
            check(len(got) == rule["count"], f"{where}: {len(got)} requests, wanted {rule['count']}: {got}")
        for req in got:
            check_text(where, req["body"], rule, "body")
            check_match(where, {k.lower(): v for k, v in req["headers"].items()}, rule.get("header", {}))
            if "body_json" in rule:
                check_match(where, json.loads(req["body"]), rule["body_json"])


def check_no_tls_bytes(lab):
    """What was taken for plaintext, by an upstream or by the log, must hold no head of a TLS record."""
    for name, mock in lab.mocks.items():
        for req in mock.requests():
            check(not TLS_RECORD.search(req["body"]), f"mock {name}: bytes of TLS in {req['body']!r}")
    for event in lab.events():
        check(not TLS_RECORD.search(json.dumps(event, ensure_ascii=False)), f"bytes of TLS in {event}")


def check_events(lab, rules, count):
    events = lab.events()
    if count is not None and count >= 0:
        check(len(events) == count, f"{len(events)} events, wanted {count}: {json.dumps(events)[:2000]}")
    for rule in rules:
        problems = []
        hits = 0
        for event in events:
            try:
                check_match("event", event, rule["match"])
                hits += 1
            except Failed as e:
                problems.append(str(e))
        want = rule.get("count")
        if want is None:
            check(hits >= 1, "no event matches: " + "; ".join(problems or ["there are no events"]))
        else:
            check(hits == want, f"{hits} events match {rule['match']}, wanted {want}: {problems[:2]}")
    if events:
        verify = lab.verify()
        check(verify.returncode == 0, f"kt events verify: {verify.stdout}{verify.stderr}")


def merged(base, over):
    """Tables merge, everything else is replaced."""
    if isinstance(base, dict) and isinstance(over, dict):
        return {k: merged(base[k], over[k]) if k in base and k in over else over.get(k, base.get(k)) for k in {**base, **over}}
    return over


def load(path):
    spec = tomllib.loads(path.read_text())
    base = spec.pop("extends", None)
    return merged(load(path.parent / base), spec) if base else spec


def unmarked(text):
    """Without the mock's ids and times, which no two answers share."""
    return re.sub(r'"created": ?\d+', '"created":0', re.sub(r"chatcmpl-[0-9a-f]+", "chatcmpl-0", text))


def same_alone(lab, spec, names, env, result):
    """What the program says without us."""
    alone = lab.run("none", None, fill(spec["client"]["run"], names), env=env, timeout=spec["client"].get("timeout", 60))
    for what in ("returncode", "stdout", "stderr"):
        a, b = (unmarked(str(getattr(r, what))) for r in (alone, result))
        check(a == b, f"{what} is {b!r}, without us {a!r}")


@contextlib.contextmanager
def origins(spec, lab):
    """Names of mocks that stand for the hosts that programs mean to call."""
    hosts = [m["origin"] for m in spec.get("mock", []) if "origin" in m]
    if hosts:
        net.map_hosts(hosts, lab.tmp)
    try:
        yield
    finally:
        if hosts:
            net.unmap_hosts()


def run_variant(spec, build, via, lane):
    with Lab(build) as lab, origins(spec, lab):
        names = {"tmp": lab.tmp, "src": ROOT, "build": lab.build, "python": PYTHON, "kt": lab.kt, "dead_port": dead_port(),
                 "state": lab.state, "clients": ROOT / "tests" / "clients", "via": via, "lane": lane}
        for m in spec.get("mock", []):
            front = m.get("front")
            mock = lab.mock(m["name"], fill(m.get("args", []), names), m.get("tls", True) and not front, None if front else m.get("origin"))
            ca = lab.h2_front(m["name"], m["origin"], front == "h2-gzip").ca if front else mock.ca
            names.update({f"{m['name']}.port": mock.port, f"{m['name']}.url": mock.url, f"{m['name']}.ca": ca})
        config = lab.config(fill(spec["config"], names)) if "config" in spec else None
        client = spec["client"]
        env = {"MISTRAL_API_KEY": "target-key-0001", **fill(client.get("env", {}), names)}
        trace = f"no-handoff:{lab.tmp}/kt.trace" if lane == "divert" else None
        result = lab.run(via, config, fill(client["run"], names), env=env, options=fill(client.get("options", []), names),
                         trace=trace, timeout=client.get("timeout", 60))
        expect = fill(spec["expect"], names)
        check_client(result, expect)
        if expect.get("same"):
            same_alone(lab, spec, names, env, result)
        check_upstream(lab, expect.get("upstream", []))
        check_no_tls_bytes(lab)
        check_events(lab, expect.get("event", []), expect.get("events"))
        check_match_lane(lab, expect, via, lane)


def run_variants(spec, build):
    """Yields (label, what went wrong or None)."""
    for via in spec["client"].get("via", ["wrap"]):
        for lane in spec["client"].get("lanes", ["handoff"]):
            try:
                run_variant(spec, build, via, lane)
                yield f"{via}, {lane}", None
            except Exception as e:  # noqa: BLE001 - a test runner reports whatever went wrong
                yield f"{via}, {lane}", e


def check_match_lane(lab, expect, via, lane):
    """The event says which lane saw the call; a test of the handoff lane must not pass by divert."""
    wanted = expect.get("lane", {}).get(lane)
    if wanted and via != "none":
        got = {e.get("lane") for e in lab.events() if e["event_type"] == "decision"}
        check(got == {wanted}, f"lanes {got}, wanted {wanted}")


def missing_tool(spec):
    for tool in spec.get("needs", []):
        path = ROOT / tool if "/" in tool else None
        if (path and not path.exists()) or (not path and not shutil.which(tool)):
            return tool
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", required=True)
    parser.add_argument("files", nargs="+")
    args = parser.parse_args()
    net.isolate()
    passed = failed = 0
    for name in args.files:
        spec = load(pathlib.Path(name))
        tool = missing_tool(spec)
        check(tool is None, f"{name}: needs {tool}, which is not installed (tools/dev/setup installs it)")
        for variant, problem in run_matrix(spec, args.build) if "matrix" in spec else run_variants(spec, args.build):
            label = f"{pathlib.Path(name).stem} [{variant}]"
            print(f"FAIL {label}: {type(problem).__name__}: {problem}" if problem else f"ok   {label}", flush=True)
            passed, failed = passed + (not problem), failed + bool(problem)
    print(f"{passed} passed, {failed} failed", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
