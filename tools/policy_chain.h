/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The chain of a config over one request or one whole answer, as the engine runs it, without any network: a
 * check that needs the world outside goes on as if nobody had answered.
 */
#include "interceptor/dialect/kt_dialect.h"
#include "policyengine/chain/kt_chain.h"

struct kt_checked {
    enum kt_phase phase;
    struct kt_placeholders *names; /* borrowed */
    struct kt_chat chat;           /* its texts are the segments */
    struct kt_chain_run *run;
    struct kt_outcome outcome; /* borrowed from run */
    bool outside;              /* some policy asked for a check outside */
    uint64_t time_ns;          /* of the policies */
    uint64_t bytes;            /* of the texts that were shown */
    size_t reached, avoided;   /* segments in front of these were shown, were searched for placeholders */
};

/* Runs the request phase over a request body (chat, or what its members say), or the response phase over a
 * whole answer ({"choices": [...]}). `body` stays borrowed. KT_ERR_SYNTAX, KT_ERR_USAGE, KT_ERR_LIMIT with
 * `err` where it cannot be read. `names` as for kt_chain_run_new. */
kt_result kt_check_body(const struct kt_chain *chain, enum kt_phase phase, struct kt_placeholders *names,
                        struct kt_span body, struct kt_checked *out, struct kt_error *err) KT_MUST;
void kt_checked_free(struct kt_checked *c);

/* Appends the body as it leaves. */
kt_result kt_checked_body(struct kt_checked *c, struct kt_buf *out) KT_MUST;
/* Appends segment `i` as it leaves. */
kt_result kt_checked_text(struct kt_checked *c, size_t i, struct kt_buf *out) KT_MUST;
/* Redactions of segment `i`; borrowed until the next call. */
const struct kt_redaction *kt_checked_redactions(struct kt_checked *c, size_t i, size_t *count);

/* Which endpoint a request body is for, as its members tell; KT_EP_UNKNOWN where they do not. */
enum kt_endpoint kt_endpoint_of_body(const struct kt_json *j);
const char *kt_origin_name(enum kt_origin_class from); /* "user", "tool call", ... */

/* Appends a chat body with the text as its one user message. */
kt_result kt_body_of_text(struct kt_buf *out, const char *text, size_t len) KT_MUST;
/* Appends an answer: of a string, a message ({"content": ...}), or an answer itself, as raw JSON. */
kt_result kt_answer_of(struct kt_buf *out, const struct kt_json *j, uint32_t tok) KT_MUST;
