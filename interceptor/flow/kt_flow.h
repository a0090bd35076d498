/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Flows: the plaintext HTTP conversations with the program, each over one adopted loopback connection.
 *
 *   connection -> first byte (0x16 = TLS) -> TLS end or plain -> HTTP requests -> exchanges -> answers back
 *
 * A request comes in over the connection (divert: on the loop thread) or through kt_flow_write (handoff: in
 * the program's thread); the answer always leaves over the connection, from the loop thread.
 */
#include "interceptor/exchange/kt_exchange.h"
#include "interceptor/tls/kt_ca.h"

#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define KT_FLOW_PAUSE_BYTES (1u << 20)   /* a backlog past this asks the exchange to pause */
#define KT_FLOW_QUEUE_BYTES (256u << 20) /* hard: past it the connection is broken off */
#define KT_FLOW_START_SECONDS 60         /* for the first byte and the TLS handshake, each */
#define KT_FLOW_LINGER_MS 2000           /* for the client to read the last answer after an error */
#define KT_FLOWS_MAX 16384               /* at a time, per process */

/* What flows do with requests. The slots are the functions of kt_exchange.h; a table, so that flows can be
 * tested alone. */
struct kt_flow_service {
    kt_result (*open)(struct kt_engine_ctx *ctx, struct kt_request *request,
                      const struct kt_exchange_origin *origin, struct kt_exchange **out);
    void (*prepare)(struct kt_exchange *x);
    void (*start)(struct kt_exchange *x, const struct kt_reply_sink *sink);
    void (*client_gone)(struct kt_exchange *x);
    void (*writable)(struct kt_exchange *x);
    void (*drop)(struct kt_exchange *x); /* prepared, never to be started */
    struct kt_loop_watch *(*waits_for)(
        const struct kt_exchange *x); /* may be NULL: nobody need wait for it */
    /* Any thread. May be NULL. True: to serve a request now may take seconds, which only the loop's own
     * thread has, and no guest of the program's, whose signals wait. */
    bool (*is_busy)(struct kt_engine_ctx *ctx);
};

/* A listener's flows: their clients came by themselves and may be anybody. */
struct kt_flow_door {
    const char *lane; /* static */
    bool tls;         /* nothing but TLS is served; else nothing but plain HTTP */
    /* Gives the SSL its certificate, whatever name it asks for. Loop thread. */
    bool (*identify)(void *owner, SSL *ssl);
    /* False: who asks so is turned away, and its body is not read; the service is told all the same. Any
     * thread. */
    bool (*admits)(void *owner, const struct kt_request *head);
    uint64_t idle_ns;    /* between two requests */
    uint64_t head_ns;    /* for a whole head, from its first byte on */
    uint64_t piece_ns;   /* between two pieces of a body */
    uint64_t request_ns; /* for a whole request */
    uint64_t stall_ns;   /* for a client that takes nothing of its answer */
};

struct kt_flows_options {
    const struct kt_flow_door *door;       /* borrowed for ever; NULL: flows of a wrapped program */
    struct kt_engine_ctx *ctx;             /* borrowed; its loop carries the flows */
    const struct kt_flow_service *service; /* borrowed */
    void *owner;                           /* for the slots below */
    struct kt_ca *(*ca)(void *owner);      /* borrowed for ever; NULL = none: TLS is refused. Loop thread. */
    size_t (*max_body)(void *owner);       /* bytes; any thread */
    /* "client_distrusts" or "request_refused": something that is no exchange. Any thread. */
    void (*event)(void *owner, const char *event_type, const char *host, uint16_t port, int status,
                  const char *message);
};

struct kt_flows;
struct kt_flow;

/* new. Copies `options`. */
kt_result kt_flows_new(const struct kt_flows_options *options, struct kt_flows **out) KT_MUST;
/* After the loop has ended and kt_flows_close ran. Handoff references may still be there: they keep what they
 * need. */
void kt_flows_free(struct kt_flows *fs);
/* Loop thread: refuses further flows and closes all; exchanges under way learn that their client is gone. */
void kt_flows_close(struct kt_flows *fs);
/* Fork child: every flow is dead at once and nothing is freed or sent (the connections are the parent's). */
void kt_flows_forget(struct kt_flows *fs);
size_t kt_flows_count(const struct kt_flows *fs);
/* Any thread: every connection ends behind its next answer. */
void kt_flows_drain(struct kt_flows *fs);

/* Any thread. Takes `fd`, also on failure. `host` is copied. */
kt_result kt_flows_adopt(struct kt_flows *fs, int fd, const char *host, uint16_t port) KT_MUST;
/* The same for a connection of another process; takes a reference of `program` (NULL: this one). */
kt_result kt_flows_adopt_of(struct kt_flows *fs, int fd, const char *host, uint16_t port,
                            struct kt_event_program *program) KT_MUST;
/* Any thread. A new reference to the flow whose ClientHello carried this random; NULL = none. */
struct kt_flow *kt_flows_by_random(struct kt_flows *fs, const uint8_t random[32]);
/* Any thread but the loop's. Returns len, or -1 with errno EPIPE where the flow is gone. Runs the request
 * chain here, and sends the request on where the loop's thread sleeps. What comes behind a request that is
 * not answered yet is dropped, and the connection ends after that answer. */
ssize_t kt_flow_write(struct kt_flow *f, const void *data, size_t len);
/*
 * Any thread but the loop's; the thread is about to sleep until a byte of its answer comes over the
 * connection. An fd: sleep until that one is readable, or the connection; the loop looks at it no more. -1:
 * read the connection now. Behind the sleep:
 */
enum kt_flow_wait {
    KT_FLOW_WAIT_BEGIN, /* nothing came for a second at most, or there was no sleep yet */
    KT_FLOW_WAIT_READY, /* the fd is: what came is dealt with here */
    KT_FLOW_WAIT_END    /* no further sleep; the answer is -1 */
};
/* `buf` takes at most *len bytes of the answer in the connection's place; *len becomes their number, and -1
 * is the answer where there are some. Only where nothing is on its way over the connection: `taken` bytes in
 * all were read from it. */
int kt_flow_wait(struct kt_flow *f, enum kt_flow_wait how, uint64_t taken, void *buf, size_t *len);
void kt_flow_release(struct kt_flow *f);

#ifdef __cplusplus
}
#endif
