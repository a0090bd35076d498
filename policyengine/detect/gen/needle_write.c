/* SPDX-License-Identifier: Apache-2.0 */
/* Writes the needles of a set's phrases as constant C data (see kt_needles.h). */
#include "policyengine/detect/gen/kt_patc.h"
#include "policyengine/detect/gen/needles.h"

#include <stdlib.h>
#include <string.h>

#define NEEDLES_MAX 16000u

struct haystack {
    struct kt_needle needles[NEEDLES_MAX];
    unsigned count;
    uint8_t runs[256];
    struct kt_needle_slot slots[KT_NEEDLE_SLOTS];
    uint64_t known[KT_NEEDLE_BITS / 64];
};

static void add_needle(struct haystack *h, const struct needle *n)
{
    unsigned len = n->len < KT_NEEDLE_MAX ? n->len : KT_NEEDLE_MAX;
    struct kt_needle k = {.len = (uint8_t)len, .starts = n->starts, .ends = n->ends && len == n->len};
    if (h->count == NEEDLES_MAX)
        kt_patc_die("needles", "too many");
    memcpy(k.text, n->text, len);
    h->needles[h->count++] = k;
}

/* False: nothing is known that each of its matches holds. */
static bool add_phrase(struct haystack *h, const char *regex)
{
    struct needle_info n = needle_of(regex);
    for (unsigned i = 0; i < n.need.count; i++)
        add_needle(h, &n.need.items[i]);
    if (n.need.items)
        return true;
    for (unsigned place = 0; place < n.run_len; place++)
        for (unsigned c = 0; c < 256; c++)
            h->runs[c] |= (uint8_t)((n.run[place][c / 8] >> c % 8 & 1u) << place);
    return n.run_len == KT_NEEDLE_RUN;
}

/* `a` stands wherever `b` does, too. */
static bool covers(const struct kt_needle *a, const struct kt_needle *b)
{
    if (a->len > b->len)
        return false;
    if (!a->starts && !a->ends)
        return memmem(b->text, b->len, a->text, a->len) != NULL;
    bool first = memcmp(a->text, b->text, a->len) == 0 && (!a->starts || b->starts);
    return first && (!a->ends || (a->len == b->len && b->ends));
}

static void drop_covered(struct haystack *h)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < h->count; i++) {
        bool covered = false;
        for (unsigned k = 0; k < h->count && !covered; k++)
            covered = (k < kept || k > i) && covers(&h->needles[k], &h->needles[i]);
        if (!covered)
            h->needles[kept++] = h->needles[i];
    }
    h->count = kept;
}

static uint32_t key_of(const struct kt_needle *n)
{
    uint32_t bytes = 0;
    for (unsigned i = 0; i < 4 && i < n->len; i++)
        bytes |= (uint32_t)(unsigned char)n->text[i] << 8 * i;
    return kt_needle_key(bytes, n->len);
}

static int by_key(const void *a, const void *b)
{
    uint32_t x = key_of(a), y = key_of(b);
    return x < y ? -1 : x > y ? 1 : memcmp(a, b, sizeof(struct kt_needle));
}

static void fill_slots(struct haystack *h)
{
    unsigned used = 0;
    for (unsigned i = 0, n; i < h->count; i += n) {
        uint32_t key = key_of(&h->needles[i]);
        for (n = 1; i + n < h->count && key_of(&h->needles[i + n]) == key;)
            n++;
        unsigned at = kt_needle_slot_of(key), bit = kt_needle_bit(key);
        while (h->slots[at].count)
            at = (at + 1) % KT_NEEDLE_SLOTS;
        h->slots[at] = (struct kt_needle_slot){key, (uint16_t)i, (uint16_t)n};
        h->known[bit / 64] |= UINT64_C(1) << bit % 64;
        if (++used > KT_NEEDLE_SLOTS / 2)
            kt_patc_die("needles", "too few slots");
    }
}

static void write_needles(const struct haystack *h, FILE *out)
{
    fprintf(out,
            "#include \"policyengine/detect/kt_needles.h\"\n\nstatic const struct kt_needle needles[] = {\n");
    for (unsigned i = 0; i < h->count; i++) {
        const struct kt_needle *n = &h->needles[i];
        fprintf(out, "{{");
        for (unsigned k = 0; k < n->len; k++) /* of type char, whatever its sign */
            fprintf(out, "%d,", n->text[k]);
        fprintf(out, "}, %u, %d, %d},\n", n->len, n->starts, n->ends);
    }
    fprintf(out, "};\n\nstatic const struct kt_needle_slot needle_slots[KT_NEEDLE_SLOTS] = {\n");
    for (unsigned i = 0; i < KT_NEEDLE_SLOTS; i++)
        if (h->slots[i].count)
            fprintf(out, "[%u] = {%uu, %u, %u},\n", i, h->slots[i].key, h->slots[i].first, h->slots[i].count);
    fprintf(out, "};\n\nstatic const uint64_t needle_keys[] = {\n");
    for (unsigned i = 0; i < KT_NEEDLE_BITS / 64; i++)
        fprintf(out, "%#llx,\n", (unsigned long long)h->known[i]);
    fprintf(out, "};\n\nstatic const uint8_t needle_runs[256] = {\n");
    for (unsigned i = 0; i < 256; i++)
        fprintf(out, "%u,%s", h->runs[i], i % 32 == 31 ? "\n" : "");
    fprintf(out, "};\n\nstatic const struct kt_needles all_needles = {needles, needle_slots, needle_keys, "
                 "needle_runs};\n");
}

bool kt_patc_needles(const struct kt_patc_set *set, FILE *out)
{
    struct haystack *h = calloc(1, sizeof *h);
    if (!h)
        kt_patc_die("needles", "out of memory");
    for (unsigned i = 0; i < set->phrase_count; i++)
        if (!add_phrase(h, set->phrases[i].regex)) {
            free(h);
            return false;
        }
    drop_covered(h);
    qsort(h->needles, h->count, sizeof h->needles[0], by_key);
    fill_slots(h);
    write_needles(h, out);
    free(h);
    return true;
}
