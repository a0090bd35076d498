/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside tools/supervise: the supervisor, as its files share it. */
#include "tools/supervise/filter.h"
#include "tools/supervise/kt_supervise.h"
#include "tools/supervise/names.h"
#include "tools/supervise/target.h"

#include <linux/seccomp.h>
#include <pthread.h>

#define ONCE_PER_PROCESS 16

struct told { /* a refusal that was reported */
    pid_t process;
    const char *detail;
};

struct kt_supervise {
    struct kt_supervise_options o;
    int pair[2];  /* parent's and child's end, until the program runs */
    int listener; /* -1 = none */
    char trouble[200];
    pthread_t thread;
    bool serving;

    pthread_mutex_t lock; /* the rest */
    struct names names;
    struct kt_engine *engine; /* NULL until first wanted */
    bool engine_failed;
    struct told told[ONCE_PER_PROCESS]; /* a ring */
    unsigned told_next;
    bool daemon_told;
};

/* Is this what the plan says? E.g. "fail_mode", "allow". */
bool supervise_plan_says(struct kt_supervise *s, const char *word, const char *value);

enum answer_kind { ANSWER_CONTINUE, ANSWER_ERROR, ANSWER_SENT };
struct answer {
    enum answer_kind kind;
    int error; /* ANSWER_ERROR: a positive errno; 0 = the call returns 0 */
};

/* engine.c; any thread */
/* The engine of this process; NULL where it cannot be had. Lives until kt_supervise_free. */
struct kt_engine *supervise_engine(struct kt_supervise *s);
/* new; whose thread `tid` is. NULL where it is gone, or without memory. */
struct kt_event_program *supervise_program(pid_t tid);
/* An event of its own, and a line in kt.log. `program` is borrowed; NULL: kt's own.
 * `passed`: it goes on whatever fail_mode says. */
void supervise_report(struct kt_supervise *s, const struct kt_event_program *program, bool passed,
                      const char *host, const char *detail);
/* The same, of the process of a thread. */
void supervise_report_of(struct kt_supervise *s, pid_t tid, bool passed, const char *host,
                         const char *detail);

/* daemon.c: whom a Unix socket leads to. Reported once; the connect goes on. */
void daemon_notice(struct kt_supervise *s, pid_t tid, const struct target_dest *d);

/* lost.c */
/* True where that is what this connect says. Then an event tells of it. */
bool lost_notice(struct kt_supervise *s, pid_t tid, const struct target_dest *d);

/* divert.c */
/* Connects the socket `fd`, a copy of the program's, to us, and gives our end to the engine. *error is the
 * errno that the program's connect must see, 0 = connected. False: the engine cannot take it. */
bool divert_to_engine(struct kt_supervise *s, pid_t tid, int fd, const char *host, uint16_t port, int *error);
/* A loopback connection for the socket `fd`: our end in *end. As above; *end is -1 unless one was made. */
int divert_connect(int fd, int *end);
/* A connect is under way or done on this socket. */
bool divert_is_under_way(int fd);
int divert_again(int fd);

/* pass.c */
/* Completes a connect to where the program means, in a thread where its socket waits. */
struct answer pass_on(struct kt_supervise *s, const struct seccomp_notif *n, int fd,
                      const struct target_dest *d);
/* Completes a connect to its origin. `host`: a name, or a literal. */
struct answer pass_connect(struct kt_supervise *s, const struct seccomp_notif *n, int fd, const char *host,
                           uint16_t port);

/* serve.c */
/* The thread: answers until no process uses the filter. */
void *serve(void *supervise);
void serve_answer(const struct kt_supervise *s, const struct seccomp_notif *n, struct answer a);

/* answer.c */
/* What is to be said to this call. */
struct answer answer_call(struct kt_supervise *s, const struct seccomp_notif *n);
/* Is the notification still waiting for its answer? False: its process is gone, or was interrupted. */
bool answer_is_wanted(const struct kt_supervise *s, const struct seccomp_notif *n);

/* hosts.c */
struct answer answer_open(struct kt_supervise *s, const struct seccomp_notif *n, unsigned path,
                          unsigned flags);

/* relay.c: --strict */
/* Completes a connect to an address that may be an intercepted host's: through us, so that its first bytes
 * are looked at. `host`: the intercepted literal that it is, or "". */
struct answer relay_connect(struct kt_supervise *s, const struct seccomp_notif *n, int fd,
                            const struct target_dest *d, const char *host);
/* Waits until what passes through us has been passed on. True where nothing is left. */
bool relay_settle(int timeout_ms);
