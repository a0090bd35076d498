/* SPDX-License-Identifier: Apache-2.0 */
/* What `kt policy explain` prints. */
#include "tools/policy_explain.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <string.h>

#define TEXT_MAX ((size_t)256 << 20)
#define TEXT_SHOWN 300u /* characters of a text in the table */

static double us(uint64_t ns)
{
    return (double)ns / 1e3;
}

static double us_per_kb(uint64_t ns, uint64_t bytes)
{
    return bytes ? us(ns) * 1024 / (double)bytes : 0;
}

static bool sees_text(const char *kind)
{
    const struct kt_policy *p = kt_policy_find(kind);
    return p && (p->text || p->end || p->tool);
}

/* ---- JSON ---- */

static void add_text(cJSON *o, const char *name, const struct kt_buf *b)
{
    cJSON_AddStringToObject(o, name, b->data ? b->data : "");
}

static void add_segment(cJSON *list, struct explained *e, size_t i)
{
    const struct kt_segment *s = &e->checked.chat.segments[i];
    cJSON *o = cJSON_CreateObject();
    cJSON_AddNumberToObject(o, "i", (double)i);
    cJSON_AddStringToObject(o, "from", kt_origin_name(s->from));
    cJSON_AddNumberToObject(o, "bytes", (double)s->len);
    size_t n;
    const struct kt_redaction *r = kt_checked_redactions(&e->checked, i, &n);
    cJSON *redactions = cJSON_AddArrayToObject(o, "redactions");
    for (size_t k = 0; k < n; k++) {
        cJSON *one = cJSON_CreateObject();
        KT_CLEANUP(kt_buf_free) struct kt_buf text = KT_BUF_INIT(TEXT_MAX);
        cJSON_AddNumberToObject(one, "start", (double)r[k].start);
        cJSON_AddNumberToObject(one, "end", (double)r[k].end);
        if (kt_buf_append(&text, r[k].text, r[k].len).code == KT_OK)
            add_text(one, "text", &text);
        cJSON_AddItemToArray(redactions, one);
    }
    KT_CLEANUP(kt_buf_free) struct kt_buf text = KT_BUF_INIT(TEXT_MAX);
    if (explain_shows_text(e) && kt_checked_text(&e->checked, i, &text).code == KT_OK)
        add_text(o, "text", &text);
    else
        cJSON_AddNullToObject(o, "text");
    cJSON_AddItemToArray(list, o);
}

static void add_tools(cJSON *root, const struct kt_chat *chat)
{
    cJSON *list = cJSON_AddArrayToObject(root, "tools");
    for (size_t i = 0; i < chat->tool_count; i++) {
        cJSON *o = cJSON_CreateObject();
        cJSON_AddStringToObject(o, "name", chat->tools[i].name);
        cJSON_AddStringToObject(o, "role", chat->tools[i].role == KT_TOOL_OFFERED ? "offered" : "called");
        cJSON_AddItemToArray(list, o);
    }
}

static void add_policy(cJSON *list, const struct kt_policy_result *p)
{
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "kind", p->kind);
    cJSON_AddStringToObject(o, "verdict", kt_policy_result_word(p));
    if (p->score >= 0)
        cJSON_AddNumberToObject(o, "score", round(p->score * 1e6) / 1e6);
    else
        cJSON_AddNullToObject(o, "score");
    cJSON_AddNumberToObject(o, "matches", p->matches);
    cJSON *labels = cJSON_AddObjectToObject(o, "labels");
    for (unsigned k = 0; k < p->labels_used; k++)
        cJSON_AddNumberToObject(labels, p->labels[k], p->label_count[k]);
    cJSON_AddNumberToObject(o, "bytes", (double)p->bytes);
    cJSON_AddNumberToObject(o, "time_us", round(us(p->time_ns) * 10) / 10);
    cJSON_AddNumberToObject(o, "us_per_kb", round(us_per_kb(p->time_ns, p->bytes) * 100) / 100);
    cJSON_AddItemToArray(list, o);
}

