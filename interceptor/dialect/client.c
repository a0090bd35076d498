/* SPDX-License-Identifier: Apache-2.0 */
/*
 * In whose words a client speaks. A program that meant to call a provider, or uses the provider's own SDK,
 * understands that provider's answers as they are; every other one knows OpenAI's.
 */
#include "interceptor/dialect/kt_dialect.h"

#include <string.h>
#include <strings.h>

static bool is_one_of(const char *const *list, const char *name)
{
    for (; list && *list; list++)
        if (strcasecmp(*list, name) == 0)
            return true;
    return false;
}

static bool holds_one_of(const char *const *list, struct kt_span text)
{
    for (; text.len && list && *list; list++)
        if (memmem(text.data, text.len, *list, strlen(*list)))
            return true;
    return false;
}

/* ".../mistral/v1/chat/completions": the base URL of a client that has nothing else to tell by. */
static bool begins_with_name(const char *name, struct kt_span target)
{
    size_t n = strlen(name);
    const char *p = target.len ? memmem(target.data, target.len, "://", 3) : NULL;
    size_t at = p ? (size_t)(p + 3 - target.data) : 0;
    while (p && at < target.len && target.data[at] != '/')
        at++;
    return target.len > at + n + 1 && target.data[at] == '/' && target.data[at + n + 1] == '/' &&
           kt_span_ieq(kt_span(target.data + at + 1, n), name);
}

const struct kt_provider *kt_client_dialect(const char *host, struct kt_span agent, struct kt_span target)
{
    size_t n;
    const struct kt_provider *const *all = kt_providers(&n);
    for (size_t i = 0; i < n; i++)
        if (is_one_of(all[i]->hosts, host) || holds_one_of(all[i]->agents, agent) ||
            begins_with_name(all[i]->name, target))
            return all[i];
    return NULL;
}
