/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/detect/kt_literals.h"

#include <stdlib.h>
#include <string.h>

#define HASH_BITS 15u
#define HASHES (1u << HASH_BITS)
#define DONE UINT32_MAX

struct literal {
    const char *text; /* borrowed */
    unsigned len;
    uint32_t head, mask; /* its first four bytes, so that most of a bucket is passed over at once */
    uint16_t id, pair;   /* of its first two bytes */
};

struct kt_literals {
    uint64_t begins[HASHES / 64];
    uint8_t byte_class[256]; /* 1..63; letters without case */
    struct literal *sorted;  /* by their first two bytes, longest first */
    uint16_t first[64 * 64]; /* of the literals with these two classes: index + 1 in `sorted`, 0 = none */
    size_t count;
};

static unsigned hash(const uint8_t *c, const unsigned char *at)
{
    return ((unsigned)c[at[0]] << 10 ^ (unsigned)c[at[1]] << 5 ^ c[at[2]]) & (HASHES - 1);
}

static unsigned pair(const uint8_t *c, const char *at)
{
    return c[(unsigned char)at[0]] * 64u + c[(unsigned char)at[1]];
}

/* Sixty-three classes are enough for letters, digits and signs; rarer bytes share the last one. */
static void classify(uint8_t *c)
{
    static const char signs[] = "-_.:/=$ %~+,;\"'@(){}[]<>|";
    memset(c, 63, 256);
    for (unsigned i = 0; i < 26; i++)
        c['a' + i] = c['A' + i] = (uint8_t)(1 + i);
    for (unsigned i = 0; i < 10; i++)
        c['0' + i] = (uint8_t)(27 + i);
    for (unsigned i = 0; signs[i] && i < 25; i++)
        c[(unsigned char)signs[i]] = (uint8_t)(37 + i);
}

/* Four bytes with the case bit set in all of them: equal where the bytes are equal but for case. */
static uint32_t head_of(const char *at, size_t len)
{
    uint32_t w = 0;
    if (len >= sizeof w)
        memcpy(&w, at, sizeof w);
    else
        memcpy(&w, at, len);
    return w | 0x20202020u;
}

static uint32_t head_mask(size_t len)
{
    uint32_t w = UINT32_MAX;
    if (len < sizeof w) {
        w = 0;
        memset(&w, 0xff, len);
    }
    return w;
}

static void set(struct kt_literals *l, const char text[3])
{
    unsigned h = hash(l->byte_class, (const unsigned char *)text);
    l->begins[h / 64] |= UINT64_C(1) << h % 64;
}

static void add(struct kt_literals *l, const struct literal *one)
{
    if (one->len > 2) {
        set(l, one->text);
        return;
    }
    for (unsigned b = 0; b < 256; b++)
        set(l, (const char[]){one->text[0], one->text[1], (char)b});
}

static int compare(const void *left, const void *right)
{
    const struct literal *a = left, *b = right;
    if (a->pair != b->pair)
        return a->pair < b->pair ? -1 : 1;
    if (a->len != b->len)
        return a->len > b->len ? -1 : 1;
    return a->id > b->id ? -1 : a->id < b->id;
}

struct kt_literals *kt_literals_new(const char *const *texts, size_t count)
{
    if (count >= UINT16_MAX)
        return NULL;
    struct kt_literals *l = calloc(1, sizeof *l);
    if (!l)
        return NULL;
    l->sorted = calloc(count ? count : 1, sizeof *l->sorted);
    if (!l->sorted) {
        free(l);
        return NULL;
    }
    classify(l->byte_class);
    l->count = count;
    for (size_t i = 0; i < count; i++) {
        size_t n = strlen(texts[i]);
        l->sorted[i] = (struct literal){.text = texts[i],
                                        .len = (unsigned)n,
                                        .head = head_of(texts[i], n) & head_mask(n),
                                        .mask = head_mask(n),
                                        .id = (uint16_t)i,
                                        .pair = (uint16_t)pair(l->byte_class, texts[i])};
        add(l, &l->sorted[i]);
    }
    qsort(l->sorted, count, sizeof *l->sorted, compare);
    for (size_t i = count; i-- > 0;)
        l->first[l->sorted[i].pair] = (uint16_t)(i + 1);
    return l;
}

void kt_literals_free(struct kt_literals *l)
{
    if (!l)
        return;
    free(l->sorted);
    free(l);
}

size_t kt_literals_place(const struct kt_literals *l, const char *text, size_t len, size_t from, bool final)
{
    const unsigned char *data = (const unsigned char *)text;
    size_t last = len > 2 ? len - 2 : 0, at = from; /* three bytes are left in front of it */
    for (; at < last; at++) {
        unsigned h = hash(l->byte_class, data + at);
        if (l->begins[h / 64] >> h % 64 & 1)
            return at;
    }
    return final || at > len ? len : at;
}

/* Bytes that agree, at most `n`. */
static size_t common(const char *text, const char *literal, size_t n)
{
    size_t i = 0;
    for (; i < n; i++) {
        unsigned char a = (unsigned char)text[i], b = (unsigned char)literal[i];
        a |= a >= 'A' && a <= 'Z' ? 0x20 : 0;
        b |= b >= 'A' && b <= 'Z' ? 0x20 : 0;
        if (a != b)
            break;
    }
    return i;
}

enum kt_literal_found kt_literals_at(const struct kt_literals *l, const char *text, size_t len, size_t at,
                                     bool final, unsigned *cursor, unsigned *id)
{
    size_t left = len - at;
    if (left < 2) /* one byte: any literal may begin so */
        return *cursor == 0 && !final && left == 1 ? (*cursor = DONE, KT_LITERAL_CUT) : KT_LITERAL_NONE;
    unsigned key = pair(l->byte_class, text + at);
    uint32_t head = head_of(text + at, left), seen = head_mask(left);
    unsigned i = *cursor ? *cursor : l->first[key];
    for (; i != DONE && i && i <= l->count && l->sorted[i - 1].pair == key; i++) {
        const struct literal *one = &l->sorted[i - 1];
        if ((head ^ one->head) & one->mask & seen)
            continue;
        size_t n = one->len < left ? one->len : left;
        if (common(text + at, one->text, n) < n || (n < one->len && final))
            continue;
        *cursor = i + 1;
        *id = one->id;
        return n < one->len ? KT_LITERAL_CUT : KT_LITERAL_FOUND;
    }
    *cursor = DONE;
    return KT_LITERAL_NONE;
}
