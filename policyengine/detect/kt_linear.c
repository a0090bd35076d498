/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/detect/kt_linear.h"

#include "policyengine/detect/kt_lexicon.h"

#include <math.h>
#include <string.h>

#define INLINE                                                                                               \
    static inline __attribute__((always_inline)) /* with the callback: a call per feature costs most */
#define HALF (KT_LINEAR_BUCKETS / 2)
#define LOW(bytes) (~UINT64_C(0) >> (64 - 8 * (bytes)))

INLINE uint64_t load(const char *p)
{
    uint64_t w;
    memcpy(&w, p, sizeof w);
    return w; /* little-endian hosts only, as the weights are (checked where the engine is built) */
}
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the weights were hashed little-endian");

INLINE unsigned bucket(uint64_t h)
{
    return (unsigned)(h * UINT64_C(0x9e3779b97f4a7c15) >> 49);
}

INLINE unsigned gram(uint64_t w, unsigned n)
{
    return bucket((w & LOW(n)) + n);
}

/* What a sentence has had: "-----" and "ha ha ha" say no more than once, however long they go on. A slot that
 * two keys share forgets the older one: then it counts again, which is harmless. */
#define SLOTS 256u
struct had {
    uint16_t marks[SLOTS];
};

INLINE bool again(struct had *had, uint64_t key)
{
    uint64_t h = key * UINT64_C(0x9e3779b97f4a7c15);
    uint16_t mark = (uint16_t)(h >> 40 | 1), *slot = &had->marks[h >> 56];
    bool same = *slot == mark;
    *slot = mark;
    return same;
}

/* Three to five characters from each place on, none beyond `to`. */
INLINE void each_gram(const char *t, size_t from, size_t to, kt_linear_feature_fn fn, void *ctx)
{
    struct had had = {{0}};
    size_t i = from;
    for (; i + 5 <= to; i++) {
        uint64_t w = load(t + i);
        if (again(&had, w & LOW(5)))
            continue;
        fn(ctx, gram(w, 3));
        fn(ctx, gram(w, 4));
        fn(ctx, gram(w, 5));
    }
    if (i + 4 <= to) {
        fn(ctx, gram(load(t + i), 3));
        fn(ctx, gram(load(t + i), 4));
        i++;
    }
    if (i + 3 <= to)
        fn(ctx, gram(load(t + i), 3));
}

INLINE uint64_t word_hash(const char *p, size_t len)
{
    uint64_t h = len;
    for (; len > 8; p += 8, len -= 8)
        h = (h ^ load(p)) * UINT64_C(0xd6e8feb86659fd93);
    h = (h ^ (load(p) & LOW(len))) * UINT64_C(0xd6e8feb86659fd93);
    return h ^ h >> 32;
}

static inline uint64_t turn(uint64_t h, unsigned by)
{
    return h << by | h >> (64 - by);
}

/* One, two and three words that end at each word. */
INLINE void each_word(const char *t, size_t from, size_t to, kt_linear_feature_fn fn, void *ctx)
{
    struct had had = {{0}};
    uint64_t one = 0, two = 0;
    for (size_t i = from; i < to;) {
        if (!kt_lexicon_letter((unsigned char)t[i])) {
            i++;
            continue;
        }
        size_t start = i;
        while (i < to && kt_lexicon_letter((unsigned char)t[i]))
            i++;
        uint64_t h = word_hash(t + start, i - start), pair = h + turn(one, 21);
        if (!again(&had, pair)) {
            fn(ctx, HALF + bucket(h));
            if (one)
                fn(ctx, HALF + bucket(pair));
            if (two)
                fn(ctx, HALF + bucket(pair + turn(two, 42)));
        }
        two = one;
        one = h;
    }
}

/* Of the sentence [from,to) of a prepared text of `len` bytes, with the spaces around it. */
INLINE void each_feature(const char *t, size_t from, size_t to, size_t len, kt_linear_feature_fn fn,
                         void *ctx)
{
    size_t end = to + 1 + (to == len);
    each_gram(t, from, end, fn, ctx);
    each_word(t, from, end, fn, ctx);
}

