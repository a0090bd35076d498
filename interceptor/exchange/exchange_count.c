/* SPDX-License-Identifier: Apache-2.0 */
/* What came of a streamed answer, and what the client got of it, for the event: counts, never content. */
#include "interceptor/exchange/kt_exchange_private.h"

#define NS_PER_MS 1000000u

static bool is_label(const struct kt_json *j, uint32_t key)
{
    return kt_json_str_eq(j, key, "role") || kt_json_str_eq(j, key, "id") || kt_json_str_eq(j, key, "type") ||
           kt_json_str_eq(j, key, "name");
}

/* Text may stand in lists and objects: tool calls, parts. No deeper than KT_JSON_MAX_DEPTH. */
static size_t text_bytes(const struct kt_json *j, uint32_t tok)
{
    const struct kt_json_tok *t = &j->tok[tok];
    size_t n = 0;
    if (t->type == KT_JSON_STRING)
        return kt_json_str_size(j, tok);
    if (t->type == KT_JSON_ARRAY)
        for (uint32_t e = tok + 1; e < t->next; e = j->tok[e].next)
            n += text_bytes(j, e);
    if (t->type == KT_JSON_OBJECT)
        for (uint32_t key = tok + 1; key < t->next; key = j->tok[key + 1].next)
            n += is_label(j, key) ? 0 : text_bytes(j, key + 1);
    return n;
}

static size_t chunk_bytes(const struct kt_json *j)
{
    uint32_t choices = kt_json_member(j, 0, "choices", NULL);
    size_t n = 0;
    if (!choices || j->tok[choices].type != KT_JSON_ARRAY)
        return 0;
    for (uint32_t c = choices + 1; c < j->tok[choices].next; c = j->tok[c].next) {
        if (j->tok[c].type != KT_JSON_OBJECT)
            continue;
        uint32_t delta = kt_json_member(j, c, "delta", NULL), text = kt_json_member(j, c, "text", NULL);
        n += (delta ? text_bytes(j, delta) : 0) + (text ? text_bytes(j, text) : 0);
    }
    return n;
}

static bool rewrites(const struct kt_exchange *x)
{
    return x->filter.on && !kt_x_observe(x);
}

void kt_x_count_chunk(struct kt_exchange *x, const struct kt_json *j, bool error)
{
    struct kt_x_counts *n = &x->stream.counts;
    n->read++;
    size_t bytes = error ? 0 : chunk_bytes(j);
    if (bytes) {
        n->last_ns = kt_now_mono_ns();
        if (!n->first_ns)
            n->first_ns = n->last_ns;
    }
    if (rewrites(x)) /* only the filter knows what leaves */
        return;
    n->sent.chunks += !error;
    n->sent.bytes += bytes;
}

void kt_x_count_sent(struct kt_exchange *x)
{
    struct kt_x_count *sent = &x->stream.counts.sent, *ready = &x->filter.ready;
    sent->chunks += ready->chunks;
    sent->bytes += ready->bytes;
    *ready = (struct kt_x_count){0};
}

/* The event is written in front of the last bytes: what is left of a whole answer follows it. */
struct kt_x_count kt_x_delivered(const struct kt_exchange *x)
{
    const struct kt_x_stream *s = &x->stream;
    bool whole = !s->interruption && !x->error;
    struct kt_x_count n = s->counts.sent;
    if (rewrites(x) && whole) {
        n.chunks += x->filter.ready.chunks;
        n.bytes += x->filter.ready.bytes;
    }
    return whole || s->committed || x->mode == KT_X_PASS ? n : (struct kt_x_count){0};
}

/* An answer that comes at once has no time between its chunks: then that of the whole attempt counts. */
double kt_x_tokens_per_s(const struct kt_exchange *x)
{
    const struct kt_x_attempt *a = x->attempt_count ? &x->attempts[x->attempt_count - 1] : NULL;
    if (!a || !x->usage.known || !a->end_ns || x->usage.completion_tokens <= 0)
        return 0;
    uint64_t ns = x->stream.counts.last_ns - x->stream.counts.first_ns;
    if (ns < NS_PER_MS)
        ns = a->end_ns - a->start_ns;
    double rate = (double)x->usage.completion_tokens * 1e9 / (double)(ns ? ns : 1);
    return rate < 1e12 ? (double)(uint64_t)(rate * 10 + 0.5) / 10 : 1e12; /* a provider may write anything */
}
