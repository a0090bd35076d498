/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* One exchange, as the files of this folder share it. Every entry from outside is between kt_x_enter and
 * kt_x_leave; the exchange frees itself in the outermost leave once it is over: no function here ever works
 * on freed memory. */
#include "interceptor/dialect/kt_dialect.h"
#include "interceptor/exchange/kt_exchange.h"
#include "interceptor/exchange/kt_exchange_stream.h"
#include "interceptor/route/kt_limits.h"
#include "interceptor/route/kt_retry.h"
#include "interceptor/route/kt_route.h"
#include "interceptor/upstream/kt_upstream.h"
#include "policyengine/chain/kt_conversation.h"
#include "policyengine/chain/kt_said.h"

#define KT_X_BACKLOG_HIGH (256u << 10) /* pause upstream above */
#define KT_X_BACKLOG_LOW (128u << 10)  /* go on below */
#define KT_X_MAX_ERROR_BODY (1u << 20)
#define KT_X_MAX_RESPONSE (64u << 20) /* where no config says */
#define KT_X_MAX_HEAD (64u << 10)
#define KT_X_MAX_FIELDS 96
#define KT_X_MAX_MESSAGE 511u
#define KT_X_MAX_OBSERVED (4u << 20)          /* of an origin's answer, to read its usage */
#define KT_X_MAX_EXTERNAL 32                  /* outside checks of one chain run */
#define KT_X_KEY_WAIT_NS 5000000u             /* between two looks at a command that prints a key */
#define KT_X_MAX_ATTEMPTS (KT_ROUTE_MAX + 24) /* those that are skipped and those tried again included */

enum kt_x_plan {
    KT_X_REFUSE, /* we answer: a refusal, or what the config itself knows */
    KT_X_ORIGIN, /* to the host that the program meant, with its own credentials */
    KT_X_TARGETS /* to providers.targets */
};

enum kt_x_mode {
    KT_X_WAIT,   /* no head yet */
    KT_X_BUFFER, /* the whole answer is collected */
    KT_X_STREAM, /* a target's SSE */
    KT_X_PASS    /* the origin's answer goes through */
};

struct kt_x_attempt {
    const struct kt_target *target; /* NULL = the origin */
    char *model;                    /* owned; as sent */
    int status;
    const char *outcome; /* static; NULL while it runs */
    char detail[160];    /* ours: the client may be told */
    char *library;       /* owned; libcurl's words, for the event alone: addresses; NULL = none */
    char *said;          /* owned; the provider's words about its failure, without the key; NULL = none */
    uint64_t start_ns, head_ns, end_ns;
    struct kt_tstate *state; /* borrowed; what all processes know of the target */
    int permit;              /* enum kt_permit; KT_PERMIT_NO = nothing is owed to the breaker */
};

/* Header fields of an answer, copied out of libcurl's callback. */
struct kt_x_fields {
    struct kt_buf text;
    struct {
        uint32_t name, name_len, value, value_len; /* offsets in text, which is KT_X_MAX_HEAD at most */
    } * at;                                        /* owned; KT_X_MAX_FIELDS at most */
    size_t count, cap;
};

/* A whole answer that waits until its event is written; see exchange_commit.c. */
struct kt_x_waiting {
    bool on;
    int status;
    struct kt_span body; /* the exchange's own */
    struct kt_exchange *prev, *next;
};

/* One phase of the chain under way. */
struct kt_x_phase {
    struct kt_chain_run *run;   /* owned; NULL = the phase did not run */
    const struct kt_chat *body; /* borrowed */
    struct kt_edits edits;      /* what its policies want changed; never used in observe mode */
    size_t next_tool, next_segment;
    size_t reached; /* the segments in front of this one have been shown, or are tools' */
    bool ended;
};

