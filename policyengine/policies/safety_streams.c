/* SPDX-License-Identifier: Apache-2.0 */
/* The segments of an answer that come in windows. What one that is over held serves the next: a stream may
 * begin any number of them. */
#include "policyengine/policies/safety_filter.h"

#include <stdlib.h>

void safety_streams_close(struct safety_state *s)
{
    for (size_t i = 0; i < s->count; i++)
        safety_look_close(&s->streams[i].look);
    free(s->streams);
    s->streams = NULL;
    s->count = s->cap = 0;
}

static struct safety_stream *add(struct safety_state *s, unsigned segment)
{
    if (s->count == s->cap) {
        size_t cap = s->cap ? s->cap * 2 : 1;
        struct safety_stream *all = cap <= SAFETY_STREAMS_MAX ? realloc(s->streams, cap * sizeof *all) : NULL;
        if (!all)
            return NULL;
        s->streams = all;
        s->cap = cap;
    }
    struct safety_stream *one = &s->streams[s->count];
    *one = (struct safety_stream){.segment = segment};
    if (safety_look_open(&one->look).code != KT_OK)
        return NULL;
    s->count++;
    return one;
}

struct safety_stream *safety_stream_of(struct safety_state *s, unsigned segment)
{
    struct safety_stream *over = NULL;
    for (size_t i = s->count; i-- > 0;) {
        if (s->streams[i].segment == segment)
            return &s->streams[i];
        if (s->streams[i].over)
            over = &s->streams[i];
    }
    if (!over)
        return add(s, segment);
    safety_look_reset(&over->look);
    *over = (struct safety_stream){.segment = segment, .look = over->look};
    return over;
}
