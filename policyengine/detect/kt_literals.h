/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Many literals over one text, ASCII letters without case: a hash of three bytes says where one may begin.
 * Where a text may be cut anywhere a pattern engine is of no use: this one also says where the text ends
 * before a literal does.
 */
#include "policyengine/base/kt_base.h"

#ifdef __cplusplus
extern "C" {
#endif

struct kt_literals;

/* new; borrows the texts. NULL on OOM. Literals have two bytes or more; ids are 0..count-1, count < 65,535.
 */
struct kt_literals *kt_literals_new(const char *const *texts, size_t count);
void kt_literals_free(struct kt_literals *l);

/* The first place at or behind `from` where a literal may begin or, unless `final`, where too little text is
 * left to say; `len` where there is none. */
size_t kt_literals_place(const struct kt_literals *l, const char *text, size_t len, size_t from, bool final);

enum kt_literal_found { KT_LITERAL_NONE, KT_LITERAL_FOUND, KT_LITERAL_CUT };
/* The literals that begin at `at`, longest first and, of equal ones, the last in the list first: call with
 * *cursor = 0 until NONE. FOUND: *id. CUT: the text ends before a literal does (not where `final`). */
enum kt_literal_found kt_literals_at(const struct kt_literals *l, const char *text, size_t len, size_t at,
                                     bool final, unsigned *cursor, unsigned *id);

#ifdef __cplusplus
}
#endif