static void add_client(cJSON *root, const struct explained *e, const struct explain_end *end)
{
    cJSON *client = cJSON_AddObjectToObject(root, "client");
    bool request = e->checked.phase == KT_PHASE_REQUEST;
    if (end->fate != FATE_GOES_ON) {
        cJSON_AddNumberToObject(client, "status", end->status);
        cJSON_AddItemToObject(client, "body", cJSON_Parse(end->answer.data ? end->answer.data : "null"));
        return;
    }
    cJSON *targets = request ? cJSON_AddArrayToObject(client, "targets") : NULL;
    cJSON *refused = request ? cJSON_AddArrayToObject(client, "refused_targets") : NULL;
    for (size_t i = 0; request && i < e->config->providers.target_count; i++) {
        const struct kt_target *t = &e->config->providers.targets[i];
        const char *reason = NULL;
        if (kt_chain_admits(e->chain, t, &reason)) {
            cJSON_AddItemToArray(targets, cJSON_CreateString(t->id));
            continue;
        }
        cJSON *one = cJSON_CreateObject();
        cJSON_AddStringToObject(one, "id", t->id);
        cJSON_AddStringToObject(one, "reason", reason ? reason : "");
        cJSON_AddItemToArray(refused, one);
    }
}

void explain_print_json(struct explained *e, const struct explain_end *end)
{
    const struct kt_outcome *o = &e->checked.outcome;
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "phase", e->checked.phase == KT_PHASE_REQUEST ? "request" : "response");
    cJSON_AddStringToObject(root, "mode", e->config->mode == KT_MODE_OBSERVE ? "observe" : "enforce");
    cJSON_AddStringToObject(root, "verdict", kt_verdict_name(o->verdict));
    cJSON_AddStringToObject(root, "reason_code", o->reason_code);
    if (o->policy)
        cJSON_AddStringToObject(root, "policy", o->policy);
    if (o->message)
        cJSON_AddStringToObject(root, "message", o->message);
    cJSON_AddBoolToObject(root, "internal_error", o->internal_error);
    cJSON_AddBoolToObject(root, "outside_check_left_out", e->checked.outside);
    cJSON *texts = cJSON_AddArrayToObject(root, "texts");
    for (size_t i = 0; i < e->checked.chat.segment_count; i++)
        add_segment(texts, e, i);
    add_tools(root, &e->checked.chat);
    cJSON *policies = cJSON_AddArrayToObject(root, "policies");
    for (size_t i = 0; i < o->policy_count; i++)
        add_policy(policies, &o->policies[i]);
    cJSON_AddNumberToObject(root, "time_us", round(us(e->checked.time_ns) * 10) / 10);
    cJSON_AddNumberToObject(root, "us_per_kb",
                            round(us_per_kb(e->checked.time_ns, e->checked.bytes) * 100) / 100);
    add_client(root, e, end);
    char *text = cJSON_Print(root);
    cJSON_Delete(root);
    if (text)
        puts(text);
    cJSON_free(text);
}

/* ---- tables ---- */

static void put_bold(const char *text, bool colour)
{
    printf("%s%s%s\n", colour ? "\033[1m" : "", text, colour ? "\033[0m" : "");
}

static void put_texts(struct explained *e, bool colour)
{
    char line[64];
    snprintf(line, sizeof line, "\n%4s  %-10s %9s  text as it leaves", "#", "from", "bytes");
    put_bold(line, colour);
    for (size_t i = 0; i < e->checked.chat.segment_count; i++) {
        const struct kt_segment *s = &e->checked.chat.segments[i];
        KT_CLEANUP(kt_buf_free) struct kt_buf text = KT_BUF_INIT(TEXT_MAX);
        printf("%4zu  %-10s %9zu  ", i, kt_origin_name(s->from), s->len);
        if (!explain_shows_text(e))
            fputs("(not shown; --show-text)", stdout);
        else if (kt_checked_text(&e->checked, i, &text).code == KT_OK)
            kt_policy_put_text(stdout, kt_buf_span(&text).data, text.len, TEXT_SHOWN);
        putchar('\n');
    }
    if (e->checked.chat.segment_count == 0)
        puts("   (none)");
}

static void put_tools(const struct kt_chat *chat, enum kt_tool_role role, const char *title)
{
    const char *sep = title;
    for (size_t i = 0; i < chat->tool_count; i++) {
        if (chat->tools[i].role != role)
            continue;
        fputs(sep, stdout);
        kt_policy_put_text(stdout, chat->tools[i].name, chat->tools[i].len, 64);
        sep = ", ";
    }
    if (sep != title)
        putchar('\n');
}

static void put_policy(const struct kt_policy_result *p, bool colour)
{
    printf("%-20s ", p->kind);
    if (!sees_text(p->kind)) {
        puts("(looks at no text)");
        return;
    }
    kt_policy_put_verdict(stdout, kt_policy_result_word(p), 8, colour);
    if (p->score >= 0)
        printf(" %6.3f", p->score);
    else
        printf(" %6s", "-");
    printf(" %8u %9llu %10.1f ", p->matches, (unsigned long long)p->bytes, us(p->time_ns));
    if (p->bytes)
        printf("%8.1f", us_per_kb(p->time_ns, p->bytes));
    else
        printf("%8s", "-");
    for (unsigned k = 0; k < p->labels_used; k++)
        printf("%s%s %u", k ? ", " : "  ", p->labels[k], p->label_count[k]);
    putchar('\n');
}

