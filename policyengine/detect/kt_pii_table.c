/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/detect/kt_pii_table.h"

#include "policyengine/detect/kt_bytes.h"
#include "policyengine/detect/kt_pii_text.h"
#include "policyengine/detect/kt_pii_words.h"

#include <limits.h>
#include <string.h>

#define NAME_MAX_BYTES 48u /* of a heading */
#define NAME_MAX_WORDS 4u
#define LIST_MAX 4096u /* bytes of a cell: what opened a list was none */
#define GAP_MAX 40u    /* bytes between two lists of a table */
#define MISSES_MAX 3u
#define NO_CELL UINT_MAX /* the row has begun, its first cell has not */

/* "Account | Company" heads nothing: one of the words names a value of a person. */
#define TELLING                                                                                              \
    (KT_PII_W_PHONE | KT_PII_W_CARD | KT_PII_W_SSN | KT_PII_W_SOCIAL | KT_PII_W_BANK | KT_PII_W_NHS |        \
     KT_PII_W_BIRTH | KT_PII_W_VIN | KT_PII_W_CRYPTO | KT_PII_W_VAT | KT_PII_W_TAX | KT_PII_W_PASSPORT |     \
     KT_PII_W_LICENCE | KT_PII_W_NPI | KT_PII_W_RECORD | KT_PII_W_MEMBER | KT_PII_W_NATIONAL | KT_PII_W_MAC)

/* Bytes at which the state may change; the others only make cells longer. */
static const bool marks[256] = {
    ['\n'] = true, [','] = true, [';'] = true,  ['\t'] = true, ['|'] = true, ['"'] = true, ['('] = true,
    [')'] = true,  ['['] = true, ['\''] = true, [']'] = true,  ['<'] = true, ['>'] = true};

KT_BYTES_INLINE kt_bytes mark_bytes(kt_bytes v)
{
    return kt_bytes_within(v, '\t', '\n') | kt_bytes_are(v, ',') | kt_bytes_are(v, ';') |
           kt_bytes_are(v, '|') | kt_bytes_are(v, '"') | kt_bytes_within(v, '\'', ')') |
           kt_bytes_are(v, '[') | kt_bytes_are(v, ']') | kt_bytes_are(v, '<') | kt_bytes_are(v, '>');
}

size_t kt_pii_table_mark(const char *data, size_t len, size_t from)
{
    return kt_bytes_next(data, len, from, mark_bytes);
}

static bool blank(char c)
{
    return c == ' ' || c == '\r' || c == '\n' || c == '\t';
}

/* Spaces and what names are set off with. */
static bool trims(char c)
{
    return blank(c) || c == '"' || c == '\'' || c == '`' || c == '*' || c == '_';
}

enum name { NO_NAME, BLANK, NAME };

static const bool in_no_name[256] = {
    ['\0'] = true, [':'] = true,  ['='] = true, ['@'] = true,  ['{'] = true, ['}'] = true, ['<'] = true,
    ['>'] = true,  ['\\'] = true, ['$'] = true, ['!'] = true,  ['?'] = true, ['%'] = true, ['&'] = true,
    ['~'] = true,  ['^'] = true,  ['+'] = true, ['\n'] = true, ['\t'] = true};

/* "Phone (home)", "birth_date", "Tel.-Nr.", "address2"; not "2122341107", "a: b", "if (x == 1". */
static enum name is_name(const char *s, size_t len)
{
    unsigned words = 1, digits = 0;
    if (len == 0)
        return BLANK;
    if (!kt_pii_alpha((unsigned char)s[0]) && (unsigned char)s[0] < 0x80)
        return NO_NAME;
    for (size_t i = 0; i < len; i++) {
        words += s[i] == ' ';
        digits += kt_pii_digit((unsigned char)s[i]);
        if (in_no_name[(unsigned char)s[i]])
            return NO_NAME;
    }
    return words <= NAME_MAX_WORDS && digits <= 2 ? NAME : NO_NAME;
}

/* The cell of a row that may be the headings ends at data[end]. */
static void name_cell(struct kt_pii_row *r, const char *data, size_t end, size_t len)
{
    if (len > NAME_MAX_BYTES) {
        r->heading = false;
        return;
    }
    const char *s = data + end - len;
    while (len > 0 && trims(*s)) {
        s++;
        len--;
    }
    while (len > 0 && trims(s[len - 1]))
        len--;
    enum name n = is_name(s, len);
    r->heading = n != NO_NAME;
    if (n != NAME)
        return;
    r->named++;
    if (r->column >= KT_PII_COLUMNS)
        return;
    uint64_t last, all = kt_pii_classes_of(s, len, &last);
    r->names.last[r->column] = (uint32_t)last;
    r->names.all[r->column] |= (uint32_t)all;
    r->tells |= (all & TELLING) != 0;
}

static void next_cell(struct kt_pii_row *r, size_t cell)
{
    r->column++;
    r->cell = cell;
    if (r->column < KT_PII_COLUMNS)
        r->names.last[r->column] = r->names.all[r->column] = 0;
}

