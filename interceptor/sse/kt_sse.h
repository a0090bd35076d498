/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Server-sent events, read incrementally: CR, LF or CRLF line ends, comments, multi-line data, any split of
 * the bytes. The reader only watches: it changes nothing and tells, by `kt_sse_boundary`, up to which byte of
 * the stream whole events were read.
 */
#include "policyengine/base/kt_buf.h"

#ifdef __cplusplus
extern "C" {
#endif

#define KT_SSE_MAX_LINE (8u << 20) /* bytes of a line, and of an event's joined data: a picture in base64 */

struct kt_sse_event {
    struct kt_span name; /* of the `event:` field; empty = "message" */
    struct kt_span data; /* joined by LF, without the last one; borrowed for the callback */
    uint64_t end;        /* absolute offset in the stream just behind the event's blank line */
};
/* Called for every event that has data. A false return stops the feed (kt_sse_feed returns KT_ERR_STATE). */
typedef bool (*kt_sse_fn)(void *arg, const struct kt_sse_event *event);

struct kt_sse {
    struct kt_buf line, data, name; /* owned */
    kt_sse_fn fn;
    void *arg;
    uint64_t offset;   /* bytes fed so far */
    uint64_t boundary; /* see kt_sse_boundary */
    bool after_cr;     /* an LF that comes next belongs to the line end already seen */
    bool has_data;     /* the event under way has a data field */
    bool dead;         /* a limit was hit, or the callback stopped */
};

/* `arg` stays borrowed until kt_sse_free. */
void kt_sse_init(struct kt_sse *s, kt_sse_fn fn, void *arg);
void kt_sse_free(struct kt_sse *s);
/* KT_ERR_LIMIT for a line or an event that is too long, KT_ERR_MEMORY, KT_ERR_STATE once it was stopped or
 * failed. */
kt_result kt_sse_feed(struct kt_sse *s, const char *data, size_t len) KT_MUST;
/* Absolute offset behind the last blank line: everything before it is whole events and comments. An LF that
 * follows a CR blank line in a later feed moves it by one. */
uint64_t kt_sse_boundary(const struct kt_sse *s);

#ifdef __cplusplus
}
#endif
