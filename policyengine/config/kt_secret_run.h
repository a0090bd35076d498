/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * secret_key_ref.command: a command line for /bin/sh -c that prints the key on its standard output. It runs
 * at most 10 seconds, may print 16 KiB, has no terminal, no standard input and none of our files, and is not
 * wrapped itself: LD_PRELOAD and KT_* are not in its environment. What it prints on standard error is
 * dropped. A result is kept as long as the config; a failure is tried again after 30 seconds.
 *
 * It is no child of the host program, which meets no SIGCHLD and no result of wait() that it did not make:
 * init (or the next subreaper) collects it.
 */
#include "policyengine/base/kt_buf.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { KT_SECRET_MAX = 16 * 1024 };

struct kt_secret_run;

#define KT_SECRET_TIME_NS 10000000000u

/* new, thread-safe; a command that runs longer than `limit_ns` is stopped. NULL on OOM. */
struct kt_secret_run *kt_secret_run_new(uint64_t limit_ns);
/* Ends a command that is still under way; wipes the key. NULL is fine. */
void kt_secret_run_free(struct kt_secret_run *r);
/* Starts the command where there is no result, takes in what it printed. True while it is under way; never
 * waits. */
bool kt_secret_run_step(struct kt_secret_run *r, const char *command);
/* new secret; waits for the rest of the command's time. Errors as kt_secret_resolve. */
kt_result kt_secret_run_get(struct kt_secret_run *r, const char *command, char **out,
                            struct kt_error *err) KT_MUST;

/* new: copies a key without the white space around it (files end in a newline) once it is fit for a header.
 * `kind` and `where` name its source in errors. */
kt_result kt_secret_accept(const char *value, size_t len, const char *kind, const char *where, char **out,
                           struct kt_error *err) KT_MUST;

#ifdef __cplusplus
}
#endif