static void begin_row(struct kt_pii_row *r, size_t at, char open, char sep)
{
    r->start = r->cell = at;
    r->column = r->named = 0;
    r->depth = 0;
    r->sep = sep;
    r->open = open;
    r->quote = 0;
    r->closed = 0;
    r->heading = true;
    r->tells = false;
    r->names.last[0] = r->names.all[0] = 0;
}

static bool names_columns(const struct kt_pii_row *r)
{
    return r->heading && r->tells && r->named >= 2;
}

static void begin_table(struct kt_pii_table *t, const struct kt_pii_row *r, int kind, char mark)
{
    t->kind = kind;
    t->mark = mark;
    t->misses = 0;
    t->columns = r->names;
    t->columns.count = r->column + 1;
}

/* A quote at the start of a cell opens, the same one closes; right behind one that closed it stands for
 * itself and the cell goes on. */
static void quote(struct kt_pii_row *r, const char *data, size_t i, size_t at)
{
    size_t cell = at - r->cell;
    if (r->quote) {
        if (r->quote != data[i] || data[i - 1] == '\\')
            return;
        r->quote = 0;
        r->closed = at;
        return;
    }
    if (r->closed && r->closed + 1 == at && data[i - 1] == data[i]) {
        r->quote = data[i];
        return;
    }
    if (cell > GAP_MAX)
        return;
    while (cell > 0 && data[i - cell] == ' ')
        cell--;
    if (cell == 0)
        r->quote = data[i];
}

/* ---- lines ---- */

static void line_ends(struct kt_pii_table *t, const char *data, size_t i)
{
    struct kt_pii_row *r = &t->line;
    bool empty = r->column == 0 && t->at - r->start <= 1, lines = t->kind == KT_PII_LINES;
    if (r->heading)
        name_cell(r, data, i, t->at - r->cell);
    bool fits = lines && r->sep == t->mark && r->column + 1 == t->columns.count;
    if (fits)
        t->misses = 0;
    else if (r->column > 0 && names_columns(r))
        begin_table(t, r, KT_PII_LINES, r->sep);
    else if (lines && (empty || ++t->misses > MISSES_MAX))
        t->kind = KT_PII_NO_TABLE;
    begin_row(r, t->at + 1, 0, t->kind == KT_PII_LINES ? t->mark : 0);
}

static void line_mark(struct kt_pii_table *t, const char *data, size_t i)
{
    struct kt_pii_row *r = &t->line;
    char c = data[i];
    if (c == '"') {
        quote(r, data, i, t->at);
        return;
    }
    bool separates = c == ',' || c == ';' || c == '\t' || c == '|';
    if (!separates || r->quote || (r->sep && c != r->sep))
        return;
    r->sep = c;
    if (r->heading)
        name_cell(r, data, i, t->at - r->cell);
    next_cell(r, t->at + 1);
}

/* ---- lists ---- */

/* What stands between the last list and this one is `joins`, spaces apart. */
static bool joined_by(const struct kt_pii_table *t, const char *data, size_t i, const char *joins)
{
    size_t gap = t->at - t->list_end, len = strlen(joins);
    if (!t->list_end || gap > GAP_MAX || gap > i)
        return false;
    const char *s = data + i - gap;
    for (; gap > 0 && blank(*s); s++)
        gap--;
    while (gap > 0 && blank(s[gap - 1]))
        gap--;
    return gap == len && kt_pii_same(s, joins, len);
}

static void list_begins(struct kt_pii_table *t, const char *data, size_t i)
{
    char c = data[i];
    bool comma = joined_by(t, data, i, ","), values = c == '(' && joined_by(t, data, i, "values");
    if (t->pending && (values || (c == '[' && comma && t->list.sep == '[')))
        begin_table(t, &t->list, KT_PII_LISTS, c);
    else if (t->kind == KT_PII_LISTS && !(comma && c == t->mark) && !values)
        t->kind = KT_PII_NO_TABLE;
    t->pending = false;
    begin_row(&t->list, t->at + 1, c, c);
}

static void list_ends(struct kt_pii_table *t, const char *data, size_t i)
{
    struct kt_pii_row *r = &t->list;
    if (r->heading)
        name_cell(r, data, i, t->at - r->cell);
    bool table = t->kind == KT_PII_LISTS;
    if (table && r->column + 1 != t->columns.count)
        t->kind = KT_PII_NO_TABLE;
    t->pending = !table && names_columns(r);
    r->open = 0;
    t->list_end = t->at + 1;
}

/* Nothing but spaces stands in the first cell of the list. */
static bool at_its_start(const struct kt_pii_table *t, const char *data, size_t i)
{
    size_t cell = t->at - t->list.cell;
    if (t->list.column > 0 || t->list.depth > 0 || cell > GAP_MAX)
        return false;
    while (cell > 0 && blank(data[i - cell]))
        cell--;
    return cell == 0;
}

