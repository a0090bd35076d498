/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Reads nodes into structs as their struct kt_option tables say. What the user got wrong becomes a complaint
 * in the context and leaves the default in place; the functions themselves fail only for want of memory or
 * for a table that is wrong.
 */
#include "policyengine/config/kt_yaml.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Defaults of the whole table into `out`, which must be zeroed. */
kt_result kt_read_defaults(const struct kt_option *table, void *out) KT_MUST;
/* Defaults, then what `map` says. NULL or null = an empty mapping. On any result `out` is good for
 * kt_options_free. */
kt_result kt_read_table(struct kt_ctx *c, const struct kt_option *table, const struct kt_node *map,
                        void *out) KT_MUST;
/* The same for a mapping whose keys are spread over two tables and two structs. */
kt_result kt_read_tables(struct kt_ctx *c, const struct kt_option *table, void *out,
                         const struct kt_option *common, void *common_out, const struct kt_node *map) KT_MUST;
/* One value that is not null; `field` already holds the default. Complains under the current path. */
kt_result kt_read_value(struct kt_ctx *c, const struct kt_option *o, const struct kt_node *n,
                        void *field) KT_MUST;

/* The same for lists of tables, maps and raw JSON (kt_read_compound.c). */
kt_result kt_read_compound(struct kt_ctx *c, const struct kt_option *o, const struct kt_node *n,
                           void *field) KT_MUST;
/* How to mend a scalar of the wrong type or size: what the option would take. "" = no idea. */
void kt_read_example(const struct kt_option *o, const struct kt_node *n, char hint[128]);
/* W006 for what stands in a list of words a second time. */
kt_result kt_read_doubles(struct kt_ctx *c, const struct kt_node *list) KT_MUST;
/* Any node as JSON: plain numbers and booleans as such, all else as strings, maps in file order. */
kt_result kt_node_json(const struct kt_node *n, struct kt_buf *out) KT_MUST;
/* A text in quotes, fit for JSON and YAML both. */
kt_result kt_node_quote(const char *s, struct kt_buf *out) KT_MUST;

/* The pair that sets option `o` in `map`, under its name or its alias; NULL = not set. */
const struct kt_pair *kt_read_pair(const struct kt_option *o, const struct kt_node *map);
/* Complains of keys of `map` that the table does not have; their values are not looked at. */
kt_result kt_read_keys(struct kt_ctx *c, const struct kt_option *table, const struct kt_node *map) KT_MUST;
/* Is set, and not to null. */
bool kt_read_is_set(const struct kt_node *root, const char *dotted);
/* The row of that name (not alias); the table must have it. */
const struct kt_option *kt_option_row(const struct kt_option *table, const char *name);

/* Scalars; false where the text is not of that type. Numbers are read as in the C locale, whatever the
 * program set. */
bool kt_parse_bool(const char *s, bool *out);
bool kt_parse_int(const char *s, int64_t *out);
bool kt_parse_float(const char *s, double *out);
/* The shortest text that kt_parse_float reads as `v`, with a point whatever the program's locale says. */
void kt_format_float(double v, char out[32]);
/* Index into "a|b=alias|c", -1 where none matches. */
int kt_parse_enum(const char *values, const char *s);
/* The canonical name of an index; empty where there is none. Borrowed from `values`. */
struct kt_span kt_enum_name(const char *values, int index);

#ifdef __cplusplus
}
#endif
