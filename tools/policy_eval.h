/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside of `kt policy eval`. */
#include "tools/eval/kt_eval_measure.h"
#include "tools/eval/kt_eval_probe.h"
#include "tools/eval/kt_eval_spans.h"
#include "tools/policy_run.h"

struct eval_kind {
    const char *name, *policy;
    const char *extra;    /* YAML of its block where no config is given */
    bool spans;           /* spans are what counts, and they have types */
    const char *one_type; /* every span is of this type; NULL = as labelled */
};

struct eval_command {
    const struct eval_kind *kind;
    const char *data; /* file, "-" = standard input */
    struct kt_strings files;
    bool json, rows;
    double threshold; /* NaN: the policy decides itself */

    struct kt_config *config;
    const struct kt_policy *policy;
    void *opts;      /* borrowed from config */
    char action[32]; /* what the policy does with what it flags */

    struct eval_measure *measure;
    struct eval_types *types;
    struct eval_spans *spans;
    struct eval_typed *typed; /* owned scratch of one row */
    size_t typed_cap;
    size_t row_count, unlabelled, unsupported_rows, failed, outside;
};

/* The threshold that a row is measured by: as asked for, else the policy's own option; NaN = it has none. */
double eval_effective_threshold(const struct eval_command *c);
void eval_print_json(const struct eval_command *c, bool compact);
void eval_print_text(const struct eval_command *c);
