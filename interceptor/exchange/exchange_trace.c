/* SPDX-License-Identifier: Apache-2.0 */
/* W3C trace context: the program's `traceparent`, and our span below it. */
#include "interceptor/exchange/kt_exchange_trace.h"

#include <stdio.h>
#include <string.h>

#define LENGTH 55 /* "00-" trace "-" parent "-" flags */

/* Lower case only, and not all zeros. */
static bool is_id(const char *s, size_t n)
{
    bool zero = true;
    for (size_t i = 0; i < n; i++) {
        if (!((s[i] >= '0' && s[i] <= '9') || (s[i] >= 'a' && s[i] <= 'f')))
            return false;
        zero &= s[i] == '0';
    }
    return !zero;
}

static bool is_flags(const char *s)
{
    return strspn(s, "0123456789abcdef") >= 2;
}

/* https://www.w3.org/TR/trace-context/#traceparent-header; a later version may have more behind it. */
static bool parse(struct kt_span v, struct kt_trace_ids *t)
{
    char text[LENGTH + 2] = "";
    if (!v.data || v.len < LENGTH)
        return false;
    memcpy(text, v.data, v.len < LENGTH + 1 ? v.len : LENGTH + 1);
    bool version = is_flags(text) && memcmp(text, "ff", 2) != 0;
    bool length = v.len == LENGTH || (memcmp(text, "00", 2) != 0 && text[LENGTH] == '-');
    if (!version || !length || text[2] != '-' || text[35] != '-' || text[52] != '-' || !is_id(text + 3, 32) ||
        !is_id(text + 36, 16) || !is_flags(text + 53))
        return false;
    snprintf(t->trace_id, sizeof t->trace_id, "%.32s", text + 3);
    snprintf(t->parent_id, sizeof t->parent_id, "%.16s", text + 36);
    snprintf(t->flags, sizeof t->flags, "%.2s", text + 53);
    return true;
}

const struct kt_trace_ids *kt_x_trace(struct kt_exchange *x)
{
    struct kt_trace_ids *t = &x->trace;
    char fresh[33] = "";
    if (*t->span_id)
        return t;
    if (!parse(kt_request_header(&x->request, "traceparent"), t)) {
        memcpy(t->trace_id, x->id, sizeof t->trace_id);
        memcpy(t->flags, "01", sizeof t->flags);
    }
    /* Without randomness there is no exchange id either; the id's own digits then do. */
    if (kt_event_new_id(fresh).code != KT_OK)
        memcpy(fresh, x->id, sizeof fresh);
    snprintf(t->span_id, sizeof t->span_id, "%.16s", fresh);
    return t;
}
