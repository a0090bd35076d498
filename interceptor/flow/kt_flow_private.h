/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * One flow, as the files of this folder share it.
 *
 * Three owners of fields: the loop thread (connection, answer), whoever holds in_lock (the request under
 * way), and atomics between them. The loop thread never waits for in_lock: its holder may be a thread of the
 * program inside the chain.
 */
#include "interceptor/flow/kt_flow.h"
#include "interceptor/tls/kt_ca.h"

#include <pthread.h>
#include <stdatomic.h>

#define KT_FLOW_READ_BYTES 16384
#define KT_FLOW_MAP_BUCKETS 1024
#define KT_FLOW_TRUSTED 16               /* hosts */
#define KT_FLOW_AHEAD_BYTES (256u << 10) /* of pipelined requests */

enum kt_flow_phase {
    KT_PHASE_DETECT,    /* no byte yet */
    KT_PHASE_HANDSHAKE, /* TLS */
    KT_PHASE_OPEN,
    KT_PHASE_LINGER, /* our side is shut; the client's bytes are thrown away until it closes */
    KT_PHASE_CLOSED
};

/* What happens to further request bytes. */
enum kt_flow_input {
    KT_INPUT_OPEN,    /* they belong to the next request */
    KT_INPUT_BUSY,    /* a request is complete and not answered: they wait */
    KT_INPUT_DISCARD, /* thrown away; the connection ends behind the answer under way */
    KT_INPUT_SHUT     /* the connection is gone */
};

enum kt_flow_signal {
    KT_SIGNAL_CONTINUE = 1,
    KT_SIGNAL_START = 2,
    KT_SIGNAL_REFUSE = 4,
    KT_SIGNAL_AWAKE = 8 /* a loan ends, nothing is held */
};                      /* input -> loop thread */
enum kt_flow_work {
    KT_WORK_ADOPT = 1,
    KT_WORK_FLUSH = 2,
    KT_WORK_READ = 4,
    KT_WORK_NEXT = 8 /* a pipelined request */
};                   /* loop thread, later */
enum kt_flow_framing { KT_FRAME_NONE, KT_FRAME_LENGTH, KT_FRAME_CHUNKED, KT_FRAME_CLOSE };

/* What the answer must know of its request. */
struct kt_flow_asked {
    bool head;       /* HEAD: no body */
    bool keep_alive; /* the client would go on */
    int minor;
};

/* A thread that waits in a read of the connection, on which nothing is under way to it. */
struct kt_flow_reader {
    char *buf;
    size_t room, got;
};

struct kt_flow {
    struct kt_flows *fs;              /* a reference */
    atomic_uint refs;                 /* the loop's one, each handoff's, each queued job's */
    char *host;                       /* owned */
    struct kt_event_program *program; /* a reference; NULL = this process */
    uint16_t port;
    bool tls; /* set once, before anybody else can find the flow */

    /* loop thread */
    enum kt_flow_phase phase;
    struct kt_loop_watch watch; /* its fd is the flow's; owned */
    struct kt_timer timer;
    struct kt_flow *next, *prev;
    SSL *ssl;   /* owned; NULL = plain */
    bool hello; /* a ClientHello came */
    enum kt_ca_kind leaf;
    bool reported;    /* an event says why the client left */
    bool half_closed; /* its side has ended: no further request, but on a plain connection the answers to
                         those that came may be wanted */
    bool fin;         /* ... and by a FIN, behind which epoll has nothing to tell */
    struct kt_timer peer_timer;
    struct kt_buf out;     /* encoded bytes of the answer */
    size_t out_at;         /* of which so many have left */
    size_t out_held;       /* and so many at the end must wait for the answer's end */
    bool pushed;           /* this turn's first piece has left */
    bool failed;           /* the connection cannot be written */
    bool close_after;      /* end the connection when `out` has left */
    bool abortive;         /* ... so that the client sees a broken answer */
    struct kt_exchange *x; /* under way; owns itself */
    struct kt_flow_asked asked;
    enum kt_flow_framing framing;
    uint64_t left;       /* KT_FRAME_LENGTH: body bytes to come */
    uint64_t moved_ns;   /* with a door: when bytes came or left last */
    uint64_t request_ns; /* with a door: when the request under way began; 0 = none is */
    struct kt_loop_job work;
    unsigned work_bits;            /* of enum kt_flow_work */
    uint64_t sent;                 /* bytes that have left over the connection */
    struct kt_flow_reader *reader; /* takes what leaves, in the connection's place; NULL = none */
    struct kt_loop_loan loan;      /* of the watch that the answer under way waits for */
    bool holds;                    /* what would leave waits for the next read */
    bool sure;                     /* which came the last time */
    unsigned misses;               /* and did not come so many times */
    uint64_t held_ns;

