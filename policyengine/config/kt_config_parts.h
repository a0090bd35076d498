/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The parts of a config that a table alone cannot read. Each completes what kt_read_table left in `config`.
 */
#include "policyengine/config/kt_read.h"

#ifdef __cplusplus
extern "C" {
#endif

/* policies.chain and policy.<kind> */
kt_result kt_chain_read(struct kt_ctx *c, const struct kt_node *root, struct kt_config *config) KT_MUST;
void kt_chain_entries_free(struct kt_config *config);

/* providers: strategy, triggers, statuses, targets */
kt_result kt_providers_read(struct kt_ctx *c, const struct kt_node *root, struct kt_config *config) KT_MUST;
void kt_targets_free(struct kt_config *config);

/* Frees what a target owns. */
void kt_target_free(struct kt_target *t);

/* One target whose table has been read: shorthand, provider defaults, checks. */
kt_result kt_target_finish(struct kt_ctx *c, const struct kt_node *node, struct kt_target *t) KT_MUST;

/* E008 where the file (tls.ca_file, absolute) has no certificate in it; complains about the current path. */
kt_result kt_ca_check(struct kt_ctx *c, const char *file, struct kt_at at) KT_MUST;

/* intercept.hosts and .exclude: checked, in lower case, defaults where not given. */
kt_result kt_hosts_read(struct kt_ctx *c, const struct kt_node *root, struct kt_config *config) KT_MUST;
kt_result kt_hosts_default(struct kt_config *config) KT_MUST;

/* E004 where telemetry.otlp_endpoint is no base URL; an empty one is none. */
kt_result kt_telemetry_check(struct kt_ctx *c, const struct kt_node *root, struct kt_config *config) KT_MUST;

/* kt_testing_cfg.c */
kt_result kt_testing_check(struct kt_ctx *c, const struct kt_node *root) KT_MUST;

/* W006 for prices and weights that nothing goes by (kt_unused_cfg.c); silent where there are errors. */
kt_result kt_unused_warn(struct kt_ctx *c, const struct kt_node *root,
                         const struct kt_config *config) KT_MUST;

/* W001 for what is set below `node` but not acted on yet. */
struct kt_unacted;
kt_result kt_unacted_warn(struct kt_ctx *c, const struct kt_unacted *list,
                          const struct kt_node *node) KT_MUST;

#ifdef __cplusplus
}
#endif
