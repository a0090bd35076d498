/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/chain/kt_conversation.h"

#include "policyengine/chain/kt_numbers.h"

#include <string.h>

#define EDGE 512u  /* bytes of both ends of a message that tell it from others, beside its length */
#define ALONE 24u  /* bytes from which on one message tells a conversation; shorter ones stand in many */
#define LATEST 256 /* messages of a request that are kept */

#define NOBODY 0xffffffffu

/* A message in few bytes: long ones must not cost their length twice. */
static uint64_t digest_of(enum kt_origin_class from, const char *text, size_t len)
{
    uint64_t head[3] = {(uint64_t)from, len, 0};
    size_t edge = len < EDGE ? len : EDGE;
    head[2] = kt_numbers_digest(text + (len - edge), edge);
    return kt_numbers_digest(head, sizeof head) ^ kt_numbers_digest(text, edge);
}

/* Shows where a message stood: the conversation, kept as a number that is not 0. */
static void keep(uint64_t mark, uint64_t id)
{
    kt_numbers_put(mark, "", "", 0, (unsigned)(id % 0xfffffffeu) + 1);
}

static uint64_t pair_of(uint64_t a, uint64_t b)
{
    const uint64_t both[2] = {a, b};
    return kt_numbers_digest(both, sizeof both);
}

/* The first two messages, or the first where it is long, say whether they stood further back before. */
static void look(struct kt_conversation *c, uint64_t digest, size_t len)
{
    uint64_t mark = c->count == 0 ? (len >= ALONE ? digest : 0) : pair_of(c->last, digest);
    unsigned known = mark && c->count < 2 && !c->continued ? kt_numbers_get(mark, "", "", 0) : 0;
    if (c->count == 0)
        c->id = digest % 0xfffffffeu + 1;
    if (!known || known == c->id)
        return;
    c->id = known;
    c->continued = true;
}

static bool of_model(enum kt_origin_class from)
{
    return from == KT_FROM_ASSISTANT || from == KT_FROM_TOOL_CALL || from == KT_FROM_REASONING;
}

void kt_conversation_add(struct kt_conversation *c, enum kt_origin_class from, const char *text, size_t len)
{
    if (from == KT_FROM_SYSTEM || from == KT_FROM_LABEL || from == KT_FROM_NAME)
        return;
    uint64_t digest = digest_of(from, text, len);
    if (of_model(from) && !c->model)
        c->before[c->answers++ % KT_CONVERSATION_ANSWERS] = c->said;
    c->model = of_model(from);
    look(c, digest, len);
    if (c->count > 0 && c->count < LATEST) {
        keep(pair_of(c->last, digest), c->id - 1);
        if (len >= ALONE)
            keep(digest, c->id - 1);
    }
    c->said = pair_of(c->said, digest);
    c->last = digest;
    c->count++;
}

void kt_conversation_end(struct kt_conversation *c)
{
    c->made = true;
    if (c->count == 0)
        c->id = 0;
}

/* Whose label a number is, among those that one answer brought. */
static unsigned owner_of(const char *value, size_t len)
{
    unsigned tag = (unsigned)kt_numbers_digest(value, len);
    return tag == NOBODY || tag == 0 ? 1 : tag;
}

static uint64_t slot_of(uint64_t said, const char *kind, unsigned number)
{
    const uint64_t both[2] = {said, number};
    return kt_numbers_digest(both, sizeof both) ^ kt_numbers_digest(kind, strlen(kind));
}

static bool owns(uint64_t scope, const char *kind, const char *value, size_t len, unsigned number)
{
    return kt_numbers_get(slot_of(scope, kind, number), "", "", 0) == owner_of(value, len);
}

unsigned kt_conversation_number(const struct kt_conversation *c, const char *kind, const char *value,
                                size_t len, size_t *next, bool *own)
{
    size_t n = c->answers < KT_CONVERSATION_ANSWERS ? c->answers : KT_CONVERSATION_ANSWERS;
    while (c->id && *next <= n) {
        bool answer = *next < n;
        if (!answer && !c->continued)
            break;
        /* the latest first */
        uint64_t scope = answer ? c->before[(c->answers - 1 - *next) % KT_CONVERSATION_ANSWERS] : c->id;
        unsigned number = kt_numbers_get(scope, kind, value, len);
        ++*next;
        *own = number && owns(scope, kind, value, len, number);
        if (*own || (number && !answer))
            return number;
    }
    return 0;
}

static bool anothers(uint64_t scope, const char *kind, const char *value, size_t len, unsigned number)
{
    unsigned owner = kt_numbers_get(slot_of(scope, kind, number), "", "", 0);
    return owner && owner != owner_of(value, len);
}

bool kt_conversation_reserved(const struct kt_conversation *c, const char *kind, const char *value,
                              size_t len, unsigned number)
{
    size_t n = c->answers < KT_CONVERSATION_ANSWERS ? c->answers : KT_CONVERSATION_ANSWERS;
    for (size_t i = 0; c->id && i < n; i++)
        if (anothers(c->before[i], kind, value, len, number))
            return true;
    return c->id && c->continued && anothers(c->id, kind, value, len, number);
}

static void note(uint64_t scope, const char *kind, const char *value, size_t len, unsigned number)
{
    uint64_t slot = slot_of(scope, kind, number);
    unsigned known = kt_numbers_get(slot, "", "", 0), owner = owner_of(value, len);
    kt_numbers_put(scope, kind, value, len, number);
    kt_numbers_put(slot, "", "", 0, known && known != owner ? NOBODY : owner);
}

void kt_conversation_note(const struct kt_conversation *c, const char *kind, const char *value, size_t len,
                          unsigned number)
{
    if (c->id)
        note(c->id, kind, value, len, number);
    if (c->id && c->answering)
        note(c->said, kind, value, len, number);
}
