/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pii-detector: finds personal data (policyengine/detect) and redacts it, or blocks. Works on windows: what
 * may still become a value is held back, nothing else.
 */
#include "policyengine/detect/kt_pii_fold.h"
#include "policyengine/policies/kt_marker.h"
#include "policyengine/policies/pii_options.h"

#include <stdlib.h>
#include <string.h>

#define PII_STREAMS_MAX 4096u /* segments that come in windows and go on */
#define PII_VALUE_MAX (64u << 10)

/* One segment that comes in windows. */
struct pii_stream {
    unsigned segment;
    struct kt_pii_stream scan;
};

struct pii_state {
    struct pii_stream **streams; /* owned */
    size_t count, cap;
};

struct hit_ctx {
    const struct pii_options *opts;
    const struct pii_instance *pii;
    const struct kt_text *text;
    struct kt_sink *sink;
    struct pii_stream *stream;
    bool done; /* blocked: no further hits */
    bool failed;
};

static kt_result pii_open(const void *opts, void *instance, enum kt_phase phase, void **state)
{
    (void)opts, (void)instance, (void)phase;
    *state = calloc(1, sizeof(struct pii_state));
    return *state ? kt_ok() : kt_err(KT_ERR_MEMORY);
}

static void pii_close(void *state)
{
    struct pii_state *s = state;
    for (size_t i = 0; i < s->count; i++) {
        kt_pii_stream_free(&s->streams[i]->scan);
        free(s->streams[i]);
    }
    free(s->streams);
    free(s);
}

/* The stream of a segment, made where there is none. NULL on OOM or past the limit. */
static struct pii_stream *stream_of(struct pii_state *s, unsigned segment)
{
    for (size_t i = s->count; i-- > 0;)
        if (s->streams[i]->segment == segment)
            return s->streams[i];
    if (s->count == s->cap) {
        size_t cap = s->cap ? s->cap * 2 : 4;
        struct pii_stream **grown = cap <= PII_STREAMS_MAX ? realloc(s->streams, cap * sizeof(*grown)) : NULL;
        if (!grown)
            return NULL;
        s->streams = grown;
        s->cap = cap;
    }
    struct pii_stream *one = calloc(1, sizeof *one);
    if (!one)
        return NULL;
    one->segment = segment;
    s->streams[s->count++] = one;
    return one;
}

/* Nothing more comes of it. */
static void forget(struct pii_state *s, const struct pii_stream *p)
{
    for (size_t i = s->count; i-- > 0;)
        if (s->streams[i] == p) {
            kt_pii_stream_free(&s->streams[i]->scan);
            free(s->streams[i]);
            s->streams[i] = s->streams[--s->count];
            return;
        }
}

/* A marker that shows something of the value is told by what a source with escapes stands for; of a label the
 * sink knows whether they are escapes. */
static kt_result plain_marker(struct hit_ctx *c, const struct kt_marker *m, struct kt_span value,
                              struct kt_buf *out)
{
    if (c->opts->redaction.format == KT_MARKER_LABEL)
        return kt_marker_put(&c->opts->redaction, m, c->sink, value.data, value.len, out);
    KT_CLEANUP(kt_buf_wipe_free) struct kt_buf plain = KT_BUF_INIT(PII_VALUE_MAX);
    KT_GUARD(kt_pii_decode_json(value.data, value.len, &plain));
    return kt_marker_put(&c->opts->redaction, m, c->sink, plain.data, plain.len, out);
}

static kt_result redact(struct hit_ctx *c, const struct kt_pii_kind *kind, size_t start, size_t end)
{
    const struct kt_text *t = c->text;
    struct kt_span value = kt_span(t->data + (start - t->base), end - start);
    struct kt_marker m = pii_marker(c->pii, kind);
    KT_CLEANUP(kt_buf_wipe_free) struct kt_buf out = KT_BUF_INIT(PII_VALUE_MAX);
    KT_GUARD(plain_marker(c, &m, value, &out));
    struct kt_span marker = kt_buf_span(&out);
    c->sink->redact(c->sink, start, end, marker.data, marker.len, kind->label);
    return kt_ok();
}

static void on_hit(void *ctx, const struct kt_pii_kind *kind, size_t start, size_t end)
{
    struct hit_ctx *c = ctx;
    if (c->done || c->failed)
        return;
    if (c->opts->action == PII_REDACT) {
        c->failed = !kt_is_ok(redact(c, kind, start, end));
        return;
    }
    c->sink->match(c->sink, kind->label);
    c->sink->stop(c->sink, KT_VERDICT_BLOCK, "pii.detected", -1,
                  "Blocked by policy pii-detector: the text holds personal data.");
    c->done = true;
}

static enum kt_step pii_text(const void *opts, void *instance, void *state, const struct kt_text *t,
                             struct kt_sink *s)
{
    const struct pii_instance *pii = instance;
    struct pii_stream whole = {.segment = t->segment};
    bool windowed = !t->final || t->base > 0;
    struct pii_stream *p = windowed ? stream_of(state, t->segment) : &whole;
    if (!p)
        return KT_STEP_ERROR;
    struct hit_ctx ctx = {.opts = opts, .pii = pii, .text = t, .sink = s, .stream = p};
    struct kt_pii_window window = {.data = t->data,
                                   .len = t->len,
                                   .base = t->base,
                                   .final = t->final,
                                   /* Prompts, tool results and answers hold JSON source as often as not,
                                    * and a value stands behind its "\\n". */
                                   .json = true};
    size_t hold = 0;
    kt_result r = kt_pii_stream_window(&p->scan, &window, pii->kinds, on_hit, &ctx, &hold);
    s->hold_from(s, hold);
    if (!windowed)
        kt_pii_stream_free(&whole.scan);
    else if (t->final)
        forget(state, p);
    return r.code == KT_OK && !ctx.failed ? KT_STEP_DONE : KT_STEP_ERROR;
}

static bool pii_restores(const void *opts)
{
    return ((const struct pii_options *)opts)->redaction.restore;
}

static const char *pii_idle(const void *opts, const void *instance)
{
    (void)opts;
    return ((const struct pii_instance *)instance)->kinds ? NULL
                                                          : "every kind is off: switch one on in kinds";
}

const struct kt_policy kt_policy_pii_detector = {
    .kind = "pii-detector",
    .help =
        "finds personal data (mail, phone, card, account, id numbers, addresses of machines) and redacts it",
    .reason_code = "pii.detected",
    .phases = KT_PHASE_REQUEST | KT_PHASE_RESPONSE,
    .options = pii_option_table,
    .options_size = sizeof(struct pii_options),
    .init = pii_init,
    .fini = pii_fini,
    .open = pii_open,
    .close = pii_close,
    .text = pii_text,
    .restores = pii_restores,
    .idle = pii_idle,
    .advise = pii_advise,
};
