/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What a program itself said, as the model got it: the texts of a request with their placeholders. An answer
 * that repeats a piece of it tells the program nothing new, whatever a detector makes of the piece in its new
 * neighbourhood; so redact-then-restore is the identity.
 */
#include "policyengine/base/kt_buf.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes that one exchange searches at most; past it nothing counts as said. */
#define KT_SAID_BUDGET (256u << 20)

/* Start with {0}. */
struct kt_said {
    struct kt_buf text; /* all texts, apart by what no text holds */
    size_t searched;
};

void kt_said_free(struct kt_said *s); /* wipes */
/* Begins the next text; then its pieces. */
kt_result kt_said_next(struct kt_said *s) KT_MUST;
kt_result kt_said_add(struct kt_said *s, const char *data, size_t len) KT_MUST;
/* It was said, and not only as a part of a longer number. */
bool kt_said_has(struct kt_said *s, const char *find, size_t n);

#ifdef __cplusplus
}
#endif
