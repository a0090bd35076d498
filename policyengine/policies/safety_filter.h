/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The parts of safety-filter; used by safety_filter.c only. */
#include "policyengine/policies/safety_look.h"
#include "policyengine/policies/safety_moderation.h"
#include "policyengine/policies/safety_modes.h"

enum safety_action { SAFETY_BLOCK, SAFETY_ESCALATE };
enum safety_engine { SAFETY_LOCAL, SAFETY_MODERATION };

#define SAFETY_MODERATION_MODEL "mistral-moderation-latest"
#define SAFETY_TEXT_MAX                                                                                      \
    (SAFETY_MODERATION_CALLS * SAFETY_MODERATION_INPUTS * SAFETY_MODERATION_INPUT) /* of one text */
#define SAFETY_STREAMS_MAX 256u  /* segments in windows that go on; each keeps 4 KiB */
#define SAFETY_STREAM_STEP 4096u /* bytes of a stream that are moderated together, at first */

struct safety_options {
    int mode, action, engine;
    struct kt_strings block_if, moderation_categories;
    bool fuzzy_matching;
    int64_t max_distance, max_age;
    double threshold;
    char *moderation_model, *moderation_target;
};

struct safety_instance {
    struct kt_safety_rules rules;
    struct kt_wordlist *terms; /* owned */
    struct safety_moderation_rules moderation;
};

struct safety_stream {
    unsigned segment;
    bool over;    /* its last window was seen */
    size_t asked; /* absolute: moderated */
    struct safety_look look;
};

struct safety_state {
    struct safety_look whole; /* segments that come in one piece; opened by the first */
    struct safety_moderation moderation;
    unsigned asks;
    struct safety_stream *streams; /* owned; NULL until a segment comes in windows */
    size_t cap;
    size_t count;
};

/* The segment that comes in windows, made where there is none. NULL on OOM or past SAFETY_STREAMS_MAX. */
struct safety_stream *safety_stream_of(struct safety_state *s, unsigned segment);
void safety_streams_close(struct safety_state *s);
