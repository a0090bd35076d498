/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Brings raw text to the scanner piece by piece. Between pieces nothing is kept but the folded bytes that
 * kinds may look back at, so a window, a piece of one and the whole text are the same to them.
 */
#include "policyengine/detect/kt_pii_fold.h"
#include "policyengine/detect/kt_pii_text.h"

#include <stdlib.h>
#include <string.h>

#define PIECE (16u << 10) /* raw bytes folded at once, unless one candidate is longer */

/* One piece of a window, [at, at + len) of it. */
struct piece {
    const char *data;
    size_t len;
    bool json, final;
    /* filled by look_at: */
    size_t keep;         /* folded bytes in front that came from the pieces before */
    size_t used;         /* raw bytes that were folded: an unfinished unit at the end is left for later */
    unsigned widthless;  /* at the end of what was folded */
    bool plain;          /* folded is raw */
    const uint32_t *raw; /* else: offset in data of the unit behind each byte of the view from `keep` on */
};

struct shift {
    kt_pii_hit_fn hit;
    void *ctx;
    const struct piece *p;
    size_t base; /* of p->data */
};

static kt_result room_for(struct kt_pii_stream *s, size_t n)
{
    if (n <= s->raw_room)
        return kt_ok();
    size_t room = s->raw_room ? s->raw_room : 256;
    while (room < n)
        room *= 2;
    uint32_t *grown = realloc(s->raw, room * sizeof *grown);
    KT_ENSURE(grown, KT_ERR_MEMORY);
    s->raw = grown;
    s->raw_room = room;
    return kt_ok();
}

/* Bytes in front that are ASCII and begin no escape. */
static size_t as_it_is(const char *s, size_t len, bool json)
{
    size_t n = 0;
    while (n < len && (unsigned char)s[n] < 0x80 && s[n] != '%' && s[n] != '&' && !(json && s[n] == '\\'))
        n++;
    return n;
}

/* Behind what is kept comes the piece, folded, and for each byte of it where its unit starts. */
static kt_result fold(struct kt_pii_stream *s, struct piece *p)
{
    size_t at = 0, out = 0;
    KT_GUARD(kt_buf_reserve(&s->scratch, p->len));
    KT_GUARD(room_for(s, p->len + 1));
    while (at < p->len) {
        size_t run = as_it_is(p->data + at, p->len - at, p->json);
        if (run > 0) {
            KT_GUARD(kt_buf_append(&s->scratch, p->data + at, run));
            for (size_t i = 0; i < run; i++)
                s->raw[out++] = (uint32_t)(at + i);
            at += run;
            p->widthless = 0;
            continue;
        }
        struct kt_pii_unit u = kt_pii_web_unit(p->data + at, p->len - at, p->json, p->final);
        if (u.raw == 0)
            break;
        bool drop = u.widthless && p->widthless < KT_PII_WIDTHLESS_MAX;
        p->widthless = u.widthless ? p->widthless + drop : 0;
        /* No unit is longer folded than raw: the room is there. */
        for (size_t i = 0; !drop && i < u.len; i++)
            s->raw[out++] = (uint32_t)at;
        if (!drop)
            KT_GUARD(kt_buf_append(&s->scratch, u.text, u.len));
        at += u.raw;
    }
    s->raw[out] = (uint32_t)at;
    p->used = at;
    p->raw = s->raw;
    return kt_ok();
}

static kt_result make_view(struct kt_pii_stream *s, struct piece *p, struct kt_pii_view *v)
{
    p->keep = s->behind_len;
    p->widthless = s->widthless;
    p->used = p->final ? p->len : kt_pii_whole_chars(p->data, p->len);
    p->plain = s->widthless == 0 && !kt_pii_folds(p->data, p->used, p->json, p->final);
    if (p->plain && p->keep == 0) {
        v->data = p->data;
        v->len = p->used;
        return kt_ok();
    }
    s->scratch.max = SIZE_MAX / 4; /* pieces are small unless the caller's own window is one candidate */
    kt_buf_clear(&s->scratch);
    KT_GUARD(kt_buf_append(&s->scratch, s->behind, p->keep));
    KT_GUARD(p->plain ? kt_buf_append(&s->scratch, p->data, p->used) : fold(s, p));
    v->data = s->scratch.data;
    v->len = s->scratch.len;
    return kt_ok();
}

