/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The working memory of kt_injection.c, pooled in kt_injection_pool.c. */
#include "policyengine/detect/kt_decode.h"
#include "policyengine/detect/kt_fold.h"
#include "policyengine/detect/kt_injection.h"
#include "policyengine/detect/kt_linear.h"

#define KT_INJECTION_BLOCK 4096u
#define KT_INJECTION_HITS 512u /* of one block */
#define KT_INJECTION_DEPTH 2u  /* base64 in base64 */
_Static_assert(KT_INJECTION_BLOCK <= KT_LINEAR_MAX, "the model sees whole blocks");

struct kt_injection_hit {
    uint8_t family, weight;
    uint16_t sign; /* which rule or phrase */
    uint16_t end;
};

/* One level of decoding has its own fold and blob; a variant is made and used up within one block. */
struct kt_injection_level {
    struct kt_fold fold;
    char block[KT_INJECTION_BLOCK];
    char hidden[KT_FOLD_HIDDEN];
    char blob[KT_DECODE_MAX];
};

struct kt_injection {
    struct kt_injection_scope scope;
    unsigned hit_count;
    bool failed;
    struct kt_injection_level levels[KT_INJECTION_DEPTH + 1];
    char variant[KT_INJECTION_BLOCK];
    size_t variant_dirty; /* bytes of it that held text */
    size_t page;          /* bytes of the text that is looked at; 0 = of something decoded */
    struct kt_injection_hit hits[KT_INJECTION_HITS];
    struct kt_linear_work linear;
};
