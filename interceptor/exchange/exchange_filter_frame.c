/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The place of a text that OpenAI does not stream: the keys, numbers of items and kinds above its string.
 * Two pieces with one place are one text. A target that made two places look the same could as well have put
 * both texts into one, so that 64 bits tell them apart.
 */
#include "interceptor/exchange/kt_exchange_filter.h"

#include "interceptor/abi/kt_plan_format.h"

struct path {
    const struct kt_json *j;
    struct kt_x_place place;
    struct kt_buf *frame; /* NULL: only what tells it */
    kt_result result;
    char close[KT_JSON_MAX_DEPTH];
    size_t depth;
};

static void put(struct path *p, struct kt_span text, bool tells)
{
    p->place.len += text.len;
    if (tells)
        p->place.hash = kt_fnv1a(p->place.hash, text.data, text.len);
    if (p->frame && kt_is_ok(p->result))
        p->result = kt_buf_append(p->frame, text.data, text.len);
}

/* What a client needs to put the pieces of one item together. */
static void put_member(struct path *p, uint32_t object, const char *name, bool tells)
{
    const struct kt_json *j = p->j;
    uint32_t tok = kt_json_member(j, object, name, NULL);
    bool scalar = tok && (j->tok[tok].type == KT_JSON_STRING || j->tok[tok].type == KT_JSON_NUMBER);
    if (!scalar)
        return;
    put(p, kt_json_raw(j, tok - 1), tells);
    put(p, kt_span(":", 1), tells);
    put(p, kt_json_raw(j, tok), tells);
    put(p, kt_span(",", 1), tells);
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

static void enter(struct path *p, uint32_t at)
{
    bool object = p->j->tok[at].type == KT_JSON_OBJECT;
    put(p, kt_span(object ? "{" : "[", 1), true);
    if (p->depth < sizeof p->close) /* no JSON that is read is deeper */
        p->close[p->depth++] = object ? '}' : ']';
    if (!object)
        return;
    put_member(p, at, "index", true);
    put_member(p, at, "type", false);
}

static void walk(struct path *p, uint32_t root, uint32_t tok)
{
    uint32_t key = 0, at = toward(p->j, root, tok, &key);
    for (; at; at = toward(p->j, at, tok, &key)) {
        if (key) {
            put(p, kt_json_raw(p->j, key), true);
            put(p, kt_span(":", 1), true);
        }
        if (at == tok)
            return;
        enter(p, at);
        key = 0;
    }
}

bool kt_x_is_word_of(const struct kt_json *j, uint32_t value, uint32_t tok)
{
    static const char *const words[] = {"text",    "thinking", "reasoning", "reasoning_content",
                                        "refusal", "summary"};
    uint32_t key = 0, at = value;
    while (at != tok && (at = toward(j, at, tok, &key)) != 0) {
        bool word = !key;
        for (size_t i = 0; !word && i < KT_COUNT(words); i++)
            word = kt_json_str_eq(j, key, words[i]);
        if (!word)
            return false;
        key = 0;
    }
    return at == tok;
}

/* A stream of another API tells by these what a piece belongs to. */
static void begin_aside(struct path *p)
{
    static const char *const tell[] = {"type", "index", "output_index", "content_index", "item_id"};
    static const char *const more[] = {"id", "object"};
    for (size_t i = 0; i < KT_COUNT(tell); i++)
        put_member(p, 0, tell[i], true);
    for (size_t i = 0; i < KT_COUNT(more); i++)
        put_member(p, 0, more[i], false);
}

struct kt_x_place kt_x_place_of(const struct kt_json *j, uint32_t root, uint32_t tok)
{
    struct path p = {.j = j, .place = {KT_FNV_SEED, 0}, .result = kt_ok()};
    if (!root)
        begin_aside(&p);
    walk(&p, root, tok);
    return p.place;
}

kt_result kt_x_frame_put(const struct kt_json *j, uint32_t root, uint32_t tok, struct kt_x_frame *out)
{
    struct path p = {.j = j, .frame = &out->json, .result = kt_ok()};
    if (!root)
        begin_aside(&p);
    walk(&p, root, tok);
    out->hole = out->json.len;
    while (p.depth > 0)
        put(&p, kt_span(&p.close[--p.depth], 1), false);
    return p.result;
}
