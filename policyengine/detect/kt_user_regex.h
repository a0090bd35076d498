/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A regular expression of the user's own, matched in time linear in the text: all states at once, no
 * backtracking, no table that grows. For the few expressions of a config that are looked for once per answer;
 * many patterns over every byte are Vectorscan's (kt_scan.h), which cannot compile inside of a wrapped
 * program.
 *
 * Syntax: literals, '.', [a-z] [^..], \d \w \s \D \W \S, \t \n \r, \x41, \u00e9, escaped punctuation, ^ $ (of
 * the text), \b \B, (..), (?:..), |, * + ? {n} {n,} {n,m} (a lazy '?' behind them is accepted: whether there
 * is a match does not depend on it), (?i) in front. Back-references and look-around are refused. Works on
 * characters of UTF-8; a byte that is none counts as U+FFFD. \d \w \s and \b know ASCII.
 */
#include "policyengine/base/kt_base.h"

#ifdef __cplusplus
extern "C" {
#endif

#define KT_USER_REGEX_BYTES 1024u /* of the expression */
#define KT_USER_REGEX_STEPS 512u  /* of the compiled form; bounds the cost per character */

struct kt_user_regex; /* immutable, any thread */

/* new. KT_ERR_USAGE with `err` naming the cause and the offset; KT_ERR_MEMORY. */
kt_result kt_user_regex_new(const char *expression, bool ignore_case, struct kt_user_regex **out,
                            struct kt_error *err) KT_MUST;
void kt_user_regex_free(struct kt_user_regex *r);
/* True where the expression matches anywhere in the text. No allocation. */
bool kt_user_regex_find(const struct kt_user_regex *r, const char *text, size_t len);

#ifdef __cplusplus
}
#endif
