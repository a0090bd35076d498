/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The keys of policy-config.yaml, as tables over struct kt_config. Everything a user may write, but the
 * policies' own options, is here. */
#include "policyengine/config/kt_config.h"

#ifdef __cplusplus
extern "C" {
#endif

extern const struct kt_option kt_schema_root[];      /* struct kt_config */
extern const struct kt_option kt_schema_policies[];  /* names only */
extern const struct kt_option kt_schema_providers[]; /* struct kt_config.providers */
extern const struct kt_option kt_schema_target[];    /* struct kt_target */
extern const struct kt_option kt_schema_common[]; /* struct kt_chain_entry: what every policy.<kind> takes */

/* providers.strategy and providers.routing.strategy: an int, enum kt_strategy_id. */
extern const struct kt_option kt_schema_strategy;
/* One of providers.fallback.triggers; the bits of enum kt_trigger are in the order of its values. */
extern const struct kt_option kt_schema_trigger;

/* Settings that are read and checked but that nothing acts on yet: the user is told instead of left to
 * believe. */
struct kt_unacted {
    const char *path;  /* dotted, below the root or below a target */
    const char *value; /* this value of `path` asks for nothing; NULL = any value counts */
    const char *off;   /* "false" here, dotted below `path`, asks for nothing; NULL = no such switch */
};
extern const struct kt_unacted kt_unacted_root[]; /* both end with path == NULL */
extern const struct kt_unacted kt_unacted_target[];

#ifdef __cplusplus
}
#endif
