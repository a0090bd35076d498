# SPDX-License-Identifier: Apache-2.0
"""Texts out of the grammars in texts/.

    name = one | two | ...        a slot; alternatives may be empty and may hold slots and (a|b) groups
    [inj override 500]            label (inj, ok), family, how many texts to draw from the lines below
    {slot} words (this|that)      one template

The same seed gives the same texts. Every template of a family is used equally often.
"""
import random
import re

GROUP = re.compile(r"\(([^()]*\|[^()]*)\)")
SLOT = re.compile(r"\{(\w+)\}")
GLUED = re.compile(r"\{(end|then|q)\}")  # slots that bring their own sign or a word
DEPTH = 12


class Grammar:
    def __init__(self, paths):
        self.slots, self.families = {}, {}
        for path in paths:
            self.read(path)

    def read(self, path):
        family = None
        for number, line in enumerate(open(path, encoding="utf-8"), 1):
            line = line.rstrip("\n")
            head = re.fullmatch(r"\[(inj|ok) ([\w-]+) (\d+)\]", line)
            slot = re.match(r"(\w+) = (.*)", line)
            if not line.strip() or line.startswith("# "):
                continue
            if head:
                family = self.families.setdefault(head[2], {"label": head[1], "count": 0, "templates": []})
                family["count"] += int(head[3])
            elif slot:
                self.slots[slot[1]] = [a.strip() for a in slot[2].split("|")]
            elif family is not None:
                family["templates"].append(GLUED.sub(r" {\1}", line))
            else:
                raise SystemExit(f"{path}:{number}: a template before any [family]")

    def expand(self, text, rng, depth=0):
        if depth > DEPTH:
            return ""
        while (m := GROUP.search(text)) is not None:
            text = text[: m.start()] + rng.choice(m[1].split("|")) + text[m.end():]

        def fill(m):
            if m[1] not in self.slots:
                raise SystemExit(f"unknown slot {{{m[1]}}} in: {text}")
            return self.expand(rng.choice(self.slots[m[1]]), rng, depth + 1)

        return SLOT.sub(fill, text)

    def draw(self, seed):
        """Yields (label, family, template number, text)."""
        for name, family in self.families.items():
            rng = random.Random(f"{seed} {name}")
            seen = set()
            for i in range(family["count"] * 2):
                if len(seen) == family["count"]:
                    break
                which = i % len(family["templates"])
                text = tidy(self.expand(family["templates"][which], rng), rng)
                if text and text not in seen:
                    seen.add(text)
                    yield family["label"], name, which, text


def tidy(text, rng):
    """What people do to a sentence: capitals or none, a missing full stop, a stray space."""
    text = re.sub(r"[ \t]+", " ", text).strip().replace("\\n", "\n")
    text = re.sub(r" +([.,!;?])", r"\1", text)
    text = re.sub(r"([.!?;,])[.,;]+", r"\1", text)
    kind = rng.random()
    if kind < 0.7:
        text = text[:1].upper() + text[1:]
    elif kind < 0.74:
        text = text.upper()
    if rng.random() < 0.1:
        text = text.rstrip(".!?")
    return text
