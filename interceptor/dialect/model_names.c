/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which models answer at which endpoint, by what their providers call them. A target's model is meant for
 * chats; sent to /embeddings or /moderations it would be refused there. A name that nobody knows (a server of
 * one's own) is taken to serve everything.
 */
#include "interceptor/dialect/kt_dialect.h"

#include <string.h>

/* Of a fine-tuned model ("ft:open-mistral-7b:...") its base tells. */
static const char *base_name(const char *model)
{
    return strncmp(model, "ft:", 3) == 0 ? model + 3 : model;
}

static bool matches(const struct kt_model_name *n, const char *model)
{
    return n->anywhere ? strstr(model, n->name) != NULL : strncmp(model, n->name, strlen(n->name)) == 0;
}

static enum kt_model_fit fit(const struct kt_provider *p, enum kt_endpoint e, const char *model)
{
    if (!p || !p->models || !model)
        return KT_MODEL_UNKNOWN;
    model = base_name(model);
    for (const struct kt_model_name *n = p->models; n->name; n++)
        if (matches(n, model))
            return n->serves & KT_SERVES(e) ? KT_MODEL_FITS : KT_MODEL_WRONG;
    return KT_MODEL_UNKNOWN;
}

enum kt_model_fit kt_model_fit(const struct kt_target *t, enum kt_endpoint e)
{
    return fit(kt_provider_of(t), e, t->model);
}

const char *kt_model_at(const struct kt_target *t, enum kt_endpoint e, const char *requested)
{
    const struct kt_provider *p = kt_provider_of(t);
    if (fit(p, e, t->model) != KT_MODEL_WRONG)
        return t->model;
    if (fit(p, e, requested) == KT_MODEL_FITS)
        return requested;
    const char *usual = p->usual_model ? p->usual_model(e) : NULL;
    return usual ? usual : t->model;
}
