/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libcurl's easy handles. One that has served a call keeps its options for the next of the same kind, which
 * then sets only what is its own: to reset a handle and to set forty options again takes longer than to send
 * a request.
 */
#include "interceptor/upstream/kt_upstream_private.h"

#include <stdlib.h>
#include <string.h>

#define SEARCHED 8 /* of the idle ones, the newest first */
#define SPARED 4   /* idle ones that keep options of another kind rather than be reset */

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

/* What a URL may hold besides a place: a key or a name of somebody. That goes with its call. */
static bool is_plain(const char *url)
{
    return !strpbrk(url, "?@#");
}

static bool fits(const struct kt_up_handle *h, const struct kt_call_request *q)
{
    return h->keeps && h->stream == q->stream && h->has_body == (q->body.len > 0) &&
           h->connect_ms == q->connect_ms && strcmp(h->method, q->method) == 0 && same_text(h->url, q->url) &&
           same_text(h->ca_file, q->ca_file);
}

static void forget(struct kt_up_handle *h)
{
    h->keeps = false;
    free(h->url);
    free(h->ca_file);
    h->url = h->ca_file = NULL;
}

void kt_up_handle_free(struct kt_up_handle *h)
{
    forget(h);
    curl_easy_cleanup(h->easy);
    free(h);
}

static struct kt_up_handle *take(struct kt_upstream *u, size_t at)
{
    struct kt_up_handle *h = u->idle[at];
    u->idle_count--;
    memmove(u->idle + at, u->idle + at + 1, (u->idle_count - at) * sizeof(struct kt_up_handle *));
    return h;
}

static struct kt_up_handle *fresh(void)
{
    struct kt_up_handle *h = calloc(1, sizeof *h);
    if (h && !(h->easy = curl_easy_init())) {
        free(h);
        return NULL;
    }
    return h;
}

struct kt_up_handle *kt_up_handle_take(struct kt_upstream *u, const struct kt_call_request *q)
{
    size_t least = u->idle_count > SEARCHED ? u->idle_count - SEARCHED : 0;
    for (size_t i = u->idle_count; i > least; i--)
        if (fits(u->idle[i - 1], q))
            return take(u, i - 1);
    struct kt_up_handle *h = u->idle_count < SPARED ? fresh() : take(u, 0);
    if (h && h->keeps) {
        curl_easy_reset(h->easy);
        forget(h);
    }
    return h;
}

void kt_up_handle_keep(struct kt_up_handle *h, const struct kt_call_request *q)
{
    size_t n = strlen(q->method) + 1;
    if (!is_plain(q->url) || n > sizeof h->method)
        return;
    h->url = strdup(q->url);
    h->ca_file = q->ca_file ? strdup(q->ca_file) : NULL;
    if (!h->url || (q->ca_file && !h->ca_file)) {
        forget(h);
        return;
    }
    memcpy(h->method, q->method, n);
    h->stream = q->stream;
    h->has_body = q->body.len > 0;
    h->connect_ms = q->connect_ms;
    h->keeps = true;
}

void kt_up_handle_give(struct kt_upstream *u, struct kt_up_handle *h, bool in_order)
{
    h->call = NULL;
    if (u->idle_count >= KT_UP_IDLE_EASY) {
        kt_up_handle_free(h);
        return;
    }
    if (in_order && h->keeps) { /* it must not keep pointers into the call */
        curl_easy_setopt(h->easy, CURLOPT_HTTPHEADER, NULL);
        if (h->has_body)
            curl_easy_setopt(h->easy, CURLOPT_POSTFIELDS, "");
    } else {
        curl_easy_reset(h->easy);
        forget(h);
    }
    u->idle[u->idle_count++] = h;
}
