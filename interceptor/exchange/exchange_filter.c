/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stream through the response phase, one chunk after the other: its tools and texts are shown to the chain,
 * then the chunk is written again with those parts of the texts that may go now. A policy that asks outside
 * stops the work at any of these steps; chunks that come meanwhile wait in a queue.
 */
#include "interceptor/exchange/kt_exchange_filter.h"

#include "policyengine/base/kt_log.h"

#include <stdlib.h>
#include <string.h>

static void run(struct kt_exchange *x);

void kt_x_filter_begin(struct kt_exchange *x)
{
    struct kt_x_filter *f = &x->filter;
    f->on = true;
    f->payload = f->extra = f->out = f->queue = (struct kt_buf)KT_BUF_INIT(KT_X_HELD_MAX);
    f->head = f->name = (struct kt_buf)KT_BUF_INIT(KT_X_MAX_HEAD);
    if (!kt_chain_has_phase(x->rt->chain, KT_PHASE_RESPONSE) || x->res.run)
        return;
    if (!kt_is_ok(kt_x_phase_begin(x, &x->res, KT_PHASE_RESPONSE, NULL))) {
        kt_x_chain_failed(x, KT_PHASE_RESPONSE);
        if (x->plan == KT_X_REFUSE)
            kt_x_stream_refused(x, 0);
    }
}

static void end_chunk(struct kt_x_filter *f)
{
    kt_chat_free(&f->chunk);
    kt_edits_free(&f->edits);
    kt_buf_clear(&f->payload);
    kt_buf_clear(&f->name);
    kt_buf_clear(&f->extra);
    f->busy = f->aside = false;
}

void kt_x_filter_free(struct kt_x_filter *f)
{
    if (!f->on)
        return;
    end_chunk(f);
    for (size_t i = 0; i < f->count; i++)
        kt_x_channel_free(&f->channels[i]);
    free(f->channels);
    kt_x_calls_free(f);
    kt_buf_free(&f->payload);
    kt_buf_free(&f->name);
    kt_buf_free(&f->head);
    kt_buf_free(&f->extra);
    kt_buf_free(&f->out);
    kt_buf_free(&f->queue);
    memset(f, 0, sizeof *f);
}

/* ---- failures ---- */

/* What passes anyway does not wait for an answer from outside. */
static enum kt_step ask_nobody(struct kt_exchange *x)
{
    enum kt_step step = KT_STEP_PENDING;
    while (step == KT_STEP_PENDING)
        step = kt_chain_run_pass_over(x->res.run);
    return step;
}

static void ask_outside(struct kt_exchange *x)
{
    x->asking = &x->res;
    if (x->call)
        kt_call_pause(x->call);
    kt_x_external_start(x);
}

/* True where the work stops here: the client has been told, or a policy asks. */
static bool halted(struct kt_exchange *x, enum kt_step step, unsigned choice)
{
    if (step == KT_STEP_PENDING && kt_x_observe(x))
        step = ask_nobody(x);
    if (x->over || x->filter.dead)
        return true;
    if (step == KT_STEP_PENDING) {
        ask_outside(x);
        return true;
    }
    x->filter.asks = KT_X_ASKS_NOTHING;
    x->external_count = 0;
    bool stopped = x->res.run && kt_chain_run_stopped(x->res.run);
    if (!stopped && step != KT_STEP_ERROR)
        return false;
    struct kt_outcome o = kt_chain_run_outcome(x->res.run);
    if (!stopped && !o.error_blocks && kt_x_fail_open(x))
        return false;
    kt_x_response_verdict(x);
    kt_x_phase_judge(x, &o, KT_PHASE_RESPONSE);
    if (x->plan != KT_X_REFUSE)
        return false;
    kt_x_stream_refused(x, choice);
    return true;
}

bool kt_x_filter_failed(struct kt_exchange *x, kt_result r)
{
    if (kt_is_ok(r))
        return false;
    x->filter.dead = true;
    if (r.code == KT_ERR_LIMIT)
        kt_x_stream_broken(x, "too_large", "a chunk, or what is held back of it, is too large");
    else
        kt_x_stream_broken(x, "bad_chunk", "a chunk could not be written");
    return true;
}

/* ---- one step each ---- */

/* Behind an ask: what of the text may go. */
static kt_result take(struct kt_exchange *x, const struct kt_segment *s, struct kt_x_channel *c, bool final)
{
    struct kt_x_filter *f = &x->filter;
    KT_CLEANUP(kt_buf_free) struct kt_buf out = KT_BUF_INIT(KT_X_HELD_MAX * 4);
    KT_GUARD(kt_x_channel_release(x, c, final, &out));
    if (kt_x_observe(x))
        return kt_ok();
    f->said |= out.len > 0 && !c->whole;
    f->ready.bytes += c->aside ? 0 : out.len;
    if (!s) {
        if (!out.len)
            return kt_ok();
        f->ready.chunks += !c->aside;
        return kt_x_put_rest(x, c, kt_buf_span(&out), &f->extra);
    }
    if (out.len == s->len && memcmp(kt_buf_span(&out).data, s->text, s->len) == 0)
        return kt_ok();
    f->changed[s->choice / 64] |= 1ull << s->choice % 64;
    return kt_edits_in_string(&f->edits, &f->chunk.json, s->tok, 0, s->len, kt_buf_span(&out).data, out.len);
}

