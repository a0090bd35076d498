#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Trains the linear model of prompt-injection and what joins it with the rules.

    tools/dev/build release kt_injection_features
    tools/train_injection/train.py --features build/release/bin/kt_injection_features [--data ../shared/data]

Writes policyengine/detect/weights/injection.{bin,h} and the tables of REPORT.md (figures.md). Without --data the
shared development sets are left out and the weights differ. Deterministic for the same seed, data and Python.
Then build again: the figures of what ships come from measure.py.
"""
import argparse
import collections
import hashlib
import math
import os
import pickle

import corpus
import model

HERE = os.path.dirname(os.path.abspath(__file__))
WEIGHTS = os.path.join(HERE, "..", "..", "policyengine", "detect", "weights")
SEED = 20261121
# as in kt_injection.c
RULES_MAX, RULES_SURE, BEST_MIN, ODDS_MAX, LENGTH_MAX, WHOLE_MIN = 4.0, 1.0, -3.5, 8.0, 12.0, -5.0
WHOLE_END, WHOLE_FADE, RULES_PAGE, PAGE, BLOCK, SENTENCE = 5.0, 2.0, 0.4, 3.0, 4096, 64
# weights of the rules, the worst window, log2 of the sentences, the whole: set on held-out odds (REPORT.md)
JOIN = (1.5, 1.2, -1.0, 0.3)
DEFAULT_THRESHOLD = 0.8
# the most that may pass the default threshold by mistake, per kind of harmless text, held out
ALLOWED = {"ordinary": 0.006, "documents": 0.008, "hard": 0.04, "role": 0.02, "awesome_old": 0.08,
           "lines/trick": 0.05, "lines/role": 0.03, "lines/plain": 0.008}
KINDS = {"role": ("role", "hard_role"), "hard": ("hard", "quote"), "ordinary": ("ordinary", "prose", "odd")}


def kind(row):
    """What a harmless row tests."""
    if row.source in corpus.ONLY_MEASURED:
        return "documents"
    if row.source in ("selfinstruct", "fastchat_bench"):
        return "ordinary"
    if row.source == "awesome_old":
        return row.source
    family = row.source.rsplit("/", 1)[1]
    if row.source.startswith("lines/"):
        return "lines/" + family
    return next((k for k, names in KINDS.items() if family.startswith(names)), "long")


def author(row):
    """The file of a text by hand, else None."""
    return row.source.split("/")[1] if row.source.startswith("lines/") else None


def train(rows, texts):
    """Weights, bias, and the odds of every row by a model that had seen neither it nor its fold; for texts by hand
    by one that had seen nothing of their author."""
    labels, weights, held = [r.label for r in rows], [r.weight for r in rows], [None] * len(rows)

    def without(out, seed):
        m = model.Model().fit(texts, [i for i in range(len(rows)) if i not in out], labels, weights, SEED + seed)
        judged = m.judge(texts)
        for i in out:
            held[i] = judged[i]

    for fold in range(corpus.FOLDS):
        without({i for i, r in enumerate(rows) if r.fold == fold and not author(r)}, fold)
    for name in sorted({author(r) for r in rows} - {None}):
        without({i for i, r in enumerate(rows) if author(r) == name}, 0)
    full = model.Model().fit(texts, range(len(rows)), labels, weights, SEED)
    return full.quantize(), full.bias, held


def signs(row):
    rules = min(row.signs["rules"], RULES_MAX)
    size = len(row.text.encode())
    sentences = max(1, row.sentences, size // SENTENCE if size > BLOCK else 0)
    length = min(math.log2(sentences), LENGTH_MAX)
    alone = 1 - min(rules / (RULES_SURE + RULES_PAGE * max(0, length - PAGE)), 1)
    few = max(0, min(1, (WHOLE_END - length) / WHOLE_FADE))
    best, whole = row.oof
    return [rules, max(BEST_MIN, min(ODDS_MAX, best)), length * alone, max(WHOLE_MIN, min(ODDS_MAX, whole)) * few * alone]


def odds(row):
    return sum(a * b for a, b in zip(JOIN, signs(row))) - row.signs["calm"]


def line_of(scores, share):
    return sorted(scores, reverse=True)[int(len(scores) * share)]


def threshold(rows):
    """The lowest odds at which every kind of harmless text keeps what ALLOWED says."""
    by = collections.defaultdict(list)
    for r in rows:
        if r.label == 0:
            by[kind(r)].append(odds(r))
    lines = {k: line_of(by[k], share) for k, share in ALLOWED.items() if by[k]}
    print("lines:", {k: round(v, 2) for k, v in lines.items()})
    return max(lines.values())


def figures(rows, line, out):
    by, benign = collections.defaultdict(list), [odds(r) for r in rows if r.label == 0]
    for r in rows:
        by[r.source].append((odds(r), r.label))
    out.write("| source, held out | label | rows | at the default threshold | AUC against all harmless rows "
              "| recall at 1 % |\n|---|---|---|---|---|---|\n")
    for name, seen in sorted(by.items()):
        bad, scores = seen[0][1], [s for s, _ in seen]
        share = sum(s >= line for s in scores) / len(scores)
        tail = f"{model.auc(scores, benign):.3f} | {model.at_fpr(scores, benign):.3f}" if bad else "- | -"
        out.write(f"| {name} | {'attack' if bad else 'harmless'} | {len(seen)} "
                  f"| {'recall' if bad else 'FP'} {100 * share:.1f} % | {tail} |\n")


def write_weights(ints, scale, bias, const):
    data = ints.tobytes()
    with open(os.path.join(WEIGHTS, "injection.bin"), "wb") as f:
        f.write(data)
    with open(os.path.join(WEIGHTS, "injection.h"), "w", encoding="utf-8") as f:
        f.write(f"""/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Written by tools/train_injection/train.py, seed {SEED}. SHA-256 of injection.bin:
 * {hashlib.sha256(data).hexdigest()} */
