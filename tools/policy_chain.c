/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/policy_chain.h"

#include <string.h>

#define RESUMES_MAX 1000 /* a policy that asks for ever is broken */

/* ---- an answer ---- */

static KT_MUST kt_result wrap(struct kt_buf *out, const char *before, struct kt_span raw, const char *behind)
{
    KT_GUARD(kt_buf_puts(out, before));
    KT_GUARD(kt_buf_append(out, raw.data, raw.len));
    return kt_buf_puts(out, behind);
}

kt_result kt_answer_of(struct kt_buf *out, const struct kt_json *j, uint32_t tok)
{
    uint32_t inner = kt_json_member(j, tok, "body", NULL); /* {"status": 200, "body": {...}} */
    if (inner && !kt_json_member(j, tok, "choices", NULL))
        tok = inner;
    struct kt_span raw = kt_json_raw(j, tok);
    if (j->tok[tok].type == KT_JSON_STRING)
        return wrap(out, "{\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":", raw,
                    "}}]}");
    if (kt_json_member(j, tok, "choices", NULL))
        return wrap(out, "", raw, "");
    if (kt_json_member(j, tok, "message", NULL))
        return wrap(out, "{\"choices\":[", raw, "]}");
    return wrap(out, "{\"choices\":[{\"index\":0,\"message\":", raw, "}]}");
}

kt_result kt_body_of_text(struct kt_buf *out, const char *text, size_t len)
{
    KT_GUARD(kt_buf_puts(out, "{\"model\":\"any\",\"messages\":[{\"role\":\"user\",\"content\":\""));
    KT_GUARD(kt_buf_json(out, text, len));
    return kt_buf_puts(out, "\"}]}");
}

/* ---- the run ---- */

static enum kt_step settle(struct kt_checked *c, enum kt_step step)
{
    for (int i = 0; step == KT_STEP_PENDING && i < RESUMES_MAX; i++) {
        c->outside = true;
        step = kt_chain_run_resume(c->run, 0, kt_span("", 0));
    }
    return step;
}

/* A policy that fails is out and in the outcome; the others still see the rest. */
static void run_all(struct kt_checked *c)
{
    for (size_t i = 0; i < c->chat.tool_count && !kt_chain_run_stopped(c->run); i++) {
        const struct kt_tool_name *n = &c->chat.tools[i];
        struct kt_tool t = {.role = n->role, .choice = n->choice, .name = kt_span(n->name, n->len)};
        (void)settle(c, kt_chain_run_tool(c->run, &t));
    }
    for (size_t i = 0; i < c->chat.segment_count && !kt_chain_run_stopped(c->run); i++) {
        size_t at = kt_chat_nth(&c->chat, i);
        const struct kt_segment *s = &c->chat.segments[at];
        c->reached = at >= c->reached ? at + 1 : c->reached;
        struct kt_text t = {
            .segment = (unsigned)at, .from = s->from, .data = s->text, .len = s->len, .final = true};
        c->bytes += s->len;
        (void)settle(c, kt_chain_run_text(c->run, &t));
    }
    for (unsigned i = 0; i < c->chat.silent && !kt_chain_run_stopped(c->run); i++) {
        struct kt_text t = kt_answer_silence((unsigned)c->chat.segment_count + i);
        (void)settle(c, kt_chain_run_text(c->run, &t));
    }
    (void)settle(c, kt_chain_run_end(c->run));
    c->outcome = kt_chain_run_outcome(c->run);
    for (size_t i = 0; i < c->outcome.policy_count; i++)
        c->time_ns += c->outcome.policies[i].time_ns;
}

enum kt_endpoint kt_endpoint_of_body(const struct kt_json *j)
{
    if (kt_json_member(j, 0, "messages", NULL))
        return KT_EP_CHAT;
    if (kt_json_member(j, 0, "prompt", NULL))
        return KT_EP_COMPLETIONS;
    return kt_json_member(j, 0, "input", NULL) ? KT_EP_EMBEDDINGS : KT_EP_UNKNOWN;
}

static KT_MUST kt_result parse(struct kt_checked *c, const struct kt_chain *chain, struct kt_span body,
                               struct kt_error *err)
{
    if (c->phase == KT_PHASE_RESPONSE)
        return kt_answer_parse(&c->chat, KT_EP_CHAT, body.data, body.len, err);
    struct kt_json j;
    const char *param = NULL;
    KT_GUARD(kt_json_parse(&j, body.data, body.len, err));
    enum kt_endpoint e = kt_endpoint_of_body(&j);
    kt_json_free(&j);
    KT_GUARD(
        kt_request_parse(&c->chat, e == KT_EP_UNKNOWN ? KT_EP_CHAT : e, body.data, body.len, err, &param));
    if (c->chat.token_ids && kt_chain_has_phase(chain, KT_PHASE_REQUEST))
        return kt_fail(err, KT_ERR_USAGE, "the policies cannot read token ids; send the text itself");
    return kt_ok();
}