static bool do_tool(struct kt_exchange *x, const struct kt_tool *t)
{
    x->filter.asks = KT_X_ASKS_TOOL;
    return !halted(x, x->res.run ? kt_chain_run_tool(x->res.run, t) : KT_STEP_DONE, t->choice);
}

/* A text whose end policies have judged: a value that lies across it, they cannot see. */
static bool can_go_on(struct kt_exchange *x)
{
    if (!x->res.run || x->filter.behind_end)
        return true;
    x->filter.behind_end = true;
    kt_x_response_unreadable(x, "a text goes on behind the finish_reason of its choice");
    if (x->plan != KT_X_REFUSE)
        return true;
    kt_x_stream_refused(x, 0);
    return false;
}

/* `asked`: the chain has seen the window, only its release is left. */
static bool do_text(struct kt_exchange *x, bool asked)
{
    struct kt_x_filter *f = &x->filter;
    const struct kt_segment *s = &f->chunk.segments[f->next_text];
    struct kt_x_channel key = f->aside ? kt_x_aside_channel(f, s) : kt_x_text_channel(&f->chunk, s);
    if (f->aside && !key.whole && !kt_x_aside_room(x, &key))
        return false;
    struct kt_x_channel *c = kt_x_channel_of(x, &key);
    bool final = kt_x_text_is_last(f, &key);
    if (!c)
        return !kt_x_filter_failed(x, kt_err(KT_ERR_LIMIT));
    if (!asked && s->len && kt_x_channel_ended(f, &key) && !can_go_on(x))
        return false;
    if (!asked) {
        if (kt_x_filter_failed(x, kt_x_channel_add(c, &f->chunk.json, s, final)))
            return false;
        f->asks = KT_X_ASKS_TEXT;
        if (halted(x, kt_x_channel_ask(x, c, final), f->aside ? 0 : key.choice))
            return false;
    }
    f->next_text++;
    if (kt_x_filter_failed(x, take(x, s, c, final)))
        return false;
    kt_x_channel_pop(f);
    return true;
}

static bool closes(const struct kt_x_filter *f, const struct kt_x_channel *c)
{
    if (c->ended)
        return false;
    if (f->at_end)
        return true;
    uint32_t choice;
    for (unsigned place = 0; (choice = kt_x_choice_at(&f->chunk, place)) != 0; place++)
        if (kt_x_choice_ends(f, place) && kt_x_choice_index(&f->chunk.json, choice, place) == c->choice)
            return true;
    return false;
}

bool kt_x_filter_end_text(struct kt_exchange *x, struct kt_x_channel *c, int asks, bool asked)
{
    struct kt_x_filter *f = &x->filter;
    f->asks = asks;
    if (!asked && kt_x_filter_failed(x, kt_x_channel_give_up_half(c)))
        return false;
    if (!asked && halted(x, kt_x_channel_ask(x, c, true), c->aside ? 0 : c->choice))
        return false;
    f->asks = KT_X_ASKS_NOTHING;
    return !kt_x_filter_failed(x, take(x, NULL, c, true));
}

static bool do_close(struct kt_exchange *x, bool asked)
{
    struct kt_x_filter *f = &x->filter;
    struct kt_x_channel *c = &f->channels[f->next_close];
    if (closes(f, c) && !kt_x_filter_end_text(x, c, KT_X_ASKS_CLOSE, asked))
        return false;
    f->next_close++;
    return true;
}

static bool do_end(struct kt_exchange *x)
{
    x->filter.chain_ended = true;
    x->filter.asks = KT_X_ASKS_END;
    return !halted(x, x->res.run ? kt_chain_run_end(x->res.run) : KT_STEP_DONE, 0);
}

/* ---- a chunk ---- */

static void finish_chunk(struct kt_exchange *x)
{
    struct kt_x_filter *f = &x->filter;
    kt_result r = kt_ok();
    bool end = f->at_end, content = f->content && (f->said || !f->chunk.segment_count);
    content |= f->aside && f->said;
    if (!kt_x_observe(x)) {
        content |= f->extra.len > 0 || (f->chunk.json.count && kt_x_choice_ends(f, 0));
        r = kt_buf_append(&f->out, kt_buf_span(&f->extra).data, f->extra.len);
        if (kt_is_ok(r) && !end)
            r = kt_x_write_chunk(x);
        kt_x_choices_written(f);
        f->ready.chunks += !end && !f->aside;
    }
    end_chunk(f);
    if (kt_x_filter_failed(x, r))
        return;
    if (end)
        kt_x_stream_filter_done(x);
    else
        kt_x_stream_filtered(x, content);
}

