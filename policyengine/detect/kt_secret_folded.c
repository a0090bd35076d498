/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/detect/kt_secret_folded.h"

#include "policyengine/detect/kt_chars.h"
#include "policyengine/detect/kt_pii_fold.h"

#include <stdlib.h>
#include <string.h>

#define PIECE (16u << 10) /* bytes folded at once, unless one candidate is longer */

/* One character: what it is folded to. */
struct unit {
    size_t raw; /* bytes; 0 = it goes on behind the end */
    bool widthless, folds;
    char text;
};

/* Mathematical letters and digits, which NFKC makes plain ones; 0 = none. */
static char mathematical(uint32_t c)
{
    if (c >= 0x1d7ce && c <= 0x1d7ff)
        return (char)('0' + (c - 0x1d7ce) % 10);
    if (c < 0x1d400 || c > 0x1d6a3)
        return 0;
    unsigned i = (c - 0x1d400) % 52;
    return (char)(i < 26 ? 'A' + i : 'a' + i - 26);
}

#define NESTED_MAX 16u /* backslashes: JSON source within JSON source, four deep */

/* "\n", "\"", "\/" at s, and the same in JSON source that stands in JSON source: what it stands for, 0 where
 * it is none. *raw: its length, 0 where it may go on behind the end. */
static char escape(const char *s, size_t left, bool final, size_t *raw)
{
    static const char letters[] = "\"'/bfnrt", stands_for[] = "\"'/  \n\r\t";
    size_t n = 1;
    while (n < left && n < NESTED_MAX && s[n] == '\\')
        n++;
    if (n == left && n < NESTED_MAX) {
        *raw = final ? 1 : 0;
        return 0;
    }
    const char *known = n < left && s[n] ? strchr(letters, s[n]) : NULL;
    *raw = known ? n + 1 : 1;
    return known ? stands_for[known - letters] : 0;
}

/* A letter as \uXXXX, or what else is spelled with several bytes. Dashes and spaces stay: a word behind a
 * dash is no part of a token. Nor are control characters read out of \uXXXX, and what ends a JSON string. */
static struct unit spelled(const char *s, size_t left, bool final)
{
    struct unit u = {.raw = 1, .text = s[0]};
    struct kt_pii_unit p = kt_pii_unit(s, left, s[0] == '\\', final);
    if (p.raw == 0) {
        u.raw = 0;
        return u;
    }
    uint32_t c = 0;
    kt_char_next(p.text, p.len, &c);
    char plain = p.raw < 2 ? 0 : p.len == 4 ? mathematical(c) : 0;
    bool wide = (unsigned char)s[0] == 0xef || s[0] == '\\';
    if (p.raw > 1 && p.len == 1 && wide && p.text[0] > ' ' && p.text[0] != '"' && p.text[0] != '\\')
        plain = p.text[0];
    u.folds = p.widthless || plain;
    u.widthless = p.widthless;
    u.raw = u.folds ? p.raw : 1;
    u.text = plain ? plain : s[0];
    return u;
}

/* "\\uXXXX" at s, behind any number of backslashes. */
static bool numbered(const char *s, size_t left)
{
    size_t n = 0;
    while (n < left && n < NESTED_MAX && s[n] == '\\')
        n++;
    return n > 0 && n < left && s[n] == 'u';
}

static struct unit unit_at(const char *s, size_t left, bool final)
{
    struct unit u = {.raw = 1, .text = s[0]};
    if ((unsigned char)s[0] >= 0x80 || numbered(s, left))
        return spelled(s, left, final);
    if (s[0] != '\\')
        return u;
    char plain = escape(s, left, final, &u.raw);
    u.folds = plain != 0;
    u.text = plain ? plain : s[0];
    return u;
}

/* Bytes in front that fold to nothing else: eight at a time, most texts are only these. */
static size_t as_it_is(const char *s, size_t len)
{
    size_t n = 0;
    for (uint64_t w; n + sizeof w <= len; n += sizeof w) {
        memcpy(&w, s + n, sizeof w);
        uint64_t x = w ^ UINT64_C(0x5c5c5c5c5c5c5c5c); /* a byte that is a backslash becomes 0 */
        if ((w | ((x - UINT64_C(0x0101010101010101)) & ~x)) & UINT64_C(0x8080808080808080))
            break;
    }
    while (n < len && (unsigned char)s[n] < 0x80 && s[n] != '\\')
        n++;
    return n;
}

/* True where folding could change something, now or with the next bytes. */
static bool folds(const char *s, size_t len, bool final)
{
    for (size_t i = 0; (i += as_it_is(s + i, len - i)) < len;) {
        struct unit u = unit_at(s + i, len - i, final);
        if (u.raw == 0 || u.folds)
            return true;
        i++;
    }
    return false;
}

static kt_result room_for(struct kt_secret_folded *s, size_t n)
{
    if (n <= s->raw_room)
        return kt_ok();
    uint32_t *grown = realloc(s->raw, n * sizeof *grown);
    KT_ENSURE(grown, KT_ERR_MEMORY);
    s->raw = grown;
    s->raw_room = n;
    return kt_ok();
}

