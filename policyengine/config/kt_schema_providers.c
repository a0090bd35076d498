/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/config/kt_schema.h"

/* clang-format off */
typedef __typeof__(((struct kt_config *)0)->providers) providers_t_;
typedef __typeof__(((providers_t_ *)0)->routing) routing_t_;
typedef __typeof__(((providers_t_ *)0)->fallback) fallback_t_;
typedef __typeof__(((providers_t_ *)0)->circuit_breaker) breaker_t_;
typedef __typeof__(((providers_t_ *)0)->retry) retry_t_;
typedef __typeof__(((struct kt_target *)0)->tls) tls_t_;
typedef __typeof__(((struct kt_target *)0)->pricing) pricing_t_;
typedef __typeof__(((struct kt_target *)0)->health_probe) probe_t_;
typedef __typeof__(((struct kt_target *)0)->data_policy) data_policy_t_;

#define ROW(T, n, t) .name = #n, .type = KT_OPT_##t, .offset = offsetof(T, n)
#define SECTION(T, n, rows) ROW(T, n, TABLE), .table = (rows)
#define CUSTOM(n) .name = (n), .type = KT_OPT_CUSTOM
#define END {.name = NULL}

const struct kt_option kt_schema_strategy = {
    .name = "strategy", .type = KT_OPT_ENUM,
    .values = "single|ordered=fallback=priority|latency=lowest_latency|"
              "weighted_round_robin=weighted-round-robin=weighted|round_robin=round-robin|"
              "highest_throughput=throughput|cost=lowest_cost|random",
    .help = "how a target is chosen"};

const struct kt_option kt_schema_trigger = {
    .name = "triggers",
    .type = KT_OPT_ENUM,
    .help = "a failure that goes on to the next target",
    .values = "rate_limit=rate_limit_exceeded=429|server_error=service_unavailable=5xx|timeout|"
              "connection_error=network_error"};

static const struct kt_option routing_rows[] = {
    {CUSTOM("strategy"), .help = "the same as providers.strategy"},
    {ROW(routing_t_, window_seconds, INT), .def = "300", .min = 1, .max = 86400, .help = "how far back averages look"},
    {ROW(routing_t_, min_sample_count, INT), .def = "5", .min = 1, .max = 100000, .help = "answers before an average counts"},
    {ROW(routing_t_, max_latency_ms, INT), .min = 1, .max = 3600000, .help = "slower targets come last"},
    {ROW(routing_t_, max_price, FLOAT), .def = "-1", .min = 0, .max = 1e6, .help = "USD per million prompt tokens; dearer targets are not used"},
    END};

static const struct kt_option fallback_rows[] = {
    {ROW(fallback_t_, enabled, BOOL), .def = "false", .help = "default: true, but for the strategy single"},
    {CUSTOM("triggers"), .help = "a list out of rate_limit, server_error, timeout, connection_error"},
    {ROW(fallback_t_, max_fallback_attempts, INT), .def = "3", .min = 1, .max = 64, .help = "further targets tried after the first"},
    {ROW(fallback_t_, content_policy, ENUM), .def = "stop", .values = "stop|fallback", .help = "when a provider refuses the content"},
    {ROW(fallback_t_, context_window, ENUM), .def = "abort", .values = "abort|fallback", .help = "when the prompt is too long"},
    END};

static const struct kt_option breaker_rows[] = {
    {ROW(breaker_t_, enabled, BOOL), .def = "false", .help = "default: true where the section is there"},
    {ROW(breaker_t_, failure_threshold, INT), .def = "5", .min = 1, .max = 10000, .help = "failures in a row that open it"},
    {ROW(breaker_t_, recovery_timeout_seconds, INT), .alias = "cooldown_seconds", .def = "30", .min = 1, .max = 86400,
     .help = "how long it stays open"},
    {ROW(breaker_t_, half_open_max_requests, INT), .def = "1", .min = 1, .max = 1000, .help = "trial requests after that"},
    END};

static const struct kt_option retry_rows[] = {
    {ROW(retry_t_, max_attempts, INT), .def = "3", .min = 1, .max = 20, .help = "tries of one target, the first included"},
    {ROW(retry_t_, initial_delay_ms, INT), .def = "500", .min = 0, .max = 600000, .help = "wait before the second try"},
    {ROW(retry_t_, max_delay_ms, INT), .def = "10000", .min = 0, .max = 600000, .help = "longest wait"},
    {ROW(retry_t_, multiplier, FLOAT), .def = "2.0", .min = 1, .max = 100, .help = "growth of the wait"},
    {ROW(retry_t_, jitter, BOOL), .def = "true", .help = "random part of the wait"},
    {CUSTOM("on_status"), .help = "a list of at most 16 HTTP statuses that are tried again"},
    {ROW(retry_t_, respect_retry_after, BOOL), .def = "true", .help = "wait as long as the provider asks"},
    END};

