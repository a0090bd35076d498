/* SPDX-License-Identifier: Apache-2.0 */
/* What was received, as a test reads it: one JSON object per request. */
#include "policyengine/audit/kt_event.h"
#include "tools/mock/mock.h"

#include <ctype.h>
#include <strings.h>

static bool same_name(struct kt_span a, struct kt_span b)
{
    return a.len == b.len && strncasecmp(a.data, b.data, a.len) == 0;
}

static bool named_before(const struct kt_request *r, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (same_name(r->headers[k].name, r->headers[i].name))
            return true;
    return false;
}

/* `"name":"value"`; the name in lower case, the values of repeated fields joined as RFC 9110 5.3 says. */
static kt_result record_header(struct kt_buf *out, const struct kt_request *r, size_t i)
{
    struct kt_span name = r->headers[i].name;
    KT_GUARD(kt_buf_puts(out, "\""));
    for (size_t k = 0; k < name.len; k++) {
        char c = (char)tolower((unsigned char)name.data[k]);
        KT_GUARD(kt_event_text(out, &c, 1));
    }
    KT_GUARD(kt_buf_puts(out, "\":\""));
    for (size_t k = i; k < r->header_count; k++) {
        if (!same_name(r->headers[k].name, name))
            continue;
        KT_GUARD(kt_buf_puts(out, k > i ? ", " : ""));
        KT_GUARD(kt_event_text(out, r->headers[k].value.data, r->headers[k].value.len));
    }
    return kt_buf_puts(out, "\"");
}

kt_result mock_record_line(const struct mock_conn *c, const struct kt_request *r, struct kt_buf *out)
{
    bool first = true;
    KT_GUARD(kt_buf_puts(out, "{\"method\":\""));
    KT_GUARD(kt_event_text(out, r->method.data, r->method.len));
    KT_GUARD(kt_buf_puts(out, "\",\"path\":\""));
    KT_GUARD(kt_event_text(out, r->target.data, r->target.len));
    KT_GUARD(kt_buf_puts(out, "\",\"headers\":{"));
    for (size_t i = 0; i < r->header_count; i++) {
        if (named_before(r, i))
            continue;
        KT_GUARD(kt_buf_puts(out, first ? "" : ","));
        KT_GUARD(record_header(out, r, i));
        first = false;
    }
    KT_GUARD(kt_buf_puts(out, "},\"body\":\""));
    if (r->body.len > 0)
        KT_GUARD(kt_event_text(out, r->body.data, r->body.len));
    return kt_buf_printf(out, "\",\"tls\":%s,\"connection\":%u}\n", c->ssl ? "true" : "false", c->number);
}
