/* SPDX-License-Identifier: Apache-2.0 */
/* bench_events STATE_DIR COUNT: appends COUNT events of usual size, in files of the usual 64 MiB. */
#include "policyengine/audit/kt_audit.h"

#include <stdio.h>
#include <stdlib.h>

#define AT_ONCE 64

static void fill(struct kt_event *e, uint64_t number)
{
    static const char *const verdicts[] = {"allow", "allow", "allow", "redact", "block"};
    static const char *const models[] = {"gpt-4o", "mistral-large-latest", "mistral-small-latest"};
    static const struct kt_event_label labels[] = {{"email", 2}};
    static const struct kt_event_policy policies[] = {
        {"prompt-injection", "request", "allow", 0.1, 0, NULL, 0, 21, 170},
        {"pii-detector", "request", "redact", -1, 2, labels, 1, 9, 170},
        {"safety-filter", "request", "allow", -1, 0, NULL, 0, 5, 170},
        {"audit-logger", "request", "allow", -1, 0, NULL, 0, 0, 0},
        {"pii-detector", "response", "allow", -1, 0, NULL, 0, 4, 60},
        {"safety-filter", "response", "allow", -1, 0, NULL, 0, 3, 60},
    };
    static const struct kt_event_attempt attempts[] = {
        {"primary", "mistral", "mistral-large-latest", 200, "ok", NULL, 412}};
    *e = (struct kt_event){.event_type = number % 1000 ? "decision" : "unseen",
                           .timestamp_ns = kt_now_real_ns(),
                           .mode = "enforce",
                           .verdict = verdicts[number % KT_COUNT(verdicts)],
                           .policies = policies,
                           .policy_count = KT_COUNT(policies),
                           .lane = "handoff",
                           .origin = "api.openai.com:443",
                           .method = "POST",
                           .path = "/v1/chat/completions",
                           .model = models[number % KT_COUNT(models)],
                           .target = "primary",
                           .provider = "mistral",
                           .upstream_model = "mistral-large-latest",
                           .attempts = attempts,
                           .attempt_count = 1,
                           .status = 200,
                           .usage = {true, 52, 18, 70, 0},
                           .cost_usd = 0.0002,
                           .latency_ms = 300 + number % 700,
                           .overhead_us = 80,
                           .config = {"bench", "1.0.0", NULL},
                           .immutable = true};
    kt_event_fill_app(e);
}

static bool append_some(struct kt_audit *a, uint64_t from, size_t count)
{
    struct kt_event events[AT_ONCE];
    struct kt_audit_item items[AT_ONCE];
    for (size_t i = 0; i < count; i++) {
        fill(&events[i], from + i);
        if (kt_event_new_id(events[i].id).code != KT_OK)
            return false;
        items[i] = (struct kt_audit_item){.event = &events[i]};
    }
    kt_audit_append_all(a, items, count, NULL);
    for (size_t i = 0; i < count; i++)
        if (items[i].result.code != KT_OK)
            return false;
    return true;
}

int main(int argc, char **argv)
{
    struct kt_audit *a = NULL;
    struct kt_error err = {KT_OK, ""};
    uint64_t count = argc == 3 ? strtoull(argv[2], NULL, 10) : 0;
    if (!count || kt_audit_open(argv[1], 0, &a, &err).code != KT_OK) {
        fprintf(stderr, "usage: bench_events STATE_DIR COUNT %s\n", err.text);
        return 2;
    }
    bool ok = true;
    for (uint64_t at = 0; at < count && ok; at += AT_ONCE)
        ok = append_some(a, at, count - at < AT_ONCE ? (size_t)(count - at) : AT_ONCE);
    kt_audit_free(a);
    return ok ? 0 : 1;
}
