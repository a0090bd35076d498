/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a text that prompt-injection looks at: folding writes at most twice what it read, and nothing
 * past its room (the first byte says how much there is), decoding goes on and ends, and the score is one.
 */
#include "policyengine/detect/kt_decode.h"
#include "policyengine/detect/kt_fold.h"
#include "policyengine/detect/kt_injection.h"
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
    kt_fuzz_decode(text, size - 1);
    scope.tool = data[0] & 1;
    KT_HOLDS(kt_injection_score(w, text, size - 1, scope, &r).code == KT_OK);
    KT_HOLDS(r.score >= 0 && r.score <= 1);
    kt_injection_give(w);
    free(text);
    return 0;
}
