/* SPDX-License-Identifier: Apache-2.0 */
/* One try after the other, until an answer can be given. */
#include "interceptor/exchange/kt_exchange_trace.h"

#include "policyengine/base/kt_log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- records ---- */

struct kt_x_attempt *kt_x_attempt_now(struct kt_exchange *x)
{
    return x->attempt_count ? &x->attempts[x->attempt_count - 1] : NULL;
}

/* Most calls need one; the list of all would be most of an exchange. */
static bool room_for_attempt(struct kt_exchange *x)
{
    if (x->attempt_count < x->attempt_cap)
        return true;
    size_t cap = x->attempt_cap ? x->attempt_cap * 2 : 1;
    cap = cap < KT_X_MAX_ATTEMPTS ? cap : KT_X_MAX_ATTEMPTS;
    if (x->attempt_count == cap)
        return false;
    struct kt_x_attempt *more = realloc(x->attempts, cap * sizeof *more);
    if (!more)
        return false;
    x->attempts = more;
    x->attempt_cap = cap;
    return true;
}

struct kt_x_attempt *kt_x_attempt_begin(struct kt_exchange *x, const struct kt_target *t, const char *model)
{
    if (!room_for_attempt(x))
        return NULL;
    struct kt_x_attempt *a = &x->attempts[x->attempt_count++];
    *a = (struct kt_x_attempt){.target = t, .start_ns = kt_now_mono_ns()};
    a->model = model ? strdup(model) : NULL;
    return a;
}

/* What it stands behind is known only now: the client's words come first. */
static void join_library(struct kt_x_attempt *a)
{
    size_t room = strlen(a->detail) + strlen(a->library) + 3;
    char *both = *a->detail ? malloc(room) : NULL;
    if (!both)
        return;
    snprintf(both, room, "%s: %s", a->detail, a->library);
    free(a->library);
    a->library = both;
}

void kt_x_attempt_end(struct kt_exchange *x, const char *outcome, const char *detail)
{
    struct kt_x_attempt *a = kt_x_attempt_now(x);
    if (!a || a->outcome)
        return;
    a->outcome = outcome;
    a->end_ns = kt_now_mono_ns();
    snprintf(a->detail, sizeof a->detail, "%s", detail ? detail : "");
    kt_x_scrub(x, a->detail, strlen(a->detail));
    if (a->library)
        join_library(a);
    kt_x_feedback(x, a);
    KT_TRACE(ROUTE, "exchange %s: %s %s %s", x->id, a->target && a->target->id ? a->target->id : "origin",
             outcome, a->library ? a->library : a->detail);
}

void kt_x_note_library(struct kt_exchange *x)
{
    struct kt_x_attempt *a = kt_x_attempt_now(x);
    const char *says = kt_call_library_says(x->call);
    if (!a || a->library || !*says || !(a->library = strdup(says)))
        return;
    kt_x_scrub(x, a->library, strlen(a->library));
}

void kt_x_drop_call(struct kt_exchange *x)
{
    if (x->call)
        kt_call_cancel(x->call);
    x->call = NULL;
}

int64_t kt_x_time_left_ms(const struct kt_exchange *x, int64_t want_ms)
{
    if (!x->deadline_ns)
        return want_ms;
    uint64_t now = kt_now_mono_ns();
    if (now >= x->deadline_ns)
        return -1;
    int64_t left = (int64_t)((x->deadline_ns - now) / 1000000u) + 1;
    return want_ms > 0 && want_ms < left ? want_ms : left;
}

/* ---- libcurl's slots for a target's answer ---- */

static void on_head(void *arg, const struct kt_call_head *head)
{
    struct kt_exchange *x = arg;
    kt_x_enter(x);
    struct kt_x_attempt *a = kt_x_attempt_now(x);
    a->status = x->status = head->status;
    kt_x_note_head(x, a, head);
    kt_x_fields_keep(&x->fields, head, kt_x_wanted_of_target);
    kt_x_scrub(x, x->fields.text.data, x->fields.text.len);
    const char *type = kt_call_head_get(head, "content-type");
    bool sse = kt_x_is_event_stream(x, type);
    x->mode = KT_X_BUFFER;
    if (head->status == 200 && sse && x->chat.stream)
        kt_x_stream_begin(x);
    kt_x_leave(x);
}

static void on_data(void *arg, const char *data, size_t len)
{
    struct kt_exchange *x = arg;
    kt_x_enter(x);
    if (x->mode == KT_X_STREAM) {
        kt_x_stream_data(x, data, len);
    } else if (!x->too_large && !kt_is_ok(kt_buf_append(&x->answer, data, len))) {
        x->too_large = true;
        kt_x_drop_call(x);
        kt_x_attempt_failed(x, "too_large", "the answer is larger than limits.max_response_bytes");
    }
    kt_x_leave(x);
}

static void on_done(void *arg, enum kt_call_outcome outcome, const char *detail)
{
    struct kt_exchange *x = arg;
    kt_x_enter(x);
    if (outcome != KT_CALL_OK)
        kt_x_note_library(x);
    x->call = NULL;
    if (outcome == KT_CALL_ABORTED && x->mode != KT_X_STREAM) /* our trouble, not the target's */
        kt_x_attempt_end(x, "unavailable", detail);
    if (x->mode == KT_X_STREAM)
        kt_x_stream_done(x, outcome, detail);
    else if (outcome == KT_CALL_OK)
        kt_x_target_done(x);
    else if (outcome == KT_CALL_TIMEOUT)
        kt_x_attempt_failed(x, "timeout", detail);
    else if (outcome == KT_CALL_TOO_LARGE)
        kt_x_attempt_failed(x, "too_large", detail);
    else
        kt_x_attempt_failed(x, "connection_error", detail);
    kt_x_leave(x);
}

