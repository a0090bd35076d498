/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/chain/kt_boundary.h"
#include "policyengine/chain/kt_run_internal.h"
#include "policyengine/config/kt_config.h"

#include <stdio.h>
#include <string.h>

/* A policy that breaks its contract, or for which memory is out, must not pass for one that found nothing. */
void kt_run_fail(struct kt_chain_run *r)
{
    int on_error = r->links[r->at]->on_error;
    r->policies[r->at].out = true;
    r->results[r->at].failed = true;
    if (on_error == KT_ON_ERROR_ALLOW)
        return;
    r->failed_now = true;
    if (on_error == KT_ON_ERROR_BLOCK)
        r->error_blocks = true;
    else
        r->internal_error = true;
}

static void count_label(struct kt_policy_result *p, const char *label)
{
    unsigned i = 0;
    while (i < p->labels_used && p->labels[i] != label && strcmp(p->labels[i], label) != 0)
        i++;
    if (i == KT_COUNT(p->labels))
        return;
    if (i == p->labels_used) {
        p->labels[i] = label;
        p->labels_used++;
    }
    p->label_count[i]++;
}

static void raise_verdict(struct kt_policy_result *p, enum kt_verdict v)
{
    if (v > p->verdict)
        p->verdict = v;
}

static void sink_match(struct kt_sink *s, const char *label)
{
    struct kt_chain_run *r = s->chain;
    r->results[r->at].matches++;
    if (label)
        count_label(&r->results[r->at], label);
}

static void sink_score(struct kt_sink *s, double score)
{
    struct kt_chain_run *r = s->chain;
    if (score > r->results[r->at].score)
        r->results[r->at].score = score;
}

static void sink_stop(struct kt_sink *s, enum kt_verdict v, const char *reason_code, double score,
                      const char *message)
{
    struct kt_chain_run *r = s->chain;
    if (v != KT_VERDICT_BLOCK && v != KT_VERDICT_ESCALATE) {
        kt_run_fail(r);
        return;
    }
    sink_score(s, score);
    raise_verdict(&r->results[r->at], v);
    r->policies[r->at].out = true;
    if (r->stopped)
        return;
    r->stopped = true;
    r->stop_verdict = v;
    r->stop_link = r->at;
    r->stop_reason = reason_code;
    r->stop_message = message ? strdup(message) : NULL;
}

/* A name with another name in it would mean something else, or nothing. */
static void refuse_name(struct kt_sink *s, const char *label)
{
    const struct kt_chain_run *r = s->chain;
    const struct kt_policy *p = r->links[r->at]->policy;
    char message[256];
    snprintf(
        message, sizeof message,
        "Blocked by policy %s: what it takes out stands in a name, an id or an address, where nothing can "
        "be replaced.",
        p->kind);
    sink_match(s, label);
    sink_stop(s, KT_VERDICT_BLOCK, p->reason_code, -1, message);
}

#define WITH_MAX (1u << 20) /* bytes of what is put in, escaped */

void kt_chain_run_told(struct kt_chain_run *r, kt_told_fn fn, void *arg)
{
    r->told = fn;
    r->told_arg = arg;
}

/* The program said it itself, as it stands here or as what it stands for. */
static bool told(struct kt_chain_run *r, size_t start, size_t end, struct kt_span with)
{
    const struct kt_text *t = &r->text;
    if (!r->told || start < t->base || start >= end)
        return false;
    struct kt_span find = kt_span(t->data + (start - t->base), end - start);
    if (r->told(r->told_arg, find, with))
        return true;
    KT_CLEANUP(kt_buf_wipe_free) struct kt_buf plain = KT_BUF_INIT(find.len);
    for (unsigned times = kt_run_json_times(r, start), n = 1; n <= times; n++) {
        kt_buf_clear(&plain);
        if (!kt_run_json_plain(find.data, find.len, n, &plain))
            return false;
        if (r->told(r->told_arg, kt_buf_span(&plain), with))
            return true;
    }
    return false;
}

static KT_MUST kt_result fit(struct kt_chain_run *r, struct kt_redaction *d, struct kt_buf *with)
{
    const struct kt_redaction as_found = *d;
    KT_GUARD(kt_run_json_fit(r, d, with));
    if (!d->restores || r->phase != KT_PHASE_REQUEST ||
        (d->start == as_found.start && d->end == as_found.end))
        return kt_ok();
    kt_buf_clear(with);
    d->text = as_found.text;
    d->len = as_found.len;
    return kt_run_rename(r, d, with);
}

