/* SPDX-License-Identifier: Apache-2.0 */
/* The names of tools: offered in a request, called in a message of the history or of an answer. */
#include "interceptor/dialect/kt_segments.h"

#include <stdlib.h>

static bool is_string(const struct kt_json *j, uint32_t tok)
{
    return tok && j->tok[tok].type == KT_JSON_STRING;
}

static KT_MUST kt_result add_named(struct kt_chat *c, uint32_t tok, struct kt_buf *name,
                                   enum kt_tool_role role, unsigned choice, struct kt_error *err)
{
    if (c->tool_count >= KT_CHAT_MAX_SEGMENTS)
        return kt_fail(err, KT_ERR_LIMIT, "The body names more than %d tools", KT_CHAT_MAX_SEGMENTS);
    if (c->tool_count == c->tool_cap) {
        size_t cap = c->tool_cap ? c->tool_cap * 2 : 8;
        struct kt_tool_name *t = realloc(c->tools, cap * sizeof *t);
        KT_ENSURE(t, KT_ERR_MEMORY);
        c->tools = t;
        c->tool_cap = cap;
    }
    struct kt_tool_name *t = &c->tools[c->tool_count];
    *t = (struct kt_tool_name){.role = role, .choice = choice, .tok = tok, .len = name->len};
    t->name = kt_buf_take(name);
    KT_ENSURE(t->name, KT_ERR_MEMORY);
    c->tool_count++;
    return kt_ok();
}

static KT_MUST kt_result add(struct kt_chat *c, uint32_t tok, enum kt_tool_role role, unsigned choice,
                             struct kt_error *err)
{
    KT_CLEANUP(kt_buf_free) struct kt_buf name = KT_BUF_INIT(kt_json_raw(&c->json, tok).len);
    KT_GUARD(kt_json_unescape(&c->json, tok, &name));
    return add_named(c, tok, &name, role, choice, err);
}

/* The object that has the tool's name: {"function":{"name"}}, {"custom":{"name"}}, or itself. */
static uint32_t holder(const struct kt_json *j, uint32_t tool)
{
    uint32_t inner = kt_json_member(j, tool, "function", NULL);
    if (!inner || j->tok[inner].type != KT_JSON_OBJECT)
        inner = kt_json_member(j, tool, "custom", NULL);
    return inner && j->tok[inner].type == KT_JSON_OBJECT ? inner : tool;
}

/* Tools that a provider brings itself ({"type":"web_search"}) have no other name than their type. */
static uint32_t name_of(const struct kt_json *j, uint32_t tool)
{
    uint32_t name = kt_json_member(j, holder(j, tool), "name", NULL);
    if (is_string(j, name))
        return name;
    uint32_t type = kt_json_member(j, tool, "type", NULL);
    bool own =
        is_string(j, type) && !kt_json_str_eq(j, type, "function") && !kt_json_str_eq(j, type, "custom");
    return own ? type : 0;
}

/* A client may go by another holder than we: each name that differs is called, too. */
static KT_MUST kt_result add_other_names(struct kt_chat *c, uint32_t tool, unsigned choice,
                                         struct kt_error *err)
{
    static const char *const inner[] = {"function", "custom"};
    const struct kt_json *j = &c->json;
    const size_t first = c->tool_count - 1;
    for (size_t i = 0; i <= KT_COUNT(inner); i++) {
        uint32_t from = i < KT_COUNT(inner) ? kt_json_member(j, tool, inner[i], NULL) : tool;
        bool object = (i == KT_COUNT(inner) || from) && j->tok[from].type == KT_JSON_OBJECT;
        uint32_t name = object ? kt_json_member(j, from, "name", NULL) : 0;
        if (is_string(j, name) && !kt_json_str_eq(j, name, c->tools[first].name))
            KT_GUARD(add(c, name, KT_TOOL_CALLED, choice, err));
    }
    return kt_ok();
}

static KT_MUST kt_result add_called(struct kt_chat *c, uint32_t list, unsigned choice, struct kt_error *err)
{
    const struct kt_json *j = &c->json;
    if (!list || j->tok[list].type != KT_JSON_ARRAY)
        return kt_ok();
    for (uint32_t t = list + 1; t < j->tok[list].next; t = j->tok[t].next) {
        uint32_t name = j->tok[t].type == KT_JSON_OBJECT ? name_of(j, t) : 0;
        if (!name)
            continue;
        KT_GUARD(add(c, name, KT_TOOL_CALLED, choice, err));
        KT_GUARD(add_other_names(c, t, choice, err));
    }
    return kt_ok();
}

/* ---- offered ---- */

/* A provider may read the other one of two. */
static KT_MUST kt_result once(const struct kt_json *j, uint32_t object, const char *key, uint32_t *value,
                              struct kt_error *err)
{
    bool twice;
    *value = kt_json_member(j, object, key, &twice);
    return twice ? kt_fail(err, KT_ERR_USAGE, "'%s' occurs more than once in what names a tool", key)
                 : kt_ok();
}

