/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Host names as plain text; no state, no allocation. */
#include <stdbool.h>
#include <stddef.h>

#define KT_NAME_MAX 254 /* 253 characters and the NUL */

/* A name that a resolver would have to ask somebody about: not NULL or empty, no numeric form of an address,
 * not localhost. */
/* An IP literal in any spelling that inet_aton or inet_pton takes, or what can be no name. `name` not NULL.
 */
bool kt_name_is_address(const char *name);
bool kt_name_is_remote(const char *name);
/* Lower case, without the last dot. False where it is empty or too long. */
bool kt_name_normalise(const char *name, char out[KT_NAME_MAX]);
/* `pattern`: a name, or "*.suffix" whose star stands for one or more labels. Both normalised. */
bool kt_name_matches(const char *name, const char *pattern);
