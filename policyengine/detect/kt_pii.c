/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/detect/kt_pii.h"

#include "policyengine/detect/kt_pii_email.h"
#include "policyengine/detect/kt_pii_text.h"

#include <string.h>

#define KT_PII_KIND(name) extern const struct kt_pii_kind name;
#include "policyengine/detect/pii.def"
#undef KT_PII_KIND

static const struct kt_pii_kind *const kinds_list[] = {
#define KT_PII_KIND(name) &name,
#include "policyengine/detect/pii.def"
#undef KT_PII_KIND
};
_Static_assert(KT_COUNT(kinds_list) <= 32, "a set of kinds is one uint32_t");

#define TOKEN_MAX                                                                                            \
    64u /* the longest value that is one word (an address of the newest Bitcoin form) is shorter */
#define MONTH_MAX 12u

const struct kt_pii_kind *const *kt_pii_kinds(size_t *count)
{
    *count = KT_COUNT(kinds_list);
    return kinds_list;
}

uint32_t kt_pii_bit(const char *label)
{
    for (size_t i = 0; i < KT_COUNT(kinds_list); i++)
        if (strcmp(kinds_list[i]->label, label) == 0)
            return 1u << i;
    return 0;
}

/* True where `name` is one of the words of `list` (" a b "). */
static bool listed(const char *list, const char *name, size_t len)
{
    for (const char *w = list; *w; w++)
        if (w[0] == ' ' && strlen(w) > len + 1 && w[1 + len] == ' ' && kt_pii_same(w + 1, name, len))
            return true;
    return false;
}

uint32_t kt_pii_named(const char *name)
{
    size_t len = strlen(name);
    uint32_t set = 0;
    if (len == 0 || strchr(name, ' '))
        return 0;
    for (size_t i = 0; i < KT_COUNT(kinds_list); i++) {
        const struct kt_pii_kind *k = kinds_list[i];
        if ((strlen(k->label) == len && kt_pii_same(k->label, name, len)) ||
            (k->also && listed(k->also, name, len)))
            set |= 1u << i;
    }
    return set;
}

uint32_t kt_pii_of_group(enum kt_pii_group group)
{
    uint32_t set = 0;
    for (size_t i = 0; i < KT_COUNT(kinds_list); i++)
        if (kinds_list[i]->group == group)
            set |= 1u << i;
    return set;
}

/* The kinds of `set` that have one of these starts. */
static uint32_t starting(uint32_t set, unsigned starts)
{
    uint32_t out = 0;
    for (uint32_t left = set; left; left &= left - 1)
        if (kinds_list[__builtin_ctz(left)]->starts & starts)
            out |= left & -left;
    return out;
}

static enum kt_pii_answer try_kinds(struct kt_pii_view *v, size_t at, uint32_t set, kt_pii_hit_fn hit,
                                    void *ctx)
{
    for (; set; set &= set - 1) {
        const struct kt_pii_kind *kind = kinds_list[__builtin_ctz(set)];
        size_t start = at, end = at;
        enum kt_pii_answer a = kind->match(v, at, &start, &end);
        if (a == KT_PII_NO)
            continue;
        if (a == KT_PII_YES) {
            v->floor = end;
            v->last = kind;
            v->hit = start;
            hit(ctx, kind, start, end);
        }
        return a;
    }
    return KT_PII_NO;
}

enum { OTHER, LETTER, DIGIT, SIGN, COLON, MAIL };

static const unsigned char classes[256] = {
    ['A' ... 'Z'] = LETTER, ['a' ... 'z'] = LETTER, ['_'] = LETTER, ['0' ... '9'] = DIGIT, ['+'] = SIGN,
    ['('] = SIGN,           [':'] = COLON,          ['@'] = MAIL,   ['%'] = MAIL,
};

/* A word of the text: [at,end), all of it word bytes. */
struct word {
    size_t end;
    bool digit; /* it holds one */
};

static struct word word_at(const struct kt_pii_view *v, size_t at)
{
    struct word w = {at, false};
    unsigned char class;
    while (w.end < v->len && ((class = classes[(unsigned char)v->data[w.end]]) == LETTER || class == DIGIT)) {
        w.digit |= class == DIGIT;
        w.end++;
    }
    return w;
}

/* A word of letters alone is passed over unless it may be the first group of a value: "AA 12 34 56 B",
 * "fe80:...", "de-ad-be-ef-...", "March 12". */
static bool letters_matter(const struct kt_pii_view *v, size_t at, size_t end)
{
    size_t len = end - at;
    if (len == 2)
        return true;
    char next = end < v->len ? v->data[end] : ' ';
    if (len <= 4 && (next == ':' || (next == '.' && len == 4)))
        return true;
    if (len == 1 && next == '-' && strchr("XYZxyz", v->data[at]))
        return true;
    if (len == 3 && v->data[at] < 'a' && (next == '-' || next == ' '))
        return true;
    if (len < 3 || len > MONTH_MAX || (next != ' ' && next != '.'))
        return false;
    return end + 1 >= v->len || v->data[end + 1] == ' ' || kt_pii_digit((unsigned char)v->data[end + 1]);
}

struct place {
    size_t at, next; /* where to go on if nothing starts at `at` */
    unsigned starts; /* 0 = the text ends at `at`, or in a word that may still become a value */
};

/* The next place from `at` on where some kind has to be asked: most bytes of most texts are passed over here.
 */
static struct place next_place(const struct kt_pii_view *v, size_t at)
{
    static const unsigned starts[] = {
        [SIGN] = KT_PII_AT_SIGN, [COLON] = KT_PII_AT_COLON, [MAIL] = KT_PII_AT_MAIL};
    while (at < v->len) {
        unsigned class = classes[(unsigned char)v->data[at]];
        if (class == OTHER) {
            at++;
            continue;
        }
        if (class > DIGIT)
            return (struct place){at, at + 1, starts[class]};
        struct word w = word_at(v, at);
        bool starts_here = kt_pii_starts(v, at);
        if (starts_here && w.end == v->len && !v->final && w.end - at <= TOKEN_MAX)
            return (struct place){at, at, 0};
        if (!starts_here || w.end - at > TOKEN_MAX) {
            at = w.end;
            continue;
        }
        if (class == DIGIT)
            return (struct place){at, w.end, KT_PII_AT_DIGIT};
        if (w.digit || letters_matter(v, at, w.end))
            return (struct place){at, w.end, KT_PII_AT_LETTER};
        at = w.end;
    }
    return (struct place){v->len, v->len, 0};
}

size_t kt_pii_scan(struct kt_pii_view *v, size_t from, uint32_t kinds, kt_pii_hit_fn hit, void *ctx,
                   size_t *hold)
{
    struct kt_pii_cache cache;
    kt_pii_cache_init(&cache);
    v->cache = &cache;
    uint32_t sets[KT_PII_AT_MAIL + 1] = {0};
    for (unsigned s = 1; s <= KT_PII_AT_MAIL; s <<= 1)
        sets[s] = starting(kinds, s);
    size_t at = from > v->floor ? from : v->floor;
    for (;;) {
        struct place p = next_place(v, at);
        at = p.at;
        if (!p.starts)
            break;
        enum kt_pii_answer a = try_kinds(v, at, sets[p.starts], hit, ctx);
        if (a == KT_PII_MORE)
            break;
        at = a == KT_PII_YES ? v->floor : p.next;
    }
    v->cache = NULL;
    /* An '@' that is still to come reaches back over what stands in front of it. */
    *hold = v->final ? at : kt_pii_email_reach(v, at);
    return at;
}
