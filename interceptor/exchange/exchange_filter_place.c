/* SPDX-License-Identifier: Apache-2.0 */
/* Where a text of a chunk stands: in which choice, in which tool call, and whether more of it may come. */
#include "interceptor/exchange/kt_exchange_filter.h"

#include <string.h>

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

/* ---- places that are not OpenAI's ---- */

static bool add(char *to, size_t size, struct kt_span text)
{
    size_t n = strlen(to);
    if (text.len >= size - n)
        return false;
    memcpy(to + n, text.data, text.len);
    to[n + text.len] = '\0';
    return true;
}

static bool add_both(struct kt_x_place *p, struct kt_span text)
{
    return add(p->name, sizeof p->name, text) && add(p->open, sizeof p->open, text);
}

/* The child of `at` that holds `tok`; of an object the key in front of it too. */
static uint32_t toward(const struct kt_json *j, uint32_t at, uint32_t tok, uint32_t *key)
{
    bool object = j->tok[at].type == KT_JSON_OBJECT;
    for (uint32_t t = at + 1; t < j->tok[at].next; t = j->tok[t + object].next)
        if (tok >= t + object && tok < j->tok[t + object].next) {
            *key = object ? t : 0;
            return t + object;
        }
    return 0;
}

/* What a client needs to put the pieces of one item together. */
static bool add_member(struct kt_x_place *p, const struct kt_json *j, uint32_t object, const char *name,
                       bool tells)
{
    uint32_t tok = kt_json_member(j, object, name, NULL);
    bool scalar = tok && (j->tok[tok].type == KT_JSON_STRING || j->tok[tok].type == KT_JSON_NUMBER);
    if (!scalar)
        return true;
    struct kt_span parts[] = {kt_json_raw(j, tok - 1), kt_span(":", 1), kt_json_raw(j, tok), kt_span(",", 1)};
    for (size_t i = 0; i < KT_COUNT(parts); i++)
        if (!(tells ? add_both(p, parts[i]) : add(p->open, sizeof p->open, parts[i])))
            return false;
    return true;
}

static bool enter(struct kt_x_place *p, const struct kt_json *j, uint32_t at)
{
    bool object = j->tok[at].type == KT_JSON_OBJECT;
    size_t n = strlen(p->close);
    if (n + 1 >= sizeof p->close || !add_both(p, object ? kt_span("{", 1) : kt_span("[", 1)))
        return false;
    memmove(p->close + 1, p->close, n + 1);
    p->close[0] = object ? '}' : ']';
    return !object || (add_member(p, j, at, "index", true) && add_member(p, j, at, "type", false));
}

static bool walk(struct kt_x_place *p, const struct kt_json *j, uint32_t choice, uint32_t tok)
{
    uint32_t key = 0, at = toward(j, choice, tok, &key);
    for (; at; at = toward(j, at, tok, &key)) {
        if (key && !(add_both(p, kt_json_raw(j, key)) && add_both(p, kt_span(":", 1))))
            return false;
        if (at == tok)
            return true;
        if (!enter(p, j, at))
            return false;
        key = 0;
    }
    return false;
}

static struct kt_x_place place_of(const struct kt_json *j, uint32_t choice, uint32_t tok)
{
    static const char *const known[] = {"content", "reasoning_content", "refusal"};
    struct kt_x_place p = {.name = ""}, none = {.name = ""};
    uint32_t delta = kt_json_member(j, choice, "delta", NULL);
    bool inside = delta && j->tok[delta].type == KT_JSON_OBJECT && tok > delta && tok < j->tok[delta].next;
    for (size_t i = 0; inside && i < KT_COUNT(known); i++) {
        uint32_t m = kt_json_member(j, delta, known[i], NULL);
        if (m && tok >= m && tok < j->tok[m].next)
            return none;
    }
    return choice && walk(&p, j, choice, tok)
               ? p
               : none; /* deeper or longer than any that is known: as its class */
}

/* A stream of another API tells by these what a piece belongs to; the event's name is the first of all. */
static bool begin_aside(struct kt_x_place *p, const struct kt_json *j, struct kt_span name)
{
    static const char *const tell[] = {"type", "index", "output_index", "content_index", "item_id"};
    static const char *const more[] = {"id", "object"};
    bool good = add(p->name, sizeof p->name, name) && add(p->name, sizeof p->name, kt_span("\n", 1));
    for (size_t i = 0; good && i < KT_COUNT(tell); i++)
        good = add_member(p, j, 0, tell[i], true);
    for (size_t i = 0; good && i < KT_COUNT(more); i++)
        good = add_member(p, j, 0, more[i], false);
    return good;
}

kt_result kt_x_aside_channel(const struct kt_x_filter *f, const struct kt_segment *s,
                             struct kt_x_channel *out)
{
    *out = (struct kt_x_channel){.choice = UINT32_MAX, .from = s->from, .aside = true};
    out->whole = s->from == KT_FROM_LABEL;
    struct kt_span name = kt_buf_span(&f->name);
    bool told =
        begin_aside(&out->place, &f->chunk.json, name) && walk(&out->place, &f->chunk.json, 0, s->tok);
    if (!told && out->whole) { /* it is through before another one comes */
        out->place = (struct kt_x_place){.name = ""};
        told = true;
    }
    KT_ENSURE(told, KT_ERR_LIMIT);
    return kt_ok();
}

static bool in_content_list(const struct kt_json *j, uint32_t choice, uint32_t tok)
{
    uint32_t delta = kt_json_member(j, choice, "delta", NULL);
    uint32_t list = delta ? kt_json_member(j, delta, "content", NULL) : 0;
    return list && j->tok[list].type == KT_JSON_ARRAY && tok > list && tok < j->tok[list].next;
}

struct kt_x_channel kt_x_text_channel(const struct kt_chat *a, const struct kt_segment *s)
{
    uint32_t choice = kt_x_choice_at(a, s->choice);
    struct kt_x_channel c = {
        .choice = kt_x_choice_index(&a->json, choice, s->choice), .from = s->from, .json = s->json};
    c.listed = in_content_list(&a->json, choice, s->tok);
    c.refusal = kt_json_str_eq(&a->json, s->tok - 1, "refusal");
    if (s->from == KT_FROM_TOOL_CALL)
        c.tool = kt_x_tool_of(&a->json, choice, s->tok, &c.custom);
    else
        c.place = place_of(&a->json, choice, s->tok);
    return c;
}

bool kt_x_same_text(const struct kt_x_channel *a, const struct kt_x_channel *b)
{
    return a->choice == b->choice && a->tool == b->tool && a->from == b->from && a->refusal == b->refusal &&
           a->custom == b->custom && a->aside == b->aside && strcmp(a->place.name, b->place.name) == 0;
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
    struct kt_span raw = kt_json_raw(j, tok);
    return twice || j->tok[tok].type != KT_JSON_NUMBER || raw.len > 6 ||
           strspn(raw.data, "0123456789") < raw.len;
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
    if (f->aside)
        return key->whole;
    if (!kt_x_choice_ends(&f->chunk, kt_x_choice_at(&f->chunk, f->chunk.segments[f->next_text].choice)))
        return false;
    for (size_t i = f->next_text + 1; i < f->chunk.segment_count; i++) {
        struct kt_x_channel other = kt_x_text_channel(&f->chunk, &f->chunk.segments[i]);
        if (kt_x_same_text(&other, key))
            return false;
    }
    return true;
}
