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
    snprintf(r->stop_message, sizeof r->stop_message, "%s", message ? message : "");
}

/* A name with another name in it would mean something else, or nothing. */
static void refuse_name(struct kt_sink *s, const char *label)
{
    const struct kt_chain_run *r = s->chain;
    const struct kt_policy *p = r->links[r->at]->policy;
    char message[sizeof r->stop_message];
    snprintf(
        message, sizeof message,
        "Blocked by policy %s: what it takes out stands in a name, an id or an address, where nothing can "
        "be replaced.",
        p->kind);
    sink_match(s, label);
    sink_stop(s, KT_VERDICT_BLOCK, p->reason_code, -1, message);
}

#define WITH_MAX (1u << 20) /* bytes of what is put in, escaped */

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
    KT_CLEANUP(kt_buf_wipe_free) struct kt_buf with = KT_BUF_INIT(WITH_MAX);
    struct kt_redaction d = {
        .segment = r->text.segment, .start = start, .end = end, .text = text, .len = len};
    if (start < end && kt_run_json_fit(r, &d, &with).code != KT_OK) {
        kt_run_fail(r);
        return;
    }
    const struct kt_run_segment *g = &r->segments[r->text.segment];
    if (d.start < g->released) { /* those bytes may be gone: cover what is left and say so */
        d.start = g->released;
        kt_run_fail(r);
    }
    bool again =
        d.start < g->seen && kt_redactions_has(&r->redactions, (unsigned)r->at, d.segment, d.start, d.end);
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

/* The same value has the same name where JSON source spells it with escapes. False where it is no such
 * spelling; `plain` is what it says then. */
static bool unescaped(const struct kt_chain_run *r, const char *value, size_t len, struct kt_buf *plain)
{
    if (r->call != KT_RUN_TEXT || !kt_text_is_json(&r->text) || !memchr(value, '\\', len))
        return false;
    KT_CLEANUP(kt_buf_wipe_free) struct kt_buf source = KT_BUF_INIT(len + 2);
    struct kt_json j = {0};
    bool is = kt_buf_puts(&source, "\"").code == KT_OK && kt_buf_append(&source, value, len).code == KT_OK &&
              kt_buf_puts(&source, "\"").code == KT_OK &&
              kt_json_parse(&j, source.data, source.len, NULL).code == KT_OK &&
              kt_json_unescape(&j, 0, plain).code == KT_OK;
    kt_json_free(&j);
    return is;
}

static const char *sink_placeholder(struct kt_sink *s, const char *kind, const char *value, size_t len,
                                    bool restore)
{
    struct kt_chain_run *r = s->chain;
    KT_CLEANUP(kt_buf_wipe_free) struct kt_buf plain = KT_BUF_INIT(len);
    if (len > 0 && unescaped(r, value, len, &plain))
        return kt_placeholders_name(r->names, kind, kt_buf_span(&plain).data, plain.len, restore);
    return kt_placeholders_name(r->names, kind, value, len, restore);
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
