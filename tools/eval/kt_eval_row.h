/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Rows of a labelled data set, JSON Lines:
 *   {"text": "...", "label": "injection"}                                      classification
 *   {"text": "...", "spans": [{"start": 3, "end": 9, "type": "EMAIL"}]}       spans, offsets in characters
 * and, where wanted, "lang", "source" (figures are given for each) and "role" (system, user, assistant or
 * tool; user where absent). Other members are ignored. A character is a Unicode code point; a lone surrogate
 * in a \u escape is one character.
 */
#include "policyengine/base/kt_buf.h"
#include "policyengine/policies/kt_policy.h"

#ifdef __cplusplus
extern "C" {
#endif

#define EVAL_LINE_MAX ((size_t)64 << 20) /* bytes of one line */
#define EVAL_SPANS_MAX 16384u            /* of one row */
#define EVAL_NAME_MAX 128u               /* bytes of lang, source and type; longer ones are cut */

enum eval_label { EVAL_UNLABELLED, EVAL_NEGATIVE, EVAL_POSITIVE };

struct eval_span {
    size_t start, end; /* characters, start < end <= characters of the text */
    char type[EVAL_NAME_MAX];
};

struct eval_row {
    char *text; /* owned, UTF-8, may hold NULs; never NULL in a parsed row */
    size_t len;
    enum eval_label label;
    bool has_spans;
    struct eval_span *spans; /* owned, by start */
    size_t span_count;
    char lang[EVAL_NAME_MAX], source[EVAL_NAME_MAX]; /* "" = not given */
    enum kt_origin_class from;
};

/* Fills `out`; `line` without its newline. KT_ERR_SYNTAX or KT_ERR_USAGE with what is wrong in `err`. */
kt_result eval_row_parse(struct kt_span line, struct eval_row *out, struct kt_error *err) KT_MUST;
void eval_row_free(struct eval_row *r);

/* Lines of a file or pipe, LF or CRLF, a byte order mark in front is skipped. */
struct eval_lines {
    int fd; /* borrowed */
    struct kt_buf buf;
    size_t at;         /* first byte of the next line in buf */
    uint64_t consumed; /* bytes read from fd */
    size_t number;     /* of the last line, from 1 */
    bool eof;
};
void eval_lines_init(struct eval_lines *l, int fd);
void eval_lines_free(struct eval_lines *l);
/* *line is borrowed until the next call; *more = false at the end. KT_ERR_IO with errno, KT_ERR_LIMIT past
 * EVAL_LINE_MAX, KT_ERR_MEMORY. */
kt_result eval_lines_next(struct eval_lines *l, struct kt_span *line, bool *more) KT_MUST;

/* Code points of valid UTF-8. */
size_t eval_characters(const char *text, size_t len);

#ifdef __cplusplus
}
#endif
