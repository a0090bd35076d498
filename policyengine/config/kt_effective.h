/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The one canonical form of a config: all defaults filled in, every alias resolved, in the order of the
 * schema, unset options left out, no comment, and of a key only where it comes from. Loading it gives the
 * same form again.
 */
#include "policyengine/config/kt_yaml.h"

#ifdef __cplusplus
extern "C" {
#endif

/* new tree (kt_node_free). KT_ERR_LIMIT where `testing` or `agents` is too large for one file. */
kt_result kt_effective_tree(const struct kt_config *config, struct kt_node **out) KT_MUST;

#ifdef __cplusplus
}
#endif
