/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/base/kt_suggest.h"

#include <stdio.h>
#include <string.h>

enum { MAX_WORD = 63 };

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* Case, and the hyphen that YAML authors put for an underscore, are no difference worth counting twice. */
static char folded(char c)
{
    if (c >= 'A' && c <= 'Z')
        return (char)(c - 'A' + 'a');
    return c == '-' ? '_' : c;
}

/* Edits to get from a to b: insert, delete, replace, swap of two neighbours. Both at most MAX_WORD long. */
static unsigned distance(const char *a, size_t alen, const char *b, size_t blen)
{
    unsigned rows[3][MAX_WORD + 1];
    unsigned *before = rows[0], *above = rows[1], *here = rows[2];
    for (size_t j = 0; j <= blen; j++)
        above[j] = (unsigned)j;
    for (size_t i = 1; i <= alen; i++) {
        here[0] = (unsigned)i;
        for (size_t j = 1; j <= blen; j++) {
            char x = folded(a[i - 1]), y = folded(b[j - 1]);
            here[j] = least(least(above[j], here[j - 1]) + 1, above[j - 1] + (x != y));
            if (i > 1 && j > 1 && x == folded(b[j - 2]) && y == folded(a[i - 2]))
                here[j] = least(here[j], before[j - 2] + 1);
        }
        unsigned *spare = before;
        before = above;
        above = here;
        here = spare;
    }
    return above[blen];
}

void kt_suggest_begin(struct kt_suggest *s, const char *word)
{
    memset(s, 0, sizeof *s);
    s->word = word;
    s->len = strlen(word);
    /* A third of the word may be wrong, never more than three letters. */
    s->best_distance = least((unsigned)(s->len / 3), 3) + 1;
}

void kt_suggest_try(struct kt_suggest *s, const char *candidate, size_t len)
{
    if (s->len > MAX_WORD || len > MAX_WORD || s->len == 0)
        return;
    unsigned d = distance(s->word, s->len, candidate, len);
    if (d >= s->best_distance)
        return;
    s->best_distance = d;
    memcpy(s->best, candidate, len);
    s->best[len] = '\0';
}

const char *kt_suggest_text(const struct kt_suggest *s, char out[96])
{
    if (!s->best[0])
        return NULL;
    snprintf(out, 96, "did you mean '%s'?", s->best);
    return out;
}
