/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The ordered policies of a config, and one run of them over the texts of an exchange.
 *
 *   chain = kt_chain_new(config)                       shared, immutable, any thread
 *   run   = kt_chain_run_new(chain, phase, dry)        one exchange, one phase, one thread at a time
 *   kt_chain_run_tool(run, &tool) ...                  offered tools first, calls as their names are known
 *   kt_chain_run_text(run, &text) ...                  every segment, in order
 *   kt_chain_run_end(run)
 *   outcome = kt_chain_run_outcome(run)
 *
 * ERROR means that a policy failed and is out for the rest of this run; the others went on and the outcome
 * has internal_error or error_blocks. The caller that may let the call pass all the same goes on showing the
 * rest of the texts to the other policies. A policy with `on_internal_error: allow` that fails is out without
 * a word but for its `failed`.
 *
 * PENDING: run_tool / run_text / run_end return KT_STEP_PENDING; fetch kt_chain_run_external(run), then call
 * kt_chain_run_resume until it no longer answers PENDING; the call that was interrupted is complete then. The
 * text or tool name that was handed to the interrupted call stays borrowed until then.
 */
#include "policyengine/body/kt_edits.h"
#include "policyengine/chain/kt_placeholders.h"
#include "policyengine/policies/kt_policy.h"

#ifdef __cplusplus
extern "C" {
#endif

struct kt_chain;
struct kt_chain_run;
struct kt_config;

/* new. Borrows `config` (must outlive the chain). */
kt_result kt_chain_new(const struct kt_config *config, struct kt_chain **out, struct kt_error *err) KT_MUST;
void kt_chain_free(struct kt_chain *c);
size_t kt_chain_count(const struct kt_chain *c);
/* True where some policy of the chain looks at anything in this phase. */
bool kt_chain_has_phase(const struct kt_chain *c, enum kt_phase phase);
/* True where some policy of the chain looks at the tools that an answer calls. */
bool kt_chain_watches_calls(const struct kt_chain *c);
/* True where some policy of the phase has `on_internal_error: block`: where none of them can look, nothing
 * passes, whatever fail_mode says. */
bool kt_chain_error_blocks(const struct kt_chain *c, enum kt_phase phase);
/* The same where the chain is well and a text cannot be shown to it: policies that look at none (in an
 * answer: nor at calls of tools) miss nothing. */
bool kt_chain_unseen_blocks(const struct kt_chain *c, enum kt_phase phase);

/* True where some policy gives values back in the answer. */
bool kt_chain_restores(const struct kt_chain *c);

/* May the target get the call? False with the policy's static *reason where one of them says no; `reason` may
 * be NULL. */
bool kt_chain_admits(const struct kt_chain *c, const struct kt_target *t, const char **reason);
/* The same question: the kind of the first policy that says no, NULL where the target is admitted. */
const char *kt_chain_refuser(const struct kt_chain *c, const struct kt_target *t, const char **reason);
/* Static: the host that the program means, as a target to ask about. It promises nothing. */
const struct kt_target *kt_chain_origin(void);
/* What happens where no target is admitted: true = take all and warn (every policy that can refuse a target
 * wants it so). */
bool kt_chain_admits_none_warns(const struct kt_chain *c);

/* new. `dry`: nothing is changed or blocked; the outcome says what would have been. `names` carries
 * placeholders over from the request phase to the response phase of one exchange; NULL makes an own one. */
kt_result kt_chain_run_new(const struct kt_chain *c, enum kt_phase phase, bool dry,
                           struct kt_placeholders *names, struct kt_chain_run **out) KT_MUST;
void kt_chain_run_free(struct kt_chain_run *r);

/* From here on `fn` is asked about every redaction, and one that it is true for is
 * dropped: what the program itself said is nothing to keep from it. `find` as the text has it, then as what
 * its JSON source stands for; `with` is what the policy puts there. */
typedef bool (*kt_told_fn)(void *arg, struct kt_span find, struct kt_span with);
void kt_chain_run_told(struct kt_chain_run *r, kt_told_fn fn, void *arg);

/* A tool that is offered or called; see the slot `tool`. */
enum kt_step kt_chain_run_tool(struct kt_chain_run *r, const struct kt_tool *t) KT_MUST;
enum kt_step kt_chain_run_text(struct kt_chain_run *r, const struct kt_text *t) KT_MUST;
enum kt_step kt_chain_run_end(struct kt_chain_run *r) KT_MUST;
const struct kt_external *kt_chain_run_external(const struct kt_chain_run *r); /* borrowed */
enum kt_step kt_chain_run_resume(struct kt_chain_run *r, int status, struct kt_span body) KT_MUST;
/* Instead: the policy that asks has failed, and the call goes on without it. */
enum kt_step kt_chain_run_give_up(struct kt_chain_run *r) KT_MUST;
/* Instead, in a dry run: nobody asks for it; the policy is skipped from here on, and has not failed. */
enum kt_step kt_chain_run_pass_over(struct kt_chain_run *r) KT_MUST;

/* True once a policy stopped the chain: no further text needs to be shown. Never in a dry run. */
bool kt_chain_run_stopped(const struct kt_chain_run *r);
/* Earliest offset of `segment` that some policy wants to see again; everything before it may be released, and
 * no redaction lies across it. The chain does not buffer: the caller shows the bytes from there on again, in
 * front of the next window. 0 for a segment that was never shown. */
size_t kt_chain_run_hold_from(const struct kt_chain_run *r, unsigned segment);

/* One merged, non-overlapping redaction of a segment, ascending. */
struct kt_redaction {
    unsigned segment;
    size_t start, end; /* absolute, in decoded text */
    const char *text;  /* borrowed from the run */
    size_t len;
    bool quoted;   /* stands for a number or a word of JSON, which goes as a whole */
    bool begins;   /* and begins where that does */
    bool restores; /* the text is a placeholder whose value may come back */
};
/* Borrowed until the next call on the run: all redactions so far, by segment then start. Where policies
 * overlap, the earlier policy in the chain wins and the rest of the later one's range is covered too (no byte
 * that any policy wanted gone stays). Empty in a dry run. */
const struct kt_redaction *kt_chain_run_redactions(struct kt_chain_run *r, size_t *count);

/* Per-policy metering, for the event. */
struct kt_policy_result {
    const char *kind;
    enum kt_verdict verdict;
    bool skipped; /* the chain was stopped before this policy saw anything, or nobody asked for it outside */
    bool failed;  /* out since an error of its own */
    unsigned matches;
    uint64_t time_ns;
    uint64_t bytes;
    double score;          /* < 0: none */
    const char *labels[8]; /* distinct match labels, static strings */
    unsigned label_count[8];
    unsigned labels_used;
};

/* Static: allow, warn (it found something and let it pass), redact, escalate, block, error, skipped. */
const char *kt_policy_result_word(const struct kt_policy_result *p);

struct kt_outcome {
    enum kt_verdict verdict; /* what happens: in a dry run always ALLOW */
    enum kt_verdict would;   /* what would have happened; equals verdict otherwise */
    const char *policy;      /* kind that decided (in a dry run: that would have); NULL for ALLOW */
    const char *reason_code; /* static; "all_policies_passed" for ALLOW, the policy's own otherwise
                                ("pii.detected"), also of one that only warned; "policy_error" where one
                                failed and lets pass; of `would` */
    bool warned;             /* ALLOW, but some policy found something */
    bool failed_open;        /* a policy with `on_internal_error: allow` failed */
    const char *message;     /* borrowed; for the client; NULL unless BLOCK or ESCALATE */
    bool internal_error;     /* a policy, or the chain, failed; fail_mode must decide */
    bool error_blocks;       /* a policy with `on_internal_error: block` failed, or did not see what it should
                                have, or a redaction is lost: no fail_mode lets it pass */
    bool lost;               /* the latter */
    const char *failed;      /* kind of the policy that is meant by these three; NULL: none, or the chain */
    const struct kt_policy_result *policies; /* borrowed, in chain order; those of this phase */
    size_t policy_count;
    bool immutable;      /* audit-logger asked for hash chaining */
    int retention_days;  /* audit-logger; 0 = not in the chain */
    bool log_all_access; /* false: audit-logger wants no event for an exchange that was merely allowed */
};
/* What decides about a call whose chain has failed: fail_mode, an on_internal_error that is block, or nobody,
 * because a redaction is lost. */
enum kt_failed_by { KT_FAILED_BY_MODE, KT_FAILED_BY_ON_ERROR, KT_FAILED_BY_LOSS };
enum kt_failed_by kt_outcome_failed_by(const struct kt_outcome *o);
/* What the client is told where a failure stops the call. `policy`: its kind, NULL = the chain. Cut to `cap`
 * bytes with the zero. */
void kt_policy_failed_message(char *out, size_t cap, const char *policy, enum kt_failed_by by);
/* Borrowed members; valid until the run goes. */
struct kt_outcome kt_chain_run_outcome(struct kt_chain_run *r);

#ifdef __cplusplus
}
#endif
