/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A compiled set as it lies in the cache: a head, and the serialized database. */
#include "policyengine/base/kt_buf.h"
#include "policyengine/detect/kt_pattern_cache.h"

#ifdef __cplusplus
extern "C" {
#endif

#define KT_PATTERN_PROPERTY 30u /* positions of \p{L}, a machine over bytes: by the time to compile it */

struct kt_pattern_image {
    struct kt_buf bytes; /* serialized database */
    uint32_t width;
};

/* Loads the compiler. KT_ERR_USAGE: an expression is wrong. KT_ERR_NOTFOUND: there is no compiler here. */
kt_result kt_pattern_compile(char *const *expressions, size_t n, struct kt_pattern_image *out,
                             struct kt_error *err) KT_MUST;

/* How many positions the counted repeats of an expression add when they are written out: 4 for "a{5}", 60 for
 * "((ab){1,10}c){3}". UINT64_MAX: its groups are more than 64 deep. Not checked otherwise: what is no
 * expression has some number. */
uint64_t kt_pattern_repeats(const char *expression);

/* The name of the image in the folder: hex. */
kt_result kt_pattern_key(char *const *expressions, size_t n, char out[KT_SHA256_HEX]) KT_MUST;
/* False where there is no file, or one that cannot be trusted. */
bool kt_pattern_load(const char *folder, const char *key, struct kt_pattern_image *out);
/* False with errno where it cannot be kept. */
bool kt_pattern_store(const char *folder, const char *key, const struct kt_pattern_image *image);

#ifdef __cplusplus
}
#endif
