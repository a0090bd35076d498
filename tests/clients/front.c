/* SPDX-License-Identifier: Apache-2.0 */
/* What stands in front of OpenSSL, as key logs and tracers do: a library to be preloaded, or a part of a
 * program. Tells at the end how often it was asked. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>

static int connects, writes, frees;

int SSL_connect(void *s)
{
    int (*next)(void *) = (int (*)(void *))dlsym(RTLD_NEXT, "SSL_connect");
    connects++;
    return next(s);
}

int SSL_write_ex(void *s, const void *data, size_t n, size_t *done)
{
    int (*next)(void *, const void *, size_t, size_t *) =
        (int (*)(void *, const void *, size_t, size_t *))dlsym(RTLD_NEXT, "SSL_write_ex");
    writes++;
    return next(s, data, n, done);
}

void SSL_free(void *s)
{
    void (*next)(void *) = (void (*)(void *))dlsym(RTLD_NEXT, "SSL_free");
    frees++;
    next(s);
}

__attribute__((destructor)) static void end(void)
{
    if (connects)
        printf("connect %d write %d free %d\n", connects > 0, writes > 0, frees);
}
