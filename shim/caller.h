/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Which function would this caller have reached without us? RTLD_NEXT does not know: Python loads libssl
 * RTLD_LOCAL, and two versions of a library may live in one process. So the search goes through the link map
 * of the object that holds the return address. What was found is cached by (return address, id); reading the
 * cache takes no lock.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct kt_found {
    void *fn;          /* NULL: nowhere */
    const void *extra; /* what `describe` said about fn */
};

/* `describe` is asked once per cached place; it may be called by two threads at the same time. `id` < 64.
 * Keeps errno. */
struct kt_found kt_caller_resolve(unsigned id, const char *name, const void *return_address,
                                  const void *(*describe)(void *fn));

/*
 * The library function that a hook of this thread is calling now; NULL = none. Some functions jump to another
 * hooked one as their last act: then the return address is ours, and what is asked for lies near this one.
 * The inner call is not looked at: the outer one is.
 */
struct kt_inside { /* in the hook's frame: static TLS is scarce */
    const void *fn;
    uintptr_t
        seal; /* a signal handler may jump out of the hook: what is left in TLS then counts for nothing */
};
#define KT_SEAL(p) ((uintptr_t)(p) ^ (uintptr_t)0x6b74696e73696465ull)
/* What `p`, in the frame of a hook that calls us (or called, and is gone), holds is still whole. */
#define KT_SEALED(p) ((uintptr_t)__builtin_frame_address(0) < (uintptr_t)(p) && (p)->seal == KT_SEAL(p))
extern __thread const struct kt_inside *kt_inside __attribute__((tls_model("initial-exec")));
static inline __attribute__((always_inline)) const void *kt_inside_now(void)
{
    if (__builtin_expect(kt_inside == NULL, 1))
        return NULL;
    if (KT_SEALED(kt_inside))
        return kt_inside->fn;
    kt_inside = NULL;
    return NULL;
}
#define KT_INSIDE(p, called) (*(p) = (struct kt_inside){called, KT_SEAL(p)}, kt_inside = (p))
#define KT_CALLER() (kt_inside_now() ? kt_inside->fn : __builtin_return_address(0))

/* Something was or will be unloaded: drops the cache. */
void kt_caller_forget(void);

/* Is that function one of ours? */
bool kt_is_hook(const void *fn);

/* `name` as seen from the object that holds `address`; never one of our hooks. NULL where it has none. */
void *kt_symbol_near(const void *address, const char *name);
