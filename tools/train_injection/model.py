# SPDX-License-Identifier: Apache-2.0
"""The linear model of kt_linear.h, fitted: logistic regression in which a text is as bad as its worst window.

A text is a list of sentences, a sentence its length in bytes and its buckets. Standard library only; the rules
for windows are those of kt_linear.c and its constants.
"""
import array
import math
import random
import struct
import subprocess

BUCKETS, ROW, REACH, SMOOTH = 65536, 4, 320, 32
SIGNS = ("score", "tool_score", "rules", "tool_rules", "best", "length", "decoded")


def look(program, texts):
    """What the product's own code sees: per text a dict of SIGNS and its sentences."""
    data = b"".join(b"%d\n%s\n" % (len(t), t) for t in (t.encode("utf-8", "replace") for t in texts))
    out = subprocess.run([program], input=data, stdout=subprocess.PIPE, check=True).stdout
    at, seen = 0, []
    for _ in texts:
        signs = dict(zip(SIGNS, struct.unpack_from("7f", out, at)))
        (count,) = struct.unpack_from("I", out, at + 28)
        at += 32
        sentences = []
        for _ in range(count):
            size, n = struct.unpack_from("II", out, at)
            buckets = array.array("H")
            buckets.frombytes(out[at + 8: at + 8 + 2 * n])
            sentences.append((size, buckets))
            at += 8 + 2 * n
        seen.append((signs, sentences))
    if at != len(out):
        raise SystemExit("the feature program gave more than was asked for")
    return seen


def windows(sentences):
    """(first, last) of every row of sentences that is judged."""
    for last in range(len(sentences)):
        size = 0
        for first in range(last, max(-1, last - ROW), -1):
            size += sentences[first][0]
            if first < last and size > REACH:
                break
            yield first, last


class Model:
    def __init__(self, weights=None, bias=0.0):
        self.weights, self.bias = weights or [0.0] * BUCKETS, bias

    def best(self, sentences):
        """Log odds of the worst window, and which it is."""
        get = self.weights.__getitem__
        sums = [sum(map(get, b)) for _, b in sentences]
        counts = [len(b) for _, b in sentences]
        top, where = -1e9, (0, -1)
        for first, last in windows(sentences):
            n = sum(counts[first: last + 1]) + SMOOTH
            z = sum(sums[first: last + 1]) / math.sqrt(n)
            if z > top:
                top, where = z, (first, last)
        return (self.bias + top if sentences else self.bias), where

    def fit(self, rows, seed, epochs=12, rate=0.25, decay=0.06):
        """rows: (sentences, label 0/1, weight). AdaGrad; `decay` shrinks all weights after every pass."""
        rng = random.Random(seed)
        rows, seen = list(rows), [1.0] * BUCKETS
        weights, bias_seen = self.weights, 1.0
        for _ in range(epochs):
            rng.shuffle(rows)
            for sentences, label, weight in rows:
                z, (first, last) = self.best(sentences)
                g = (1 / (1 + math.exp(-max(-30.0, min(30.0, z)))) - label) * weight
                if abs(g) < 0.02 or last < 0:
                    continue
                n = sum(len(b) for _, b in sentences[first: last + 1]) + SMOOTH
                step = g / math.sqrt(n)
                square, move = step * step * 40, rate * step * 6
                for _, buckets in sentences[first: last + 1]:
                    for b in buckets:
                        seen[b] += square
                        weights[b] -= move / math.sqrt(seen[b])
                bias_seen += g * g
                self.bias -= 0.1 * g / math.sqrt(bias_seen)
            for b in range(BUCKETS):
                weights[b] *= 1 - decay
        return self

    def quantize(self):
        """int8 weights and the scale that makes them floats again; the largest 0.02 % are cut."""
        top = sorted(abs(w) for w in self.weights)[-13] or 1.0
        scale = top / 127
        ints = [max(-127, min(127, round(w / scale))) for w in self.weights]
        return array.array("b", ints), scale


def auc(positive, negative):
    ranked = sorted([(s, 1) for s in positive] + [(s, 0) for s in negative])
    below = wins = 0
    i = 0
    while i < len(ranked):
        k = i
        while k < len(ranked) and ranked[k][0] == ranked[i][0]:
            k += 1
        pos = sum(y for _, y in ranked[i:k])
        neg = k - i - pos
        wins += pos * (below + neg / 2)
        below += neg
        i = k
    return wins / (len(positive) * len(negative)) if positive and negative else float("nan")


def at_fpr(positive, negative, share=0.01):
    """Recall at the threshold that lets `share` of the negatives through."""
    line = sorted(negative, reverse=True)[int(len(negative) * share)]
    return sum(s > line for s in positive) / len(positive)