struct kt_exchange {
    struct kt_engine_ctx *ctx;
    struct kt_runtime *rt;
    struct kt_request request;
    char *host; /* owned */
    uint16_t port;
    bool tls, origin_unknown, shared; /* shared: many callers use this process */
    uint64_t caller;                  /* a digest that tells this one; 0 = not known */
    const char *lane;
    struct kt_event_program *program; /* a reference; NULL = this process */
    struct kt_reply_sink sink;
    struct kt_exchange_watcher watcher;
    bool tapped; /* watched only: the answer comes from elsewhere, and goes nowhere */
    bool started, head_sent, over;
    bool interrupted;                                    /* its event was written in front of an exec */
    struct kt_mark mark;                                 /* until the event is written */
    struct kt_exchange *next_under_way, *prev_under_way; /* once started */
    bool early; /* the head went out before there was an answer: see exchange_keepalive.c */
    struct kt_timer keepalive;
    uint64_t sent_ns; /* when the client last got something of a stream */
    unsigned depth;
    uint64_t real_ns, mono_ns, entered_ns, overhead_ns, deadline_ns, first_byte_ns; /* of a stream's answer */
    enum kt_x_plan plan;
    enum kt_endpoint endpoint;
    const struct kt_provider *dialect; /* the client's own; NULL = OpenAI's */
    struct kt_chat chat;
    bool parsed;
    struct kt_placeholders *names;
    size_t avoided; /* segments of the request in front of this one were searched for placeholders */
    struct kt_conversation *conversation; /* owned; of the request's messages, once a value is named */
    struct kt_restorer *restorer;         /* NULL = nothing to restore */
    struct kt_said said;                  /* the request's texts as the model got them, once a find asks */
    bool said_taken;
    struct kt_x_phase req, res;
    struct kt_chat reply; /* the answer, read as a request's body is */
    bool replied;         /* `reply` holds something */
    struct kt_x_filter filter;
    struct kt_x_phase *asking; /* waits for an outside check; NULL = none does */
    struct kt_timer key_wait;  /* until the commands of all keys have ended */
    struct kt_call *external;
    struct kt_buf external_answer;
    int external_status;
    unsigned external_count;

    int refuse_status;
    struct kt_buf refuse_body;

    int64_t prompt_tokens, completion_tokens; /* estimates; 0 = not made, or no maximum asked for */
    struct kt_limits_taken taken;
    struct kt_route route;
    const char *excluded_by, *excluded_why;  /* static: the policy that left no target, its reason */
    bool excluded_warns;                     /* the call goes on all the same */
    size_t next_step, targets_tried, tries;  /* tries: of all targets, retries included */
    unsigned tries_here;                     /* of the target under way */
    uint64_t target_deadline_ns;             /* its timeout_seconds bound all tries of it */
    int64_t asked_ms;                        /* by the newest answer's Retry-After; -1 = it did not ask */
    int64_t least_asked_ms, breaker_wait_ms; /* the shortest of all; INT64_MAX = none */
    int64_t retry_after_ms;                  /* that our own error tells the client; -1 = nothing */
    struct kt_timer retry;
    struct kt_x_attempt *attempts; /* owned; grows: pointers into it last until the next attempt begins */
    size_t attempt_count, attempt_cap;
    struct kt_call *call;
    struct kt_buf out_body; /* of the attempt under way; lives as long as the call */

    enum kt_x_mode mode;
    int status; /* of the answer under way, then what the client got */
    struct kt_x_fields fields;
    struct kt_buf answer;
    bool too_large;
    struct kt_x_stream stream;
    bool pass_stream;  /* KT_X_PASS of an SSE answer */
    int64_t pass_left; /* body bytes still to come of an answer with a length; -1 = unknown */
    struct kt_usage usage;

    char id[33];
    struct kt_trace_ids trace; /* kt_x_trace fills it */
    struct kt_x_waiting waiting;
    bool recorded, record_ok;
    const char *event_type, *verdict, *reason_code, *error; /* static */
    char *message;                                          /* owned; of the event; NULL = none */
};

static inline bool kt_x_observe(const struct kt_exchange *x)
{
    return x->tapped || x->rt->mode == KT_MODE_OBSERVE;
}

/* Where is only observed nothing of ours may stop a call, whatever fail_mode says. */
static inline bool kt_x_fail_open(const struct kt_exchange *x)
{
    return x->rt->fail_mode == KT_FAIL_ALLOW || kt_x_observe(x);
}

/* exchange.c */
void kt_x_enter(struct kt_exchange *x);
void kt_x_leave(struct kt_exchange *x);
/* Plan and pending checks are done: to the origin, to a target, or the refusal. */
void kt_x_go(struct kt_exchange *x);

/* exchange_interrupt.c: what is left of a call whose process ends, or becomes another program, in its middle
 */
