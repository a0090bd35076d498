/* SPDX-License-Identifier: Apache-2.0 */
#include "interceptor/route/kt_retry.h"

#include <string.h>
#include <strings.h>

#define BODY_LOOKED_AT 16384u

static const struct kt_failure_class classes[] = {
#define KT_FAILURE_CLASS(symbol, name_, outcome_, again_, next_, breaker_, help_)                            \
    {.name = (name_),                                                                                        \
     .outcome = (outcome_),                                                                                  \
     .help = (help_),                                                                                        \
     .again = KT_AGAIN_##again_,                                                                             \
     .next = (next_),                                                                                        \
     .breaker = (breaker_)},
#include "interceptor/route/failure_classes.def"
#undef KT_FAILURE_CLASS
};

const struct kt_failure_class *kt_failure_class_of(enum kt_failure f)
{
    return &classes[f];
}

/* Any of the words, whatever the case. The body is an error's, so it is short; only its beginning is looked
 * at. */
static bool says(struct kt_span body, const char *const *words, size_t n)
{
    size_t len = body.len < BODY_LOOKED_AT ? body.len : BODY_LOOKED_AT;
    for (size_t w = 0; w < n; w++) {
        size_t m = strlen(words[w]);
        for (size_t i = 0; i + m <= len; i++)
            if (strncasecmp(body.data + i, words[w], m) == 0)
                return true;
    }
    return false;
}

static bool too_long(struct kt_span body)
{
    static const char *const words[] = {
        "context_length_exceeded", "maximum context length",          "context window",
        "too large for model",     "prompt contains too many tokens", "prompt is too long",
        "exceed the context"};
    return says(body, words, KT_COUNT(words));
}

static bool refused(struct kt_span body)
{
    static const char *const words[] = {"content_policy", "content_filter", "guardrail", "moderation"};
    return says(body, words, KT_COUNT(words));
}

enum kt_failure kt_failure_of_status(int status, struct kt_span body)
{
    if (status == 429)
        return KT_FAILED_RATE_LIMIT;
    if (status == 503 || status == 529)
        return KT_FAILED_OVERLOAD;
    if (status >= 500 || status < 400 || status == 408 || status == 425)
        return KT_FAILED_SERVER_ERROR;
    if ((status == 400 || status == 413 || status == 422) && too_long(body))
        return KT_FAILED_CONTEXT_WINDOW;
    if ((status == 400 || status == 403) && refused(body))
        return KT_FAILED_CONTENT_POLICY;
    return status == 401 || status == 402 || status == 403 ? KT_FAILED_AUTH : KT_FAILED_BAD_REQUEST;
}

bool kt_failure_falls_back(const struct kt_config *c, enum kt_failure f)
{
    unsigned on = c->providers.fallback.triggers;
    on |= c->providers.fallback.context_window ? (unsigned)KT_NEXT_CONTEXT_WINDOW : 0;
    on |= c->providers.fallback.content_policy ? (unsigned)KT_NEXT_CONTENT_POLICY : 0;
    return (classes[f].next & on) != 0;
}

bool kt_failure_retries(const struct kt_config *c, enum kt_failure f, int status)
{
    if (!c->providers.retry.configured || classes[f].again == KT_AGAIN_NEVER)
        return false;
    bool listed = classes[f].again == KT_AGAIN_ALWAYS;
    for (size_t i = 0; i < c->providers.retry.on_status_count && !listed; i++)
        listed = c->providers.retry.on_status[i] == status;
    return listed;
}

/* Half of the pause is fixed and half is chance: fifty processes that failed together come back one by one.
 */
static int64_t backoff(const struct kt_retry_ask *ask)
{
    double delay = (double)ask->config->providers.retry.initial_delay_ms;
    const double most = (double)ask->config->providers.retry.max_delay_ms;
    for (unsigned i = 1; i < ask->tries && delay < most; i++)
        delay *= ask->config->providers.retry.multiplier;
    delay = delay < most ? delay : most;
    if (ask->config->providers.retry.jitter)
        delay *= 0.5 + (double)(ask->chance % 1000) / 2000;
    return (int64_t)delay;
}

/* As long as the target asks and, so that not all come back in the same moment, up to a tenth longer. */
static int64_t asked_pause(const struct kt_retry_ask *ask)
{
    int64_t extra = ask->asked_ms / 10 < 1000 ? ask->asked_ms / 10 : 1000;
    if (!ask->config->providers.retry.jitter || extra <= 0)
        return ask->asked_ms;
    return ask->asked_ms + (int64_t)(ask->chance % (uint64_t)(extra + 1));
}

struct kt_retry kt_retry_decide(const struct kt_retry_ask *ask)
{
    const struct kt_config *c = ask->config;
    bool next = ask->more_targets && kt_failure_falls_back(c, ask->failure) && ask->total_left_ms > 0;
    enum kt_retry_what else_what = next ? KT_RETRY_NEXT : KT_RETRY_GIVE_UP;
    if (!kt_failure_retries(c, ask->failure, ask->status))
        return (struct kt_retry){else_what, 0, "not tried again"};
    if (ask->tries >= (uint64_t)c->providers.retry.max_attempts)
        return (struct kt_retry){else_what, 0, "retry.max_attempts"};
    bool asked = ask->asked_ms >= 0 && c->providers.retry.respect_retry_after;
    int64_t wait = asked ? asked_pause(ask) : backoff(ask);
    if (asked && ask->asked_ms > c->providers.retry.max_delay_ms && next)
        return (struct kt_retry){else_what, 0, "retry-after is longer than retry.max_delay_ms"};
    if (wait >= ask->target_left_ms)
        return (struct kt_retry){else_what, 0, "the target's time is used up"};
    if (wait >= ask->total_left_ms)
        return (struct kt_retry){KT_RETRY_GIVE_UP, 0, "limits.total_seconds is used up"};
    return (struct kt_retry){KT_RETRY_AGAIN, wait, "tried again"};
}
