/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* One run of a chain: its parts, and the sink that its policies report through. */
#include "policyengine/chain/kt_chain_internal.h"
#include "policyengine/body/kt_json_place.h"
#include "policyengine/chain/kt_redactions.h"

#ifdef __cplusplus
extern "C" {
#endif

/* LEAVING follows TEXT within one call, when all policies have seen the window. */
enum kt_run_call { KT_RUN_TEXT, KT_RUN_LEAVING, KT_RUN_TOOL, KT_RUN_END };

struct kt_run_policy {
    void *state;      /* owned, through policy->close */
    bool out;         /* failed, or stopped in a dry run: not asked again */
    size_t hold_from; /* within the call that is under way */
};

struct kt_run_segment {
    size_t seen;     /* bytes that policies were shown at least once */
    size_t released; /* bytes that the caller may have sent on */
    size_t first;    /* redactions in front of it are of other segments, or of what was released */
    size_t merged_first, merged_from; /* the same, and `released`, when redactions were merged last */
    /* Owned; the JSON of the text up to `released`. NULL: nothing of it is gone yet. */
    struct kt_json_track *json;
};

struct kt_chain_run {
    struct kt_sink sink;
    const struct kt_chain *chain; /* borrowed */
    enum kt_phase phase;
    bool dry;
    struct kt_placeholders *names; /* borrowed or own_names */
    struct kt_placeholders *own_names;

    /* Only the links that work in this phase, in chain order; three parallel arrays. */
    const struct kt_chain_link **links; /* owned array of borrowed links */
    struct kt_run_policy *policies;     /* owned */
    struct kt_policy_result *results;   /* owned */
    size_t count;
    struct kt_run_segment *segments; /* owned; by segment number */
    size_t segment_count, segment_cap;
    struct kt_redactions redactions;

    kt_told_fn told; /* NULL = nobody asks */
    void *told_arg;
    const char *restores; /* borrowed; the latest name whose value may come back */

    size_t at; /* link that is asked now */
    enum kt_run_call call;
    bool pending;
    uint64_t clock_ns;              /* monotonic; when the last slot ended */
    bool failed_now;                /* some policy failed in the call under way */
    bool failed_before;             /* some policy could not start, and no call has told of it */
    struct kt_text text;            /* of the call under way */
    struct kt_tool tool;            /* of the call under way */
    struct kt_json_track json;      /* somewhere in `text` */
    struct kt_json_track json_back; /* where `json` was before it went on last */
    bool json_read;                 /* `json` is of `text` */

    bool stopped;
    enum kt_verdict stop_verdict;
    size_t stop_link;
    const char *stop_reason;
    char *stop_message; /* owned; NULL = none */
    bool internal_error, error_blocks;
    bool lost; /* a redaction: error_blocks, too, whatever a setting says */
};

#define KT_RUN_SEGMENTS_MAX (4u << 20)

/* The policy at r->at failed: it is out, and the outcome says so as its on_internal_error wants it. */
void kt_run_fail(struct kt_chain_run *r);
/* ---- JSON (kt_run_json.c): what is put into it must leave it JSON ---- */

/* Makes the range of r->text one that can be replaced, and its text what reads right there: escaped for the
 * strings around it, in quotes where a number or a word stands by itself. d->text then lies in `out`, or is
 * as it was. */
kt_result kt_run_json_fit(struct kt_chain_run *r, struct kt_redaction *d, struct kt_buf *out) KT_MUST;
/* The range becomes all of the number or word that stands by itself there, as kt_run_json_fit takes it. */
void kt_run_json_grow(struct kt_chain_run *r, struct kt_redaction *d);
/* How often JSON escapes a value that stands at `at` of r->text; 0 in plain text. */
unsigned kt_run_json_times(struct kt_chain_run *r, size_t at);
/* [start,end) of r->text lies in more than one string of JSON, or in none and is no single token. */
bool kt_run_json_across(struct kt_chain_run *r, size_t start, size_t end);
/* What `value` stands for where JSON escaped it `times` times; `out` is set anew. False where it is no such
 * source, or says the same. */
bool kt_run_json_plain(const char *value, size_t len, unsigned times, struct kt_buf *out);

/* The largest place <= `hold` in no escape and in no number of JSON. */
size_t kt_run_json_hold(struct kt_chain_run *r, size_t hold);
/* Keeps for the next window what the text up to `released` says. */
kt_result kt_run_json_keep(struct kt_chain_run *r) KT_MUST;

/* The placeholder of a value at data[0,len) of r->text: the same value has the same name where JSON source
 * spells it with escapes. In plain text a backslash is one. NULL on OOM. */
const char *kt_run_name(struct kt_chain_run *r, const char *kind, const char *data, size_t len, bool restore);
/* A range of r->text whose value comes back got longer than what its placeholder stands for, d->text: it gets
 * one that stands for all of it, as kt_run_json_fit writes it. Across the structure of JSON it does not come
 * back. */
kt_result kt_run_rename(struct kt_chain_run *r, struct kt_redaction *d, struct kt_buf *out) KT_MUST;
/* Of r->text, a whole text: where a find that may be restored overlaps others, one placeholder stands for all
 * of them (kt_run_unite.c). */
kt_result kt_run_unite(struct kt_chain_run *r) KT_MUST;

/* Fills the slots of r->sink. */
void kt_run_sink_init(struct kt_chain_run *r);

#ifdef __cplusplus
}
#endif
