/* SPDX-License-Identifier: Apache-2.0 */
/* One case of `kt policy test`. */
#include "tools/policy_test.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define BODY_MAX ((size_t)256 << 20)

struct one {
    struct test_run *t;
    const struct kt_json *j;
    const struct test_place *place;
    char *name;                       /* owned */
    char *want_verdict, *want_reason; /* owned; NULL = not asked for */
    struct kt_buf request, answer;    /* JSON; answer is empty where there is none */

    enum kt_verdict verdict; /* what came */
    char reason[128];
    bool failed; /* a policy failed */
    cJSON *policies;
};

void test_bad(struct test_run *t, const struct test_place *place, const char *member, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    bool named = *member || place->path[0];
    fprintf(stderr, "%s: %s%s%s%s", place->file, place->path, *member && place->path[0] ? "." : "", member,
            named ? ": " : "");
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
    t->bad++;
}

char *test_string(const struct kt_json *j, uint32_t object, const char *key)
{
    uint32_t tok = kt_json_member(j, object, key, NULL);
    if (!tok || j->tok[tok].type != KT_JSON_STRING)
        return NULL;
    struct kt_buf b = KT_BUF_INIT(BODY_MAX);
    if (kt_json_unescape(j, tok, &b).code == KT_OK)
        return kt_buf_take(&b);
    kt_buf_free(&b);
    return NULL;
}

static void one_free(struct one *o)
{
    free(o->name);
    free(o->want_verdict);
    free(o->want_reason);
    kt_buf_free(&o->request);
    kt_buf_free(&o->answer);
}

/* ---- reading ---- */

static bool known_keys(struct one *o, uint32_t object, const char *where, const char *const *keys, size_t n)
{
    if (o->j->tok[object].type != KT_JSON_OBJECT) {
        test_bad(o->t, o->place, where, "must be an object");
        return false;
    }
    for (uint32_t k = object + 1; k < o->j->tok[object].next; k = o->j->tok[k + 1].next) {
        size_t i = 0;
        while (i < n && !kt_json_str_eq(o->j, k, keys[i]))
            i++;
        if (i < n)
            continue;
        KT_CLEANUP(kt_buf_free) struct kt_buf name = KT_BUF_INIT(BODY_MAX);
        if (kt_json_unescape(o->j, k, &name).code == KT_OK)
            test_bad(o->t, o->place, where, "unknown key '%.60s'", name.data ? name.data : "");
        return false;
    }
    return true;
}

static bool read_expected(struct one *o, uint32_t tok)
{
    static const char *const keys[] = {"verdict", "reason_code"};
    static const char *const verdicts[] = {"allow", "redact", "escalate", "block"};
    uint32_t expected = kt_json_member(o->j, tok, "expected", NULL);
    if (!expected) {
        test_bad(o->t, o->place, "expected", "missing: what verdict should come out?");
        return false;
    }
    if (!known_keys(o, expected, "expected", keys, KT_COUNT(keys)))
        return false;
    o->want_verdict = test_string(o->j, expected, "verdict");
    o->want_reason = test_string(o->j, expected, "reason_code");
    for (size_t i = 0; o->want_verdict && i < KT_COUNT(verdicts); i++)
        if (strcmp(o->want_verdict, verdicts[i]) == 0)
            return true;
    if (o->want_verdict || !o->want_reason)
        test_bad(o->t, o->place, "expected.verdict", "must be allow, redact, escalate or block");
    return !o->want_verdict && o->want_reason;
}

/* The chat body: `request`, `messages`, or the messages put into the request. */
static KT_MUST kt_result make_request(struct one *o, uint32_t request, uint32_t messages)
{
    struct kt_span m = messages ? kt_json_raw(o->j, messages) : kt_span("", 0);
    if (!request) {
        KT_GUARD(kt_buf_puts(&o->request, "{\"model\":\"any\",\"messages\":"));
        KT_GUARD(kt_buf_append(&o->request, m.data, m.len));
        return kt_buf_puts(&o->request, "}");
    }
    struct kt_span raw = kt_json_raw(o->j, request);
    if (!messages)
        return kt_buf_append(&o->request, raw.data, raw.len);
    KT_CLEANUP(kt_edits_free) struct kt_edits edits = {.items = NULL};
    struct kt_json inner;
    KT_GUARD(kt_json_parse(&inner, raw.data, raw.len, NULL));
    uint32_t old = kt_json_member(&inner, 0, "messages", NULL);
    kt_result r = old ? kt_edits_replace_value(&edits, &inner, old, m.data, m.len)
                      : kt_edits_add_member(&edits, &inner, 0, "messages", m.data, m.len);
    if (r.code == KT_OK)
        r = kt_edits_apply(&edits, raw.data, raw.len, &o->request);
    kt_json_free(&inner);
    return r;
}