static void run(struct kt_exchange *x)
{
    struct kt_x_filter *f = &x->filter;
    struct kt_tool t;
    while (kt_x_calls_next(f, &t))
        if (!do_tool(x, &t))
            return;
    while (f->next_text < f->chunk.segment_count)
        if (!do_text(x, false))
            return;
    if (kt_x_filter_failed(x, kt_x_open_silent(x)))
        return;
    while (f->next_close < f->count)
        if (!do_close(x, false))
            return;
    if (f->at_end && !f->chain_ended && !do_end(x))
        return;
    finish_chunk(x);
}

/* NULL, or why no policy can look at it. */
static const char *read_chunk(struct kt_exchange *x, struct kt_json *parsed, struct kt_error *err)
{
    struct kt_x_filter *f = &x->filter;
    kt_result r = f->aside ? kt_answer_take_aside(&f->chunk, parsed, err)
                           : kt_answer_take(&f->chunk, x->endpoint, parsed, err);
    if (!kt_is_ok(r))
        return err->text;
    if (f->aside || !x->res.run)
        return NULL;
    if (kt_x_index_odd(&f->chunk))
        return "an index is no number that counts";
    return kt_x_index_twice(&f->chunk) ? "two choices of a chunk have the same index" : NULL;
}

/* `json` is empty at the end of the stream; `parsed`: its tokens, taken. */
static void start(struct kt_exchange *x, struct kt_span json, struct kt_json *parsed, bool content)
{
    struct kt_x_filter *f = &x->filter;
    struct kt_error err = {KT_OK, ""};
    f->busy = true;
    f->content = content;
    f->said = false;
    f->next_called = f->next_text = f->next_close = 0;
    f->asides += f->aside;
    if (kt_x_filter_failed(x, kt_buf_append(&f->payload, json.data, json.len)))
        return;
    memset(f->changed, 0, sizeof f->changed);
    parsed->text = f->payload.data; /* the same bytes, which stay */
    const char *why = json.len ? read_chunk(x, parsed, &err) : NULL;
    kt_x_choices_begin(f);
    if (why) {
        kt_x_response_unreadable(x, why);
        if (x->plan == KT_X_REFUSE) {
            kt_x_stream_refused(x, 0);
            return;
        }
    }
    if ((f->aside || !kt_x_filter_failed(x, kt_x_keep_head(x))) && !kt_x_filter_failed(x, kt_x_calls_take(x)))
        run(x);
}

static void pass(struct kt_exchange *x, struct kt_span json)
{
    struct kt_buf *out = &x->filter.out;
    size_t before = out->len;
    if (kt_x_observe(x) || kt_x_filter_failed(x, kt_x_put_event(out, json)))
        return;
    kt_x_scrub(x, out->data + before, out->len - before);
    kt_x_stream_filtered(x, true);
}

void kt_x_filter_take(struct kt_exchange *x, struct kt_span name, struct kt_span json, struct kt_json *parsed,
                      const struct kt_x_queued *q)
{
    x->filter.at_end = q->len == 0;
    x->filter.aside = q->aside;
    if (kt_x_filter_failed(x, kt_buf_append(&x->filter.name, name.data, name.len)))
        return;
    if (q->as_is)
        pass(x, json);
    else
        start(x, json, parsed, q->content);
}

/* What happened upstream while a policy asked. */
static void catch_up(struct kt_exchange *x)
{
    struct kt_x_filter *f = &x->filter;
    kt_x_filter_next(x);
    if (x->over || x->asking || f->dead)
        return;
    if (f->upstream_done) {
        f->upstream_done = false;
        kt_x_stream_done(x, f->upstream_outcome, f->upstream_detail);
    } else if (x->call && x->sink.backlog(x->sink.flow) <= KT_X_BACKLOG_LOW) {
        kt_call_resume(x->call);
    }
}

void kt_x_filter_resume(struct kt_exchange *x, enum kt_step step)
{
    struct kt_x_filter *f = &x->filter;
    int asks = f->asks;
    if (halted(x, step, 0))
        return;
    /* The step that was interrupted is complete but for the release of its text. */
    bool on = asks == KT_X_ASKS_TEXT    ? do_text(x, true)
              : asks == KT_X_ASKS_ROOM  ? kt_x_aside_leave(x, true)
              : asks == KT_X_ASKS_CLOSE ? do_close(x, true)
                                        : true;
    if (on)
        run(x);
    catch_up(x);
}
