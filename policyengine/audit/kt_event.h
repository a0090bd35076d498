/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * One audit event: what happened to one exchange. The canonical form is one line of JSON with the members in
 * the order of this struct, no insignificant space; members that are not known are left out, except those
 * marked "always". With chaining, `hash` = SHA-256 (hex) over the line's bytes from '{' up to, not including,
 * `,"hash":...}`; `prev_hash` is the hash of the event before (64 zeros for the first). An event that is not
 * chained has a hash too, over its bytes up to the final '}': it is not written in its line, but a chained
 * event behind it names it, so it cannot be changed unseen either.
 */
#include "policyengine/base/kt_buf.h"

#ifdef __cplusplus
extern "C" {
#endif

struct kt_event_label {
    const char *name;
    unsigned count;
};
struct kt_event_policy {
    const char *kind;
    const char *phase; /* request, response */
    const char *verdict;
    double score; /* < 0: left out */
    unsigned matches;
    const struct kt_event_label *labels;
    size_t label_count;
    uint64_t time_us, bytes;
};
struct kt_event_attempt {
    const char *target, *provider, *model;
    int status;          /* HTTP; 0 = none */
    const char *outcome; /* ok, timeout, connection_error, rate_limit, server_error, client_error, bad_body,
                            too_large, unavailable, excluded */
    const char *detail;  /* short, never a key or text of the user */
    uint64_t latency_ms;
};

/* All strings borrowed, UTF-8; NULL = not known. */
struct kt_event {
    char id[33];               /* always; 32 hex digits; made by kt_event_new_id */
    uint64_t seq;              /* always; set by the writer */
    uint64_t timestamp_ns;     /* always; start of the exchange, real time */
    const char *event_type;    /* always; "decision", "unseen", "client_distrusts", "config_error", ... */
    const char *mode;          /* enforce, observe */
    const char *verdict;       /* allow, redact, escalate, block, error */
    const char *would_verdict; /* observe mode */
    const char *reason_code;
    const char *message; /* for events that are not decisions */
    const struct kt_event_policy *policies;
    size_t policy_count;
    struct {
        const char *exe;
        int pid;
        unsigned uid;
        const char *cwd;
        const char *ci_job, *ci_commit, *ci_branch; /* where a CI system's environment tells */
        const char *run;                            /* the `kt wrap` that it ran under: "outer/inner" */
    } app;                                          /* filled by kt_event_fill_app */
    const char *lane;                               /* divert, handoff, tap, supervise, gateway */
    const char *origin;                             /* host:port the program meant */
    const char *method, *path;
    const char *model; /* as requested */
    const char *target, *provider, *upstream_model;
    const struct kt_event_attempt *attempts;
    size_t attempt_count;
    int status; /* what the client got */
    bool stream;
    struct {
        bool known;
        int64_t prompt_tokens, completion_tokens, total_tokens, cached_tokens;
    } usage;
    double cost_usd; /* < 0: left out */
    uint64_t latency_ms;
    uint64_t ttft_ms;
    bool has_ttft;
    struct {
        bool known;
        uint64_t chunks;           /* of the answer, read from upstream */
        uint64_t delivered_chunks; /* those that were sent to the client, those without a text too */
        uint64_t delivered_bytes;  /* of text in them, UTF-8, unescaped */
        uint64_t held_bytes_max;   /* most bytes of one text that policies held back between two chunks */
        double tokens_per_s;       /* of completion, by the time that it took to come; <= 0: left out */
        const char *interruption;  /* why the client did not see its end: cut, timeout, bad_chunk, too_large,
                                      incomplete, provider_error, policy, client_gone, no_answer */
    } streamed;
    uint64_t overhead_us; /* ours: parse, chain, rewriting */
    const char *error;    /* short, e.g. "client_gone", "stream_cut" */
    struct {
        const char *name, *version, *sha256;
    } config;
    int retention_days; /* audit-logger; 0 = nobody asked: left out */
    const char *trace_id;
    const char *capture_request; /* audit.capture; plain text (escaped here), NULL = off */
    bool immutable;              /* chain it; not a member of its own: prev_hash and hash show it */
    const char *prev_hash;       /* the writer's; callers leave it alone */
};

kt_result kt_event_new_id(char out[33]) KT_MUST;

/* A program that another process makes events for. Counted; immutable. */
struct kt_event_program;
/* new: what can be read of the process now (Linux /proc); it may be gone, or another user's, and then little
 * more than its id is known. */
kt_result kt_event_program_new(int pid, struct kt_event_program **out) KT_MUST;
struct kt_event_program *kt_event_program_ref(struct kt_event_program *p); /* NULL gives NULL */
void kt_event_program_unref(struct kt_event_program *p);
/* Behind kt_event_fill_app: exe, pid, uid and cwd are those of `p`, or not known; NULL changes nothing. The
 * strings are p's. */
void kt_event_fill_program(struct kt_event *e, const struct kt_event_program *p);

/* exe, pid, uid, cwd, run and what CI systems tell (GITHUB_*, CI_*, BUILD_TAG, GIT_*) of this process; the
 * strings live for the process. */
void kt_event_fill_app(struct kt_event *e);
/* The value of KT_RUN, for programs that have cleared their environment since; copied, once, before the first
 * kt_event_fill_app. NULL: none. */
void kt_event_set_run(const char *run);
/* Appends `len` bytes as the inside of a JSON string that is valid whatever they are: escaped, invalid UTF-8
 * as U+FFFD. */
kt_result kt_event_text(struct kt_buf *out, const char *data, size_t len) KT_MUST;
/* The canonical form without `hash` and newline, open at the end ("{...,\"prev_hash\":\"...\"" without '}').
 */
kt_result kt_event_canonical(const struct kt_event *e, struct kt_buf *out) KT_MUST;

#ifdef __cplusplus
}
#endif
