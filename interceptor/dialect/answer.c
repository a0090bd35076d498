/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A whole answer: the texts and tool calls of its choices. An answer in which a text could stand where we do
 * not look is no answer to us; the exchange decides what that means.
 */
#include "interceptor/dialect/kt_segments.h"

#include <string.h>

bool kt_answer_has_text(enum kt_endpoint e)
{
    return e == KT_EP_CHAT || e == KT_EP_COMPLETIONS || e == KT_EP_FIM;
}

/* What is no text, or is looked at elsewhere. */
static const char *const of_answers[] = {"choices", "usage", "error"};
static const char *const of_choices[] = {"text", "message", "delta", "logprobs", "index"};

static bool is_one_of(const struct kt_json *j, uint32_t key, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (kt_json_str_eq(j, key, names[i]))
            return true;
    return false;
}

/* What nobody knows of an object, but ids: whole strings each. */
static KT_MUST kt_result read_others(struct kt_chat *a, uint32_t object, unsigned number,
                                     const char *const *known, size_t n, struct kt_error *err)
{
    const struct kt_json *j = &a->json;
    for (uint32_t k = object + 1; k < j->tok[object].next; k = j->tok[k + 1].next) {
        bool id = j->tok[k + 1].type == KT_JSON_STRING && kt_answer_is_id(j, k);
        if (!id && !is_one_of(j, k, known, n))
            KT_GUARD(kt_segments_collect(a, k + 1, KT_FROM_LABEL, number, err));
    }
    return kt_ok();
}

/* Keys of a choice that hold text. Fill-in-the-middle answers in the shape of a chat. */
static KT_MUST kt_result read_choice(struct kt_chat *a, uint32_t choice, unsigned number,
                                     struct kt_error *err)
{
    static const char *const texts[] = {"text", "message", "delta"};
    if (a->json.tok[choice].type != KT_JSON_OBJECT)
        return kt_fail(err, KT_ERR_USAGE, "a choice is not an object");
    for (size_t i = 0; i < KT_COUNT(texts); i++) {
        bool twice;
        uint32_t value = kt_json_member(&a->json, choice, texts[i], &twice);
        if (twice)
            return kt_fail(err, KT_ERR_USAGE, "'%s' occurs more than once in a choice", texts[i]);
        if (!value)
            continue;
        if (a->json.tok[value].type == KT_JSON_OBJECT)
            KT_GUARD(kt_segments_collect(a, value, KT_FROM_ASSISTANT, number, err));
        else
            KT_GUARD(kt_segments_text(a, value, KT_FROM_ASSISTANT, number, err));
        KT_GUARD(kt_tools_called(a, value, number, err));
    }
    return read_others(a, choice, number, of_choices, KT_COUNT(of_choices), err);
}

struct kt_text kt_answer_silence(unsigned segment)
{
    return (struct kt_text){.segment = segment, .from = KT_FROM_ASSISTANT, .data = "", .final = true};
}

/* True where neither words nor a call were found since: a thought, or a tool that has no name, is neither. */
static bool is_silent(const struct kt_chat *a, size_t segments, size_t tools)
{
    bool spoken = a->tool_count > tools;
    for (size_t i = segments; i < a->segment_count; i++)
        spoken |= a->segments[i].from != KT_FROM_REASONING && a->segments[i].from != KT_FROM_LABEL;
    return !spoken;
}

static KT_MUST kt_result read_choices(struct kt_chat *a, struct kt_error *err)
{
    const struct kt_json *j = &a->json;
    if (j->tok[0].type != KT_JSON_OBJECT)
        return kt_fail(err, KT_ERR_USAGE, "the answer is not a JSON object");
    bool twice;
    uint32_t choices = kt_json_member(j, 0, "choices", &twice);
    if (!choices || twice || j->tok[choices].type != KT_JSON_ARRAY)
        return kt_fail(err, KT_ERR_USAGE, "the answer has no list of choices");
    a->choices_tok = choices;
    a->silent = j->tok[choices].size == 0;
    KT_GUARD(read_others(a, 0, 0, of_answers, KT_COUNT(of_answers), err));
    unsigned number = 0;
    for (uint32_t c = choices + 1; c < j->tok[choices].next; c = j->tok[c].next, number++) {
        if (number == KT_ANSWER_MAX_CHOICES)
            return kt_fail(err, KT_ERR_LIMIT, "the answer has more than %u choices", KT_ANSWER_MAX_CHOICES);
        size_t segments = a->segment_count, tools = a->tool_count;
        KT_GUARD(read_choice(a, c, number, err));
        a->silent += is_silent(a, segments, tools);
    }
    return kt_ok();
}

kt_result kt_answer_parse(struct kt_chat *a, enum kt_endpoint e, const char *text, size_t len,
                          struct kt_error *err)
{
    struct kt_json json;
    memset(a, 0, sizeof *a);
    KT_GUARD(kt_json_parse(&json, text, len, err));
    return kt_answer_take(a, e, &json, err);
}

kt_result kt_answer_take(struct kt_chat *a, enum kt_endpoint e, struct kt_json *json, struct kt_error *err)
{
    *a = (struct kt_chat){.endpoint = e, .answer = true, .json = *json};
    memset(json, 0, sizeof *json);
    kt_result r = kt_answer_has_text(e) ? read_choices(a, err) : kt_ok();
    if (!kt_is_ok(r))
        kt_chat_free(a);
    return r;
}
