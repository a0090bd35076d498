/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/detect/kt_safety.h"

#include "policyengine/detect/kt_fold.h"
#include "policyengine/detect/kt_lexicon.h"
#include "policyengine/detect/kt_scan.h"

#include <stdlib.h>
#include <string.h>

#define BLOCK 4096u
#define TAIL 512u /* folded bytes that are seen again; longer than any rule reaches */
#define HITS 64u
#define VETOES 128u
#define VETO_BEFORE 160u
#define VETO_BEHIND 80u
#define WORD_MAX 48u /* a longer run of letters is no word: do not wait for its end */

struct hit {
    unsigned category;
    size_t end;
};

struct kt_safety {
    struct kt_fold fold;
    char block[BLOCK];
    struct hit hits[HITS];
    unsigned hit_count;
    size_t vetoes[VETOES]; /* where they end */
    unsigned veto_count;
    unsigned weight;
};

const char *kt_safety_category_name(enum kt_safety_category c)
{
    static const char *const names[] = {"weapons", "malware", "self_harm", "csam",   "violence",
                                        "drugs",   "fraud",   "hate",      "illegal"};
    return (size_t)c < KT_COUNT(names) ? names[c] : "none";
}

struct kt_safety *kt_safety_new(void)
{
    struct kt_safety *s = malloc(sizeof *s);
    if (s)
        kt_safety_reset(s);
    return s;
}

void kt_safety_free(struct kt_safety *s)
{
    if (s)
        kt_wipe(s, sizeof *s);
    free(s);
}

void kt_safety_reset(struct kt_safety *s)
{
    memset(s, 0, sizeof *s);
    s->fold.out = s->block;
    s->fold.cap = BLOCK;
}

static void add(struct kt_safety *s, unsigned family, unsigned weight, size_t end)
{
    if (family == KT_SAFE_VETO && s->veto_count < VETOES)
        s->vetoes[s->veto_count++] = end;
    else if (family < KT_SAFE_CATEGORIES && weight >= s->weight && s->hit_count < HITS)
        s->hits[s->hit_count++] = (struct hit){family, end};
}

static void add_rule(void *ctx, unsigned rule, size_t end)
{
    const struct kt_lexicon_rule *r = &kt_lexicon_safety.rules[rule];
    add(ctx, r->family, r->weight, end);
}

static bool add_phrase(void *ctx, unsigned pattern, size_t end)
{
    add(ctx, kt_lexicon_safety.phrase_family[pattern], kt_lexicon_safety.phrase_weight[pattern], end);
    return false;
}

static bool vetoed(const struct kt_safety *s, size_t end)
{
    for (unsigned i = 0; i < s->veto_count; i++)
        if (s->vetoes[i] + VETO_BEFORE >= end && s->vetoes[i] <= end + VETO_BEHIND)
            return true;
    return false;
}

/* The phrases are mostly vetoes: they are looked for only where a rule was met. */
static kt_result look(struct kt_safety *s, size_t len, enum kt_safety_category *found)
{
    s->hit_count = s->veto_count = 0;
    kt_lexicon_run(&kt_lexicon_safety, s->block, len, add_rule, s);
    if (s->hit_count == 0)
        return kt_ok();
    const struct kt_scan *scan = NULL;
    KT_GUARD(kt_scan_get(KT_SCAN_SAFETY, &scan, NULL));
    KT_GUARD(kt_scan_run(scan, s->block, len, add_phrase, s));
    for (unsigned i = 0; i < s->hit_count && *found == KT_SAFE_CATEGORIES; i++)
        if (!vetoed(s, s->hits[i].end))
            *found = (enum kt_safety_category)s->hits[i].category;
    return kt_ok();
}

static void keep_tail(struct kt_fold *f)
{
    if (f->len <= TAIL)
        return;
    size_t from = f->len - TAIL;
    while (from < f->len && kt_lexicon_letter((unsigned char)f->out[from]))
        from++; /* from a word on */
    memmove(f->out, f->out + from, f->len - from);
    f->len -= from;
}

/* Bytes of `text` up to the last word that may still go on. */
static size_t whole_words(const char *text, size_t len)
{
    size_t n = len;
    while (n > 0 && len - n < WORD_MAX &&
           (kt_lexicon_letter((unsigned char)(text[n - 1] | 0x20)) || text[n - 1] == '\''))
        n--;
    return len - n == WORD_MAX ? len : n;
}

kt_result kt_safety_feed(struct kt_safety *s, const char *text, size_t len, bool final, unsigned weight,
                         size_t *used, enum kt_safety_category *found)
{
    *found = KT_SAFE_CATEGORIES;
    s->weight = weight;
    if (!final)
        len = whole_words(text, len);
    for (*used = 0; *found == KT_SAFE_CATEGORIES;) {
        size_t n = kt_fold_text(&s->fold, text + *used, len - *used, final);
        *used += n;
        if (n > 0 || final)
            KT_GUARD(look(s, s->fold.len, found));
        bool full = *used < len && s->fold.cap - s->fold.len < 8;
        keep_tail(&s->fold);
        if (!full)
            break;
    }
    return kt_ok();
}
