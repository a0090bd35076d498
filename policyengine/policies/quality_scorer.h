/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The options of quality-scorer and what its init makes of them. */
#include "policyengine/policies/quality.h"

enum quality_strategy { QUALITY_AVERAGE, QUALITY_ALL, QUALITY_ANY, QUALITY_MIN };
enum quality_action { QUALITY_BLOCK, QUALITY_ESCALATE, QUALITY_WARN, QUALITY_LOG };
enum quality_streaming { QUALITY_BUFFERED, QUALITY_REALTIME };

struct quality_options {
    struct kt_list assertions;
    int64_t min_output_chars, min_sentences;
    struct kt_float_map thresholds, weights;
    int streaming_mode;
    struct {
        int strategy;
        double threshold;
    } pass_policy;
    struct {
        int action;
        char *message;
    } failure_action;
};

struct quality_instance {
    struct quality_assertion *assertions; /* owned; the enabled ones */
    size_t count;
    double threshold;
};

kt_result quality_init(const void *opts, void **instance, struct kt_error *err) KT_MUST;
void quality_fini(void *instance);
