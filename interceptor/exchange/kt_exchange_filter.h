/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The parts of the stream filter, private to exchange_filter*.c. */
#include "interceptor/exchange/kt_exchange_private.h"

/* One event of the stream, or its end. */
struct kt_x_queued {
    size_t name_len; /* of the event's name, of one that is no chunk */
    size_t len;      /* of its JSON; 0 = the end of the stream */
    bool content;
    uint64_t says, finished; /* bits of kt_x_chunk */
    bool as_is;              /* a provider's own error: no answer */
    bool aside;              /* neither */
    bool finish_only;        /* ours: the finish_reasons of the text in front of it */
};

/* exchange_filter.c */
/* Deals with it now; `parsed`: the tokens of `json`, which may be taken. */
void kt_x_filter_take(struct kt_exchange *x, struct kt_span name, struct kt_span json, struct kt_json *parsed,
                      const struct kt_x_queued *q);
/* True, and the stream is over, where `r` is an error. */
bool kt_x_filter_failed(struct kt_exchange *x, kt_result r);
/* Ends the text of a channel: its rest goes in front of the chunk. `asked`: the chain has seen it. False
 * where the work stops here. */
bool kt_x_filter_end_text(struct kt_exchange *x, struct kt_x_channel *c, int asks, bool asked);

/* exchange_filter_queue.c: goes on with what waits. */
void kt_x_filter_next(struct kt_exchange *x);

/* exchange_filter_place.c; `place` counts from the front of the chunk, an index is the provider's number. */
uint32_t kt_x_choice_at(const struct kt_chat *chunk, unsigned place); /* token; 0 = none */
unsigned kt_x_choice_index(const struct kt_json *j, uint32_t choice, unsigned place);
uint64_t kt_x_choice_bit(const struct kt_json *j, uint32_t choice,
                         unsigned place);                           /* 63 and more: the last */
bool kt_x_has_finish(const struct kt_json *j, uint32_t choice);     /* a finish_reason that says something */
bool kt_x_choice_ends(const struct kt_x_filter *f, unsigned place); /* and no more of it follows */
unsigned kt_x_tool_of(const struct kt_json *j, uint32_t choice, uint32_t tok, bool *custom);
/* The channel to which a text of the chunk belongs, as a key. */
struct kt_x_channel kt_x_text_channel(const struct kt_chat *chunk, const struct kt_segment *s);
/* The same of an event that is no chunk. */
struct kt_x_channel kt_x_aside_channel(const struct kt_x_filter *f, const struct kt_segment *s);
bool kt_x_same_text(const struct kt_x_channel *a, const struct kt_x_channel *b); /* of one stream */
/* True where the text under way ends with this piece: its choice is finished, and no other piece follows. */
bool kt_x_text_is_last(const struct kt_x_filter *f, const struct kt_x_channel *key);

/* Two choices of the chunk say something under one number: a client may read them as one text or as two. */
bool kt_x_index_twice(const struct kt_chat *chunk);
/* The index of a choice or of a tool call is there and is no number from 0 to 999,999. */
bool kt_x_index_odd(const struct kt_chat *chunk);

/* exchange_filter_frame.c; `root`: token of the choice, 0 = the whole event. */
struct kt_x_place kt_x_place_of(const struct kt_json *j, uint32_t root, uint32_t tok);
kt_result kt_x_frame_put(const struct kt_json *j, uint32_t root, uint32_t tok,
                         struct kt_x_frame *out) KT_MUST;
/* Below `value`, a content or the like, the string is of the text itself and not of something beside it. */
bool kt_x_is_word_of(const struct kt_json *j, uint32_t value, uint32_t tok);

/* exchange_filter_room.c: texts of events that are no chunks, of which there may be any number. */
/* Makes room for `key`: true where there is some, false where the work stops here. `key` becomes one for
 * itself where this very event has too many. */
bool kt_x_aside_room(struct kt_exchange *x, struct kt_x_channel *key);
bool kt_x_aside_leave(struct kt_exchange *x, bool asked); /* goes on with the one that leaves */

/* exchange_filter_tools.c: names of tools, which may come in pieces. Takes those of the chunk under way. */
kt_result kt_x_calls_take(struct kt_exchange *x) KT_MUST;
/* The next name that the chain has to see, borrowed until the next chunk; false where there is none. */
bool kt_x_calls_next(struct kt_x_filter *f, struct kt_tool *out);
void kt_x_calls_free(struct kt_x_filter *f);

/* exchange_filter_stop.c */
/* The choice (as the provider numbers it) has called a tool. */
void kt_x_choice_calls(struct kt_x_filter *f, unsigned choice);
void kt_x_choices_begin(struct kt_x_filter *f);   /* those of the chunk under way */
void kt_x_choices_written(struct kt_x_filter *f); /* the chunk is in filter.out */
/* Gives every choice that ends here without a word or a call an empty text, so that policies judge it. */
kt_result kt_x_open_silent(struct kt_exchange *x) KT_MUST;

/* exchange_filter_split.c */
/* Of a chunk in which the choices `both` (bits of kt_x_chunk) say something and are said to end: what it
 * says, and a chunk with what ends them, its usage among it. */
kt_result kt_x_split_chunk(const struct kt_exchange *x, const struct kt_json *j, uint64_t both,
                           struct kt_buf *text, struct kt_buf *finish) KT_MUST;

/* exchange_filter_write.c */
/* The members that chunks of our own take from one of the target, each with a comma behind it. */
kt_result kt_x_put_head(const struct kt_exchange *x, const struct kt_json *j, struct kt_buf *out) KT_MUST;
/* Keeps of the first chunk what chunks of our own need. */
kt_result kt_x_keep_head(struct kt_exchange *x) KT_MUST;
/* A chunk of our own for what was held back of a text that ends. */
kt_result kt_x_put_rest(const struct kt_exchange *x, const struct kt_x_channel *c, struct kt_span text,
                        struct kt_buf *out) KT_MUST;
/* "event: NAME" in front, where there is one. */
kt_result kt_x_put_named_event(struct kt_buf *out, struct kt_span name, struct kt_span json) KT_MUST;
/* The chunk under way with its edits, to filter.out. */
kt_result kt_x_write_chunk(struct kt_exchange *x) KT_MUST;

/* exchange_pair.c */
/* Adds what segment `s` of a chunk says; `final`: its text ends with it. */
kt_result kt_x_channel_add(struct kt_x_channel *c, const struct kt_json *j, const struct kt_segment *s,
                           bool final) KT_MUST;
/* The other half does not come: the text has U+FFFD in its place. */
kt_result kt_x_channel_give_up_half(struct kt_x_channel *c) KT_MUST;

/* exchange_channel.c */
/* NULL on OOM or past the maximum. */
struct kt_x_channel *kt_x_channel_of(struct kt_exchange *x, const struct kt_x_channel *like);
void kt_x_channel_free(struct kt_x_channel *c);
/* Gives up the last channel where it is that of a whole string, which is through. */
void kt_x_channel_pop(struct kt_x_filter *f);
bool kt_x_channel_ended(const struct kt_x_filter *f,
                        const struct kt_x_channel *like); /* one of its text has */
/* Shows the chain what there is; `final`: nothing more comes. */
enum kt_step kt_x_channel_ask(struct kt_exchange *x, struct kt_x_channel *c, bool final) KT_MUST;
/* Behind an ask that is done: appends to `out` what may go to the client now. */
kt_result kt_x_channel_release(struct kt_exchange *x, struct kt_x_channel *c, bool final,
                               struct kt_buf *out) KT_MUST;
