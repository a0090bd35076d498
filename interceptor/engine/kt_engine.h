/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The engine of a process: config, CA, audit log, event thread, flows. The shim reaches it through
 * kt_engine_abi; `kt` and tests use it directly. Several may live in one process (tests); their fds share one
 * registry.
 *
 * Any function may be called by any thread but the engine's own, unless it says otherwise.
 */
#include "interceptor/abi/kt_engine_abi.h"
#include "interceptor/flow/kt_flow.h"
#include "interceptor/tap/kt_tap.h"

#ifdef __cplusplus
extern "C" {
#endif

struct kt_engine;

/* What is known of OpenSSL in this process. */
enum kt_openssl {
    KT_OPENSSL_GOOD,
    KT_OPENSSL_UNSURE, /* forked from a process with threads */
    KT_OPENSSL_STUCK   /* a lock of it is held by a thread that is not here; for ever, unless it was only slow
                        */
};

struct kt_engine_options {      /* all borrowed for the call; NULL = not set */
    const char *config_paths;   /* KT_POLICY_CONFIG */
    const char *mode;           /* KT_MODE */
    const char *fail_mode;      /* KT_FAIL_MODE */
    const char *state_dir;      /* KT_STATE_DIR */
    const char *plan;           /* KT_PLAN */
    const char *trace;          /* KT_TRACE; NULL leaves the trace as it is */
    const char *run;            /* KT_RUN */
    const char *lane;           /* static: what events call the way of adopted connections; NULL = divert */
    void (*guard_thread)(void); /* first call on the event thread; lives for ever */
    int (*forked)(void);        /* as of kt_shim_host; NULL = every child of a fork counts */
    enum kt_openssl openssl;
    uint64_t config_check_ns; /* 0 = once per second */
    bool compiles;            /* this process is there to compile patterns, too */
};
/* From the environment, as `host` (NULL = none) knows it. */
struct kt_engine_options kt_engine_options_from(const struct kt_shim_host *host);

/* new. Loads the config (a broken one is no failure: see kt_runtime.broken) and opens the audit log (one that
 * cannot be opened is no failure either: see kt_engine_ctx.audit). Starts no thread and opens no fd. */
kt_result kt_engine_new(const struct kt_engine_options *o, struct kt_engine **out,
                        struct kt_error *err) KT_MUST;
/* Stops first. Where the event thread does not end, everything is left as it is. */
void kt_engine_free(struct kt_engine *e);
/* Ends the event thread in bounded time; exchanges under way get their event. Nothing is adopted afterwards.
 * True where it ended. */
bool kt_engine_stop(struct kt_engine *e, unsigned timeout_ms);

/* False in a fork child where OpenSSL cannot be used, because another thread of the parent was inside of it:
 * no flow is taken there and no plan made, but events are written. The first question in a child takes 2 ms,
 * or 3 s where the answer is no. */
bool kt_engine_usable(struct kt_engine *e);

/* Takes `fd`, also on failure. The first one starts the event thread. */
kt_result kt_engine_adopt(struct kt_engine *e, int fd, const char *host, uint16_t port) KT_MUST;
/* The same for a connection of another process; takes a reference of `program` (NULL: this one). */
kt_result kt_engine_adopt_of(struct kt_engine *e, int fd, const char *host, uint16_t port,
                             struct kt_event_program *program) KT_MUST;
/* NULL = none. A reference: kt_flow_release. */
struct kt_flow *kt_engine_flow_by_random(struct kt_engine *e, const uint8_t random[32]);
/* kt_flow_wait. */
int kt_engine_flow_wait(struct kt_engine *e, struct kt_flow *f, enum kt_flow_wait how, uint64_t taken,
                        void *buf, size_t *len);
/* kt_flow_write, with its errno, that a fork waits for. */
ssize_t kt_engine_flow_write(struct kt_engine *e, struct kt_flow *f, const void *data, size_t len);

/* True where calls are only watched now, and can be: mode observe, a config and an audit log (or fail_mode
 * allow).
 */
bool kt_engine_taps(struct kt_engine *e);
/* As of kt_tap.h. The first one starts the event thread. */
uint64_t kt_engine_tap_open(struct kt_engine *e, const char *host, uint16_t port, bool tls);
void kt_engine_tap_data(struct kt_engine *e, uint64_t tap, enum kt_tap_dir dir, const void *data, size_t len);
void kt_engine_tap_close(struct kt_engine *e, uint64_t tap);
/* The process leaves: events of what was tapped, and of calls under way, are written. KT_ABI_EXIT ends the
 * engine, too; KT_ABI_EXEC_FAILED lets the calls go on. At most 100 ms. */
void kt_engine_settle(struct kt_engine *e, enum kt_abi_leave how);
/* Events "interrupted" for the calls of a run (as KT_RUN has it; NULL = of none) whose processes are dead
 * without having written one. *alive: how many are under way in processes that live. Returns how many it
 * wrote, or tried to. */
size_t kt_engine_report_cut(struct kt_engine *e, const char *run, size_t *alive);

/* The shared plan of this environment; made where none is current. */
kt_result kt_engine_make_plan(struct kt_engine *e, char *path, size_t size, struct kt_error *err) KT_MUST;
/* DER of the CA: that of the plan where there is one, else one in memory. Borrowed for ever; another one once
 * it has expired. Empty where none can be made. */
struct kt_span kt_engine_ca_der(struct kt_engine *e);
/* Writes an event at once. Static or short-lived texts; `host` may be NULL. */
void kt_engine_report(struct kt_engine *e, enum kt_abi_event what, const char *host, const char *detail);
/* The same of another process; `program` is borrowed (NULL: this one). */
void kt_engine_report_of(struct kt_engine *e, const struct kt_event_program *program, enum kt_abi_event what,
                         const char *host, const char *detail);
/* This thread is about to get a table of fds of its own: calls end as at exit, and the next one starts with
 * fds and a thread in the new table. False: the event thread did not end in time, and no call is taken any
 * more. */
/* False where the calling thread got a table of fds of its own unseen: kt_engine_split comes first. */
bool kt_engine_shares_fds(struct kt_engine *e);
bool kt_engine_split(struct kt_engine *e);
/* In a child where the engine cannot work: a mark, of which somebody makes an event when the child is dead.
 * No lock, no memory. */
void kt_engine_note_unseen(struct kt_engine *e, const char *host, uint16_t port);

/* fork, in this order. Between prepare and parent/child no thread is inside the engine. The child has no
 * flow, no event thread and no fd of the engine; the next adopt starts afresh. */
bool kt_engine_fork_prepare(struct kt_engine *e) KT_MUST;
void kt_engine_fork_parent(struct kt_engine *e);
void kt_engine_fork_child(struct kt_engine *e);

/* A new reference to the current runtime. */
struct kt_runtime *kt_engine_runtime(struct kt_engine *e);
size_t kt_engine_flow_count(struct kt_engine *e);

/* What further loops need that the caller runs itself: everything but loop and upstream, which are NULL. The
 * engine outlives them. Then there is no fork and no adopt. */
kt_result kt_engine_share(struct kt_engine *e, struct kt_engine_ctx *out) KT_MUST;
/* A look at the config's files at once, in this thread; `force`: reads them also where they did not change.
 */
void kt_engine_reload(struct kt_engine *e, bool force);

#ifdef __cplusplus
}
#endif