/* Whatever of it a provider may take for the name is one: also the type of a tool that has a name too. */
static KT_MUST kt_result add_offered(struct kt_chat *c, uint32_t tool, struct kt_error *err)
{
    static const char *const inner[] = {"function", "custom"};
    const struct kt_json *j = &c->json;
    uint32_t own, type, holder, name;
    bool known = false;
    KT_GUARD(once(j, tool, "name", &own, err));
    KT_GUARD(once(j, tool, "type", &type, err));
    for (size_t i = 0; i < KT_COUNT(inner); i++) {
        KT_GUARD(once(j, tool, inner[i], &holder, err));
        if (!holder || j->tok[holder].type != KT_JSON_OBJECT)
            continue;
        KT_GUARD(once(j, holder, "name", &name, err));
        if (is_string(j, name))
            KT_GUARD(add(c, name, KT_TOOL_OFFERED, 0, err));
    }
    if (is_string(j, own)) {
        known = kt_json_str_eq(j, type, "tool"); /* only says that a name follows */
        KT_GUARD(add(c, own, KT_TOOL_OFFERED, 0, err));
    }
    for (size_t i = 0; i < KT_COUNT(inner); i++)
        known |= kt_json_str_eq(j, type, inner[i]);
    return is_string(j, type) && !known ? add(c, type, KT_TOOL_OFFERED, 0, err) : kt_ok();
}

/* A number or the like offers nothing, whoever reads it. */
static bool may_name(const struct kt_json *j, uint32_t tok)
{
    enum kt_json_type type = (enum kt_json_type)j->tok[tok].type;
    return type == KT_JSON_OBJECT || type == KT_JSON_ARRAY || type == KT_JSON_STRING;
}

kt_result kt_tools_offered(struct kt_chat *c, uint32_t list, struct kt_error *err)
{
    const struct kt_json *j = &c->json;
    if (!list || !may_name(j, list))
        return kt_ok();
    if (j->tok[list].type != KT_JSON_ARRAY)
        return kt_fail(err, KT_ERR_USAGE, "what offers tools must be a list");
    for (uint32_t t = list + 1; t < j->tok[list].next; t = j->tok[t].next) {
        if (!may_name(j, t))
            continue;
        if (j->tok[t].type != KT_JSON_OBJECT)
            return kt_fail(err, KT_ERR_USAGE, "each of a list of tools must be an object");
        KT_GUARD(add_offered(c, t, err));
    }
    return kt_ok();
}

/* "tool_choice" names one, or a list of those that may be called; so does the older "function_call". */
static KT_MUST kt_result chosen(struct kt_chat *c, const char *key, struct kt_error *err)
{
    const struct kt_json *j = &c->json;
    uint32_t value = kt_json_member(j, 0, key, NULL), among, inner = 0, tools;
    if (value && j->tok[value].type == KT_JSON_ARRAY)
        return kt_fail(err, KT_ERR_USAGE, "'%s' must be a word or an object", key);
    if (!value || j->tok[value].type != KT_JSON_OBJECT)
        return kt_ok();
    KT_GUARD(once(j, value, "allowed_tools", &among, err));
    KT_GUARD(once(j, value, "tools", &tools, err));
    if (among && j->tok[among].type == KT_JSON_OBJECT)
        KT_GUARD(once(j, among, "tools", &inner, err));
    KT_GUARD(kt_tools_offered(c, inner, err));
    KT_GUARD(kt_tools_offered(c, tools, err));
    return inner || tools ? kt_ok() : add_offered(c, value, err);
}

kt_result kt_tools_chosen(struct kt_chat *c, struct kt_error *err)
{
    const struct kt_json *j = &c->json;
    KT_GUARD(chosen(c, "tool_choice", err));
    KT_GUARD(chosen(c, "function_call", err));
    uint32_t search = kt_json_member(j, 0, "web_search_options", NULL);
    if (!search || j->tok[search].type == KT_JSON_NULL)
        return kt_ok();
    KT_CLEANUP(kt_buf_free) struct kt_buf name = KT_BUF_INIT(sizeof "web_search");
    KT_GUARD(kt_buf_puts(&name, "web_search"));
    return add_named(c, search, &name, KT_TOOL_OFFERED, 0, err);
}

kt_result kt_tools_called(struct kt_chat *c, uint32_t message, unsigned choice, struct kt_error *err)
{
    const struct kt_json *j = &c->json;
    if (j->tok[message].type != KT_JSON_OBJECT)
        return kt_ok();
    KT_GUARD(add_called(c, kt_json_member(j, message, "tool_calls", NULL), choice, err));
    uint32_t legacy = kt_json_member(j, message, "function_call", NULL);
    uint32_t name =
        legacy && j->tok[legacy].type == KT_JSON_OBJECT ? kt_json_member(j, legacy, "name", NULL) : 0;
    return is_string(j, name) ? add(c, name, KT_TOOL_CALLED, choice, err) : kt_ok();
}
