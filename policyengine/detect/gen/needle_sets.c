/* SPDX-License-Identifier: Apache-2.0 */
/* Needles of joined, alternative and repeated parts of an expression. */
#include "policyengine/detect/gen/kt_patc.h"
#include "policyengine/detect/gen/needles.h"

#include <stdlib.h>
#include <string.h>

#define SET_MAX 512u /* strings that are followed together */
#define CLASS_MAX 8u /* bytes of a class that are followed each */

static const struct needle_set unknown = {NULL, 0};

static struct needle *room_for(unsigned count)
{
    struct needle *items = calloc(count ? count : 1, sizeof *items);
    if (!items)
        kt_patc_die("needles", "out of memory");
    return items;
}

/* How often one of them stands in a text, about; a set with a string that is too short is of no use. */
static double rate(struct needle_set s)
{
    double sum = 0;
    for (unsigned i = 0; i < s.count; i++) {
        double one = 1;
        if (s.items[i].len < KT_NEEDLE_MIN)
            return 1e9;
        for (unsigned k = 0; k < s.items[i].len && k < KT_NEEDLE_MAX; k++)
            one /= 8;
        one /= (s.items[i].starts ? 2 : 1) * (s.items[i].ends ? 2 : 1);
        sum += one;
    }
    return s.items ? sum : 1e9;
}

static struct needle_set better(struct needle_set a, struct needle_set b)
{
    double x = rate(a), y = rate(b);
    if (x >= 1e9 && y >= 1e9)
        return unknown;
    return x <= y ? a : b;
}

struct needle_info needle_nothing(bool edge)
{
    struct needle_info n = {.exact = {room_for(1), 1}, .run_whole = true};
    n.exact.items[0].starts = n.exact.items[0].ends = edge;
    n.tail = n.exact;
    return n;
}

struct needle_info needle_one_of(const uint8_t bytes[256 / 8])
{
    struct needle_info n = {.run_len = 1, .run_whole = true};
    struct needle_set s = {room_for(256), 0};
    memcpy(n.run[0], bytes, 256 / 8);
    for (unsigned c = 0; c < 256; c++)
        if (bytes[c / 8] >> c % 8 & 1)
            s.items[s.count++] = (struct needle){{(char)c}, 1, false, false};
    if (s.count <= CLASS_MAX)
        n.exact = s;
    return n;
}

/* An edge between two of their bytes is not kept: nothing is lost but sharpness. */
static struct needle join_two(const struct needle *a, const struct needle *b)
{
    struct needle n = {.len = a->len + b->len, .starts = a->starts, .ends = b->ends};
    memcpy(n.text, a->text, a->len);
    memcpy(n.text + a->len, b->text, b->len);
    if (a->len == 0)
        n.starts = a->starts || a->ends || b->starts;
    if (b->len == 0)
        n.ends = a->ends || b->starts || b->ends;
    if (n.len == 0)
        n.starts = n.ends = n.starts || n.ends;
    return n;
}

/* items NULL where these are too many, or too long. */
static struct needle_set join_all(struct needle_set a, struct needle_set b)
{
    struct needle_set all = unknown;
    if (!a.items || !b.items || a.count * b.count > SET_MAX)
        return all;
    all.items = room_for(a.count * b.count);
    for (unsigned i = 0; i < a.count; i++)
        for (unsigned k = 0; k < b.count; k++) {
            if (a.items[i].len + b.items[k].len > NEEDLE_ROOM)
                return unknown;
            all.items[all.count++] = join_two(&a.items[i], &b.items[k]);
        }
    return all;
}

static struct needle_set both(struct needle_set a, struct needle_set b)
{
    struct needle_set all = unknown;
    if (!a.items || !b.items)
        return all;
    all.items = room_for(a.count + b.count);
    memcpy(all.items, a.items, a.count * sizeof *a.items);
    memcpy(all.items + a.count, b.items, b.count * sizeof *b.items);
    all.count = a.count + b.count;
    return all;
}

/* Where the strings cannot be followed on, those so far are needles, and others begin. */
struct needle_info needle_join(struct needle_info a, struct needle_info b)
{
    struct needle_info n = a;
    struct needle_set joined = join_all(a.tail, b.exact);
    n.need = better(a.need, b.need);
    if (!joined.items) {
        n.need = better(n.need, a.tail);
        joined = b.exact.items ? b.exact : needle_nothing(false).exact;
    }
    n.tail = joined;
    n.exact = a.exact.items && b.exact.items && joined.items != b.exact.items ? joined : unknown;
    for (unsigned i = 0; a.run_whole && i < b.run_len && n.run_len < KT_NEEDLE_RUN; i++)
        memcpy(n.run[n.run_len++], b.run[i], sizeof n.run[0]);
    n.run_whole = a.run_whole && b.run_whole;
    return n;
}

struct needle_info needle_joined(struct needle_info all)
{
    all.need = better(all.need, all.tail);
    return all;
}

struct needle_info needle_either(struct needle_info a, struct needle_info b)
{
    struct needle_info n = {.exact = both(a.exact, b.exact)};
    n.need = both(better(a.exact, a.need), better(b.exact, b.need));
    if (n.exact.count > SET_MAX)
        n.exact = unknown;
    return n;
}

struct needle_info needle_repeat(struct needle_info a, unsigned least, unsigned most)
{
    struct needle_info n = {.run_len = 0};
    if (least == 0 && most == 1)
        n.exact = both(a.exact, needle_nothing(false).exact);
    if (least > 0)
        n.need = better(a.exact, a.need);
    n.run_whole = a.run_whole && least == most;
    for (unsigned i = 0; a.run_whole && i < least && i < KT_NEEDLE_RUN; i++)
        for (unsigned k = 0; k < a.run_len && n.run_len < KT_NEEDLE_RUN; k++)
            memcpy(n.run[n.run_len++], a.run[k], sizeof n.run[0]);
    return n;
}
