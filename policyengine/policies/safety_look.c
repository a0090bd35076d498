/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/policies/safety_look.h"

#include <string.h>

kt_result safety_look_open(struct safety_look *l)
{
    l->source.nested = true;
    l->text = kt_safety_new();
    return l->text ? kt_ok() : kt_err(KT_ERR_MEMORY);
}

static void forget_source(struct safety_look *l)
{
    kt_safety_free(l->plain);
    kt_unescape_free(&l->source);
    l->plain = NULL;
    l->source.nested = true;
    l->plain_held = l->mark = l->mark_plain = 0;
}

void safety_look_close(struct safety_look *l)
{
    forget_source(l);
    kt_safety_free(l->text);
    l->text = NULL;
}

void safety_look_reset(struct safety_look *l)
{
    if (l->source.on)
        forget_source(l);
    l->seen = l->held = 0;
    kt_safety_reset(l->text);
}

/* `back` bytes of the plain text are not judged yet. Where they begin in the source is known only in this
 * piece, and at one place in front of it that was marked. */
static void hold_source(struct safety_look *l, const struct kt_unescape_window *p, size_t used, size_t back)
{
    size_t at = p->base + used, sure = back < at ? at - back : 0;
    if (sure >= p->base) {
        l->plain_held = kt_unescape_place(&l->source, sure);
        l->mark = 0;
        return;
    }
    if (l->mark && sure >= l->mark_plain) {
        l->plain_held = l->mark;
        l->mark = 0;
    }
    if (!l->mark) {
        l->mark = kt_unescape_place(&l->source, at);
        l->mark_plain = at;
    }
}

static kt_result look_plain(void *ctx, const struct kt_unescape_window *p, size_t *hold)
{
    struct safety_look *l = ctx;
    struct kt_safety_result r;
    if (l->found.found != KT_SAFE_NONE)
        return kt_ok(); /* the text is stopped */
    KT_GUARD(kt_safety_feed(l->plain, p->data, p->len, p->final, l->rules, &r));
    hold_source(l, p, r.used, r.back);
    *hold = p->base + r.used;
    l->found.score = r.score > l->found.score ? r.score : l->found.score;
    l->found.found = r.found;
    return kt_ok();
}

/* Its first escape: the text in front of it is the same in both looks. */
static kt_result begin(struct safety_look *l)
{
    l->plain = kt_safety_copy(l->text);
    KT_ENSURE(l->plain, KT_ERR_MEMORY);
    l->plain_held = l->held;
    return kt_ok();
}

static kt_result feed_source(struct safety_look *l, const struct kt_unescape_window *w, size_t *hold)
{
    bool was = l->source.on;
    *hold = w->base + w->len;
    if (!kt_unescape_wants(&l->source, w, l->seen))
        return kt_ok();
    KT_GUARD(was ? kt_ok() : begin(l));
    KT_GUARD(kt_unescape_run(&l->source, w, look_plain, l, hold));
    *hold = l->plain_held < *hold ? l->plain_held : *hold;
    return kt_ok();
}

kt_result safety_look_feed(struct safety_look *l, const struct kt_unescape_window *w,
                           const struct kt_safety_rules *rules, struct kt_safety_result *out)
{
    size_t hold = 0, skip = l->seen > w->base ? l->seen - w->base : 0; /* shown again */
    l->rules = rules;
    l->found = *out = (struct kt_safety_result){.found = KT_SAFE_NONE};
    if (skip > w->len)
        return kt_ok();
    KT_GUARD(feed_source(l, w, &hold));
    KT_GUARD(kt_safety_feed(l->text, w->data + skip, w->len - skip, w->final, rules, out));
    l->seen = w->base + skip + out->used;
    size_t own = l->seen > out->back ? l->seen - out->back : 0;
    if (own > l->held)
        l->held = own < hold ? own : hold > l->held ? hold : l->held;
    if (out->found == KT_SAFE_NONE)
        out->found = l->found.found;
    out->score = l->found.score > out->score ? l->found.score : out->score;
    return kt_ok();
}