/* ---- start ---- */

/* A mapped model is a name of the first target's provider; the others keep their own. */
static const char *model_for(const struct kt_exchange *x, const struct kt_target *t)
{
    const struct kt_config *c = x->rt->config;
    const struct kt_target *first =
        &c->providers.targets[0]; /* of the file, whatever the order of this call */
    bool same = t->provider && first->provider && strcmp(t->provider, first->provider) == 0;
    for (size_t i = 0; same && x->chat.model && i < c->model_map_count; i++)
        if (strcmp(c->model_map[i].from, x->chat.model) == 0)
            return c->model_map[i].to;
    return t->model;
}

static void reset_answer(struct kt_exchange *x)
{
    x->mode = KT_X_WAIT;
    x->status = 0;
    x->too_large = false;
    x->asked_ms = -1;
    x->usage = (struct kt_usage){.known = false};
    kt_x_fields_clear(&x->fields);
    kt_buf_clear(&x->answer);
    kt_x_stream_free(&x->stream);
    kt_x_stop_asking(x);
    kt_x_filter_free(&x->filter);
    kt_x_phase_free(&x->res);
    int64_t max = x->rt->config->limits.max_response_bytes;
    x->answer.max = max > 0 ? (size_t)max : KT_X_MAX_RESPONSE;
}

/* All tries of a target share its time; a stream has its own from the first byte on. */
static void set_times(const struct kt_exchange *x, const struct kt_target *t, struct kt_call_request *q)
{
    int64_t left = kt_x_target_left_ms(x), here = left > 0 ? left : 1; /* 0 would be no limit */
    q->connect_ms = t->connect_timeout_seconds * 1000;
    q->total_ms = kt_x_time_left_ms(x, x->chat.stream ? t->stream_timeout_seconds * 1000 : here);
    q->stream = x->chat.stream;
    if (x->chat.stream) {
        q->first_byte_ms = here;
        q->idle_ms = t->timeout_seconds * 1000;
    }
}

static kt_result launch(struct kt_exchange *x, const struct kt_route_step *step, const char *model)
{
    const struct kt_target *t = step->target;
    kt_buf_clear(&x->out_body);
    KT_GUARD(kt_chat_body_for(&x->chat, t, model, &x->req.edits, &x->out_body));
    KT_CLEANUP(kt_x_outgoing_free) struct kt_x_outgoing out;
    kt_x_outgoing_init(&out);
    KT_GUARD(kt_x_outgoing_target(&out, t, kt_endpoint_path_at(x->endpoint, t), step->key, x->chat.stream));
    KT_GUARD(kt_x_outgoing_trace(&out, x));
    struct kt_call_request q = {
        .method = "POST", .ca_file = t->tls.ca_file, .body = kt_buf_span(&x->out_body)};
    set_times(x, t, &q);
    KT_ENSURE(q.total_ms >= 0, KT_ERR_LIMIT);
    kt_x_outgoing_fill(&out, &q);
    struct kt_call_handler h = {on_head, on_data, on_done, x};
    return kt_upstream_call(x->ctx->upstream, &q, &h, &x->call);
}

/* True where a try of this step is under way. */
static bool launch_step(struct kt_exchange *x, const struct kt_route_step *step)
{
    const char *model = model_for(x, step->target);
    struct kt_x_attempt *a = kt_x_attempt_begin(x, step->target, model);
    if (!a)
        return false;
    if (!step->available) {
        kt_x_attempt_end(x, step->excluded ? "excluded" : "unavailable",
                         step->excluded ? step->excluded : step->reason);
        return false;
    }
    if (!kt_x_permit(x, a, step)) {
        kt_x_attempt_end(x, "unavailable", "breaker_open: it opened meanwhile");
        return false;
    }
    x->tries++;
    x->tries_here++;
    reset_answer(x);
    kt_result r = launch(x, step, model);
    if (kt_is_ok(r))
        return true;
    kt_x_attempt_end(x, "unavailable", kt_code_name(r.code));
    return false;
}

static bool try_step(struct kt_exchange *x, const struct kt_route_step *step)
{
    x->tries_here = 0;
    x->target_deadline_ns = kt_now_mono_ns() + (uint64_t)step->target->timeout_seconds * 1000000000ull;
    if (!launch_step(x, step))
        return false;
    x->targets_tried++;
    return true;
}

void kt_x_try_next(struct kt_exchange *x)
{
    if (!x->route.steps && !kt_x_route(x))
        return;
    while (x->next_step < x->route.count && x->targets_tried < x->route.max_attempts &&
           kt_x_time_left_ms(x, 0) >= 0)
        if (try_step(x, &x->route.steps[x->next_step++]))
            return;
    kt_x_all_failed(x);
}

void kt_x_try_again(struct kt_exchange *x)
{
    /* A loop that comes late must not make a try for which there is no time, nor one without a limit. */
    if (kt_x_target_left_ms(x) == 0 || !launch_step(x, &x->route.steps[x->next_step - 1]))
        kt_x_try_next(x);
}
