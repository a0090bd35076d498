/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/detect/kt_secret.h"

#include "policyengine/detect/kt_literals.h"
#include "policyengine/detect/kt_secret_named.h"
#include "policyengine/detect/kt_secret_rule.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* Literals with a rule of their own. */
static const struct special {
    const char *literal;
    kt_secret_rule_fn rule;
} specials[] = {
    {"-----BEGIN ", kt_secret_pem},
    {"---- BEGIN ", kt_secret_pem},
    {"://", kt_secret_url},
    {"eyJ", kt_secret_jwt},
    {"ewog", kt_secret_jwt},
    {"basic ", kt_secret_basic},
    {"-u ", kt_secret_user_option},
    {"--user ", kt_secret_user_option},
    {":AA", kt_secret_telegram},
    {" -p", kt_secret_password_option},
    {"Private-Lines: ", kt_secret_putty},
};

struct literal {
    kt_secret_rule_fn rule;
    unsigned arg;
    unsigned len;
};

struct secrets {
    struct kt_literals *literals;
    struct literal *rules; /* by literal id */
};

static _Atomic(struct secrets *) shared;

static void secrets_free(struct secrets *s)
{
    if (!s)
        return;
    kt_literals_free(s->literals);
    free(s->rules);
    free(s);
}

static void secrets_cleanup(struct secrets **s)
{
    secrets_free(*s);
}

static void put(const char **texts, struct literal *rules, size_t *n, const char *text,
                kt_secret_rule_fn rule, unsigned arg)
{
    texts[*n] = text;
    rules[(*n)++] = (struct literal){rule, arg, (unsigned)strlen(text)};
}

/* What is listed last is tried first where equal literals begin at one place: tokens before names. */
static kt_result build(struct secrets **out)
{
    size_t n = 0, count = kt_secret_token_count() + kt_secret_name_count() + kt_secret_infix_count() +
                          KT_COUNT(specials);
    KT_CLEANUP(secrets_cleanup) struct secrets *s = calloc(1, sizeof *s);
    KT_CLEANUP(kt_cleanup_free) const char **texts = calloc(count, sizeof(*texts));
    KT_ENSURE(s && texts, KT_ERR_MEMORY);
    s->rules = calloc(count, sizeof *s->rules);
    KT_ENSURE(s->rules, KT_ERR_MEMORY);
    for (unsigned i = 0; i < kt_secret_name_count(); i++)
        put(texts, s->rules, &n, kt_secret_name_word(i), kt_secret_named, i);
    for (unsigned i = 0; i < KT_COUNT(specials); i++)
        put(texts, s->rules, &n, specials[i].literal, specials[i].rule, i);
    for (unsigned i = 0; i < kt_secret_infix_count(); i++)
        put(texts, s->rules, &n, kt_secret_infix_mark(i), kt_secret_infix, i);
    for (unsigned i = 0; i < kt_secret_token_count(); i++)
        put(texts, s->rules, &n, kt_secret_token_prefix(i), kt_secret_token, i);
    s->literals = kt_literals_new(texts, count);
    KT_ENSURE(s->literals, KT_ERR_MEMORY);
    *out = KT_TAKE(s);
    return kt_ok();
}

kt_result kt_secret_prepare(void)
{
    struct secrets *mine = NULL, *none = NULL;
    if (atomic_load_explicit(&shared, memory_order_acquire))
        return kt_ok();
    KT_GUARD(build(&mine));
    if (!atomic_compare_exchange_strong(&shared, &none, mine))
        secrets_free(mine); /* another thread was first */
    return kt_ok();
}

struct scan {
    const struct secrets *s;
    const struct kt_secret_view *v;
    kt_secret_hit_fn hit;
    void *ctx;
};

/* Asks the rules of all literals that begin at `at`. */
static enum kt_secret_answer ask(const struct scan *sc, size_t at, struct kt_secret_hit *hit)
{
    const struct kt_secret_view *v = sc->v;
    unsigned cursor = 0, id = 0;
    enum kt_literal_found found;
    while ((found = kt_literals_at(sc->s->literals, v->data, v->len, at, v->final, &cursor, &id)) !=
           KT_LITERAL_NONE) {
        if (found == KT_LITERAL_CUT)
            return KT_SECRET_MORE;
        const struct literal *l = &sc->s->rules[id];
        const struct kt_secret_anchor a = {at, at + l->len, l->arg};
        enum kt_secret_answer answer = l->rule(v, &a, hit);
        if (answer != KT_SECRET_NO)
            return answer;
    }
    return KT_SECRET_NO;
}

