#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the built product scores: the hold-outs (holdout*.txt) and, with --data, the shared development sets.

    tools/train_injection/measure.py --features build/release/bin/kt_injection_features [--data ../shared/data]
"""
import argparse
import collections
import os

import corpus
import model

HERE = os.path.dirname(os.path.abspath(__file__))


def read_holdout(name):
    for line in open(os.path.join(HERE, name), encoding="utf-8"):
        if not line.startswith("#") and line.strip():
            kind, lang, text = line.rstrip("\n").split("\t")
            yield kind, lang, text.replace("\\n", "\n")


LANGS = ("en", "de", "fr", "es", "it")
HOSTILE = corpus.ATTACKS + ("tool",)  # tool: an order planted in what a tool gives back
HARMLESS = ("trick", "role", "plain", "office")
STRICTER = 0.85  # a tool result's share of the threshold, as in the policy


def table_row(what, cells):
    if any(cells):
        every = sum(cells, [])
        print(f"| {what} | " + " | ".join(f"{sum(c)}/{len(c)}" if c else "-" for c in cells)
              + f" | {sum(every)}/{len(every)} |")


def holdout(a, name):
    rows = list(read_holdout(name))
    signs = model.Texts(a.features, [t for _, _, t in rows]).signs
    user, tool = collections.defaultdict(list), collections.defaultdict(list)
    for (kind, lang, text), s in zip(rows, signs):
        user[kind, lang].append(s["score"] >= a.threshold)
        tool[kind, lang].append(s["tool_score"] >= a.threshold * STRICTER)
        if a.rows:
            print(f"{s['score']:.3f} {kind} {lang} {text}")
    print(f"| {name} | " + " | ".join(LANGS) + " | all |\n" + "|---" * 7 + "|")
    for kind in HOSTILE + HARMLESS:
        what = "recall" if kind in HOSTILE else "flagged"
        table_row(f"{kind}: {what}", [user[kind, lang] for lang in LANGS])
        if kind in ("tool", "office"):
            table_row(f"{kind}, as a tool result: {what}", [tool[kind, lang] for lang in LANGS])
    bad = [s["score"] for (k, _, _), s in zip(rows, signs) if k in corpus.ATTACKS]
    fine = [s["score"] for (k, _, _), s in zip(rows, signs) if k in HARMLESS]
    print(f"\nAUC {model.auc(bad, fine):.3f}, recall at 1 % false positives {model.at_fpr(bad, fine):.3f} "
          f"({', '.join(corpus.ATTACKS)})")


def sets(a):
    train, measured = corpus.shared(a.data)
    rows, by = train + measured, collections.defaultdict(list)
    for row, s in zip(rows, model.Texts(a.features, [r.text for r in rows]).signs):
        by[row.source, row.lang, row.label].append((s["score"], s["tool_score"]))
    print("\n| set | language | rows | at the threshold | as a tool result |\n|---|---|---|---|---|")
    for (source, lang, label), scores in sorted(by.items()):
        hit = sum(s >= a.threshold for s, _ in scores) / len(scores)
        tool = sum(t >= a.threshold * STRICTER for _, t in scores) / len(scores)
        what = "recall" if label else "FP"
        print(f"| {source} | {lang} | {len(scores)} | {what} {100 * hit:.2f} % | {100 * tool:.2f} % |")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--features", required=True)
    p.add_argument("--data")
    p.add_argument("--threshold", type=float, default=0.8)
    p.add_argument("--rows", action="store_true", help="every text of the hold-out with its score")
    a = p.parse_args()
    for name in ["holdout.txt"] + [f"holdout{n}.txt" for n in range(2, 9)]:
        holdout(a, name)
        print()
    if a.data:
        sets(a)


if __name__ == "__main__":
    main()
