/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The choices of a stream: which have begun, of which the client has the finish_reason, and what all others
 * get where a policy ends the stream. SDKs keep an answer for each choice; one without a finish_reason would
 * look like an answer that is still to come.
 */
#include "interceptor/exchange/kt_exchange_filter.h"

#define LONG_HEAD 4096u /* one like that is not said a thousand times */
#define SHARED (KT_ANSWER_MAX_CHOICES - 1)

static unsigned slot(unsigned choice)
{
    return choice < SHARED ? choice : SHARED;
}

static bool is_set(const uint64_t *bits, unsigned i)
{
    return bits[i / 64] >> (i % 64) & 1;
}

static void set(uint64_t *bits, unsigned i)
{
    bits[i / 64] |= 1ull << (i % 64);
}

void kt_x_choice_calls(struct kt_x_filter *f, unsigned choice)
{
    set(f->calls, slot(choice));
}

void kt_x_choices_begin(struct kt_x_filter *f)
{
    uint32_t choice;
    for (unsigned place = 0; (choice = kt_x_choice_at(&f->chunk, place)) != 0; place++)
        set(f->begun, slot(kt_x_choice_index(&f->chunk.json, choice, place)));
}

void kt_x_choices_written(struct kt_x_filter *f)
{
    uint32_t choice;
    for (unsigned place = 0; (choice = kt_x_choice_at(&f->chunk, place)) != 0; place++)
        if (kt_x_choice_ends(f, place))
            set(f->finished, slot(kt_x_choice_index(&f->chunk.json, choice, place)));
}

void kt_x_choices_sent(struct kt_x_filter *f)
{
    for (size_t i = 0; i < KT_COUNT(f->told); i++)
        f->told[i] |= f->finished[i];
}

/* ---- choices without a word ---- */

static KT_MUST kt_result open_if_silent(struct kt_exchange *x, unsigned choice)
{
    const struct kt_x_filter *f = &x->filter;
    bool spoken = is_set(f->calls, slot(choice));
    for (size_t i = 0; i < f->count && !spoken; i++)
        spoken = f->channels[i].choice == choice && !f->channels[i].whole &&
                 f->channels[i].from != KT_FROM_REASONING;
    struct kt_x_channel key = {.choice = choice, .from = KT_FROM_ASSISTANT};
    return spoken || kt_x_channel_of(x, &key) ? kt_ok() : kt_err(KT_ERR_LIMIT);
}

kt_result kt_x_open_silent(struct kt_exchange *x)
{
    struct kt_x_filter *f = &x->filter;
    uint32_t choice;
    for (unsigned place = 0; (choice = kt_x_choice_at(&f->chunk, place)) != 0; place++)
        if (kt_x_choice_ends(f, place))
            KT_GUARD(open_if_silent(x, kt_x_choice_index(&f->chunk.json, choice, place)));
    if (!f->at_end)
        return kt_ok();
    bool any = false;
    for (unsigned i = 0; i < KT_ANSWER_MAX_CHOICES; i++) {
        if (is_set(f->begun, i))
            KT_GUARD(open_if_silent(x, i));
        any |= is_set(f->begun, i);
    }
    return any || !f->head.len ? kt_ok() : open_if_silent(x, 0);
}

/* ---- the end by a policy ---- */

static KT_MUST kt_result put_stop(const struct kt_exchange *x, unsigned choice, bool whole,
                                  struct kt_buf *out)
{
    const struct kt_buf *head = &x->filter.head;
    KT_GUARD(kt_buf_puts(out, "data: {"));
    if (whole || head->len <= LONG_HEAD)
        KT_GUARD(kt_buf_append(out, head->data ? head->data : "", head->len));
    return kt_buf_printf(out, "\"choices\":[{\"index\":%u,%s,\"finish_reason\":\"content_filter\"}]}\n\n",
                         choice, x->endpoint == KT_EP_COMPLETIONS ? "\"text\":\"\"" : "\"delta\":{}");
}

/* Those behind the last bit are known by their texts alone: the first channel of each speaks for it. */
static bool is_first_of_choice(const struct kt_x_filter *f, size_t channel)
{
    if (f->channels[channel].aside || f->channels[channel].choice < SHARED)
        return false;
    for (size_t i = 0; i < channel; i++)
        if (f->channels[i].choice == f->channels[channel].choice && !f->channels[i].aside)
            return false;
    return true;
}

kt_result kt_x_put_stops(const struct kt_exchange *x, unsigned struck, struct kt_buf *out)
{
    const struct kt_x_filter *f = &x->filter;
    bool any = false;
    for (unsigned i = 0; i < SHARED; i++) {
        bool open = (is_set(f->begun, i) || i == struck) && !is_set(f->told, i);
        if (open)
            KT_GUARD(put_stop(x, i, !any, out));
        any |= open;
    }
    for (size_t i = 0; i < f->count; i++)
        if (is_first_of_choice(f, i)) {
            KT_GUARD(put_stop(x, f->channels[i].choice, !any, out));
            any = true;
        }
    return any ? kt_ok() : put_stop(x, struck, true, out); /* it takes back the "stop" that was said */
}
