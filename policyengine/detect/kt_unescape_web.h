/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include "policyengine/detect/kt_pii_fold.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The percent escape or reference of HTML at s[0] ('%' or '&'); raw 1 and that sign where it is none, 0 where
 * it may go on behind the end. Never longer than what it stands in for; one byte of a character for "%C3". */
struct kt_pii_unit kt_unescape_web_unit(const char *s, size_t left, bool final);

#ifdef __cplusplus
}
#endif
