/* SPDX-License-Identifier: Apache-2.0 */
/* Where a text of a chunk stands: in which choice, in which tool call, and whether more of it may come. */
#include "interceptor/exchange/kt_exchange_filter.h"

#include "interceptor/abi/kt_plan_format.h"

/* The choice at this place of the chunk; 0 = none. */
uint32_t kt_x_choice_at(const struct kt_chat *a, unsigned place)
{
    uint32_t list = a->choices_tok;
    if (!list)
        return 0;
    uint32_t c = list + 1, end = a->json.tok[list].next;
    while (c < end && place-- > 0)
        c = a->json.tok[c].next;
    return c < end ? c : 0;
}

/* One in a string is a plain number all the same, and leaves as one. False: it is none that counts. */
static bool read_index(const struct kt_json *j, uint32_t tok, unsigned *n)
{
    struct kt_span raw = kt_json_raw(j, tok);
    if (j->tok[tok].type == KT_JSON_STRING)
        raw = kt_span(raw.data + 1, raw.len - 2);
    else if (j->tok[tok].type != KT_JSON_NUMBER)
        return false;
    *n = 0;
    for (size_t i = 0; i < raw.len && i < 7; i++) {
        if (raw.data[i] < '0' || raw.data[i] > '9')
            return false;
        *n = *n * 10 + (unsigned)(raw.data[i] - '0');
    }
    return raw.len > 0 && raw.len < 7;
}

unsigned kt_x_choice_index(const struct kt_json *j, uint32_t object, unsigned place)
{
    unsigned n;
    uint32_t tok = kt_json_member(j, object, "index", NULL);
    return tok && read_index(j, tok, &n) ? n : place;
}

uint64_t kt_x_choice_bit(const struct kt_json *j, uint32_t choice, unsigned place)
{
    unsigned index = kt_x_choice_index(j, choice, place);
    return 1ull << (index < 63 ? index : 63);
}

/* Some servers have "" (LocalAI, SGLang) or "null" (KoboldCpp) in every chunk, others a word in every chunk
 * of the reasoning: that is what goes_on is for. */
bool kt_x_has_finish(const struct kt_json *j, uint32_t choice)
{
    uint32_t reason = kt_json_member(j, choice, "finish_reason", NULL);
    return reason && j->tok[reason].type == KT_JSON_STRING && j->tok[reason].end - j->tok[reason].start > 2 &&
           !kt_json_str_eq(j, reason, "null");
}

bool kt_x_choice_ends(const struct kt_x_filter *f, unsigned place)
{
    uint32_t choice = kt_x_choice_at(&f->chunk, place);
    return choice && kt_x_has_finish(&f->chunk.json, choice) &&
           !(f->goes_on & kt_x_choice_bit(&f->chunk.json, choice, place));
}

/* The number of the tool call that holds `tok`; those of the old `function_call` have the last one. `custom`:
 * it is the free input of one. */
unsigned kt_x_tool_of(const struct kt_json *j, uint32_t choice, uint32_t tok, bool *custom)
{
    uint32_t delta = kt_json_member(j, choice, "delta", NULL);
    uint32_t list = delta ? kt_json_member(j, delta, "tool_calls", NULL) : 0;
    unsigned place = 0;
    if (list && j->tok[list].type == KT_JSON_ARRAY)
        for (uint32_t t = list + 1; t < j->tok[list].next; t = j->tok[t].next, place++)
            if (tok > t && tok < j->tok[t].next) {
                uint32_t own = kt_json_member(j, t, "custom", NULL);
                *custom = own && tok > own && tok < j->tok[own].next;
                return kt_x_choice_index(j, t, place);
            }
    return UINT32_MAX;
}

/* ---- channels ---- */

static bool holds(const struct kt_json *j, uint32_t value, uint32_t tok)
{
    return value && tok >= value && tok < j->tok[value].next;
}

/* Where OpenAI has it: one text for the choice, or its arguments. */
static bool is_at_home(const struct kt_json *j, uint32_t delta, const struct kt_segment *s)
{
    static const char *const texts[] = {"content", "reasoning_content", "refusal"};
    if (s->from == KT_FROM_TOOL_CALL)
        return holds(j, kt_json_member(j, delta, "function_call", NULL), s->tok);
    for (size_t i = 0; i < KT_COUNT(texts); i++) {
        uint32_t m = kt_json_member(j, delta, texts[i], NULL);
        if (holds(j, m, s->tok))
            return kt_x_is_word_of(j, m, s->tok);
    }
    return false;
}

