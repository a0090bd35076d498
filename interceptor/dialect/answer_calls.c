/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tool calls as OpenAI's clients read them: arguments are a string of JSON source, and in a stream each call
 * has its number. Mistral's schema allows arguments that are an object, and calls
 * without a number, of which clients would make one.
 */
#include "interceptor/dialect/kt_rules.h"

#include <stdio.h>

kt_result kt_rule_as_string(const struct kt_json *j, uint32_t object, const char *name,
                            struct kt_edits *edits)
{
    uint32_t tok = kt_json_member(j, object, name, NULL);
    if (!tok || j->tok[tok].type == KT_JSON_STRING || j->tok[tok].type == KT_JSON_NULL)
        return kt_ok();
    struct kt_span raw = kt_json_raw(j, tok);
    KT_CLEANUP(kt_buf_free) struct kt_buf text = KT_BUF_INIT(raw.len * 6 + 2);
    KT_GUARD(kt_buf_puts(&text, "\""));
    KT_GUARD(kt_buf_json(&text, raw.data, raw.len));
    KT_GUARD(kt_buf_puts(&text, "\""));
    return kt_edits_replace_value(edits, j, tok, text.data, text.len);
}

static uint32_t object_at(const struct kt_json *j, uint32_t object, const char *name)
{
    uint32_t tok = object ? kt_json_member(j, object, name, NULL) : 0;
    return tok && j->tok[tok].type == KT_JSON_OBJECT ? tok : 0;
}

static bool says(const struct kt_json *j, uint32_t object, const char *name)
{
    uint32_t tok = object ? kt_json_member(j, object, name, NULL) : 0;
    return tok && j->tok[tok].type == KT_JSON_STRING && kt_json_raw(j, tok).len > 2;
}

/* A piece with a name begins a call, unless it is a further piece of the name: those have no id, or Mistral's
 * "null", and nothing of the arguments. */
static bool begins(const struct kt_json *j, uint32_t call)
{
    uint32_t function = object_at(j, call, "function"),
             of = function ? function : object_at(j, call, "custom");
    uint32_t id = kt_json_member(j, call, "id", NULL);
    bool own_id = says(j, call, "id") && !kt_json_str_eq(j, id, "null");
    uint32_t arguments = of ? kt_json_member(j, of, function ? "arguments" : "input", NULL) : 0;
    bool argues = arguments && kt_json_raw(j, arguments).len > 2 && j->tok[arguments].type != KT_JSON_NULL;
    return says(j, of, "name") && (own_id || argues);
}

/* -1 = none that counts. */
static long digits(struct kt_span raw)
{
    long n = 0;
    for (size_t i = 0; i < raw.len; i++) {
        if (raw.len > 6 || raw.data[i] < '0' || raw.data[i] > '9')
            return -1;
        n = n * 10 + (raw.data[i] - '0');
    }
    return raw.len ? n : -1;
}

static long number_of(const struct kt_json *j, uint32_t tok)
{
    return tok && j->tok[tok].type == KT_JSON_NUMBER ? digits(kt_json_raw(j, tok)) : -1;
}

static KT_MUST kt_result number(const struct kt_json *j, uint32_t call, unsigned *next,
                                struct kt_edits *edits)
{
    uint32_t tok = kt_json_member(j, call, "index", NULL);
    long told = number_of(j, tok);
    if (told >= 0) {
        *next = *next > (unsigned)told ? *next : (unsigned)told + 1;
        return kt_ok();
    }
    char text[16];
    *next += begins(j, call) || !*next;
    int n = snprintf(text, sizeof text, "%u", *next - 1);
    return tok ? kt_edits_replace_value(edits, j, tok, text, (size_t)n)
               : kt_edits_add_member(edits, j, call, "index", text, (size_t)n);
}

/* `next` NULL: calls of a whole answer. */
static KT_MUST kt_result mend_delta(const struct kt_json *j, uint32_t delta, unsigned *next,
                                    struct kt_edits *edits)
{
    uint32_t legacy = object_at(j, delta, "function_call");
    if (legacy)
        KT_GUARD(kt_rule_as_string(j, legacy, "arguments", edits));
    uint32_t list = delta ? kt_json_member(j, delta, "tool_calls", NULL) : 0;
    if (!list || j->tok[list].type != KT_JSON_ARRAY)
        return kt_ok();
    for (uint32_t c = list + 1; c < j->tok[list].next; c = j->tok[c].next) {
        if (j->tok[c].type != KT_JSON_OBJECT)
            continue;
        uint32_t function = object_at(j, c, "function"), custom = object_at(j, c, "custom");
        if (function)
            KT_GUARD(kt_rule_as_string(j, function, "arguments", edits));
        if (custom)
            KT_GUARD(kt_rule_as_string(j, custom, "input", edits));
        if (next)
            KT_GUARD(number(j, c, next, edits));
    }
    return kt_ok();
}

static uint32_t choices_of(const struct kt_json *j)
{
    uint32_t choices = kt_json_member(j, 0, "choices", NULL);
    return choices && j->tok[choices].type == KT_JSON_ARRAY ? choices : 0;
}

kt_result kt_answer_mend_whole(const struct kt_json *j, struct kt_edits *edits)
{
    uint32_t choices = choices_of(j);
    for (uint32_t c = choices + 1; choices && c < j->tok[choices].next; c = j->tok[c].next)
        if (j->tok[c].type == KT_JSON_OBJECT)
            KT_GUARD(mend_delta(j, object_at(j, c, "message"), NULL, edits));
    return kt_ok();
}

/* The number of a choice, at `place` where it has none. A plain number written as a string is that number. */
static KT_MUST kt_result choice_number(const struct kt_json *j, uint32_t choice, long place, long *index,
                                       struct kt_edits *edits)
{
    uint32_t tok = kt_json_member(j, choice, "index", NULL);
    long told = number_of(j, tok);
    *index = told < 0 ? place : told;
    if (told >= 0 || !tok || j->tok[tok].type != KT_JSON_STRING)
        return kt_ok();
    char text[16];
    struct kt_span raw = kt_json_raw(j, tok);
    told = digits(kt_span(raw.data + 1, raw.len - 2));
    if (told < 0)
        return kt_ok();
    *index = told;
    int n = snprintf(text, sizeof text, "%ld", told);
    return kt_edits_replace_value(edits, j, tok, text, (size_t)n);
}

kt_result kt_answer_mend_calls(const struct kt_json *j, unsigned *next, struct kt_edits *edits)
{
    uint32_t choices = choices_of(j);
    if (!choices)
        return kt_ok();
    long place = 0;
    for (uint32_t c = choices + 1; c < j->tok[choices].next; c = j->tok[c].next, place++) {
        if (j->tok[c].type != KT_JSON_OBJECT)
            continue;
        long index;
        KT_GUARD(choice_number(j, c, place, &index, edits));
        unsigned *own = &next[index < KT_ANSWER_CALL_SLOTS ? index : KT_ANSWER_CALL_SLOTS - 1];
        KT_GUARD(mend_delta(j, object_at(j, c, "delta"), own, edits));
        uint32_t message = object_at(j, c, "message"); /* some providers stream with this one */
        if (message)
            KT_GUARD(mend_delta(j, message, own, edits));
    }
    return kt_ok();
}
