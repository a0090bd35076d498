/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/wrap_signals.h"

/* A kill of a group sets all its members' signals in one system call; timeout(1) and pkill(1) come one by
 * one. What kt had may still come to the keeper, for so long: */
#define ASKED_NS 50000000ull
/* What the keeper had comes from kt as soon as kt runs; only a signal to the keeper alone waits as long. */
#define OWN_NS 250000000ull

static bool known(int sig)
{
    return sig > 0 && sig < KT_SIGNALS;
}

bool kt_signals_asked(struct kt_signals *s, struct kt_signal_word word, bool left, uint64_t now)
{
    int sig = word.signal;
    if (!known(sig))
        return false;
    bool paired = s->own[sig] || (s->both[sig] && now - s->both[sig] < ASKED_NS);
    if (s->own[sig]) {
        s->own[sig] = 0;
        s->both[sig] = now;
    }
    if (left && word.sent && !s->asked[sig]) {
        s->both[sig] = now; /* the keeper's, if it comes, is the same */
        return true;
    }
    if (!paired && !s->asked[sig])
        s->asked[sig] = now;
    return false;
}

void kt_signals_own(struct kt_signals *s, int sig, uint64_t now)
{
    if (!known(sig))
        return;
    if (s->asked[sig] || (s->both[sig] && now - s->both[sig] < ASKED_NS)) {
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
