/* SPDX-License-Identifier: Apache-2.0 */
/* libcurl's callbacks of one transfer: the answer's head, line by line, and its body. */
#include "interceptor/upstream/kt_upstream_private.h"

#include <stdlib.h>
#include <string.h>

static struct kt_call *call_of(void *handle)
{
    return ((const struct kt_up_handle *)handle)->call;
}

static kt_result keep_field(struct kt_call *c, struct kt_span line)
{
    const char *colon = memchr(line.data, ':', line.len);
    if (!colon || memchr(line.data, '\0', line.len))
        return kt_ok(); /* obs-fold and worse: nobody may read that */
    KT_ENSURE(c->fields < KT_UP_MAX_FIELDS, KT_ERR_LIMIT);
    const char *value = colon + 1, *end = line.data + line.len;
    while (value < end && (*value == ' ' || *value == '\t'))
        value++;
    while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    KT_GUARD(kt_buf_append(&c->head, line.data, (size_t)(colon - line.data)));
    KT_GUARD(kt_buf_append(&c->head, "", 1));
    KT_GUARD(kt_buf_append(&c->head, value, (size_t)(end - value)));
    KT_GUARD(kt_buf_append(&c->head, "", 1));
    c->fields++;
    return kt_ok();
}

static void deliver_head(struct kt_call *c)
{
    struct kt_call_header fields[KT_UP_MAX_FIELDS];
    const char *p = c->head.data;
    for (size_t i = 0; i < c->fields; i++) {
        fields[i].name = p;
        fields[i].value = p + strlen(p) + 1;
        p = fields[i].value + strlen(fields[i].value) + 1;
    }
    struct kt_call_head head = {c->status, fields, c->fields};
    c->head_done = true;
    c->activity_ns = kt_now_mono_ns(); /* until here all of it was the wait for the first byte */
    if (!c->released) {
        kt_call_gzip_begin(c, &head);
        kt_call_arm_watchdog(c);
        c->handler.on_head(c->handler.arg, &head);
    }
    kt_buf_free(&c->head);
}

static void begin_head(struct kt_call *c, struct kt_span line)
{
    const char *space = memchr(line.data, ' ', line.len);
    c->status = 0;
    for (const char *p = space ? space + 1 : line.data + line.len;
         p < line.data + line.len && *p >= '0' && *p <= '9'; p++)
        if (c->status < 1000)
            c->status = c->status * 10 + (*p - '0');
    kt_buf_clear(&c->head);
    c->fields = 0;
}

/* On a kept connection that ends without an answer, libcurl would send the request once more by itself. The
 * server may have had it, so that a model would run (and cost) twice and nobody would know: whether it is
 * tried again is for the retry settings to say. Where nothing had been written, nothing can happen twice. */
int kt_call_on_send(void *arg, char *peer, char *own, int peer_port, int own_port)
{
    (void)peer, (void)own, (void)peer_port, (void)own_port;
    struct kt_call *c = call_of(arg);
    long written = 0;
    curl_easy_getinfo(c->easy, CURLINFO_REQUEST_SIZE, &written);
    c->cut_off = c->once && c->sent && written > 0;
    c->sent = true;
    return c->cut_off ? CURL_PREREQFUNC_ABORT : CURL_PREREQFUNC_OK;
}

size_t kt_call_on_header(char *data, size_t size, size_t n, void *arg)
{
    struct kt_call *c = call_of(arg);
    size_t len = size * n;
    if (c->state == KT_CS_DOOMED)
        return 0;
    if (c->head_done) { /* trailers */
        c->activity_ns = kt_now_mono_ns();
        return len;
    }
    struct kt_span line = {data, len};
    while (line.len && (line.data[line.len - 1] == '\n' || line.data[line.len - 1] == '\r'))
        line.len--;
    if (line.len == 0) {
        if (c->status >= 200 || c->status == 101)
            deliver_head(c);
        return len;
    }
    if (line.len > 5 && memcmp(line.data, "HTTP/", 5) == 0) {
        begin_head(c, line);
        return len;
    }
    if (kt_is_ok(keep_field(c, line)))
        return len;
    c->overflow = true;
    return 0;
}

size_t kt_call_on_write(char *data, size_t size, size_t n, void *arg)
{
    struct kt_call *c = call_of(arg);
    size_t len = size * n;
    if (c->state == KT_CS_DOOMED)
        return 0;
    if (c->released) {
        c->drained += len;
        return c->drained > KT_UP_DRAIN_BYTES ? 0 : len;
    }
    if (c->paused)
        return CURL_WRITEFUNC_PAUSE; /* libcurl keeps the piece and shows it again */
    c->activity_ns = kt_now_mono_ns();
    if (c->gzip)
        return kt_call_gzip_write(c, data, len);
    c->handler.on_data(c->handler.arg, data, len);
    /* A call that was cancelled inside the slot must not be touched by libcurl any more. */
    return c->state == KT_CS_DOOMED ? 0 : len;
}

int kt_call_on_resolve(void *resolver, void *reserved, void *arg)
{
    const struct kt_call *c = call_of(arg);
    (void)resolver, (void)reserved;
    atomic_store(&c->u->fork_ns, kt_now_mono_ns() + KT_UP_RESOLVER_MS * KT_NS_PER_MS);
    return 0;
}
