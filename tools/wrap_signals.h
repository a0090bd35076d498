/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Which signals of kt go on to its program. One that was sent to the whole process group (timeout, a shell, a
 * CI runner, a terminal) reached the program by itself, and a second SIGTERM means "at once" to many. No
 * siginfo tells; but kt and the keeper are in that group both: what came to both is not passed on. Times are
 * kt_now_mono_ns().
 */
#include "policyengine/base/kt_base.h"

#include <sys/types.h>

#define KT_SIGNALS 32 /* standard signals only */

/* What kt tells the keeper of a signal of its own. */
struct kt_signal_word {
    unsigned char signal;
    bool sent; /* by a process, not by the kernel or a terminal */
};

struct kt_signals {
    uint64_t asked[KT_SIGNALS]; /* kt had it then, and nobody knows yet about the keeper; 0 = no */
    uint64_t own[KT_SIGNALS];   /* the keeper had it then, and nobody knows yet about kt */
    uint64_t both[KT_SIGNALS];  /* last time that both had it */
};

/* kt had the signal. `left`: the program is in a group of its own, which the sender cannot have meant. True
 * where the program gets it at once. */
bool kt_signals_asked(struct kt_signals *s, struct kt_signal_word word, bool left, uint64_t now);
/* The keeper had it. */
void kt_signals_own(struct kt_signals *s, int signal, uint64_t now);
/* A signal that only one of them had, to be passed on now (and forgotten here); 0 where there is none. */
int kt_signals_due(struct kt_signals *s, uint64_t now);
/* Milliseconds until the next may be due; -1 where none waits. */
int kt_signals_wait_ms(const struct kt_signals *s, uint64_t now);
