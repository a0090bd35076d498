/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Options are data: one table per struct gives parsing, defaults, unknown-key errors with "did you mean",
 * help and the canonical print. Behaviour code never sees YAML.
 */
#include "policyengine/base/kt_base.h"

#ifdef __cplusplus
extern "C" {
#endif

enum kt_opt_type {
    KT_OPT_BOOL,        /* bool */
    KT_OPT_INT,         /* int64_t, min..max */
    KT_OPT_FLOAT,       /* double, min..max */
    KT_OPT_STRING,      /* char *, owned, NULL = not set */
    KT_OPT_ENUM,        /* int: index into `values` ("block|redact|..."); "a=b" lists b as an alias of a:
                           "latency=lowest_latency" */
    KT_OPT_STRING_LIST, /* struct kt_strings */
    KT_OPT_TABLE,       /* struct in place, described by `table` */
    KT_OPT_TABLE_LIST,  /* struct kt_list of structs described by `table`, `item_size` bytes each */
    KT_OPT_STRING_MAP,  /* struct kt_string_map: any keys, string values */
    KT_OPT_FLOAT_MAP,   /* struct kt_float_map: any keys, numbers within min..max */
    KT_OPT_JSON,        /* char *, owned: any YAML value as JSON text; NULL = not set */
    KT_OPT_CUSTOM /* only the name is known here; the owner of the table reads and frees the value itself */
};

struct kt_strings {
    char **items; /* owned */
    size_t count;
};

struct kt_list {
    void *items; /* owned array */
    size_t count;
};

struct kt_string_map {
    char **keys, **values; /* owned; in file order */
    size_t count;
};

struct kt_float_map {
    char **keys; /* owned; in file order */
    double *values;
    size_t count;
};

struct kt_option {
    const char *name;
    enum kt_opt_type type;
    size_t offset;                 /* in the options struct */
    const char *def;               /* default in YAML spelling, lists as "[a, b]"; NULL = zero / not set */
    const char *values;            /* KT_OPT_ENUM */
    double min, max;               /* numbers; both 0 = any. A negative default below a min of 0 or more, or
                                      zero where `def` is NULL and min is more, means "not set": the canonical
                                      print leaves it out */
    const char *help;              /* one line */
    const struct kt_option *table; /* KT_OPT_TABLE, KT_OPT_TABLE_LIST; ends with name == NULL */
    size_t item_size;              /* KT_OPT_TABLE_LIST */
    bool required;
    const char *alias; /* a second spelling of `name`; NULL = none */
};

/* Frees everything that the table owns inside `opts`; the struct itself stays. */
void kt_options_free(const struct kt_option *table, void *opts);
/* The same for the field of one option. */
void kt_option_clear(const struct kt_option *o, void *field);
void kt_strings_free(struct kt_strings *s);
kt_result kt_strings_add(struct kt_strings *s, const char *text) KT_MUST;

#ifdef __cplusplus
}
#endif
