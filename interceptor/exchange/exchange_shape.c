/* SPDX-License-Identifier: Apache-2.0 */
/* Answers in the shape that the client knows: OpenAI's, or that of the provider whose dialect it speaks. */
#include "interceptor/exchange/kt_exchange_private.h"

static const struct kt_target *target_of_answer(const struct kt_exchange *x)
{
    return x->attempt_count ? x->attempts[x->attempt_count - 1].target : NULL;
}

static const struct kt_provider *provider_of_answer(const struct kt_exchange *x)
{
    const struct kt_target *t = target_of_answer(x);
    return t ? kt_provider_of(t) : x->dialect;
}

bool kt_x_answer_is_native(const struct kt_exchange *x)
{
    bool own_shape = x->endpoint == KT_EP_CHAT || x->endpoint == KT_EP_MODERATIONS;
    return own_shape && x->dialect && provider_of_answer(x) == x->dialect;
}

bool kt_x_answer_translated(const struct kt_exchange *x)
{
    const struct kt_provider *p = provider_of_answer(x);
    return target_of_answer(x) && p && (p->answers_translated & KT_SERVES(x->endpoint)) &&
           !kt_x_answer_is_native(x);
}

kt_result kt_x_translate_answer(const struct kt_exchange *x, const struct kt_chat *a, struct kt_edits *edits)
{
    if (!kt_x_answer_translated(x))
        return kt_ok();
    struct kt_chat shown = *a; /* borrowed as a whole */
    shown.stream = x->mode == KT_X_STREAM;
    return provider_of_answer(x)->translate_answer(&shown, edits);
}

kt_result kt_x_mend_answer(struct kt_exchange *x, struct kt_json *parsed)
{
    if (!parsed->count || x->endpoint != KT_EP_CHAT || !target_of_answer(x) || kt_x_answer_is_native(x))
        return kt_ok();
    KT_CLEANUP(kt_edits_free) struct kt_edits edits = {0};
    KT_GUARD(kt_answer_mend_whole(parsed, &edits));
    if (!edits.count)
        return kt_ok();
    struct kt_buf mended = KT_BUF_INIT(KT_X_MAX_RESPONSE * 2u);
    kt_result r = kt_edits_apply(&edits, x->answer.data, x->answer.len, &mended);
    kt_json_free(parsed);
    *parsed = (struct kt_json){0};
    kt_buf_free(&x->answer);
    x->answer = mended;
    return kt_is_ok(r) ? kt_json_parse(parsed, mended.data, mended.len, NULL) : r;
}
