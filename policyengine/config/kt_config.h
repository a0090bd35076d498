/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * policy-config.yaml, read, checked and turned into plain structs. A loaded config is immutable and shared.
 */
#include "policyengine/base/kt_buf.h"
#include "policyengine/base/kt_option.h"

#ifdef __cplusplus
extern "C" {
#endif

struct kt_policy;

enum kt_mode { KT_MODE_ENFORCE, KT_MODE_OBSERVE };
enum kt_fail_mode { KT_FAIL_BLOCK, KT_FAIL_ALLOW };
enum kt_unknown_endpoints { KT_UNKNOWN_BLOCK, KT_UNKNOWN_PASS };

/*
 * One complaint of the loader. Codes are stable: scripts filter by them.
 *   E001 unknown policy kind     E002 unknown key              E003 in the chain without a block (a warning)
 *   E004 bad value               E005 missing                  E006 YAML syntax, duplicate key or limit
 *   E007 known, but not available in this version              E008 a file that cannot be read
 *   W001 accepted, not acted on in this version                W002 block that is not in the chain
 *   W003 key and prompts would travel in clear                 W004 pack.enabled is false
 *   W005 a target's key is missing (only `kt policy lint`)     W006 a setting without effect or likely a slip
 * Texts never hold a value that may be a secret.
 */
enum kt_severity { KT_SEV_WARNING, KT_SEV_ERROR };
struct kt_diag {
    enum kt_severity severity;
    char code[8];
    char *path; /* "providers.targets[0].timeout_seconds" */
    char *file;
    unsigned line, col; /* from 1; 0 = none */
    char *message;      /* what is wrong */
    char *suggestion;   /* how to fix; NULL = none */
};
struct kt_diags {
    struct kt_diag *items;
    size_t count, cap;
};
void kt_diags_free(struct kt_diags *d);
size_t kt_diags_errors(const struct kt_diags *d);
/* "file:line:col: error[E002] path: message (did you mean ...)" on one line, no newline. */
kt_result kt_diag_format(const struct kt_diag *d, struct kt_buf *out) KT_MUST;

struct kt_secret_run;  /* a command on its way; kt_secret_run.h */
struct kt_secret_file; /* what a file held; kt_secret_file.h */
struct kt_secret_ref {
    char *env;                 /* name of an environment variable; NULL = none */
    char *file;                /* absolute path */
    char *command;             /* run by /bin/sh -c, once in the life of the config; its output is the key */
    struct kt_secret_run *run; /* owned; NULL without a command */
    struct kt_secret_file *kept; /* owned; NULL without a file */
};

enum kt_provider_type { KT_PROVIDER_AUTO, KT_PROVIDER_MISTRAL, KT_PROVIDER_OPENAI };

/* One providers.targets[] entry, defaults and provider auto-detection applied. */
struct kt_target {
    char *id;
    char *provider; /* "mistral", "openai", ...: without the shorthand's kind and model */
    char *model;    /* NULL only for pass-through providers */
    char *base_url; /* no trailing slash */
    struct kt_secret_ref secret_key_ref;
    int64_t timeout_seconds;         /* 60 */
    int64_t stream_timeout_seconds;  /* 0 in the file = timeout_seconds; resolved here */
    int64_t connect_timeout_seconds; /* 10, ours */
    int64_t max_context_tokens;      /* 0 = none */
    char *format, *description;
    int provider_type;    /* enum kt_provider_type: the dialect; AUTO = its provider's */
    double weight;        /* 1.0 */
    char *api_key_header; /* "Authorization" */
    char *api_key_prefix; /* "Bearer " is written as "Bearer" in YAML; a space is put between unless empty */
    struct {
        char *ca_file;
    } tls;
    struct {
        double prompt, completion, cached_prompt;
    } pricing; /* USD per 1M tokens; each < 0 = not known. Cached tokens cost `prompt` where theirs is not */
    struct {
        bool enabled;
        int64_t interval_seconds, timeout_seconds;
    } health_probe;
    struct {
        bool zero_data_retention, training_opt_out;
        int64_t retention_days; /* -1 = not known */
    } data_policy;
    const char *file; /* borrowed from the config; where the target stands */
    unsigned line, col;
};

enum kt_strategy_id { /* order of the enum values in the option table */
                      KT_STRATEGY_SINGLE,
                      KT_STRATEGY_ORDERED,
                      KT_STRATEGY_LATENCY,
                      KT_STRATEGY_WEIGHTED_ROUND_ROBIN,
                      KT_STRATEGY_ROUND_ROBIN,
                      KT_STRATEGY_HIGHEST_THROUGHPUT,
                      KT_STRATEGY_COST,
                      KT_STRATEGY_RANDOM
};

enum kt_trigger {
    KT_ON_RATE_LIMIT = 1,
    KT_ON_SERVER_ERROR = 2,
    KT_ON_TIMEOUT = 4,
    KT_ON_CONNECTION_ERROR = 8
};

enum kt_on_internal_error {                        /* what a failure of the policy itself means */
                            KT_ON_ERROR_FAIL_MODE, /* what fail_mode says */
                            KT_ON_ERROR_BLOCK,
                            KT_ON_ERROR_ALLOW
};

struct kt_chain_entry {
    const struct kt_policy *policy;
    void *opts;            /* owned; parsed by policy->options */
    int on_internal_error; /* enum kt_on_internal_error */
    const char *file;      /* borrowed; where its block starts, or its name in the chain where it has none */
    unsigned line, col;    /* from 1 */
};

/* A window in which only so much may pass. Unlimited while `window_seconds` is 0. */
struct kt_rate_window {
    int64_t max; /* requests or tokens */
    int64_t window_seconds;
};

struct kt_model_map_entry {
    char *from, *to;
};

struct kt_config {
    struct {
        char *name, *version, *description;
        bool enabled;
    } pack;
    int mode;      /* enum kt_mode */
    int fail_mode; /* enum kt_fail_mode */
    struct {
        struct kt_strings
            hosts; /* names, "*.suffix" wildcards or IP literals; default: see kt_default_hosts */
        struct kt_strings exclude;
        int unknown_endpoints; /* enum kt_unknown_endpoints */
    } intercept;
    struct kt_model_map_entry *model_map; /* requested model -> model to send, in front of the target's own
                                             model; see ARCHITECTURE */
    size_t model_map_count;
    struct {
        int64_t max_body_bytes;          /* 64 MiB */
        int64_t max_response_bytes;      /* 64 MiB, for answers that are not streamed */
        int64_t total_seconds;           /* 0 = the sum of the attempts */
        int64_t keepalive_seconds;       /* of quiet in a stream, between two SSE comments; 0 = none */
        int64_t first_keepalive_seconds; /* until a 200 goes out before there is an answer; 0 = never */
        double max_cost_per_request;     /* USD; < 0 = no limit. Ours */
        struct {
            double usd;             /* 0 = no budget. Ours */
            int64_t window_seconds; /* 86400 */
        } budget;
    } limits; /* size_limits, the public spelling of the first two, ends up here too */
    struct kt_rate_window global_rate_limit;
    struct {
        struct kt_rate_window window;
        struct kt_strings header_names; /* whose value is the user; default x-user-id */
    } user_rate_limit;
    struct {
        struct kt_rate_window window;
        int64_t trust_proxy_depth;
    } ip_rate_limit;
    struct {
        struct kt_rate_window window;
        char *scope; /* "global" */
    } token_rate_limit;
    struct {
        bool enabled;
        int64_t interval_seconds, timeout_seconds;
    } health_monitor; /* probes every target that has no health_probe of its own */
    struct {
        int capture;            /* 0 none, 1 redacted, 2 full */
        int64_t max_file_bytes; /* 64 MiB: rotate past this */
    } audit;
    struct {
        char *otlp_endpoint; /* base URL of a collector; NULL = no spans. Ours */
        char *service_name;  /* "ktwrap" */
        bool propagate;      /* targets get `traceparent` */
    } telemetry;
    int64_t block_status;         /* 409; top-level `block_status`, ours */
    bool response_headers;        /* x-kt-* on answers; ours */
    struct kt_chain_entry *chain; /* in order */
    size_t chain_count;
    bool has_providers;
    struct {
        int strategy; /* enum kt_strategy_id, resolved: one target = single, more = ordered unless said */
        struct {
            int64_t window_seconds, min_sample_count;
            int64_t max_latency_ms; /* 0 = none: slower targets come last */
            double max_price;       /* USD per 1M prompt tokens; < 0 = none: dearer targets are not used */
        } routing;
        struct {
            bool enabled;
            unsigned triggers;
            int64_t max_fallback_attempts;
            int content_policy, context_window;
        } fallback;
        struct {
            bool enabled;
            int64_t failure_threshold, recovery_timeout_seconds, half_open_max_requests;
        } circuit_breaker;
        struct {
            int64_t max_attempts, initial_delay_ms, max_delay_ms;
            double multiplier;
            bool jitter;
            int on_status[16];
            size_t on_status_count;
            bool respect_retry_after;
            bool configured;
        } retry;
        struct kt_target *targets; /* owned */
        size_t target_count;
    } providers;
    char *agents;  /* owned; the `agents` section as JSON text; NULL = none */
    char *testing; /* owned; the `testing` section as JSON text, for `kt policy test`; NULL = none */
    struct kt_strings files;    /* as given, in layer order */
    char sha256[KT_SHA256_HEX]; /* over the bytes of all files, in order */
};

/* Hosts that are intercepted where the config does not say: ends with NULL. */
extern const char *const kt_default_hosts[];

/* new. Loads and layers `paths` (later files win; mappings merge, sequences replace). Returns KT_ERR_USAGE
 * when `diags` holds an error (the config is NULL then), KT_ERR_IO where a file cannot be read (also in
 * diags). Reads no environment. */
kt_result kt_config_load(const char *const *paths, size_t n, struct kt_config **out,
                         struct kt_diags *diags) KT_MUST;
/* new. No file at all: built-in hosts, empty chain, no providers. */
kt_result kt_config_default(struct kt_config **out) KT_MUST;
/* Same as load for one document in memory; `name` stands for the file in messages. For tests and fuzzing. */
kt_result kt_config_parse(const char *name, const char *text, size_t len, struct kt_config **out,
                          struct kt_diags *diags) KT_MUST;
void kt_config_free(struct kt_config *c);

/* Splits KT_POLICY_CONFIG (colon-separated paths). new strings. */
kt_result kt_config_split_paths(const char *value, struct kt_strings *out) KT_MUST;

/* new secret (kt_free_secret). KT_ERR_NOTFOUND with `err` naming the variable or file where it is missing or
 * empty, KT_ERR_USAGE where it holds bytes that no HTTP header may carry, KT_ERR_LIMIT past 16 KiB. Reads the
 * environment. A target with no secret_key_ref at all and no provider default gives KT_OK and NULL
 * (self-hosted endpoints need none). A command that is still under way is waited for, at most the rest of its
 * 10 seconds: kt_secrets_pending says beforehand whether that would happen. */
kt_result kt_secret_resolve(const struct kt_target *t, char **out, struct kt_error *err) KT_MUST;
/* Starts the commands of all targets that were not run yet and takes in what they printed. True while one of
 * them is still under way; never waits. */
bool kt_secrets_pending(const struct kt_config *c);

#ifdef __cplusplus
}
#endif
