/* SPDX-License-Identifier: Apache-2.0 */
/*
 * safety-filter: a high-precision lexicon of requests for help with harm. Not a classifier: what it does not
 * know passes. System texts are not looked at (they are where programs write what must not be done).
 */
#include "policyengine/detect/kt_safety.h"
#include "policyengine/detect/kt_scan.h"
#include "policyengine/policies/kt_policy.h"

#include <stdlib.h>

enum safety_mode { SAFETY_STANDARD, SAFETY_STRICT };
enum safety_action { SAFETY_BLOCK, SAFETY_ESCALATE };

struct safety_options {
    int mode;
    int action;
};

#define SAFETY_STREAMS_MAX 256u /* segments in windows; each keeps 10 KiB */

struct safety_stream {
    unsigned segment;
    size_t seen; /* absolute */
    struct kt_safety *text;
};

struct safety_state {
    struct kt_safety *whole; /* segments that come in one piece */
    struct safety_stream streams[SAFETY_STREAMS_MAX];
    size_t count;
};

static kt_result safety_init(const void *opts, void **instance, struct kt_error *err)
{
    const struct kt_scan *scan = NULL;
    (void)opts, (void)instance;
    return kt_scan_get(KT_SCAN_SAFETY, &scan, err);
}

static void safety_close(void *state)
{
    struct safety_state *s = state;
    for (size_t i = 0; i < s->count; i++)
        kt_safety_free(s->streams[i].text);
    kt_safety_free(s->whole);
    free(s);
}

static kt_result safety_open(const void *opts, void *instance, enum kt_phase phase, void **state)
{
    (void)opts, (void)instance, (void)phase;
    struct safety_state *s = calloc(1, sizeof *s);
    KT_ENSURE(s, KT_ERR_MEMORY);
    s->whole = kt_safety_new();
    if (!s->whole) {
        free(s);
        return kt_err(KT_ERR_MEMORY);
    }
    *state = s;
    return kt_ok();
}

static struct safety_stream *stream_of(struct safety_state *s, unsigned segment)
{
    for (size_t i = s->count; i-- > 0;)
        if (s->streams[i].segment == segment)
            return &s->streams[i];
    if (s->count == SAFETY_STREAMS_MAX)
        return NULL;
    struct safety_stream *one = &s->streams[s->count];
    *one = (struct safety_stream){segment, 0, kt_safety_new()};
    if (!one->text)
        return NULL;
    s->count++;
    return one;
}

static enum kt_step verdict(const struct safety_options *o, enum kt_safety_category found, struct kt_sink *s)
{
    if (found == KT_SAFE_CATEGORIES)
        return KT_STEP_DONE;
    s->match(s, kt_safety_category_name(found));
    s->stop(s, o->action == SAFETY_BLOCK ? KT_VERDICT_BLOCK : KT_VERDICT_ESCALATE, "safety.detected", -1,
            "Blocked by policy safety-filter: the text asks for help with something harmful.");
    return KT_STEP_DONE;
}

static enum kt_step safety_text(const void *opts, void *instance, void *state, const struct kt_text *t,
                                struct kt_sink *s)
{
    (void)instance;
    const struct safety_options *o = opts;
    struct safety_state *st = state;
    if (t->from == KT_FROM_SYSTEM)
        return KT_STEP_DONE;
    unsigned weight = o->mode == SAFETY_STRICT ? 60 : 80;
    enum kt_safety_category found = KT_SAFE_CATEGORIES;
    size_t used = 0;
    if (t->final && t->base == 0) {
        kt_safety_reset(st->whole);
        if (kt_safety_feed(st->whole, t->data, t->len, true, weight, &used, &found).code != KT_OK)
            return KT_STEP_ERROR;
        return verdict(o, found, s);
    }
    struct safety_stream *p = stream_of(st, t->segment);
    if (!p)
        return KT_STEP_ERROR;
    size_t skip = p->seen > t->base ? p->seen - t->base : 0; /* shown again for another policy's sake */
    if (skip > t->len)
        return KT_STEP_DONE;
    if (kt_safety_feed(p->text, t->data + skip, t->len - skip, t->final, weight, &used, &found).code != KT_OK)
        return KT_STEP_ERROR;
    p->seen = t->base + skip + used;
    s->hold_from(s, p->seen);
    return verdict(o, found, s);
}

static const struct kt_option safety_option_table[] = {
    {.name = "mode",
     .type = KT_OPT_ENUM,
     .offset = offsetof(struct safety_options, mode),
     .def = "strict",
     .values = "standard|strict",
     .help = "strict also stops on the less certain phrases"},
    {.name = "action",
     .type = KT_OPT_ENUM,
     .offset = offsetof(struct safety_options, action),
     .def = "block",
     .values = "block|escalate",
     .help = "block the text, or stop it for a human to decide"},
    {.name = NULL},
};

const struct kt_policy kt_policy_safety_filter = {
    .kind = "safety-filter",
    .help =
        "stops plain requests for help with weapons, malware, violence, drugs, fraud, self-harm and abuse",
    .reason_code = "safety.detected",
    .phases = KT_PHASE_REQUEST | KT_PHASE_RESPONSE,
    .options = safety_option_table,
    .options_size = sizeof(struct safety_options),
    .init = safety_init,
    .open = safety_open,
    .close = safety_close,
    .text = safety_text,
};
