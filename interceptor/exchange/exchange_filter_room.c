/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A provider may number its progress, or name every event anew: each is the beginning of a text of its own,
 * and none says that it ends. A bounded number of them is waited for; the one that was silent for longest
 * ends where another one begins.
 */
#include "interceptor/exchange/kt_exchange_filter.h"

#include <string.h>

#define OPEN_MAX 32u

/* The channel that goes first; false where all of them have a piece in this event. */
static bool find_oldest(const struct kt_x_filter *f, size_t *oldest)
{
    uint64_t seen = f->asides;
    for (size_t i = 0; i < f->count; i++)
        if (f->channels[i].aside && f->channels[i].seen < seen) {
            seen = f->channels[i].seen;
            *oldest = i;
        }
    return seen < f->asides;
}

static void remove_channel(struct kt_x_filter *f, size_t at)
{
    kt_x_channel_free(&f->channels[at]);
    memmove(&f->channels[at], &f->channels[at + 1], (f->count - at - 1) * sizeof *f->channels);
    f->count--;
}

bool kt_x_aside_leave(struct kt_exchange *x, bool asked)
{
    struct kt_x_filter *f = &x->filter;
    if (!kt_x_filter_end_text(x, &f->channels[f->leaving], KT_X_ASKS_ROOM, asked))
        return false;
    remove_channel(f, f->leaving);
    return true;
}

bool kt_x_aside_room(struct kt_exchange *x, struct kt_x_channel *key)
{
    struct kt_x_filter *f = &x->filter;
    size_t open = 0;
    for (size_t i = 0; i < f->count; i++) {
        if (kt_x_same_text(&f->channels[i], key) && !f->channels[i].ended)
            return true;
        open += f->channels[i].aside && !f->channels[i].whole;
    }
    if (open < OPEN_MAX)
        return true;
    if (find_oldest(f, &f->leaving))
        return kt_x_aside_leave(x, false);
    key->whole = true;
    return true;
}
