/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/detect/kt_unescape.h"

#include "policyengine/detect/kt_unescape_web.h"

#include <stdlib.h>
#include <string.h>

#define PIECE (256u << 10) /* bytes at once, unless one candidate is longer */

/* The unit at s[0], one level only: "\\" is one backslash, and what follows it is no part of it. */
static struct kt_pii_unit one_level(const char *s, size_t left, bool final)
{
    static const struct kt_pii_unit apostrophe = {.raw = 2, .len = 1, .text = {'\''}};
    if (left > 1 && s[1] == '\'') /* of source that is nearly JSON */
        return apostrophe;
    return kt_pii_escape(s, left, final);
}

static struct kt_pii_unit unit_at(const struct kt_unescape *u, const char *s, size_t left, bool final)
{
    if (s[0] != '\\')
        return kt_unescape_web_unit(s, left, final);
    return u->nested ? kt_pii_unit(s, left, true, final) : one_level(s, left, final);
}

/* Where an escape may begin; `len` = nowhere. One look at each byte, however many signs are none. */
static size_t next_sign(const char *s, size_t len, bool web)
{
    const char *p = web ? NULL : memchr(s, '\\', len);
    if (!web)
        return p ? (size_t)(p - s) : len;
    static const bool sign[256] = {['\\'] = true, ['%'] = true, ['&'] = true};
    size_t at = 0;
    while (at < len && !sign[(unsigned char)s[at]])
        at++;
    return at;
}

/* Where the first escape stands, or what may become one; `len` where there is none. */
static size_t first_escape(const struct kt_unescape *u, const char *s, size_t len, bool final)
{
    size_t at = 0;
    while ((at += next_sign(s + at, len - at, u->web)) < len) {
        if (unit_at(u, s + at, len - at, final).raw != 1)
            return at;
        at++;
    }
    return len;
}

bool kt_unescape_wants(struct kt_unescape *u, const struct kt_unescape_window *w, size_t settled)
{
    size_t from = settled > w->base ? settled : w->base, end = w->base + w->len;
    if (u->on)
        return true;
    if (from >= end || first_escape(u, w->data + (from - w->base), end - from, w->final) == end - from)
        return false;
    u->on = true;
    u->at = u->plain_at = from;
    return true;
}

static kt_result room_for(struct kt_unescape *u, size_t n)
{
    if (n <= u->raw_room)
        return kt_ok();
    uint32_t *grown = realloc(u->raw, n * sizeof *grown);
    KT_ENSURE(grown, KT_ERR_MEMORY);
    u->raw = grown;
    u->raw_room = n;
    return kt_ok();
}

/* The piece into u->text. What a unit stands for is never longer than the unit. */
static kt_result decode(struct kt_unescape *u, const struct kt_unescape_window *p)
{
    size_t at = 0, out = 0;
    u->text.max = SIZE_MAX / 4; /* pieces are small unless the caller's own window is one candidate */
    kt_buf_clear(&u->text);
    KT_GUARD(kt_buf_reserve(&u->text, p->len + 1));
    KT_GUARD(room_for(u, p->len + 1));
    while (at < p->len) {
        size_t run = next_sign(p->data + at, p->len - at, u->web);
        KT_GUARD(kt_buf_append(&u->text, p->data + at, run));
        for (size_t i = 0; i < run; i++)
            u->raw[out++] = (uint32_t)(at + i);
        at += run;
        if (at == p->len)
            break;
        struct kt_pii_unit one = unit_at(u, p->data + at, p->len - at, p->final);
        if (one.raw == 0)
            break;
        KT_GUARD(kt_buf_append(&u->text, one.text, one.len));
        for (size_t i = 0; i < one.len; i++)
            u->raw[out++] = (uint32_t)at;
        at += one.raw;
    }
    u->raw[out] = (uint32_t)at;
    return kt_ok();
}

void kt_unescape_range(const struct kt_unescape *u, size_t *start, size_t *end)
{
    size_t first = *start - u->plain_at, behind = *end - u->plain_at;
    while (behind > 0 && behind < u->text.len && u->raw[behind] == u->raw[behind - 1])
        behind++; /* the rest of a character */
    *start = u->at + u->raw[first];
    *end = u->at + u->raw[behind];
}

size_t kt_unescape_place(const struct kt_unescape *u, size_t plain)
{
    return u->at + u->raw[plain - u->plain_at];
}

/* Looks at the piece that begins at u->at; moves it. */
static kt_result look_at(struct kt_unescape *u, const struct kt_unescape_window *p, kt_unescape_look_fn look,
                         void *ctx)
{
    KT_GUARD(decode(u, p));
    size_t len = u->text.len, hold = u->plain_at + len;
    const struct kt_unescape_window plain = {len ? u->text.data : "", len, u->plain_at, p->final};
    KT_GUARD(look(ctx, &plain, &hold));
    size_t n = hold < u->plain_at ? 0 : hold - u->plain_at < len ? hold - u->plain_at : len;
    while (n > 0 && n < len && u->raw[n] == u->raw[n - 1])
        n--; /* an escape comes again as a whole */
    u->at += u->raw[n];
    u->plain_at += n;
    return kt_ok();
}

kt_result kt_unescape_run(struct kt_unescape *u, const struct kt_unescape_window *w, kt_unescape_look_fn look,
                          void *ctx, size_t *hold)
{
    size_t end = w->base + w->len, size = PIECE;
    *hold = end;
    if (u->at > end)
        return kt_ok(); /* shown again for another policy's sake */
    KT_ENSURE(u->at >= w->base, KT_ERR_STATE);
    for (;;) {
        size_t at = u->at;
        bool all = end - at <= size;
        const struct kt_unescape_window p = {w->data + (at - w->base), all ? end - at : size, at,
                                             w->final && all};
        KT_ENSURE(p.len < UINT32_MAX, KT_ERR_LIMIT);
        KT_GUARD(look_at(u, &p, look, ctx));
        if (all)
            break;
        size = u->at == at ? size * 2 : PIECE;
    }
    *hold = u->at;
    return kt_ok();
}

void kt_unescape_free(struct kt_unescape *u)
{
    kt_buf_wipe_free(&u->text);
    free(u->raw);
    kt_wipe(u, sizeof *u);
}

kt_result kt_unescape_text(const char *s, size_t len, struct kt_buf *out, bool *changed)
{
    *changed = false;
    for (size_t at = 0; at < len;) {
        size_t run = next_sign(s + at, len - at, true);
        KT_GUARD(kt_buf_append(out, s + at, run));
        at += run;
        if (at == len)
            break;
        const struct kt_unescape all = {.web = true};
        struct kt_pii_unit one = unit_at(&all, s + at, len - at, true);
        KT_GUARD(kt_buf_append(out, one.text, one.len));
        *changed = *changed || one.raw > 1;
        at += one.raw;
    }
    return kt_ok();
}
