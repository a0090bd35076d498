/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the policies of a loaded config say of their own options, at its place in the files. */
#include "policyengine/config/kt_diag.h"

#ifdef __cplusplus
extern "C" {
#endif

struct kt_places;

/* Makes every policy of the chain once and adds to `diags`: E004 where one cannot be made, and, with
 * `advice`, W006 for what it would not act on. `places` is borrowed. Fails only for want of memory; whether
 * there were errors, kt_diags_errors says. */
kt_result kt_chain_check(const struct kt_config *config, const struct kt_places *places, bool advice,
                         struct kt_diags *diags) KT_MUST;
/* The same for whoever has no places yet. */
kt_result kt_chain_check_files(const struct kt_config *config, bool advice, struct kt_diags *diags) KT_MUST;

#ifdef __cplusplus
}
#endif
