/* SPDX-License-Identifier: Apache-2.0 */
/* Watches that a guest waits for itself: then nobody is woken who would only wake the guest. */
#include "interceptor/loop/kt_loop_private.h"

#define LOAN_NS 400000000ull

static void unlink_loan(struct kt_loop *l, struct kt_loop_loan *loan)
{
    *(loan->prev ? &loan->prev->next : &l->loans) = loan->next;
    if (loan->next)
        loan->next->prev = loan->prev;
    *loan = (struct kt_loop_loan){.watch = NULL};
}

void kt_loop_loan_forget(struct kt_loop *l, struct kt_loop_watch *w)
{
    if (!w->loan)
        return;
    unlink_loan(l, w->loan);
    w->loan = NULL;
}

void kt_loop_loan_end(struct kt_loop *l, struct kt_loop_loan *loan)
{
    struct kt_loop_watch *w = loan->watch;
    if (!w)
        return;
    kt_loop_loan_forget(l, w);
    struct epoll_event ev = {.events = w->events, .data.ptr = w};
    epoll_ctl(l->epfd, EPOLL_CTL_MOD, w->fd, &ev); /* it never left the set, so there is room */
}

/* As many are lent as threads sleep. */
static void on_due(void *loop)
{
    struct kt_loop *l = loop;
    uint64_t now = kt_now_mono_ns(), oldest = now;
    for (struct kt_loop_loan *loan = l->loans, *next; loan; loan = next) {
        next = loan->next;
        if (now - loan->since_ns >= LOAN_NS)
            kt_loop_loan_end(l, loan);
        else if (loan->since_ns < oldest)
            oldest = loan->since_ns;
    }
    if (l->loans)
        kt_loop_timer_set(l, &l->loans_due, oldest + LOAN_NS);
}

bool kt_loop_lend(struct kt_loop *l, struct kt_loop_watch *w, struct kt_loop_loan *loan)
{
    if (!w->events || (w->loan && w->loan != loan))
        return false;
    uint64_t now = kt_now_mono_ns();
    if (w->loan) {
        loan->since_ns = now;
        return true;
    }
    kt_loop_loan_end(l, loan); /* of another watch */
    struct epoll_event ev = {.events = 0, .data.ptr = w};
    if (epoll_ctl(l->epfd, EPOLL_CTL_MOD, w->fd, &ev) != 0)
        return false;
    l->dropped = true; /* an event may be fetched already: the guest will find it */
    *loan = (struct kt_loop_loan){.watch = w, .since_ns = now, .next = l->loans};
    if (l->loans)
        l->loans->prev = loan;
    l->loans = loan;
    w->loan = loan;
    l->loans_due.fn = on_due;
    l->loans_due.arg = l;
    if (!l->loans_due.due_ns)
        kt_loop_timer_set(l, &l->loans_due, now + LOAN_NS);
    return true;
}

void kt_loop_loan_serve(struct kt_loop_loan *loan)
{
    struct kt_loop_watch *w = loan->watch;
    if (w)
        w->fn(w->arg, w->events);
}
