/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The supervise lane: a seccomp user notification filter over a whole process tree. It catches what the
 * preloaded shim cannot: static programs, raw system calls, processes whose preload was lost.
 *
 * Linux 5.14 or later, no privileges. One filter per tree: inside of another one's the caller gets EBUSY and
 * goes on under that.
 */
#include "interceptor/engine/kt_engine.h"

#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct kt_supervise_options { /* all borrowed until kt_supervise_free */
    struct kt_engine_options
        engine;       /* of the engine that takes the connections over; made when first wanted */
    const char *plan; /* the plan file of the tree */
    bool strict;
};

struct kt_supervise;

/* Before the fork. new. */
kt_result kt_supervise_new(const struct kt_supervise_options *o, struct kt_supervise **out) KT_MUST;
/* In the child: installs the filter, once the parent has said that it can serve one. True also where there is
 * none (kt_supervise_state tells the parent). False: the program must not run (strict). Keeps no fd. */
bool kt_supervise_child(struct kt_supervise *s);
/* In the parent, right after the fork: takes the filter's fd and starts the thread that serves it. */
void kt_supervise_parent(struct kt_supervise *s, pid_t child);
/* NULL where the tree is supervised, else why it is not. */
const char *kt_supervise_trouble(const struct kt_supervise *s);
/* Waits until no process of the tree is left; -1 = for ever. True where that is so, or nothing was
 * supervised.
 */
bool kt_supervise_wait(struct kt_supervise *s, int timeout_ms);
/* Ends the engine; the filter must be without users. */
void kt_supervise_free(struct kt_supervise *s);

/* NULL where this machine lets a program without privileges be supervised, else why not. Forks. */
const char *kt_supervise_probe(void);

#ifdef __cplusplus
}
#endif
