/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What an exchange keeps of a streamed answer; private to this folder, part of kt_exchange_private.h. */
#include "interceptor/dialect/kt_dialect.h"
#include "interceptor/sse/kt_sse.h"
#include "interceptor/upstream/kt_upstream.h"
#include "policyengine/chain/kt_chain.h"
#include "policyengine/chain/kt_restore.h"

struct kt_exchange;

#define KT_X_UNCOMMITTED_MAX (256u << 10)
#define KT_X_HELD_MAX (9u << 20) /* of a stream: an event under way, or events before the first content */

/* Chunks of an answer, those without a text too, and bytes of their texts: content, reasoning, refusals and
 * arguments of tools, in UTF-8 and unescaped. */
struct kt_x_count {
    uint64_t chunks, bytes;
};

struct kt_x_counts {
    uint64_t read;              /* valid chunks of the target, its error events included */
    uint64_t first_ns, last_ns; /* when the first and the last one with a text came; 0 = none */
    struct kt_x_count sent;     /* to the client; where no filter is: once the stream is committed */
};

struct kt_x_stream {
    struct kt_sse sse;
    bool open;                 /* sse is initialised */
    struct kt_buf held;        /* bytes from the last release on */
    uint64_t held_base;        /* stream offset of held.data[0] */
    uint64_t event_start;      /* stream offset at which the event under way begins, at the earliest */
    struct kt_buf usage_chunk; /* what include_usage asks for and the provider left out */
    struct kt_x_counts counts;
    bool feeding;     /* in the reader's callback */
    bool asked_usage; /* we asked for the usage, not the client, who does not get its chunk */
    bool committed, done, error_seen, usage_chunk_seen;
    uint64_t begun, finished;             /* a bit per choice */
    const char *broken;                   /* static: why the stream cannot go on; NULL = fine */
    const char *broken_by;                /* static: the same as a word for the event */
    unsigned calls[KT_ANSWER_CALL_SLOTS]; /* tool calls begun, by choice */
    struct kt_buf mended;     /* the chunk under way, where its tool calls had to be written anew */
    size_t held_max;          /* most bytes of one text that policies held back between two chunks */
    int error_status;         /* of an error event in front of any content, which is in x->answer; 0 = none */
    const char *interruption; /* static; the client saw the answer begin and not its end: why */
};

/* The place of a text that OpenAI does not stream, `reasoning_details[].text` and the like. */
struct kt_x_place {
    uint64_t hash; /* tells it from the others; 0 = content, reasoning_content, refusal, arguments */
    size_t len;    /* bytes that its frame takes */
};
#define KT_X_MAX_PLACE 4096u

/* The JSON around its string, below the choice or the event. */
struct kt_x_frame {
    struct kt_buf name; /* of the event, one that is no chunk */
    struct kt_buf json;
    size_t hole; /* where the string belongs */
};

/* One text of a stream: content, reasoning, refusal or a tool call's arguments of one choice. */
struct kt_x_channel {
    unsigned choice, tool; /* as the provider numbers them */
    struct kt_x_place place;
    struct kt_x_frame frame; /* empty: as its class */
    uint32_t root, tok; /* of a key: its string, and the choice (0 = the event), in the chunk under way */
    enum kt_origin_class from;
    bool refusal, json;
    bool aside;    /* of events that are no chunks ... */
    uint64_t seen; /* ... the latest of them that had a piece */
    bool whole;    /* one string: no other piece belongs to it */
    bool listed;   /* in a list of content, as Mistral has it */
    bool custom;   /* a tool call's free input, not the arguments of a function */
    bool begun;    /* something else than blanks came: `json` is settled */
    bool ended;
    unsigned half;               /* of a character, whose other one may come with the next piece; 0 = none */
    unsigned segment;            /* in the chain's run */
    struct kt_buf text;          /* what came and was not released yet */
    size_t base;                 /* absolute offset of text.data[0] */
    size_t chain_at, restore_at; /* from where on the chain, the restorer see it again */
    struct kt_restore_text restore;
    struct kt_edits restores; /* absolute offsets; not released yet */
};

