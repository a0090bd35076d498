/* SPDX-License-Identifier: Apache-2.0 */
#include "interceptor/dialect/kt_rules.h"

#include <string.h>

/* A count, or -1 where there is none; past 2^53 no count of tokens is meant. */
static int64_t count_at(const struct kt_json *j, uint32_t object, const char *key)
{
    uint32_t v = object ? kt_json_member(j, object, key, NULL) : 0;
    if (!v || j->tok[v].type != KT_JSON_NUMBER)
        return -1;
    double n = kt_rule_number(&(struct kt_translation){.j = j}, v); /* some write 5.0 */
    return n >= 0 && n <= (double)((int64_t)1 << 53) && (double)(int64_t)n == n ? (int64_t)n : -1;
}

static int64_t or_zero(int64_t n)
{
    return n < 0 ? 0 : n;
}

static bool read_usage(const struct kt_json *j, uint32_t usage, struct kt_usage *out)
{
    int64_t prompt = count_at(j, usage, "prompt_tokens"),
            completion = count_at(j, usage, "completion_tokens");
    int64_t total = count_at(j, usage, "total_tokens");
    if (prompt < 0 && completion < 0 && total < 0)
        return false;
    int64_t cached = count_at(j, kt_json_member(j, usage, "prompt_tokens_details", NULL), "cached_tokens");
    if (cached < 0)
        cached = count_at(j, usage, "num_cached_tokens");
    out->known = true;
    out->prompt_tokens = or_zero(prompt);
    out->completion_tokens = or_zero(completion);
    out->total_tokens = total < 0 ? out->prompt_tokens + out->completion_tokens : total;
    out->cached_tokens = or_zero(cached);
    return true;
}

bool kt_usage_of(const struct kt_json *answer, struct kt_usage *out)
{
    uint32_t usage = kt_json_member(answer, 0, "usage", NULL);
    return usage && read_usage(answer, usage, out);
}

bool kt_usage_read(const char *json, size_t len, struct kt_usage *out)
{
    memset(out, 0, sizeof *out);
    /* Called for every chunk of a stream, of which one has it. */
    if (len == 0 || !memmem(json, len, "\"usage\"", 7))
        return false;
    KT_CLEANUP(kt_json_free) struct kt_json j = {0};
    if (kt_json_parse(&j, json, len, NULL).code != KT_OK)
        return false;
    return kt_usage_of(&j, out);
}
