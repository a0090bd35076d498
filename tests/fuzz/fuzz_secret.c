/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as text in which secrets may stand, plain, in disguise or encoded: finds are ranges of the text,
 * and a text that comes in windows, cut where the first two bytes say, gives the finds of the whole one.
 */
#include "policyengine/detect/kt_decode.h"
#include "policyengine/detect/kt_secret_encoded.h"
#include "policyengine/detect/kt_secret_folded.h"
#include "tests/fuzz/kt_fuzz.h"

#include <string.h>

#define FINDS 4096u

struct finds {
    size_t len; /* of the text */
    size_t count;
    struct kt_secret_hit hit[FINDS];
};

static void add(void *ctx, const struct kt_secret_hit *hit)
{
    struct finds *f = ctx;
    KT_HOLDS(hit->start < hit->end && hit->end <= f->len && hit->label && hit->score > 0 && hit->score <= 1);
    if (f->count < FINDS)
        f->hit[f->count++] = *hit;
}

static int by_place(const void *left, const void *right)
{
    const struct kt_secret_hit *a = left, *b = right;
    return a->start != b->start ? (a->start < b->start ? -1 : 1) : a->end < b->end ? -1 : a->end > b->end;
}

/* What is covered: the two looks may find a thing twice, or the one more of it than the other. */
static void unite(struct finds *f)
{
    size_t n = 0;
    qsort(f->hit, f->count, sizeof f->hit[0], by_place);
    for (size_t i = 0; i < f->count; i++) {
        if (n && f->hit[i].start <= f->hit[n - 1].end)
            f->hit[n - 1].end = f->hit[i].end > f->hit[n - 1].end ? f->hit[i].end : f->hit[n - 1].end;
        else
            f->hit[n++] = f->hit[i];
    }
    f->count = n;
}

/* As dlp-filter looks: both looks at the same windows, what is held comes again. `cuts` 0 = whole. */
static void look(const char *text, size_t len, unsigned cuts, struct finds *f)
{
    struct kt_secret_stream plain = {.scanned = 0};
    struct kt_secret_folded folded = {.on = false};
    size_t base = 0, end = 0;
    f->len = len;
    f->count = 0;
    while (end < len || (len == 0 && cuts == 0)) {
        end += kt_fuzz_step(&cuts, len - end);
        char *window = kt_fuzz_copy(text + base, end - base);
        size_t one = 0, hold = end;
        const struct kt_secret_window w = {window, end - base, base, end == len};
        KT_HOLDS(kt_secret_folded_window(&folded, &plain, &w, add, f, &one).code == KT_OK);
        hold = one < hold ? one : hold;
        KT_HOLDS(kt_secret_stream_window(&plain, window, end - base, base, end == len, add, f, &one).code ==
                 KT_OK);
        hold = one < hold ? one : hold;
        KT_HOLDS(hold >= base);
        free(window);
        base = hold;
        if (len == 0)
            break;
    }
    kt_secret_stream_free(&plain);
    kt_secret_folded_free(&folded);
    unite(f);
}

static void same(const struct finds *a, const struct finds *b)
{
    KT_HOLDS(a->count == b->count);
    for (size_t i = 0; i < a->count; i++)
        KT_HOLDS(by_place(&a->hit[i], &b->hit[i]) == 0);
}

/* `cuts` as in look. */
static void encoded(const char *text, size_t len, unsigned cuts, struct finds *f)
{
    struct kt_secret_encoded s = {.at = 0};
    f->len = len;
    f->count = 0;
    for (size_t base = 0, end = 0; end < len;) {
        end += kt_fuzz_step(&cuts, len - end);
        char *window = kt_fuzz_copy(text + base, end - base);
        size_t hold = 0;
        const struct kt_secret_window w = {window, end - base, base, end == len};
        KT_HOLDS(kt_secret_encoded_window(&s, &w, add, f, &hold).code == KT_OK);
        KT_HOLDS(hold >= base && hold <= end && (end < len || hold == end));
        free(window);
        base = hold;
    }
    for (size_t i = 1; i < f->count; i++)
        KT_HOLDS(f->hit[i - 1].end <= f->hit[i].start);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct finds whole, cut;
    KT_HOLDS(kt_secret_prepare().code == KT_OK);
    if (size < 2 || size > 1u << 16)
        return 0;
    const char *text = (const char *)data + 2;
    kt_fuzz_decode(text, size - 2);
    encoded(text, size - 2, 0, &whole);
    encoded(text, size - 2, 1u + data[0] * 256u + data[1], &cut);
    same(&whole, &cut);
    look(text, size - 2, 0, &whole);
    look(text, size - 2, 1u + data[0] * 256u + data[1], &cut);
    same(&whole, &cut);
    return 0;
}
