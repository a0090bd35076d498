/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Names for values within one exchange: the same kind and value always get the same "[EMAIL_1]". Holds the
 * real values, so it is wiped when it goes. Bounded: past KT_PLACEHOLDERS_MAX values (or
 * KT_PLACEHOLDERS_BYTES of them) every new value of a kind shares the unnumbered "[EMAIL]".
 */
#include "policyengine/base/kt_base.h"

#ifdef __cplusplus
extern "C" {
#endif

#define KT_PLACEHOLDERS_MAX 65536u
#define KT_PLACEHOLDERS_BYTES (8u << 20)
#define KT_PLACEHOLDER_KINDS 64u /* distinct kinds; later kinds share "[REDACTED]" */

struct kt_placeholders;

/* new; NULL on OOM. */
struct kt_placeholders *kt_placeholders_new(void);
void kt_placeholders_free(struct kt_placeholders *p);
/* Borrowed from `p`, stable until it goes. `kind` is copied: capital letters as they shall stand in the name.
 * `restore`: the program may get the value back where an answer names it; once allowed for a value, it stays
 * so. NULL on OOM. */
const char *kt_placeholders_name(struct kt_placeholders *p, const char *kind, const char *value, size_t len,
                                 bool restore);
/* How many numbered names may be restored. */
size_t kt_placeholders_restorable(const struct kt_placeholders *p);

#ifdef __cplusplus
}
#endif
