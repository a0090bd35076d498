/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET /v1/models, answered from the config: what a program may ask for. Names of the model_map come first,
 * then the targets' own. OpenAI's members, and those that Mistral's clients insist on (its API's
 * BaseModelCard: `capabilities`).
 */
#include "interceptor/dialect/kt_dialect.h"
#include "policyengine/audit/kt_event.h"

#include <string.h>

#define MODELS_MAX 256 /* on the stack of the program's thread */

struct listed {
    const char *id, *provider;
    int64_t context; /* tokens; 0 = not known */
};

static KT_MUST kt_result put_model(struct kt_buf *out, const struct listed *m)
{
    KT_GUARD(kt_buf_puts(out, "{\"id\":\""));
    KT_GUARD(kt_event_text(out, m->id, strlen(m->id))); /* a client may have made it up */
    KT_GUARD(kt_buf_puts(out, "\",\"object\":\"model\",\"created\":0,\"owned_by\":\""));
    KT_GUARD(kt_buf_json(out, m->provider, strlen(m->provider)));
    KT_GUARD(kt_buf_puts(out, "\",\"capabilities\":{\"completion_chat\":true,\"function_calling\":true}"));
    if (m->context > 0)
        KT_GUARD(kt_buf_printf(out, ",\"max_context_length\":%lld", (long long)m->context));
    return kt_buf_puts(out, "}");
}

static void add(struct listed *list, size_t *count, const char *id, const struct kt_target *t)
{
    for (size_t i = 0; i < *count; i++)
        if (strcmp(list[i].id, id) == 0)
            return;
    if (id[0] && *count < MODELS_MAX)
        list[(*count)++] = (struct listed){id, t->provider ? t->provider : "openai", t->max_context_tokens};
}

static size_t collect(const struct kt_config *c, struct listed *list)
{
    size_t count = 0;
    const struct kt_target *first = &c->providers.targets[0];
    for (size_t i = 0; i < c->model_map_count; i++)
        add(list, &count, c->model_map[i].from, first);
    for (size_t i = 0; i < c->providers.target_count; i++)
        if (c->providers.targets[i].model)
            add(list, &count, c->providers.targets[i].model, &c->providers.targets[i]);
    return count;
}

static KT_MUST kt_result put_list(struct kt_buf *out, const struct listed *list, size_t count)
{
    KT_GUARD(kt_buf_puts(out, "{\"object\":\"list\",\"data\":["));
    for (size_t i = 0; i < count; i++) {
        if (i)
            KT_GUARD(kt_buf_puts(out, ","));
        KT_GUARD(put_model(out, &list[i]));
    }
    return kt_buf_puts(out, "]}");
}

kt_result kt_models_answer(const struct kt_config *c, struct kt_span target, struct kt_buf *out)
{
    struct listed list[MODELS_MAX];
    char id[KT_MODEL_ID_MAX + 1];
    KT_ENSURE(c->providers.target_count > 0, KT_ERR_NOTFOUND);
    size_t count = collect(c, list);
    if (!kt_endpoint_model(target, id))
        return put_list(out, list, count);
    for (size_t i = 0; i < count; i++)
        if (strcmp(list[i].id, id) == 0)
            return put_model(out, &list[i]);
    /* Any name is served: the targets put their own in its place. */
    struct listed other = {id, "ktwrap", 0};
    return put_model(out, &other);
}
