/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/policies/dlp_filter.h"

#include "policyengine/detect/kt_secret_encoded.h"

#include <stdlib.h>
#include <string.h>

static const struct {
    enum dlp_level level;
    const char *text;
} marks[] = {
#define KT_MARK(level, text) {DLP_##level, text},
#include "policyengine/policies/dlp_marks.def"
#undef KT_MARK
};

static void lists_cleanup(struct dlp_lists **l)
{
    dlp_lists_free(*l);
}

/* Puts the option in front of "[2] ...". */
static kt_result named(const char *option, kt_result r, const struct kt_error *why, struct kt_error *err)
{
    return kt_fail(err, r.code, "dlp-filter: %s%s%.400s", option, why->text[0] == '[' ? "" : " ",
                   why->text[0] ? why->text : kt_code_name(r.code));
}

static kt_result make_marks(const struct dlp_options *o, struct dlp_lists *l)
{
    char *texts[KT_COUNT(marks)];
    size_t n = 0;
    for (size_t i = 0; i < KT_COUNT(marks); i++)
        if ((int)marks[i].level <= o->sensitivity_level)
            texts[n++] = (char *)(uintptr_t)marks[i].text; /* only read */
    return n ? kt_terms_new(texts, n, 0, &l->marks, NULL) : kt_ok();
}

kt_result dlp_lists_new(const struct dlp_options *o, struct dlp_lists **out, struct kt_error *err)
{
    struct kt_error why = {KT_OK, ""};
    *out = NULL;
    KT_CLEANUP(lists_cleanup) struct dlp_lists *l = calloc(1, sizeof *l);
    if (!l || (o->secrets && kt_secret_prepare().code != KT_OK) || make_marks(o, l).code != KT_OK)
        return kt_fail(err, KT_ERR_MEMORY, "out of memory");
    if (o->blocked_terms.count) {
        kt_result r = kt_terms_new(o->blocked_terms.items, o->blocked_terms.count,
                                   o->fuzzy_matching ? (unsigned)o->max_distance : 0, &l->terms, &why);
        if (r.code != KT_OK)
            return named("blocked_terms", r, &why, err);
    }
    if (o->detect_patterns.count) {
        kt_result r = kt_patterns_new(o->detect_patterns.items, o->detect_patterns.count, &l->patterns, &why);
        if (r.code != KT_OK)
            return named("detect_patterns", r, &why, err);
    }
    *out = KT_TAKE(l);
    return kt_ok();
}

void dlp_lists_free(struct dlp_lists *l)
{
    if (!l)
        return;
    kt_terms_free(l->terms);
    kt_terms_free(l->marks);
    kt_patterns_free(l->patterns);
    free(l);
}

void dlp_stream_free(struct dlp_stream *s)
{
    kt_secret_stream_free(&s->secrets);
    kt_secret_folded_free(&s->folded);
    kt_buf_wipe_free(&s->behind);
}

struct call {
    dlp_hit_fn hit;
    void *ctx;
    const struct dlp_options *o;
    struct dlp_stream *s;
    size_t view_at;
};

static void on_secret(void *ctx, const struct kt_secret_hit *h)
{
    const struct call *c = ctx;
    if (h->score > KT_SECRET_MAYBE || c->o->sensitivity_level > DLP_STANDARD)
        c->hit(c->ctx, DLP_SECRET, h->label, h->score, h->start, h->end);
}

static void on_term(void *ctx, size_t term, size_t start, size_t end)
{
    const struct call *c = ctx;
    (void)term;
    c->hit(c->ctx, DLP_TERM, "term", 1, start, end);
}

static void on_mark(void *ctx, size_t term, size_t start, size_t end)
{
    const struct call *c = ctx;
    (void)term;
    c->hit(c->ctx, DLP_MARK, "classification", 1, start, end);
}

static void on_pattern(void *ctx, size_t expression, size_t start, size_t end)
{
    const struct call *c = ctx;
    (void)expression;
    c->s->pattern_floor = c->view_at + end;
    c->hit(c->ctx, DLP_PATTERN, "pattern", 1, c->view_at + start, c->view_at + end);
}

