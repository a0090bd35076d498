/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/detect/kt_pii.h"

#include "policyengine/detect/kt_bytes.h"
#include "policyengine/detect/kt_pii_email.h"
#include "policyengine/detect/kt_pii_forms.h"
#include "policyengine/detect/kt_pii_text.h"

#include <stdatomic.h>
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

/* Which kinds are worth asking, by what a place starts with: most numbers and words are none's. */
struct filters {
    _Atomic uint32_t starts[KT_PII_AT_MAIL + 1];                /* by KT_PII_AT_* */
    _Atomic uint32_t words[TOKEN_MAX + 1];                      /* by length of the first word */
    _Atomic uint32_t digits[KT_PII_DIGITS + 1];                 /* by digits of the number */
    _Atomic uint32_t behind[256];                               /* by the byte behind the digits, ... */
    _Atomic uint32_t after[256];                                /* ... or behind any word */
    struct kt_pii_form_index forms;                             /* by the first groups of the number */
    _Atomic uint32_t told[TOKEN_MAX + 1], leads[TOKEN_MAX + 1]; /* by digits of the first group */
    _Atomic uint32_t apart;
    atomic_bool ready;
};

static void filter_numbers(struct filters *f, const struct kt_pii_kind *k, unsigned i)
{
    uint32_t bit = 1u << i;
    for (unsigned n = 0; n <= TOKEN_MAX; n++) {
        unsigned size = n < 63 ? n : 63;
        bool told = k->told && (!k->told_words || k->told_words >> size & 1);
        atomic_fetch_or(&f->told[n], told ? bit : 0);
        atomic_fetch_or(&f->leads[n], k->leads >> size & 1 ? bit : 0);
    }
    for (unsigned n = 0; n <= KT_PII_DIGITS; n++)
        atomic_fetch_or(&f->digits[n], n >= k->digits ? bit : 0);
    for (unsigned c = 0; c < 256; c++) {
        bool fits = !k->behind || c >= 0x80 || (c && strchr(k->behind, (int)c));
        atomic_fetch_or(&f->behind[c], fits ? bit : 0);
        atomic_fetch_or(&f->after[c], fits || !k->behind_words ? bit : 0);
    }
    atomic_fetch_or(&f->apart, k->apart ? bit : 0);
    if (k->forms)
        kt_pii_index_forms(&f->forms, i, k->forms, k->seps);
    else
        kt_pii_index_any(&f->forms, i);
}

/* Filled once; two threads that fill it at once write the same words. */
static const struct filters *filters(void)
{
    static struct filters f;
    if (atomic_load_explicit(&f.ready, memory_order_acquire))
        return &f;
    for (size_t i = 0; i < KT_COUNT(kinds_list); i++) {
        const struct kt_pii_kind *k = kinds_list[i];
        for (unsigned s = 1; s <= KT_PII_AT_MAIL; s <<= 1)
            atomic_fetch_or(&f.starts[s], k->starts & s ? 1u << i : 0);
        for (unsigned n = 0; n <= TOKEN_MAX; n++) {
            unsigned size = n < 63 ? n : 63;
            bool asked = !k->words || (k->words >> size & 1);
            atomic_fetch_or(&f.words[n], asked ? 1u << i : 0);
        }
        filter_numbers(&f, k, (unsigned)i);
    }
    atomic_store_explicit(&f.ready, true, memory_order_release);
    return &f;
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
            v->floor = v->cache->letters = end;
            v->last = kind;
            v->hit = start;
            hit(ctx, kind, start, end);
        }
        return a;
    }
    return KT_PII_NO;
}

enum {
    OTHER,
    LETTER = 1,
    DIGIT = 2,
    HIGH,
    SIGN,
    COLON,
    MAIL
}; /* what words are made of comes first, as bits */

static const unsigned char classes[256] = {
    ['A' ... 'Z'] = LETTER, ['a' ... 'z'] = LETTER, ['_'] = LETTER,         ['0' ... '9'] = DIGIT,
    ['+'] = SIGN,           ['('] = SIGN,           [':'] = COLON,          ['@'] = MAIL,
    ['['] = MAIL,           ['{'] = MAIL,           [0x80 ... 0xff] = HIGH,
};