static bool read_input(struct one *o, uint32_t tok)
{
    static const char *const keys[] = {"messages",          "request",    "headers",
                                       "upstream_response", "proxy_name", "team_slugs"};
    uint32_t input = kt_json_member(o->j, tok, "input", NULL);
    if (!input) {
        test_bad(o->t, o->place, "input", "missing: what does the program send?");
        return false;
    }
    if (!known_keys(o, input, "input", keys, KT_COUNT(keys)))
        return false;
    uint32_t request = kt_json_member(o->j, input, "request", NULL);
    uint32_t messages = kt_json_member(o->j, input, "messages", NULL);
    uint32_t answer = kt_json_member(o->j, input, "upstream_response", NULL);
    if (!request && !messages) {
        test_bad(o->t, o->place, "input.messages", "missing");
        return false;
    }
    if (request && o->j->tok[request].type != KT_JSON_OBJECT) {
        test_bad(o->t, o->place, "input.request", "must be an object");
        return false;
    }
    if (answer && o->j->tok[answer].type != KT_JSON_STRING && o->j->tok[answer].type != KT_JSON_OBJECT) {
        test_bad(o->t, o->place, "input.upstream_response", "must be an answer, a message or a string");
        return false;
    }
    kt_result r = make_request(o, request, messages);
    if (r.code == KT_OK && answer)
        r = kt_answer_of(&o->answer, o->j, answer);
    if (r.code != KT_OK)
        test_bad(o->t, o->place, "input", "cannot be used: %s", kt_code_name(r.code));
    return r.code == KT_OK;
}

/* ---- running ---- */

static void add_policies(struct one *o, const struct kt_checked *c)
{
    for (size_t i = 0; i < c->outcome.policy_count; i++) {
        const struct kt_policy_result *p = &c->outcome.policies[i];
        cJSON *item = cJSON_CreateObject();
        cJSON_AddStringToObject(item, "kind", p->kind);
        cJSON_AddStringToObject(item, "phase", c->phase == KT_PHASE_REQUEST ? "input" : "output");
        cJSON_AddStringToObject(item, "verdict", p->failed ? "error" : kt_verdict_name(p->verdict));
        cJSON_AddBoolToObject(item, "skipped", p->skipped);
        if (p->score >= 0)
            cJSON_AddNumberToObject(item, "score", round(p->score * 1e6) / 1e6);
        cJSON_AddNumberToObject(item, "matches", p->matches);
        cJSON *labels = cJSON_AddObjectToObject(item, "labels");
        for (unsigned k = 0; k < p->labels_used; k++)
            cJSON_AddNumberToObject(labels, p->labels[k], p->label_count[k]);
        cJSON_AddItemToArray(o->policies, item);
    }
}

/* Keeps the severer of what came before and this; the first of equals. */
static void merge(struct one *o, enum kt_verdict v, const char *reason)
{
    if (o->reason[0] && v <= o->verdict)
        return;
    o->verdict = v;
    snprintf(o->reason, sizeof o->reason, "%s", reason);
}

/* Does the routing leave a target for the call? */
static void route(struct one *o)
{
    const struct kt_config *config = o->t->config;
    const char *reason = NULL, *why = NULL;
    size_t asked = 0;
    for (size_t i = 0; i < config->providers.target_count; i++) {
        const struct kt_target *target = &config->providers.targets[i];
        if (o->place->target && strcmp(target->id, o->place->target) != 0)
            continue;
        asked++;
        if (kt_chain_admits(o->t->chain, target, &why))
            return;
        reason = reason ? reason : why;
    }
    if (asked > 0 && !kt_chain_admits_none_warns(o->t->chain))
        merge(o, KT_VERDICT_BLOCK, reason ? reason : "no_target_admitted");
}

/* False where the texts cannot be read. */
static bool phase(struct one *o, const struct kt_chain *chain, enum kt_phase which,
                  struct kt_placeholders *names)
{
    struct kt_checked c;
    struct kt_error err = {.code = KT_OK};
    const struct kt_buf *body = which == KT_PHASE_REQUEST ? &o->request : &o->answer;
    if (kt_check_body(chain, which, names, kt_buf_span(body), &c, &err).code != KT_OK) {
        test_bad(o->t, o->place, which == KT_PHASE_REQUEST ? "input" : "input.upstream_response", "%s",
                 err.text);
        return false;
    }
    o->failed |= c.outcome.internal_error || c.outcome.error_blocks;
    merge(o, c.outcome.verdict, c.outcome.reason_code);
    add_policies(o, &c);
    kt_checked_free(&c);
    return true;
}

static bool stopped(const struct one *o)
{
    return o->verdict >= KT_VERDICT_ESCALATE;
}