/* A copy with one kind of space and room to read past its end. */
static size_t prepare(struct kt_linear_work *w, const char *text, size_t len)
{
    len = len < KT_LINEAR_MAX ? len : KT_LINEAR_MAX;
    w->text[0] = ' ';
    memcpy(w->text + 1, text, len);
    w->dirty = len + 1 > w->dirty ? len + 1 : w->dirty;
    memset(w->text + 1 + len, ' ', sizeof w->text - 1 - len < 9 ? sizeof w->text - 1 - len : 9);
    for (char *p = w->text + 1, *end = p + len; (p = memchr(p, '\n', (size_t)(end - p))) != NULL;)
        *p++ = ' ';
    return len + 1;
}

static bool stops(char c)
{
    return c == '.' || c == '!' || c == '?' || c == ';';
}

/* Where the sentence that begins at `from` ends. `text` is the text before `prepare`, which tells line ends.
 */
static size_t sentence_end(const char *text, size_t len, size_t from)
{
    size_t last_space = 0, i = from;
    for (; i < len && i - from < KT_LINEAR_LONG; i++) {
        bool space = text[i] == ' ' || text[i] == '\n';
        if (space && i - from >= KT_LINEAR_SHORT && (text[i] == '\n' || stops(text[i - 1])))
            return i + 1;
        if (space)
            last_space = i + 1;
    }
    return i == len || last_space - from < KT_LINEAR_SHORT || last_space < from ? i : last_space;
}

struct sum {
    const int8_t *weights;
    int32_t sum;
    uint32_t features;
};

INLINE void add(void *ctx, unsigned b)
{
    struct sum *s = ctx;
    s->sum += s->weights[b];
    s->features++;
}

static double log_odds(const struct kt_linear *m, int32_t sum, uint32_t features)
{
    return m->bias + m->scale * sum / sqrt((double)features + KT_LINEAR_SMOOTH);
}

/* The best row of up to KT_LINEAR_ROW sentences that ends with sentence `last`. */
static double best_row(const struct kt_linear *m, const struct kt_linear_sentence *s, size_t last)
{
    int32_t sum = 0;
    uint32_t features = 0;
    double best = -1e9;
    for (size_t n = 0; n < KT_LINEAR_ROW && n <= last; n++) {
        const struct kt_linear_sentence *first = &s[last - n];
        uint32_t start = last - n > 0 ? first[-1].end : 0;
        if (n > 0 && s[last].end - start > KT_LINEAR_REACH)
            break;
        sum += first->sum;
        features += first->features;
        double now = log_odds(m, sum, features);
        best = now > best ? now : best;
    }
    return best;
}

void kt_linear_run(const struct kt_linear *m, struct kt_linear_work *w, const char *text, size_t len,
                   struct kt_linear_score *out)
{
    size_t n = prepare(w, text, len) - 1, count = 0;
    struct sum all = {m->weights, 0, 0};
    *out = (struct kt_linear_score){m->bias, m->bias, 0};
    for (size_t at = 0; at < n; count++) {
        size_t end = sentence_end(text, n, at);
        struct sum s = {m->weights, 0, 0};
        each_feature(w->text, at, end, n, add, &s);
        all.sum += s.sum;
        all.features += s.features;
        w->sentences[count] = (struct kt_linear_sentence){s.sum, s.features, (uint32_t)end};
        double best = best_row(m, w->sentences, count);
        out->best = count == 0 || best > out->best ? best : out->best;
        at = end;
    }
    out->whole = log_odds(m, all.sum, all.features);
    out->sentences = count;
}

void kt_linear_features(struct kt_linear_work *w, const char *text, size_t len, kt_linear_feature_fn feature,
                        kt_linear_sentence_fn sentence, void *ctx)
{
    size_t n = prepare(w, text, len) - 1;
    for (size_t at = 0, end; at < n; at = end) {
        end = sentence_end(text, n, at);
        each_feature(w->text, at, end, n, feature, ctx);
        sentence(ctx, end - at);
    }
}