void kt_x_mark(struct kt_exchange *x);
void kt_x_list(struct kt_exchange *x);
void kt_x_unlist(struct kt_exchange *x);

/* exchange_prepare.c */
void kt_x_keep_message(struct kt_exchange *x, const char *text); /* for the event, KT_X_MAX_MESSAGE of it */
void kt_x_refuse(struct kt_exchange *x, int status, const char *type, const char *code, const char *fmt, ...)
    KT_PRINTF(5, 6);
/* The same in a policy's name. */
void kt_x_refuse_by_policy(struct kt_exchange *x, int status, const char *code, const char *policy,
                           const char *message);
void kt_x_refuse_failed(struct kt_exchange *x, const char *policy, const char *message);
/* The request phase is over: ends with a plan. */
void kt_x_request_done(struct kt_exchange *x);

/* exchange_phase.c */
kt_result kt_x_phase_begin(struct kt_exchange *x, struct kt_x_phase *p, enum kt_phase phase,
                           const struct kt_chat *body) KT_MUST;
/* Goes on with the phase where it stopped; `step` is what the last call answered. False where an outside
 * check must be asked first (x->asking is set). */
bool kt_x_phase_run(struct kt_exchange *x, struct kt_x_phase *p, enum kt_step step) KT_MUST;
void kt_x_phase_free(struct kt_x_phase *p);
/* Makes a refusal of an outcome that stops the call. */
void kt_x_phase_judge(struct kt_exchange *x, const struct kt_outcome *o, enum kt_phase phase);
/* Refuses, or warns where it goes on. `policy`: its kind, NULL = the chain. */
void kt_x_policy_failed(struct kt_exchange *x, const char *policy, enum kt_failed_by by);
void kt_x_chain_failed(struct kt_exchange *x, enum kt_phase phase); /* it could not start */
/* Passes what no policy can look at? Not where one has `on_internal_error: block`, whatever fail_mode. */
bool kt_x_unseen_passes(const struct kt_exchange *x, enum kt_phase phase);

/* exchange_said.c: from here on the response phase keeps nothing back that the request said */
void kt_x_said_begin(struct kt_exchange *x);

/* exchange_shape.c: answers in the words of the client */
/* The client speaks the dialect of the provider that answers: it gets what it would get without us. */
bool kt_x_answer_is_native(const struct kt_exchange *x);
/* The provider that answers has a shape of its own, which is translated. */
bool kt_x_answer_translated(const struct kt_exchange *x);
/* A target's whole answer, x->answer, whose tool calls have objects for arguments: writes it anew. `parsed`:
 * its tokens; afterwards those of what x->answer is then. */
kt_result kt_x_mend_answer(struct kt_exchange *x, struct kt_json *parsed) KT_MUST;
/* Adds its edits, where it has any. */
kt_result kt_x_translate_answer(const struct kt_exchange *x, const struct kt_chat *a,
                                struct kt_edits *edits) KT_MUST;

/* exchange_response.c */
/* True where something is to be done with the texts of an answer. */
bool kt_x_response_wanted(const struct kt_exchange *x);
/* x->answer is a whole, successful answer: response phase, then the client gets what is left of it.
 * `parsed`: its tokens where they are known, which may be taken; NULL = not yet parsed. */
void kt_x_respond(struct kt_exchange *x, struct kt_json *parsed);
void kt_x_response_done(struct kt_exchange *x); /* the phase is over */
/* No policy can look at the answer: x->plan is a refusal then, or the answer goes on (fail_mode). */
void kt_x_response_unreadable(struct kt_exchange *x, const char *why);

/* exchange_external.c */
void kt_x_external_start(struct kt_exchange *x);
void kt_x_stop_asking(struct kt_exchange *x); /* nobody waits for the answer any more */

/* exchange_request.c */
struct kt_x_outgoing {
    struct kt_buf text; /* owned: URL, names and values; holds keys, wiped */
    size_t url, name[KT_HTTP_MAX_FIELDS], value[KT_HTTP_MAX_FIELDS]; /* offsets */
    struct kt_call_header headers[KT_HTTP_MAX_FIELDS];
    size_t count;
};
void kt_x_outgoing_init(struct kt_x_outgoing *o);
void kt_x_outgoing_free(struct kt_x_outgoing *o);
kt_result kt_x_outgoing_target(struct kt_x_outgoing *o, const struct kt_target *t, const char *path,
                               const char *key, bool stream) KT_MUST;
