/* SPDX-License-Identifier: Apache-2.0 */
/* No target could answer: which were tried, how each of them failed, and what each said about it. */
#include "interceptor/exchange/kt_exchange_private.h"

#include <stdlib.h>
#include <string.h>

#define SAID_MAX 256  /* bytes of a provider's words ... */
#define SAY_UPTO 4096 /* ... while the whole text is shorter than that */
#define TEXT_MAX (32u << 10)

void kt_x_note_said(struct kt_exchange *x, struct kt_span body)
{
    struct kt_x_attempt *a = kt_x_attempt_now(x);
    KT_CLEANUP(kt_buf_free) struct kt_buf said = KT_BUF_INIT(SAID_MAX + 1u);
    if (!a || a->said || !kt_is_ok(kt_error_message(body, SAID_MAX, &said)) || !said.len)
        return;
    a->said = strndup(said.data, said.len);
}

static bool same(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

/* Tries of one target that ended alike are told once. */
static bool alike(const struct kt_x_attempt *a, const struct kt_x_attempt *b)
{
    return a->target == b->target && same(a->outcome, b->outcome) && same(a->detail, b->detail) &&
           same(a->said, b->said);
}

static KT_MUST kt_result put_attempt(const struct kt_x_attempt *a, size_t times, struct kt_buf *out)
{
    const char *id = !a->target ? "origin" : a->target->id ? a->target->id : "?";
    KT_GUARD(kt_buf_printf(out, "%s (%s", id, a->outcome ? a->outcome : "unknown"));
    if (*a->detail)
        KT_GUARD(kt_buf_printf(out, ": %s", a->detail));
    if (times > 1)
        KT_GUARD(kt_buf_printf(out, ", %zu times", times));
    if (a->said && out->len < SAY_UPTO)
        KT_GUARD(kt_buf_printf(out, ": \"%s\"", a->said));
    return kt_buf_puts(out, ")");
}

static KT_MUST kt_result list_attempts(const struct kt_exchange *x, struct kt_buf *out)
{
    KT_GUARD(kt_buf_puts(out, "ktwrap: no target could answer: "));
    for (size_t i = 0, n; i < x->attempt_count; i += n) {
        for (n = 1; i + n < x->attempt_count && alike(&x->attempts[i], &x->attempts[i + n]);)
            n++;
        KT_GUARD(kt_buf_puts(out, i ? ", " : ""));
        KT_GUARD(put_attempt(&x->attempts[i], n, out));
    }
    return x->attempt_count ? kt_ok() : kt_buf_puts(out, "none is configured");
}

static bool was_tried(const struct kt_x_attempt *a)
{
    const char *outcome = a->outcome ? a->outcome : "";
    return strcmp(outcome, "unavailable") != 0 && strcmp(outcome, "excluded") != 0;
}

/* The last real try was told to come back later: the client's own back-off knows what to do with that. */
static bool ended_in_rate_limit(const struct kt_exchange *x)
{
    for (size_t i = x->attempt_count; i-- > 0;)
        if (was_tried(&x->attempts[i]))
            return x->attempts[i].status == 429 && x->status == 429;
    return false;
}

static bool has_field(const struct kt_exchange *x, const char *name)
{
    size_t n = strlen(name);
    for (size_t i = 0; i < x->fields.count; i++)
        if (x->fields.at[i].name_len == n &&
            strncasecmp(x->fields.text.data + x->fields.at[i].name, name, n) == 0)
            return true;
    return false;
}

/* Nothing was tried because breakers are open: the soonest of them says when it is worth another try. */
static int64_t breakers_wait_ms(const struct kt_exchange *x)
{
    int64_t least = x->breaker_wait_ms;
    for (size_t i = 0; i < x->route.count; i++)
        if (x->route.steps[i].skip == KT_SKIP_BREAKER && x->route.steps[i].wait_ms < least)
            least = x->route.steps[i].wait_ms;
    return x->tries || least == INT64_MAX ? -1 : least;
}

void kt_x_all_failed(struct kt_exchange *x)
{
    kt_x_drop_call(x);
    if (ended_in_rate_limit(x)) {
        if (x->least_asked_ms != INT64_MAX && !has_field(x, "retry-after") && !has_field(x, "retry-after-ms"))
            kt_x_add_retry_after(x, x->least_asked_ms);
        kt_x_give_refusal(x, "rate_limit");
        return;
    }
    KT_CLEANUP(kt_buf_free) struct kt_buf message = KT_BUF_INIT(TEXT_MAX);
    x->error = "all_targets_failed";
    bool listed = kt_is_ok(list_attempts(x, &message));
    int64_t breakers_ms = breakers_wait_ms(x);
    x->retry_after_ms = breakers_ms < 0 && x->tries ? x->asked_ms : breakers_ms;
    kt_x_reply_error(x, breakers_ms < 0 ? 502 : 503, "upstream_error", x->error,
                     listed ? message.data : "ktwrap: no target could answer");
}
