/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The engine, as the files of this folder share it. */
#include "interceptor/engine/kt_engine.h"
#include "interceptor/engine/kt_runtimes.h"
#include "interceptor/plan/kt_plan.h"
#include "interceptor/telemetry/kt_otlp.h"

#include <pthread.h>

#define KT_ENGINE_THROTTLE 32
#define KT_ENGINE_GIVEN 16

/* What a fork child or an expired CA leaves behind; reachable, never freed. */
struct kt_engine_leak {
    struct kt_engine_leak *next;
    void *what[3];
};

/* A thread that is about to exec, and the event thread, which writes the events for it. */
struct kt_engine_leaving {
    struct kt_loop_job job;
    pthread_mutex_t lock;
    pthread_cond_t done;
    unsigned asked, answered; /* under lock, as the next */
    bool back;                /* the exec failed */
    struct kt_mark
        given[KT_ENGINE_GIVEN]; /* connections that go to the other program, if there will be one */
    unsigned given_count;
};

struct kt_engine {
    char *config_paths, *mode, *fail_mode, *plan; /* owned; NULL = not set */
    void (*guard_thread)(void);
    int (*forked)(void); /* NULL = nobody can tell */
    struct kt_paths paths;
    struct kt_runtimes *runtimes;
    struct kt_engine_ctx ctx;
    struct kt_engine_leak *leaks;

    pthread_rwlock_t gate; /* read: a thread of the program is inside; written: a fork */

    pthread_mutex_t lock; /* everything below; never held while the event thread is waited for */
    struct kt_loop *loop;
    struct kt_flows *flows;
    struct kt_taps *taps;
    struct kt_prober *prober;
    struct kt_otlp *otlp;
    bool stopped;
    enum kt_openssl openssl;
    struct kt_engine_leaving leaving;
    struct kt_loop_job sweep, close;
    struct kt_ca *ca;
    struct kt_engine_throttle {
        uint64_t key, until_ns;
        unsigned more; /* left out since the last event of this kind and host */
        char host[128];
    } throttle[KT_ENGINE_THROTTLE];
};

/* kt_engine_gate.c */
void kt_engine_gate_init(struct kt_engine *e);
void kt_engine_enter(struct kt_engine *e);
void kt_engine_leave(struct kt_engine *e);

/* kt_engine_forked.c */
/* A thread tries all of OpenSSL that flows need: stuck where it did not come back in a few seconds. */
enum kt_openssl kt_openssl_after_fork(void (*on_start)(void));
/* The same for kt_sha256_prepare: with it events can be written, whatever else is stuck. */
bool kt_digest_after_fork(void (*on_start)(void));
/* Lock held. */
bool kt_engine_usable_locked(struct kt_engine *e);
/* In a fork child. */
void kt_engine_doubt(struct kt_engine *e);

/* kt_engine_leave.c */
void kt_engine_leaving_init(struct kt_engine *e);
void kt_engine_leaving_free(struct kt_engine *e);
#define KT_ENGINE_GIVEN_TEXT "this connection was given to another program by exec, and ends there"
/* The process may be about to become another program, with a connection to `host` that is of no use there. An
 * event by whoever finds that it did. False: nobody could tell later. */
bool kt_engine_give(struct kt_engine *e, const char *host);
/* Events for the calls of dead processes that belong to no `kt wrap`. */
void kt_engine_sweep(void *engine);

/* kt_engine_outer.c */
/* An event "unseen" in the log of the `kt wrap` that this process runs under, where that is not the log of
 * `state_dir`. The run must be known to kt_event_set_run. */
void kt_engine_tell_outer(const struct kt_engine_options *o, const char *state_dir);

/* kt_engine_lost.c */
void kt_engine_tell_supervisor(void);

/* kt_engine.c */
/* Borrowed; opened where nobody needed it before. NULL: no memory. Not with e->lock held. */
struct kt_state *kt_engine_state(struct kt_engine *e);

/* kt_engine_ca.c */
/* Any thread. Borrowed for ever; NULL where none can be made. */
struct kt_ca *kt_engine_ca(struct kt_engine *e);

/* kt_engine_event.c; any thread */
void kt_engine_event(void *engine, const char *event_type, const char *host, uint16_t port, int status,
                     const char *message);
void kt_engine_config_trouble(void *engine, const char *text);
/* Before the end: one event for what was left out of each kind and host. */
void kt_engine_report_more(struct kt_engine *e);
/* Adds config, mode and retention; the time and the program are ours where there is no time yet. */
void kt_engine_write_event(struct kt_engine *e, struct kt_event *ev);

/* kt_engine_loop.c */
/* As kt_engine_stop, where the process ends at once: allocates and frees nothing in this thread. */
bool kt_engine_end(struct kt_engine *e, unsigned timeout_ms) KT_MUST;
/* Loop thread: ends what is under way. */
void kt_engine_close_all(void *engine);
/* Lock held: the event thread runs after it. */
kt_result kt_engine_start(struct kt_engine *e) KT_MUST;
/* Keeps what must not be freed reachable. */
void kt_engine_leak(struct kt_engine *e, void *a, void *b, void *c);
