/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Which part a folded word plays in what is said to an assistant: a class of patterns/classes.def, the same
 * in five languages. The table is constant data that the build wrote (gen/classes.c); nothing is allocated or
 * initialised at run time.
 */
#include "policyengine/base/kt_base.h"

#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

enum kt_class {
    KT_CLASS_NONE,
#define KT_CLASS(name, words) KT_CLASS_##name,
#include "policyengine/detect/patterns/classes.def"
#undef KT_CLASS
    KT_CLASS_COUNT
};

#define KT_CLASS_KEY 4u /* letters that lead to the entries of a slot */
#define KT_CLASS_WORD                                                                                        \
    12u /* letters of an entry at most, and bytes that must be readable from the start of a word */

/* The entries with the same first letters, the longest first. */
struct kt_class_slot {
    uint32_t key; /* little-endian letters, zeros behind a shorter word; 0 = empty */
    uint16_t first;
    uint16_t count;
};

struct kt_class_entry {
    uint64_t rest, mask; /* letters behind the key */
    uint8_t len, exact, id;
};

#define KT_CLASS_SLOTS 4096u
extern const struct kt_class_slot kt_class_slots[KT_CLASS_SLOTS];
extern const struct kt_class_entry kt_class_entries[];

static inline unsigned kt_class_hash(uint32_t key)
{
    return key * UINT32_C(0x9e3779b1) >> 20;
}

/* Bit of a key in kt_class_known: one for each key that has a slot. Most words have none. */
#define KT_CLASS_BITS 32768u
extern const uint64_t kt_class_known[KT_CLASS_BITS / 64];

static inline unsigned kt_class_bit(uint32_t key)
{
    return key * UINT32_C(0x9e3779b1) >> 17;
}

/* The class of the word of `len` > 0 letters at `p`; KT_CLASS_WORD bytes from `p` on must be readable. */
static inline unsigned kt_class_of(const char *p, size_t len)
{
    uint32_t key;
    uint64_t rest;
    memcpy(&key, p, sizeof key);
    key &= (uint32_t)((UINT64_C(1) << 8 * (len < KT_CLASS_KEY ? len : KT_CLASS_KEY)) - 1);
    if (!(kt_class_known[kt_class_bit(key) / 64] >> kt_class_bit(key) % 64 & 1))
        return KT_CLASS_NONE;
    for (unsigned i = kt_class_hash(key);; i = (i + 1) % KT_CLASS_SLOTS) {
        const struct kt_class_slot *slot = &kt_class_slots[i];
        if (slot->key == 0)
            return KT_CLASS_NONE;
        if (slot->key != key)
            continue;
        memcpy(&rest, p + KT_CLASS_KEY, sizeof rest);
        for (const struct kt_class_entry *e = &kt_class_entries[slot->first], *end = e + slot->count; e < end;
             e++)
            if (((rest ^ e->rest) & e->mask) == 0 && (e->exact ? len == e->len : len >= e->len))
                return e->id;
        return KT_CLASS_NONE;
    }
}

#ifdef __cplusplus
}
#endif
