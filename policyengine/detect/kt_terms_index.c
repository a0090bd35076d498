/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/detect/kt_terms_index.h"

#include "policyengine/detect/kt_terms_token.h"

#include <stdlib.h>
#include <string.h>

static uint32_t hash_bytes(const char *text, size_t len)
{
    uint32_t h = 2166136261u;
    for (size_t i = 0; i < len; i++)
        h = (h ^ (unsigned char)text[i]) * 16777619u;
    return h ^ h >> 15;
}

static uint32_t hash_edge(uint32_t from, uint32_t word)
{
    uint64_t h = ((uint64_t)from << 32 | word) * UINT64_C(0x9e3779b97f4a7c15);
    return (uint32_t)(h >> 32);
}

static uint32_t *word_slot(const struct kt_terms *t, const char *text, size_t len)
{
    size_t i = hash_bytes(text, len) & t->slot_mask;
    for (; t->word_slots[i]; i = (i + 1) & t->slot_mask) {
        const struct kt_terms_word *w = &t->words[t->word_slots[i] - 1];
        if (w->len == len && memcmp(w->text, text, len) == 0)
            break;
    }
    return &t->word_slots[i];
}

uint32_t kt_terms_word_id(const struct kt_terms *t, const char *text, size_t len)
{
    uint32_t found = *word_slot(t, text, len);
    return found ? found - 1 : KT_TERMS_NONE;
}

static struct kt_terms_edge *edge_slot(const struct kt_terms *t, uint32_t node, uint32_t word)
{
    size_t i = hash_edge(node, word) & t->slot_mask;
    while (t->edges[i].to && (t->edges[i].from != node || t->edges[i].word != word))
        i = (i + 1) & t->slot_mask;
    return &t->edges[i];
}

uint32_t kt_terms_step(const struct kt_terms *t, uint32_t node, uint32_t word)
{
    return edge_slot(t, node, word)->to;
}

static uint64_t letters_of(const char *w, size_t len)
{
    uint64_t bits = 0;
    for (size_t i = 0; i < len; i++)
        bits |= UINT64_C(1) << ((unsigned char)w[i] & 63);
    return bits;
}

/* Levenshtein distance of at most `most`; only the band of that width is looked at. */
static bool near(const struct kt_terms_word *w, const char *text, size_t len, unsigned most)
{
    uint8_t rows[2][KT_TERM_WORD_BYTES + KT_TERM_DISTANCE + 2];
    uint8_t far = (uint8_t)(most + 1);
    for (size_t k = 0; k <= len; k++)
        rows[0][k] = (uint8_t)(k < far ? k : far);
    for (size_t i = 1; i <= w->len; i++) {
        uint8_t *above = rows[(i - 1) & 1], *row = rows[i & 1], best = far;
        size_t low = i > most ? i - most : 1, high = i + most < len ? i + most : len;
        row[low - 1] = low == 1 && i < far ? (uint8_t)i : far;
        for (size_t k = low; k <= high; k++) {
            unsigned up = k < i + most ? above[k] + 1u : far, left = row[k - 1] + 1u;
            unsigned cost = above[k - 1] + (w->text[i - 1] != text[k - 1]);
            cost = up < cost ? up : cost;
            cost = left < cost ? left : cost;
            row[k] = (uint8_t)(cost < far ? cost : far);
            best = row[k] < best ? row[k] : best;
        }
        if (best >= far && row[low - 1] >= far)
            return false;
    }
    return rows[w->len & 1][len] <= most;
}

size_t kt_terms_near(const struct kt_terms *t, const char *text, size_t len, uint32_t *out, size_t most)
{
    size_t n = 0;
    uint32_t exact = kt_terms_word_id(t, text, len);
    if (exact != KT_TERMS_NONE)
        out[n++] = exact;
    if (!t->sorted || len < 3)
        return n;
    uint64_t letters = letters_of(text, len);
    size_t low = len > KT_TERM_DISTANCE ? len - KT_TERM_DISTANCE : 1, high = len + KT_TERM_DISTANCE;
    high = high < KT_TERM_WORD_BYTES ? high : KT_TERM_WORD_BYTES;
    for (uint32_t i = t->by_length[low]; i < t->by_length[high + 1] && n < most; i++) {
        const struct kt_terms_word *w = &t->words[t->sorted[i]];
        size_t apart = w->len > len ? w->len - len : len - w->len;
        if (apart <= w->distance && t->sorted[i] != exact &&
            __builtin_popcountll(w->letters ^ letters) <= 2 * w->distance && near(w, text, len, w->distance))
            out[n++] = t->sorted[i];
    }
    return n;
}

/* ---- building ---- */

