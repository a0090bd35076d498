/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The parts of the build-time generator. Errors end the program: it runs in a build only. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

typedef unsigned __int128 kt_concept_set;

struct kt_patc_concept {
    const char *name, *words;
};
struct kt_patc_phrase {
    unsigned family, weight;
    const char *regex;
};
struct kt_patc_rule {
    unsigned family, weight, gap, sentences;
    kt_concept_set steps[4];
};
struct kt_patc_set {
    const char *name;
    const struct kt_patc_concept *concepts;
    unsigned concept_count;
    const struct kt_patc_phrase *phrases;
    unsigned phrase_count;
    const struct kt_patc_rule *rules;
    unsigned rule_count;
};

_Noreturn void kt_patc_die(const char *where, const char *what);

/* Calls `add` for every row of words that `expression` stands for. */
void kt_patc_expand(const char *where, const char *expression, void (*add)(void *ctx, const char *words),
                    void *ctx);

/* Writes struct kt_lexicon kt_lexicon_<name> and what it points to. */
void kt_patc_lexicon(const struct kt_patc_set *set, FILE *out);

/* Writes the tables of kt_classes.h. */
void kt_patc_classes(FILE *out);

/* Writes struct kt_needles all_needles. False, and nothing: not every phrase has needles. */
bool kt_patc_needles(const struct kt_patc_set *set, FILE *out);
