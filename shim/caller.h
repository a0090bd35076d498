/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Which function would this caller have reached without us? RTLD_NEXT does not know: Python loads libssl
 * RTLD_LOCAL, and two versions of a library may live in one process. So the search goes through the link map
 * of the object that holds the return address. What was found is cached by (return address, id); reading the
 * cache takes no lock.
 */
#include <stdint.h>

struct kt_found {
    void *fn;          /* NULL: nowhere */
    const void *extra; /* what `describe` said about fn */
};

/* `describe` is asked once per cached place; it may be called by two threads at the same time. `id` < 64.
 * Keeps errno. */
struct kt_found kt_caller_resolve(unsigned id, const char *name, const void *return_address,
                                  const void *(*describe)(void *fn));

/* Something was or will be unloaded: drops the cache. */
void kt_caller_forget(void);

/* `name` as seen from the object that holds `address`; never one of our hooks. NULL where it has none. */
void *kt_symbol_near(const void *address, const char *name);
