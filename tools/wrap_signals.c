/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/wrap_signals.h"

#include <signal.h>

/* A kill of a group sets all its members' signals in one system call; timeout(1) and pkill(1) come one by
 * one. What kt had may still come to the keeper, for so long: */
#define ASKED_NS 50000000ull
/* What the keeper had comes from kt as soon as kt runs; only a signal to the keeper alone waits as long. */
#define OWN_NS 250000000ull

static bool known(int sig)
{
    return sig > 0 && sig < KT_SIGNALS;
}

static bool stops(int sig)
{
    return sig == SIGTSTP || sig == SIGTTIN || sig == SIGTTOU;
}

static void forget(struct kt_signals *s, int sig)
{
    s->asked[sig] = s->own[sig] = 0;
}

/* As the kernel does: who is to go on is not to stop for what came before, and the other way round. */
static void undo(struct kt_signals *s, int sig)
{
    if (stops(sig))
        forget(s, SIGCONT);
    for (int other = 1; other < KT_SIGNALS && sig == SIGCONT; other++)
        if (stops(other))
            forget(s, other);
}

static bool recent(const struct kt_signals *s, int sig, uint64_t now)
{
    return s->both[sig] && now - s->both[sig] < ASKED_NS;
}

bool kt_signals_asked(struct kt_signals *s, struct kt_signal_word word, bool left, uint64_t now)
{
    int sig = word.signal;
    if (!known(sig))
        return false;
    undo(s, sig);
    bool paired = s->own[sig] != 0, done = recent(s, sig, now);
    s->own[sig] = 0;
    if (done || s->asked[sig])
        return false;
    if (paired || (left && word.sent))
        s->both[sig] = now; /* of `left` the keeper's is the same, if it comes */
    else
        s->asked[sig] = now;
    return left && word.sent;
}

void kt_signals_own(struct kt_signals *s, int sig, uint64_t now)
{
    if (!known(sig))
        return;
    undo(s, sig);
    if (s->asked[sig] || recent(s, sig, now)) {
        s->asked[sig] = 0;
        s->both[sig] = now;
    } else if (!s->own[sig]) {
        s->own[sig] = now;
    }
}

int kt_signals_due(struct kt_signals *s, uint64_t now)
{
    for (int sig = 1; sig < KT_SIGNALS; sig++) {
        if (s->asked[sig] && now - s->asked[sig] >= ASKED_NS) {
            s->asked[sig] = 0;
            return sig;
        }
        if (s->own[sig] && now - s->own[sig] >= OWN_NS) {
            s->own[sig] = 0;
            s->both[sig] = now;
            if (!stops(sig) && sig != SIGCONT) /* kt stopped with the one, and has not come to tell */
                return sig;
        }
    }
    return 0;
}

static uint64_t sooner(uint64_t best, uint64_t since, uint64_t length, uint64_t now)
{
    uint64_t left = since + length > now ? since + length - now : 0;
    return since && left < best ? left : best;
}

int kt_signals_wait_ms(const struct kt_signals *s, uint64_t now)
{
    uint64_t best = UINT64_MAX;
    for (int sig = 1; sig < KT_SIGNALS; sig++) {
        best = sooner(best, s->asked[sig], ASKED_NS, now);
        best = sooner(best, s->own[sig], OWN_NS, now);
    }
    return best == UINT64_MAX ? -1 : (int)(best / 1000000) + 1;
}
