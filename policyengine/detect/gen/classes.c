/* SPDX-License-Identifier: Apache-2.0 */
/* Writes patterns/classes.def as the tables of kt_classes.h. */
#include "policyengine/detect/kt_classes.h"
#include "policyengine/detect/gen/kt_patc.h"

#include <stdlib.h>

#define ENTRIES_MAX 8192u

struct entry {
    char letters[KT_CLASS_WORD + 1];
    unsigned len, exact, id;
};

static const char *const class_words[] = {
    "",
#define KT_CLASS(name, words) words,
#include "policyengine/detect/patterns/classes.def"
#undef KT_CLASS
};

struct table {
    struct entry entries[ENTRIES_MAX];
    unsigned count;
    struct kt_class_slot slots[KT_CLASS_SLOTS];
};

static uint32_t key_of(const struct entry *e)
{
    uint32_t key = 0;
    for (unsigned i = 0; i < KT_CLASS_KEY && e->letters[i]; i++)
        key |= (uint32_t)(unsigned char)e->letters[i] << 8 * i;
    return key;
}

/* By key, then the longest first, a whole word before a stem. */
static int by_key(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    uint32_t kx = key_of(x), ky = key_of(y);
    if (kx != ky)
        return kx < ky ? -1 : 1;
    if (x->len != y->len)
        return x->len > y->len ? -1 : 1;
    if (x->exact != y->exact)
        return x->exact ? -1 : 1;
    return strcmp(x->letters, y->letters);
}

static void add_word(struct table *t, const char *word, size_t len, unsigned id)
{
    struct entry *e = &t->entries[t->count];
    unsigned stem = word[len - 1] == '*';
    len -= stem;
    if (len > KT_CLASS_WORD || len == 0 || (stem && len < KT_CLASS_KEY))
        kt_patc_die(word, "an entry has 1 to 12 letters, a stem 4 or more");
    if (t->count++ == ENTRIES_MAX)
        kt_patc_die(word, "too many words");
    for (size_t i = 0; i < len; i++)
        if (!((word[i] >= 'a' && word[i] <= 'z') || (word[i] >= '0' && word[i] <= '9')))
            kt_patc_die(word, "only folded letters and digits");
    memcpy(e->letters, word, len);
    e->letters[len] = 0;
    e->len = (unsigned)len;
    e->exact = !stem;
    e->id = id;
}

static void read_words(struct table *t)
{
    for (unsigned id = 1; id < KT_CLASS_COUNT; id++)
        for (const char *w = class_words[id]; *(w += strspn(w, " "));) {
            size_t n = strcspn(w, " ");
            add_word(t, w, n, id);
            w += n;
        }
    qsort(t->entries, t->count, sizeof t->entries[0], by_key);
}

/* Drops what stands twice in one class; a word of two classes is a mistake. */
static void drop_repeated(struct table *t)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < t->count; i++) {
        const struct entry *e = &t->entries[i], *last = kept > 0 ? &t->entries[kept - 1] : NULL;
        bool same = last && e->exact == last->exact && strcmp(e->letters, last->letters) == 0;
        if (same && e->id != last->id)
            kt_patc_die(e->letters, "is in two classes");
        if (!same)
            t->entries[kept++] = *e;
    }
    t->count = kept;
}

static void fill_slots(struct table *t)
{
    for (unsigned i = 0, n; i < t->count; i += n) {
        uint32_t key = key_of(&t->entries[i]);
        for (n = 1; i + n < t->count && key_of(&t->entries[i + n]) == key;)
            n++;
        unsigned at = kt_class_hash(key);
        while (t->slots[at].key)
            at = (at + 1) % KT_CLASS_SLOTS;
        t->slots[at] = (struct kt_class_slot){key, (uint16_t)i, (uint16_t)n};
        if (i > KT_CLASS_SLOTS * 3)
            kt_patc_die("classes", "too few slots");
    }
}

static void write_entry(const struct entry *e, FILE *out)
{
    uint64_t rest = 0, mask = 0;
    for (unsigned i = KT_CLASS_KEY; i < e->len; i++) {
        rest |= (uint64_t)(unsigned char)e->letters[i] << 8 * (i - KT_CLASS_KEY);
        mask |= UINT64_C(0xff) << 8 * (i - KT_CLASS_KEY);
    }
    fprintf(out, "{%#llxu, %#llxu, %u, %u, %u}, /* %s */\n", (unsigned long long)rest,
            (unsigned long long)mask, e->len, e->exact, e->id, e->letters);
}

static void write_known(const struct table *t, FILE *out)
{
    uint64_t bits[KT_CLASS_BITS / 64] = {0};
    for (unsigned i = 0; i < KT_CLASS_SLOTS; i++) {
        unsigned bit = kt_class_bit(t->slots[i].key);
        bits[bit / 64] |= (uint64_t)(t->slots[i].key != 0) << bit % 64;
    }
    fprintf(out, "\nconst uint64_t kt_class_known[KT_CLASS_BITS / 64] = {\n");
    for (unsigned i = 0; i < KT_CLASS_BITS / 64; i++)
        fprintf(out, "%#llx,\n", (unsigned long long)bits[i]);
    fprintf(out, "};\n");
}

void kt_patc_classes(FILE *out)
{
    struct table *t = calloc(1, sizeof *t);
    if (!t)
        kt_patc_die("classes", "out of memory");
    read_words(t);
    drop_repeated(t);
    fill_slots(t);
    fprintf(out, "#include \"policyengine/detect/kt_classes.h\"\n\nconst struct kt_class_entry "
                 "kt_class_entries[] = {\n");
    for (unsigned i = 0; i < t->count; i++)
        write_entry(&t->entries[i], out);
    fprintf(out, "};\n\nconst struct kt_class_slot kt_class_slots[KT_CLASS_SLOTS] = {\n");
    for (unsigned i = 0; i < KT_CLASS_SLOTS; i++)
        if (t->slots[i].key)
            fprintf(out, "[%u] = {%uu, %u, %u},\n", i, t->slots[i].key, t->slots[i].first, t->slots[i].count);
    fprintf(out, "};\n");
    write_known(t, out);
    free(t);
}