/* Folds the piece into s->text. *used: its bytes without a cut character at the end. */
static kt_result fold(struct kt_secret_folded *s, const struct kt_secret_window *p, size_t *used)
{
    size_t at = 0, out = 0;
    s->text.max = SIZE_MAX / 4; /* pieces are small unless the caller's own window is one candidate */
    kt_buf_clear(&s->text);
    KT_GUARD(kt_buf_reserve(&s->text, p->len));
    KT_GUARD(room_for(s, p->len + 1));
    while (at < p->len) {
        size_t run = as_it_is(p->data + at, p->len - at);
        KT_GUARD(kt_buf_append(&s->text, p->data + at, run));
        for (size_t i = 0; i < run; i++)
            s->raw[out++] = (uint32_t)(at + i);
        s->widthless = run ? 0 : s->widthless;
        at += run;
        if (at == p->len)
            break;
        struct unit u = unit_at(p->data + at, p->len - at, p->final);
        if (u.raw == 0)
            break;
        bool drop = u.widthless && s->widthless < KT_SECRET_WIDTHLESS_MAX;
        s->widthless = u.widthless ? s->widthless + drop : 0;
        if (!drop) {
            KT_GUARD(kt_buf_append(&s->text, &u.text, 1));
            s->raw[out++] = (uint32_t)at;
        }
        at += u.raw;
    }
    s->raw[out] = (uint32_t)at;
    *used = at;
    return kt_ok();
}

struct shift {
    const struct kt_secret_folded *s;
    const struct kt_secret_window *p;
    kt_secret_hit_fn hit;
    void *ctx;
};

/* What has no width behind the last unit of a secret is not part of it. */
static void shifted_hit(void *ctx, const struct kt_secret_hit *hit)
{
    const struct shift *h = ctx;
    const struct kt_secret_window *p = h->p;
    if (hit->start < h->s->folded_at)
        return; /* never: what was released cannot be taken back */
    size_t first = h->s->raw[hit->start - h->s->folded_at], last = h->s->raw[hit->end - 1 - h->s->folded_at];
    size_t end = last + unit_at(p->data + last, p->len - last, true).raw;
    const struct kt_secret_hit moved = {p->base + first, p->base + end, hit->label, hit->score};
    h->hit(h->ctx, &moved);
}

/* Looks at the piece that begins at s->at; moves s->at. */
static kt_result look_at(struct kt_secret_folded *s, const struct kt_secret_window *p, kt_secret_hit_fn hit,
                         void *ctx)
{
    struct shift shift = {s, p, hit, ctx};
    size_t used = 0, hold = 0;
    unsigned before = s->widthless;
    KT_GUARD(fold(s, p, &used));
    KT_GUARD(kt_secret_stream_window(&s->inner, s->text.data ? s->text.data : "", s->text.len, s->folded_at,
                                     p->final, shifted_hit, &shift, &hold));
    size_t n = hold - s->folded_at;
    if (n < s->text.len)
        s->widthless = n > 0 || s->raw[0] > 0 ? 0 : before;
    s->at += n < s->text.len ? s->raw[n] : used;
    s->folded_at = hold;
    return kt_ok();
}

/* Up to here folded text is the text itself, and so is the state of the look at it. */
static void begin(struct kt_secret_folded *s, const struct kt_secret_stream *plain, size_t at)
{
    s->inner = *plain;
    memset(&s->inner.scratch, 0, sizeof s->inner.scratch); /* that one's own */
    s->at = s->folded_at = at;
    s->on = true;
}

kt_result kt_secret_folded_window(struct kt_secret_folded *s, const struct kt_secret_stream *plain,
                                  const struct kt_secret_window *w, kt_secret_hit_fn hit, void *ctx,
                                  size_t *hold)
{
    size_t end = w->base + w->len, size = PIECE;
    size_t at = s->on ? s->at : plain->scanned > w->base ? plain->scanned : w->base;
    *hold = end;
    if (at > end)
        return kt_ok(); /* shown again for another policy's sake */
    if (!s->on && !folds(w->data + (at - w->base), end - at, w->final))
        return kt_ok();
    if (!s->on)
        begin(s, plain, at);
    KT_ENSURE(s->at >= w->base, KT_ERR_STATE); /* no window begins behind the hold of the one before */
    for (;;) {
        at = s->at;
        bool all = end - at <= size;
        struct kt_secret_window p = {w->data + (at - w->base), all ? end - at : size, at, w->final && all};
        KT_ENSURE(p.len < UINT32_MAX, KT_ERR_LIMIT);
        KT_GUARD(look_at(s, &p, hit, ctx));
        if (all)
            break;
        size = s->at == at ? size * 2 : PIECE;
    }
    *hold = s->at;
    return kt_ok();
}

void kt_secret_folded_free(struct kt_secret_folded *s)
{
    kt_secret_stream_free(&s->inner);
    kt_buf_wipe_free(&s->text);
    free(s->raw);
    kt_wipe(s, sizeof *s);
}
