/* SPDX-License-Identifier: Apache-2.0 */
/* Stands in front of OpenSSL, in the usual way: a library to preload, or a part of a program. Says at the end
 * which functions were called. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <openssl/ssl.h>
#include <stdio.h>

static int connects, frees;

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

int SSL_connect(SSL *s)
{
    connects = 1;
    return NEXT(SSL_connect)(s);
}

void SSL_free(SSL *s)
{
    frees = 1;
    NEXT(SSL_free)(s);
}

static __attribute__((destructor)) void at_end(void)
{
    if (connects)
        fprintf(stderr, "in front: %d %d\n", connects, frees);
}