static void list_mark(struct kt_pii_table *t, const char *data, size_t i)
{
    struct kt_pii_row *r = &t->list;
    char c = data[i];
    bool opens = c == '(' || c == '[', closes = c == ')' || c == ']';
    if (!r->open) {
        if (opens)
            list_begins(t, data, i);
        return;
    }
    size_t cell = t->at - r->cell;
    if (cell > LIST_MAX) {
        r->open = 0;
    } else if (c == '"' || c == '\'') {
        if (r->quote || r->depth == 0)
            quote(r, data, i, t->at);
    } else if (r->quote) {
        return;
    } else if (opens && c == '[' && at_its_start(t, data, i)) {
        list_begins(t, data, i);
    } else if (opens) {
        r->depth += r->depth < 255;
    } else if (closes && r->depth > 0) {
        r->depth--;
    } else if (closes) {
        list_ends(t, data, i);
    } else if (c == ',' && r->depth == 0) {
        if (r->heading)
            name_cell(r, data, i, cell);
        next_cell(r, t->at + 1);
    }
}

/* ---- markup ---- */

static void markup_row_ends(struct kt_pii_table *t)
{
    struct kt_pii_row *r = &t->markup;
    bool heads = r->sep == 'h' || t->kind != KT_PII_MARKUP; /* <th>, or the first row of all */
    if (r->open && heads && names_columns(r))
        begin_table(t, r, KT_PII_MARKUP, '<');
    r->open = 0;
}

static void tag_named(struct kt_pii_table *t)
{
    struct kt_pii_row *r = &t->markup;
    t->tag[t->tag_len] = '\0';
    if (strcmp(t->tag, "tr") == 0) {
        markup_row_ends(t);
        begin_row(r, t->at, '<', 0);
        r->column = NO_CELL;
    } else if (strcmp(t->tag, "/tr") == 0) {
        markup_row_ends(t);
    } else if (strcmp(t->tag, "table") == 0 || strcmp(t->tag, "/table") == 0) {
        markup_row_ends(t);
        if (t->kind == KT_PII_MARKUP)
            t->kind = KT_PII_NO_TABLE;
    } else if (r->open && (strcmp(t->tag, "th") == 0 || strcmp(t->tag, "td") == 0)) {
        next_cell(r, t->at);
        r->sep = t->tag[1];
    }
}

/* A byte right behind '<'. */
static void tag_byte(struct kt_pii_table *t, unsigned char c)
{
    bool part = kt_pii_alnum(c) || (c == '/' && t->tag_len == 0);
    if (part && t->tag_len + 1u < sizeof t->tag) {
        t->tag[t->tag_len++] = (char)(c == '/' ? c : c | 0x20);
        return;
    }
    t->in_name = false;
    if (part || t->tag_len == 0)
        t->tag_len = 0;
    else
        tag_named(t);
}

static void markup_mark(struct kt_pii_table *t, const char *data, size_t i)
{
    struct kt_pii_row *r = &t->markup;
    if (data[i] == '>' && t->in_tag) {
        t->in_tag = false;
        r->cell = t->at + 1;
    } else if (data[i] == '<') {
        if (r->open && !t->in_tag && r->heading && r->column != NO_CELL)
            name_cell(r, data, i, t->at - r->cell);
        t->in_tag = t->in_name = true;
        t->tag_len = 0;
    }
}

/* ---- all of them ---- */

static void mark(struct kt_pii_table *t, const char *data, size_t i)
{
    switch (data[i]) {
    case '\n':
        line_ends(t, data, i);
        break;
    case '<':
    case '>':
        markup_mark(t, data, i);
        break;
    default:
        line_mark(t, data, i);
        list_mark(t, data, i);
    }
}

void kt_pii_table_pass(struct kt_pii_table *t, const char *data, size_t from, size_t to)
{
    const unsigned char *s = (const unsigned char *)data;
    if (!t->begun) {
        t->begun = true;
        begin_row(&t->line, 0, 0, 0);
    }
    size_t base = t->at - from; /* wraps around; so does the sum */
    for (size_t i = from; i < to; i++) {
        if (t->in_name) {
            t->at = base + i;
            tag_byte(t, s[i]);
        }
        while (!t->in_name && i < to && !marks[s[i]])
            i++;
        if (i == to)
            break;
        t->at = base + i;
        if (marks[s[i]])
            mark(t, data, i);
    }
    t->at = base + to;
}

bool kt_pii_table_column(const struct kt_pii_table *t, uint64_t *last, uint64_t *all, size_t *row)
{
    const struct kt_pii_row *r = t->kind == KT_PII_LINES   ? &t->line
                                 : t->kind == KT_PII_LISTS ? &t->list
                                                           : &t->markup;
    bool within = t->kind == KT_PII_LINES || (r->open && r->depth == 0);
    if (t->kind == KT_PII_NO_TABLE || !within || (t->kind == KT_PII_MARKUP && t->in_tag))
        return false;
    if (r->column >= t->columns.count || r->column >= KT_PII_COLUMNS)
        return false;
    *last = t->columns.last[r->column];
    *all = t->columns.all[r->column];
    *row = t->at - r->start;
    /* A line that has no separator yet may be none of the table. */
    return *all != 0 || r->column > 0;
}
