/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The parts of OpenAI's own dialect as a provider, private to openai*.c. */
#include "interceptor/dialect/kt_rules.h"

kt_result kt_openai_translate(const struct kt_chat *c, const char *model, const struct kt_target *t,
                              struct kt_edits *edits) KT_MUST;
extern const struct kt_provider kt_provider_openai;

/* Speaks OpenAI's dialect without being in providers.def (compatible.c). */
extern const struct kt_provider kt_provider_compatible;
bool kt_compatible_knows(const char *name);
bool kt_compatible_tells_usage(const struct kt_target *t);

const char *kt_openai_path(enum kt_endpoint e);
/* Arguments of calls in the history that are an object. */
kt_result kt_openai_finish(const struct kt_chat *c, struct kt_buf *body) KT_MUST;
kt_result kt_openai_messages(const struct kt_translation *t, uint32_t object, uint32_t value) KT_MUST;
kt_result kt_openai_answer(const struct kt_chat *a, struct kt_edits *edits) KT_MUST;
