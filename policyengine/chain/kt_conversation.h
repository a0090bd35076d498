/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Which conversation a request goes on with, told by who calls and by its messages. Names of values are
 * numbered by their first place in the messages, so that a request that holds the earlier ones again numbers
 * them as they did. Two things the messages do not say, and are kept by the process (as keyed hashes,
 * kt_numbers.h):
 *
 * - which value a label stands for that an answer brought: it is kept under all that was said in front of
 * that answer. Where two answers to the very same words gave one label to two values, it is nobody's.
 * - what numbers values had before a client dropped the oldest messages: a request that begins with three
 * messages, an answer among them, that stood further back in an earlier one goes on with that conversation.
 * Where they stood in two, it goes on with neither.
 *
 * The caller and the system messages in front count in both: nothing is found again under another one. What
 * cannot be told apart so (conversations of one caller that begin with the same words) is one.
 */
#include "policyengine/policies/kt_policy.h"

#ifdef __cplusplus
extern "C" {
#endif

#define KT_CONVERSATION_ANSWERS 64u /* earlier answers of one request whose labels are known: the latest */
/* Of one request, and of its answer. Values behind the bound are numbered in the order in which they come. */
#define KT_CONVERSATION_VALUES 512u  /* values whose numbers are kept */
#define KT_CONVERSATION_LOOKS 32768u /* times that it is looked whose a number is */

struct kt_conversation {
    uint64_t id;    /* of the conversation; by its first message; 0 = there is none */
    bool continued; /* its beginning is not in this request */
    bool made;      /* kt_conversation_end was called */
    bool failed;    /* it cannot be told: nothing is used, nothing kept */
    bool answering; /* what is named now stands in the answer; the owner sets it */
    uint64_t said;  /* all so far, and by whom */
    /* Where numbers were kept: `labels` of earlier answers, the latest first, then the continued one's. */
    uint64_t scopes[KT_CONVERSATION_ANSWERS + 1];
    size_t scope_count, labels;
    unsigned values[2], looks[2]; /* of the request, of the answer */
    /* while it is made */
    uint64_t context;                         /* the caller and the system messages so far */
    uint64_t before[KT_CONVERSATION_ANSWERS]; /* said in front of each earlier answer */
    size_t answers;
    uint64_t last[3]; /* messages */
    unsigned count;
    unsigned models; /* which of them a model said, in bits */
    bool model;      /* the last words were a model's */
};

/* Adds a name (a token, a user) to what tells callers apart; *caller begins at 0. False: it cannot be told
 * now, and nothing must be kept. */
bool kt_conversation_caller(const char *name, size_t len, uint64_t *caller);
/* `caller`: 0 where all of the process is one. Then add the texts of a request in their order, then end. */
void kt_conversation_begin(struct kt_conversation *c, uint64_t caller);
void kt_conversation_add(struct kt_conversation *c, enum kt_origin_class from, const char *text, size_t len);
void kt_conversation_end(struct kt_conversation *c);

/* The numbers that the value may have in the conversation already, one a call, the latest first; 0 = no more.
 * *next begins at 0. *own: a label with that number in the messages is its own; else it may be another
 * value's. */
unsigned kt_conversation_number(struct kt_conversation *c, const char *kind, const char *value, size_t len,
                                size_t *next, bool *own);
/* True where the number is another value's already, if only by an answer that the client did not keep. */
bool kt_conversation_reserved(struct kt_conversation *c, const char *kind, const char *value, size_t len,
                              unsigned number);
void kt_conversation_note(struct kt_conversation *c, const char *kind, const char *value, size_t len,
                          unsigned number);

#ifdef __cplusplus
}
#endif
