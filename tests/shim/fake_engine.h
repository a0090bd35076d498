/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The parts of the engine that stands in for libktengine.so when the shim is tested alone. */
#include "interceptor/abi/kt_engine_abi.h"

#include <openssl/ssl.h>
#include <pthread.h>

/* fake_log.c: one line per event in $KT_FAKE_LOG. */
void fake_log(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* fake_ca.c: a CA per process, or the one that the plan's folder holds; leaves for any name. */
int fake_ca_open(const char *dir); /* makes dir/ca.pem and dir/ca.key where they are missing */
size_t fake_ca_der(const uint8_t **der);
SSL_CTX *fake_ca_server(const char *name); /* new */

/* fake_flow.c */
struct kt_abi_flow {
    struct kt_abi_flow *next;
    int fd, refs;
    char host[256];
    uint16_t port;
    SSL *ssl; /* NULL on plain connections */
    int has_random, open, dead, handed_off;
    uint8_t random[32];
    pthread_mutex_t lock; /* of ssl and what follows */
    size_t used;
    char in[1 << 20];
};
int fake_adopt(int fd, const struct kt_abi_origin *origin);
struct kt_abi_flow *fake_flow_by_random(const uint8_t random[32]);
ssize_t fake_flow_write(struct kt_abi_flow *f, const void *data, size_t len);
void fake_flow_release(struct kt_abi_flow *f);
void fake_flows_lock(void);
void fake_flows_unlock(void);
void fake_flows_stop(void);
void fake_flows_forget(void); /* in a forked child */

extern const struct kt_shim_host *fake_host;
