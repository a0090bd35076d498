/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mistral's answers, whole or a chunk of a stream, in the shape that OpenAI's clients know: lists of content
 * become one text (what the model thought goes to reasoning_content), tool calls say their type, and a reason
 * to finish that OpenAI does not have becomes the one that it means. Only the bytes between texts are edited,
 * so that what policies changed inside of them stays.
 */
#include "interceptor/dialect/kt_rules.h"
#include "interceptor/dialect/mistral.h"

#include <string.h>

enum said { NOTHING, THOUGHT, TEXT };

/* The list while it is written anew. */
struct flat {
    const struct kt_translation *t;
    enum said state;
    uint32_t done; /* bytes of the original up to here are dealt with */
};

static KT_MUST kt_result put(struct flat *f, uint32_t until, const char *text)
{
    return kt_edits_add(f->t->edits, f->done, until, text, strlen(text));
}

/* Leads over to the string at `tok`. A thought behind the text is left out: the field in front is closed. */
static KT_MUST kt_result say(struct flat *f, uint32_t tok, enum said what)
{
    static const char *const lead[3][3] = {
        [NOTHING] = {[THOUGHT] = "\"reasoning_content\":\"", [TEXT] = "\"content\":\""},
        [THOUGHT] = {[THOUGHT] = "", [TEXT] = "\",\"content\":\""},
        [TEXT] = {[TEXT] = ""}};
    const struct kt_json_tok *s = &f->t->j->tok[tok];
    if (!tok || s->type != KT_JSON_STRING || !lead[f->state][what])
        return kt_ok();
    KT_GUARD(put(f, s->start + 1, lead[f->state][what]));
    f->done = s->end - 1;
    f->state = what;
    return kt_ok();
}

/* {"type":"thinking","thinking":"..." or [{"type":"text","text":"..."}]} */
static KT_MUST kt_result say_thought(struct flat *f, uint32_t thinking)
{
    const struct kt_json *j = f->t->j;
    if (!thinking || j->tok[thinking].type != KT_JSON_ARRAY)
        return say(f, thinking, THOUGHT);
    for (uint32_t e = thinking + 1; e < j->tok[thinking].next; e = j->tok[e].next)
        if (j->tok[e].type == KT_JSON_OBJECT)
            KT_GUARD(say(f, kt_json_member(j, e, "text", NULL), THOUGHT));
    return kt_ok();
}

static KT_MUST kt_result flatten(const struct kt_translation *t, uint32_t content, bool whole)
{
    const struct kt_json *j = t->j;
    struct flat f = {t, NOTHING, j->tok[content - 1].start}; /* from the key on */
    uint32_t end = j->tok[content].end;
    for (uint32_t e = content + 1; e < j->tok[content].next; e = j->tok[e].next) {
        if (j->tok[e].type != KT_JSON_OBJECT)
            continue;
        uint32_t thinking = kt_json_member(j, e, "thinking", NULL);
        KT_GUARD(thinking ? say_thought(&f, thinking) : say(&f, kt_json_member(j, e, "text", NULL), TEXT));
    }
    if (f.state == NOTHING)
        return put(&f, end, "\"content\":\"\"");
    return put(&f, end, f.state == THOUGHT && whole ? "\",\"content\":null" : "\"");
}

static KT_MUST kt_result name_types(const struct kt_translation *t, uint32_t calls)
{
    static const char function[] = "\"function\"";
    for (uint32_t c = calls + 1; c < t->j->tok[calls].next; c = t->j->tok[c].next) {
        if (t->j->tok[c].type != KT_JSON_OBJECT || !kt_json_member(t->j, c, "function", NULL))
            continue;
        uint32_t type = kt_json_member(t->j, c, "type", NULL);
        if (!type)
            KT_GUARD(kt_edits_add_member(t->edits, t->j, c, "type", function, sizeof function - 1));
        else if (kt_rule_is(t, type, KT_JSON_NULL))
            KT_GUARD(kt_rule_set(t, type, function));
    }
    return kt_ok();
}

static KT_MUST kt_result chat_choice(const struct kt_translation *t, uint32_t choice)
{
    uint32_t message = kt_json_member(t->j, choice, "message", NULL), whole = message;
    uint32_t finish = kt_json_member(t->j, choice, "finish_reason", NULL);
    if (finish && kt_json_str_eq(t->j, finish, "model_length"))
        KT_GUARD(kt_rule_set(t, finish, "\"length\""));
    if (!message)
        message = kt_json_member(t->j, choice, "delta", NULL);
    if (!message || !kt_rule_is(t, message, KT_JSON_OBJECT))
        return kt_ok();
    uint32_t calls = kt_json_member(t->j, message, "tool_calls", NULL);
    if (calls && kt_rule_is(t, calls, KT_JSON_ARRAY))
        KT_GUARD(name_types(t, calls));
    uint32_t content = kt_json_member(t->j, message, "content", NULL);
    return content && kt_rule_is(t, content, KT_JSON_ARRAY) ? flatten(t, content, whole != 0) : kt_ok();
}

/* OpenAI's clients ask a result of a moderation whether it is `flagged`: where any category is. */
static KT_MUST kt_result flag_results(const struct kt_translation *t)
{
    uint32_t results = kt_json_member(t->j, 0, "results", NULL);
    if (!results || !kt_rule_is(t, results, KT_JSON_ARRAY))
        return kt_ok();
    for (uint32_t r = results + 1; r < t->j->tok[results].next; r = t->j->tok[r].next) {
        bool object = kt_rule_is(t, r, KT_JSON_OBJECT), any = false;
        uint32_t found = object ? kt_json_member(t->j, r, "categories", NULL) : 0;
        if (!found || !kt_rule_is(t, found, KT_JSON_OBJECT) || kt_json_member(t->j, r, "flagged", NULL))
            continue;
        for (uint32_t key = found + 1; key < t->j->tok[found].next; key = t->j->tok[key + 1].next)
            any |= kt_span_eq(kt_json_raw(t->j, key + 1), "true");
        const char *flagged = any ? "true" : "false";
        KT_GUARD(kt_edits_add_member(t->edits, t->j, r, "flagged", flagged, strlen(flagged)));
    }
    return kt_ok();
}

kt_result kt_mistral_answer(const struct kt_chat *a, struct kt_edits *edits)
{
    struct kt_translation t = {.j = &a->json, .edits = edits};
    uint32_t choices = a->choices_tok;
    bool chat = a->endpoint == KT_EP_CHAT;
    if (a->endpoint == KT_EP_MODERATIONS)
        return flag_results(&t);
    if ((!chat && a->endpoint != KT_EP_COMPLETIONS) || !choices)
        return kt_ok();
    for (uint32_t c = choices + 1; c < t.j->tok[choices].next; c = t.j->tok[c].next)
        KT_GUARD(chat ? chat_choice(&t, c) : kt_mistral_text_choice(&t, c));
    if (chat)
        return kt_ok();
    uint32_t object = kt_json_member(t.j, 0, "object", NULL);
    return object ? kt_rule_set(&t, object, "\"text_completion\"") : kt_ok();
}
