/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/eval/kt_eval_spans.h"

#include <stdlib.h>

void eval_spans_support(struct eval_spans *s, unsigned type)
{
    s->supported[type] = true;
}

bool eval_spans_supported(const struct eval_spans *s, unsigned type)
{
    if (s->supported[type])
        return true;
    for (unsigned i = 0; i < eval_types_count(s->types); i++)
        if (s->supported[i] && eval_types_match(s->types, i, type))
            return true;
    return false;
}

/* What one span of a list meets in the other list. */
struct meeting {
    bool any, matching, exact;
};

static void meet(const struct eval_spans *s, const struct eval_typed *a, const struct eval_typed *b,
                 struct meeting *m)
{
    if (b->end <= a->start)
        return;
    m->any = true;
    if (!eval_types_match(s->types, a->type, b->type))
        return;
    m->matching = true;
    if (a->start == b->start && a->end == b->end)
        m->exact = true;
}

/* reach[i]: the furthest end of others[0..i]: spans of one list may lie within each other. */
static KT_MUST kt_result prepare(struct eval_spans *s, const struct eval_typed *others, size_t count)
{
    if (count > s->reach_cap) {
        size_t *grown = realloc(s->reach, count * sizeof *grown);
        KT_ENSURE(grown, KT_ERR_MEMORY);
        s->reach = grown;
        s->reach_cap = count;
    }
    for (size_t i = 0; i < count; i++)
        s->reach[i] = i > 0 && s->reach[i - 1] > others[i].end ? s->reach[i - 1] : others[i].end;
    return kt_ok();
}

static struct meeting meetings(const struct eval_spans *s, const struct eval_typed *one,
                               const struct eval_typed *others, size_t count, size_t *from)
{
    struct meeting m = {false, false, false};
    while (*from < count && s->reach[*from] <= one->start)
        ++*from;
    for (size_t i = *from; i < count && others[i].start < one->end; i++)
        meet(s, one, &others[i], &m);
    return m;
}

static void count_gold(struct eval_spans *s, unsigned type, struct meeting m)
{
    struct eval_span_counts *const lists[] = {&s->by_type[type], &s->total, &s->untyped};
    bool counts = eval_spans_supported(s, type);
    if (!counts)
        s->unsupported++;
    for (size_t i = 0; i < (counts ? KT_COUNT(lists) : 1); i++) {
        lists[i]->gold++;
        lists[i]->found += lists[i] == &s->untyped ? m.any : m.matching;
        lists[i]->exact += m.exact;
    }
}

kt_result eval_spans_add(struct eval_spans *s, const struct eval_typed *gold, size_t gold_count,
                         const struct eval_typed *found, size_t found_count)
{
    size_t from = 0;
    KT_GUARD(prepare(s, found, found_count));
    for (size_t i = 0; i < gold_count; i++)
        count_gold(s, gold[i].type, meetings(s, &gold[i], found, found_count, &from));
    KT_GUARD(prepare(s, gold, gold_count));
    from = 0;
    for (size_t i = 0; i < found_count; i++) {
        struct meeting m = meetings(s, &found[i], gold, gold_count, &from);
        struct eval_span_counts *const lists[] = {&s->by_type[found[i].type], &s->total, &s->untyped};
        for (size_t k = 0; k < KT_COUNT(lists); k++) {
            lists[k]->predicted++;
            lists[k]->right += lists[k] == &s->untyped ? m.any : m.matching;
        }
    }
    return kt_ok();
}

struct eval_span_counts eval_spans_of(const struct eval_spans *s, unsigned type)
{
    struct eval_span_counts sum = s->by_type[type];
    for (unsigned i = 0; i < eval_types_count(s->types); i++)
        if (i != type && eval_types_within(s->types, i, type)) {
            sum.predicted += s->by_type[i].predicted;
            sum.right += s->by_type[i].right;
        }
    return sum; /* labelled spans are those that bear the name itself */
}

void eval_spans_free(struct eval_spans *s)
{
    free(s->reach);
    s->reach = NULL;
    s->reach_cap = 0;
}
