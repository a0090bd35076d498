/* SPDX-License-Identifier: Apache-2.0 */
/* The body of one attempt, made from the client's own bytes and three lists of edits. */
#include "interceptor/dialect/kt_dialect.h"

#include <string.h>

static KT_MUST kt_result put_model(const struct kt_chat *c, const char *model, struct kt_edits *edits)
{
    if (c->model && strcmp(c->model, model) == 0)
        return kt_ok();
    size_t len = strlen(model);
    KT_CLEANUP(kt_buf_free) struct kt_buf b = KT_BUF_INIT(len * 6 + 2);
    KT_GUARD(kt_buf_puts(&b, "\""));
    KT_GUARD(kt_buf_json(&b, model, len));
    KT_GUARD(kt_buf_puts(&b, "\""));
    if (c->model_tok)
        return kt_edits_replace_value(edits, &c->json, c->model_tok, b.data, b.len);
    return kt_edits_add_member(edits, &c->json, 0, "model", b.data, b.len);
}

kt_result kt_chat_body_for(const struct kt_chat *c, const struct kt_target *t, const char *model,
                           const struct kt_edits *policy_edits, struct kt_buf *out)
{
    KT_CLEANUP(kt_edits_free) struct kt_edits edits = {0};
    const struct kt_provider *provider = t ? kt_provider_of(t) : NULL;
    if (policy_edits)
        KT_GUARD(kt_edits_merge(&edits, policy_edits));
    if (provider && provider->translate)
        KT_GUARD(provider->translate(c, model ? model : c->model, t, &edits));
    if (model)
        KT_GUARD(put_model(c, model, &edits));
    KT_GUARD(kt_edits_apply(&edits, c->json.text, c->json.len, out));
    return provider && provider->finish ? provider->finish(c, out) : kt_ok();
}
