/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/detect/kt_needles.h"

#include <string.h>

_Static_assert(KT_NEEDLE_BITS == 1u << (32 - 18) && KT_NEEDLE_SLOTS == 1u << (32 - 20),
               "as the hashes have it");
_Static_assert(KT_NEEDLE_RUN == 8, "a run has a bit of a byte for each place");

/* \w of the engine. */
static bool is_word(const char *text, size_t len, size_t at)
{
    unsigned char c = at < len ? (unsigned char)text[at] : 0;
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static bool is_edge(const char *text, size_t len, size_t at)
{
    return (at > 0 && is_word(text, len, at - 1)) != is_word(text, len, at);
}

static bool stands(const struct kt_needle *n, const char *text, size_t len, size_t at)
{
    return n->len <= len - at && memcmp(text + at, n->text, n->len) == 0 &&
           (!n->starts || is_edge(text, len, at)) && (!n->ends || is_edge(text, len, at + n->len));
}

static bool any_stands(const struct kt_needles *set, uint32_t key, const char *text, size_t len, size_t at)
{
    for (unsigned i = kt_needle_slot_of(key); set->slots[i].count; i = (i + 1) % KT_NEEDLE_SLOTS) {
        const struct kt_needle_slot *slot = &set->slots[i];
        for (unsigned k = 0; slot->key == key && k < slot->count; k++)
            if (stands(&set->needles[slot->first + k], text, len, at))
                return true;
    }
    return false;
}

static bool is_known(const struct kt_needles *set, uint32_t key)
{
    unsigned bit = kt_needle_bit(key);
    return set->known[bit / 64] >> bit % 64 & 1;
}

static bool has_run(const struct kt_needles *set, const char *text, size_t len)
{
    unsigned places = 0;
    for (size_t i = 0; i < len; i++) {
        places = (places << 1 | 1) & set->runs[(unsigned char)text[i]];
        if (places >> (KT_NEEDLE_RUN - 1))
            return true;
    }
    return false;
}

bool kt_needles_may(const struct kt_needles *set, const char *text, size_t len)
{
    for (size_t i = 0; i + KT_NEEDLE_MIN <= len; i++) {
        uint32_t bytes = 0;
        memcpy(&bytes, text + i, len - i < 4 ? 3 : 4);
        uint32_t three = kt_needle_key(bytes, 3);
        if (is_known(set, bytes) && any_stands(set, bytes, text, len, i))
            return true;
        if (is_known(set, three) && any_stands(set, three, text, len, i))
            return true;
    }
    return has_run(set, text, len);
}
