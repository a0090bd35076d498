/* SPDX-License-Identifier: Apache-2.0 */
/* Where a text of a chunk stands: in which choice, in which tool call, and whether more of it may come. */
#include "interceptor/exchange/kt_exchange_filter.h"

/* The choice at this place of the chunk; 0 = none. */
uint32_t kt_x_choice_at(const struct kt_chat *a, unsigned place)
{
    uint32_t list = kt_json_member(&a->json, 0, "choices", NULL);
    if (!list)
        return 0;
    uint32_t c = list + 1, end = a->json.tok[list].next;
    while (c < end && place-- > 0)
        c = a->json.tok[c].next;
    return c < end ? c : 0;
}

unsigned kt_x_choice_index(const struct kt_json *j, uint32_t object, unsigned place)
{
    uint32_t tok = kt_json_member(j, object, "index", NULL);
    struct kt_span raw = tok && j->tok[tok].type == KT_JSON_NUMBER ? kt_json_raw(j, tok) : kt_span("", 0);
    unsigned n = 0;
    if (!raw.len || raw.len > 6)
        return place;
    for (size_t i = 0; i < raw.len; i++) {
        if (raw.data[i] < '0' || raw.data[i] > '9')
            return place;
        n = n * 10 + (unsigned)(raw.data[i] - '0');
    }
    return n;
}

bool kt_x_choice_ends(const struct kt_chat *a, uint32_t choice)
{
    uint32_t reason = kt_json_member(&a->json, choice, "finish_reason", NULL);
    return reason && a->json.tok[reason].type == KT_JSON_STRING;
}

/* The number of the tool call that holds `tok`; those of the old `function_call` have the last one. */
static unsigned tool_of(const struct kt_json *j, uint32_t choice, uint32_t tok)
{
    uint32_t delta = kt_json_member(j, choice, "delta", NULL);
    uint32_t list = delta ? kt_json_member(j, delta, "tool_calls", NULL) : 0;
    unsigned place = 0;
    if (list && j->tok[list].type == KT_JSON_ARRAY)
        for (uint32_t t = list + 1; t < j->tok[list].next; t = j->tok[t].next, place++)
            if (tok > t && tok < j->tok[t].next)
                return kt_x_choice_index(j, t, place);
    return UINT32_MAX;
}

struct kt_x_channel kt_x_text_channel(const struct kt_chat *a, const struct kt_segment *s)
{
    uint32_t choice = kt_x_choice_at(a, s->choice);
    struct kt_x_channel c = {
        .choice = kt_x_choice_index(&a->json, choice, s->choice), .from = s->from, .json = s->json};
    c.refusal = kt_json_str_eq(&a->json, s->tok - 1, "refusal");
    if (s->from == KT_FROM_TOOL_CALL)
        c.tool = tool_of(&a->json, choice, s->tok);
    return c;
}

static bool same(const struct kt_x_channel *a, const struct kt_x_channel *b)
{
    return a->choice == b->choice && a->tool == b->tool && a->from == b->from && a->refusal == b->refusal;
}

/* The text ends with this piece: its choice is finished, and no other piece of it follows in the chunk. */
bool kt_x_text_is_last(const struct kt_x_filter *f, const struct kt_x_channel *key)
{
    if (!kt_x_choice_ends(&f->chunk, kt_x_choice_at(&f->chunk, f->chunk.segments[f->next_text].choice)))
        return false;
    for (size_t i = f->next_text + 1; i < f->chunk.segment_count; i++) {
        struct kt_x_channel other = kt_x_text_channel(&f->chunk, &f->chunk.segments[i]);
        if (same(&other, key))
            return false;
    }
    return true;
}
