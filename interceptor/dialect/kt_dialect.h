/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What a request says, in the words of an API. One file per client dialect (OpenAI) and per provider
 * (providers.def); a provider is one `const struct kt_provider` with its defaults and its translation.
 */
#include "policyengine/body/kt_edits.h"
#include "policyengine/config/kt_config.h"
#include "policyengine/policies/kt_policy.h"

#ifdef __cplusplus
extern "C" {
#endif

enum kt_endpoint {
    KT_EP_CHAT,        /* POST .../chat/completions */
    KT_EP_COMPLETIONS, /* POST .../completions: OpenAI's older text completions */
    KT_EP_FIM,         /* POST .../fim/completions: Mistral's fill in the middle */
    KT_EP_EMBEDDINGS,  /* POST .../embeddings */
    KT_EP_MODERATIONS, /* POST .../moderations */
    KT_EP_UNKNOWN,     /* anything else: intercept.unknown_endpoints decides */
    KT_EP_MODELS       /* GET .../models and .../models/{id}: no body, answered from the config */
};
/* `target` as on the request line; the query string and an absolute form are ignored. */
enum kt_endpoint kt_endpoint_of(struct kt_span method, struct kt_span target);

#define KT_MODEL_ID_MAX 255 /* bytes */
/* The id in .../models/{id}, decoded and NUL-terminated; false where there is none. */
bool kt_endpoint_model(struct kt_span target, char id[KT_MODEL_ID_MAX + 1]);
/* Appends the answer to KT_EP_MODELS. KT_ERR_NOTFOUND where no targets are configured. */
kt_result kt_models_answer(const struct kt_config *c, struct kt_span target, struct kt_buf *out) KT_MUST;

/* One text of a body that policies look at. */
struct kt_segment {
    enum kt_origin_class from;
    bool json;       /* the text is JSON source itself: a tool call's arguments */
    bool whole;      /* of an answer: no other piece of a stream goes on with it */
    unsigned choice; /* of an answer */
    uint32_t tok;    /* string token in json */
    size_t skip;     /* bytes of the string in front of the text: an address's host */
    char *text;      /* owned, unescaped UTF-8, NUL-terminated; may hold NULs */
    size_t len;
};

/* A tool that a body offers or calls. */
struct kt_tool_name {
    enum kt_tool_role role;
    unsigned choice; /* of an answer */
    uint32_t tok;    /* of the name, in json */
    char *name;      /* owned, unescaped, NUL-terminated; may hold NULs */
    size_t len;
};

/* A request, parsed once; the body stays untouched. */
struct kt_chat {
    enum kt_endpoint endpoint;
    struct kt_json json; /* text borrowed from the request's body */
    char *model;         /* owned; NULL where absent */
    uint32_t model_tok, messages_tok;
    uint32_t choices_tok;       /* of an answer: its list of choices; 0 = none */
    unsigned silent;            /* of an answer: choices in which nothing is said and no tool called */
    bool stream, include_usage; /* `stream_options.include_usage`. Of an answer: it is a chunk */
    bool answer;                /* not a request */
    bool token_ids;             /* some of the text stands there as the numbers of a tokenizer, unreadable */
    /* Owned. What offered tools and schemas say comes first; then messages in order: string and multi-part
     * text content, system, developer, user, assistant, tool results, tool-call arguments, refusals,
     * reasoning, participant names; predicted output last. Of other endpoints: `prompt`, `suffix`, `input`.
     * All other strings of a request are labels, or names where they cannot be replaced; what is left out are
     * the model, the words of the API itself, hosts of addresses and the bytes of files. */
    struct kt_segment *segments;
    size_t segment_count, segment_cap;
    size_t tool_segments;       /* of them, what offered tools and schemas say */
    struct kt_tool_name *tools; /* owned; offered ones first */
    size_t tool_count, tool_cap;
};
/* Which segment policies are shown as the n-th: messages first, so that values in a tool's description do not
 * shift the numbers of those in a conversation that comes again with another tool. */
static inline size_t kt_chat_nth(const struct kt_chat *c, size_t n)
{
    size_t messages = c->segment_count - c->tool_segments;
    return n < messages ? c->tool_segments + n : n - messages;
}
/* KT_ERR_SYNTAX / KT_ERR_USAGE / KT_ERR_LIMIT with a text for the client; *param receives a static name or
 * NULL. Duplicate keys in what policies read (messages, role, content, parts, model, tool_calls...) are
 * refused. */
kt_result kt_request_parse(struct kt_chat *c, enum kt_endpoint endpoint, const char *body, size_t len,
                           struct kt_error *err, const char **param) KT_MUST;
/* kt_request_parse of KT_EP_CHAT. */
kt_result kt_chat_parse(struct kt_chat *c, const char *body, size_t len, struct kt_error *err,
                        const char **param) KT_MUST;
void kt_chat_free(struct kt_chat *c);
/* More segments than this are refused with KT_ERR_LIMIT. Empty strings are no segments. */
#define KT_CHAT_MAX_SEGMENTS 262144
/* Adds one redaction (offsets in the segment's decoded text). */
kt_result kt_chat_redact(const struct kt_chat *c, struct kt_edits *edits, size_t segment, size_t start,
                         size_t end, const char *text, size_t len) KT_MUST;

/* ---- answers ---- */

/* True where an answer of this endpoint holds text that a model wrote. */
bool kt_answer_has_text(enum kt_endpoint e);
/* The text of which policies hear behind the last segment, once for each silent choice: an answer that says
 * nothing is still judged. An answer without any choice counts as one. */
struct kt_text kt_answer_silence(unsigned segment);
/* A whole (not streamed) answer of `e`: texts and called tools of every choice, in `a` as a request's.
 * `text` is borrowed. KT_ERR_SYNTAX, KT_ERR_USAGE, KT_ERR_LIMIT where the answer is not of the endpoint's
 * shape, so that a text could stand in it unread. */
kt_result kt_answer_parse(struct kt_chat *a, enum kt_endpoint e, const char *text, size_t len,
                          struct kt_error *err) KT_MUST;
/* The same of a text that is parsed already. Takes the tokens: `json` is empty after it. */
kt_result kt_answer_take(struct kt_chat *a, enum kt_endpoint e, struct kt_json *json,
                         struct kt_error *err) KT_MUST;
/* An event of a stream that is no chunk of an answer (a ping, a status, a provider's own): all its strings
 * but ids and the like. Those under a name that texts in pieces have are KT_FROM_REASONING, all others
 * KT_FROM_LABEL. Takes the tokens as kt_answer_take does. */
kt_result kt_answer_take_aside(struct kt_chat *a, struct kt_json *json, struct kt_error *err) KT_MUST;
#define KT_ANSWER_CALL_SLOTS 64 /* choices beyond share the last one */
/* Adds the edits to a chunk of a stream after which the arguments of each tool call are a string and each
 * call has its `index`. `next` has KT_ANSWER_CALL_SLOTS numbers, one for each choice: how many of its calls
 * have begun; all 0 in front of the first chunk. */
kt_result kt_answer_mend_calls(const struct kt_json *chunk, unsigned *next, struct kt_edits *edits) KT_MUST;
/* The same of a whole answer, whose calls stand in their order and need no number. */
kt_result kt_answer_mend_whole(const struct kt_json *answer, struct kt_edits *edits) KT_MUST;
/* Log probabilities spell the text once more, token by token: of choices with edits in their texts they go;
 * with `check` also those that spell anything else than the text beside them, which nobody looked at.
 * `changed` has a bit for each of the first `choices` choices. */
kt_result kt_answer_drop_logprobs(const struct kt_chat *a, const uint64_t *changed, size_t choices,
                                  bool check, struct kt_edits *edits) KT_MUST;
/* True where the string behind `key` is an id or a name of the protocol, by its key and by its letters. */
bool kt_answer_is_id(const struct kt_json *j, uint32_t key);
/* Choices of an answer that count; a policy's text beyond them is refused as KT_ERR_LIMIT. */
#define KT_ANSWER_MAX_CHOICES 1024u

/* A model, or a family of them, by its name. */
#define KT_SERVES(endpoint) (1u << (endpoint))
struct kt_model_name {
    const char *name;
    bool anywhere;   /* in the model's name; else it begins so */
    unsigned serves; /* KT_SERVES of each endpoint that it answers at */
};

struct kt_provider {
    const char *name;     /* "mistral" */
    const char *base_url; /* default; NULL = must be configured */
    const char *key_env;  /* default secret; NULL = none */
    const char *help;
    /* Adds the edits that make the chat acceptable to the provider: fields dropped, renamed, clamped. Not the
     * model and not policy edits. `model` is what will be sent (NULL = none): some fields are fine for some
     * models only. NULL slot = nothing to translate. */
    kt_result (*translate)(const struct kt_chat *c, const char *model, const struct kt_target *t,
                           struct kt_edits *edits);
    /* What can only be done to the body that the edits have made, which it may replace. NULL slot = nothing.
     */
    kt_result (*finish)(const struct kt_chat *c, struct kt_buf *body);
    /* Where the endpoint has another path here; NULL, and a NULL slot = as everywhere. */
    const char *(*path)(enum kt_endpoint e);
    /* Its models, the first one that matches tells; ends with name == NULL. NULL = nothing is known of them.
     */
    const struct kt_model_name *models;
    /* What is asked at an endpoint where no fitting model is named; NULL, and a NULL slot = there is none. */
    const char *(*usual_model)(enum kt_endpoint e);
    /* Adds the edits that give an answer of this provider, or a chunk of one (`stream`), the shape that the
     * endpoint's clients know, at the endpoints `answers_translated` (KT_SERVES). NULL slot = it has it. */
    kt_result (*translate_answer)(const struct kt_chat *a, struct kt_edits *edits);
    unsigned answers_translated;
    /* Clients that speak this provider's own dialect: the hosts that they mean to call, and what User-Agent
     * holds of its SDKs. Lists that end with NULL; NULL = none. */
    const char *const *hosts;
    const char *const *agents;
};
const struct kt_provider *const *kt_providers(size_t *count);
/* One with a dialect of its own; NULL = none. */
const struct kt_provider *kt_provider_find(const char *name);
/* The dialect that a target speaks; NULL where nothing is known of it, and nothing is translated. */
const struct kt_provider *kt_provider_of(const struct kt_target *t);

enum kt_model_fit { KT_MODEL_UNKNOWN, KT_MODEL_FITS, KT_MODEL_WRONG };
/* Whether the target's own model answers at the endpoint, by its name. */
enum kt_model_fit kt_model_fit(const struct kt_target *t, enum kt_endpoint e);
/* The model to send: the target's own; where that one does not answer at the endpoint, the requested one (may
 * be NULL) if it is the provider's and does, else the provider's usual one. Borrowed; NULL = as requested. */
const char *kt_model_at(const struct kt_target *t, enum kt_endpoint e, const char *requested);

/* The provider whose own dialect the client speaks: by the host that it meant, its User-Agent, or a base URL
 * that begins with the provider's name (".../mistral/v1"); NULL = OpenAI's as everybody. `agent` and `target`
 * may be empty. */
const struct kt_provider *kt_client_dialect(const char *host, struct kt_span agent, struct kt_span target);

/* The body for one attempt: policy edits + translation + the model put in place. `model` NULL = keep the
 * requested one. */
kt_result kt_chat_body_for(const struct kt_chat *c, const struct kt_target *t, const char *model,
                           const struct kt_edits *policy_edits, struct kt_buf *out) KT_MUST;
/* True where that body asks for the usage of a stream although the client did not: the target is known to
 * tell it, and its extra chunk is not for the client. */
bool kt_chat_adds_usage(const struct kt_chat *c, const struct kt_target *t);
/* Path below base_url for an endpoint: "/chat/completions". */
const char *kt_endpoint_path(enum kt_endpoint e);
const char *kt_endpoint_path_at(enum kt_endpoint e, const struct kt_target *t);

/* Any provider's error body (Mistral's object messages, {"detail"}, HTML, nothing) as OpenAI's
 * {"error":{message,type,param,code}}. */
kt_result kt_error_wrap(int status, const char *body, size_t len, struct kt_buf *out) KT_MUST;
/* Its message alone, unescaped, `max` bytes at most; nothing where there is none. */
kt_result kt_error_message(struct kt_span body, size_t max, struct kt_buf *out) KT_MUST;

struct kt_usage {
    bool known;
    int64_t prompt_tokens, completion_tokens, total_tokens, cached_tokens;
};
/* Reads `usage` (and nothing else) from a whole JSON answer or from one SSE data payload. True where it held
 * one. */
bool kt_usage_read(const char *json, size_t len, struct kt_usage *out);
/* The same of an answer that is parsed already; *out stays as it is where there is none. */
bool kt_usage_of(const struct kt_json *answer, struct kt_usage *out);

#ifdef __cplusplus
}
#endif