static bool run(struct one *o)
{
    struct kt_placeholders *names = kt_placeholders_new();
    bool ok = names && phase(o, o->t->chain, KT_PHASE_REQUEST, names);
    if (ok && !stopped(o))
        route(o);
    if (ok && !stopped(o) && o->answer.len)
        ok = phase(o, o->t->chain, KT_PHASE_RESPONSE, names);
    if (ok && !stopped(o) && o->answer.len && o->place->assertions)
        ok = phase(o, o->place->assertions, KT_PHASE_RESPONSE, names);
    kt_placeholders_free(names);
    return ok;
}

/* ---- the result ---- */

/* The public pages spell reason codes both as "a.b" and as "a_b". */
static bool same_reason(const char *a, const char *b)
{
    for (; *a && *b; a++, b++)
        if (*a != *b && !(strchr("._", *a) && strchr("._", *b)))
            return false;
    return *a == *b;
}

static void print_details(const struct one *o)
{
    printf("        expected %s%s%s\n", o->want_verdict ? o->want_verdict : "any verdict",
           o->want_reason ? "  " : "", o->want_reason ? o->want_reason : "");
    const cJSON *p, *label;
    cJSON_ArrayForEach(p, o->policies)
    {
        const cJSON *score = cJSON_GetObjectItem(p, "score");
        printf("        %-20s %-8s", cJSON_GetStringValue(cJSON_GetObjectItem(p, "kind")),
               cJSON_IsTrue(cJSON_GetObjectItem(p, "skipped"))
                   ? "-"
                   : cJSON_GetStringValue(cJSON_GetObjectItem(p, "verdict")));
        if (score)
            printf("  score %.2f", score->valuedouble);
        cJSON_ArrayForEach(label, cJSON_GetObjectItem(p, "labels"))
            printf("  %s %.0f", label->string, label->valuedouble);
        putchar('\n');
    }
}

static void print(const struct one *o, bool passed, const char *verdict)
{
    fputs("  ", stdout);
    kt_policy_put_verdict(stdout, passed ? "pass" : "FAIL", 4, o->t->colour);
    fputs("  ", stdout);
    kt_policy_put_verdict(stdout, verdict, 8, o->t->colour);
    printf("  %-28s  ", o->reason);
    kt_policy_put_text(stdout, o->name ? o->name : "", o->name ? strlen(o->name) : 0, 100);
    putchar('\n');
    if (!passed)
        print_details(o);
}

static void conclude(struct one *o)
{
    const char *verdict =
        o->failed && o->verdict < KT_VERDICT_ESCALATE ? "error" : kt_verdict_name(o->verdict);
    const char *reason = strcmp(verdict, "error") == 0 ? "policy_error" : o->reason;
    bool passed = (!o->want_verdict || strcmp(o->want_verdict, verdict) == 0) &&
                  (!o->want_reason || same_reason(o->want_reason, reason));
    *(passed ? &o->t->passed : &o->t->failed) += 1;
    if (!o->t->json)
        print(o, passed, verdict);
    cJSON *result = cJSON_CreateObject();
    cJSON_AddStringToObject(result, "name", o->name ? o->name : "");
    if (o->place->suite)
        cJSON_AddStringToObject(result, "suite", o->place->suite);
    cJSON_AddStringToObject(result, "verdict", verdict);
    cJSON_AddStringToObject(result, "reason_code", reason);
    cJSON_AddBoolToObject(result, "passed", passed);
    if (!passed) {
        cJSON *expected = cJSON_AddObjectToObject(result, "expected");
        if (o->want_verdict)
            cJSON_AddStringToObject(expected, "verdict", o->want_verdict);
        if (o->want_reason)
            cJSON_AddStringToObject(expected, "reason_code", o->want_reason);
    }
    cJSON *details = cJSON_AddObjectToObject(result, "details");
    cJSON_AddItemToObject(details, "policy_results", o->policies);
    o->policies = NULL;
    cJSON_AddItemToArray(o->t->results, result);
}

void test_case(struct test_run *t, const struct kt_json *j, uint32_t tok, const struct test_place *place)
{
    static const char *const keys[] = {"name", "description", "input", "expected"};
    KT_CLEANUP(one_free)
    struct one o = {
        .t = t, .j = j, .place = place, .request = KT_BUF_INIT(BODY_MAX), .answer = KT_BUF_INIT(BODY_MAX)};
    if (!known_keys(&o, tok, "", keys, KT_COUNT(keys)) || !read_input(&o, tok) || !read_expected(&o, tok))
        return;
    o.name = test_string(j, tok, "name");
    if (!o.name) {
        test_bad(t, place, "name", "missing");
        return;
    }
    o.policies = cJSON_CreateArray();
    if (run(&o))
        conclude(&o);
    cJSON_Delete(o.policies);
}
