/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * engine: mistral-moderation: the texts of an exchange as POST /v1/moderations of the target's own API, and
 * what its answer says. No I/O here: the chain's PENDING has it done.
 */
#include "policyengine/policies/kt_policy.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SAFETY_MODERATION_INPUT 8192u /* bytes of one input; longer texts are several */
#define SAFETY_MODERATION_INPUTS 64u  /* of one call; what is more goes with the next */
#define SAFETY_MODERATION_CALLS                                                                              \
    32u /* of one phase, or of a step of a stream; more is an error, never a pass */
#define SAFETY_MODERATION_ANSWER (1u << 20) /* bytes of an answer that are read */

/* What of an answer counts. Borrowed. */
struct safety_moderation_rules {
    const struct kt_strings
        *categories;  /* empty = all but those that are no harm (pii, health, law, financial) */
    double threshold; /* of category_scores; 0 = the provider's own flags in `categories` */
};

/* The texts that wait to be asked about; zeroed = empty. */
struct safety_moderation {
    struct kt_buf inputs;                 /* JSON strings, each with a comma behind it */
    unsigned count, asked;                /* inputs that wait; inputs of the call that is under way */
    size_t ends[SAFETY_MODERATION_CALLS]; /* in `inputs`, behind each SAFETY_MODERATION_INPUTS that wait */
    struct kt_external external;
};

/* Room and a maximum for an empty one. */
void safety_moderation_init(struct safety_moderation *m);
void safety_moderation_free(struct safety_moderation *m);
/* KT_ERR_LIMIT past what SAFETY_MODERATION_CALLS take. Invalid UTF-8 becomes U+FFFD. */
kt_result safety_moderation_add(struct safety_moderation *m, const char *text, size_t len) KT_MUST;
/* Fills m->external with the next call for what was added, and forgets that: m->count is what still waits. */
kt_result safety_moderation_ask(struct safety_moderation *m, const char *model) KT_MUST;

struct safety_moderation_finding {
    bool flagged;
    double score;         /* highest score of a category that counts, 0..1 */
    const char *category; /* static label of the category that was flagged first; NULL for none */
};
/* KT_ERR_SYNTAX where the answer is not what the API documents for `asked` inputs: nobody may take that for a
 * pass. */
kt_result safety_moderation_read(struct kt_span body, unsigned asked,
                                 const struct safety_moderation_rules *rules,
                                 struct safety_moderation_finding *out) KT_MUST;
/* The categories that the option may name: "sexual|hate_and_discrimination|..." */
bool safety_moderation_knows(const char *category);
extern const char safety_moderation_categories[];

#ifdef __cplusplus
}
#endif