static void put_policies(const struct explained *e, bool colour)
{
    const struct kt_checked *c = &e->checked;
    char line[128];
    snprintf(line, sizeof line, "\n%-20s %-8s %6s %8s %9s %10s %8s  %s", "policy", "verdict", "score",
             "matches", "bytes", "time us", "us/KB", "labels");
    put_bold(line, colour);
    for (size_t i = 0; i < c->outcome.policy_count; i++)
        put_policy(&c->outcome.policies[i], colour);
    printf("%-20s %-8s %6s %8s %9llu %10.1f %8.1f\n", "all", "", "", "", (unsigned long long)c->bytes,
           us(c->time_ns), us_per_kb(c->time_ns, c->bytes));
}

static void put_targets(const struct explained *e)
{
    const struct kt_config *c = e->config;
    if (!c->has_providers) {
        fputs("the request goes to where the program sends it (no providers in the config)", stdout);
        return;
    }
    fputs("the request goes to", stdout);
    const char *sep = " ", *reason;
    for (size_t i = 0; i < c->providers.target_count; i++)
        if (kt_chain_admits(e->chain, &c->providers.targets[i], &reason)) {
            printf("%s%s", sep, c->providers.targets[i].id);
            sep = ", else ";
        }
    for (size_t i = 0; i < c->providers.target_count; i++)
        if (!kt_chain_admits(e->chain, &c->providers.targets[i], &reason))
            printf("; not to %s (%s)", c->providers.targets[i].id, reason ? reason : "refused");
}

static void put_failure(const struct kt_outcome *o, bool fail_open)
{
    if (kt_outcome_failed_by(o) == KT_FAILED_BY_LOSS) {
        puts("note     the policy chain failed: what it was to take out is not");
        return;
    }
    bool own = o->error_blocks || o->failed_open;
    bool blocks = o->error_blocks || (!o->failed_open && !fail_open);
    if (o->failed || o->internal_error || o->error_blocks)
        printf("note     %s%s failed; %s is %s\n", o->failed ? "policy " : "the policy chain",
               o->failed ? o->failed : "", own ? "on_internal_error" : "fail_mode",
               blocks ? "block" : "allow");
}

static void put_end(const struct explained *e, const struct explain_end *end, bool colour)
{
    const struct kt_outcome *o = &e->checked.outcome;
    fputs("\nverdict  ", stdout);
    kt_policy_put_verdict(stdout, kt_verdict_name(o->verdict), 0, colour);
    printf("  %s", o->reason_code);
    if (o->policy)
        printf("  (%s)", o->policy);
    fputs("\nclient   ", stdout);
    if (end->fate == FATE_GOES_ON && e->checked.phase == KT_PHASE_REQUEST)
        put_targets(e);
    else if (end->fate == FATE_GOES_ON)
        fputs("the program gets the answer", stdout);
    else
        printf("HTTP %d  %s", end->status, end->answer.data ? end->answer.data : "");
    if (end->fate == FATE_GOES_ON && o->verdict == KT_VERDICT_REDACT)
        fputs(e->config->mode == KT_MODE_OBSERVE ? ", unchanged" : ", redacted", stdout);
    putchar('\n');
    if (e->config->mode == KT_MODE_OBSERVE)
        puts("note     mode is observe: nothing is changed or stopped, the verdict is what would have been");
    put_failure(o, e->config->fail_mode == KT_FAIL_ALLOW);
    if (e->checked.outside)
        puts("note     a policy asks outside; here it got no answer");
    if (!e->config->pack.enabled)
        puts("note     pack.enabled is false: a program that uses this config runs without its policies");
}

void explain_print_text(struct explained *e, const struct explain_end *end)
{
    bool colour = kt_policy_colour(stdout);
    printf("%s phase, %zu text%s, %llu bytes\n",
           e->checked.phase == KT_PHASE_REQUEST ? "request" : "response", e->checked.chat.segment_count,
           e->checked.chat.segment_count == 1 ? "" : "s", (unsigned long long)e->checked.bytes);
    put_texts(e, colour);
    put_tools(&e->checked.chat, KT_TOOL_OFFERED, "\ntools offered  ");
    put_tools(&e->checked.chat, KT_TOOL_CALLED, "\ntools called   ");
    put_policies(e, colour);
    put_end(e, end, colour);
}
