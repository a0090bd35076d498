/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages: fields by role, and the order of roles. Mistral refuses some orders that OpenAI takes; what can
 * be mended by an edit is:
 * - user behind tool: an assistant message is put between them;
 * - system behind assistant or tool, or last: speaks as the user;
 * - assistant last: becomes the prefix of the answer;
 * - assistant with nothing in it: goes;
 * - function without a call (legacy): gets one.
 */
#include "interceptor/dialect/mistral.h"

#include <stdio.h>
#include <string.h>

enum role { ROLE_NONE, ROLE_SYSTEM, ROLE_USER, ROLE_ASSISTANT, ROLE_TOOL, ROLE_FUNCTION, ROLE_OTHER };

static const struct kt_rule plain_fields[] = {
    {.key = "role"},
    {.key = "content", .fix = kt_mistral_content},
    {0},
};

static const struct kt_rule assistant_fields[] = {
    {.key = "role"},
    {.key = "content", .fix = kt_mistral_content},
    {.key = "tool_calls", .flags = KT_RULE_NOT_NULL, .fix = kt_mistral_tool_calls},
    {.key = "prefix", .flags = KT_RULE_NOT_NULL},
    {.key = "function_call"}, /* legacy_call() sees to it */
    {0},
};

static kt_result to_content(const struct kt_translation *t, uint32_t object, uint32_t value)
{
    (void)object;
    return kt_rule_rename(t, value, "content");
}

/* An assistant message whose only text is a refusal. */
static const struct kt_rule refusal_fields[] = {
    {.key = "role"},
    {.key = "refusal", .fix = to_content},
    {.key = "prefix", .flags = KT_RULE_NOT_NULL},
    {0},
};

/* A tool may have had nothing to say (OpenAI's legacy function messages); Mistral wants a text. */
static kt_result result_content(const struct kt_translation *t, uint32_t object, uint32_t value)
{
    return kt_rule_is(t, value, KT_JSON_NULL) ? kt_rule_set(t, value, "\"\"")
                                              : kt_mistral_content(t, object, value);
}

static const struct kt_rule tool_fields[] = {
    {.key = "role"},
    {.key = "content", .fix = result_content},
    {.key = "tool_call_id", .fix = kt_mistral_fix_id},
    {.key = "name"},
    {0},
};

/* Legacy; function_result() gives it the id of its call. */
static const struct kt_rule function_fields[] = {
    {.key = "role"},
    {.key = "content", .fix = result_content},
    {.key = "name"},
    {0},
};

static const struct {
    const char *name;
    enum role role;
    const struct kt_rule *fields;
} roles[] = {
    {"system", ROLE_SYSTEM, plain_fields}, {"developer", ROLE_SYSTEM, plain_fields},
    {"user", ROLE_USER, plain_fields},     {"assistant", ROLE_ASSISTANT, assistant_fields},
    {"tool", ROLE_TOOL, tool_fields},      {"function", ROLE_FUNCTION, function_fields},
};

struct walk {
    const struct kt_translation *t;
    uint32_t list;
    enum role last_role;   /* of the last message that stays, as Mistral will see it */
    uint32_t final;        /* the message that will be the last one */
    unsigned legacy_calls; /* so far; numbers their ids */
    bool call_open;        /* a legacy call waits for its function message */
    char call_id[KT_MISTRAL_ID_LEN + 1];
};

/* One message under the walk. */
struct message {
    uint32_t tok, role_tok;
    enum role role;
    const struct kt_rule *fields;
};

static void classify(const struct kt_translation *t, struct message *m)
{
    m->role = ROLE_OTHER;
    m->fields = NULL;
    m->role_tok = kt_rule_given(t, m->tok, "role");
    for (size_t i = 0; m->role_tok && i < KT_COUNT(roles); i++) {
        if (kt_json_str_eq(t->j, m->role_tok, roles[i].name)) {
            m->role = roles[i].role;
            m->fields = roles[i].fields;
        }
    }
}

/* A member that is a string or a list with something in it, or an object. */
static bool filled(const struct kt_translation *t, uint32_t object, const char *key)
{
    uint32_t v = kt_rule_given(t, object, key);
    if (!v)
        return false;
    if (kt_rule_is(t, v, KT_JSON_ARRAY))
        return t->j->tok[v].size > 0;
    return kt_json_raw(t->j, v).len > 2 && !kt_rule_is(t, v, KT_JSON_NUMBER);
}

static KT_MUST kt_result insert_before(const struct walk *w, uint32_t tok, const char *text, size_t len)
{
    size_t at = w->t->j->tok[tok].start;
    return kt_edits_add(w->t->edits, at, at, text, len);
}

static KT_MUST kt_result new_call(struct walk *w)
{
    char name[32];
    int n = snprintf(name, sizeof name, "function_call %u", w->legacy_calls++);
    return kt_mistral_id(name, (size_t)n, w->call_id);
}

/* Sets the role that Mistral shall see. */
static KT_MUST kt_result fix_role(const struct walk *w, struct message *m)
{
    bool behind_answer = w->last_role == ROLE_ASSISTANT || w->last_role == ROLE_TOOL;
    if (m->role == ROLE_SYSTEM && (behind_answer || m->tok == w->final))
        m->role = ROLE_USER;
    static const char *const names[] = {
        [ROLE_SYSTEM] = "system", [ROLE_USER] = "user", [ROLE_FUNCTION] = "tool"};
    const char *name = m->role < KT_COUNT(names) ? names[m->role] : NULL;
    if (!name || kt_json_str_eq(w->t->j, m->role_tok, name))
        return kt_ok();
    char raw[16];
    snprintf(raw, sizeof raw, "\"%s\"", name);
    return kt_rule_set(w->t, m->role_tok, raw);
}

