/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/eval/kt_eval_measure.h"
#include "tools/eval/kt_eval_row.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NAMES_MAX 65536u /* group 0 is "no group", the last one "(other)" */
#define SLOTS_MIN 64u

struct point {
    double score;
    uint16_t group[2]; /* by lang, by source */
    bool positive;
};

/* Walks the points of one group from the highest score down. */
struct curve {
    double last;               /* score of the open block of ties */
    size_t positive, negative; /* in front of it */
    size_t tied_positive, tied_negative;
    double pairs; /* won by positives */
    size_t best;  /* positives caught where at most 1 % of the negatives are */
};

struct names {
    struct eval_group *items; /* owned */
    size_t count, cap;
    uint32_t *slots; /* owned; open addressing, index + 1 */
    size_t slot_count;
};

struct eval_measure {
    struct point *points; /* owned */
    size_t count, cap;
    struct eval_figures all;
    struct names names[2];
};

struct eval_measure *eval_measure_new(void)
{
    return calloc(1, sizeof(struct eval_measure));
}

void eval_measure_free(struct eval_measure *m)
{
    if (!m)
        return;
    for (size_t by = 0; by < KT_COUNT(m->names); by++) {
        for (size_t i = 0; i < m->names[by].count; i++)
            free(m->names[by].items[i].name);
        free(m->names[by].items);
        free(m->names[by].slots);
    }
    free(m->points);
    free(m);
}

/* ---- groups ---- */

static size_t slot_of(const struct names *n, const char *name)
{
    uint64_t h = 1469598103934665603u; /* FNV-1a */
    for (const char *c = name; *c; c++)
        h = (h ^ (unsigned char)*c) * 1099511628211u;
    size_t i = (size_t)h & (n->slot_count - 1);
    while (n->slots[i] && strcmp(n->items[n->slots[i] - 1].name, name) != 0)
        i = (i + 1) & (n->slot_count - 1);
    return i;
}

static KT_MUST kt_result grow_slots(struct names *n)
{
    if (n->count * 2 < n->slot_count)
        return kt_ok();
    size_t count = n->slot_count ? n->slot_count * 2 : SLOTS_MIN;
    uint32_t *slots = calloc(count, sizeof *slots);
    KT_ENSURE(slots, KT_ERR_MEMORY);
    free(n->slots);
    n->slots = slots;
    n->slot_count = count;
    for (size_t i = 0; i < n->count; i++)
        n->slots[slot_of(n, n->items[i].name)] = (uint32_t)i + 1;
    return kt_ok();
}

/* Number of the group from 1. */
static KT_MUST kt_result group_of(struct names *n, const char *name, uint16_t *out)
{
    *out = 0;
    if (!*name)
        return kt_ok();
    KT_GUARD(grow_slots(n));
    if (n->count >= NAMES_MAX - 2)
        name = n->slots[slot_of(n, name)] ? name : "(other)";
    size_t slot = slot_of(n, name);
    if (!n->slots[slot]) {
        if (n->count == n->cap) {
            size_t cap = n->cap ? n->cap * 2 : 16;
            struct eval_group *grown = realloc(n->items, cap * sizeof *grown);
            KT_ENSURE(grown, KT_ERR_MEMORY);
            n->items = grown;
            n->cap = cap;
        }
        struct eval_group one = {.name = strdup(name)};
        KT_ENSURE(one.name, KT_ERR_MEMORY);
        n->items[n->count++] = one;
        n->slots[slot] = (uint32_t)n->count;
    }
    *out = (uint16_t)n->slots[slot];
    return kt_ok();
}

/* ---- rows ---- */

static void count_row(struct eval_figures *f, bool positive, bool flagged)
{
    f->n++;
    if (positive)
        *(flagged ? &f->tp : &f->fn) += 1;
    else
        *(flagged ? &f->fp : &f->tn) += 1;
}

