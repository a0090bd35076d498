/* SPDX-License-Identifier: Apache-2.0 */
/* All terms that have begun are followed at once; of those that end, the first and longest is taken. */
#include "policyengine/detect/kt_terms.h"

#include "policyengine/detect/kt_terms_index.h"
#include "policyengine/detect/kt_terms_token.h"

#include <string.h>

#define GAP_MAX 64u /* bytes between two words of a term */
#define LIVE_MAX 256u
#define NEAR_MAX 16u

struct live {
    uint32_t node;
    size_t start;
};

struct pass {
    const struct kt_terms *t;
    kt_terms_hit_fn hit;
    void *ctx;
    size_t base;
    struct live live[LIVE_MAX]; /* by start */
    size_t count;
    size_t gap; /* bytes since the last word */
    bool have;  /* a term has ended, and a longer one may follow */
    size_t term, start, end;
};

/* Reports the term that has ended once nothing that started as early goes on. What began behind it was not
 * followed meanwhile: true = go on at p->end. */
static bool settle(struct pass *p)
{
    if (!p->have || (p->count && p->live[0].start <= p->start))
        return false;
    p->hit(p->ctx, p->term, p->base + p->start, p->base + p->end);
    p->have = false;
    p->count = p->gap = 0;
    return true;
}

static void go_on(struct pass *p, const struct live *from, uint32_t word, size_t end, struct live *next,
                  size_t *n)
{
    uint32_t to = kt_terms_step(p->t, from->node, word);
    if (!to || *n == LIVE_MAX)
        return;
    next[(*n)++] = (struct live){to, from->start};
    if (p->t->term_of[to] && (!p->have || from->start <= p->start)) {
        p->have = true;
        p->term = p->t->term_of[to] - 1;
        p->start = from->start;
        p->end = end;
    }
}

static void take_word(struct pass *p, const struct kt_token *k, size_t at)
{
    uint32_t words[NEAR_MAX];
    struct live next[LIVE_MAX], fresh = {1, at};
    size_t n = 0, count = kt_terms_near(p->t, k->text, k->len, words, NEAR_MAX);
    for (size_t i = 0; i < p->count; i++)
        for (size_t w = 0; w < count; w++)
            go_on(p, &p->live[i], words[w], k->end, next, &n);
    for (size_t w = 0; w < count; w++)
        go_on(p, &fresh, words[w], k->end, next, &n);
    memcpy(p->live, next, n * sizeof *next);
    p->count = n;
    p->gap = 0;
}

/* The first byte that may still be part of a term: the next window goes on there. */
static size_t earliest(const struct pass *p, struct kt_terms_stream *s, size_t at)
{
    size_t first = at;
    if (p->have && p->start < first)
        first = p->start;
    if (p->count && p->live[0].start < first)
        first = p->live[0].start;
    s->in_word = s->in_word && first == at;
    return first;
}

static void take(struct pass *p, const struct kt_token *k, size_t at)
{
    if (k->kind == KT_TOKEN_WORD)
        take_word(p, k, at);
    else if (k->kind == KT_TOKEN_LONG)
        p->count = 0;
    else
        p->gap += k->end - at;
    if (p->gap > GAP_MAX)
        p->count = 0;
}

static size_t run(struct pass *p, struct kt_terms_stream *s, const char *data, size_t len, size_t at,
                  bool final)
{
    for (;;) {
        if (at == len) {
            if (!final)
                break;
            p->count = 0;
            if (!settle(p))
                break;
            at = p->end;
            continue;
        }
        struct kt_token k;
        kt_token_read(data, len, at, final, s->in_word, &k);
        if (k.kind == KT_TOKEN_CUT)
            break;
        s->in_word = k.kind == KT_TOKEN_LONG && k.open;
        take(p, &k, at);
        at = k.end;
        if (settle(p)) {
            s->in_word = s->in_word && p->end == at;
            at = p->end;
        }
    }
    return earliest(p, s, at);
}

void kt_terms_window(const struct kt_terms *t, struct kt_terms_stream *s, const char *data, size_t len,
                     size_t base, bool final, kt_terms_hit_fn hit, void *ctx, size_t *hold)
{
    struct pass p;
    p.t = t;
    p.hit = hit;
    p.ctx = ctx;
    p.base = base;
    p.count = p.gap = 0;
    p.have = false;
    size_t at = s->scanned > base ? s->scanned - base : 0;
    *hold = base + len;
    if (at > len)
        return; /* shown again for another policy's sake */
    s->scanned = *hold = base + run(&p, s, data, len, at, final);
}
