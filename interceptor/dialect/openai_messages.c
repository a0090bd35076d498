/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages in Mistral's words, in OpenAI's. What a model thought or referred to in an earlier turn has no
 * place there, and is refused: such a content becomes the text that was said.
 */
#include "interceptor/dialect/openai.h"

#include <string.h>

enum part { OTHER, SAID, MEANT }; /* MEANT: thoughts and references */

/* *text: the string of a part that says something. */
static enum part kind_of(const struct kt_translation *t, uint32_t part, uint32_t *text)
{
    static const struct {
        const char *type, *key;
        enum part kind;
    } kinds[] = {{"text", "text", SAID},
                 {"refusal", "refusal", SAID},
                 {"thinking", "thinking", MEANT},
                 {"reference", "reference_ids", MEANT}};
    uint32_t type = kt_rule_is(t, part, KT_JSON_OBJECT) ? kt_json_member(t->j, part, "type", NULL) : 0;
    for (size_t i = 0; type && i < KT_COUNT(kinds); i++) {
        if (!kt_json_str_eq(t->j, type, kinds[i].type))
            continue;
        *text = kt_json_member(t->j, part, kinds[i].key, NULL);
        bool is = kinds[i].kind == MEANT || (*text && kt_rule_is(t, *text, KT_JSON_STRING));
        return is ? kinds[i].kind : OTHER;
    }
    return OTHER;
}

static bool becomes_text(const struct kt_translation *t, uint32_t content)
{
    bool meant = false;
    uint32_t text;
    for (uint32_t p = content + 1; p < t->j->tok[content].next; p = t->j->tok[p].next) {
        enum part kind = kind_of(t, p, &text);
        if (kind == OTHER)
            return false; /* nothing that could be lost is */
        meant |= kind == MEANT;
    }
    return meant;
}

/* Only the bytes between the texts are edited, so that what policies changed inside of them stays. */
static KT_MUST kt_result join_texts(const struct kt_translation *t, uint32_t content, const char *nothing)
{
    uint32_t done = t->j->tok[content].start, text;
    const char *lead = "\"";
    for (uint32_t p = content + 1; p < t->j->tok[content].next; p = t->j->tok[p].next) {
        if (kind_of(t, p, &text) != SAID)
            continue;
        KT_GUARD(kt_edits_add(t->edits, done, t->j->tok[text].start + 1, lead, strlen(lead)));
        done = t->j->tok[text].end - 1;
        lead = "";
    }
    const char *end = *lead ? nothing : "\"";
    return kt_edits_add(t->edits, done, t->j->tok[content].end, end, strlen(end));
}

/* {"type":"image_url","image_url":"https://..."} */
static KT_MUST kt_result fix_parts(const struct kt_translation *t, uint32_t message, uint32_t content)
{
    if (becomes_text(t, content))
        return join_texts(t, content, kt_rule_given(t, message, "tool_calls") ? "null" : "\"\"");
    for (uint32_t p = content + 1; p < t->j->tok[content].next; p = t->j->tok[p].next) {
        uint32_t url = kt_rule_is(t, p, KT_JSON_OBJECT) ? kt_json_member(t->j, p, "image_url", NULL) : 0;
        if (url && kt_rule_is(t, url, KT_JSON_STRING))
            KT_GUARD(kt_rule_wrap(t, url, "{\"url\":", "}"));
    }
    return kt_ok();
}

/* Mistral knows calls without a type, and numbers of its chunks in a whole message. */
static KT_MUST kt_result fix_calls(const struct kt_translation *t, uint32_t calls)
{
    static const char function[] = "\"function\"";
    for (uint32_t c = calls + 1; c < t->j->tok[calls].next; c = t->j->tok[c].next) {
        if (!kt_rule_is(t, c, KT_JSON_OBJECT) || !kt_json_member(t->j, c, "function", NULL))
            continue;
        uint32_t type = kt_json_member(t->j, c, "type", NULL), index = kt_json_member(t->j, c, "index", NULL);
        if (!type)
            KT_GUARD(kt_edits_add_member(t->edits, t->j, c, "type", function, sizeof function - 1));
        else if (kt_rule_is(t, type, KT_JSON_NULL))
            KT_GUARD(kt_rule_set(t, type, function));
        if (index)
            KT_GUARD(kt_rule_drop(t, c, index));
    }
    return kt_ok();
}

kt_result kt_openai_messages(const struct kt_translation *t, uint32_t object, uint32_t value)
{
    (void)object;
    if (!kt_rule_is(t, value, KT_JSON_ARRAY))
        return kt_ok();
    for (uint32_t m = value + 1; m < t->j->tok[value].next; m = t->j->tok[m].next) {
        if (!kt_rule_is(t, m, KT_JSON_OBJECT))
            continue;
        uint32_t prefix = kt_json_member(t->j, m, "prefix", NULL);
        uint32_t content = kt_json_member(t->j, m, "content", NULL);
        uint32_t calls = kt_json_member(t->j, m, "tool_calls", NULL);
        if (prefix && !t->prefix)
            KT_GUARD(kt_rule_drop(t, m, prefix));
        if (content && kt_rule_is(t, content, KT_JSON_ARRAY))
            KT_GUARD(fix_parts(t, m, content));
        if (calls && kt_rule_is(t, calls, KT_JSON_ARRAY))
            KT_GUARD(fix_calls(t, calls));
    }
    return kt_ok();
}

/* Adds an edit for each call of the history whose arguments are no string. */
static KT_MUST kt_result strings_of(const struct kt_json *j, struct kt_edits *edits)
{
    uint32_t list = kt_json_member(j, 0, "messages", NULL);
    for (uint32_t m = list + 1; list && m < j->tok[list].next; m = j->tok[m].next) {
        uint32_t calls = j->tok[m].type == KT_JSON_OBJECT ? kt_json_member(j, m, "tool_calls", NULL) : 0;
        if (!calls || j->tok[calls].type != KT_JSON_ARRAY)
            continue;
        for (uint32_t c = calls + 1; c < j->tok[calls].next; c = j->tok[c].next) {
            uint32_t f = j->tok[c].type == KT_JSON_OBJECT ? kt_json_member(j, c, "function", NULL) : 0;
            if (f && j->tok[f].type == KT_JSON_OBJECT)
                KT_GUARD(kt_rule_as_string(j, f, "arguments", edits));
        }
    }
    return kt_ok();
}

kt_result kt_openai_finish(const struct kt_chat *c, struct kt_buf *body)
{
    KT_CLEANUP(kt_edits_free) struct kt_edits none = {0};
    KT_CLEANUP(kt_edits_free) struct kt_edits edits = {0};
    if (c->endpoint != KT_EP_CHAT)
        return kt_ok();
    KT_GUARD(strings_of(&c->json, &none));
    if (!none.count)
        return kt_ok();
    KT_CLEANUP(kt_json_free) struct kt_json j = {0};
    KT_GUARD(kt_json_parse(&j, body->data, body->len, NULL));
    KT_GUARD(strings_of(&j, &edits));
    KT_CLEANUP(kt_buf_wipe_free) struct kt_buf out = KT_BUF_INIT(body->max);
    KT_GUARD(kt_edits_apply(&edits, body->data, body->len, &out));
    struct kt_buf was = *body;
    *body = out;
    out = was;
    return kt_ok();
}
