#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""One wrapped client under Valgrind: curl, with the shim and the engine inside, in both lanes."""
import argparse
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import net  # noqa: E402
from e2e import TARGETS  # noqa: E402
from ktlib import ROOT, Lab  # noqa: E402

BODY = '{"model":"gpt-4o","messages":[{"role":"user","content":"mail alice.jones@example.org"}]}'


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", required=True)
    args = parser.parse_args()
    net.isolate()
    for lane in ("handoff", "divert"):
        with Lab(args.build) as lab:
            mock = lab.mock("up")
            cfg = lab.config(TARGETS.format(url=mock.url, ca=mock.ca, top="", more=""))
            log = lab.tmp / "vg.log"
            command = ["valgrind", "--quiet", "--error-exitcode=99", "--leak-check=full", "--show-leak-kinds=definite",
                       "--errors-for-leak-kinds=definite", f"--suppressions={ROOT}/tests/harness/valgrind.supp", f"--log-file={log}",
                       "curl", "-sS", "--max-time", "100", "https://api.openai.com/v1/chat/completions", "-d", BODY]
            result = lab.run("wrap", cfg, command, env={"MISTRAL_API_KEY": "k"}, timeout=150,
                             trace=f"no-handoff:{lab.tmp}/trace" if lane == "divert" else None)
            if result.returncode != 0 or "chat.completion" not in result.stdout:
                print(f"{lane}: exit {result.returncode}\n{result.stdout}\n{result.stderr}\n{log.read_text()}")
                return 1
            print(f"{lane}: clean, lane {lab.events()[0]['lane']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
