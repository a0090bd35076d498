/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * HTTP requests to the world outside, by libcurl's multi interface on a kt_loop: pooled keep-alive
 * connections, HTTP/2 over TLS where the server offers it, certificates verified always, no redirects
 * followed, content codings removed.
 *
 * Everything but kt_upstream_new runs on the loop thread. Handler slots are called from the loop thread only;
 * inside a slot every function of this header may be called, for the same call or another one.
 */
#include "interceptor/loop/kt_loop.h"

#ifdef __cplusplus
extern "C" {
#endif

struct kt_upstream;
struct kt_call;

/* new. Touches no socket and no libcurl function before the first request. The loop is borrowed. */
kt_result kt_upstream_new(struct kt_loop *loop, struct kt_upstream **out) KT_MUST;
/* Loop thread, or after the loop's thread has ended. Calls under way are dropped; their handlers are not
 * called. NULL is fine. */
void kt_upstream_free(struct kt_upstream *u);
/* Any thread. Until when (monotonic) a fork had better wait: a thread of libcurl's has just begun to look up
 * a name, and may hold locks of the C library's resolver, which that reads its configuration under. Behind
 * that it waits for the network and holds none, for as long as it likes. 0 = no name was looked up yet. */
uint64_t kt_upstream_fork_ns(const struct kt_upstream *u);

/* In the child after a fork: forgets everything without a byte on the connections, which still belong to the
 * parent. The memory of libcurl's own state is left alone (freeing it would talk on those connections). The
 * fds are closed by the owner of kt_fds. */
void kt_upstream_abandon(struct kt_upstream *u);

enum kt_call_outcome {
    KT_CALL_OK,         /* a whole answer came */
    KT_CALL_TIMEOUT,    /* one of the four time limits */
    KT_CALL_CONNECTION, /* name, connect, reset, cut before the answer's end */
    KT_CALL_TLS,        /* handshake or certificate */
    KT_CALL_TOO_LARGE,  /* the answer's head is */
    KT_CALL_ABORTED     /* our own limit or an internal error */
};
const char *
kt_call_outcome_name(enum kt_call_outcome o); /* ok timeout connection_error tls_error too_large aborted */

struct kt_call_header {
    const char *name, *value; /* NUL-terminated; a name or value with CR or LF is refused */
};

/* Header fields of an answer as they came; names in the server's spelling (lower case with HTTP/2). */
struct kt_call_head {
    int status;
    const struct kt_call_header *headers; /* borrowed for the callback */
    size_t count;
};
/* First value of that name, ASCII case-insensitive; NULL = absent. */
const char *kt_call_head_get(const struct kt_call_head *h, const char *name);

struct kt_call_request {
    const char *method; /* copied */
    const char *url;    /* copied */
    const struct kt_call_header
        *headers; /* copied, wiped when the call is over; Host, Content-Length and Accept-Encoding are ours */
    size_t header_count;
    struct kt_span
        body; /* BORROWED until on_done or cancel; never sent twice, unless the method is GET or HEAD */
    const char *ca_file; /* copied; NULL: KT_UPSTREAM_CA_FILE or SSL_CERT_FILE of the environment, then the
                            system's */
    /* Milliseconds, 0 = none. connect covers name, TCP and TLS; first_byte runs from the start to the
     * answer's head, idle between two pieces of the body (not while paused), total over everything. */
    int64_t connect_ms, first_byte_ms, idle_ms, total_ms;
    bool stream; /* the answer comes in small pieces over a long time: a small buffer will do */
};

struct kt_call_handler {
    /* Once, at the final answer's head (1xx and proxy answers are swallowed). */
    void (*on_head)(void *arg, const struct kt_call_head *head);
    /* A piece of the body. Call kt_call_pause inside to stop further ones; this one is yours in any case. */
    void (*on_data)(void *arg, const char *data, size_t len);
    /* Once, last; the call is gone after it. `detail`: why, in our own words, without host or address, so
     * that anybody may be told; borrowed, may be empty. Not called after kt_call_cancel. */
    void (*on_done)(void *arg, enum kt_call_outcome outcome, const char *detail);
    void *arg;
};

/* Starts a request. On failure no slot is ever called: KT_ERR_USAGE (URL or header unusable), KT_ERR_MEMORY,
 * KT_ERR_IO. */
kt_result kt_upstream_call(struct kt_upstream *u, const struct kt_call_request *request,
                           const struct kt_call_handler *handler, struct kt_call **out) KT_MUST;
/* Ends a call at once, without a further slot. The connection goes with it (HTTP/2: only the stream). */
void kt_call_cancel(struct kt_call *c);
/* The owner has all it wants: no further slot is called, but the rest of the answer (at most 64 KiB, 1 s) is
 * read away so that the connection can serve again. The request's body may go at once: a call that has not
 * sent all of it is cancelled instead. */
void kt_call_release(struct kt_call *c);
void kt_call_pause(struct kt_call *c);
/* Data flows again from the next turn of the loop on; never from inside this call. */
void kt_call_resume(struct kt_call *c);

/* Where nothing but a byte of the answer can bring the call on: the watch that waits for it. NULL = there is
 * more to wait for. Borrowed until the loop goes on. */
struct kt_loop_watch *kt_call_waits_for(const struct kt_call *c);

/* What libcurl said about the failure, in on_done: for events and logs only, there are hosts, addresses and
 * ports in it. Borrowed, may be empty. */
const char *kt_call_library_says(const struct kt_call *c);

/* Connections that are open, for tests and diagnosis. */
size_t kt_upstream_sockets(const struct kt_upstream *u);

#ifdef __cplusplus
}
#endif