    /* map of randoms, under its lock */
    uint8_t random[32];
    bool mapped;
    struct kt_flow *map_next;

    /* input */
    pthread_mutex_t in_lock;
    struct kt_http_parser *parser; /* in_lock */
    bool handoff;                  /* in_lock: bytes of this request came through kt_flow_write */
    struct kt_buf ahead;           /* in_lock: requests behind the one under way */
    bool ahead_handoff;            /* in_lock: they came through kt_flow_write */
    atomic_bool waits;             /* `ahead` holds something */
    atomic_int input;              /* enum kt_flow_input */
    atomic_bool spoken;            /* a byte of a request came, in whichever lane */
    atomic_bool lent;              /* a thread of the program was given a loan; its */
    atomic_bool held;              /* something waits for a read; the loop thread's */
    atomic_ulong writer;           /* pthread_t of the program's thread that wrote last */
    atomic_bool reads;             /* that thread began a read that sleeps */
    atomic_uint signals;           /* of enum kt_flow_signal */
    struct kt_loop_job in_job;
    /* Written before a signal is raised, read by the loop thread behind it. */
    struct kt_exchange *ready;
    struct kt_flow_asked ready_asked;
    int refuse_status;
    const char *refuse_text, *refuse_code; /* static, or too_large */
    char too_large[80];
};

struct kt_flows {
    struct kt_flows_options o;
    struct kt_loop *loop;
    atomic_uint refs; /* the owner's and each flow's */
    atomic_uint count;
    atomic_bool draining;
    atomic_bool warm;                /* a request was started */
    atomic_bool forgotten;           /* by a fork child */
    bool closing;                    /* loop thread */
    struct kt_flow *first;           /* loop thread, as all up to hold_watch */
    char *trusted[KT_FLOW_TRUSTED];  /* owned: hosts to which closed TLS flows spoke */
    unsigned trusted_next;           /* place in it that is used next */
    size_t held;                     /* flows of which something waits for a read */
    unsigned lost;                   /* reads that did not come, in 64ths */
    bool ticks;                      /* the timer is set */
    struct kt_loop_watch hold_watch; /* a timer for these; fn is NULL before the first */
    SSL_CTX *front;                  /* every TLS end starts with it, then gets its leaf by SNI */
    BIO_METHOD *bio;
    char scratch[KT_FLOW_READ_BYTES]; /* loop thread */
    pthread_mutex_t map_lock;
    struct kt_flow *map[KT_FLOW_MAP_BUCKETS];
};

/* kt_flows.c */
void kt_flow_ref(struct kt_flow *f);
void kt_flows_map(struct kt_flow *f, const uint8_t random[32]);
void kt_flows_unmap(struct kt_flow *f);
void kt_flows_link(struct kt_flow *f);
void kt_flows_unlink(struct kt_flow *f);

/* kt_flow_trust.c; loop thread */
/* True where this program has sent a request to that host over TLS: what leaves without one now was not
 * needed. */
bool kt_flow_is_trusted(const struct kt_flow *f);
/* The flow ends. */
void kt_flow_trust_note(const struct kt_flow *f);
void kt_flow_trust_free(struct kt_flows *fs);

