/* SPDX-License-Identifier: Apache-2.0 */
/* The figures of `kt policy eval`, as JSON and as tables. */
#include "tools/policy_eval.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- JSON ---- */

/* Six decimals; null where a figure is not defined. */
static void add_figure(cJSON *o, const char *name, double value)
{
    if (isnan(value))
        cJSON_AddNullToObject(o, name);
    else
        cJSON_AddNumberToObject(o, name, round(value * 1e6) / 1e6);
}

static void add_count(cJSON *o, const char *name, size_t n)
{
    cJSON_AddNumberToObject(o, name, (double)n);
}

static void add_figures(cJSON *o, const struct eval_figures *f)
{
    add_count(o, "n", f->n);
    add_count(o, "tp", f->tp);
    add_count(o, "fp", f->fp);
    add_count(o, "tn", f->tn);
    add_count(o, "fn", f->fn);
    add_figure(o, "precision", f->precision);
    add_figure(o, "recall", f->recall);
    add_figure(o, "f1", f->f1);
    add_figure(o, "fpr", f->fpr);
    add_figure(o, "auc", f->auc);
    add_figure(o, "recall_at_fpr_1pct", f->recall_at_fpr_1pct);
}

static void add_groups(cJSON *o, const char *name, const struct eval_command *c, enum eval_by by)
{
    size_t n;
    const struct eval_group *g = eval_measure_groups(c->measure, by, &n);
    cJSON *groups = cJSON_AddObjectToObject(o, name);
    for (size_t i = 0; i < n; i++)
        add_figures(cJSON_AddObjectToObject(groups, g[i].name), &g[i].figures);
}

static double share(size_t part, size_t whole)
{
    return whole ? (double)part / (double)whole : (double)NAN;
}

static void add_counts(cJSON *o, const struct eval_span_counts *s, bool exact)
{
    add_count(o, "gold", s->gold);
    add_count(o, "predicted", s->predicted);
    add_figure(o, "precision", share(s->right, s->predicted));
    add_figure(o, "recall", share(s->found, s->gold));
    if (exact)
        add_figure(o, "exact_recall", share(s->exact, s->gold));
}

struct typed_row {
    const char *name;
    struct eval_span_counts counts;
    bool supported;
};

static int by_type_name(const void *a, const void *b)
{
    return strcmp(((const struct typed_row *)a)->name, ((const struct typed_row *)b)->name);
}

/* new: the types that occur, by name. NULL on OOM. */
static struct typed_row *typed_rows(const struct eval_command *c, size_t *count)
{
    unsigned n = eval_types_count(c->types);
    struct typed_row *rows = calloc(n, sizeof *rows);
    *count = 0;
    for (unsigned i = 0; rows && i < n; i++) {
        const struct eval_span_counts *own = &c->spans->by_type[i];
        if (own->gold + own->predicted == 0)
            continue;
        rows[(*count)++] = (struct typed_row){eval_types_name(c->types, i), eval_spans_of(c->spans, i),
                                              eval_spans_supported(c->spans, i) || own->predicted > 0};
    }
    if (rows)
        qsort(rows, *count, sizeof *rows, by_type_name);
    return rows;
}

static void add_spans(cJSON *root, const struct eval_command *c)
{
    cJSON *spans = cJSON_AddObjectToObject(root, "spans");
    add_counts(spans, &c->spans->total, true);
    add_count(spans, "unsupported", c->spans->unsupported);
    add_counts(cJSON_AddObjectToObject(spans, "any_type"), &c->spans->untyped, false);
    size_t n;
    KT_CLEANUP(kt_cleanup_free) struct typed_row *rows = typed_rows(c, &n);
    cJSON *types = cJSON_AddObjectToObject(root, "by_type");
    for (size_t i = 0; rows && i < n; i++) {
        cJSON *o = cJSON_AddObjectToObject(types, rows[i].name);
        add_counts(o, &rows[i].counts, true);
        if (!rows[i].supported)
            cJSON_AddTrueToObject(o, "unsupported");
    }
}

void eval_print_json(const struct eval_command *c, bool compact)
{
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "kind", c->kind->name);
    cJSON_AddStringToObject(root, "policy", c->kind->policy);
    add_figure(root, "threshold", eval_effective_threshold(c));
    add_figures(root, eval_measure_all(c->measure));
    add_count(root, "rows", c->row_count);
    add_count(root, "unlabelled", c->unlabelled);
    add_count(root, "policy_errors", c->failed);
    if (c->kind->spans) {
        add_count(root, "unsupported_rows", c->unsupported_rows);
        add_spans(root, c);
    }
    add_groups(root, "by_lang", c, EVAL_BY_LANG);
    add_groups(root, "by_source", c, EVAL_BY_SOURCE);
    char *text = compact ? cJSON_PrintUnformatted(root) : cJSON_Print(root);
    cJSON_Delete(root);
    if (text)
        puts(text);
    cJSON_free(text);
}