static void sink_redact(struct kt_sink *s, size_t start, size_t end, const char *text, size_t len,
                        const char *label)
{
    struct kt_chain_run *r = s->chain;
    if (r->call != KT_RUN_TEXT || end > r->text.base + r->text.len || start > end) {
        kt_run_fail(r);
        return;
    }
    if (r->text.from == KT_FROM_NAME) {
        refuse_name(s, label);
        return;
    }
    if (told(r, start, end, kt_span(text, len)))
        return;
    KT_CLEANUP(kt_buf_wipe_free) struct kt_buf with = KT_BUF_INIT(WITH_MAX);
    struct kt_redaction d = {.segment = r->text.segment,
                             .start = start,
                             .end = end,
                             .text = text,
                             .len = len,
                             .restores = r->restores && strlen(r->restores) == len &&
                                         memcmp(r->restores, text, len) == 0};
    if (start < end && fit(r, &d, &with).code != KT_OK) {
        kt_run_fail(r);
        return;
    }
    const struct kt_run_segment *g = &r->segments[r->text.segment];
    if (d.start < g->released) { /* those bytes may be gone: cover what is left and say so */
        d.start = g->released;
        kt_run_fail(r);
    }
    bool again = d.start < g->seen &&
                 kt_redactions_has(&r->redactions, g->first, (unsigned)r->at, d.segment, d.start, d.end);
    if (d.start >= d.end || again)
        return;
    if (kt_redactions_add(&r->redactions, (unsigned)r->at, &d).code != KT_OK) {
        kt_run_fail(r);
        return;
    }
    raise_verdict(&r->results[r->at], KT_VERDICT_REDACT);
    sink_match(s, label);
}

static kt_result sink_as_it_leaves(struct kt_sink *s, size_t start, size_t end, struct kt_buf *out)
{
    struct kt_chain_run *r = s->chain;
    const struct kt_text *t = &r->text;
    KT_ENSURE(r->call == KT_RUN_LEAVING && t->base <= start && start <= end && end <= t->base + t->len,
              KT_ERR_USAGE);
    KT_GUARD(kt_redactions_merge(&r->redactions));
    const struct kt_redactions *l = &r->redactions;
    for (size_t i = kt_redactions_first(l, t->segment, start);
         i < l->merged_count && l->merged[i].segment == t->segment && l->merged[i].start < end; i++) {
        const struct kt_redaction *d = &l->merged[i];
        if (d->start > start)
            KT_GUARD(kt_buf_append(out, t->data + (start - t->base), d->start - start));
        KT_GUARD(kt_buf_append(out, d->text, d->len));
        start = d->end < end ? d->end : end;
    }
    return kt_buf_append(out, t->data + (start - t->base), end - start);
}

static void sink_hold_from(struct kt_sink *s, size_t offset)
{
    struct kt_chain_run *r = s->chain;
    struct kt_run_policy *p = &r->policies[r->at];
    if (offset < p->hold_from)
        p->hold_from = offset;
}

/* What is put in goes back as a whole number: it is named as one, or the name that a policy asks for would be
 * given to nothing. */
static const char *name_shown(struct kt_chain_run *r, const char *kind, const char *value, size_t len,
                              bool restore)
{
    const struct kt_text *t = &r->text;
    size_t start = t->base + (size_t)(value - t->data);
    struct kt_redaction d = {.start = start, .end = start + len};
    if (restore && r->phase == KT_PHASE_REQUEST)
        kt_run_json_grow(r, &d);
    return kt_run_name(r, kind, t->data + (d.start - t->base), d.end - d.start, restore);
}

static const char *sink_placeholder(struct kt_sink *s, const char *kind, const char *value, size_t len,
                                    bool restore)
{
    struct kt_chain_run *r = s->chain;
    const struct kt_text *t = &r->text;
    bool shown = r->call == KT_RUN_TEXT && len > 0 && value >= t->data && value + len <= t->data + t->len;
    const char *name = shown ? name_shown(r, kind, value, len, restore)
                             : kt_placeholders_name(r->names, kind, value, len, restore);
    if (restore)
        r->restores = name;
    return name;
}

void kt_run_sink_init(struct kt_chain_run *r)
{
    r->sink = (struct kt_sink){
        .chain = r,
        .redact = sink_redact,
        .match = sink_match,
        .score = sink_score,
        .stop = sink_stop,
        .hold_from = sink_hold_from,
        .as_it_leaves = sink_as_it_leaves,
        .placeholder = sink_placeholder,
    };
}
