/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/ssl_api.h"

#include "shim/caller.h"

#include <stdlib.h>

#define MAX_APIS 8

static const char *const hook_names[KT_SSL_COUNT] = {
#define KT_SSL_FN(name) #name,
    KT_SSL_HOOKS(KT_SSL_FN)
#undef KT_SSL_FN
};

static const struct {
    const char *name;
    size_t offset;
    bool optional;
} parts[] = {
#define PART(name)                                                                                           \
    {                                                                                                        \
#name, offsetof(struct kt_ssl_api, name), false                                                      \
    }
#define OPTIONAL(name)                                                                                       \
    {                                                                                                        \
#name, offsetof(struct kt_ssl_api, name), true                                                       \
    }
    PART(SSL_get_servername),
    PART(SSL_get_rfd),
    PART(SSL_get_wfd),
    PART(SSL_ctrl),
    PART(SSL_is_server),
    PART(SSL_in_before),
    PART(SSL_is_init_finished),
    PART(SSL_get_client_random),
    PART(SSL_do_handshake),
    PART(SSL_get_verify_result),
    PART(SSL_write),
    PART(d2i_X509),
    PART(X509_free),
    PART(X509_STORE_new),
    PART(X509_STORE_add_cert),
    PART(X509_STORE_free),
    PART(ERR_clear_error),
    OPTIONAL(SSL_has_pending),
    OPTIONAL(SSL_get_shutdown),
    OPTIONAL(SSL_get_rbio),
    OPTIONAL(SSL_get_wbio),
    OPTIONAL(BIO_method_type),
    OPTIONAL(BIO_number_written),
    OPTIONAL(CRYPTO_get_ex_new_index),
    OPTIONAL(SSL_get_ex_new_index),
    OPTIONAL(SSL_get0_param),
    OPTIONAL(ERR_new),
    OPTIONAL(ERR_set_error),
    OPTIONAL(ERR_put_error),
    OPTIONAL(X509_VERIFY_PARAM_get1_ip_asc),
    OPTIONAL(CRYPTO_free),
#undef OPTIONAL
#undef PART
};

/* Lock-free: a lock here would nest with the loader's in both orders. */
static _Atomic(struct kt_ssl_api *) apis[MAX_APIS];

static struct kt_ssl_api *read_api(const void *near)
{
    struct kt_ssl_api *a = calloc(1, sizeof *a);
    if (!a)
        return NULL;
    a->complete = true;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        void *fn = kt_symbol_near(near, parts[i].name);
        *(void **)((char *)a + parts[i].offset) = fn;
        a->complete = a->complete && (fn || parts[i].optional);
    }
    return a;
}

static struct kt_ssl_api *known_api(const void *fn)
{
    const void *ctrl = kt_symbol_near(fn, "SSL_ctrl"), *store = kt_symbol_near(fn, "X509_STORE_new");
    for (int i = 0; i < MAX_APIS; i++) {
        struct kt_ssl_api *a = atomic_load(&apis[i]);
        if (a && (const void *)a->SSL_ctrl == ctrl && (const void *)a->X509_STORE_new == store)
            return a;
    }
    return NULL;
}

/* The record of the libssl that holds `fn`. A record is never freed: other threads may be in it. A library
 * that was unloaded and came back elsewhere gets a new one. */
static const void *describe(void *fn)
{
    struct kt_ssl_api *a = known_api(fn);
    if (a)
        return a;
    struct kt_ssl_api *fresh = read_api(fn);
    for (int i = 0; fresh && i < MAX_APIS; i++) {
        struct kt_ssl_api *none = NULL;
        if (atomic_compare_exchange_strong(&apis[i], &none, fresh))
            return fresh;
    }
    free(fresh);
    return NULL;
}

struct kt_ssl_target kt_ssl_resolve(enum kt_ssl_id id, const void *return_address)
{
    struct kt_found f = kt_caller_resolve(id, hook_names[id], return_address, describe);
    struct kt_ssl_target t = {f.fn, f.extra};
    return t;
}