static KT_MUST kt_result bridge(const struct walk *w, const struct message *m)
{
    static const char answer[] = "{\"role\":\"assistant\",\"content\":\"Noted.\"},";
    if (m->role != ROLE_USER || w->last_role != ROLE_TOOL)
        return kt_ok();
    return insert_before(w, m->tok, answer, sizeof answer - 1);
}

/* A function result that nobody asked for in this conversation: the call is made up in front of it. */
static KT_MUST kt_result invent_call(struct walk *w, const struct message *m)
{
    KT_GUARD(new_call(w));
    uint32_t name = kt_rule_given(w->t, m->tok, "name");
    struct kt_span raw = name && kt_rule_is(w->t, name, KT_JSON_STRING) ? kt_json_raw(w->t->j, name)
                                                                        : kt_span("\"function\"", 10);
    KT_CLEANUP(kt_buf_free) struct kt_buf b = KT_BUF_INIT(raw.len + 256);
    KT_GUARD(kt_buf_printf(&b,
                           "{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{\"id\":\"%s\","
                           "\"type\":\"function\",\"function\":{\"name\":",
                           w->call_id));
    KT_GUARD(kt_buf_append(&b, raw.data, raw.len));
    KT_GUARD(kt_buf_puts(&b, ",\"arguments\":\"{}\"}}]},"));
    return insert_before(w, m->tok, b.data, b.len);
}

static KT_MUST kt_result function_result(struct walk *w, const struct message *m)
{
    if (!w->call_open)
        KT_GUARD(invent_call(w, m));
    w->call_open = false;
    char raw[KT_MISTRAL_ID_LEN + 3];
    snprintf(raw, sizeof raw, "\"%s\"", w->call_id);
    return kt_edits_add_member(w->t->edits, w->t->j, m->tok, "tool_call_id", raw, strlen(raw));
}

/* The legacy function_call of an assistant message. */
static KT_MUST kt_result legacy_call(struct walk *w, const struct message *m)
{
    uint32_t call = kt_json_member(w->t->j, m->tok, "function_call", NULL);
    if (!call)
        return kt_ok();
    if (!kt_rule_is(w->t, call, KT_JSON_OBJECT) || filled(w->t, m->tok, "tool_calls"))
        return kt_rule_drop(w->t, m->tok, call);
    KT_GUARD(new_call(w));
    w->call_open = true;
    return kt_mistral_legacy_call(w->t, call, w->call_id);
}

/* An assistant message that says nothing; *m's fields are set for one that only refuses. */
static bool is_empty(const struct walk *w, struct message *m)
{
    const struct kt_translation *t = w->t;
    if (m->role != ROLE_ASSISTANT)
        return false;
    uint32_t call = kt_rule_given(t, m->tok, "function_call");
    if (filled(t, m->tok, "content") || filled(t, m->tok, "tool_calls") ||
        (call && kt_rule_is(t, call, KT_JSON_OBJECT)))
        return false;
    if (!filled(t, m->tok, "refusal"))
        return true;
    m->fields = refusal_fields;
    return false;
}

static KT_MUST kt_result fix_message(struct walk *w, struct message *m)
{
    if (m->role == ROLE_OTHER)
        return kt_ok();
    if (m->role != ROLE_FUNCTION)
        w->call_open = false;
    KT_GUARD(fix_role(w, m));
    KT_GUARD(bridge(w, m));
    KT_GUARD(kt_rules_apply(w->t, m->tok, m->fields));
    if (m->fields == assistant_fields)
        KT_GUARD(legacy_call(w, m));
    if (m->role != ROLE_FUNCTION)
        return kt_ok();
    m->role = ROLE_TOOL;
    return function_result(w, m);
}

/* An answer that nobody asked to go on from: Mistral wants to be asked. */
static KT_MUST kt_result fix_final(const struct walk *w)
{
    const struct kt_translation *t = w->t;
    bool calls = filled(t, w->final, "tool_calls") || kt_rule_given(t, w->final, "function_call");
    if (w->last_role != ROLE_ASSISTANT || calls || kt_rule_given(t, w->final, "prefix"))
        return kt_ok();
    return kt_edits_add_member(t->edits, t->j, w->final, "prefix", "true", 4);
}

/* Finds the next message from *i on that stays; false behind the last. A list of one keeps an empty one. */
static bool next_message(const struct walk *w, uint32_t *i, struct message *m)
{
    const struct kt_json_tok *tok = w->t->j->tok;
    for (; *i < tok[w->list].next; *i = tok[*i].next) {
        m->tok = *i;
        classify(w->t, m);
        if (!is_empty(w, m) || tok[w->list].size == 1)
            return true;
    }
    return false;
}

static KT_MUST kt_result drop_between(const struct walk *w, uint32_t from, uint32_t to)
{
    for (; from < to; from = w->t->j->tok[from].next)
        KT_GUARD(kt_edits_remove_element(w->t->edits, w->t->j, w->list, from));
    return kt_ok();
}

kt_result kt_mistral_messages(const struct kt_translation *t, uint32_t object, uint32_t value)
{
    (void)object;
    struct walk w = {.t = t, .list = value};
    struct message m;
    for (uint32_t i = value + 1; next_message(&w, &i, &m); i = t->j->tok[i].next)
        w.final = i;
    if (!w.final)
        return kt_ok();
    uint32_t from = value + 1;
    for (uint32_t i = from; next_message(&w, &i, &m); from = i = t->j->tok[i].next) {
        KT_GUARD(drop_between(&w, from, i));
        KT_GUARD(fix_message(&w, &m));
        w.last_role = m.role;
    }
    KT_GUARD(drop_between(&w, from, t->j->tok[value].next));
    return fix_final(&w);
}
