/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/detect/kt_linear.h"

#include "policyengine/detect/kt_bytes.h"
#include "policyengine/detect/kt_linear_features.h"

#include <math.h>
#include <string.h>

#define ROOM 15u /* bytes that may be read behind the text */

/* A copy with one kind of space and room to read past its end. */
static size_t prepare(struct kt_linear_work *w, const char *text, size_t len)
{
    len = len < KT_LINEAR_MAX ? len : KT_LINEAR_MAX;
    w->text[0] = ' ';
    if (len > 0) /* else `text` may be NULL */
        memcpy(w->text + 1, text, len);
    w->dirty = len + 1 > w->dirty ? len + 1 : w->dirty;
    memset(w->text + 1 + len, ' ', sizeof w->text - 1 - len < ROOM ? sizeof w->text - 1 - len : ROOM);
    for (char *p = w->text + 1, *end = p + len; (p = memchr(p, '\n', (size_t)(end - p))) != NULL;)
        *p++ = ' ';
    return len + 1;
}

/* Behind the first end of a sentence among the places [from, to) of the text; 0 = there is none. from > 0. */
static size_t first_end(const char *text, size_t len, size_t from, size_t to)
{
    for (size_t i = from; i < to; i += sizeof(kt_bytes)) {
        char end[sizeof(kt_bytes) + 1] = {0};
        size_t left = len - i;
        const char *p = left < sizeof(kt_bytes) ? memcpy(end, text + i - 1, left + 1) : text + i - 1;
        kt_bytes before = kt_bytes_load(p), v = kt_bytes_load(p + 1);
        unsigned ends =
            kt_bytes_mask(kt_bytes_are(v, '\n') | (kt_bytes_are(v, ' ') & kt_bytes_stops(before)));
        size_t at = i + (size_t)(ends ? __builtin_ctz(ends) : 16);
        if (ends)
            return at < to ? at + 1 : 0;
    }
    return 0;
}

/* Where the sentence that begins at `from` ends. `text` is the text before `prepare`, which tells line ends.
 */
static size_t sentence_end(const char *text, size_t len, size_t from)
{
    size_t to = len - from < KT_LINEAR_LONG ? len : from + KT_LINEAR_LONG, i = to;
    size_t end = to - from > KT_LINEAR_SHORT ? first_end(text, len, from + KT_LINEAR_SHORT, to) : 0;
    if (end > 0 || to == len)
        return end > 0 ? end : len;
    while (i > from && text[i - 1] != ' ' && text[i - 1] != '\n')
        i--;
    return i - from < KT_LINEAR_SHORT ? to : i; /* i == from: no space */
}

#define PENDING 256u

/* The weights are more than the nearest caches hold: each is asked for when its bucket is known, and added
 * when many more have been. */
struct sum {
    const int8_t *weights;
    int32_t sum;
    uint32_t features;
    uint32_t *next; /* pending bucket */
    uint32_t buckets[PENDING];
};

static void add_pending(struct sum *s)
{
    int32_t sum = s->sum;
    for (const uint32_t *b = s->buckets; b < s->next; b++)
        sum += s->weights[*b];
    s->sum = sum;
    s->features += (uint32_t)(s->next - s->buckets);
    s->next = s->buckets;
}

INLINE void make_room(void *ctx)
{
    struct sum *s = ctx;
    if (s->buckets + PENDING - s->next < KT_LINEAR_WORD)
        add_pending(s);
}

INLINE void add(void *ctx, unsigned b, bool there)
{
    struct sum *s = ctx;
    __builtin_prefetch(&s->weights[b]);
    *s->next = b;
    s->next += there;
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
    struct words words = words_of(w->text, n + 1);
    struct sum s;
    int32_t sum = 0;
    uint32_t features = 0;
    struct kt_linear_turn turns = {.count = 0};
    *out = (struct kt_linear_score){m->bias, m->bias, 0};
    for (size_t at = 0; at < n; count++) {
        size_t end = sentence_end(text, n, at);
        s.weights = m->weights;
        s.sum = 0;
        s.features = 0;
        s.next = s.buckets;
        each_feature(&words, at, end, n, &turns, make_room, add, &s);
        add_pending(&s);
        sum += s.sum;
        features += s.features;
        w->sentences[count] = (struct kt_linear_sentence){s.sum, s.features, (uint32_t)end};
        double best = best_row(m, w->sentences, count);
        out->best = count == 0 || best > out->best ? best : out->best;
        at = end;
    }
    out->whole = log_odds(m, sum, features);
    out->sentences = count;
}

struct reader {
    kt_linear_feature_fn feature;
    void *ctx;
};

INLINE void has_room(void *ctx)
{
    (void)ctx;
}

INLINE void show(void *ctx, unsigned b, bool there)
{
    const struct reader *r = ctx;
    if (there)
        r->feature(r->ctx, b);
}

void kt_linear_features(struct kt_linear_work *w, const char *text, size_t len, kt_linear_feature_fn feature,
                        kt_linear_sentence_fn sentence, void *ctx)
{
    size_t n = prepare(w, text, len) - 1;
    struct words words = words_of(w->text, n + 1);
    struct kt_linear_turn turns = {.count = 0};
    struct reader reader = {feature, ctx};
    for (size_t at = 0, end; at < n; at = end) {
        end = sentence_end(text, n, at);
        each_feature(&words, at, end, n, &turns, has_room, show, &reader);
        sentence(ctx, end - at);
    }
}
