/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/chain/kt_conversation.h"

#include "policyengine/chain/kt_numbers.h"

#include <string.h>

#define LATEST 256 /* messages of a request whose places are kept */

/* Values' kinds are capital letters: none of these is one. */
static const char place[] = "place", held[] = "held";

/* 0 where it cannot be told now; then nothing of this conversation is used or kept. */
static uint64_t digest(struct kt_conversation *c, const void *data, size_t len)
{
    uint64_t out;
    c->failed |= !kt_numbers_digest(data, len, &out);
    return out;
}

static uint64_t join(struct kt_conversation *c, uint64_t a, uint64_t b)
{
    const uint64_t both[2] = {a, b};
    return digest(c, both, sizeof both);
}

bool kt_conversation_caller(const char *name, size_t len, uint64_t *caller)
{
    const uint64_t before = *caller;
    uint64_t both[2] = {before, 0};
    return kt_numbers_digest(name, len, &both[1]) && kt_numbers_digest(both, sizeof both, caller);
}

void kt_conversation_begin(struct kt_conversation *c, uint64_t caller)
{
    *c = (struct kt_conversation){.context = caller, .said = caller};
}

static bool of_model(enum kt_origin_class from)
{
    return from == KT_FROM_ASSISTANT || from == KT_FROM_TOOL_CALL || from == KT_FROM_REASONING;
}

/* Three messages, an answer among them, tell where a conversation stood before; a place that two
 * conversations have is nobody's. */
static void stand(struct kt_conversation *c)
{
    const uint64_t *last = c->last;
    uint64_t mark = join(c, join(c, last[0], last[1]), last[2]);
    if (c->failed)
        return;
    if (c->count == 3) {
        unsigned known = kt_numbers_get(mark, place, "", 0);
        c->continued = c->models && known && known != c->id && known != KT_NUMBERS_NOBODY;
        c->id = c->continued ? known : c->id;
    }
    if (c->models)
        kt_numbers_claim(mark, place, "", 0, (unsigned)c->id);
}

void kt_conversation_add(struct kt_conversation *c, enum kt_origin_class from, const char *text, size_t len)
{
    if (from == KT_FROM_LABEL || from == KT_FROM_NAME)
        return;
    const uint64_t words[3] = {c->context, (uint64_t)from, digest(c, text, len)};
    const uint64_t message = digest(c, words, sizeof words);
    if (from == KT_FROM_SYSTEM ||
        from == KT_FROM_OFFER) { /* what follows is said under it; descriptions of tools come last */
        c->context = message;
        return;
    }
    if (of_model(from) && !c->model)
        c->before[c->answers++ % KT_CONVERSATION_ANSWERS] = c->said;
    c->model = of_model(from);
    c->models = (c->models << 1 | (c->model ? 1u : 0u)) & 7u;
    c->last[0] = c->last[1];
    c->last[1] = c->last[2];
    c->last[2] = message;
    c->said = join(c, c->said, message);
    if (c->count == 0)
        c->id = message % 0xfffffffeu + 1;
    c->count++;
    if (c->count >= 3 && c->count <= LATEST)
        stand(c);
}

void kt_conversation_end(struct kt_conversation *c)
{
    size_t n = c->answers < KT_CONVERSATION_ANSWERS ? c->answers : KT_CONVERSATION_ANSWERS;
    c->made = true;
    c->failed |= c->count == 0;
    for (size_t i = 0; i < n && !c->failed; i++) { /* the latest first */
        uint64_t scope = c->before[(c->answers - 1 - i) % KT_CONVERSATION_ANSWERS];
        if (kt_numbers_get(scope, held, "", 0))
            c->scopes[c->scope_count++] = scope;
    }
    c->labels = c->scope_count;
    if (!c->failed && c->continued)
        c->scopes[c->scope_count++] = c->id;
}

/* What one request asks is bounded, and what its answer asks: others wait meanwhile. */
static bool may_look(struct kt_conversation *c)
{
    return c->looks[c->answering]++ < KT_CONVERSATION_LOOKS &&
           c->values[c->answering] < KT_CONVERSATION_VALUES;
}

/* Whose label a number is, among those that one answer brought; 0 = it cannot be told. */
static unsigned tag_of(const char *value, size_t len)
{
    uint64_t tag;
    return kt_numbers_digest(value, len, &tag) ? (unsigned)(tag % 0xfffffffeu) + 1 : 0;
}

static unsigned owner_of(uint64_t scope, const char *kind, unsigned number)
{
    /* One table for both ways: a scope and its complement. */
    return kt_numbers_get(~scope, kind, (const char *)&number, sizeof number);
}

unsigned kt_conversation_number(struct kt_conversation *c, const char *kind, const char *value, size_t len,
                                size_t *next, bool *own)
{
    unsigned tag = *next < c->scope_count ? tag_of(value, len) : 0;
    while (tag && *next < c->scope_count && may_look(c)) {
        bool answer = *next < c->labels;
        uint64_t scope = c->scopes[(*next)++];
        unsigned number = kt_numbers_get(scope, kind, value, len);
        *own = number && owner_of(scope, kind, number) == tag;
        if (*own || (number && !answer))
            return number;
    }
    return 0;
}

bool kt_conversation_reserved(struct kt_conversation *c, const char *kind, const char *value, size_t len,
                              unsigned number)
{
    unsigned tag = c->scope_count ? tag_of(value, len) : 0;
    for (size_t i = 0; tag && i < c->scope_count && may_look(c); i++) {
        unsigned other = owner_of(c->scopes[i], kind, number);
        if (other && other != tag)
            return true;
    }
    return false;
}

static void note(uint64_t scope, const char *kind, const char *value, size_t len, unsigned number,
                 unsigned tag)
{
    kt_numbers_put(scope, kind, value, len, number);
    kt_numbers_claim(~scope, kind, (const char *)&number, sizeof number, tag);
}

void kt_conversation_note(struct kt_conversation *c, const char *kind, const char *value, size_t len,
                          unsigned number)
{
    if (c->failed || !c->id || c->values[c->answering] >= KT_CONVERSATION_VALUES)
        return;
    unsigned tag = tag_of(value, len);
    c->values[c->answering]++;
    if (tag && c->id)
        note(c->id, kind, value, len, number, tag);
    if (!tag || !c->answering)
        return;
    kt_numbers_put(c->said, held, "", 0, 1);
    note(c->said, kind, value, len, number, tag);
}