/* Scans from `from` on, moves v->floor over hits. Returns the first byte that has to be seen again. */
static size_t scan(const struct scan *sc, struct kt_secret_view *v, size_t from)
{
    size_t at = from;
    while ((at = kt_literals_place(sc->s->literals, v->data, v->len, at, v->final)) < v->len) {
        struct kt_secret_hit hit = {0, 0, NULL, 0};
        enum kt_secret_answer answer = ask(sc, at, &hit);
        if (answer == KT_SECRET_MORE)
            break;
        if (answer == KT_SECRET_YES) {
            sc->hit(sc->ctx, &hit);
            v->floor = at = hit.end;
        } else {
            at++;
        }
    }
    return at;
}

kt_result kt_secret_find(const char *text, size_t len, kt_secret_hit_fn hit, void *ctx)
{
    KT_GUARD(kt_secret_prepare());
    struct kt_secret_view v = {.data = text, .len = len, .final = true};
    const struct scan sc = {atomic_load(&shared), &v, hit, ctx};
    scan(&sc, &v, 0);
    return kt_ok();
}

/* Turns offsets in the view into offsets in the segment. */
struct shift {
    kt_secret_hit_fn hit;
    void *ctx;
    size_t by;
};

static void shifted_hit(void *ctx, const struct kt_secret_hit *hit)
{
    const struct shift *s = ctx;
    const struct kt_secret_hit moved = {s->by + hit->start, s->by + hit->end, hit->label, hit->score};
    s->hit(s->ctx, &moved);
}

static kt_result join(struct kt_secret_stream *s, const char *data, size_t len, size_t keep)
{
    s->scratch.max = SIZE_MAX / 4; /* the window is the caller's: its size is bounded there */
    kt_buf_clear(&s->scratch);
    KT_GUARD(kt_buf_append(&s->scratch, s->behind, keep));
    return kt_buf_append(&s->scratch, data, len);
}

/* Keeps the bytes in front of `hold` (offset in the view) for the next window. */
static void remember(struct kt_secret_stream *s, const char *data, size_t view_at, size_t hold)
{
    size_t n = hold < KT_SECRET_BEHIND ? hold : KT_SECRET_BEHIND;
    memcpy(s->behind, data + hold - n, n);
    s->behind_at = view_at + hold - n;
    s->behind_len = n;
}

kt_result kt_secret_stream_window(struct kt_secret_stream *s, const char *data, size_t len, size_t base,
                                  bool final, kt_secret_hit_fn hit, void *ctx, size_t *hold)
{
    const struct secrets *tables = atomic_load_explicit(&shared, memory_order_acquire);
    KT_ENSURE(tables, KT_ERR_STATE);
    size_t keep = s->behind_at < base && base <= s->behind_at + s->behind_len ? base - s->behind_at : 0;
    struct kt_secret_view v = {.data = data, .len = len, .final = final};
    if (keep > 0) {
        KT_GUARD(join(s, data, len, keep));
        v.data = s->scratch.data;
        v.len = s->scratch.len;
    }
    size_t view_at = base - keep, from = s->scanned > view_at ? s->scanned - view_at : 0;
    if (from < keep)
        from = keep;
    *hold = base + len;
    v.floor = s->floor > view_at ? s->floor - view_at : 0;
    if (from > v.len)
        return kt_ok(); /* shown again for another policy's sake */
    struct shift shift = {hit, ctx, view_at};
    const struct scan sc = {tables, &v, shifted_hit, &shift};
    size_t held = scan(&sc, &v, from);
    s->scanned = *hold = view_at + held;
    s->floor = view_at + v.floor;
    if (!final)
        remember(s, v.data, view_at, held);
    return kt_ok();
}

void kt_secret_stream_free(struct kt_secret_stream *s)
{
    kt_buf_wipe_free(&s->scratch);
    kt_wipe(s, sizeof *s);
}
