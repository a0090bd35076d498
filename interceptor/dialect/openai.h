/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The parts of OpenAI's own dialect as a provider, private to openai*.c. */
#include "interceptor/dialect/kt_rules.h"

kt_result kt_openai_translate(const struct kt_chat *c, const char *model, const struct kt_target *t,
                              struct kt_edits *edits) KT_MUST;
const char *kt_openai_path(enum kt_endpoint e);
kt_result kt_openai_answer(const struct kt_chat *a, struct kt_edits *edits) KT_MUST;
