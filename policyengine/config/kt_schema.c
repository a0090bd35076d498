/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/config/kt_schema.h"

/* clang-format off */
typedef __typeof__(((struct kt_config *)0)->pack) pack_t_;
typedef __typeof__(((struct kt_config *)0)->intercept) intercept_t_;
typedef __typeof__(((struct kt_config *)0)->limits) limits_t_;
typedef __typeof__(((struct kt_config *)0)->audit) audit_t_;

#define ROW(T, n, t) .name = #n, .type = KT_OPT_##t, .offset = offsetof(T, n)
#define SECTION(T, n, rows) ROW(T, n, TABLE), .table = (rows)
#define CUSTOM(n) .name = (n), .type = KT_OPT_CUSTOM
#define END {.name = NULL}

static const struct kt_option pack_rows[] = {
    {ROW(pack_t_, name, STRING), .required = true, .help = "the name of this config, shown in every event"},
    {ROW(pack_t_, version, STRING), .required = true, .help = "semantic version of this config, e.g. 1.0.0"},
    {ROW(pack_t_, description, STRING), .help = "free text"},
    {ROW(pack_t_, enabled, BOOL), .def = "true", .help = "false: no policy runs and calls go to their origin"},
    END};

static const struct kt_option intercept_rows[] = {
    {ROW(intercept_t_, hosts, STRING_LIST), .help = "hosts whose calls are captured: names, '*.suffix', IP addresses"},
    {ROW(intercept_t_, exclude, STRING_LIST), .help = "hosts that a wildcard must not capture"},
    {ROW(intercept_t_, unknown_endpoints, ENUM), .def = "block", .values = "block|pass",
     .help = "what happens to calls of an intercepted host that are not chat completions"},
    END};

static const struct kt_option limits_rows[] = {
    {ROW(limits_t_, max_body_bytes, INT), .def = "67108864", .min = 1024, .max = 1073741824, .help = "largest request body"},
    {ROW(limits_t_, max_response_bytes, INT), .def = "67108864", .min = 1024, .max = 1073741824,
     .help = "largest answer that is not streamed"},
    {ROW(limits_t_, total_seconds, INT), .def = "0", .min = 0, .max = 86400, .help = "all attempts of one call together; 0 = their sum"},
    END};

static const struct kt_option audit_rows[] = {
    {ROW(audit_t_, capture, ENUM), .def = "none", .values = "none|redacted|full", .help = "what of the prompts is stored"},
    {ROW(audit_t_, max_file_bytes, INT), .def = "67108864", .min = 4096, .max = 1099511627776, .help = "a new file past this size"},
    END};

const struct kt_option kt_schema_root[] = {
    {SECTION(struct kt_config, pack, pack_rows), .required = true, .help = "pack: {name: ..., version: 1.0.0, enabled: true}"},
    {CUSTOM("policies"), .required = true, .help = "policies: {chain: [...]}"},
    {CUSTOM("policy"), .help = "settings of each policy kind"},
    {SECTION(struct kt_config, providers, kt_schema_providers), .help = "providers: {targets: [...]}"},
    {ROW(struct kt_config, mode, ENUM), .def = "enforce", .values = "enforce|observe", .help = "observe: nothing is changed or blocked"},
    {ROW(struct kt_config, fail_mode, ENUM), .def = "block", .values = "block|allow", .help = "what an internal error does to a call"},
    {SECTION(struct kt_config, intercept, intercept_rows), .help = "intercept: {hosts: [...]}"},
    {CUSTOM("model_map"), .help = "model_map: {requested-model: model-to-send}"},
    {SECTION(struct kt_config, limits, limits_rows), .help = "limits: {max_body_bytes: 67108864}"},
    {SECTION(struct kt_config, audit, audit_rows), .help = "audit: {max_file_bytes: 67108864}"},
    {ROW(struct kt_config, block_status, INT), .def = "409", .min = 400, .max = 599, .help = "HTTP status of a blocked call"},
    {CUSTOM("agents"), .help = "per-agent constraints of the gateway"},
    {CUSTOM("testing"), .help = "test suites of the gateway"},
    END};

const struct kt_option kt_schema_policies[] = {
    {CUSTOM("chain"), .required = true, .help = "the policy kinds in the order they run, e.g. [pii-detector, audit-logger]"},
    END};

const struct kt_unacted kt_unacted_root[] = {
    {.path = "agents"},
    {.path = "testing"},
    {.path = "providers.routing.window_seconds"},
    {.path = "providers.routing.min_sample_count"},
    {.path = "providers.fallback.content_policy", .value = "stop"},
    {.path = "providers.fallback.context_window", .value = "abort"},
    {.path = "providers.circuit_breaker", .off = "enabled"},
    {.path = "providers.retry"},
    {.path = NULL}};

const struct kt_unacted kt_unacted_target[] = {
    {.path = "max_context_tokens", .value = "0"},
    {.path = "provider_type", .value = "auto"},
    {.path = "weight"},
    {.path = "health_probe", .off = "enabled"},
    {.path = "data_policy"},
    {.path = NULL}};
/* clang-format on */
