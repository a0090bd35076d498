/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * One HTTP request and its response on a flow: dialect, request chain, route, attempts, answer, event.
 *
 *   feeding thread:  kt_exchange_new -> kt_exchange_prepare (parse, dialect, request chain)
 *   engine thread:   kt_exchange_start (route, attempts, answer, event) -> reply slots
 * The feeding thread is the program's own in the handoff lane and the engine thread in the divert lane. After
 * prepare the exchange belongs to the engine thread.
 */
#include "interceptor/http/kt_http.h"
#include "interceptor/loop/kt_loop.h"
#include "interceptor/state/kt_state.h"
#include "interceptor/telemetry/kt_seen.h"
#include "policyengine/audit/kt_audit.h"
#include "policyengine/chain/kt_chain.h"
#include "policyengine/config/kt_config.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A config with what was built from it; reference counted so that a reload never pulls it from under an
 * exchange. */
struct kt_runtime {
    struct kt_config *config; /* owned; NULL where it could not be loaded */
    struct kt_chain *chain;   /* owned */
    char *broken;             /* owned: why there is no config ("file:line:col: ..."); NULL = fine */
    int mode, fail_mode;      /* effective: environment over config */
    unsigned refs;            /* atomic */
};
struct kt_runtime *kt_runtime_ref(struct kt_runtime *r);
void kt_runtime_unref(struct kt_runtime *r);

struct kt_commit;
struct kt_exchange;
struct kt_upstream; /* libcurl multi on the loop; interceptor/upstream */

/* What all exchanges of an engine share; lives as long as the engine. */
struct kt_engine_ctx {
    struct kt_loop *loop;
    struct kt_upstream *upstream;
    struct kt_state *state; /* what all processes share; NULL = nothing is known of targets and limits */
    struct kt_audit *audit; /* NULL where the folder cannot be written: fail_mode decides */
    char audit_error[512];
    const char *lane;                           /* static: of connections that end here; NULL = divert */
    struct kt_runtime *(*runtime)(void *owner); /* new reference to the current one; any thread */
    void *owner;
    struct kt_commit *commit;      /* whole answers wait for the end of the loop's turn; NULL = they do not */
    struct kt_witness witness;     /* learns of every exchange; .exchange NULL = nobody does */
    struct kt_run_keys runs;       /* that this process belongs to */
    struct kt_exchange *under_way; /* those that were started, the newest first; loop thread */
};

/* The way back to the client. Implemented by the flow; engine thread only. */
struct kt_reply_sink {
    /* `length` < 0: unknown (chunked for HTTP/1.1, until close for 1.0). Framing and Connection headers are
     * the sink's. */
    void (*head)(void *flow, int status, const struct kt_header *headers, size_t count, int64_t length);
    void (*body)(void *flow, const char *data, size_t len);
    /* The last byte; releases what `body` still holds. The exchange is gone for the flow after it. */
    void (*end)(void *flow);
    /* Breaks the connection: an answer that began cannot be finished. */
    void (*abort)(void *flow);
    /* Bytes that the client has not taken yet. */
    size_t (*backlog)(void *flow);
    /* May be NULL: somebody waits for what is there, it need not wait for the end of the callback. */
    void (*push)(void *flow);
    void *flow;
};

struct kt_exchange_origin {
    const char *host; /* copied */
    uint16_t port;
    bool tls;
    const char *lane; /* static */
    bool unknown;     /* `host` is only where the request came in: nobody knows what the program meant */
    struct kt_event_program *program; /* a reference is taken; NULL = this process */
};

/* new. Takes the contents of `request` (it is empty afterwards). */
kt_result kt_exchange_new(struct kt_engine_ctx *ctx, struct kt_request *request,
                          const struct kt_exchange_origin *origin, struct kt_exchange **out) KT_MUST;
/* Before prepare, where many callers use this process: a digest that tells who calls
 * (kt_conversation_caller); 0 = not known. Then nothing of the conversation is kept, unless the request names
 * a user. */
void kt_exchange_caller(struct kt_exchange *x, uint64_t caller);
/* Parse, dialect, request chain. Never fails: what goes wrong becomes the answer. */
void kt_exchange_prepare(struct kt_exchange *x);
/* Engine thread. Runs until the sink's end or abort was called, then frees itself. */
void kt_exchange_start(struct kt_exchange *x, const struct kt_reply_sink *sink);
/* Engine thread: the client went away. Cancels upstream, writes the event, frees itself; no sink slot is
 * called any more. */
void kt_exchange_client_gone(struct kt_exchange *x);
/* Engine thread: the process may become another program (exec). Every call under way gets its event now,
 * error "interrupted". */
void kt_exchange_interrupt_all(struct kt_engine_ctx *ctx);
/* It did not: those calls go on, and each gets another event at its end. */
void kt_exchange_go_on_all(struct kt_engine_ctx *ctx);
/* Engine thread: the client took bytes; resume upstream if it was paused. */
void kt_exchange_writable(struct kt_exchange *x);
/* Engine thread: where nothing but a target's next byte can bring the exchange on, the watch that waits for
 * it; else NULL. Borrowed until the loop goes on. */
struct kt_loop_watch *kt_exchange_waits_for(const struct kt_exchange *x);
/* Another process has the audit log's lock, which a stopped one keeps. Any thread. */
bool kt_exchange_busy(struct kt_engine_ctx *ctx);
/*
 * The tap lane: an exchange that is only watched. The program talks to its origin itself; the exchange is
 * told what was answered, runs the chain dry and writes the event. Instead of kt_exchange_start, engine
 * thread only:
 *
 *   kt_exchange_tapped (before prepare) -> kt_exchange_prepare -> kt_exchange_watch -> ready
 *     -> kt_exchange_answer_head, _data ... -> kt_exchange_answer_done -> gone
 */
struct kt_exchange_watcher {
    void (*ready)(
        void *owner); /* the request phase is over: tell the answer. Maybe within kt_exchange_watch */
    void (*gone)(void *owner); /* the event is written, and the exchange is no more */
    void *owner;
};
/* Nothing is refused or altered, whatever mode the config says. */
void kt_exchange_tapped(struct kt_exchange *x);
void kt_exchange_watch(struct kt_exchange *x, const struct kt_exchange_watcher *w);
struct kt_call_head; /* interceptor/upstream/kt_upstream.h */
void kt_exchange_answer_head(struct kt_exchange *x, const struct kt_call_head *head);
/* A piece of the body, its codings removed. */
void kt_exchange_answer_data(struct kt_exchange *x, const char *data, size_t len);
/* The answer is over. `error` (static; NULL = it was read whole) is the event's word for what is missing. */
void kt_exchange_answer_done(struct kt_exchange *x, const char *error, const char *detail);
/* Of an exchange that was prepared but can never be started (the loop is gone). */
void kt_exchange_free(struct kt_exchange *x);

/* Group commit for the exchanges of one loop: the events of whole answers are written together at the end of
 * its turn, before the answers leave. For a gateway; a wrapped program's few calls would only wait.
 * new; sets ctx->commit. */
kt_result kt_commit_new(struct kt_engine_ctx *ctx, struct kt_commit **out) KT_MUST;
/* Behind the last exchange. NULL is fine. */
void kt_commit_free(struct kt_commit *c);

/* The OpenAI error shape: {"error":{"message","type","param":null,"code"}} (`policy` where not NULL). */
kt_result kt_openai_error(struct kt_buf *out, const char *message, const char *type, const char *code,
                          const char *policy) KT_MUST;

#ifdef __cplusplus
}
#endif
