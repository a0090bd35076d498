# SPDX-License-Identifier: Apache-2.0
"""The linear model of kt_linear.h, fitted: logistic regression in which a text is as bad as its worst window.

Standard library only; the loops are in fit.c, the features come from the product's own code (features.c).
"""
import array
import ctypes
import os
import random
import struct
import subprocess

BUCKETS = 1 << 19
SIGNS = ("score", "tool_score", "rules", "tool_rules", "best", "length", "decoded", "whole", "calm")


class _Rows(ctypes.Structure):
    _fields_ = [(name, ctypes.c_void_p) for name in ("bucket", "sentence", "row", "size")]


class _Fit(ctypes.Structure):
    _fields_ = [("weight", ctypes.c_void_p), ("seen", ctypes.c_void_p), ("bias", ctypes.c_double),
                ("bias_seen", ctypes.c_double)]


def at(numbers):
    return ctypes.c_void_p(numbers.buffer_info()[0])


class Texts:
    """What the product's own code sees: `signs` per text (dicts of SIGNS), and the features as flat arrays (fit.c)."""

    def __init__(self, program, texts):
        self.bucket, self.sentence = array.array("I"), array.array("q", [0])
        self.row, self.size, self.signs = array.array("q", [0]), array.array("i"), []
        data = b"".join(b"%d\n%s\n" % (len(t), t) for t in (t.encode("utf-8", "replace") for t in texts))
        out = subprocess.run([program], input=data, stdout=subprocess.PIPE, check=True).stdout
        i, head = 0, 4 * len(SIGNS)
        for _ in texts:
            self.signs.append(dict(zip(SIGNS, struct.unpack_from(f"{len(SIGNS)}f", out, i))))
            (count,) = struct.unpack_from("I", out, i + head)
            i += head + 4
            for _ in range(count):
                size, n = struct.unpack_from("II", out, i)
                self.bucket.frombytes(out[i + 8: i + 8 + 4 * n])
                self.sentence.append(len(self.bucket))
                self.size.append(size)
                i += 8 + 4 * n
            self.row.append(len(self.size))
        if i != len(out):
            raise SystemExit("the feature program gave more than was asked for")
        self.library = os.path.join(os.path.dirname(program), "kt_injection_fit.so")

    def __len__(self):
        return len(self.row) - 1

    def sentences(self, which):
        return self.row[which + 1] - self.row[which]

    def view(self):
        return _Rows(at(self.bucket), at(self.sentence), at(self.row), at(self.size))


class Model:
    def __init__(self, weights=None, bias=0.0):
        self.weights, self.bias = array.array("d", weights or [0.0] * BUCKETS), bias

    def fit(self, texts, which, labels, weights, seed, epochs=12, rate=0.25, decay=0.06):
        """AdaGrad over the rows `which`; `decay` shrinks all weights after every pass."""
        rng, which, library = random.Random(seed), list(which), ctypes.CDLL(texts.library)
        seen, view = array.array("d", [1.0]) * BUCKETS, texts.view()
        labels, weights = array.array("f", labels), array.array("f", weights)
        state = _Fit(at(self.weights), at(seen), self.bias, 1.0)
        for _ in range(epochs):
            rng.shuffle(which)
            order = array.array("i", which)
            library.kt_fit_pass(ctypes.byref(state), ctypes.byref(view), at(labels), at(weights), at(order),
                                ctypes.c_int64(len(order)), ctypes.c_double(rate), ctypes.c_double(decay))
        self.bias = state.bias
        return self

    def judge(self, texts):
        """Per text the log odds of (its worst window, all of it)."""
        view, library = texts.view(), ctypes.CDLL(texts.library)
        best, whole = array.array("d", [0.0]) * len(texts), array.array("d", [0.0]) * len(texts)
        library.kt_fit_judge(at(self.weights), ctypes.c_double(self.bias), ctypes.byref(view),
                             ctypes.c_int64(len(texts)), at(best), at(whole))
        return list(zip(best, whole))

    def quantize(self):
        """int8 weights and the scale that makes them floats again; the largest 0.02 % are cut."""
        top = sorted(abs(w) for w in self.weights)[-BUCKETS // 5000] or 1.0
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