/* A word of the text: [at,end), all of it word bytes. */
struct word {
    size_t end;
    bool digit, letter; /* it holds one */
};

static struct word word_at(const struct kt_pii_view *v, size_t at)
{
    const unsigned char *data = (const unsigned char *)v->data;
    size_t end = at, len = v->len;
    unsigned seen = 0, class;
    if (len - at >= sizeof(kt_bytes)) {
        kt_bytes b = kt_bytes_load(v->data + at);
        unsigned digits = kt_bytes_mask(kt_bytes_digits(b));
        unsigned letters =
            kt_bytes_mask(kt_bytes_within(b | kt_bytes_each(0x20), 'a', 'z') | kt_bytes_are(b, '_'));
        unsigned n = (unsigned)__builtin_ctz(~(digits | letters)), word = (1u << n) - 1;
        if (n < sizeof(kt_bytes))
            return (struct word){at + n, digits & word, letters & word};
    }
    while (end < len && ((class = classes[data[end]]) - 1u) < DIGIT) {
        seen |= class;
        end++;
    }
    return (struct word){end, seen & DIGIT, seen & LETTER};
}

/* A word of letters alone is passed over unless it may be the first group of a value: "AA 12 34 56 B",
 * "fe80:...", "de-ad-be-ef-...", "March 12". */
static bool letters_matter(const struct kt_pii_view *v, size_t at, size_t end)
{
    size_t len = end - at;
    char next = end < v->len ? v->data[end] : ' ';
    if (next != ' ' && next != ':' && next != '-' && next != '.')
        return false;
    if (next == ':')
        return len <= 4;
    bool open = end + 1 >= v->len;
    unsigned char after = open ? '0' : (unsigned char)v->data[end + 1];
    if (kt_pii_digit(after) || (next == '.' && after == ' '))
        return len <= MONTH_MAX;
    if (len == 3 && next == ' ')
        return v->data[at] < 'a' && after >= 'A' && after <= 'Z';
    return ((len == 2 && next == '-') || (len == 4 && next == '.')) && kt_pii_hex(after);
}

/* "at", "arroba", ... before a space; their first letters spare most words the look. */
static bool stands_for_at(const struct kt_pii_view *v, size_t at, size_t end)
{
    char first = v->data[at] | 0x20;
    return (first == 'a' || first == 'c') && end < v->len && v->data[end] == ' ' &&
           kt_pii_email_at_word(v->data + at, end - at);
}

struct place {
    size_t at, next; /* where to go on if nothing starts at `at` */
    unsigned starts; /* 0 = the text ends at `at`, or in a word that may still become a value */
    bool number;     /* the word is digits only */
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
        if (class == HIGH) {
            v->cache->letters = ++at;
            continue;
        }
        if (class > DIGIT)
            return (struct place){at, at + 1, starts[class], false};
        struct word w = word_at(v, at);
        bool starts_here = kt_pii_starts(v, at);
        if (w.letter)
            v->cache->letters = w.end;
        if (starts_here && w.end == v->len && !v->final && w.end - at <= TOKEN_MAX)
            return (struct place){at, at, 0, false};
        if (!starts_here || w.end - at > TOKEN_MAX) {
            at = w.end;
            continue;
        }
        if (class == DIGIT)
            return (struct place){at, w.end, KT_PII_AT_DIGIT, !w.letter};
        if (stands_for_at(v, at, w.end))
            return (struct place){at, w.end, KT_PII_AT_MAIL, false};
        if (w.digit || letters_matter(v, at, w.end))
            return (struct place){at, w.end, KT_PII_AT_LETTER, false};
        at = w.end;
    }
    return (struct place){v->len, v->len, 0, false};
}

static uint32_t load(const _Atomic uint32_t *set)
{
    return atomic_load_explicit(set, memory_order_relaxed);
}

/* Most places follow the one before without a byte in between that means anything to a table. */
static void pass_table(struct kt_pii_view *v, size_t to)
{
    if (to <= v->mark) {
        v->table->at += to - v->passed;
    } else {
        kt_pii_table_pass(v->table, v->data, v->passed, to);
        v->mark = v->table->in_name ? to : kt_pii_table_mark(v->data, v->len, to);
    }
    v->passed = to;
}

