/* SPDX-License-Identifier: Apache-2.0 */
/* --gather WORD=N: calls that are answered only when N of them are there, which proves that they are made at
 * once. */
#include "tools/mock/mock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WAIT_NS 15000000000ull
#define LOOK_MS 2

kt_result mock_gather_add(struct mock_options *o, const char *text, struct kt_error *err)
{
    const char *equals = strrchr(text, '=');
    char *end = NULL;
    unsigned long n = equals ? strtoul(equals + 1, &end, 10) : 0;
    if (!equals || equals == text || *end || n < 2 || n > MOCK_MAX_CONNECTIONS)
        return kt_fail(err, KT_ERR_USAGE, "wants WORD=N with N from 2 to %d, not '%.60s'",
                       MOCK_MAX_CONNECTIONS, text);
    if (o->gathers == MOCK_MAX_GATHERS)
        return kt_fail(err, KT_ERR_USAGE, "at most %d", MOCK_MAX_GATHERS);
    o->gather[o->gathers++] = (struct mock_gather){text, (size_t)(equals - text), (unsigned)n, 0};
    return kt_ok();
}

/* The first N that come wait for each other, then the next N. */
static bool wait_for_others(struct mock_conn *c, struct mock_gather *g)
{
    unsigned place = __atomic_fetch_add(&g->here, 1, __ATOMIC_RELAXED);
    unsigned whole = place - place % g->count + g->count;
    for (uint64_t end = kt_now_mono_ns() + WAIT_NS; kt_now_mono_ns() < end && mock_pause(c, LOOK_MS);)
        if (__atomic_load_n(&g->here, __ATOMIC_RELAXED) >= whole)
            return true;
    return false;
}

bool mock_gathered(struct mock_conn *c, struct kt_span body)
{
    struct mock_gather *all = mock_server_gathers(c->server);
    bool there = true;
    for (size_t i = 0; i < c->o->gathers && body.len > 0 && there; i++)
        if (memmem(body.data, body.len, all[i].word, all[i].len))
            there = wait_for_others(c, &all[i]);
    return there;
}
