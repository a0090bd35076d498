/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pii-detector: finds personal data (policyengine/detect) and redacts it to stable placeholders, or blocks.
 * Works on windows: what may still become a value is held back, nothing else.
 */
#include "policyengine/detect/kt_pii.h"
#include "policyengine/policies/kt_policy.h"

#include <stdlib.h>
#include <string.h>

enum pii_action { PII_REDACT, PII_BLOCK };

struct pii_options {
    int action;
    bool pci_mode;
};

#define PII_STREAMS_MAX 4096u /* segments that come in windows; choices and tool calls of one answer */

/* One segment that comes in windows. */
struct pii_stream {
    unsigned segment;
    struct kt_pii_stream scan;
    /* Tool-call arguments are JSON source: where a bare number is replaced, the placeholder needs quotes. */
    size_t json_at;
    bool in_string, escaped;
};

struct pii_state {
    struct pii_stream **streams; /* owned */
    size_t count, cap;
};

struct hit_ctx {
    const struct pii_options *opts;
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

/* Follows the JSON strings of the text up to `to` (absolute). */
static void follow_json(struct pii_stream *p, const struct kt_text *t, size_t to)
{
    if (p->json_at < t->base)
        p->json_at = t->base;
    for (; p->json_at < to; p->json_at++) {
        char c = t->data[p->json_at - t->base];
        if (p->escaped)
            p->escaped = false;
        else if (c == '\\')
            p->escaped = p->in_string;
        else if (c == '"')
            p->in_string = !p->in_string;
    }
}

static void redact(struct hit_ctx *c, const struct kt_pii_kind *kind, size_t start, size_t end)
{
    const struct kt_text *t = c->text;
    const char *name =
        c->sink->placeholder(c->sink, kind->name, t->data + (start - t->base), end - start, false);
    if (!name) {
        c->failed = true;
        return;
    }
    char quoted[64];
    size_t len = strlen(name);
    if (t->from == KT_FROM_TOOL_CALL && len + 2 <= sizeof quoted) {
        follow_json(c->stream, t, start);
        if (!c->stream->in_string) {
            quoted[0] = quoted[len + 1] = '"';
            memcpy(quoted + 1, name, len);
            name = quoted;
            len += 2;
        }
    }
    c->sink->redact(c->sink, start, end, name, len, kind->label);
}

static void on_hit(void *ctx, const struct kt_pii_kind *kind, size_t start, size_t end)
{
    struct hit_ctx *c = ctx;
    if (c->done || c->failed)
        return;
    if (c->opts->action == PII_REDACT) {
        redact(c, kind, start, end);
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
    (void)instance;
    const struct pii_options *o = opts;
    uint32_t kinds = o->pci_mode ? UINT32_MAX : ~kt_pii_bit("card");
    struct pii_stream whole = {.segment = t->segment};
    bool windowed = !t->final || t->base > 0;
    struct pii_stream *p = windowed ? stream_of(state, t->segment) : &whole;
    if (!p)
        return KT_STEP_ERROR;
    struct hit_ctx ctx = {.opts = o, .text = t, .sink = s, .stream = p};
    struct kt_pii_view view = {
        .data = t->data, .len = t->len, .final = t->final, .json = t->from == KT_FROM_TOOL_CALL};
    size_t hold = 0;
    kt_result r = kt_pii_stream_window(&p->scan, &view, t->base, kinds, on_hit, &ctx, &hold);
    if (t->from == KT_FROM_TOOL_CALL)
        follow_json(p, t, hold);
    s->hold_from(s, hold);
    return r.code == KT_OK && !ctx.failed ? KT_STEP_DONE : KT_STEP_ERROR;
}

static const struct kt_option pii_option_table[] = {
    {.name = "action",
     .type = KT_OPT_ENUM,
     .offset = offsetof(struct pii_options, action),
     .def = "redact",
     .values = "redact|block",
     .help = "replace each value by a placeholder such as [EMAIL_1], or block the text"},
    {.name = "pci_mode",
     .type = KT_OPT_BOOL,
     .offset = offsetof(struct pii_options, pci_mode),
     .def = "true",
     .help = "also look for payment card numbers"},
    {.name = NULL},
};

const struct kt_policy kt_policy_pii_detector = {
    .kind = "pii-detector",
    .help = "finds e-mail addresses, phone, card and social security numbers and IP addresses",
    .reason_code = "pii.detected",
    .phases = KT_PHASE_REQUEST | KT_PHASE_RESPONSE,
    .options = pii_option_table,
    .options_size = sizeof(struct pii_options),
    .open = pii_open,
    .close = pii_close,
    .text = pii_text,
};
