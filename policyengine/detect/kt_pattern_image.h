/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A compiled set as it lies in the cache: a head, and the serialized database. */
#include "policyengine/base/kt_buf.h"
#include "policyengine/detect/kt_pattern_cache.h"

#ifdef __cplusplus
extern "C" {
#endif

struct kt_pattern_image {
    struct kt_buf bytes; /* serialized database */
    uint32_t width;
};

/* Loads the compiler. KT_ERR_USAGE: an expression is wrong. KT_ERR_NOTFOUND: there is no compiler here. */
kt_result kt_pattern_compile(char *const *expressions, size_t n, struct kt_pattern_image *out,
                             struct kt_error *err) KT_MUST;

/* The name of the image in the folder: hex. */
kt_result kt_pattern_key(char *const *expressions, size_t n, char out[KT_SHA256_HEX]) KT_MUST;
/* False where there is no file, or one that cannot be trusted. */
bool kt_pattern_load(const char *folder, const char *key, struct kt_pattern_image *out);
/* False with errno where it cannot be kept. */
bool kt_pattern_store(const char *folder, const char *key, const struct kt_pattern_image *image);

#ifdef __cplusplus
}
#endif
