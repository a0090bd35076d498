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
typedef __typeof__(((limits_t_ *)0)->budget) budget_t_;
typedef __typeof__(((struct kt_config *)0)->user_rate_limit) user_limit_t_;
typedef __typeof__(((struct kt_config *)0)->ip_rate_limit) ip_limit_t_;
typedef __typeof__(((struct kt_config *)0)->token_rate_limit) token_limit_t_;
typedef __typeof__(((struct kt_config *)0)->health_monitor) monitor_t_;
typedef __typeof__(((struct kt_config *)0)->telemetry) telemetry_t_;

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

static const struct kt_option budget_rows[] = {
    {ROW(budget_t_, usd, FLOAT), .min = 1e-6, .max = 1e9, .required = true, .help = "USD that all calls of a window may cost"},
    {ROW(budget_t_, window_seconds, INT), .def = "86400", .min = 1, .max = 31622400, .help = "the window"},
    END};

static const struct kt_option limits_rows[] = {
    {ROW(limits_t_, max_body_bytes, INT), .def = "67108864", .min = 1024, .max = 1073741824, .help = "largest request body"},
    {ROW(limits_t_, max_response_bytes, INT), .def = "67108864", .min = 1024, .max = 1073741824,
     .help = "largest answer that is not streamed"},
    {ROW(limits_t_, total_seconds, INT), .def = "0", .min = 0, .max = 86400, .help = "all attempts of one call together; 0 = their sum"},
    {ROW(limits_t_, keepalive_seconds, INT), .def = "15", .min = 0, .max = 3600,
     .help = "seconds without an event after which a stream gets an SSE comment; 0 = never"},
    {ROW(limits_t_, first_keepalive_seconds, INT), .def = "60", .min = 0, .max = 3600,
     .help = "seconds after which a client that waits for a stream's beginning gets its 200 and comments, so that a failure behind "
             "that is an error event and no status; 0 = never"},
    {ROW(limits_t_, max_cost_per_request, FLOAT), .def = "-1", .min = 0, .max = 1e6, .help = "USD that one call may cost"},
    {SECTION(limits_t_, budget, budget_rows), .help = "budget: {usd: 5, window_seconds: 86400}"},
    END};

/* No defaults: without max and window there is no limit. */
#define WINDOW_ROWS(base, what, field) \
    {.name = what, .type = KT_OPT_INT, .offset = (base) + offsetof(struct kt_rate_window, field), .min = 1, .max = 1e15, \
     .required = true, .help = "how many may pass in one window"}, \
    {.name = "window_seconds", .type = KT_OPT_INT, .offset = (base) + offsetof(struct kt_rate_window, window_seconds), \
     .min = 1, .max = 31622400, .required = true, .help = "the length of the window"}

static const struct kt_option global_limit_rows[] = {WINDOW_ROWS(0, "max_requests", max), END};

static const struct kt_option user_limit_rows[] = {
    WINDOW_ROWS(offsetof(user_limit_t_, window), "max_requests", max),
    {ROW(user_limit_t_, header_names, STRING_LIST), .def = "[x-user-id]", .help = "request headers that name the user"},
    END};

static const struct kt_option ip_limit_rows[] = {
    WINDOW_ROWS(offsetof(ip_limit_t_, window), "max_requests", max),
    {ROW(ip_limit_t_, trust_proxy_depth, INT), .def = "0", .min = 0, .max = 32, .help = "proxies in front that are trusted"},
    END};

static const struct kt_option token_limit_rows[] = {
    WINDOW_ROWS(offsetof(token_limit_t_, window), "max_tokens", max),
    {ROW(token_limit_t_, scope, STRING), .def = "global", .help = "what the tokens are counted over: global, or user (by user_rate_limit.header_names)"},
    END};

static const struct kt_option monitor_rows[] = {
    {ROW(monitor_t_, enabled, BOOL), .def = "false", .help = "probe the targets in the background"},
    {ROW(monitor_t_, interval_seconds, INT), .def = "30", .min = 1, .max = 86400, .help = "between two probes"},
    {ROW(monitor_t_, timeout_seconds, INT), .def = "5", .min = 1, .max = 3600, .help = "of one probe"},
    END};

static const struct kt_option telemetry_rows[] = {
    {ROW(telemetry_t_, otlp_endpoint, STRING),
     .help = "base URL of an OpenTelemetry collector (OTLP over HTTP), e.g. http://127.0.0.1:4318: one span per call, and histograms of tokens and times"},
    {ROW(telemetry_t_, service_name, STRING), .def = "ktwrap", .help = "service.name of spans and metrics"},
    {ROW(telemetry_t_, propagate, BOOL), .def = "false", .help = "targets get traceparent, with the call's own span in it"},
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
    {ROW(struct kt_config, response_headers, BOOL), .def = "true",
     .help = "answers carry x-kt-request-id, x-kt-target and x-kt-attempts"},
    {SECTION(struct kt_config, global_rate_limit, global_limit_rows), .help = "global_rate_limit: {max_requests: 100, window_seconds: 60}"},
    {SECTION(struct kt_config, user_rate_limit, user_limit_rows), .help = "user_rate_limit: {max_requests: 10, window_seconds: 60}"},
    {SECTION(struct kt_config, ip_rate_limit, ip_limit_rows), .help = "ip_rate_limit: {max_requests: 10, window_seconds: 60}"},
    {SECTION(struct kt_config, token_rate_limit, token_limit_rows), .help = "token_rate_limit: {max_tokens: 100000, window_seconds: 60}"},
    {SECTION(struct kt_config, health_monitor, monitor_rows), .help = "health_monitor: {enabled: true}"},
    {SECTION(struct kt_config, telemetry, telemetry_rows), .help = "telemetry: {otlp_endpoint: http://127.0.0.1:4318}"},
    {ROW(struct kt_config, agents, JSON), .help = "per-agent constraints of the gateway"},
    {ROW(struct kt_config, testing, JSON), .help = "testing: {suites: [...]}, for kt policy test"},
    END};

const struct kt_option kt_schema_policies[] = {
    {CUSTOM("chain"), .required = true, .help = "the policy kinds in the order they run, e.g. [pii-detector, audit-logger]"},
    END};

const struct kt_option kt_schema_common[] = {
    {ROW(struct kt_chain_entry, on_internal_error, ENUM), .def = "fail_mode", .values = "fail_mode|block|allow",
     .help = "what an internal error of this policy does to a call: as fail_mode says, refuse it (block: also "
             "where it cannot be looked at at all), or go on without this policy"},
    END};

const struct kt_unacted kt_unacted_root[] = {
    {.path = "agents"},
    {.path = "policy.prompt-injection.response.log_level", .value = "warn"},
    {.path = "testing.default_threshold"}, /* an assertion has its own */
    {.path = "ip_rate_limit"}, /* a wrapped program has no client's address */
    {.path = NULL}};

const struct kt_unacted kt_unacted_target[] = {
    {.path = NULL}};
/* clang-format on */
