/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/policies/dlp_filter.h"

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
    dlp_own_free(&s->own);
}

struct call {
    dlp_hit_fn hit;
    void *ctx;
    const struct dlp_options *o;
};

static void on_secret(void *ctx, const struct kt_secret_hit *h)
{
    const struct call *c = ctx;
    if (h->score > KT_SECRET_MAYBE || c->o->sensitivity_level > DLP_STANDARD)
        c->hit(c->ctx, DLP_SECRET, h->label, h->score, h->start, h->end);
}

kt_result dlp_look(const struct dlp_options *o, const struct dlp_lists *l, struct dlp_stream *s,
                   const struct kt_text *t, dlp_hit_fn hit, void *ctx, size_t *hold)
{
    struct call c = {hit, ctx, o};
    size_t one = t->base + t->len;
    *hold = one;
    if (o->secrets) {
        const struct kt_secret_window w = {t->data, t->len, t->base, t->final};
        KT_GUARD(kt_secret_encoded_window(&s->encoded, &w, on_secret, &c, &one));
        *hold = one < *hold ? one : *hold;
        KT_GUARD(kt_secret_folded_window(&s->folded, &s->secrets, &w, on_secret, &c, &one));
        *hold = one < *hold ? one : *hold;
        KT_GUARD(
            kt_secret_stream_window(&s->secrets, t->data, t->len, t->base, t->final, on_secret, &c, &one));
        *hold = one < *hold ? one : *hold;
    }
    const struct kt_unescape_window w = {t->data, t->len, t->base, t->final};
    KT_GUARD(dlp_own_look(l, &s->own, &w, hit, ctx, &one));
    *hold = one < *hold ? one : *hold;
    return kt_ok();
}
