/* SPDX-License-Identifier: Apache-2.0 */
/* Spells out the finite expressions of KT_CONCEPT: alternatives, (?:..), [..], '?'. */
#include "policyengine/detect/gen/kt_patc.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_MAX 20000u

struct rows {
    char **items;
    size_t count;
};

struct parser {
    const char *where, *at;
};

_Noreturn void kt_patc_die(const char *where, const char *what)
{
    fprintf(stderr, "kt_patc: %s: %s\n", where, what);
    exit(1);
}

static char *join(const char *a, const char *b)
{
    size_t n = strlen(a), m = strlen(b);
    char *s = malloc(n + m + 1);
    if (!s)
        kt_patc_die(a, "out of memory");
    memcpy(s, a, n);
    memcpy(s + n, b, m + 1);
    return s;
}

static void rows_add(struct rows *r, const char *text)
{
    if (r->count == ROWS_MAX)
        kt_patc_die(text, "stands for too many rows of words");
    if ((r->count & (r->count - 1)) == 0) {
        size_t cap = r->count ? r->count * 2 : 1;
        r->items = realloc(r->items, cap * sizeof *r->items);
        if (!r->items)
            kt_patc_die(text, "out of memory");
    }
    r->items[r->count++] = join(text, "");
}

static void rows_free(struct rows *r)
{
    for (size_t i = 0; i < r->count; i++)
        free(r->items[i]);
    free(r->items);
    r->items = NULL;
    r->count = 0;
}

static struct rows alternatives(struct parser *p);

static struct rows one_of(struct parser *p)
{
    struct rows r = {NULL, 0};
    for (p->at++; *p->at && *p->at != ']'; p->at++)
        rows_add(&r, (const char[]){*p->at, 0});
    if (*p->at++ != ']')
        kt_patc_die(p->where, "missing ']'");
    return r;
}

static struct rows piece(struct parser *p)
{
    struct rows r = {NULL, 0};
    if (strncmp(p->at, "(?:", 3) == 0) {
        p->at += 3;
        r = alternatives(p);
        if (*p->at++ != ')')
            kt_patc_die(p->where, "missing ')'");
    } else if (*p->at == '[') {
        r = one_of(p);
    } else {
        char c = *p->at++;
        bool letter = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (unsigned char)c >= 0x80;
        if (!letter && !strchr(" '-*#", c))
            kt_patc_die(p->where, "only words, (?:..|..), [..], '?', '*' and '#' can stand here");
        rows_add(&r, (const char[]){c == '-' ? ' ' : c, 0});
    }
    if (*p->at == '?') {
        p->at++;
        rows_add(&r, "");
    }
    return r;
}

static struct rows row(struct parser *p)
{
    struct rows all = {NULL, 0};
    rows_add(&all, "");
    while (*p->at && *p->at != '|' && *p->at != ')') {
        struct rows next = piece(p), joined = {NULL, 0};
        for (size_t i = 0; i < all.count; i++)
            for (size_t k = 0; k < next.count; k++) {
                char *s = join(all.items[i], next.items[k]);
                rows_add(&joined, s);
                free(s);
            }
        rows_free(&all);
        rows_free(&next);
        all = joined;
    }
    return all;
}

static struct rows alternatives(struct parser *p)
{
    struct rows all = row(p);
    while (*p->at == '|') {
        p->at++;
        struct rows more = row(p);
        for (size_t i = 0; i < more.count; i++)
            rows_add(&all, more.items[i]);
        rows_free(&more);
    }
    return all;
}

void kt_patc_expand(const char *where, const char *expression, void (*add)(void *ctx, const char *words),
                    void *ctx)
{
    struct parser p = {where, expression};
    struct rows r = alternatives(&p);
    if (*p.at)
        kt_patc_die(where, "unexpected ')'");
    for (size_t i = 0; i < r.count; i++) {
        if (!*r.items[i])
            kt_patc_die(where, "an alternative is empty");
        add(ctx, r.items[i]);
    }
    rows_free(&r);
}
