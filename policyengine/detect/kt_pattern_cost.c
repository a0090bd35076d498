/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What counted repeats add to an expression. Vectorscan says of `(a|b)*x{1000}y{1000}` that it is too large,
 * too, but after minutes: its time grows with the cube of the positions.
 */
#include "policyengine/detect/kt_pattern_image.h"

#include <stdbool.h>
#include <string.h>

#define DEPTH_MAX 64u
#define POSITIONS_MAX 100000000u

struct size {
    uint64_t full, written; /* positions with the repeats written out, and as they stand there */
};

struct reader {
    const char *at;
    struct size sum[DEPTH_MAX + 1]; /* of the groups that are open */
    struct size last;               /* the element that a repeat would be of */
    size_t depth;
    bool repeated, lazy; /* a repeat has just been read; one was followed by '?' */
};

static void flush(struct reader *r)
{
    struct size *s = &r->sum[r->depth];
    s->full += r->last.full;
    s->written += r->last.written;
    if (s->full > POSITIONS_MAX)
        s->full = POSITIONS_MAX;
    r->last = (struct size){0, 0};
}

static void element(struct reader *r, uint64_t positions)
{
    flush(r);
    r->repeated = false;
    r->last = (struct size){positions, positions};
}

static void skip_past(struct reader *r, const char *end)
{
    const char *found = strstr(r->at, end);
    r->at = found ? found + strlen(end) : r->at + strlen(r->at);
}

/* Behind the backslash. Returns the positions that it stands for. */
static uint64_t escape(struct reader *r)
{
    char c = *r->at;
    if (!c)
        return 1;
    r->at++;
    if (strchr("pPxogkN", c) && *r->at == '{')
        skip_past(r, "}");
    return c == 'p' || c == 'P' || c == 'X' ? KT_PATTERN_PROPERTY : 1;
}

/* Behind the "[". */
static uint64_t class(struct reader *r)
{
    uint64_t most = 1;
    r->at += *r->at == '^';
    bool first = true;
    for (; *r->at && (first || *r->at != ']'); first = false) {
        uint64_t one = 1;
        if (strncmp(r->at, "[:", 2) == 0 && strstr(r->at, ":]"))
            skip_past(r, ":]");
        else if (*r->at++ == '\\')
            one = escape(r);
        most = one > most ? one : most;
    }
    r->at += *r->at == ']';
    return most;
}

/* At digits; saturates. */
static uint64_t number(const char **at)
{
    uint64_t n = 0;
    for (; **at >= '0' && **at <= '9'; ++*at)
        n = n < POSITIONS_MAX ? n * 10 + (uint64_t)(**at - '0') : n;
    return n;
}

/* At the "{": "{3}", "{3,}", "{3,5}"; false where it is a plain character. */
static bool repeat(struct reader *r)
{
    const char *at = r->at + 1, *digits = at;
    uint64_t most = number(&at);
    if (at == digits)
        return false;
    if (*at == ',') {
        digits = ++at;
        uint64_t upper = number(&at);
        most = at > digits ? upper : most;
    }
    if (*at != '}')
        return false;
    r->at = at + 1;
    if (most > 1) {
        r->last.full *= most;
        r->last.written = 0; /* all of it counts: x{1001} are 1001 positions */
    }
    if (r->last.full > POSITIONS_MAX)
        r->last.full = POSITIONS_MAX;
    return true;
}

static bool group_begin(struct reader *r)
{
    flush(r);
    if (r->depth == DEPTH_MAX)
        return false;
    r->sum[++r->depth] = (struct size){0, 0};
    return true;
}

static void group_end(struct reader *r)
{
    flush(r);
    r->repeated = false;
    if (r->depth > 0)
        r->last = r->sum[r->depth--];
}

/* False where the groups are too deep. */
static bool step(struct reader *r)
{
    if (strncmp(r->at, "\\Q", 2) == 0) {
        const char *end = strstr(r->at, "\\E");
        size_t len = end ? (size_t)(end - r->at) - 2 : strlen(r->at + 2);
        element(r, len ? len - 1 : 0);
        element(r, len > 0);
        r->at += 2 + len + (end ? 2 : 0);
        return true;
    }
    if (strncmp(r->at, "(?#", 3) == 0) {
        skip_past(r, ")");
        return true;
    }
    if (*r->at == '{' && repeat(r))
        return r->repeated = true;
    switch (*r->at++) {
    case '\\':
        element(r, escape(r));
        return true;
    case '[':
        element(r, class(r));
        return true;
    case '(':
        return group_begin(r);
    case ')':
        group_end(r);
        return true;
    case '?':
        r->lazy |= r->repeated;
        return r->repeated = true;
    case '*':
    case '+':
        return r->repeated = true;
    default:
        element(r, 1);
        return true;
    }
}

bool kt_pattern_lazy(const char *expression)
{
    struct reader r = {.at = expression};
    while (*r.at && step(&r))
        continue;
    return r.lazy;
}

uint64_t kt_pattern_repeats(const char *expression)
{
    struct reader r = {.at = expression};
    while (*r.at)
        if (!step(&r))
            return UINT64_MAX;
    while (r.depth > 0)
        group_end(&r);
    flush(&r);
    return r.sum[0].full - (r.sum[0].written < r.sum[0].full ? r.sum[0].written : r.sum[0].full);
}