/* ---- tables ---- */

#define NAME_COLUMN 40 /* characters of a group's name that are shown */

static void put_share(double value, int width)
{
    if (isnan(value))
        printf(" %*s", width, "-");
    else
        printf(" %*.4f", width, value);
}

/* Pads by characters, not bytes. */
static void put_name(const char *name, size_t width)
{
    size_t n = 0;
    for (const char *c = name; *c; c++)
        n += ((unsigned char)*c & 0xC0) != 0x80;
    kt_policy_put_text(stdout, name, strlen(name), width);
    for (; n < width; n++)
        putchar(' ');
}

static void put_figures(const char *name, size_t width, const struct eval_figures *f)
{
    put_name(name, width);
    printf(" %7zu %7zu %7zu %7zu %7zu", f->n, f->tp, f->fp, f->tn, f->fn);
    put_share(f->precision, 9);
    put_share(f->recall, 7);
    put_share(f->f1, 7);
    put_share(f->fpr, 7);
    put_share(f->auc, 7);
    put_share(f->recall_at_fpr_1pct, 8);
    putchar('\n');
}

static size_t name_width(const struct eval_command *c)
{
    size_t width = strlen("by source"), n;
    for (int by = EVAL_BY_LANG; by <= EVAL_BY_SOURCE; by++) {
        const struct eval_group *g = eval_measure_groups(c->measure, (enum eval_by)by, &n);
        for (size_t i = 0; i < n; i++) {
            size_t len = strlen(g[i].name);
            if (len > width)
                width = len;
        }
    }
    return width < NAME_COLUMN ? width : NAME_COLUMN;
}

static void put_heading(const char *name, size_t width, bool colour)
{
    printf("\n%s%-*s %7s %7s %7s %7s %7s %9s %7s %7s %7s %7s %8s%s\n", colour ? "\033[1m" : "", (int)width,
           name, "rows", "tp", "fp", "tn", "fn", "precision", "recall", "f1", "fpr", "auc", "rec@1%",
           colour ? "\033[0m" : "");
}

static void put_groups(const struct eval_command *c, enum eval_by by, const char *title, size_t width,
                       bool colour)
{
    size_t n;
    const struct eval_group *g = eval_measure_groups(c->measure, by, &n);
    if (n == 0)
        return;
    put_heading(title, width, colour);
    for (size_t i = 0; i < n; i++)
        put_figures(g[i].name, width, &g[i].figures);
}

static void put_counts(const char *name, int width, const struct eval_span_counts *s, bool exact,
                       const char *note)
{
    put_name(name, (size_t)width);
    printf(" %7zu %9zu", s->gold, s->predicted);
    put_share(share(s->right, s->predicted), 9);
    put_share(share(s->found, s->gold), 7);
    put_share(exact ? share(s->exact, s->gold) : (double)NAN, 12);
    printf("%s\n", note);
}

static void put_spans(const struct eval_command *c, bool colour)
{
    size_t n;
    KT_CLEANUP(kt_cleanup_free) struct typed_row *rows = typed_rows(c, &n);
    int width = (int)strlen("all supported");
    for (size_t i = 0; rows && i < n; i++)
        if ((int)strlen(rows[i].name) > width)
            width = (int)strlen(rows[i].name);
    printf("\n%s%-*s %7s %9s %9s %7s %12s%s\n", colour ? "\033[1m" : "", width, "spans by type", "gold",
           "predicted", "precision", "recall", "exact recall", colour ? "\033[0m" : "");
    for (size_t i = 0; rows && i < n; i++)
        put_counts(rows[i].name, width, &rows[i].counts, true, rows[i].supported ? "" : "  not supported");
    put_counts("all supported", width, &c->spans->total, true, "");
    put_counts("any type", width, &c->spans->untyped, false, "");
}

void eval_print_text(const struct eval_command *c)
{
    const struct eval_figures *f = eval_measure_all(c->measure);
    bool colour = kt_policy_colour(stdout);
    double threshold = eval_effective_threshold(c);
    size_t width = name_width(c);
    printf("%s on %s: %zu rows, %zu positive, %zu negative", c->kind->policy, c->data, c->row_count,
           f->tp + f->fn, f->fp + f->tn);
    if (!isnan(threshold))
        printf(", threshold %g", threshold);
    putchar('\n');
    put_heading("", width, colour);
    put_figures("all", width, f);
    put_groups(c, EVAL_BY_LANG, "by lang", width, colour);
    put_groups(c, EVAL_BY_SOURCE, "by source", width, colour);
    if (c->kind->spans)
        put_spans(c, colour);
    if (c->unlabelled)
        printf("\n%zu rows have no label and are not counted.\n", c->unlabelled);
    if (c->unsupported_rows)
        printf("\n%zu rows hold only spans of types that the policy does not look for; in the figures of "
               "rows they "
               "are not counted.\n",
               c->unsupported_rows);
}
