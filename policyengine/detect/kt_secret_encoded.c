/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/detect/kt_secret_encoded.h"

#include "policyengine/detect/kt_chars.h"
#include "policyengine/detect/kt_decode.h"

#define PIECE KT_SECRET_ENCODED_PIECE
_Static_assert(PIECE % 4 == 0 && PIECE / 4 * 3 <= KT_DECODE_MAX, "a piece is decoded as a whole");

static void first_sure(void *ctx, const struct kt_secret_hit *hit)
{
    struct kt_secret_hit *found = ctx;
    if (!found->label && hit->score >= KT_SECRET_SURE)
        *found = *hit;
}

static size_t decode(const char *run, size_t len, char *out)
{
    size_t next = 0, n = kt_decode_next(run, len, &next, out);
    return n ? n : kt_decode_run(run, len, out);
}

/* Fills the label and score of *found where the piece holds a secret. */
static kt_result look(const char *piece, size_t len, struct kt_secret_hit *found)
{
    char out[KT_DECODE_MAX];
    size_t n = decode(piece, len, out);
    kt_result r = n ? kt_secret_find(out, n, first_sure, found) : kt_ok();
    kt_wipe(out, sizeof out);
    return r;
}

static bool is_text(const char *run, size_t len)
{
    char out[KT_DECODE_MAX];
    size_t n = decode(run, len, out);
    kt_wipe(out, n);
    return n > 0;
}

static bool in_run(char c)
{
    return kt_base64_value((unsigned char)c) >= 0;
}

/* One call. */
struct pass {
    struct kt_secret_encoded *s;
    const char *text;
    size_t len, at; /* in the window */
    bool final;
};

/* Where the next run begins that is long enough or reaches the end of the window; len = nowhere. Only every
 * 24th letter is looked at until one may stand in such a run: words cost next to nothing. */
static size_t next_run(const struct pass *p)
{
    size_t at = p->at + KT_SECRET_ENCODED_MIN - 1;
    for (; at < p->len; at += KT_SECRET_ENCODED_MIN) {
        if (!in_run(p->text[at]))
            continue;
        size_t start = at, end = at;
        while (start > p->at && in_run(p->text[start - 1]))
            start--;
        while (end < p->len && in_run(p->text[end]))
            end++;
        if (end - start >= KT_SECRET_ENCODED_MIN || end == p->len)
            return start;
        at = end - 1;
    }
    size_t start = p->len;
    while (start > p->at && in_run(p->text[start - 1]))
        start--;
    return start;
}

/* The padding behind a run that ends at `end`; SIZE_MAX: the text is not there yet. */
static size_t padding(const struct pass *p, size_t end)
{
    size_t n = 0;
    while (n < 2 && end + n < p->len && p->text[end + n] == '=')
        n++;
    return n < 2 && end + n == p->len && !p->final ? SIZE_MAX : n;
}

/* A run that just began: is it one to look at? */
static void judge(const struct pass *p, size_t len)
{
    struct kt_secret_encoded *s = p->s;
    const char *run = p->text + p->at;
    size_t skip = len > 2 && run[0] == '0' && run[1] == 'x' ? 2 : 0;
    size_t most = len - skip < KT_SECRET_ENCODED_LOOK ? len - skip : KT_SECRET_ENCODED_LOOK;
    if (len < KT_SECRET_ENCODED_MIN || !is_text(run + skip, most))
        s->run = KT_ENCODED_OTHER;
    else
        s->run = KT_ENCODED_INSIDE;
}

/* The piece at p->at, which is whole. */
static kt_result piece(struct pass *p, size_t len, bool first, size_t pad, kt_secret_hit_fn hit, void *ctx,
                       size_t base)
{
    struct kt_secret_encoded *s = p->s;
    const char *run = p->text + p->at;
    size_t skip = first && len > 2 && run[0] == '0' && run[1] == 'x' ? 2 : 0;
    if (s->run == KT_ENCODED_INSIDE) {
        struct kt_secret_hit found = {0, 0, NULL, 0};
        KT_GUARD(look(run + skip, len - skip, &found));
        s->run = found.label ? KT_ENCODED_FOUND : KT_ENCODED_INSIDE;
        s->label = found.label;
        s->score = found.score;
    }
    if (s->run == KT_ENCODED_FOUND && len + pad > 0) {
        const struct kt_secret_hit whole = {base + p->at, base + p->at + len + pad, s->label, s->score};
        hit(ctx, &whole);
    }
    return kt_ok();
}

/* True where the run, or a piece of it, was dealt with; false where more of it has to come. */
static kt_result step(struct pass *p, kt_secret_hit_fn hit, void *ctx, size_t base, bool *on)
{
    struct kt_secret_encoded *s = p->s;
    size_t end = p->at;
    bool first = s->run == KT_ENCODED_BETWEEN;
    while (end < p->len && end - p->at < PIECE && in_run(p->text[end]))
        end++;
    size_t len = end - p->at, pad = 0;
    bool known = end < p->len || p->final; /* what follows */
    bool over = known && (end == p->len || !in_run(p->text[end]));
    *on = known || s->run == KT_ENCODED_OTHER;
    if (first && (over || len >= KT_SECRET_ENCODED_LOOK + 2)) {
        judge(p, len);
        *on |= s->run == KT_ENCODED_OTHER;
    }
    if (*on && over && s->run != KT_ENCODED_OTHER)
        pad = padding(p, end);
    if (pad == SIZE_MAX || !*on) { /* as if it had not been looked at */
        s->run = first ? KT_ENCODED_BETWEEN : s->run;
        *on = false;
        return kt_ok();
    }
    KT_GUARD(piece(p, len, first, pad, hit, ctx, base));
    p->at = end + pad;
    s->run = over ? KT_ENCODED_BETWEEN : s->run;
    return kt_ok();
}

kt_result kt_secret_encoded_window(struct kt_secret_encoded *s, const struct kt_secret_window *w,
                                   kt_secret_hit_fn hit, void *ctx, size_t *hold)
{
    struct pass p = {.s = s, .text = w->data, .len = w->len, .final = w->final};
    bool on = true;
    p.at = s->at > w->base ? s->at - w->base : 0;
    while (on && p.at < p.len) {
        if (s->run == KT_ENCODED_BETWEEN)
            p.at = next_run(&p);
        if (p.at < p.len)
            KT_GUARD(step(&p, hit, ctx, w->base, &on));
    }
    *hold = s->at = w->base + p.at;
    return kt_ok();
}