/* Where the place is in a table, its column tells what a value is. */
static void find_column(struct kt_pii_view *v, const struct place *p)
{
    struct kt_pii_cache *c = v->cache;
    size_t row = 0;
    pass_table(v, p->at);
    c->column = v->table->kind != KT_PII_NO_TABLE && p->starts != KT_PII_AT_MAIL &&
                kt_pii_table_column(v->table, &c->last, &c->all, &row);
    c->row = row < p->at ? p->at - row : 0;
}

/* Kinds of `set` that a number in a row of numbers may be, and one without a word near. */
static uint32_t placed(struct kt_pii_view *v, const struct place *p, uint32_t set, const struct filters *f)
{
    size_t digits = p->next - p->at;
    bool silent = kt_pii_silent(v, p->at, KT_PII_TOLD);
    if (kt_pii_row_goes_on(v, p->at)) {
        bool apart = silent && p->next < v->len && v->data[p->next] == ' ';
        set &= ~(load(&f->leads[digits]) | (apart ? load(&f->apart) : 0));
    }
    return silent ? set & ~load(&f->told[digits]) : set;
}

/* Kinds of `set` that do not need a word in front, or have one. */
static uint32_t told(struct kt_pii_view *v, const struct place *p, uint32_t set, const struct filters *f)
{
    uint32_t need = set & load(&f->told[p->next - p->at]);
    uint64_t said = need ? kt_pii_said(v, p->at) : 0;
    for (uint32_t left = need; left; left &= left - 1)
        if (!(kinds_list[__builtin_ctz(left)]->told & said))
            set &= ~(left & -left);
    return set;
}

/* Kinds of `set` that the number at the place may be, the cheapest questions first; false where it may go on
 * behind the view. */
static bool of_number(struct kt_pii_view *v, const struct place *p, const struct filters *f, uint32_t *set)
{
    const struct kt_pii_number *n;
    *set = kt_pii_starts_number(v, p->at) ? placed(v, p, *set, f) : 0;
    if (!*set)
        return true;
    if (kt_pii_number(v, p->at, &n) == KT_PII_MORE)
        return false;
    *set &= load(&f->digits[n->count]) & (uint32_t)kt_pii_of_form(&f->forms, n);
    *set = told(v, p, *set, f);
    return true;
}

/* Asks the kinds that may have a value at the place. */
static enum kt_pii_answer ask(struct kt_pii_view *v, const struct place *p, uint32_t kinds, kt_pii_hit_fn hit,
                              void *ctx)
{
    const struct filters *f = filters();
    uint32_t set = kinds & load(&f->starts[p->starts]);
    unsigned char next = p->next < v->len ? (unsigned char)v->data[p->next] : 0;
    if (p->starts & (KT_PII_AT_DIGIT | KT_PII_AT_LETTER))
        set &= load(&f->words[p->next - p->at]) & load(&f->after[next]);
    if (p->number)
        set &= load(&f->behind[next]) & (uint32_t)kt_pii_begins_form(&f->forms, v, p->at, p->next);
    if (!set)
        return KT_PII_NO;
    find_column(v, p);
    if (p->number && !of_number(v, p, f, &set))
        return KT_PII_MORE;
    return try_kinds(v, p->at, set, hit, ctx);
}

size_t kt_pii_scan(struct kt_pii_view *v, size_t from, uint32_t kinds, kt_pii_hit_fn hit, void *ctx,
                   size_t *hold)
{
    struct kt_pii_cache cache;
    kt_pii_cache_init(&cache);
    v->cache = &cache;
    v->passed = v->mark = cache.letters = from;
    size_t at = from > v->floor ? from : v->floor;
    for (;;) {
        struct place p = next_place(v, at);
        at = p.at;
        if (!p.starts)
            break;
        enum kt_pii_answer a = ask(v, &p, kinds, hit, ctx);
        if (a == KT_PII_MORE)
            break;
        at = a == KT_PII_YES ? v->floor : p.next;
    }
    pass_table(v, at);
    v->cache = NULL;
    /* An '@' that is still to come reaches back over what stands in front of it. */
    *hold = v->final ? at : kt_pii_email_reach(v, at);
    return at;
}
