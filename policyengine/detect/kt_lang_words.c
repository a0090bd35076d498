/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/detect/kt_lang_words.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS 16384u /* a power of two, at most half full: tests/unit/lang_test counts */

struct slot {
    const char *word; /* into the lists */
    uint32_t langs;
    uint8_t len;
};

struct kt_lang_table {
    struct slot slots[SLOTS];
};

static const struct {
    const char *code, *words;
} lists[] = {
#define KT_LANG(code, words) {#code, words},
#include "policyengine/detect/patterns/lang.def"
#undef KT_LANG
};

_Static_assert(KT_LANG_WORDED <= 32, "a set of languages is one uint32_t");

static _Atomic(struct kt_lang_table *) table;

const char *kt_lang_code(enum kt_lang_id id)
{
    return lists[id].code;
}

/* The slot of the word, or the empty one where it would go; NULL where the table is full. */
static const struct slot *find(const struct kt_lang_table *w, const char *word, size_t len)
{
    uint32_t h = 2166136261u;
    for (size_t i = 0; i < len; i++)
        h = (h ^ (unsigned char)word[i]) * 16777619u;
    h ^= h >> 15;
    for (unsigned n = 0; n < SLOTS; n++, h++) {
        const struct slot *s = &w->slots[h & (SLOTS - 1)];
        if (!s->word || (s->len == len && memcmp(s->word, word, len) == 0))
            return s;
    }
    return NULL;
}

static void fill(struct kt_lang_table *w)
{
    for (unsigned lang = 0; lang < KT_LANG_WORDED; lang++)
        for (const char *at = lists[lang].words; *at;) {
            size_t len = strcspn(at, " ");
            struct slot *s = (struct slot *)(uintptr_t)find(w, at, len);
            if (s && len && len <= KT_LANG_WORD) {
                s->word = at;
                s->len = (uint8_t)len;
                s->langs |= 1u << lang;
            }
            at += len + (at[len] == ' ');
        }
}

const struct kt_lang_table *kt_lang_words(void)
{
    struct kt_lang_table *have = atomic_load_explicit(&table, memory_order_acquire), *none = NULL;
    if (have)
        return have;
    struct kt_lang_table *mine = calloc(1, sizeof *mine);
    if (!mine)
        return NULL;
    fill(mine);
    if (atomic_compare_exchange_strong(&table, &none, mine))
        return mine;
    free(mine); /* another thread was first */
    return none;
}

uint32_t kt_lang_word(const struct kt_lang_table *w, const char *word, size_t len)
{
    const struct slot *s = len && len <= KT_LANG_WORD ? find(w, word, len) : NULL;
    return s ? s->langs : 0;
}