#define KT_INJECTION_SCALE {scale:.9g}
#define KT_INJECTION_BIAS {bias:.9g}
/* log odds of a block = CONST + RULES * rules + BEST * worst window
 * + (LENGTH * log2(sentences) + WHOLE * whole block) * (1 - rules, at least 0), see kt_injection.c */
#define KT_INJECTION_CONST {const:.6f}
#define KT_INJECTION_RULES {JOIN[0]}
#define KT_INJECTION_BEST {JOIN[1]}
#define KT_INJECTION_LENGTH {JOIN[2]}
#define KT_INJECTION_WHOLE {JOIN[3]}
""")


def trained(a, mark, rows, texts):
    if a.odds and os.path.exists(a.odds):
        with open(a.odds, "rb") as f:
            kept = pickle.load(f)
        if kept[0] == mark:
            return kept[1]
    result = train(rows, texts)
    if a.odds:
        with open(a.odds, "wb") as f:
            pickle.dump((mark, result), f)
    return result


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--features", required=True, help="the program kt_injection_features")
    p.add_argument("--data", help="folder of the shared development sets")
    p.add_argument("--odds", help="file that keeps the trained model: with it a change of the rules alone takes seconds")
    a = p.parse_args()
    rows = corpus.own(SEED)
    rows += corpus.long_texts(rows, SEED) + corpus.glued_texts(rows, SEED) + corpus.lines()
    shared, measured = corpus.shared(a.data)
    rows += shared
    texts, documents = (model.Texts(a.features, [r.text for r in some]) for some in (rows, measured))
    for some, seen in ((rows, texts), (measured, documents)):
        for i, r in enumerate(some):
            r.signs, r.sentences = seen.signs[i], seen.sentences(i)
    print(f"{len(rows)} rows to train on, {len(measured)} to measure with", flush=True)
    mark = hashlib.sha256(texts.bucket.tobytes() + bytes(r.label for r in rows)).hexdigest()
    (ints, scale), bias, held = trained(a, mark, rows, texts)
    for r, seen in zip(rows, held):
        r.oof = seen
    shipped = model.Model([w * scale for w in ints], bias)
    for r, seen in zip(measured, shipped.judge(documents)):  # never trained on: what ships may judge them
        r.oof = seen
    line = threshold(rows + measured)
    write_weights(ints, scale, bias, math.log(DEFAULT_THRESHOLD / (1 - DEFAULT_THRESHOLD)) - line)
    with open(os.path.join(HERE, "figures.md"), "w", encoding="utf-8") as f:
        figures(rows + measured, line, f)
    print(f"line {line:.3f}")


if __name__ == "__main__":
    main()