kt_result eval_measure_add(struct eval_measure *m, const char *lang, const char *source, double score,
                           bool positive, bool flagged)
{
    if (m->count == m->cap) {
        size_t cap = m->cap ? m->cap * 2 : 4096;
        struct point *grown = realloc(m->points, cap * sizeof *grown);
        KT_ENSURE(grown, KT_ERR_MEMORY);
        m->points = grown;
        m->cap = cap;
    }
    struct point p = {.score = isnan(score) ? 0 : score, .positive = positive};
    KT_GUARD(group_of(&m->names[EVAL_BY_LANG], lang, &p.group[EVAL_BY_LANG]));
    KT_GUARD(group_of(&m->names[EVAL_BY_SOURCE], source, &p.group[EVAL_BY_SOURCE]));
    m->points[m->count++] = p;
    count_row(&m->all, positive, flagged);
    for (size_t by = 0; by < KT_COUNT(m->names); by++)
        if (p.group[by])
            count_row(&m->names[by].items[p.group[by] - 1].figures, positive, flagged);
    return kt_ok();
}

/* ---- figures ---- */

static void close_block(struct curve *c, const struct eval_figures *f)
{
    c->pairs += (double)c->tied_negative * ((double)c->positive + (double)c->tied_positive / 2);
    c->positive += c->tied_positive;
    c->negative += c->tied_negative;
    c->tied_positive = c->tied_negative = 0;
    if (c->negative * 100 <= f->fp + f->tn)
        c->best = c->positive;
}

static void walk(struct curve *c, const struct eval_figures *f, const struct point *p)
{
    if (c->last != p->score) /* the first point closes an empty block, which is the threshold above all */
        close_block(c, f);
    c->last = p->score;
    *(p->positive ? &c->tied_positive : &c->tied_negative) += 1;
}

static double ratio(double part, double whole)
{
    return whole > 0 ? part / whole : (double)NAN;
}

static void conclude(struct curve *c, struct eval_figures *f)
{
    close_block(c, f);
    double positive = (double)(f->tp + f->fn), negative = (double)(f->fp + f->tn);
    f->precision = ratio((double)f->tp, (double)(f->tp + f->fp));
    f->recall = ratio((double)f->tp, positive);
    f->f1 = ratio(2 * (double)f->tp, (double)(2 * f->tp + f->fp + f->fn));
    f->fpr = ratio((double)f->fp, negative);
    f->auc = ratio(c->pairs, positive * negative);
    f->recall_at_fpr_1pct = negative > 0 ? ratio((double)c->best, positive) : (double)NAN;
}

static int downwards(const void *a, const void *b)
{
    const struct point *x = a, *y = b;
    return (x->score < y->score) - (x->score > y->score);
}

static int by_name(const void *a, const void *b)
{
    const struct eval_group *x = a, *y = b;
    return strcmp(x->name, y->name);
}

static KT_MUST kt_result finish_groups(struct eval_measure *m, enum eval_by by)
{
    struct names *n = &m->names[by];
    KT_CLEANUP(kt_cleanup_free) struct curve *curves = calloc(n->count + 1, sizeof *curves);
    KT_ENSURE(curves, KT_ERR_MEMORY);
    for (size_t i = 0; i < m->count; i++) {
        unsigned g = m->points[i].group[by];
        if (g)
            walk(&curves[g - 1], &n->items[g - 1].figures, &m->points[i]);
    }
    for (size_t i = 0; i < n->count; i++)
        conclude(&curves[i], &n->items[i].figures);
    if (n->count)
        qsort(n->items, n->count, sizeof *n->items, by_name);
    return kt_ok();
}

kt_result eval_measure_finish(struct eval_measure *m)
{
    struct curve all = {.pairs = 0};
    if (m->count)
        qsort(m->points, m->count, sizeof *m->points, downwards);
    for (size_t i = 0; i < m->count; i++)
        walk(&all, &m->all, &m->points[i]);
    conclude(&all, &m->all);
    KT_GUARD(finish_groups(m, EVAL_BY_LANG));
    return finish_groups(m, EVAL_BY_SOURCE);
}

const struct eval_figures *eval_measure_all(const struct eval_measure *m)
{
    return &m->all;
}

const struct eval_group *eval_measure_groups(const struct eval_measure *m, enum eval_by by, size_t *count)
{
    *count = m->names[by].count;
    return m->names[by].items;
}
