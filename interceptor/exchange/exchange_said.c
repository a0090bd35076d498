/* SPDX-License-Identifier: Apache-2.0 */
/* What an answer repeats of its own request is nothing to keep from the program. */
#include "interceptor/exchange/kt_exchange_private.h"

static KT_MUST kt_result take(struct kt_exchange *x)
{
    size_t n = 0, at = 0;
    const struct kt_redaction *all = x->req.run ? kt_chain_run_redactions(x->req.run, &n) : NULL;
    for (unsigned i = 0; i < x->chat.segment_count; i++) {
        const struct kt_segment *s = &x->chat.segments[i];
        size_t from = 0;
        KT_GUARD(kt_said_next(&x->said));
        for (; at < n && all[at].segment == i; at++) {
            KT_GUARD(kt_said_add(&x->said, s->text + from, all[at].start - from));
            KT_GUARD(kt_said_add(&x->said, all[at].text, all[at].len));
            from = all[at].end;
        }
        KT_GUARD(kt_said_add(&x->said, s->text + from, s->len - from));
    }
    return kt_ok();
}

/* The value came with the request, or the piece of text did. The texts are put together when the first find
 * asks for them: most answers have none. */
static bool told(void *arg, struct kt_span find, struct kt_span with)
{
    struct kt_exchange *x = arg;
    if (x->restorer && kt_restorer_value(x->restorer, with.data, with.len).data)
        return true;
    if (!x->said_taken && !kt_is_ok(take(x)))
        kt_said_free(&x->said); /* more than we search: then nothing was said */
    x->said_taken = true;
    return kt_said_has(&x->said, find.data, find.len);
}

void kt_x_said_begin(struct kt_exchange *x)
{
    if (x->res.run && !kt_x_observe(x) && (x->restorer || kt_chain_restores(x->rt->chain)))
        kt_chain_run_told(x->res.run, told, x);
}