const struct kt_option kt_schema_providers[] = {
    {CUSTOM("strategy"), .help = "single, ordered, latency, weighted_round_robin, ..."},
    {SECTION(providers_t_, routing, routing_rows), .help = "routing: {strategy: ordered}"},
    {SECTION(providers_t_, fallback, fallback_rows), .help = "fallback: {triggers: [rate_limit, timeout]}"},
    {SECTION(providers_t_, circuit_breaker, breaker_rows), .help = "circuit_breaker: {failure_threshold: 5}"},
    {SECTION(providers_t_, retry, retry_rows), .help = "retry: {max_attempts: 3}"},
    {CUSTOM("targets"), .required = true, .help = "a list of targets: [{id: ..., provider: mistral, model: ...}]"},
    END};

static const struct kt_option secret_rows[] = {
    {ROW(struct kt_secret_ref, env, STRING), .help = "the NAME of the environment variable that holds the key"},
    {ROW(struct kt_secret_ref, file, STRING), .help = "a file that holds the key and nothing else"},
    {ROW(struct kt_secret_ref, command, STRING), .help = "a command for /bin/sh that prints the key, e.g. pass show mistral"},
    END};

static const struct kt_option tls_rows[] = {
    {ROW(tls_t_, ca_file, STRING), .help = "PEM file of the CA that signed the endpoint's certificate"},
    END};

static const struct kt_option pricing_rows[] = {
    {ROW(pricing_t_, prompt, FLOAT), .def = "-1", .min = 0, .max = 1e6, .help = "USD per million prompt tokens"},
    {ROW(pricing_t_, completion, FLOAT), .def = "-1", .min = 0, .max = 1e6, .help = "USD per million completion tokens"},
    {ROW(pricing_t_, cached_prompt, FLOAT), .def = "-1", .min = 0, .max = 1e6, .help = "USD per million prompt tokens out of the provider's cache"},
    END};

static const struct kt_option probe_rows[] = {
    {ROW(probe_t_, enabled, BOOL), .def = "false", .help = "ask the target now and then whether it is there"},
    {ROW(probe_t_, interval_seconds, INT), .def = "30", .min = 1, .max = 86400, .help = "between two probes"},
    {ROW(probe_t_, timeout_seconds, INT), .def = "5", .min = 1, .max = 3600, .help = "of one probe"},
    END};

static const struct kt_option data_policy_rows[] = {
    {ROW(data_policy_t_, zero_data_retention, BOOL), .def = "false", .help = "the provider stores nothing"},
    {ROW(data_policy_t_, training_opt_out, BOOL), .def = "false", .help = "the provider does not train on it"},
    {ROW(data_policy_t_, retention_days, INT), .def = "-1", .min = 0, .max = 36500, .help = "how long the provider stores it"},
    END};

const struct kt_option kt_schema_target[] = {
    {ROW(struct kt_target, id, STRING), .required = true, .help = "a unique name for the target"},
    {ROW(struct kt_target, provider, STRING), .required = true, .help = "e.g. mistral, or mistral:chat:<model>"},
    {ROW(struct kt_target, model, STRING), .help = "the model to send, e.g. mistral-large-latest"},
    {ROW(struct kt_target, base_url, STRING), .help = "http(s)://host[:port][/path]"},
    {SECTION(struct kt_target, secret_key_ref, secret_rows),
     .help = "write where the key is, never the key: secret_key_ref: {env: MISTRAL_API_KEY}"},
    {ROW(struct kt_target, timeout_seconds, INT), .def = "60", .min = 1, .max = 86400, .help = "for an answer that is not streamed; of a stream, until its first byte and between two pieces"},
    {ROW(struct kt_target, stream_timeout_seconds, INT), .def = "0", .min = 0, .max = 86400, .help = "for the whole of a streamed answer, also while chunks come; 0 = timeout_seconds"},
    {ROW(struct kt_target, connect_timeout_seconds, INT), .def = "10", .min = 1, .max = 3600, .help = "until the connection stands"},
    {ROW(struct kt_target, max_context_tokens, INT), .def = "0", .min = 0, .max = 1e9, .help = "prompt and completion; 0 = no limit"},
    {ROW(struct kt_target, format, STRING), .def = "openai", .help = "wire format; only openai"},
    {ROW(struct kt_target, provider_type, ENUM), .def = "auto",
     .values = "auto|mistral|openai=openai-compatible=openai_compatible", .help = "the dialect that the target speaks; auto: its provider's"},
    {ROW(struct kt_target, description, STRING), .help = "free text"},
    {ROW(struct kt_target, weight, FLOAT), .def = "1.0", .min = 0, .max = 1e6, .help = "share of the calls"},
    {ROW(struct kt_target, api_key_header, STRING), .def = "Authorization", .help = "header that carries the key"},
    {ROW(struct kt_target, api_key_prefix, STRING), .def = "Bearer", .help = "word in front of the key; \"\" = none"},
    {SECTION(struct kt_target, tls, tls_rows), .help = "tls: {ca_file: ca.pem}"},
    {SECTION(struct kt_target, pricing, pricing_rows), .help = "pricing: {prompt: 2.0, completion: 6.0}"},
    {SECTION(struct kt_target, health_probe, probe_rows), .help = "health_probe: {enabled: true}"},
    {SECTION(struct kt_target, data_policy, data_policy_rows), .help = "data_policy: {zero_data_retention: true}"},
    END};
/* clang-format on */
