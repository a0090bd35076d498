/* SPDX-License-Identifier: Apache-2.0 */
/* `testing` is read by `kt policy test`; here its keys are looked at, so that a slip of the pen has a place.
 */
#include "policyengine/config/kt_config_parts.h"
#include "policyengine/config/kt_read.h"

#define KEY(n)                                                                                               \
    {                                                                                                        \
        .name = (n), .type = KT_OPT_CUSTOM                                                                   \
    }
#define END                                                                                                  \
    {                                                                                                        \
        .name = NULL                                                                                         \
    }
static const struct kt_option testing_keys[] = {KEY("default_threshold"), KEY("suites"), END};
static const struct kt_option suite_keys[] = {KEY("name"),       KEY("description"), KEY("target"),
                                              KEY("assertions"), KEY("cases"),       END};
static const struct kt_option case_keys[] = {KEY("name"), KEY("description"), KEY("input"), KEY("expected"),
                                             END};
static const struct kt_option input_keys[] = {KEY("messages"),
                                              KEY("request"),
                                              KEY("headers"),
                                              KEY("upstream_response"),
                                              KEY("proxy_name"),
                                              KEY("team_slugs"),
                                              END};
static const struct kt_option expected_keys[] = {KEY("verdict"), KEY("reason_code"), END};
static const struct kt_option verdict = {
    .name = "verdict", .type = KT_OPT_ENUM, .values = "allow|redact|escalate|block"};

typedef kt_result (*check_fn)(struct kt_ctx *c, const struct kt_node *n);

static KT_MUST kt_result is_map(struct kt_ctx *c, const struct kt_node *n, const struct kt_option *keys,
                                bool *is)
{
    *is = n->kind == KT_NODE_MAP;
    return *is ? kt_read_keys(c, keys, n)
               : kt_complain(c, "E004", n->at, "see kt policy test --help", "must be a mapping, is %s",
                             kt_node_what(n));
}

/* The member `key`, where it is there. */
static KT_MUST kt_result below(struct kt_ctx *c, const struct kt_node *map, const char *key, check_fn fn)
{
    const struct kt_node *n = kt_node_get(map, key);
    if (kt_node_is_null(n))
        return kt_ok();
    size_t path = kt_path_push(c, key);
    kt_result r = fn(c, n);
    kt_path_pop(c, path);
    return r;
}

static KT_MUST kt_result each(struct kt_ctx *c, const struct kt_node *list, check_fn fn)
{
    if (list->kind != KT_NODE_LIST)
        return kt_complain(c, "E004", list->at, "see kt policy test --help", "must be a list, is %s",
                           kt_node_what(list));
    for (size_t i = 0; i < list->count; i++) {
        size_t path = kt_path_push_index(c, i);
        KT_GUARD(fn(c, list->items[i]));
        kt_path_pop(c, path);
    }
    return kt_ok();
}

static kt_result check_verdict(struct kt_ctx *c, const struct kt_node *n)
{
    int any;
    return kt_read_value(c, &verdict, n, &any);
}

static kt_result check_expected(struct kt_ctx *c, const struct kt_node *n)
{
    bool map;
    KT_GUARD(is_map(c, n, expected_keys, &map));
    return map ? below(c, n, "verdict", check_verdict) : kt_ok();
}

static kt_result check_input(struct kt_ctx *c, const struct kt_node *n)
{
    bool map;
    return is_map(c, n, input_keys, &map);
}

static kt_result check_case(struct kt_ctx *c, const struct kt_node *n)
{
    bool map;
    KT_GUARD(is_map(c, n, case_keys, &map));
    if (!map)
        return kt_ok();
    KT_GUARD(below(c, n, "input", check_input));
    return below(c, n, "expected", check_expected);
}

static kt_result check_cases(struct kt_ctx *c, const struct kt_node *n)
{
    return each(c, n, check_case);
}

static kt_result check_suite(struct kt_ctx *c, const struct kt_node *n)
{
    bool map;
    KT_GUARD(is_map(c, n, suite_keys, &map));
    return map ? below(c, n, "cases", check_cases) : kt_ok();
}

static kt_result check_suites(struct kt_ctx *c, const struct kt_node *n)
{
    return each(c, n, check_suite);
}

static kt_result check_testing(struct kt_ctx *c, const struct kt_node *n)
{
    bool map;
    KT_GUARD(is_map(c, n, testing_keys, &map));
    return map ? below(c, n, "suites", check_suites) : kt_ok();
}

kt_result kt_testing_check(struct kt_ctx *c, const struct kt_node *root)
{
    return below(c, root, "testing", check_testing);
}
