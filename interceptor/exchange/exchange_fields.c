/* SPDX-License-Identifier: Apache-2.0 */
/* Which header fields of an answer reach the client. */
#include "interceptor/exchange/kt_exchange_private.h"

#include "policyengine/base/kt_log.h"

#include <stdlib.h>
#include <string.h>

static bool is_one_of(const char *name, const char *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcasecmp(name, list[i]) == 0)
            return true;
    return false;
}

/* A target is not the host that the program believes it talks to: only what is harmless in that host's name.
 */
bool kt_x_wanted_of_target(const char *name)
{
    static const char *const list[] = {"content-type",   "x-request-id",  "retry-after",
                                       "retry-after-ms", "cache-control", "mistral-correlation-id",
                                       "x-should-retry"};
    return is_one_of(name, list, KT_COUNT(list)) || strncasecmp(name, "x-ratelimit-", 12) == 0;
}

/* The origin's own words, but for framing (ours), codings (removed) and invitations to a protocol that
 * bypasses us. */
bool kt_x_wanted_of_origin(const char *name)
{
    static const char *const list[] = {
        "connection",        "keep-alive", "proxy-connection", "proxy-authenticate", "te",     "trailer",
        "transfer-encoding", "upgrade",    "content-length",   "content-encoding",   "alt-svc"};
    return !is_one_of(name, list, KT_COUNT(list));
}

void kt_x_fields_clear(struct kt_x_fields *f)
{
    kt_buf_clear(&f->text);
    f->count = 0;
}

void kt_x_fields_free(struct kt_x_fields *f)
{
    kt_buf_free(&f->text);
    free(f->at);
    f->at = NULL;
    f->count = f->cap = 0;
}

static bool room_for_field(struct kt_x_fields *f)
{
    if (f->count < f->cap)
        return true;
    size_t cap = f->cap ? f->cap * 2 : 12;
    cap = cap < KT_X_MAX_FIELDS ? cap : KT_X_MAX_FIELDS;
    void *more = f->count < cap ? realloc(f->at, cap * sizeof *f->at) : NULL;
    if (!more)
        return false;
    f->at = more;
    f->cap = cap;
    return true;
}

void kt_x_fields_add(struct kt_x_fields *f, const char *name, const char *value)
{
    size_t n = strlen(name), v = strlen(value), at = f->text.len;
    if (!room_for_field(f) || !kt_is_ok(kt_buf_append(&f->text, name, n)))
        return;
    if (!kt_is_ok(kt_buf_append(&f->text, value, v))) {
        f->text.len = at;
        return;
    }
    f->at[f->count].name = (uint32_t)at;
    f->at[f->count].name_len = (uint32_t)n;
    f->at[f->count].value = (uint32_t)(at + n);
    f->at[f->count].value_len = (uint32_t)v;
    f->count++;
}

/* Eight places stay free for fields of our own. */
void kt_x_fields_keep(struct kt_x_fields *f, const struct kt_call_head *head,
                      bool (*wanted)(const char *name))
{
    kt_x_fields_clear(f);
    for (size_t i = 0; i < head->count; i++) {
        if (!wanted(head->headers[i].name))
            continue;
        if (f->count + 8 < KT_X_MAX_FIELDS)
            kt_x_fields_add(f, head->headers[i].name, head->headers[i].value);
        else
            KT_TRACE(HTTP, "answer with too many header fields; %s dropped", head->headers[i].name);
    }
}

size_t kt_x_fields_view(const struct kt_x_fields *f, struct kt_header *out)
{
    for (size_t i = 0; i < f->count; i++) {
        out[i].name = kt_span(f->text.data + f->at[i].name, f->at[i].name_len);
        out[i].value = kt_span(f->text.data + f->at[i].value, f->at[i].value_len);
    }
    return f->count;
}