struct kt_x_channel kt_x_aside_channel(const struct kt_x_filter *f, const struct kt_segment *s)
{
    struct kt_x_channel c = {.choice = UINT32_MAX, .from = s->from, .aside = true, .tok = s->tok};
    c.place = kt_x_place_of(&f->chunk.json, 0, s->tok);
    c.place.len += f->name.len;
    c.place.hash = kt_fnv1a(c.place.hash, kt_buf_span(&f->name).data, f->name.len);
    c.whole = s->from == KT_FROM_LABEL || c.place.len > KT_X_MAX_PLACE;
    return c;
}

struct kt_x_channel kt_x_text_channel(const struct kt_chat *a, const struct kt_segment *s)
{
    const struct kt_json *j = &a->json;
    uint32_t choice = kt_x_choice_at(a, s->choice), delta = kt_json_member(j, choice, "delta", NULL);
    struct kt_x_channel c = {.choice = kt_x_choice_index(j, choice, s->choice),
                             .from = s->from,
                             .json = s->json,
                             .whole = s->whole,
                             .tok = s->tok,
                             .root = choice};
    bool object = delta && j->tok[delta].type == KT_JSON_OBJECT;
    uint32_t list = object ? kt_json_member(j, delta, "content", NULL) : 0;
    c.listed = list && list != s->tok && holds(j, list, s->tok);
    c.refusal = kt_json_str_eq(j, s->tok - 1, "refusal");
    if (s->from == KT_FROM_TOOL_CALL)
        c.tool = kt_x_tool_of(j, choice, s->tok, &c.custom);
    bool called = s->from == KT_FROM_TOOL_CALL && c.tool != UINT32_MAX;
    if (c.whole || !choice || called || (object && is_at_home(j, delta, s)))
        return c;
    c.place = kt_x_place_of(j, choice, s->tok);
    if (c.listed && c.from == KT_FROM_ASSISTANT) /* beside the answer, and no answer by itself */
        c.from = KT_FROM_REASONING;
    return c;
}

bool kt_x_same_text(const struct kt_x_channel *a, const struct kt_x_channel *b)
{
    return a->choice == b->choice && a->tool == b->tool && a->from == b->from && a->refusal == b->refusal &&
           a->custom == b->custom && a->aside == b->aside && a->whole == b->whole &&
           a->place.hash == b->place.hash;
}

bool kt_x_index_twice(const struct kt_chat *a)
{
    bool seen[KT_ANSWER_MAX_CHOICES] = {false};
    if (!a->choices_tok || a->json.tok[a->choices_tok].size < 2)
        return false;
    for (size_t i = 0; i < a->segment_count; i++) {
        unsigned place = a->segments[i].choice;
        if (i && a->segments[i - 1].choice == place)
            continue;
        unsigned index = kt_x_choice_index(&a->json, kt_x_choice_at(a, place), place);
        unsigned slot = index < KT_ANSWER_MAX_CHOICES ? index : KT_ANSWER_MAX_CHOICES - 1;
        if (seen[slot])
            return true;
        seen[slot] = true;
    }
    return false;
}

/* A number that clients read otherwise than we do: two texts would be one for them, or one would be two. */
static bool is_odd(const struct kt_json *j, uint32_t object)
{
    bool twice;
    uint32_t tok = kt_json_member(j, object, "index", &twice);
    if (!tok || j->tok[tok].type == KT_JSON_NULL)
        return twice;
    unsigned n;
    return twice || !read_index(j, tok, &n);
}

bool kt_x_index_odd(const struct kt_chat *a)
{
    const struct kt_json *j = &a->json;
    uint32_t c;
    for (unsigned place = 0; (c = kt_x_choice_at(a, place)) != 0; place++) {
        uint32_t delta = kt_json_member(j, c, "delta", NULL);
        uint32_t list = delta ? kt_json_member(j, delta, "tool_calls", NULL) : 0;
        if (is_odd(j, c))
            return true;
        if (list && j->tok[list].type == KT_JSON_ARRAY)
            for (uint32_t t = list + 1; t < j->tok[list].next; t = j->tok[t].next)
                if (is_odd(j, t))
                    return true;
    }
    return false;
}

/* The text ends with this piece: its choice is finished, and no other piece of it follows in the chunk. */
bool kt_x_text_is_last(const struct kt_x_filter *f, const struct kt_x_channel *key)
{
    if (f->aside || key->whole)
        return key->whole;
    if (!kt_x_choice_ends(f, f->chunk.segments[f->next_text].choice))
        return false;
    for (size_t i = f->next_text + 1; i < f->chunk.segment_count; i++) {
        struct kt_x_channel other = kt_x_text_channel(&f->chunk, &f->chunk.segments[i]);
        if (kt_x_same_text(&other, key))
            return false;
    }
    return true;
}
