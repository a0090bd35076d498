/* SPDX-License-Identifier: Apache-2.0 */
#include "interceptor/dialect/openai.h"

#include <string.h>

#define KT_PROVIDER(symbol) extern const struct kt_provider symbol;
#include "interceptor/dialect/providers.def"
#undef KT_PROVIDER

static const struct kt_provider *const providers[] = {
#define KT_PROVIDER(symbol) &symbol,
#include "interceptor/dialect/providers.def"
#undef KT_PROVIDER
};

const struct kt_provider *const *kt_providers(size_t *count)
{
    *count = KT_COUNT(providers);
    return providers;
}

const struct kt_provider *kt_provider_of(const struct kt_target *t)
{
    static const char *const types[] = {
        [KT_PROVIDER_AUTO] = NULL, [KT_PROVIDER_MISTRAL] = "mistral", [KT_PROVIDER_OPENAI] = "openai"};
    const char *name = types[t->provider_type] ? types[t->provider_type] : t->provider;
    const struct kt_provider *p = kt_provider_find(name);
    return p ? p : kt_compatible_knows(name) ? &kt_provider_compatible : NULL;
}

const struct kt_provider *kt_provider_find(const char *name)
{
    for (size_t i = 0; name && i < KT_COUNT(providers); i++)
        if (strcmp(providers[i]->name, name) == 0)
            return providers[i];
    return NULL;
}