static kt_result add_term(struct kt_terms *t, const char *term, size_t index, unsigned distance, size_t *used,
                          struct kt_error *err)
{
    size_t len = strlen(term), words = 0;
    uint32_t node = 1;
    for (size_t at = 0; at < len;) {
        struct kt_token k;
        kt_token_read(term, len, at, true, false, &k);
        at = k.end;
        if (k.kind == KT_TOKEN_GAP)
            continue;
        if (k.kind != KT_TOKEN_WORD || ++words > KT_TERM_WORDS)
            return kt_fail(err, KT_ERR_USAGE, "[%zu] %s", index,
                           k.kind == KT_TOKEN_WORD ? "has more than 32 words"
                                                   : "has a word of more than 64 bytes");
        uint32_t *slot = word_slot(t, k.text, k.len);
        if (!*slot) {
            unsigned least = (unsigned)k.len / 4;
            struct kt_terms_word *w = &t->words[t->word_count];
            *w = (struct kt_terms_word){t->bytes + *used, (uint8_t)k.len,
                                        (uint8_t)(distance < least ? distance : least),
                                        letters_of(k.text, k.len)};
            memcpy(t->bytes + *used, k.text, k.len);
            *used += k.len;
            *slot = ++t->word_count;
        }
        struct kt_terms_edge *e = edge_slot(t, node, *slot - 1);
        if (!e->to)
            *e = (struct kt_terms_edge){node, *slot - 1, ++t->node_count};
        node = e->to;
    }
    if (words == 0)
        return kt_fail(err, KT_ERR_USAGE, "[%zu] has no word in it; letters, digits or signs are wanted",
                       index);
    if (!t->term_of[node])
        t->term_of[node] = (uint32_t)index + 1;
    return kt_ok();
}

static kt_result sort_near(struct kt_terms *t)
{
    t->sorted = calloc(t->word_count + 1u, sizeof *t->sorted);
    KT_ENSURE(t->sorted, KT_ERR_MEMORY);
    uint32_t n = 0;
    for (unsigned len = 0; len <= KT_TERM_WORD_BYTES; len++) {
        t->by_length[len] = n;
        for (uint32_t i = 0; i < t->word_count && len; i++)
            if (t->words[i].len == len && t->words[i].distance)
                t->sorted[n++] = i;
    }
    t->by_length[KT_TERM_WORD_BYTES + 1] = n;
    return kt_ok();
}

static void terms_cleanup(struct kt_terms **t)
{
    kt_terms_free(*t);
}

/* A term of n bytes has at most n words, and a folded word is at most as long as it was. */
static kt_result allocate(struct kt_terms *t, size_t bytes)
{
    size_t slots = 64;
    while (slots < 2 * bytes + 2)
        slots *= 2;
    t->slot_mask = slots - 1;
    t->bytes = calloc(1, 2 * bytes + 8);
    t->words = calloc(bytes + 1, sizeof *t->words);
    t->word_slots = calloc(slots, sizeof *t->word_slots);
    t->edges = calloc(slots, sizeof *t->edges);
    t->term_of = calloc(bytes + 2, sizeof *t->term_of);
    KT_ENSURE(t->bytes && t->words && t->word_slots && t->edges && t->term_of, KT_ERR_MEMORY);
    t->node_count = 1;
    return kt_ok();
}

kt_result kt_terms_new(char *const *terms, size_t n, unsigned distance, struct kt_terms **out,
                       struct kt_error *err)
{
    size_t bytes = 0, used = 0;
    *out = NULL;
    for (size_t i = 0; i < n; i++)
        bytes += strlen(terms[i]);
    if (n > KT_TERMS_MAX || bytes > (8u << 20))
        return kt_fail(err, KT_ERR_USAGE, "has more than %u terms or 8 MiB", KT_TERMS_MAX);
    KT_CLEANUP(terms_cleanup) struct kt_terms *t = calloc(1, sizeof *t);
    if (!t || allocate(t, bytes).code != KT_OK)
        return kt_fail(err, KT_ERR_MEMORY, "out of memory");
    for (size_t i = 0; i < n; i++)
        KT_GUARD(
            add_term(t, terms[i], i, distance < KT_TERM_DISTANCE ? distance : KT_TERM_DISTANCE, &used, err));
    if (distance)
        KT_GUARD(sort_near(t));
    *out = KT_TAKE(t);
    return kt_ok();
}

void kt_terms_free(struct kt_terms *t)
{
    if (!t)
        return;
    free(t->bytes);
    free(t->words);
    free(t->word_slots);
    free(t->edges);
    free(t->term_of);
    free(t->sorted);
    free(t);
}
