/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/detect/kt_pii_words.h"

#include "policyengine/detect/kt_bytes.h"
#include "policyengine/detect/kt_pii_text.h"

#include <stdatomic.h>
#include <string.h>

#define WORD_MAX (KT_PII_PLAIN_MAX - 2u)

#define PHONE KT_PII_W_PHONE
#define REACH KT_PII_W_REACH
#define OTHER KT_PII_W_OTHER
#define CARD KT_PII_W_CARD
#define CVV KT_PII_W_CVV
#define EXPIRY KT_PII_W_EXPIRY
#define SSN KT_PII_W_SSN
#define BANK KT_PII_W_BANK
#define NHS KT_PII_W_NHS
#define BIRTH KT_PII_W_BIRTH
#define BORN KT_PII_W_BORN
#define VERSION KT_PII_W_VERSION
#define VIN KT_PII_W_VIN
#define CRYPTO KT_PII_W_CRYPTO
#define VAT KT_PII_W_VAT
#define TAX KT_PII_W_TAX
#define PASSPORT KT_PII_W_PASSPORT
#define LICENCE KT_PII_W_LICENCE
#define NPI KT_PII_W_NPI
#define RECORD KT_PII_W_RECORD
#define MEMBER KT_PII_W_MEMBER
#define NATIONAL KT_PII_W_NATIONAL
#define IDENTITY KT_PII_W_IDENTITY
#define MAC KT_PII_W_MAC
#define SECURITY KT_PII_W_SECURITY
#define CODE KT_PII_W_CODE
#define PATIENT KT_PII_W_PATIENT
#define NETWORK KT_PII_W_NETWORK
#define ID KT_PII_W_ID
#define SELF KT_PII_W_SELF
#define NUMBER KT_PII_W_NUMBER

static const struct entry {
    const char *word;
    uint64_t classes;
} entries[] = {
#define KT_PII_WORD(word, classes) {word, classes},
#include "policyengine/detect/pii_words.def"
#undef KT_PII_WORD
};

/* Base letters of U+00C0..U+017F; '*' = none. A sharp s and the ligatures are two letters, of which the first
 * stands here. */
static const char base_letters[] = "aaaaaaaceeeeiiii"
                                   "dnooooo*ouuuuyts"
                                   "aaaaaaaceeeeiiii"
                                   "dnooooo*ouuuuyty"
                                   "aaaaaaccccccccdd"
                                   "ddeeeeeeeeeegggg"
                                   "gggghhhhiiiiiiii"
                                   "iiiijjkkklllllll"
                                   "lllnnnnnnnnnoooo"
                                   "oooorrrrrrssssss"
                                   "ssttttttuuuuuuuu"
                                   "uuuuwwyyyzzzzzzs";

/* Adds the letters of the character at s (n bytes), small and without accents. */
static size_t plain_letters(const unsigned char *s, size_t *n, char *out)
{
    *n = 1;
    if (s[0] < 0x80) {
        out[0] = (char)(s[0] | 0x20);
        return 1;
    }
    *n = 2;
    if (s[0] == 0xcc || s[0] == 0xcd) /* an accent of its own */
        return 0;
    unsigned c = (unsigned)(s[0] & 0x1f) << 6 | (s[1] & 0x3f);
    if (s[0] < 0xc3 || s[0] > 0xc5 || base_letters[c - 0xc0] == '*') {
        memcpy(out, s, 2);
        return 2;
    }
    out[0] = base_letters[c - 0xc0];
    if (c == 0xdf || c == 0xe6 || c == 0xc6 || c == 0x153) {
        out[1] = c == 0xdf ? 's' : 'e';
        if (c == 0x153)
            out[0] = 'o';
        return 2;
    }
    return 1;
}

size_t kt_pii_plain_word(const char *word, size_t len, char out[KT_PII_PLAIN_MAX])
{
    size_t used = 0, n = 0;
    for (size_t i = 0; i < len && used < WORD_MAX; i += n) {
        if ((unsigned char)word[i] >= 0x80 && i + 1 == len)
            break;
        used += plain_letters((const unsigned char *)word + i, &n, out + used);
    }
    return used;
}

static int compare(const char *a, size_t len, const char *word)
{
    for (size_t i = 0; i < len; i++)
        if (a[i] != word[i])
            return (unsigned char)a[i] < (unsigned char)word[i] ? -1 : 1;
    return -(word[len] != '\0');
}

/* Per first letter: where its words are, their lengths, and their second letters. */
struct word_index {
    _Atomic uint16_t from[27];
    _Atomic uint32_t second[26];
    _Atomic uint64_t lengths[26];
    atomic_bool ready;
};

