/* SPDX-License-Identifier: Apache-2.0 */
#include "interceptor/exchange/kt_exchange.h"
#include "policyengine/audit/kt_event.h"

#include <string.h>

static kt_result put_member(struct kt_buf *out, const char *name, const char *text)
{
    KT_GUARD(kt_buf_printf(out, "\"%s\":", name));
    if (!text)
        return kt_buf_puts(out, "null");
    KT_GUARD(kt_buf_puts(out, "\""));
    KT_GUARD(kt_event_text(out, text, strlen(text)));
    return kt_buf_puts(out, "\"");
}

static kt_result put_error(struct kt_buf *out, const char *message, const char *type, const char *code,
                           const char *policy)
{
    KT_GUARD(kt_buf_puts(out, "{\"error\":{"));
    KT_GUARD(put_member(out, "message", message));
    KT_GUARD(kt_buf_puts(out, ","));
    KT_GUARD(put_member(out, "type", type));
    KT_GUARD(kt_buf_puts(out, ",\"param\":null,"));
    KT_GUARD(put_member(out, "code", code));
    if (policy) {
        KT_GUARD(kt_buf_puts(out, ","));
        KT_GUARD(put_member(out, "policy", policy));
    }
    return kt_buf_puts(out, "}}");
}

kt_result kt_openai_error(struct kt_buf *out, const char *message, const char *type, const char *code,
                          const char *policy)
{
    size_t before = out->len;
    kt_result r = put_error(out, message, type, code, policy);
    if (!kt_is_ok(r) && out->data) { /* half an object is worse than none */
        out->len = before;
        out->data[before] = '\0';
    }
    return r;
}
