/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Finding the texts and tools of a body, private to interceptor/dialect. All append; KT_ERR_USAGE where a key
 * that matters occurs twice in one object, KT_ERR_LIMIT past KT_CHAT_MAX_SEGMENTS. */
#include "interceptor/dialect/kt_dialect.h"

/* The texts of the value at token `root`: a message, or another object in its shape. */
kt_result kt_segments_collect(struct kt_chat *c, uint32_t root, enum kt_origin_class from, unsigned choice,
                              struct kt_error *err) KT_MUST;
/* A text, a list of texts, or a list of parts that hold texts. */
kt_result kt_segments_text(struct kt_chat *c, uint32_t value, enum kt_origin_class from, unsigned choice,
                           struct kt_error *err) KT_MUST;
/* What the model is told in words by offered tools (KT_FROM_OFFER), or by a schema of the program's own
 * (KT_FROM_SYSTEM). */
kt_result kt_segments_tools(struct kt_chat *c, uint32_t tools, enum kt_origin_class from,
                            struct kt_error *err) KT_MUST;
/* Every string of a value that goes along with the request, keys included. */
kt_result kt_segments_label(struct kt_chat *c, uint32_t value, struct kt_error *err) KT_MUST;
/* A key at the top, where it is not the API's own. */
kt_result kt_segments_key(struct kt_chat *c, uint32_t key, struct kt_error *err) KT_MUST;

/* The names of offered tools (a list of them, as `tools` and `functions` are). */
kt_result kt_tools_offered(struct kt_chat *c, uint32_t list, struct kt_error *err) KT_MUST;
/* What else of a request names or offers a tool: "tool_choice", "function_call", and "web_search_options",
 * which is the tool "web_search". */
kt_result kt_tools_chosen(struct kt_chat *c, struct kt_error *err) KT_MUST;
/* The names of the tools that a message calls. */
kt_result kt_tools_called(struct kt_chat *c, uint32_t message, unsigned choice, struct kt_error *err) KT_MUST;

/* ---- strings of an answer that OpenAI does not know (answer_aside.c) ---- */

/* True where a text may stand under `key` that comes in pieces. */
bool kt_answer_is_piece(const struct kt_json *j, uint32_t key);

/* ---- strings that need no look (openai_words.c) ---- */

/* True where string token `tok` is a word of the API itself: a key, a role, a type that it defines. */
bool kt_is_api_word(const struct kt_json *j, uint32_t tok);
/* Of an address, the bytes up to the end of its host, which cannot be asked for under another name: 0 where
 * there is no host, or where it holds credentials; all of them for the bytes of a file (kt_is_data). */
size_t kt_url_host_end(const char *url, size_t len);
/* True for "data:...;base64,..." and for plain base64: the bytes of a picture, a sound, a file. */
bool kt_is_data(const char *text, size_t len);