/* Filled once; two threads that fill it at once write the same. */
static const struct word_index *index_of_words(void)
{
    static struct word_index x;
    if (atomic_load_explicit(&x.ready, memory_order_acquire))
        return &x;
    for (size_t i = 0; i < KT_COUNT(entries); i++) {
        const char *w = entries[i].word;
        atomic_fetch_or(&x.second[w[0] - 'a'], 1u << (w[1] ? w[1] - 'a' : 26));
        atomic_fetch_or(&x.lengths[w[0] - 'a'], 1ull << strlen(w));
        for (unsigned l = (unsigned)(w[0] - 'a') + 1; l < 27; l++)
            atomic_store(&x.from[l], (uint16_t)(i + 1));
    }
    atomic_store_explicit(&x.ready, true, memory_order_release);
    return &x;
}

/* False for most words of most texts: no word of the list has these two letters and this length. */
static bool may_be_listed(const char *word, size_t len)
{
    const struct word_index *x = index_of_words();
    unsigned first = (unsigned)(word[0] | 0x20) - 'a',
             second = len > 1 ? (unsigned)(word[1] | 0x20) - 'a' : 26;
    if (first >= 26 || second > 26)
        return true; /* an accent: look closer */
    if (!(atomic_load_explicit(&x->second[first], memory_order_relaxed) >> second & 1))
        return false;
    for (size_t i = 2; i < len; i++)
        if ((unsigned char)word[i] >= 0x80)
            return true;
    return atomic_load_explicit(&x->lengths[first], memory_order_relaxed) >> len & 1;
}

uint64_t kt_pii_word_classes(const char *word, size_t len)
{
    char plain[KT_PII_PLAIN_MAX];
    if (len == 0 || len > WORD_MAX || !may_be_listed(word, len))
        return 0;
    size_t n = kt_pii_plain_word(word, len, plain), low = 0, high = KT_COUNT(entries);
    if (n > 0 && plain[0] >= 'a' && plain[0] <= 'z') {
        low = atomic_load_explicit(&index_of_words()->from[plain[0] - 'a'], memory_order_relaxed);
        high = atomic_load_explicit(&index_of_words()->from[plain[0] - 'a' + 1], memory_order_relaxed);
    }
    while (n > 0 && low < high) {
        size_t mid = (low + high) / 2;
        int order = compare(plain, n, entries[mid].word);
        if (order == 0)
            return entries[mid].classes;
        if (order < 0)
            high = mid;
        else
            low = mid + 1;
    }
    return 0;
}

static bool letter(unsigned char c)
{
    return kt_pii_alpha(c) || c >= 0x80;
}

KT_BYTES_INLINE kt_bytes letters(kt_bytes v)
{
    return kt_bytes_within(v | kt_bytes_each(0x20), 'a', 'z') | v; /* the top bit: no ASCII */
}

static bool capital(unsigned char c)
{
    return c >= 'A' && c <= 'Z';
}

/* The start of the word that ends at `end`: letters, but a capital behind a small letter starts a new one. */
static size_t word_start(const struct kt_pii_view *v, size_t low, size_t end)
{
    size_t i = end;
    while (i > low && letter((unsigned char)v->data[i - 1])) {
        i--;
        if (i > low && capital((unsigned char)v->data[i]) && kt_pii_alpha((unsigned char)v->data[i - 1]) &&
            !capital((unsigned char)v->data[i - 1]))
            break;
    }
    return i;
}

/* Back over what is no letter, to `low` or to the last hit. */
static size_t pass_quiet(const struct kt_pii_view *v, size_t end, size_t low, bool *word)
{
    size_t stop = v->last && v->floor > low && v->floor < end ? v->floor : low, i = end;
    for (; i - stop >= sizeof(kt_bytes); i -= sizeof(kt_bytes)) {
        unsigned found = kt_bytes_mask(letters(kt_bytes_load(v->data + i - sizeof(kt_bytes))));
        if (!found)
            continue;
        *word = true;
        return i - sizeof(kt_bytes) + 32 - (unsigned)__builtin_clz(found);
    }
    while (i > stop && !letter((unsigned char)v->data[i - 1]))
        i--;
    *word = i > stop;
    return i;
}