/* kt_flow.c: the connection's life; loop thread */
/* Queues `bits` of work for behind the current callback; safe inside a sink slot. */
void kt_flow_defer(struct kt_flow *f, unsigned bits);
void kt_flow_work(void *flow);
void kt_flow_ready(void *flow, uint32_t events);
/* Ends everything at once; an exchange learns that its client is gone. Never inside a sink slot. */
void kt_flow_close(struct kt_flow *f);

/* kt_flow_peer.c; loop thread */
/* Behind a FIN of the client: true where a program on this machine still holds the other end; it is watched
 * from here on, and the flow closed once none does. */
bool kt_flow_peer_waits(struct kt_flow *f);
void kt_flow_peer_forget(struct kt_flow *f);

/* kt_flow_clock.c: how long a door waits for its clients; loop thread */
void kt_flow_clock_start(struct kt_flow *f); /* the flow is open */
void kt_flow_clock_read(struct kt_flow *f);  /* bytes came and were fed */
void kt_flow_clock_stall(struct kt_flow *f); /* the client does not take what is there for it */

/* kt_flow_tls.c; loop thread */
kt_result kt_flow_tls_setup(struct kt_flows *fs) KT_MUST;
void kt_flow_tls_teardown(struct kt_flows *fs);
kt_result kt_flow_tls_begin(struct kt_flow *f) KT_MUST;
enum kt_flow_io {
    KT_IO_DONE,
    KT_IO_AGAIN,
    KT_IO_ENDED,
    KT_IO_GONE
}; /* ENDED: close_notify, or FIN on a plain connection. GONE: else */
enum kt_flow_io kt_flow_tls_handshake(struct kt_flow *f);
enum kt_flow_io kt_flow_tls_read(struct kt_flow *f, char *buf, size_t size, size_t *got);
enum kt_flow_io kt_flow_tls_write(struct kt_flow *f, const char *data, size_t len, size_t *sent);

/* kt_flow_output.c; loop thread */
enum kt_flow_io kt_flow_read(struct kt_flow *f, char *buf, size_t size, size_t *got);
/* Room for all or nothing; where there is none the flow fails. */
void kt_flow_queue(struct kt_flow *f, const void *data, size_t len);
size_t kt_flow_backlog(const struct kt_flow *f);
/* Writes what may leave now. Calls nobody; errors set `failed`. */
void kt_flow_flush(struct kt_flow *f);
/* Tells epoll what the flow waits for. */
void kt_flow_watch(struct kt_flow *f);

/* kt_flow_input.c */
/* in_lock held. Takes all bytes. */
void kt_flow_feed(struct kt_flow *f, const char *data, size_t len, bool handoff);
void kt_flow_signalled(void *flow); /* loop thread */
/* Loop thread, outside of a sink slot: an answer is out, the request behind it begins. */
void kt_flow_next(struct kt_flow *f);

/* The loop thread must hear of it. False where the loop is gone. */
bool kt_flow_raise(struct kt_flow *f, unsigned signal);

/* kt_flow_hold.c; loop thread */
/* Any thread: it begins a read that sleeps. */
void kt_flow_hold_learn(struct kt_flow *f);
/* No time for a guest (is_busy of the service). Any thread. */
bool kt_flow_busy(const struct kt_flow *f);
/* A read came for what was held. */
void kt_flow_hold_took(struct kt_flow *f);
/* Around what a thread of the program does with its request as the loop's guest: holds what leaves meanwhile.
 */
void kt_flow_hold_begin(struct kt_flow *f);
void kt_flow_hold_settle(struct kt_flow *f);
/* True where nothing may leave now. */
bool kt_flow_hold_on(struct kt_flow *f);
/* It may leave from here on; the caller sees to that. */
void kt_flow_hold_drop(struct kt_flow *f);
void kt_flow_hold_close(struct kt_flows *fs); /* behind the last flow */

/* kt_flow_reply.c; loop thread */
void kt_flow_start(struct kt_flow *f);
void kt_flow_refusal(struct kt_flow *f);
