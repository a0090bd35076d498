/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* One tap flow, as the files of this folder share it. Everything but the queue belongs to the loop thread. */
#include "interceptor/http/kt_http_chunked.h"
#include "interceptor/http/kt_http_inflate.h"
#include "interceptor/tap/kt_tap.h"
#include "interceptor/upstream/kt_upstream.h"

#include <pthread.h>

#define KT_TAP_H2_PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

struct kt_tap;

/* ---- kt_tap_call.c: one request and what came back ---- */

struct kt_tap_call; /* dies when it is ended and its exchange is gone, whichever is later */

/* new. Takes the request (also on failure); its chain starts at once. NULL where memory is short (an event
 * says so). */
struct kt_tap_call *kt_tap_call_new(struct kt_tap *t, struct kt_request *request);
/* False while the request phase waits for an outside check: hold the answer back. kt_tap_work goes on by
 * itself then. */
bool kt_tap_call_ready(const struct kt_tap_call *c);
bool kt_tap_call_head_only(const struct kt_tap_call *c); /* HEAD */
/* The final head; fields with their codings as sent. */
void kt_tap_call_head(struct kt_tap_call *c, const struct kt_call_head *head);
/* Body without framing; the content coding is removed here. */
void kt_tap_call_body(struct kt_tap_call *c, const char *data, size_t len);
/* The call is not the caller's any more. `error`: static, NULL = whole. */
void kt_tap_call_end(struct kt_tap_call *c, const char *error, const char *detail);
/* The engine ends: whoever still waits for an outside check gets its event now. */
void kt_tap_calls_drop(struct kt_tap *t);

/* ---- kt_tap_answer.c: HTTP/1.1 answers ---- */

struct kt_tap_answer {
    enum { KT_ANSWER_HEAD, KT_ANSWER_SIZED, KT_ANSWER_CHUNKED, KT_ANSWER_TO_CLOSE, KT_ANSWER_BROKEN } phase;
    struct kt_buf head; /* owned */
    uint64_t left;      /* KT_ANSWER_SIZED */
    struct kt_chunked chunked;
};

enum kt_tap_step {
    KT_TAP_MORE,     /* all bytes are used */
    KT_TAP_STALL,    /* the call is not ready; nothing behind *used was looked at */
    KT_TAP_END,      /* the call's answer is over */
    KT_TAP_SWITCHED, /* another protocol from here on; the answer is over */
    KT_TAP_BAD       /* no HTTP */
};
void kt_tap_answer_init(struct kt_tap_answer *a);
void kt_tap_answer_free(struct kt_tap_answer *a);
/* Reads the answer to `c` up to its end. */
enum kt_tap_step kt_tap_answer_feed(struct kt_tap_answer *a, struct kt_tap_call *c, const char *data,
                                    size_t len, size_t *used);
/* Splits a head of name: value lines, in place, into at most `max` fields. */
size_t kt_tap_fields(char *lines, size_t len, struct kt_call_header *out, size_t max);

/* ---- the two protocols, one table each ---- */

struct kt_tap_protocol {
    const char *name;
    /* new state for t->state; false where memory is short. */
    bool (*begin)(struct kt_tap *t);
    /* Looks at bytes of one direction; returns how many were used: fewer than `len` only where a call waits
     * for an outside check (the rest comes again), or where the flow is lost (kt_tap_lose). */
    size_t (*feed)(struct kt_tap *t, enum kt_tap_dir dir, const char *data, size_t len);
    /* The connection is over: ends every call. `error` as for kt_tap_call_end, where one is not whole. */
    void (*end)(struct kt_tap *t, const char *error, const char *detail);
    void (*free)(struct kt_tap *t);
};
extern const struct kt_tap_protocol kt_tap_http1, kt_tap_http2;

/* ---- kt_tap.c ---- */

struct kt_tap_piece { /* one copy, in the order in which the program saw them */
    struct kt_tap_piece *next;
    enum kt_tap_dir dir;
    size_t room, len, used;
    char data[];
};

struct kt_tap {
    struct kt_taps *ts;
    struct kt_tap *next;
    uint64_t id;
    char *host; /* owned */
    uint16_t port;
    bool tls;

    /* Under ts->lock. */
    struct kt_tap_piece *first, **last, *newest;
    bool closed;         /* by the program */
    bool full;           /* a piece found no room: what follows is not looked at */
    size_t unsaid;       /* bytes of the program's that wait in pieces */
    struct kt_mark mark; /* of these, till they are a call */

    /* Loop thread. */
    const struct kt_tap_protocol *protocol; /* NULL = not known yet */
    struct kt_buf opening;                  /* the first bytes, until they tell the protocol */
    void *state;
    bool lost;   /* cannot be followed any further */
    bool opaque; /* another protocol, reported already */
    bool ended;
    bool working;
    struct kt_tap_call *calls; /* all that are not gone */
};

struct kt_taps {
    struct kt_tap_options o;
    struct kt_loop_job job;
    pthread_mutex_t lock;
    pthread_cond_t idle;
    struct kt_tap *flows;
    size_t count;
    size_t queued; /* bytes of all flows */
    uint64_t first_id, next_id;
    uint64_t asked, done; /* flush: turns of the loop */
};

/* Loop thread: goes on with what waits. */
void kt_tap_work(struct kt_tap *t);
/* The flow cannot be followed; `error` and `detail` go to its calls' events, or to one event of its own. */
void kt_tap_lose(struct kt_tap *t, const char *error, const char *detail);
