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


def holdout(a, name):
    rows = list(read_holdout(name))
    scores = [s["score"] for s in model.Texts(a.features, [t for _, _, t in rows]).signs]
    cells = collections.defaultdict(list)
    for (kind, lang, text), score in zip(rows, scores):
        cells[kind, lang].append(score >= a.threshold)
        if a.rows:
            print(f"{score:.3f} {kind} {lang} {text}")
    langs = ("en", "de", "fr", "es", "it")
    print(f"| {name} | " + " | ".join(langs) + " | all |\n" + "|---" * 7 + "|")
    for kind in corpus.ATTACKS + ("trick", "role", "plain", "office"):
        hits = [cells[kind, lang] for lang in langs]
        every = sum(hits, [])
        print(f"| {kind}: {'recall' if kind in corpus.ATTACKS else 'flagged'} | "
              + " | ".join(f"{sum(h)}/{len(h)}" if h else "-" for h in hits) + f" | {sum(every)}/{len(every)} |")
    bad = [s for (k, _, _), s in zip(rows, scores) if k in corpus.ATTACKS]
    fine = [s for (k, _, _), s in zip(rows, scores) if k not in corpus.ATTACKS]
    print(f"\nAUC {model.auc(bad, fine):.3f}, recall at 1 % false positives {model.at_fpr(bad, fine):.3f}")


def sets(a):
    train, measured = corpus.shared(a.data)
    rows, by = train + measured, collections.defaultdict(list)
    for row, s in zip(rows, model.Texts(a.features, [r.text for r in rows]).signs):
        by[row.source, row.lang, row.label].append((s["score"], s["tool_score"]))
    print("\n| set | language | rows | at the threshold | as a tool result |\n|---|---|---|---|---|")
    for (source, lang, label), scores in sorted(by.items()):
        hit = sum(s >= a.threshold for s, _ in scores) / len(scores)
        tool = sum(t >= a.threshold * 0.85 for _, t in scores) / len(scores)
        what = "recall" if label else "FP"
        print(f"| {source} | {lang} | {len(scores)} | {what} {100 * hit:.2f} % | {100 * tool:.2f} % |")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--features", required=True)
    p.add_argument("--data")
    p.add_argument("--threshold", type=float, default=0.8)
    p.add_argument("--rows", action="store_true", help="every text of the hold-out with its score")
    a = p.parse_args()
    for name in ["holdout.txt"] + [f"holdout{n}.txt" for n in range(2, 8)]:
        holdout(a, name)
        print()
    if a.data:
        sets(a)


if __name__ == "__main__":
    main()