kt_result kt_x_outgoing_origin(struct kt_x_outgoing *o, const struct kt_exchange *x) KT_MUST;
/* Points url and headers of `q` into `o`. */
void kt_x_outgoing_fill(struct kt_x_outgoing *o, struct kt_call_request *q);
struct kt_span kt_x_path(const struct kt_exchange *x); /* without an absolute form's scheme and host */

/* exchange_route.c */
/* Makes x->route. False where there is nothing to try: the client has its answer then. */
bool kt_x_route(struct kt_exchange *x);
/* Fills prompt_tokens and completion_tokens, once. */
void kt_x_estimate(struct kt_exchange *x);

/* exchange_limits.c */
/* The first of user_rate_limit.header_names that the request has; borrowed, empty = none. */
struct kt_span kt_x_user(const struct kt_exchange *x);
/* Counts the call against rate limits and budget. False: one of them is used up, and the client knows. */
bool kt_x_take_limits(struct kt_exchange *x);
/* At the end: what it really used. */
void kt_x_settle_limits(struct kt_exchange *x);
int64_t kt_x_money(const struct kt_exchange *x); /* KT_MONEY_PER_USD; -1 = not known */

/* exchange_retry.c */
/* The breaker's leave for an attempt; false: not now. */
bool kt_x_permit(struct kt_exchange *x, struct kt_x_attempt *a, const struct kt_route_step *step);
/* What the attempt that ended says about its target. */
void kt_x_feedback(struct kt_exchange *x, struct kt_x_attempt *a);
void kt_x_note_head(struct kt_exchange *x, struct kt_x_attempt *a, const struct kt_call_head *head);
int64_t kt_x_target_left_ms(const struct kt_exchange *x);
/* The attempt under way failed and nothing reached the client: the same target again, the next, or the end.
 */
void kt_x_failed(struct kt_exchange *x, enum kt_failure f, const char *detail);
/* The same by the word for an event. */
void kt_x_attempt_failed(struct kt_exchange *x, const char *outcome, const char *detail);

/* exchange_attempt.c */
void kt_x_try_again(struct kt_exchange *x); /* the target that was tried last */
void kt_x_try_next(struct kt_exchange *x);
struct kt_x_attempt *kt_x_attempt_begin(struct kt_exchange *x, const struct kt_target *t, const char *model);
struct kt_x_attempt *kt_x_attempt_now(struct kt_exchange *x); /* the last one; NULL = none */
void kt_x_attempt_end(struct kt_exchange *x, const char *outcome, const char *detail);
void kt_x_note_library(struct kt_exchange *x); /* in on_done, while x->call stands */
void kt_x_drop_call(struct kt_exchange *x);
int64_t kt_x_time_left_ms(const struct kt_exchange *x, int64_t want_ms); /* 0 = no limit, -1 = none left */

/* exchange_origin.c */
void kt_x_to_origin(struct kt_exchange *x);
void kt_x_origin_admitted(struct kt_exchange *x); /* plans the refusal where a policy does not admit it */
/* The origin's answer, from whoever reads it. */
void kt_x_origin_head(struct kt_exchange *x, const struct kt_call_head *head);
void kt_x_origin_data(struct kt_exchange *x, const char *data, size_t len);
void kt_x_origin_answered(struct kt_exchange *x); /* it is whole */
/* Observe mode: nothing more of a stream comes; the policies judge what there was. */
void kt_x_origin_watch_end(struct kt_exchange *x);
/* What was held back of an answer that went through: event, last byte, end. */
void kt_x_origin_finish(struct kt_exchange *x);

/* exchange_tap.c */
void kt_x_tap_ready(struct kt_exchange *x); /* instead of going anywhere */

/* exchange_failed.c */
void kt_x_all_failed(struct kt_exchange *x);
/* Keeps for it what the target under way said; the key is out of `body` already. */
void kt_x_note_said(struct kt_exchange *x, struct kt_span body);

/* exchange_fields.c */
void kt_x_fields_keep(struct kt_x_fields *f, const struct kt_call_head *head,
                      bool (*wanted)(const char *name));
