/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/detect/kt_secret_encoded.h"

#include "policyengine/detect/kt_chars.h"
#include "policyengine/detect/kt_decode.h"

/* Whole groups of four letters that decode to no more than kt_decode gives. */
#define PIECE (KT_DECODE_MAX / 3 * 4)

static void first_sure(void *ctx, const struct kt_secret_hit *hit)
{
    struct kt_secret_hit *found = ctx;
    if (!found->label && hit->score >= KT_SECRET_SURE)
        *found = *hit;
}

/* Fills the label and score of *found where the run holds a secret. */
static kt_result look(const char *run, size_t len, struct kt_secret_hit *found)
{
    char out[KT_DECODE_MAX];
    size_t skip = run[0] == '0' && run[1] == 'x' ? 2 : 0;
    kt_result r = kt_ok();
    for (size_t at = skip; at < len && !found->label && r.code == KT_OK; at += PIECE) {
        size_t left = len - at < PIECE ? len - at : PIECE, next = 0;
        size_t n = kt_decode_next(run + at, left, &next, out);
        r = n ? kt_secret_find(out, n, first_sure, found) : kt_ok();
    }
    kt_wipe(out, sizeof out);
    return r;
}

static bool in_run(char c)
{
    return kt_base64_value((unsigned char)c) >= 0;
}

/* Only every 24th letter is looked at until one may stand in a run: words cost next to nothing. */
kt_result kt_secret_encoded_find(const char *text, size_t len, kt_secret_hit_fn hit, void *ctx)
{
    size_t low = 0;
    for (size_t i = KT_SECRET_ENCODED_MIN - 1; i < len; i += KT_SECRET_ENCODED_MIN) {
        if (!in_run(text[i]))
            continue;
        size_t start = i, end = i;
        while (start > low && in_run(text[start - 1]))
            start--;
        while (end < len && in_run(text[end]))
            end++;
        struct kt_secret_hit found = {0, 0, NULL, 0};
        if (end - start >= KT_SECRET_ENCODED_MIN)
            KT_GUARD(look(text + start, end - start, &found));
        for (unsigned pad = 0; pad < 2 && end < len && text[end] == '='; pad++)
            end++;
        if (found.label) {
            const struct kt_secret_hit whole = {start, end, found.label, found.score};
            hit(ctx, &whole);
        }
        low = end;
        i = end - 1; /* the next run may begin at `end` */
    }
    return kt_ok();
}
