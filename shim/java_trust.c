/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/java_trust.h"

#include "shim/env.h"
#include "shim/plan.h"

#include <limits.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define OPTIONS_MAX 1024
#define STORE "-Djavax.net.ssl.trustStore"

/* The public ABI of JNI (jni.h), which needs no JDK to be built with. */
struct option {
    char *text;
    void *extra;
};
struct init_args {
    int32_t version, count;
    struct option *options;
    uint8_t ignore_unrecognized;
};
typedef int32_t create_fn(void **vm, void **env, void *args);

static _Atomic(create_fn *) real_create;
static char store[PATH_MAX + sizeof STORE + 1];
static char *added[] = {store, (char *)(uintptr_t)STORE "Password=changeit",
                        (char *)(uintptr_t)STORE "Type=PKCS12"};
#define ADDED ((int32_t)(sizeof added / sizeof added[0]))

/* Whoever names a store has chosen. */
static bool chosen(const struct init_args *a)
{
    for (int32_t i = 0; i < a->count; i++)
        if (a->options[i].text && strncmp(a->options[i].text, STORE "=", sizeof STORE) == 0)
            return true;
    static const char *const variables[] = {"JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS"};
    for (unsigned i = 0; i < sizeof variables / sizeof variables[0]; i++) {
        const char *v = kt_env_scan(environ, variables[i]);
        if (v && strstr(v, STORE "="))
            return true;
    }
    return false;
}

static int32_t create(void **vm, void **env, void *args)
{
    create_fn *real = atomic_load(&real_create);
    const struct init_args *given = args;
    struct option options[OPTIONS_MAX];
    if (!given || given->count < 0 || given->count > OPTIONS_MAX - ADDED || chosen(given))
        return real(vm, env, args);
    struct init_args more = *given;
    if (given->count > 0)
        memcpy(options, given->options, (size_t)given->count * sizeof *options);
    for (int32_t i = 0; i < ADDED; i++)
        options[more.count++] = (struct option){added[i], NULL};
    more.options = options;
    return real(vm, env, &more);
}

void *kt_java_create_for(void *real)
{
    create_fn *none = NULL, *fn;
    memcpy(&fn, &real, sizeof fn);
    const char *path = kt_plan_ready(KT_PLAN_READ) ? kt_plan_truststore_path() : NULL;
    if (!path || strlen(path) >= PATH_MAX || access(path, R_OK) != 0)
        return real;
    if (!atomic_compare_exchange_strong(&real_create, &none, fn))
        return none == fn ? (void *)create : real;
    snprintf(store, sizeof store, STORE "=%s", path);
    return (void *)create;
}
