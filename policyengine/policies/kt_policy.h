/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What a policy is. One file, one `const struct kt_policy` at its bottom, one line in policies.def.
 *
 * A policy works incrementally on *segments*: one piece of text with one origin (a message's content, a tool
 * result, one choice of an answer). The request phase hands every segment over whole (one call, final =
 * true); the response phase of a stream hands over windows. A policy says, per window, what it found and from
 * where on it needs to see the text again
 * (`hold_from`); the chain keeps those bytes back and shows them again in front of the next window. All
 * offsets are absolute within the segment. Every policy of a chain sees the original text; the chain merges
 * their edits.
 *
 * Threads: one instance (config) is shared by all threads and never written after init; a state belongs to
 * one exchange.
 */
#include "policyengine/base/kt_buf.h"
#include "policyengine/base/kt_option.h"

#ifdef __cplusplus
extern "C" {
#endif

enum kt_phase { KT_PHASE_REQUEST = 1, KT_PHASE_RESPONSE = 2 };

enum kt_verdict {
    KT_VERDICT_ALLOW,
    KT_VERDICT_REDACT,
    KT_VERDICT_ESCALATE,
    KT_VERDICT_BLOCK
};                                              /* in order of severity */
const char *kt_verdict_name(enum kt_verdict v); /* allow redact escalate block */

/* Whose words a segment holds: policies are stricter with text that the user did not write. */
enum kt_origin_class {
    KT_FROM_SYSTEM, /* system, developer */
    KT_FROM_USER,
    KT_FROM_ASSISTANT, /* earlier answers in a request; the answer itself in the response phase */
    KT_FROM_TOOL,      /* tool / function results: foreign text (indirect injection) */
    KT_FROM_TOOL_CALL, /* arguments of a tool call: see kt_text_is_json */
    KT_FROM_REASONING, /* what a model thought aloud, in an answer or in an earlier one */
    KT_FROM_OFFER,     /* what an offered tool says of itself, its schema too: may be a foreign server's */
    KT_FROM_LABEL,     /* goes along with a request and is no prompt: user, metadata, stop */
    KT_FROM_NAME       /* the same, and cannot be replaced (ids, names of tools, addresses of pictures): a
                          redaction there is a block */
};

/* A tool that a request offers, or that a model called (in the history of a request, or in the answer). */
enum kt_tool_role { KT_TOOL_OFFERED, KT_TOOL_CALLED };
struct kt_tool {
    enum kt_tool_role role;
    unsigned choice;     /* of the answer; 0 in a request */
    struct kt_span name; /* borrowed, unescaped */
    bool other_reading;  /* what some clients make of the pieces in which the name of a call came: it counts
                            where it is forbidden, and is no call of its own */
};
struct kt_target; /* policyengine/config/kt_config.h */
struct kt_config;

struct kt_text {
    unsigned segment; /* 0.. within the exchange and phase */
    enum kt_origin_class from;
    const char *data; /* borrowed UTF-8 window; may hold any byte but is never NULL */
    size_t len;
    size_t base; /* absolute offset of data[0] in the segment */
    bool final;  /* the segment ends behind this window */
    bool plain;  /* of a tool call: its words as they are, not their JSON source */
    bool leaves; /* what is not held goes to the client behind this window, and not behind the phase's end */
};

/* A tool call's arguments are JSON source, in which what is put in must stay JSON; the input of a custom tool
 * is free text. */
static inline bool kt_text_is_json(const struct kt_text *t)
{
    return t->from == KT_FROM_TOOL_CALL && !t->plain;
}

/* A check that needs the world outside, e.g. a moderation endpoint: the engine does the I/O. */
struct kt_external {
    const char *url_path; /* below the base_url of `target` */
    const char *target;   /* target id, NULL = the exchange's first target */
    struct kt_buf body;   /* JSON, owned by the policy's state */
};

enum kt_step {
    KT_STEP_DONE,    /* this window is dealt with */
    KT_STEP_PENDING, /* sink->external tells what to ask; `resume` gets the answer */
    KT_STEP_ERROR    /* internal error: the chain follows on_internal_error / fail_mode */
};

/* What a policy reports through. Implemented by the chain. */
struct kt_sink {
    void *chain; /* the chain's own */
    /* Replaces [start,end) of the segment (absolute) by `text` (copied). Meters one match; `label` as for
     * match, or NULL. The same range reported again by the same policy (a window shown again) counts once. */
    void (*redact)(struct kt_sink *s, size_t start, size_t end, const char *text, size_t len,
                   const char *label);
    /* A finding without a change; meters one match. `label` is a static string for the event, e.g. "email".
     */
    void (*match)(struct kt_sink *s, const char *label);
    /* How sure a scoring policy is, 0..1, also where it lets the text pass: the event shows the highest. */
    void (*score)(struct kt_sink *s, double score);
    /* Ends the chain with this verdict (BLOCK or ESCALATE). `reason_code` is static, e.g.
     * "prompt_injection.detected"; `message` is for the client and never quotes the offending text (copied).
     * `score` 0..1 or < 0 for none. */
    void (*stop)(struct kt_sink *s, enum kt_verdict v, const char *reason_code, double score,
                 const char *message);
    /* Earliest byte (absolute) that may still become part of a match; bytes from there on are shown again.
     * Not calling it = nothing is held. Ignored on final windows. */
    void (*hold_from)(struct kt_sink *s, size_t offset);
    /* Only in `leaving`: appends [start,end) (absolute, of the window) to `out` with the redactions of all
     * policies in it, also in a dry run. */
    kt_result (*as_it_leaves)(struct kt_sink *s, size_t start, size_t end, struct kt_buf *out) KT_MUST;
    struct kt_external *external; /* set by a policy that answers PENDING; borrowed from its state */
    /* A stable placeholder for a value within the conversation: same kind and value -> same name,
     * "[EMAIL_1]". `restore`: where the answer names it, the program gets the value back. Borrowed, valid as
     * long as the exchange. NULL on OOM. */
    const char *(*placeholder)(struct kt_sink *s, const char *kind, const char *value, size_t len,
                               bool restore);
};

/* How the event of an exchange is to be kept. Asked of each policy once per chain, so that it holds however a
 * run ends. */
struct kt_retention {
    bool immutable;      /* chain the events by hash */
    int retention_days;  /* 0 = nobody asked */
    bool log_all_access; /* false: an exchange that ends in plain allow needs no event */
};

/* What a policy tells whoever wrote the config: settings that have no effect, or that contradict each other.
 */
struct kt_advice {
    void *ctx;
    const struct kt_config *config; /* borrowed */
    /* `option` below the policy's block ("redaction.restore", "allowed_tools[1]"), NULL = the block. The text
     * reads "what is wrong; how to mend it". */
    void (*say)(const struct kt_advice *a, const char *option, const char *fmt, ...) KT_PRINTF(3, 4);
    /* Is the option written in the config? */
    bool (*written)(const struct kt_advice *a, const char *option);
};

struct kt_policy {
    const char *kind;        /* as in policies.chain */
    const char *help;        /* one line */
    const char *reason_code; /* static; of an outcome that its redactions decide, e.g. "pii.detected" */
    unsigned phases;         /* KT_PHASE_* or-ed */
    const struct kt_option *options; /* ends with name == NULL */
    size_t options_size;             /* bytes of the options struct; allocated zeroed by the config loader */

    /* Every slot may be NULL; a policy without `text` sees no text (audit-logger only marks). */
    /* Once per config: checks options against each other and prepares shared data. `opts` stays borrowed for
     * the instance's life. */
    kt_result (*init)(const void *opts, void **instance, struct kt_error *err);
    void (*fini)(void *instance);
    /* Once per config, behind `init`: checks options against the rest of the config. */
    kt_result (*check)(const void *opts, const struct kt_config *config, struct kt_error *err);
    /* Per exchange and phase. NULL state is fine. */
    kt_result (*open)(const void *opts, void *instance, enum kt_phase phase, void **state);
    void (*close)(void *state);
    enum kt_step (*text)(const void *opts, void *instance, void *state, const struct kt_text *t,
                         struct kt_sink *s);
    /* Behind `text` of all policies: what of the window is `settled`, that is up to there (absolute) no
     * policy wants to see it again. What goes to the world outside goes from here, as sink->as_it_leaves has
     * it. Not called where the text was stopped (or would have been) or a policy failed on it: then it may
     * not be what leaves. May not redact. */
    enum kt_step (*leaving)(const void *opts, void *instance, void *state, const struct kt_text *t,
                            size_t settled, struct kt_sink *s);
    /* Every tool of the phase, offered ones before the first text, calls as soon as their name is known. */
    enum kt_step (*tool)(const void *opts, void *instance, void *state, const struct kt_tool *t,
                         struct kt_sink *s);
    /* May this target get the call? Asked before routing, of every target; no state, any thread. False with a
     * static *reason ("data_routing.retention") that the event shows for the target that was skipped. */
    bool (*admits)(const void *opts, void *instance, const struct kt_target *t, const char **reason);
    /* Where `admits` leaves no target: true = take all of them and warn, false (or NULL slot) = block. */
    bool (*admits_none_warns)(const void *opts);
    /* After the last segment of the phase. A redaction needs a segment: only `text`, and `resume` after it,
     * may redact. */
    enum kt_step (*end)(const void *opts, void *instance, void *state, struct kt_sink *s);
    /* Continues after PENDING. `status` is the HTTP status, 0 when the call failed; body borrowed. */
    enum kt_step (*resume)(const void *opts, void *instance, void *state, int status, struct kt_span body,
                           struct kt_sink *s);
    /* True where its redactions come back in the answer (sink->placeholder). */
    bool (*restores)(const void *opts);
    /* What to set (static) where the options leave the policy nothing to do; NULL where it has something. */
    const char *(*idle)(const void *opts, const void *instance);
    /* For `kt policy lint`, of options that `init` takes: nothing of it changes what a call gets. */
    void (*advise)(const void *opts, const struct kt_advice *a);
    void (*retain)(const void *opts, struct kt_retention *r);
};

/* All policies of policies.def, in that order; *count receives their number. Borrowed, static. */
const struct kt_policy *const *kt_policies(size_t *count);
/* NULL where no such kind exists. */
const struct kt_policy *kt_policy_find(const char *kind);

#ifdef __cplusplus
}
#endif
