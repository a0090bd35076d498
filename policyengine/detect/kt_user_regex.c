/* SPDX-License-Identifier: Apache-2.0 */
/* Runs what kt_user_regex_parse.c compiles. */
#include "policyengine/detect/kt_user_regex_steps.h"

#include "policyengine/detect/kt_chars.h"

#include <stdlib.h>
#include <string.h>

#define WORDS (KT_USER_REGEX_STEPS / 64)

struct states {
    uint16_t items[KT_USER_REGEX_STEPS];
    unsigned count;
    uint64_t has[WORDS];
};

/* Where in the text the next character stands. */
struct place {
    bool start, end, word_before, word_behind;
};

static bool is_word(uint32_t c)
{
    return c < 0x80 &&
           ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_');
}

static bool asserted(unsigned op, const struct place *p)
{
    switch (op) {
    case KT_RE_START:
        return p->start;
    case KT_RE_END:
        return p->end;
    case KT_RE_BOUNDARY:
        return p->word_before != p->word_behind;
    default:
        return p->word_before == p->word_behind;
    }
}

/* Adds a step and all that follow it without a character. A list of its own instead of recursion; a step is
 * on it once. */
static void add(const struct kt_user_regex *r, struct states *s, uint16_t first, const struct place *p)
{
    uint16_t todo[KT_USER_REGEX_STEPS];
    unsigned n = 0;
    if (s->has[first / 64] >> first % 64 & 1)
        return;
    s->has[first / 64] |= UINT64_C(1) << first % 64;
    todo[n++] = first;
    while (n > 0) {
        const struct kt_re_step *step = &r->steps[todo[--n]];
        uint16_t next[2] = {step->x, step->y};
        unsigned follow = step->op == KT_RE_SPLIT                            ? 2
                          : step->op == KT_RE_JUMP                           ? 1
                          : step->op >= KT_RE_START && asserted(step->op, p) ? 1
                                                                             : 0;
        if (step->op <= KT_RE_MATCH)
            s->items[s->count++] = (uint16_t)(step - r->steps);
        for (unsigned i = 0; i < follow; i++) {
            if (s->has[next[i] / 64] >> next[i] % 64 & 1)
                continue;
            s->has[next[i] / 64] |= UINT64_C(1) << next[i] % 64;
            todo[n++] = next[i];
        }
    }
}

static bool takes(const struct kt_user_regex *r, const struct kt_re_step *step, uint32_t c)
{
    if (step->op == KT_RE_ANY)
        return c != '\n';
    bool inside = false;
    for (unsigned i = 0; i < step->y && !inside; i++)
        inside = c >= r->ranges[step->x + i].first && c <= r->ranges[step->x + i].last;
    return inside != (step->op == KT_RE_NONE_OF);
}

static bool matched(const struct kt_user_regex *r, const struct states *s)
{
    for (unsigned i = 0; i < s->count; i++)
        if (r->steps[s->items[i]].op == KT_RE_MATCH)
            return true;
    return false;
}

static void clear(struct states *s)
{
    s->count = 0;
    memset(s->has, 0, sizeof s->has);
}

bool kt_user_regex_find(const struct kt_user_regex *r, const char *text, size_t len)
{
    struct states a, b, *now = &a, *next = &b;
    struct place p = {.start = true};
    uint32_t c = 0;
    clear(now);
    for (size_t i = 0;;) {
        size_t n = i < len ? kt_char_next(text + i, len - i, &c) : 0;
        p.end = i == len;
        p.word_behind = i < len && is_word(c);
        /* what waits here was added with an eye on the character before: look at both sides now */
        clear(next);
        for (unsigned k = 0; k < now->count; k++)
            add(r, next, now->items[k], &p);
        if (i == 0 || !r->anchored)
            add(r, next, 0, &p);
        if (matched(r, next))
            return true;
        if (i == len)
            return false;
        struct states *t = now;
        now = next;
        next = t;
        clear(next);
        uint32_t low = r->ignore_case ? kt_char_lower(c) : c;
        for (unsigned k = 0; k < now->count; k++) {
            const struct kt_re_step *step = &r->steps[now->items[k]];
            uint16_t after = (uint16_t)(now->items[k] + 1);
            bool fresh = !(next->has[after / 64] >> after % 64 & 1);
            if (step->op != KT_RE_MATCH && fresh && takes(r, step, low)) {
                next->has[after / 64] |= UINT64_C(1) << after % 64;
                next->items[next->count++] = after;
            }
        }
        t = now;
        now = next;
        next = t;
        p.word_before = p.word_behind;
        p.start = false;
        i += n;
    }
}

void kt_user_regex_free(struct kt_user_regex *r)
{
    free(r);
}
