/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the fuzz targets share. */
#include "policyengine/base/kt_base.h"
#include "policyengine/detect/kt_decode.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A property that must hold; independent of NDEBUG. */
#define KT_HOLDS(cond)                                                                                       \
    do {                                                                                                     \
        if (!(cond))                                                                                         \
            abort();                                                                                         \
    } while (0)

/* How much of what is left comes next: 1 to 41 bytes, and `cuts` changes; all where it is 0. */
static inline size_t kt_fuzz_step(unsigned *cuts, size_t left)
{
    *cuts = *cuts ? *cuts * 1103515245u + 12345u : 0;
    size_t step = *cuts ? 1 + (*cuts >> 16) % 41 : left;
    return left < step ? left : step;
}

/* An exact copy on the heap, so that a read past the end is seen. To be freed. */
static inline char *kt_fuzz_copy(const void *data, size_t len)
{
    char *copy = malloc(len ? len : 1);
    KT_HOLDS(copy);
    if (len)
        memcpy(copy, data, len);
    return copy;
}

/* Every hidden text of `text`, one after the other. */
static inline void kt_fuzz_decode(const char *text, size_t len)
{
    char out[KT_DECODE_MAX];
    size_t at = 0, n;
    do {
        size_t before = at;
        n = kt_decode_next(text, len, &at, out);
        KT_HOLDS(n <= sizeof out && at <= len && (n == 0 || at > before));
    } while (n > 0);
}
