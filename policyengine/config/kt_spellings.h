/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The public pages write some settings in several ways. Before a document is read, all of them are turned
 * into the one that the schema knows, in the tree: values keep their place in the file. Settings that are
 * known but not to be had are taken out with a complaint that says why. (A second name for a key beside it is
 * simpler: the `alias` of its option.)
 */
#include "policyengine/config/kt_yaml.h"

#ifdef __cplusplus
extern "C" {
#endif

kt_result kt_spellings_apply(struct kt_ctx *c, struct kt_node *root) KT_MUST;

#ifdef __cplusplus
}
#endif