/* Keeps the bytes in front of `at`, which anchors and SOM may want to see. */
static kt_result remember(struct dlp_stream *s, const char *view, size_t view_at, size_t at, size_t width)
{
    size_t n = at - view_at < width ? at - view_at : width;
    char kept[KT_PATTERN_WIDTH];
    memcpy(kept, view + (at - view_at) - n, n);
    kt_buf_clear(&s->behind);
    kt_result r = kt_buf_append(&s->behind, kept, n);
    kt_wipe(kept, n);
    s->pattern_at = at;
    return r;
}

/* A match is sure once as many bytes follow its start as it can have. */
static kt_result look_for_patterns(const struct dlp_lists *l, const struct kt_text *t, struct call *c,
                                   size_t *hold)
{
    struct dlp_stream *s = c->s;
    size_t width = kt_patterns_width(l->patterns), end = t->base + t->len, keep = 0;
    KT_CLEANUP(kt_buf_wipe_free) struct kt_buf joined = KT_BUF_INIT(SIZE_MAX / 4);
    const char *view = t->data;
    s->behind.max = KT_PATTERN_WIDTH;
    if (s->pattern_at > t->base && s->pattern_at > end)
        return kt_ok(); /* shown again for another policy's sake */
    if (s->behind.len && s->pattern_at - s->behind.len < t->base) {
        keep = t->base - (s->pattern_at - s->behind.len);
        KT_GUARD(kt_buf_append(&joined, s->behind.data, keep < s->behind.len ? keep : s->behind.len));
        KT_GUARD(kt_buf_append(&joined, t->data, t->len));
        view = joined.data;
    }
    c->view_at = t->base - keep;
    size_t from = s->pattern_at > t->base ? s->pattern_at : t->base;
    size_t to = t->final ? end : end > width ? end - width : 0;
    to = to < from ? from : to;
    size_t start = from > s->pattern_floor ? from : s->pattern_floor;
    if (start < to)
        KT_GUARD(kt_patterns_scan(l->patterns, view, t->len + keep, start - c->view_at, to - c->view_at,
                                  t->final, on_pattern, c));
    if (t->final)
        return kt_ok();
    size_t next = to > s->pattern_floor ? to : s->pattern_floor;
    *hold = next < *hold ? next : *hold;
    return remember(s, view, c->view_at, next, width);
}

kt_result dlp_look(const struct dlp_options *o, const struct dlp_lists *l, struct dlp_stream *s,
                   const struct kt_text *t, dlp_hit_fn hit, void *ctx, size_t *hold)
{
    struct call c = {hit, ctx, o, s, t->base};
    size_t one = t->base + t->len;
    *hold = one;
    if (o->secrets) {
        if (t->final && t->base == 0 && s->secrets.scanned == 0) /* whole: a stream would wait for each run */
            KT_GUARD(kt_secret_encoded_find(t->data, t->len, on_secret, &c));
        const struct kt_secret_window w = {t->data, t->len, t->base, t->final};
        KT_GUARD(kt_secret_folded_window(&s->folded, &s->secrets, &w, on_secret, &c, &one));
        *hold = one < *hold ? one : *hold;
        KT_GUARD(
            kt_secret_stream_window(&s->secrets, t->data, t->len, t->base, t->final, on_secret, &c, &one));
        *hold = one < *hold ? one : *hold;
    }
    if (l->terms) {
        kt_terms_window(l->terms, &s->terms, t->data, t->len, t->base, t->final, on_term, &c, &one);
        *hold = one < *hold ? one : *hold;
    }
    if (l->marks) {
        kt_terms_window(l->marks, &s->marks, t->data, t->len, t->base, t->final, on_mark, &c, &one);
        *hold = one < *hold ? one : *hold;
    }
    return l->patterns ? look_for_patterns(l, t, &c, hold) : kt_ok();
}
