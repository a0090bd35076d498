/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The gateway: the engine behind a listener, for what cannot be preloaded. N event threads, each with its own
 * loop, flows and upstream; the first one accepts and hands each connection to the thread that has the
 * fewest.
 *
 *   listener -> flow -> token, limits -> exchange (as in a wrapped program) -> targets
 *
 * Any thread that is none of the gateway's own.
 */
#include "interceptor/engine/kt_engine.h"

#ifdef __cplusplus
extern "C" {
#endif

#define KT_GATEWAY_MAX_THREADS 64

struct kt_gateway;

struct kt_gateway_options {          /* borrowed for the call */
    const char *listen;              /* "ADDR:PORT", "[V6]:PORT", "localhost:PORT"; port 0 = a free one */
    unsigned threads;                /* 1 .. KT_GATEWAY_MAX_THREADS */
    unsigned max_concurrency;        /* exchanges at a time; 0 = no limit but the connections' */
    const struct kt_strings *tokens; /* of which clients must show one; none = anybody may come */
    const char *tls_cert, *tls_key;  /* PEM files; NULL = plain HTTP */
};

/* new. Listens and serves at once. The engine is borrowed and outlives it. Fails with `err`: KT_ERR_USAGE (an
 * option, a certificate), KT_ERR_IO (the address), KT_ERR_MEMORY. */
kt_result kt_gateway_new(struct kt_engine *e, const struct kt_gateway_options *o, struct kt_gateway **out,
                         struct kt_error *err) KT_MUST;
/* "http://127.0.0.1:8080". Borrowed. */
const char *kt_gateway_url(const struct kt_gateway *g);
uint16_t kt_gateway_port(const struct kt_gateway *g);
/* False where it can be reached from other machines. */
bool kt_gateway_is_local(const struct kt_gateway *g);
/* Reads the certificate again; the old one stays where that fails. */
kt_result kt_gateway_reload(struct kt_gateway *g, struct kt_error *err) KT_MUST;
/* From now on /readyz says 503, API calls are refused, connections end behind their answer. */
void kt_gateway_drain(struct kt_gateway *g);
/* Exchanges under way. */
unsigned kt_gateway_in_flight(const struct kt_gateway *g);
/* Breaks off what is still under way; its events are written. NULL is fine. */
void kt_gateway_free(struct kt_gateway *g);

#ifdef __cplusplus
}
#endif
