/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One text of a stream on its way through chain and restorer. Each of the two says from where on it must see
 * the text again; what lies in front of both goes to the client.
 */
#include "interceptor/exchange/kt_exchange_filter.h"

#include <stdlib.h>
#include <string.h>

/* What a rest that comes by itself needs around it. */
static KT_MUST kt_result keep_frame(const struct kt_x_filter *f, struct kt_x_channel *c)
{
    if (c->whole || !c->place.len || c->place.len > KT_X_MAX_PLACE)
        return kt_ok();
    c->frame.name = c->frame.json = (struct kt_buf)KT_BUF_INIT(KT_X_MAX_PLACE * 2u);
    KT_GUARD(kt_buf_append(&c->frame.name, kt_buf_span(&f->name).data, f->name.len));
    return kt_x_frame_put(&f->chunk.json, c->root, c->tok, &c->frame);
}

struct kt_x_channel *kt_x_channel_of(struct kt_exchange *x, const struct kt_x_channel *like)
{
    struct kt_x_filter *f = &x->filter;
    for (size_t i = f->count; i-- > 0;) {
        struct kt_x_channel *c = &f->channels[i];
        if (!c->ended && kt_x_same_text(c, like)) {
            c->listed |= like->listed;
            c->seen = f->asides;
            return c;
        }
    }
    if (f->count == f->cap) {
        size_t cap = f->cap ? f->cap * 2 : 1;
        struct kt_x_channel *all = cap <= KT_X_MAX_CHANNELS ? realloc(f->channels, cap * sizeof *all) : NULL;
        if (!all)
            return NULL;
        f->channels = all;
        f->cap = cap;
    }
    struct kt_x_channel *c = &f->channels[f->count];
    *c = *like;
    c->segment = f->segments++;
    f->count++;
    c->restore.json = like->json;
    c->seen = f->asides;
    c->text = (struct kt_buf)KT_BUF_INIT(KT_X_HELD_MAX);
    return kt_is_ok(keep_frame(f, c)) ? c : NULL;
}

bool kt_x_channel_ended(const struct kt_x_filter *f, const struct kt_x_channel *like)
{
    bool ended = false;
    for (size_t i = 0; i < f->count && !like->aside && !like->whole; i++)
        ended |= f->channels[i].ended && kt_x_same_text(&f->channels[i], like);
    return ended;
}

void kt_x_channel_pop(struct kt_x_filter *f)
{
    if (f->count && f->channels[f->count - 1].whole && f->channels[f->count - 1].ended)
        kt_x_channel_free(&f->channels[--f->count]);
}

void kt_x_channel_free(struct kt_x_channel *c)
{
    kt_buf_free(&c->frame.name);
    kt_buf_free(&c->frame.json);
    kt_buf_free(&c->text);
    kt_edits_free(&c->restores);
}

static size_t end_of(const struct kt_x_channel *c)
{
    return c->base + c->text.len;
}

static struct kt_span from(const struct kt_x_channel *c, size_t at)
{
    return kt_span(c->text.data ? c->text.data + (at - c->base) : "", end_of(c) - at);
}

enum kt_step kt_x_channel_ask(struct kt_exchange *x, struct kt_x_channel *c, bool final)
{
    if (!x->res.run)
        return KT_STEP_DONE;
    struct kt_span window = from(c, c->chain_at);
    struct kt_text t = {.segment = c->segment,
                        .from = c->from,
                        .plain = !c->json,
                        .data = window.data,
                        .len = window.len,
                        .base = c->chain_at,
                        .final = final,
                        .leaves = true};
    return kt_chain_run_text(x->res.run, &t);
}

static kt_result on_restore(void *arg, size_t start, size_t end, struct kt_span with)
{
    return kt_edits_add(arg, start, end, with.data, with.len);
}