/* A tool call whose name comes, or came. */
struct kt_x_called {
    unsigned choice, tool; /* as the provider numbers them; UINT32_MAX: the old function_call */
    struct kt_buf name;    /* the pieces so far, put together as SDKs do */
    struct kt_buf other;   /* how other clients may read them */
    bool whole;            /* something came that stands behind a name */
    bool shown;            /* to the chain, at least once */
    bool show, show_other; /* these have changed since */
};

/* The response phase over a stream, chunk by chunk. */
struct kt_x_filter {
    bool on;
    struct kt_x_channel *channels; /* owned */
    size_t count, cap;
    unsigned segments; /* channels so far, those that are gone included */
    uint64_t asides;   /* events that were no chunks */
    size_t leaving;    /* the channel that makes room */
    /* The chunk under way. */
    struct kt_buf payload; /* its JSON; empty = the end of the stream */
    bool aside;            /* it is an event of another kind ... */
    struct kt_buf name;    /* ... with this name, maybe none */
    struct kt_chat chunk;
    struct kt_x_called *called; /* owned */
    size_t called_count, called_cap;
    size_t next_called, next_text, next_close;
    bool name_open;     /* the name of a tool may go on: no chunk leaves until it is looked at */
    bool content_waits; /* some chunk that waits for it says something */
    enum {
        KT_X_ASKS_NOTHING,
        KT_X_ASKS_TOOL,
        KT_X_ASKS_TEXT,
        KT_X_ASKS_ROOM,
        KT_X_ASKS_CLOSE,
        KT_X_ASKS_END
    } asks;
    bool busy, at_end, chain_ended, judged;
    bool dead;                                    /* the stream is over for us */
    bool content;                                 /* the chunk says something, as it came */
    bool nothing_follows;                         /* upstream */
    bool behind_end;                              /* a text went on behind its end, and passed */
    uint64_t goes_on;                             /* choices of it whose finish_reason is none, a bit each */
    bool said;                                    /* some text of the chunk is released */
    uint64_t changed[KT_ANSWER_MAX_CHOICES / 64]; /* a bit for each, by place in the chunk */
    /* A bit for each choice, by the provider's number; those beyond share the last one. */
    uint64_t begun[KT_ANSWER_MAX_CHOICES / 64];
    uint64_t calls[KT_ANSWER_MAX_CHOICES / 64];    /* it has called a tool */
    uint64_t finished[KT_ANSWER_MAX_CHOICES / 64]; /* its finish_reason is written ... */
    uint64_t told[KT_ANSWER_MAX_CHOICES / 64];     /* ... and sent */
    struct kt_edits edits;                         /* of the chunk */
    struct kt_buf head;      /* id, created and model, as the stream's first chunk has them */
    struct kt_buf extra;     /* events in front of the chunk */
    struct kt_buf out;       /* events for the client */
    struct kt_x_count ready; /* what waits there, and of the chunk under way */
    struct kt_buf queue;     /* chunks that came while a policy asks outside */
    bool upstream_done;      /* the call has ended meanwhile */
    enum kt_call_outcome upstream_outcome;
    char upstream_detail[160];
};

/* exchange_count.c: what the event tells of a stream. */
/* A valid chunk came; `error`: it is an error event. In front of the filter, which may take the tokens. */
void kt_x_count_chunk(struct kt_exchange *x, const struct kt_json *j, bool error);
void kt_x_count_sent(struct kt_exchange *x); /* all that was ready in the filter has left */
/* What the client has, or gets behind the event. */
struct kt_x_count kt_x_delivered(const struct kt_exchange *x);
/* Completion tokens by the time from the first to the last chunk with a text; where that is under 1 ms (one
 * chunk, all at once) by the time from the beginning of the attempt to its end. To a tenth; 0 = not known. */
double kt_x_tokens_per_s(const struct kt_exchange *x);