static void avoid_earlier(void *arg)
{
    struct kt_checked *c = arg;
    for (; c->avoided < c->reached; c->avoided++)
        kt_placeholders_avoid(c->names, c->chat.segments[c->avoided].text, c->chat.segments[c->avoided].len);
}

/* What quotes a placeholder must not come back as the value that got its name. */
static void avoid_look_alikes(void *arg)
{
    struct kt_checked *c = arg;
    c->reached = c->chat.segment_count;
    avoid_earlier(c);
}

kt_result kt_check_body(const struct kt_chain *chain, enum kt_phase phase, struct kt_placeholders *names,
                        struct kt_span body, struct kt_checked *out, struct kt_error *err)
{
    *out = (struct kt_checked){.phase = phase, .names = names};
    kt_result r = parse(out, chain, body, err);
    if (r.code == KT_OK) {
        r = kt_chain_run_new(chain, phase, false, names, &out->run);
        if (r.code != KT_OK)
            r = kt_fail(err, r.code, "the chain cannot be started: %s", kt_code_name(r.code));
    }
    if (r.code != KT_OK) {
        kt_checked_free(out);
        return r;
    }
    bool request = phase == KT_PHASE_REQUEST;
    kt_placeholders_on_restore(names, request ? avoid_look_alikes : NULL, request ? out : NULL);
    kt_placeholders_on_new(names, request ? avoid_earlier : NULL, request ? out : NULL);
    run_all(out);
    kt_placeholders_on_restore(names, NULL, NULL);
    kt_placeholders_on_new(names, NULL, NULL);
    return r;
}

void kt_checked_free(struct kt_checked *c)
{
    kt_chain_run_free(c->run);
    kt_chat_free(&c->chat);
    *c = (struct kt_checked){.run = NULL};
}

/* ---- what leaves ---- */

const struct kt_redaction *kt_checked_redactions(struct kt_checked *c, size_t i, size_t *count)
{
    size_t n = 0, from = 0;
    const struct kt_redaction *all = kt_chain_run_redactions(c->run, &n);
    for (size_t end = n; from < end;) {
        size_t middle = from + (end - from) / 2;
        if (all[middle].segment < i)
            from = middle + 1;
        else
            end = middle;
    }
    *count = 0;
    while (from + *count < n && all[from + *count].segment == i)
        ++*count;
    return *count ? all + from : NULL;
}

kt_result kt_checked_text(struct kt_checked *c, size_t i, struct kt_buf *out)
{
    const struct kt_segment *s = &c->chat.segments[i];
    size_t n, at = 0;
    const struct kt_redaction *r = kt_checked_redactions(c, i, &n);
    for (size_t k = 0; k < n; k++) {
        KT_GUARD(kt_buf_append(out, s->text + at, r[k].start - at));
        KT_GUARD(kt_buf_append(out, r[k].text, r[k].len));
        at = r[k].end;
    }
    return kt_buf_append(out, s->text + at, s->len - at);
}

kt_result kt_checked_body(struct kt_checked *c, struct kt_buf *out)
{
    KT_CLEANUP(kt_edits_free) struct kt_edits edits = {.items = NULL};
    size_t n;
    const struct kt_redaction *r = kt_chain_run_redactions(c->run, &n);
    for (size_t i = 0; i < n; i++)
        KT_GUARD(kt_chat_redact(&c->chat, &edits, r[i].segment, r[i].start, r[i].end, r[i].text, r[i].len));
    return kt_edits_apply(&edits, c->chat.json.text, c->chat.json.len, out);
}

const char *kt_origin_name(enum kt_origin_class from)
{
    static const char *const names[] = {[KT_FROM_SYSTEM] = "system",
                                        [KT_FROM_USER] = "user",
                                        [KT_FROM_ASSISTANT] = "assistant",
                                        [KT_FROM_TOOL] = "tool",
                                        [KT_FROM_TOOL_CALL] = "tool call",
                                        [KT_FROM_REASONING] = "reasoning",
                                        [KT_FROM_OFFER] = "tool description",
                                        [KT_FROM_LABEL] = "label",
                                        [KT_FROM_NAME] = "name"};
    return (size_t)from < KT_COUNT(names) && names[from] ? names[from] : "other";
}
