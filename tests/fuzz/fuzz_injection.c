/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a text that prompt-injection looks at: folding writes at most twice what it read, and nothing
 * past its room (the first byte says how much there is), decoding goes on and ends, and the score is one.
 * What has no needle has no match.
 */
#include "policyengine/detect/kt_decode.h"
#include "policyengine/detect/kt_fold.h"
#include "policyengine/detect/kt_injection.h"
#include "policyengine/detect/kt_scan.h"
#include "tests/fuzz/kt_fuzz.h"

#include <string.h>

#define ROOM_MIN 6u /* a gap and the longest character, and one more */

static void fold(const char *text, size_t len, size_t cap, bool escapes)
{
    char *room = malloc(cap); /* exact, so that a write past the end is seen */
    KT_HOLDS(room);
    struct kt_fold f = {.out = room, .cap = cap, .escapes = escapes};
    for (size_t at = 0; at < len; f.len = 0, f.hidden_len = 0) {
        size_t used = kt_fold_text(&f, text + at, len - at, true);
        KT_HOLDS(used > 0 && used <= len - at && f.len <= 2 * used + 1 && f.len <= cap);
        unsigned count = kt_decode_scrambled_count(room, f.len);
        kt_decode_scrambled(room, f.len);
        KT_HOLDS(count == 0 || kt_decode_scrambled_count(room, f.len) < count);
        at += used;
    }
    free(room);
}

static bool ends_within(void *ctx, unsigned pattern, size_t end)
{
    (void)pattern;
    size_t *len = ctx;
    KT_HOLDS(end > *len);
    return false;
}

/* With blank lines behind it it is long enough for the engine to be asked. */
static void no_needle(const char *text, size_t len)
{
    static const enum kt_scan_set sets[] = {KT_SCAN_INJECTION, KT_SCAN_SAFETY};
    static const struct kt_scan_image *const images[] = {&kt_scan_image_injection, &kt_scan_image_safety};
    char padded[512];
    len = len < 255 ? len : 255;
    memset(padded, '\n', sizeof padded);
    memcpy(padded, text, len);
    for (size_t i = 0; i < KT_COUNT(sets); i++) {
        const struct kt_scan *scan;
        if (kt_needles_may(images[i]->needles, text, len))
            continue;
        KT_HOLDS(kt_scan_get(sets[i], &scan, NULL).code == KT_OK);
        KT_HOLDS(kt_scan_run(scan, padded, sizeof padded, ends_within, &len).code == KT_OK);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kt_injection_scope scope = KT_INJECTION_SCOPE_ALL;
    struct kt_injection_result r;
    if (size < 1 || size > 1u << 16)
        return 0;
    char *text = malloc(size);
    struct kt_injection *w = kt_injection_take();
    KT_HOLDS(text && w);
    memcpy(text, data + 1, size - 1);
    fold(text, size - 1, ROOM_MIN + data[0], true);
    fold(text, size - 1, ROOM_MIN + data[0], false);
    no_needle(text, size - 1);
    kt_fuzz_decode(text, size - 1);
    scope.tool = data[0] & 1;
    KT_HOLDS(kt_injection_score(w, text, size - 1, scope, &r).code == KT_OK);
    KT_HOLDS(r.score >= 0 && r.score <= 1);
    kt_injection_give(w);
    free(text);
    return 0;
}
