/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What eval, test and explain of `kt policy` share: a config that is fit to run, and output that is fit for a
 * terminal. */
#include "policyengine/base/kt_buf.h"
#include "tools/policy.h"

#include <stdio.h>

struct kt_chain;

/* new config. Prints what is wrong with it on stderr; 0, or the exit status to leave with. */
int kt_policy_load(const struct kt_strings *files, struct kt_config **out);
/* new: the built-in defaults of one policy as a chain of its own; `extra` are lines of YAML inside its block,
 * NULL = none. */
int kt_policy_load_one(const char *kind, const char *extra, struct kt_config **out);

/* new chain. Prints what the policies say of their options, with its place, on stderr; 0, or the exit status.
 */
int kt_policy_make_chain(const struct kt_config *config, struct kt_chain **out);

/* True where `to` is a terminal that wants colours. */
bool kt_policy_colour(FILE *to);
/* A verdict in its colour, padded to `width`. */
void kt_policy_put_verdict(FILE *to, const char *verdict, int width, bool colour);
/* Text of foreign origin on one line: what could steer a terminal becomes '?' or an escape; cut at `max`
 * characters with "...". */
void kt_policy_put_text(FILE *to, const char *text, size_t len, size_t max);

/* The whole of a file, "-" = standard input; KT_ERR_LIMIT past `out->max`, KT_ERR_IO with errno. */
kt_result kt_policy_read_file(const char *path, struct kt_buf *out) KT_MUST;

/* Flushes standard output: 0, or the exit status of a failed write. */
int kt_policy_flush(int status);
