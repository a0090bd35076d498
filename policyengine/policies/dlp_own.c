/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A user's own terms and patterns, and the classification marks. They are looked for in the text as it stands
 * and, where it holds JSON source or escapes of the web, in what those stand for, level by level: an
 * expression may mean a backslash or what it hides.
 */
#include "policyengine/policies/dlp_filter.h"

/* One look at one level. */
struct look {
    const struct dlp_lists *l;
    struct dlp_own *s;
    dlp_hit_fn hit;
    void *ctx;
    unsigned level;
};

static void found(const struct look *k, enum dlp_what what, const char *label, size_t start, size_t end)
{
    for (unsigned i = k->level; i > 0; i--)
        kt_unescape_range(&k->s->source[i - 1], &start, &end);
    k->hit(k->ctx, what, label, 1, start, end);
}

static void on_term(void *ctx, size_t term, size_t start, size_t end)
{
    (void)term;
    found(ctx, DLP_TERM, "term", start, end);
}

static void on_mark(void *ctx, size_t term, size_t start, size_t end)
{
    (void)term;
    found(ctx, DLP_MARK, "classification", start, end);
}

static void on_pattern(void *ctx, size_t expression, size_t start, size_t end)
{
    (void)expression;
    found(ctx, DLP_PATTERN, "pattern", start, end);
}

static kt_result look_here(struct look *k, const struct kt_unescape_window *w, size_t *hold)
{
    const struct dlp_lists *l = k->l;
    struct dlp_own_level *s = &k->s->level[k->level];
    size_t one = *hold;
    if (l->terms) {
        kt_terms_window(l->terms, &s->terms, w->data, w->len, w->base, w->final, on_term, k, &one);
        *hold = one < *hold ? one : *hold;
    }
    if (l->marks) {
        kt_terms_window(l->marks, &s->marks, w->data, w->len, w->base, w->final, on_mark, k, &one);
        *hold = one < *hold ? one : *hold;
    }
    if (l->patterns) {
        KT_GUARD(kt_pattern_window(l->patterns, &s->patterns, w->data, w->len, w->base, w->final, on_pattern,
                                   k, &one));
        *hold = one < *hold ? one : *hold;
    }
    return kt_ok();
}

static kt_result look_at(struct look *k, const struct kt_unescape_window *w, size_t *hold);

static kt_result look_deeper(void *ctx, const struct kt_unescape_window *plain, size_t *hold)
{
    const struct look *outer = ctx;
    struct look k = *outer;
    k.level++;
    return look_at(&k, plain, hold);
}

/* The next level begins in the state of this one. */
static kt_result begin(struct dlp_own *s, unsigned level)
{
    const struct dlp_own_level *from = &s->level[level];
    struct dlp_own_level *to = &s->level[level + 1];
    to->terms = from->terms;
    to->marks = from->marks;
    to->settled = from->settled;
    return kt_pattern_stream_copy(&to->patterns, &from->patterns);
}

static kt_result look_at(struct look *k, const struct kt_unescape_window *w, size_t *hold)
{
    struct dlp_own *s = k->s;
    size_t end = w->base + w->len, deeper = end;
    *hold = end;
    if (k->level < KT_UNESCAPE_LEVELS) {
        struct kt_unescape *source = &s->source[k->level];
        bool was = source->on;
        source->web = true;
        if (kt_unescape_wants(source, w, s->level[k->level].settled)) {
            KT_GUARD(was ? kt_ok() : begin(s, k->level));
            KT_GUARD(kt_unescape_run(source, w, look_deeper, k, &deeper));
        }
    }
    KT_GUARD(look_here(k, w, hold));
    s->level[k->level].settled = *hold;
    *hold = deeper < *hold ? deeper : *hold;
    return kt_ok();
}

kt_result dlp_own_look(const struct dlp_lists *l, struct dlp_own *s, const struct kt_unescape_window *w,
                       dlp_hit_fn hit, void *ctx, size_t *hold)
{
    struct look k = {l, s, hit, ctx, 0};
    *hold = w->base + w->len;
    return l->terms || l->marks || l->patterns ? look_at(&k, w, hold) : kt_ok();
}

void dlp_own_free(struct dlp_own *s)
{
    for (unsigned i = 0; i <= KT_UNESCAPE_LEVELS; i++)
        kt_pattern_stream_free(&s->level[i].patterns);
    for (unsigned i = 0; i < KT_UNESCAPE_LEVELS; i++)
        kt_unescape_free(&s->source[i]);
}
