/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Headings of tables as context: in a table the word that says what a value is stands rows above it. The
 * table that the text is in is remembered by the words of its headings, and a value is asked with those of
 * the column that it stands in. Known are lines with separators (CSV, TSV, Markdown), HTML, SQL "(a, b)
 * VALUES (...)" and rows of arrays whose first names the columns.
 *
 * Every byte of the folded text passes once, in order, and what is kept has a fixed size: the state at a
 * byte depends on nothing but the bytes in front of it.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define KT_PII_COLUMNS 32u /* columns further to the right have no context */

/* What the headings say, KT_PII_W_* or-ed: the last word that says anything, and all of them. */
struct kt_pii_columns {
    unsigned count;
    uint32_t last[KT_PII_COLUMNS], all[KT_PII_COLUMNS];
};

/* A row that is being read. Offsets count folded bytes of the text. */
struct kt_pii_row {
    size_t start, cell;  /* where it and its cell began */
    size_t closed;       /* where the last quote closed */
    unsigned column;     /* of the cell, from 0 */
    unsigned named;      /* cells that are no blanks */
    unsigned char depth; /* brackets within the cell */
    char sep;            /* between its cells; 0 = none seen */
    char open;           /* what began it: '(' '[' '<'; 0 = it is over */
    char quote;          /* the cell is within such quotes */
    bool heading;        /* all of it may be names of columns */
    bool tells;          /* and one says what its values are */
    struct kt_pii_columns names;
};

/* Zero-initialised = at the start of a text. */
struct kt_pii_table {
    size_t at; /* folded bytes that have passed */
    enum { KT_PII_NO_TABLE, KT_PII_LINES, KT_PII_LISTS, KT_PII_MARKUP } kind;
    char mark;       /* separator of the lines, bracket of the lists */
    unsigned misses; /* lines in a row that do not fit */
    struct kt_pii_columns columns;
    struct kt_pii_row line, list, markup;
    size_t list_end; /* where the last list ended */
    bool pending;    /* it may be the headings */
    bool begun;
    bool in_tag, in_name; /* of markup: behind '<', and its name is not over */
    unsigned char tag_len;
    char tag[7];
};

/* Lets the bytes [from, to) of `data` pass; the ones in front of `from` are of the same text, 64 at least
 * where it has them. */
void kt_pii_table_pass(struct kt_pii_table *t, const char *data, size_t from, size_t to);

/* The first byte at `from` or behind it that changes more of a table than a cell's length; len where none
 * does. Not for the name of a tag (in_name). */
size_t kt_pii_table_mark(const char *data, size_t len, size_t from);

/* The words over the column in which the next byte stands, 0 where they say nothing; false where it stands in
 * none. `row`: bytes since its row began. */
bool kt_pii_table_column(const struct kt_pii_table *t, uint64_t *last, uint64_t *all, size_t *row);

#ifdef __cplusplus
}
#endif
