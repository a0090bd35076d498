/* SPDX-License-Identifier: Apache-2.0 */
#include "interceptor/loop/kt_timers.h"

/* `prev` of a first child is its parent, of others the sibling before; NULL for the root. */

static bool before(const struct kt_timer *a, const struct kt_timer *b)
{
    return a->due_ns != b->due_ns ? a->due_ns < b->due_ns : a->seq < b->seq;
}

/* Joins two heaps, either of them NULL. The loser becomes the winner's first child. */
static struct kt_timer *meld(struct kt_timer *a, struct kt_timer *b)
{
    if (!a || !b)
        return a ? a : b;
    if (before(b, a)) {
        struct kt_timer *t = a;
        a = b;
        b = t;
    }
    b->next = a->child;
    if (b->next)
        b->next->prev = b;
    b->prev = a;
    a->child = b;
    return a;
}

/* Joins a list of siblings in two passes without recursion: pairs from the left, then all from the right. */
static struct kt_timer *meld_list(struct kt_timer *first)
{
    struct kt_timer *pairs = NULL;
    while (first) {
        struct kt_timer *a = first, *b = a->next;
        first = b ? b->next : NULL;
        a->next = a->prev = NULL;
        if (b)
            b->next = b->prev = NULL;
        struct kt_timer *m = meld(a, b);
        m->next = pairs;
        pairs = m;
    }
    struct kt_timer *root = NULL;
    while (pairs) {
        struct kt_timer *next = pairs->next;
        pairs->next = NULL;
        root = meld(root, pairs);
        pairs = next;
    }
    return root;
}

void kt_timers_add(struct kt_timers *h, struct kt_timer *t, uint64_t due_ns)
{
    t->due_ns = due_ns;
    t->seq = h->seq++;
    t->child = t->next = t->prev = NULL;
    h->root = meld(h->root, t);
}

void kt_timers_remove(struct kt_timers *h, struct kt_timer *t)
{
    struct kt_timer *below = meld_list(t->child);
    if (t == h->root) {
        h->root = below;
    } else {
        if (t->prev->child == t)
            t->prev->child = t->next;
        else
            t->prev->next = t->next;
        if (t->next)
            t->next->prev = t->prev;
        h->root = meld(h->root, below);
    }
    t->child = t->next = t->prev = NULL;
    t->due_ns = 0;
}
