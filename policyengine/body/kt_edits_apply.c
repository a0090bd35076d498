/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a list of edits to the edited text.
 *
 * Entries of objects and arrays (members, elements) are removed in runs: all removed neighbours go together,
 * and one look at what stands before and behind the run tells which comma goes with it. That is why any
 * subset may be removed in any order, by policies and by a provider's translation that know nothing of each
 * other.
 */
#include "policyengine/body/kt_edits.h"

#include <stdlib.h>

struct apply {
    const char *text;
    size_t len;
    struct kt_buf *out;
    size_t done;     /* bytes of text that were written or dropped */
    size_t run_end;  /* end of the last removed run */
    bool run_alone;  /* nothing stood in front of that run in its list */
    size_t added_at; /* place + 1 of the last added entry */
};

/* Rank among edits that start at one place: insertions stand in front of what is replaced there, and what
 * wraps the last value of a list ends before a new entry begins. */
static int rank(const struct kt_edit *e)
{
    if (e->kind == KT_EDIT_ADD_ENTRY)
        return 1;
    return e->start == e->end ? 0 : 2;
}

static int compare(const void *left, const void *right)
{
    const struct kt_edit *a = left, *b = right;
    if (a->start != b->start)
        return a->start < b->start ? -1 : 1;
    if (rank(a) != rank(b))
        return rank(a) - rank(b);
    if (a->end != b->end)
        return a->end > b->end ? -1 : 1;
    return a->order < b->order ? -1 : a->order > b->order;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static size_t space_back(const struct apply *a, size_t pos)
{
    while (pos > 0 && is_space(a->text[pos - 1]))
        pos--;
    return pos;
}

static size_t space_forward(const struct apply *a, size_t pos)
{
    while (pos < a->len && is_space(a->text[pos]))
        pos++;
    return pos;
}

/* Writes the untouched text up to `start` and drops what follows up to `end`. */
static KT_MUST kt_result replace(struct apply *a, size_t start, size_t end, const struct kt_edit *with)
{
    KT_ENSURE(end <= a->len, KT_ERR_STATE);
    if (start > a->done)
        KT_GUARD(kt_buf_append(a->out, a->text + a->done, start - a->done));
    if (with)
        KT_GUARD(kt_buf_append(a->out, with->text, with->len));
    if (end > a->done)
        a->done = end;
    return kt_ok();
}

/* First edit behind `i` that does not lie inside of [.., end). */
static size_t skip_inside(const struct kt_edits *e, size_t i, size_t end)
{
    while (i < e->count && e->items[i].start < end)
        i++;
    return i;
}

/* Index of a removal that starts exactly at `start`, looking from `i` on; e->count where there is none. */
static size_t removal_at(const struct kt_edits *e, size_t i, size_t start)
{
    for (; i < e->count && e->items[i].start <= start; i++)
        if (e->items[i].start == start && e->items[i].kind == KT_EDIT_REMOVE_ENTRY)
            return i;
    return e->count;
}

/* Removes the run of neighbours that begins with edit *i; *i is the first edit behind it then. */
static KT_MUST kt_result remove_run(struct apply *a, const struct kt_edits *e, size_t *i)
{
    size_t start = e->items[*i].start, end = e->items[*i].end, next, after;
    bool comma_behind;
    for (;;) {
        KT_ENSURE(end <= a->len, KT_ERR_STATE);
        next = skip_inside(e, *i, end);
        after = space_forward(a, end);
        comma_behind = after < a->len && a->text[after] == ',';
        if (!comma_behind)
            break;
        after = space_forward(a, after + 1); /* the next entry */
        size_t neighbour = removal_at(e, next, after);
        if (neighbour == e->count)
            break;
        *i = neighbour;
        end = e->items[neighbour].end;
    }
    *i = next;
    size_t before = space_back(a, start);
    bool first = before == 0 || a->text[before - 1] != ',';
    a->run_end = end;
    a->run_alone = first;
    if (comma_behind)
        return replace(a, start, after, NULL);
    return replace(a, first ? start : before - 1, end, NULL);
}

static KT_MUST kt_result add_entry(struct apply *a, const struct kt_edit *e)
{
    bool lonely;
    if (a->added_at == e->start + 1)
        lonely = false;
    else if (a->run_end == e->start)
        lonely = a->run_alone;
    else
        lonely = e->start > 0 && (a->text[e->start - 1] == '{' || a->text[e->start - 1] == '[');
    KT_GUARD(replace(a, e->start, e->start, NULL));
    a->added_at = e->start + 1;
    if (!lonely)
        KT_GUARD(kt_buf_append(a->out, ",", 1));
    return kt_buf_append(a->out, e->text, e->len);
}

static KT_MUST kt_result write_one(struct apply *a, const struct kt_edits *e, size_t *i)
{
    const struct kt_edit *edit = &e->items[*i];
    if (edit->kind == KT_EDIT_REMOVE_ENTRY)
        return remove_run(a, e, i);
    ++*i;
    if (edit->kind == KT_EDIT_ADD_ENTRY)
        return add_entry(a, edit);
    return replace(a, edit->start, edit->end, edit);
}

/* Two redactions that overlap leave nothing of either range in the text. */
static KT_MUST kt_result swallow(struct apply *a, const struct kt_edit *e)
{
    KT_ENSURE(e->end <= a->len, KT_ERR_STATE);
    if (e->kind == KT_EDIT_TEXT && e->end > a->done)
        a->done = e->end;
    return kt_ok();
}

kt_result kt_edits_apply(struct kt_edits *e, const char *text, size_t len, struct kt_buf *out)
{
    struct apply a = {.text = text, .len = len, .out = out};
    if (e->count > 1)
        qsort(e->items, e->count, sizeof *e->items, compare);
    for (size_t i = 0; i < e->count;) {
        if (e->items[i].start >= a.done)
            KT_GUARD(write_one(&a, e, &i));
        else
            KT_GUARD(swallow(&a, &e->items[i++]));
    }
    return kt_buf_append(out, text + a.done, len - a.done);
}
