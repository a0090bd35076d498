/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Which conversation a request goes on with, told by its messages alone. Names of values are numbered by
 * their first place in the messages, so that a request that holds the earlier ones again numbers them as they
 * did. Two things the messages do not say, and are kept by the process (as keyed hashes, kt_numbers.h):
 *
 * - which value a label stands for that an answer brought: it is kept under all that was said in front of
 * that answer. Where two answers to the very same words gave one label to two values, it is nobody's.
 * - what numbers values had before a client dropped the oldest messages: a request whose first message stood
 * further back in an earlier one goes on with that conversation. What the program says in every conversation
 * (system messages, descriptions of tools) does not count.
 *
 * So no conversation sees the numbers of another one.
 */
#include "policyengine/policies/kt_policy.h"

#ifdef __cplusplus
extern "C" {
#endif

#define KT_CONVERSATION_ANSWERS 64u /* earlier answers of one request whose labels are known: the latest */

struct kt_conversation {
    uint64_t id;    /* of the conversation; 0 = not known, nothing is kept */
    bool continued; /* its beginning is not in this request */
    bool made;      /* kt_conversation_end was called */
    bool answering; /* what is named now stands in the answer; the owner sets it */
    /* while it is made */
    uint64_t said;                            /* all so far */
    uint64_t before[KT_CONVERSATION_ANSWERS]; /* said in front of each earlier answer */
    size_t answers;
    uint64_t last; /* the message before */
    unsigned count;
    bool model; /* the last words were a model's */
};

/* Zero-initialise, add the texts of a request in their order, then end. */
void kt_conversation_add(struct kt_conversation *c, enum kt_origin_class from, const char *text, size_t len);
void kt_conversation_end(struct kt_conversation *c);

/* The numbers that the value may have in the conversation already, one a call, the latest first; 0 = no more.
 * *next begins at 0. *own: a label with that number in the messages is its own; else it may be another
 * value's. */
unsigned kt_conversation_number(const struct kt_conversation *c, const char *kind, const char *value,
                                size_t len, size_t *next, bool *own);
/* True where the number is another value's already, if only by an answer that the client did not keep. */
bool kt_conversation_reserved(const struct kt_conversation *c, const char *kind, const char *value,
                              size_t len, unsigned number);
void kt_conversation_note(const struct kt_conversation *c, const char *kind, const char *value, size_t len,
                          unsigned number);

#ifdef __cplusplus
}
#endif
