/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What all wrapped processes of a user know together: how targets fare, whose turn it is, what is used up.
 *
 * One file, mapped by all of them, of fixed size and made of single 64-bit words that are only ever changed
 * whole. Nothing is ever locked, so that a process may be killed at any instruction: what it leaves behind is
 * a word from before or after its change. What it had taken for itself (a trial call, a lease) runs out by
 * time. Every word is checked when it is read: a file that somebody else wrote into gives odd routing at
 * worst.
 *
 * Where there can be no such file (read-only, full or network file system, foreign owner) the same structure
 * lives in memory that only this process and its fork children see; one warning says so.
 *
 * Any thread, any process; a fork child goes on using what it inherited. Times are given by the caller, so
 * that tests need no clock: kt_state_now_ms (since boot, sleep included: a breaker's pause passes while a
 * laptop sleeps, and no NTP step lengthens it) for all but spending, whose windows are calendar time and
 * outlive the boot.
 */
#include "policyengine/base/kt_base.h"

#ifdef __cplusplus
extern "C" {
#endif

struct kt_state;

/* new. Uses <state_dir>/state/, which it makes (0700). KT_ERR_MEMORY only: everything else degrades. */
kt_result kt_state_open(const char *state_dir, struct kt_state **out) KT_MUST;
/* No thread is inside any more. NULL is fine. */
void kt_state_free(struct kt_state *s);
/* False: only this process and its children see it. */
bool kt_state_is_shared(const struct kt_state *s);
/* Why it is not shared; "" where it is. Borrowed. */
const char *kt_state_problem(const struct kt_state *s);
/* Follows where the file was removed or put anew by somebody else, so that the process does not go on alone.
 * One stat per second at most; one thread at a time looks, the others go on. */
void kt_state_check(struct kt_state *s, uint64_t now_ms);

/* An audit event could not be written. The file is there already, so that this works where the disk is full.
 * NULL is fine. */
void kt_state_event_lost(struct kt_state *s);
/* Called for each event that is lost where no other process can see the count. */
void kt_state_on_lost(void (*fn)(void));
/* How many were, by all processes since the boot. */
uint64_t kt_state_lost_events(struct kt_state *s);

/*
 * Marks: which calls are under way. A call is marked when its request is whole and unmarked when its event is
 * written, so that one whose process is killed, or becomes another program, in between leaves its mark
 * behind. A mark belongs to the process that set it: a fork child inherits none. Where the table is full the
 * mark of a dead process gives way (kt_state_lost_events counts it), else the call is counted without a name.
 */
#define KT_RUN_DEPTH 4
struct kt_run_keys {
    uint64_t key[KT_RUN_DEPTH]; /* of the `kt wrap`s that a process runs under, outermost first; 0 = none */
};
/* `run` as KT_RUN has it ("outer/inner"); NULL or "" = none. Deeper ones count for the first three and for
 * the innermost. */
struct kt_run_keys kt_run_keys_of(const char *run);
uint64_t kt_run_key(const char *run); /* of the innermost; 0 = none */

struct kt_mark {
    void *place; /* NULL = nothing is marked */
    uint64_t owner;
};
#define KT_MARK_ORIGIN 64 /* bytes that are kept of it */
/* NULL `s` marks nothing. Any thread; a system call or two, no lock. */
struct kt_mark kt_mark_set(struct kt_state *s, const struct kt_run_keys *runs, const char *host,
                           uint16_t port, uint64_t real_ms);
/* Any thread of the process that set it. Twice is fine. */
void kt_mark_clear(struct kt_mark *m);

struct kt_left_mark {
    int pid;
    uint64_t began_ms; /* real time */
    char origin[KT_MARK_ORIGIN];
};
/* Takes out the marks of a run, and of the runs inside of it, whose processes are dead, and gives each to
 * `each`, once among all who ask. `run_key` 0: of processes that belong to no run. Returns how many marks
 * stay because their processes live. NULL `s` is fine. */
size_t kt_marks_collect(struct kt_state *s, uint64_t run_key,
                        void (*each)(void *arg, const struct kt_left_mark *mark), void *arg);
/* Has it any mark, of whatever process? */
bool kt_marks_any(struct kt_state *s, uint64_t run_key);
/* Calls under way without a place. */
uint64_t kt_marks_unlisted(struct kt_state *s);

/* CLOCK_BOOTTIME; CLOCK_REALTIME for spending. */
uint64_t kt_state_now_ms(void);
uint64_t kt_state_real_ms(void);

/* A key is a hash over the parts of an identity. Start with KT_KEY_SEED; "ab","c" differs from "a","bc". */
#define KT_KEY_SEED 1469598103934665603ull
uint64_t kt_key_text(uint64_t key, const char *text); /* NULL is a part of its own */
uint64_t kt_key_number(uint64_t key, uint64_t n);

/* ---- one target ---- */

struct kt_tstate;
/* Borrowed as long as `s` lives. NULL where `s` is NULL or the table is full (one warning): every function
 * below takes that as a target nothing is known of. */
struct kt_tstate *kt_state_target(struct kt_state *s, uint64_t key, uint64_t now_ms);

struct kt_breaker_rules {
    bool enabled;
    int64_t threshold;   /* failures in a row that open it */
    int64_t recovery_ms; /* how long it stays open the first time */
    int64_t trials; /* calls that may be under way while it is half open; so many must go well to close it */
    int64_t trial_ms; /* after that long a trial without a result counts as lost with its process */
};
#define KT_BREAKER_MAX_MS 600000    /* doubling stops there, or at recovery_ms where that is longer */
#define KT_BREAKER_ASKED_MS 3600000 /* a target's own wish (Retry-After) counts up to that */

enum kt_permit {
    KT_PERMIT_NO,
    KT_PERMIT_YES,
    KT_PERMIT_TRIAL /* half open: a result or kt_breaker_release is owed */
};
enum kt_breaker_state { KT_BREAKER_CLOSED, KT_BREAKER_OPEN, KT_BREAKER_HALF_OPEN };
/* As it stands now; *failures in a row, *wait_ms until a call would be let through (0 = now). May be NULL. */
enum kt_breaker_state kt_breaker_look(const struct kt_tstate *t, const struct kt_breaker_rules *r,
                                      uint64_t now_ms, unsigned *failures, int64_t *wait_ms);
/* May a call go out? *wait_ms as above. */
enum kt_permit kt_breaker_enter(struct kt_tstate *t, const struct kt_breaker_rules *r, uint64_t now_ms,
                                int64_t *wait_ms);
void kt_breaker_success(struct kt_tstate *t, const struct kt_breaker_rules *r, enum kt_permit p);
/* `asked_ms`: the target said when to come back (Retry-After); it takes the place of recovery_ms. -1 = it did
 * not. */
void kt_breaker_failure(struct kt_tstate *t, const struct kt_breaker_rules *r, enum kt_permit p,
                        uint64_t now_ms, int64_t asked_ms);
/* The call ended without saying anything about the target. */
void kt_breaker_release(struct kt_tstate *t, enum kt_permit p);

enum kt_sample_kind { KT_SAMPLE_TTFB /* ms */, KT_SAMPLE_SPEED /* tokens per second */ };
#define KT_SAMPLES_MAX 64 /* the newest so many of a kind are kept */
void kt_samples_add(struct kt_tstate *t, enum kt_sample_kind kind, double value, uint64_t now_ms);
struct kt_samples {
    unsigned count; /* within the window */
    double mean;    /* weighted: a sample loses half of its weight in a quarter of the window; 0 = none */
    uint64_t newest_age_ms; /* UINT64_MAX = none */
};
struct kt_samples kt_samples_read(const struct kt_tstate *t, enum kt_sample_kind kind, int64_t window_ms,
                                  uint64_t now_ms);
/* How long ago a call failed with none that went well since; UINT64_MAX = all is well. */
uint64_t kt_target_failing_ms(const struct kt_tstate *t, uint64_t now_ms);

/* ---- health probes: one prober per target on the machine ---- */

/* True where this process has, or gets, the lease for `lease_ms`. Taken from a holder that is dead at once,
 * from any other when its time is over. */
bool kt_lease_take(struct kt_tstate *t, uint64_t now_ms, int64_t lease_ms);
void kt_lease_drop(struct kt_tstate *t); /* where it is ours */
struct kt_probe {
    bool known, ok;
    unsigned failures; /* in a row */
    int status;        /* HTTP; 0 = none came */
    uint64_t age_ms;
};
void kt_probe_set(struct kt_tstate *t, bool ok, int status, uint64_t now_ms);
struct kt_probe kt_probe_get(const struct kt_tstate *t, uint64_t now_ms);

/* ---- whose turn it is ---- */

/* 0, 1, 2, ... over all processes. A full table counts per process. NULL `s` is fine. */
uint64_t kt_sequence_next(struct kt_state *s, uint64_t key, uint64_t now_ms);

/* ---- windows: how much of a limit is used ---- */

enum kt_window_kind {
    KT_WINDOW_RATE, /* now_ms since boot; gone with the boot */
    KT_WINDOW_SPEND /* now_ms since 1970: windows of whole days begin at midnight UTC; outlives the boot */
};
struct kt_window {
    enum kt_window_kind kind;
    uint64_t key;
    int64_t window_ms; /* > 0; fixed windows, back to back */
};
#define KT_WINDOW_MAX ((1ll << 44) - 1) /* largest amount */
struct kt_window_result {
    bool ok;         /* it was added */
    int64_t used;    /* before */
    int64_t left_ms; /* until the next window begins */
};
/* Adds `amount` where that does not exceed `limit`. Where even the process's own table is full, keys share
 * places: a limit may then bite too early, never too late. NULL `s`: always ok. */
struct kt_window_result kt_window_take(struct kt_state *s, const struct kt_window *w, uint64_t now_ms,
                                       int64_t amount, int64_t limit);
/* Corrects what was taken, e.g. an estimate by what it really was. Never below 0. A window that has passed is
 * left alone: `taken_ms` is the time of the take. */
void kt_window_settle(struct kt_state *s, const struct kt_window *w, uint64_t taken_ms, uint64_t now_ms,
                      int64_t delta);

#ifdef __cplusplus
}
#endif
