/* SPDX-License-Identifier: Apache-2.0 */
/* What an attempt teaches all processes about its target, and what follows when it failed. */
#include "interceptor/exchange/kt_exchange_private.h"

#include "interceptor/route/kt_retry.h"
#include "policyengine/base/kt_log.h"

#include <string.h>

/* ---- lessons ---- */

bool kt_x_permit(struct kt_exchange *x, struct kt_x_attempt *a, const struct kt_route_step *step)
{
    int64_t wait_ms = 0;
    struct kt_breaker_rules r = kt_breaker_rules_of(x->rt->config, step->target);
    a->state = step->state;
    a->permit = kt_breaker_enter(step->state, &r, kt_state_now_ms(), &wait_ms);
    if (a->permit == KT_PERMIT_NO && wait_ms < x->breaker_wait_ms)
        x->breaker_wait_ms = wait_ms;
    return a->permit != KT_PERMIT_NO;
}

/* The class of a failed attempt by its word; KT_FAILED_COUNT where the word is none of a failure that counts.
 */
static enum kt_failure class_of_word(const char *outcome)
{
    static const enum kt_failure all[] = {KT_FAILED_TIMEOUT,      KT_FAILED_CONNECTION, KT_FAILED_RATE_LIMIT,
                                          KT_FAILED_SERVER_ERROR, KT_FAILED_BAD_BODY,   KT_FAILED_TOO_LARGE};
    for (size_t i = 0; i < KT_COUNT(all); i++)
        if (strcmp(kt_failure_class_of(all[i])->outcome, outcome) == 0)
            return all[i];
    return KT_FAILED_COUNT;
}

static double ms_between(uint64_t from_ns, uint64_t to_ns)
{
    return to_ns > from_ns ? (double)(to_ns - from_ns) / 1e6 : 0;
}

/* Of a stream: until its first content, and tokens from there on; else the whole answer is one piece. */
static void take_samples(const struct kt_exchange *x, const struct kt_x_attempt *a, uint64_t now_ms)
{
    bool stream = x->mode == KT_X_STREAM && x->first_byte_ns > a->start_ns;
    uint64_t first_ns = stream ? x->first_byte_ns : a->head_ns;
    if (first_ns)
        kt_samples_add(a->state, KT_SAMPLE_TTFB, ms_between(a->start_ns, first_ns), now_ms);
    double ms = ms_between(stream ? first_ns : a->start_ns, a->end_ns);
    if (x->usage.known && x->usage.completion_tokens > 0 && ms > 0)
        kt_samples_add(a->state, KT_SAMPLE_SPEED, (double)x->usage.completion_tokens * 1000 / ms, now_ms);
}

void kt_x_feedback(struct kt_exchange *x, struct kt_x_attempt *a)
{
    if (!a->target || a->permit == KT_PERMIT_NO)
        return;
    struct kt_breaker_rules r = kt_breaker_rules_of(x->rt->config, a->target);
    uint64_t now_ms = kt_state_now_ms();
    enum kt_failure f = class_of_word(a->outcome);
    bool answered = strcmp(a->outcome, "ok") == 0 ||
                    (strcmp(a->outcome, "client_error") == 0 && a->status != 401 && a->status != 403);
    if (answered)
        kt_breaker_success(a->state, &r, (enum kt_permit)a->permit);
    else if (f != KT_FAILED_COUNT && kt_failure_class_of(f)->breaker)
        kt_breaker_failure(a->state, &r, (enum kt_permit)a->permit, now_ms,
                           f == KT_FAILED_RATE_LIMIT ? x->asked_ms : -1);
    else
        kt_breaker_release(a->state, (enum kt_permit)a->permit);
    if (strcmp(a->outcome, "ok") == 0)
        take_samples(x, a, now_ms);
    a->permit = KT_PERMIT_NO; /* said once */
}

void kt_x_note_head(struct kt_exchange *x, struct kt_x_attempt *a, const struct kt_call_head *head)
{
    a->head_ns = kt_now_mono_ns();
    x->asked_ms =
        kt_retry_after_ms(kt_call_head_get(head, "retry-after"), kt_call_head_get(head, "retry-after-ms"),
                          kt_call_head_get(head, "date"), kt_state_real_ms());
    if (head->status == 429 && x->asked_ms >= 0 && x->asked_ms < x->least_asked_ms)
        x->least_asked_ms = x->asked_ms;
}

/* ---- what follows ---- */

static void again(void *arg)
{
    struct kt_exchange *x = arg;
    kt_x_enter(x);
    if (!x->over)
        kt_x_try_again(x);
    kt_x_leave(x);
}

int64_t kt_x_target_left_ms(const struct kt_exchange *x)
{
    uint64_t now = kt_now_mono_ns();
    return now >= x->target_deadline_ns ? 0 : (int64_t)((x->target_deadline_ns - now) / 1000000u) + 1;
}

static bool more_targets(const struct kt_exchange *x)
{
    if (x->targets_tried >= x->route.max_attempts)
        return false;
    for (size_t i = x->next_step; i < x->route.count; i++)
        if (x->route.steps[i].available)
            return true;
    return false;
}

static struct kt_retry decide(const struct kt_exchange *x, enum kt_failure f)
{
    const struct kt_x_attempt *a = &x->attempts[x->attempt_count - 1];
    int64_t total = x->deadline_ns ? kt_x_time_left_ms(x, 0) : INT64_MAX;
    struct kt_retry_ask ask = {.config = x->rt->config,
                               .failure = f,
                               .status = a->status >= 300 ? a->status : 0,
                               .asked_ms = x->asked_ms,
                               .tries = x->tries_here,
                               .more_targets = more_targets(x),
                               .target_left_ms = kt_x_target_left_ms(x),
                               .total_left_ms = total < 0 ? 0 : total};
    if (!kt_is_ok(kt_random(&ask.chance, sizeof ask.chance)))
        ask.chance = kt_now_mono_ns();
    struct kt_retry d = kt_retry_decide(&ask);
    /* The list of attempts has an end; what is left of it belongs to the other targets. */
    if (d.what == KT_RETRY_AGAIN && x->attempt_count + (x->route.count - x->next_step) >= KT_X_MAX_ATTEMPTS)
        d.what = ask.more_targets && kt_failure_falls_back(ask.config, f) ? KT_RETRY_NEXT : KT_RETRY_GIVE_UP;
    return d;
}

void kt_x_failed(struct kt_exchange *x, enum kt_failure f, const char *detail)
{
    const struct kt_failure_class *c = kt_failure_class_of(f);
    kt_x_attempt_end(x, c->outcome, detail);
    struct kt_retry d = decide(x, f);
    KT_TRACE(ROUTE, "exchange %s: %s: %s", x->id, c->name, d.why);
    if (d.what == KT_RETRY_AGAIN) {
        x->retry.fn = again;
        x->retry.arg = x;
        kt_loop_timer_set(x->ctx->loop, &x->retry, kt_now_mono_ns() + (uint64_t)d.wait_ms * 1000000u);
    } else if (d.what == KT_RETRY_NEXT) {
        kt_x_try_next(x);
    } else if (strcmp(c->outcome, "client_error") == 0) {
        kt_x_give_refusal(x, "client_error");
    } else {
        kt_x_all_failed(x);
    }
}

void kt_x_attempt_failed(struct kt_exchange *x, const char *outcome, const char *detail)
{
    enum kt_failure f = class_of_word(outcome);
    kt_x_failed(x, f == KT_FAILED_COUNT ? KT_FAILED_BAD_BODY : f, detail);
}