static KT_MUST kt_result restore(struct kt_exchange *x, struct kt_x_channel *c, bool final)
{
    struct kt_span window = from(c, c->restore_at);
    if (!x->restorer || kt_x_observe(x)) {
        c->restore_at = end_of(c);
        return kt_ok();
    }
    return kt_restorer_scan(x->restorer, &c->restore, window.data, window.len, c->restore_at, final,
                            on_restore, &c->restores, &c->restore_at);
}

/* ---- what is released ---- */

struct cut {
    const struct kt_redaction *redactions; /* of this channel, behind its base */
    size_t count;
};

static struct cut redactions_of(struct kt_exchange *x, const struct kt_x_channel *c)
{
    struct cut k = {NULL, 0};
    if (!x->res.run)
        return k;
    size_t n, low = 0;
    const struct kt_redaction *all = kt_chain_run_redactions(x->res.run, &n);
    for (size_t high = n; low < high;) {
        size_t mid = low + (high - low) / 2;
        bool before = all[mid].segment < c->segment ||
                      (all[mid].segment == c->segment && all[mid].end <= c->base && all[mid].start < c->base);
        if (before)
            low = mid + 1;
        else
            high = mid;
    }
    k.redactions = all ? all + low : NULL;
    while (low + k.count < n && k.redactions[k.count].segment == c->segment)
        k.count++;
    return k;
}

/* The largest place <= `at` that no edit lies across. */
static size_t uncut(const struct kt_x_channel *c, const struct cut *k, size_t at)
{
    for (bool moved = true; moved;) {
        moved = false;
        for (size_t i = 0; i < k->count && k->redactions[i].start < at; i++)
            if (k->redactions[i].end > at) {
                at = k->redactions[i].start;
                moved = true;
            }
        for (size_t i = 0; i < c->restores.count; i++)
            if (c->restores.items[i].start < at && c->restores.items[i].end > at) {
                at = c->restores.items[i].start;
                moved = true;
            }
    }
    return at;
}

static bool redacted(const struct cut *k, const struct kt_edit *e)
{
    for (size_t i = 0; i < k->count && k->redactions[i].start < e->end; i++)
        if (k->redactions[i].end > e->start)
            return true;
    return false;
}

static void drop_released(struct kt_x_channel *c, size_t upto)
{
    size_t kept = 0;
    for (size_t i = 0; i < c->restores.count; i++) {
        if (c->restores.items[i].start < upto)
            free(c->restores.items[i].text);
        else
            c->restores.items[kept++] = c->restores.items[i];
    }
    c->restores.count = kept;
    kt_buf_consume(&c->text, upto - c->base);
    c->base = upto;
}

kt_result kt_x_channel_release(struct kt_exchange *x, struct kt_x_channel *c, bool final, struct kt_buf *out)
{
    size_t end = end_of(c);
    c->chain_at = final || !x->res.run ? end : kt_chain_run_hold_from(x->res.run, c->segment);
    KT_GUARD(restore(x, c, final));
    struct cut k = redactions_of(x, c);
    size_t upto = uncut(c, &k, c->chain_at < c->restore_at ? c->chain_at : c->restore_at);
    if (upto < c->base)
        upto = c->base;
    KT_CLEANUP(kt_edits_free) struct kt_edits edits = {0};
    for (size_t i = 0; i < k.count && k.redactions[i].end <= upto; i++)
        if (k.redactions[i].start >= c->base)
            KT_GUARD(kt_edits_add(&edits, k.redactions[i].start - c->base, k.redactions[i].end - c->base,
                                  k.redactions[i].text, k.redactions[i].len));
    for (size_t i = 0; i < c->restores.count && c->restores.items[i].end <= upto; i++) {
        const struct kt_edit *e = &c->restores.items[i];
        if (!redacted(&k, e))
            KT_GUARD(kt_edits_add(&edits, e->start - c->base, e->end - c->base, e->text, e->len));
    }
    if (upto > c->base)
        KT_GUARD(kt_edits_apply(&edits, c->text.data, upto - c->base, out));
    drop_released(c, upto);
    if (c->text.len > x->stream.held_max)
        x->stream.held_max = c->text.len;
    c->ended = final;
    return kt_ok();
}