void kt_x_fields_add(struct kt_x_fields *f, const char *name, const char *value);
void kt_x_fields_clear(struct kt_x_fields *f);
void kt_x_fields_free(struct kt_x_fields *f); /* may be filled again */
bool kt_x_wanted_of_target(const char *name);
bool kt_x_wanted_of_origin(const char *name);
/* At most KT_X_MAX_FIELDS; borrowed from `f`. */
size_t kt_x_fields_view(const struct kt_x_fields *f, struct kt_header *out);

/* exchange_answer.c */
/* A whole answer: event, head, body, end. */
void kt_x_reply(struct kt_exchange *x, int status, struct kt_span body);
/* The same where `body` lives as long as the exchange: it may leave later. */
void kt_x_reply_kept(struct kt_exchange *x, int status, struct kt_span body);
/* Behind the attempt to write the event. */
void kt_x_reply_recorded(struct kt_exchange *x, int status, struct kt_span body);
void kt_x_reply_refusal(struct kt_exchange *x);
void kt_x_send_head(struct kt_exchange *x, int status, int64_t length);
void kt_x_send(struct kt_exchange *x, const char *data, size_t len); /* with back-pressure */
void kt_x_end(struct kt_exchange *x);
void kt_x_abort(struct kt_exchange *x, const char *error);
void kt_x_target_done(struct kt_exchange *x); /* KT_X_BUFFER, the answer is whole */
void kt_x_add_retry_after(struct kt_exchange *x, int64_t ms);
/* The target's own refusal, in the shape that the client knows; `error` is static. */
void kt_x_give_refusal(struct kt_exchange *x, const char *error);
void kt_x_add_route_fields(struct kt_exchange *x); /* x-kt-target, x-kt-attempts */
void kt_x_reply_error(struct kt_exchange *x, int status, const char *type, const char *code, const char *msg);
void kt_x_audit_refusal(struct kt_exchange *x, const char *why);

void kt_x_response_verdict(struct kt_exchange *x); /* the graver outcome of the two phases is the event's */

/* exchange_filter.c: a stream's texts through the response phase. */
#define KT_X_MAX_CHANNELS 1024
void kt_x_filter_begin(struct kt_exchange *x);
void kt_x_filter_free(struct kt_x_filter *f);
/* One chunk; its JSON is copied, its tokens may be taken. */
void kt_x_filter_chunk(struct kt_exchange *x, struct kt_span json, struct kt_json *j,
                       const struct kt_x_chunk *is);
/* An event that is neither a chunk nor an error; the same. */
void kt_x_filter_aside(struct kt_exchange *x, const struct kt_sse_event *e, struct kt_json *j);
/* No chunk comes any more. */
void kt_x_filter_end(struct kt_exchange *x);
/* The call is over, however: what waited for the next chunk is dealt with. */
void kt_x_filter_nothing_follows(struct kt_exchange *x);
void kt_x_filter_resume(struct kt_exchange *x, enum kt_step step); /* an outside check was answered */

/* exchange_stream.c */
/* What the filter tells the stream. */
void kt_x_stream_filtered(struct kt_exchange *x, bool content);   /* a chunk is in filter.out */
void kt_x_stream_filter_done(struct kt_exchange *x);              /* the end is, too */
void kt_x_stream_refused(struct kt_exchange *x, unsigned choice); /* x->refuse_body says why */
void kt_x_stream_broken(struct kt_exchange *x, const char *word, const char *why); /* both static */
void kt_x_stream_begin(struct kt_exchange *x);
void kt_x_stream_data(struct kt_exchange *x, const char *data, size_t len);
void kt_x_stream_done(struct kt_exchange *x, enum kt_call_outcome outcome, const char *detail);
void kt_x_stream_free(struct kt_x_stream *s);

/* exchange_scrub.c */
/* Stars over the target's key, however spelled: for what is no answer and not ours. Same length. */
void kt_x_scrub(const struct kt_exchange *x, char *text, size_t len);

/* exchange_commit.c */
/* True where the answer leaves at the end of the loop's turn. */
bool kt_x_commit_later(struct kt_exchange *x, int status, struct kt_span body) KT_MUST;
void kt_x_commit_cancel(struct kt_exchange *x); /* it leaves no more */

/* exchange_event.c */
/* Writes the event, once. True where the answer may go on. */
bool kt_x_record(struct kt_exchange *x) KT_MUST;