/* exchange_chunk.c */
struct kt_x_chunk {
    bool valid;               /* a JSON object */
    bool error;               /* it carries an `error` */
    bool foreign_error;       /* it is one, in another shape than OpenAI's */
    bool failed;              /* a choice ends with the finish_reason "error" */
    bool aside;               /* neither an answer nor an error: a ping, or what nobody knows */
    bool content;             /* something a client would show or act on, a finish_reason included */
    uint64_t begun, finished; /* a bit per choice: it is in the chunk, it has its finish_reason ... */
    uint64_t says;            /* ... a text or a call of it is there */
    bool usage_only;          /* OpenAI's extra chunk: no choices, usage */
};
/* Reads one data payload, and parses it into `j` (the caller's to free; empty where it is no JSON);
 * `usage_chunk` (may be NULL) receives the SSE event that include_usage would have
 * given at this endpoint. */
struct kt_x_chunk kt_x_chunk_read(struct kt_span json, struct kt_json *j, struct kt_usage *usage,
                                  enum kt_endpoint e, struct kt_buf *usage_chunk);

/* The HTTP status that would say what an error event says; 500 where it does not tell. */
int kt_x_error_status(const struct kt_json *j);

/* exchange_filter_stop.c */
#define KT_X_MAX_STOPS (16u << 20)             /* 2,047 choices with heads of 4 KiB at most */
void kt_x_choices_sent(struct kt_x_filter *f); /* all that was in filter.out */
/* A chunk with the finish_reason "content_filter" for each choice that the client does not know to be
 * finished; `struck`: the one that a policy stopped, as the provider numbers it. */
kt_result kt_x_put_stops(const struct kt_exchange *x, unsigned struck, struct kt_buf *out) KT_MUST;

/* exchange_keepalive.c */
void kt_x_keepalive_begin(struct kt_exchange *x);  /* the client waits from here on */
void kt_x_keepalive_stream(struct kt_exchange *x); /* the stream has begun */
void kt_x_keepalive_stop(struct kt_exchange *x);

/* exchange_stream_end.c */
/* By its Content-Type; one without any (NULL) is what was asked for, as SDKs take it. */
bool kt_x_is_event_stream(const struct kt_exchange *x, const char *type);
bool kt_x_is_done(struct kt_span data);                                  /* [DONE] */
void kt_x_note_chunk(struct kt_x_stream *s, const struct kt_x_chunk *c); /* what it ends and tells */
bool kt_x_is_whole(const struct kt_x_stream *s);
void kt_x_break_off(struct kt_x_stream *s, const char *word, const char *why); /* both static */
/* The event ends the stream as a failure: `broken` says why. */
bool kt_x_is_failure(struct kt_exchange *x, const struct kt_sse_event *e, const struct kt_json *j,
                     const struct kt_x_chunk *c);
const char *kt_x_broken_outcome(const struct kt_x_stream *s); /* of the attempt */
const char *kt_x_broken_why(const struct kt_x_stream *s);
const char *kt_x_interruption(const struct kt_x_stream *s, const char *outcome);
/* Tells the client, whom the provider has told nothing. */
void kt_x_send_interruption(struct kt_exchange *x, const char *outcome);
/* The end of a stream that a policy stopped in that choice. */
kt_result kt_x_put_refusal(struct kt_exchange *x, unsigned choice, struct kt_buf *out) KT_MUST;
/* What include_usage asked for and the target left out. */
void kt_x_send_usage_chunk(struct kt_exchange *x);
/* Ends one that is under way with an error event: its own event could not be written. */
void kt_x_stream_unrecorded(struct kt_exchange *x);

/* exchange_chunk.c: tool calls as OpenAI's clients read them; where something had to be edited, `data` and
 * `j` are of s->mended afterwards. */
kt_result kt_x_mend_calls(struct kt_x_stream *s, struct kt_span *data, struct kt_json *j) KT_MUST;

/* exchange_filter_write.c */
kt_result kt_x_put_event(struct kt_buf *out, struct kt_span json) KT_MUST;
/* Line ends, which stand between tokens only, would end the event's line: blanks. */
void kt_x_one_line(char *json, size_t len);