static size_t raw_start(const struct piece *p, size_t at)
{
    return p->plain ? at - p->keep : p->raw[at - p->keep];
}

/* What has no width behind the last unit of a value is not part of it. */
static size_t raw_end(const struct piece *p, size_t end)
{
    if (p->plain)
        return end - p->keep;
    size_t last = p->raw[end - 1 - p->keep];
    return last + kt_pii_web_unit(p->data + last, p->len - last, p->json, true).raw;
}

static void shifted_hit(void *ctx, const struct kt_pii_kind *kind, size_t start, size_t end)
{
    const struct shift *s = ctx;
    if (start >= s->p->keep) /* always, see above of what is held */
        s->hit(s->ctx, kind, s->base + raw_start(s->p, start), s->base + raw_end(s->p, end));
}

/* Keeps the bytes in front of `hold` (of the view) for the next piece. */
static void remember(struct kt_pii_stream *s, const struct piece *p, const struct kt_pii_view *v, size_t hold,
                     size_t scanned)
{
    bool at_end = hold == v->len;
    s->at += at_end ? p->used : raw_start(p, hold);
    s->widthless = at_end && !p->plain ? p->widthless : 0;
    s->scanned = scanned - hold;
    s->since_hit = v->last ? hold - v->floor : SIZE_MAX;
    s->hit_len = v->last ? v->floor - v->hit : 0;
    s->last = v->last;
    size_t n = hold < KT_PII_BEHIND ? hold : KT_PII_BEHIND;
    memmove(s->behind, v->data + hold - n, n);
    s->behind_len = n;
}

/* Scans the piece at s->at; moves s->at. */
static kt_result look_at(struct kt_pii_stream *s, struct piece *p, uint32_t kinds, kt_pii_hit_fn hit,
                         void *ctx)
{
    struct kt_pii_view v = {.final = p->final, .table = &s->table};
    KT_GUARD(make_view(s, p, &v));
    bool hit_in_view = s->last && s->since_hit <= p->keep;
    v.last = hit_in_view ? s->last : NULL;
    v.floor = hit_in_view ? p->keep - s->since_hit : 0;
    v.hit = v.floor > s->hit_len ? v.floor - s->hit_len : 0;
    struct shift shift = {hit, ctx, p, s->at};
    size_t from = p->keep + s->scanned, hold = v.len;
    if (from > v.len) /* less than was there: no caller does it */
        s->table = (struct kt_pii_table){.at = 0};
    size_t scanned = kt_pii_scan(&v, from < v.len ? from : v.len, kinds, shifted_hit, &shift, &hold);
    if (hold < p->keep)
        hold = p->keep; /* what was released cannot be taken back */
    remember(s, p, &v, hold, scanned);
    return kt_ok();
}

kt_result kt_pii_stream_window(struct kt_pii_stream *s, const struct kt_pii_window *w, uint32_t kinds,
                               kt_pii_hit_fn hit, void *ctx, size_t *hold)
{
    *hold = s->at;
    if (s->at < w->base) { /* bytes are missing: what stands in front of the window is unknown */
        s->at = w->base;
        s->behind_len = s->scanned = 0;
        s->widthless = 0;
        s->last = NULL;
        s->table = (struct kt_pii_table){.at = 0};
    }
    size_t end = w->base + w->len, size = PIECE;
    while (s->at <= end) {
        size_t at = s->at, left = end - at;
        bool all = left <= size;
        struct piece p = {.data = w->data + (at - w->base),
                          .len = all ? left : size,
                          .json = w->json,
                          .final = w->final && all};
        KT_ENSURE(p.len < UINT32_MAX, KT_ERR_LIMIT);
        KT_GUARD(look_at(s, &p, kinds, hit, ctx));
        if (all)
            break;
        size = s->at == at ? size * 2 : PIECE;
    }
    *hold = s->at;
    return kt_ok();
}

void kt_pii_stream_free(struct kt_pii_stream *s)
{
    kt_buf_wipe_free(&s->scratch);
    free(s->raw);
    kt_wipe(s, sizeof *s);
}
