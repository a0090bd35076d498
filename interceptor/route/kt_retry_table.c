/* SPDX-License-Identifier: Apache-2.0 */
#include "interceptor/route/kt_retry.h"

/* "429" or "500, 502": the statuses of that class that are tried again. */
static kt_result put_statuses(const struct kt_config *c, enum kt_failure f, struct kt_buf *out)
{
    const char *comma = "";
    for (size_t i = 0; i < c->providers.retry.on_status_count; i++) {
        int status = c->providers.retry.on_status[i];
        if (kt_failure_of_status(status, kt_span("", 0)) != f)
            continue;
        KT_GUARD(kt_buf_printf(out, "%s%d", comma, status));
        comma = ", ";
    }
    return *comma ? kt_ok() : kt_buf_puts(out, "no");
}

static kt_result put_again(const struct kt_config *c, enum kt_failure f, struct kt_buf *out)
{
    enum kt_again again = kt_failure_class_of(f)->again;
    if (again == KT_AGAIN_NEVER || !c->providers.retry.configured)
        return kt_buf_puts(out, "no");
    return again == KT_AGAIN_ALWAYS ? kt_buf_puts(out, "yes") : put_statuses(c, f, out);
}

kt_result kt_failure_table(const struct kt_config *c, const char *prefix, struct kt_buf *out)
{
    bool others = c->providers.fallback.enabled && c->providers.strategy != KT_STRATEGY_SINGLE;
    KT_GUARD(kt_buf_printf(out, "%s%-15s %-25s %-12s %-8s %s\n", prefix, "failure", "same target again",
                           "next target", "breaker", "what it is"));
    for (int i = 0; i < KT_FAILED_COUNT; i++) {
        enum kt_failure f = (enum kt_failure)i;
        const struct kt_failure_class *k = kt_failure_class_of(f);
        KT_CLEANUP(kt_buf_free) struct kt_buf again = KT_BUF_INIT(256);
        KT_GUARD(put_again(c, f, &again));
        KT_GUARD(kt_buf_printf(out, "%s%-15s %-25s %-12s %-8s %s\n", prefix, k->name, again.data,
                               others && kt_failure_falls_back(c, f) ? "yes" : "no",
                               k->breaker && c->providers.circuit_breaker.enabled ? "counts" : "-", k->help));
    }
    return kt_ok();
}
