/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The names of the tools that a stream calls. A name may come in pieces, which clients put together; what
 * policies allow or forbid is the whole. It is whole when its arguments begin, when another call begins, or
 * when its choice ends; until then nothing of the stream goes on to the client, within a bound.
 */
#include "interceptor/exchange/kt_exchange_filter.h"

#include <stdlib.h>
#include <string.h>

#define NAME_MAX_BYTES 1024u /* APIs allow 64; what is longer is looked at without its rest */

static struct kt_x_called *call_of(struct kt_x_filter *f, unsigned choice, unsigned tool)
{
    for (size_t i = f->called_count; i-- > 0;)
        if (f->called[i].choice == choice && f->called[i].tool == tool)
            return &f->called[i];
    if (f->called_count == f->called_cap) {
        size_t cap = f->called_cap ? f->called_cap * 2 : 4;
        struct kt_x_called *all = cap <= KT_X_MAX_CHANNELS ? realloc(f->called, cap * sizeof *all) : NULL;
        if (!all)
            return NULL;
        f->called = all;
        f->called_cap = cap;
    }
    struct kt_x_called *c = &f->called[f->called_count++];
    *c = (struct kt_x_called){.choice = choice,
                              .tool = tool,
                              .name = KT_BUF_INIT(NAME_MAX_BYTES * 2u),
                              .other = KT_BUF_INIT(NAME_MAX_BYTES * 4u)};
    return c;
}

void kt_x_calls_free(struct kt_x_filter *f)
{
    for (size_t i = 0; i < f->called_count; i++) {
        kt_buf_free(&f->called[i].name);
        kt_buf_free(&f->called[i].other);
    }
    free(f->called);
    f->called = NULL;
    f->called_count = f->called_cap = 0;
}

/* A provider that says a whole name again means no longer one, but most clients put that together too. */
static KT_MUST kt_result say_again(struct kt_x_called *c, struct kt_span piece)
{
    kt_buf_clear(&c->other);
    c->show_other = true;
    KT_GUARD(kt_buf_append(&c->other, kt_buf_span(&c->name).data, c->name.len));
    return kt_buf_append(&c->other, piece.data, piece.len);
}

static KT_MUST kt_result add_piece(struct kt_x_called *c, struct kt_span piece)
{
    if (!piece.len) {
        c->show |= !c->shown;
        return kt_ok();
    }
    if (piece.len > NAME_MAX_BYTES)
        piece.len = NAME_MAX_BYTES;
    if (c->whole && c->name.len == piece.len && memcmp(c->name.data, piece.data, piece.len) == 0)
        return say_again(c, piece);
    if (c->name.len) { /* some clients keep the last piece only */
        kt_buf_clear(&c->other);
        KT_GUARD(kt_buf_append(&c->other, piece.data, piece.len));
        c->show_other = true;
    }
    c->show = true;
    c->whole |= c->name.len + piece.len > NAME_MAX_BYTES;
    if (c->name.len + piece.len > NAME_MAX_BYTES * 2u)
        piece.len = NAME_MAX_BYTES * 2u - c->name.len;
    return kt_buf_append(&c->name, piece.data, piece.len);
}

/* What stands in call `tool` of the choice, stands behind the names of the others. */
static void others_are_whole(struct kt_x_filter *f, const struct kt_x_called *but)
{
    for (size_t i = 0; i < f->called_count; i++)
        f->called[i].whole |= f->called[i].choice == but->choice && &f->called[i] != but;
}

static KT_MUST kt_result take_names(struct kt_x_filter *f)
{
    for (size_t i = 0; i < f->chunk.tool_count; i++) {
        const struct kt_tool_name *n = &f->chunk.tools[i];
        uint32_t choice = kt_x_choice_at(&f->chunk, n->choice);
        bool custom;
        unsigned number = kt_x_choice_index(&f->chunk.json, choice, n->choice);
        struct kt_x_called *c = call_of(f, number, kt_x_tool_of(&f->chunk.json, choice, n->tok, &custom));
        KT_ENSURE(c, KT_ERR_LIMIT);
        kt_x_choice_calls(f, number);
        others_are_whole(f, c);
        KT_GUARD(add_piece(c, kt_span(n->name, n->len)));
    }
    return kt_ok();
}

static KT_MUST kt_result take_arguments(struct kt_x_filter *f)
{
    for (size_t i = 0; i < f->chunk.segment_count; i++) {
        const struct kt_segment *s = &f->chunk.segments[i];
        if (s->from != KT_FROM_TOOL_CALL || !s->len)
            continue;
        struct kt_x_channel key = kt_x_text_channel(&f->chunk, s);
        struct kt_x_called *c = call_of(f, key.choice, key.tool);
        KT_ENSURE(c, KT_ERR_LIMIT);
        c->whole = true;
        others_are_whole(f, c);
    }
    return kt_ok();
}

static bool ends(const struct kt_x_filter *f, unsigned number)
{
    uint32_t choice;
    for (unsigned place = 0; (choice = kt_x_choice_at(&f->chunk, place)) != 0; place++)
        if (kt_x_choice_index(&f->chunk.json, choice, place) == number)
            return kt_x_choice_ends(f, place);
    return f->at_end;
}

kt_result kt_x_calls_take(struct kt_exchange *x)
{
    struct kt_x_filter *f = &x->filter;
    KT_GUARD(take_names(f));
    KT_GUARD(take_arguments(f));
    bool waits = x->res.run && kt_chain_watches_calls(x->rt->chain) && !kt_x_observe(x) &&
                 f->out.len <= KT_X_UNCOMMITTED_MAX;
    f->name_open = false;
    for (size_t i = 0; i < f->called_count; i++) {
        struct kt_x_called *c = &f->called[i];
        c->whole |= !waits || ends(f, c->choice);
        f->name_open |= !c->whole && c->show;
    }
    return kt_ok();
}

bool kt_x_calls_next(struct kt_x_filter *f, struct kt_tool *out)
{
    for (; f->next_called < f->called_count; f->next_called++) {
        struct kt_x_called *c = &f->called[f->next_called];
        if (!c->whole || (!c->show && !c->show_other))
            continue;
        bool other = !c->show;
        *out = (struct kt_tool){.role = KT_TOOL_CALLED,
                                .choice = c->choice,
                                .name = kt_buf_span(other ? &c->other : &c->name),
                                .other_reading = other};
        c->shown = true;
        *(other ? &c->show_other : &c->show) = false;
        return true;
    }
    return false;
}
