/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Finding the texts of a chat, private to interceptor/dialect. */
#include "interceptor/dialect/kt_dialect.h"

/* Appends the segments of the value at token `root` (a message, or another object in its shape) to
 * c->segments. KT_ERR_USAGE where a key that matters occurs twice in one object, KT_ERR_LIMIT past
 * KT_CHAT_MAX_SEGMENTS. */
kt_result kt_segments_collect(struct kt_chat *c, uint32_t root, enum kt_origin_class from,
                              struct kt_error *err) KT_MUST;
