/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The parts of the Mistral translation, private to mistral*.c. */
#include "interceptor/dialect/kt_rules.h"

/* Tools (mistral_tools.c). */
bool kt_mistral_has_tools(const struct kt_translation *t);
kt_result kt_mistral_tools(const struct kt_translation *t, uint32_t object, uint32_t value) KT_MUST;
kt_result kt_mistral_functions(const struct kt_translation *t, uint32_t object, uint32_t value) KT_MUST;
kt_result kt_mistral_tool_choice(const struct kt_translation *t, uint32_t object, uint32_t value) KT_MUST;
kt_result kt_mistral_function_call(const struct kt_translation *t, uint32_t object, uint32_t value) KT_MUST;
kt_result kt_mistral_parallel(const struct kt_translation *t, uint32_t object, uint32_t value) KT_MUST;

/* Takes out of a JSON schema what its compiler at Mistral's does not know (mistral_schema.c). */
kt_result kt_mistral_schema(const struct kt_translation *t, uint32_t schema) KT_MUST;

/* Tool calls in messages (mistral_calls.c). */
#define KT_MISTRAL_ID_LEN 9 /* base62 digits: the only ids that Mistral takes */
/* Deterministic: the same foreign id gives the same id in every message and in every later request. */
kt_result kt_mistral_id(const char *foreign, size_t len, char out[KT_MISTRAL_ID_LEN + 1]) KT_MUST;
/* For tool_calls[].id and tool_call_id: replaced where Mistral would refuse it. */
kt_result kt_mistral_fix_id(const struct kt_translation *t, uint32_t object, uint32_t value) KT_MUST;
kt_result kt_mistral_tool_calls(const struct kt_translation *t, uint32_t object, uint32_t value) KT_MUST;
/* Turns a message's legacy function_call into tool_calls with one call of this id. */
kt_result kt_mistral_legacy_call(const struct kt_translation *t, uint32_t value, const char *id) KT_MUST;

/* Content parts (mistral_parts.c): `value` is a message's content. */
kt_result kt_mistral_content(const struct kt_translation *t, uint32_t object, uint32_t value) KT_MUST;

/* Plain text (mistral_texts.c). */
extern const struct kt_rule kt_mistral_fim_fields[], kt_mistral_embeddings_fields[],
    kt_mistral_moderations_fields[];
const char *kt_mistral_path(enum kt_endpoint e);
/* One choice of a fill in the middle's answer, as one of a text completion. */
kt_result kt_mistral_text_choice(const struct kt_translation *t, uint32_t choice) KT_MUST;

/* Models (mistral_models.c). */
extern const struct kt_model_name kt_mistral_models[];
const char *kt_mistral_usual_model(enum kt_endpoint e);

/* Answers (mistral_answer.c). */
kt_result kt_mistral_answer(const struct kt_chat *a, struct kt_edits *edits) KT_MUST;

/* Fields that more than one endpoint has (mistral.c). */
kt_result kt_mistral_temperature(const struct kt_translation *t, uint32_t object, uint32_t value) KT_MUST;
kt_result kt_mistral_top_p(const struct kt_translation *t, uint32_t object, uint32_t value) KT_MUST;
kt_result kt_mistral_random_seed(const struct kt_translation *t, uint32_t object, uint32_t value) KT_MUST;
kt_result kt_mistral_seed(const struct kt_translation *t, uint32_t object, uint32_t value) KT_MUST;

/* Messages (mistral_messages.c). */
kt_result kt_mistral_messages(const struct kt_translation *t, uint32_t object, uint32_t value) KT_MUST;
