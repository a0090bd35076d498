/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The parts of the stream filter, private to exchange_filter*.c. */
#include "interceptor/exchange/kt_exchange_private.h"

/* exchange_filter_place.c; `place` counts from the front of the chunk, an index is the provider's number. */
uint32_t kt_x_choice_at(const struct kt_chat *chunk, unsigned place); /* token; 0 = none */
unsigned kt_x_choice_index(const struct kt_json *j, uint32_t choice, unsigned place);
bool kt_x_choice_ends(const struct kt_chat *chunk, uint32_t choice); /* it has its finish_reason */
unsigned kt_x_tool_of(const struct kt_json *j, uint32_t choice, uint32_t tok, bool *custom);
/* The channel to which a text of the chunk belongs, as a key. */
struct kt_x_channel kt_x_text_channel(const struct kt_chat *chunk, const struct kt_segment *s);
bool kt_x_same_text(const struct kt_x_channel *a, const struct kt_x_channel *b); /* of one stream */
/* True where the text under way ends with this piece: its choice is finished, and no other piece follows. */
bool kt_x_text_is_last(const struct kt_x_filter *f, const struct kt_x_channel *key);

/* Two choices of the chunk say something under one number: a client may read them as one text or as two. */
bool kt_x_index_twice(const struct kt_chat *chunk);

/* exchange_filter_tools.c: names of tools, which may come in pieces. Takes those of the chunk under way. */
kt_result kt_x_calls_take(struct kt_exchange *x) KT_MUST;
/* The next name that the chain has to see, borrowed until the next chunk; false where there is none. */
bool kt_x_calls_next(struct kt_x_filter *f, struct kt_tool *out);
void kt_x_calls_free(struct kt_x_filter *f);

/* exchange_filter_write.c */
/* Keeps of the first chunk what chunks of our own need. */
kt_result kt_x_keep_head(struct kt_exchange *x) KT_MUST;
/* A chunk of our own for what was held back of a text that ends. */
kt_result kt_x_put_rest(const struct kt_exchange *x, const struct kt_x_channel *c, struct kt_span text,
                        struct kt_buf *out) KT_MUST;
/* The chunk under way with its edits, to filter.out. */
kt_result kt_x_write_chunk(struct kt_exchange *x) KT_MUST;