/* The word that ends at `end`, with what it says. */
static struct kt_pii_seen read_word(const struct kt_pii_view *v, size_t end, size_t low)
{
    size_t start = word_start(v, v->last && v->floor > low && v->floor < end ? v->floor : low, end);
    bool cut = start == low && low > 0 && letter((unsigned char)v->data[low - 1]);
    uint64_t classes = cut ? 0 : kt_pii_word_classes(v->data + start, end - start);
    size_t whole = start;
    while (whole > low && whole != v->floor && kt_pii_alpha((unsigned char)v->data[whole - 1]))
        whole--;
    if (whole < start &&
        (whole > low || low == 0)) { /* "IdNr" is a word of the list, its parts say something else */
        uint64_t joined = kt_pii_word_classes(v->data + whole, end - whole);
        start = joined ? whole : start;
        classes = joined ? joined : classes;
    }
    return (struct kt_pii_seen){
        .end = end, .start = start, .whole = whole, .next = start, .floor = v->floor, .classes = classes};
}

/* Finds the words that end behind `to`, from where the search stopped before. Places near each other have the
 * same words in front: a word that was read whole is not read again. */
static void find_words(const struct kt_pii_view *v, size_t at, size_t to, struct kt_pii_cache *c)
{
    size_t low = at > KT_PII_REACH ? at - KT_PII_REACH : 0, end = c->words_low;
    struct kt_pii_seen *s = NULL;
    if (c->column && c->row > low)
        low = c->row;
    if (end == at && c->letters < at)
        end = c->letters;
    while (end > to && c->words < KT_PII_NEAR_WORDS) {
        if (v->last && end == v->floor) {
            end = v->hit;
            s = NULL;
            continue;
        }
        if (!letter((unsigned char)v->data[end - 1])) {
            bool word = false;
            end = pass_quiet(v, end, low, &word);
            if (s && word)
                s->next = end;
            continue;
        }
        s = &c->seen[end % KT_PII_SEEN];
        if (s->end != end || s->floor != v->floor || s->whole <= low)
            *s = read_word(v, end, low);
        if (s->classes) {
            c->word[c->words].classes = s->classes;
            c->word[c->words].start = s->start;
            c->word[c->words++].end = end;
        }
        end = s->next;
    }
    c->words_low = end;
}

bool kt_pii_silent(const struct kt_pii_view *v, size_t at, size_t reach)
{
    const struct kt_pii_cache *c = v->cache;
    return c && !(c->column && (c->last | c->all)) && (c->letters == 0 || c->letters + reach <= at);
}

static void words_back_to(const struct kt_pii_view *v, size_t at, size_t to, struct kt_pii_cache *c)
{
    if (c->words_at != at) {
        c->words_at = c->words_low = at;
        c->words = 0;
    }
    if (c->column && c->row > to)
        to = c->row;
    if (c->words_low > to)
        find_words(v, at, to, c);
}

/* Where nothing was found in front of an earlier place, only what stands behind that one is new. */
uint64_t kt_pii_said(const struct kt_pii_view *v, size_t at)
{
    struct kt_pii_cache *c = v->cache;
    uint64_t said = c->column ? c->last | c->all : 0;
    size_t to = at > KT_PII_TOLD ? at - KT_PII_TOLD : 0;
    if (!c->column && c->quiet_floor == v->floor && c->quiet > to && c->quiet <= at)
        to = c->quiet;
    words_back_to(v, at, to, c);
    for (unsigned i = 0; i < c->words; i++)
        said |= c->word[i].classes;
    if (!c->column && c->words == 0) {
        c->quiet = at;
        c->quiet_floor = v->floor;
    }
    return said;
}

size_t kt_pii_near(const struct kt_pii_view *v, size_t at, size_t reach, uint64_t classes)
{
    struct kt_pii_cache local, *c = v->cache ? v->cache : &local;
    if (c == &local)
        kt_pii_cache_init(c);
    if (c->column && ((c->last | c->all) & classes))
        return c->last & classes ? 0 : 1;
    if (c->letters == 0 || c->letters + reach <= at)
        return KT_PII_FAR;
    words_back_to(v, at, at > reach ? at - reach : 0, c);
    for (unsigned i = 0; i < c->words; i++)
        if ((c->word[i].classes & classes) && c->word[i].start + reach >= at)
            return at - c->word[i].end;
    return KT_PII_FAR;
}

uint64_t kt_pii_classes_of(const char *text, size_t len, uint64_t *last)
{
    const struct kt_pii_view v = {.data = text, .len = len, .final = true};
    struct kt_pii_cache c;
    uint64_t all = 0;
    kt_pii_cache_init(&c);
    c.words_low = len;
    find_words(&v, len, 0, &c);
    for (unsigned i = 0; i < c.words; i++)
        all |= c.word[i].classes;
    *last = c.words ? c.word[0].classes : 0;
    return all;
}
