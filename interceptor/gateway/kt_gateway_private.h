/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The gateway, as the files of this folder share it. */
#include "interceptor/exchange/kt_prober.h"
#include "interceptor/gateway/kt_gateway.h"
#include "interceptor/telemetry/kt_metrics.h"
#include "interceptor/telemetry/kt_otlp.h"
#include "interceptor/upstream/kt_upstream.h"

#include <pthread.h>
#include <stdatomic.h>

struct kt_gateway_worker {
    struct kt_engine_ctx ctx; /* first: a flow's ctx is its worker */
    struct kt_gateway *g;
    struct kt_flows *flows;
    struct kt_otlp *otlp;
    struct kt_commit *commit;
    bool running;
};

struct kt_gateway_tokens {
    unsigned char (*digests)[32]; /* owned; SHA-256 of each token */
    size_t count;
};

struct kt_gateway {
    struct kt_engine *engine; /* borrowed */
    struct kt_gateway_worker *workers;
    size_t count;
    struct kt_metrics *metrics;
    struct kt_prober *prober; /* on the first worker */
    struct kt_gateway_tokens tokens;
    struct kt_flow_door door;

    char host[128], url[192];
    uint16_t port;
    bool local;
    struct kt_loop_watch accepting; /* the first worker's; owns the listening socket */
    struct kt_timer accept_again;
    size_t next; /* the first worker's */

    pthread_mutex_t tls_lock; /* tls */
    SSL_CTX *tls;             /* owned; NULL = plain */
    char *tls_cert, *tls_key; /* owned */

    unsigned max_concurrency;
    atomic_uint in_flight;
    atomic_bool draining;
    /* Answers that are no exchange's, by status; see gateway_metrics.c. */
    atomic_ullong refused[6];
    atomic_ullong connections;
};

/* gateway_listen.c */
kt_result kt_gateway_listen(struct kt_gateway *g, const char *where, struct kt_error *err) KT_MUST;
/* On the first worker's loop, or before it runs. */
kt_result kt_gateway_accept(struct kt_gateway *g) KT_MUST;
void kt_gateway_stop_accepting(struct kt_gateway *g);

/* gateway_call.c */
extern const struct kt_flow_service kt_gateway_service;
bool kt_gateway_may_speak(void *gateway,
                          const struct kt_request *head); /* by its token, and where it comes from */

/* gateway_auth.c */
kt_result kt_gateway_tokens_set(struct kt_gateway_tokens *t, const struct kt_strings *from) KT_MUST;
void kt_gateway_tokens_free(struct kt_gateway_tokens *t);
/* True where no token is asked for, or the request shows one. Takes as long whatever it shows. */
bool kt_gateway_admits(const struct kt_gateway_tokens *t, const struct kt_request *r);
/* A digest of the token that let it in; 0 = none is asked for. */
uint64_t kt_gateway_caller(const struct kt_gateway_tokens *t, const struct kt_request *r);

/* gateway_tls.c */
kt_result kt_gateway_tls_load(struct kt_gateway *g, struct kt_error *err) KT_MUST;
bool kt_gateway_identify(void *gateway, SSL *ssl);

/* gateway_pages.c: what the gateway answers itself */
/* NULL, or why no call could go well now; static or in `text`. */
const char *kt_gateway_unready(const struct kt_gateway_worker *w, char *text, size_t size);

/* gateway_metrics.c */
void kt_gateway_count_refused(struct kt_gateway *g, int status);
kt_result kt_gateway_metrics(const struct kt_gateway_worker *w, struct kt_buf *out) KT_MUST;
