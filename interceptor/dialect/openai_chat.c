/* SPDX-License-Identifier: Apache-2.0 */
/* A request, read once: chat completions, and the endpoints that take plain text. Messages for the client
 * name fields and never quote values. */
#include "interceptor/dialect/kt_segments.h"

#include <stdlib.h>
#include <string.h>

#define MODEL_MAX_LEN 512

/* Top-level fields that we or a policy act on: where two of them disagree, we and the provider might read
 * different ones. */
static const char *const read_once[] = {
    "model",     "messages",    "stream",        "stream_options",     "prediction",       "tools",
    "functions", "tool_choice", "function_call", "web_search_options", "prompt",           "response_format",
    "suffix",    "input",       "user",          "safety_identifier",  "prompt_cache_key", "metadata",
    "stop"};

struct parse {
    struct kt_chat *c;
    struct kt_error *err;
    const char **param;
};

static kt_result wrong(const struct parse *p, const char *param, const char *text)
{
    *p->param = param;
    return kt_fail(p->err, KT_ERR_USAGE, "%s", text);
}

static KT_MUST kt_result parse_json(const struct parse *p, const char *body, size_t len)
{
    struct kt_error cause = {.code = KT_OK};
    kt_result r = kt_json_parse(&p->c->json, body, len, &cause);
    if (r.code == KT_OK)
        return r;
    return kt_fail(p->err, r.code, "The request body cannot be read: %s", cause.text);
}

static bool is_usual_key(struct kt_span raw)
{
    for (size_t i = 0; i < raw.len; i++)
        if ((raw.data[i] >= 'A' && raw.data[i] <= 'Z') || raw.data[i] == '\\')
            return false;
    return true;
}

/* Servers in Go (Ollama, LocalAI) read keys whatever their case: "Messages" is a second list to them, and to
 * us a label. */
static KT_MUST kt_result check_case(const struct parse *p, uint32_t object, const char *const *names,
                                    size_t count)
{
    const struct kt_json *j = &p->c->json;
    for (uint32_t key = object + 1; key < j->tok[object].next; key = j->tok[key + 1].next) {
        KT_CLEANUP(kt_buf_free) struct kt_buf name = KT_BUF_INIT(64); /* a longer one is none of them */
        if (is_usual_key(kt_json_raw(j, key)) || !kt_is_ok(kt_json_unescape(j, key, &name)))
            continue;
        for (size_t i = 0; i < count; i++) {
            struct kt_span is = kt_buf_span(&name);
            if (!kt_span_ieq(is, names[i]) || kt_span_eq(is, names[i]))
                continue;
            *p->param = names[i];
            return kt_fail(p->err, KT_ERR_USAGE, "a field differs from '%s' in case only", names[i]);
        }
    }
    return kt_ok();
}

static KT_MUST kt_result check_duplicates(const struct parse *p)
{
    KT_GUARD(check_case(p, 0, read_once, KT_COUNT(read_once)));
    for (size_t i = 0; i < KT_COUNT(read_once); i++) {
        bool duplicate;
        (void)kt_json_member(&p->c->json, 0, read_once[i], &duplicate);
        if (!duplicate)
            continue;
        *p->param = read_once[i];
        return kt_fail(p->err, KT_ERR_USAGE, "'%s' occurs more than once", read_once[i]);
    }
    return kt_ok();
}

static KT_MUST kt_result parse_model(const struct parse *p)
{
    const struct kt_json *j = &p->c->json;
    uint32_t tok = p->c->model_tok = kt_json_member(j, 0, "model", NULL);
    if (!tok || j->tok[tok].type == KT_JSON_NULL)
        return kt_ok();
    if (j->tok[tok].type != KT_JSON_STRING)
        return wrong(p, "model", "'model' must be a string");
    KT_CLEANUP(kt_buf_free) struct kt_buf b = KT_BUF_INIT(MODEL_MAX_LEN);
    kt_result r = kt_json_unescape(j, tok, &b);
    if (r.code == KT_ERR_LIMIT || (b.data && memchr(b.data, '\0', b.len)))
        return wrong(p, "model", "'model' is not a model name");
    KT_GUARD(r);
    p->c->model = strdup(b.data ? b.data : ""); /* without the room */
    KT_ENSURE(p->c->model, KT_ERR_MEMORY);
    return kt_ok();
}

/* A flag that is true, false, null or not there. */
static KT_MUST kt_result parse_flag(const struct parse *p, uint32_t object, const char *name, bool *out)
{
    const struct kt_json *j = &p->c->json;
    bool duplicate;
    uint32_t tok = kt_json_member(j, object, name, &duplicate);
    if (duplicate)
        return wrong(p, name, "a field occurs more than once");
    if (!tok || j->tok[tok].type == KT_JSON_NULL)
        return kt_ok();
    *out = j->tok[tok].type == KT_JSON_TRUE;
    if (!*out && j->tok[tok].type != KT_JSON_FALSE)
        return wrong(p, name, "this field must be true or false");
    return kt_ok();
}

static KT_MUST kt_result parse_stream(const struct parse *p)
{
    KT_GUARD(parse_flag(p, 0, "stream", &p->c->stream));
    uint32_t options = kt_json_member(&p->c->json, 0, "stream_options", NULL);
    if (!options)
        return kt_ok();
    return parse_flag(p, options, "include_usage", &p->c->include_usage);
}

static enum kt_origin_class origin_of(const struct kt_json *j, uint32_t message)
{
    static const struct {
        const char *role;
        enum kt_origin_class from;
    } roles[] = {
        {"system", KT_FROM_SYSTEM}, {"developer", KT_FROM_SYSTEM}, {"assistant", KT_FROM_ASSISTANT},
        {"tool", KT_FROM_TOOL},     {"function", KT_FROM_TOOL},
    };
    uint32_t role = kt_json_member(j, message, "role", NULL);
    for (size_t i = 0; role && i < KT_COUNT(roles); i++)
        if (kt_json_str_eq(j, role, roles[i].role))
            return roles[i].from;
    return KT_FROM_USER;
}

/* Shapes in which a text could stand unread are refused here: what no policy has seen must not leave. */
static KT_MUST kt_result check_message(const struct parse *p, uint32_t message)
{
    static const char *const names[] = {"role", "content", "tool_calls", "function_call"};
    const struct kt_json *j = &p->c->json;
    if (j->tok[message].type != KT_JSON_OBJECT)
        return wrong(p, "messages", "each of 'messages' must be an object");
    KT_GUARD(check_case(p, message, names, KT_COUNT(names)));
    uint32_t content = kt_json_member(j, message, "content", NULL);
    if (!content)
        return kt_ok();
    enum kt_json_type type = j->tok[content].type;
    if (type != KT_JSON_STRING && type != KT_JSON_ARRAY && type != KT_JSON_NULL)
        return wrong(p, "messages", "'content' of a message must be a string, a list of parts or null");
    return kt_ok();
}

static KT_MUST kt_result parse_messages(const struct parse *p)
{
    struct kt_chat *c = p->c;
    c->messages_tok = kt_json_member(&c->json, 0, "messages", NULL);
    if (!c->messages_tok || c->json.tok[c->messages_tok].type != KT_JSON_ARRAY)
        return wrong(p, "messages", "'messages' must be a list of messages");
    *p->param = "messages"; /* for whatever the walk finds */
    uint32_t end = c->json.tok[c->messages_tok].next;
    for (uint32_t m = c->messages_tok + 1; m < end; m = c->json.tok[m].next) {
        KT_GUARD(check_message(p, m));
        enum kt_origin_class from = origin_of(&c->json, m);
        KT_GUARD(kt_segments_collect(c, m, from, 0, p->err));
        KT_GUARD(kt_tools_called(c, m, 0, p->err));
    }
    *p->param = "prediction"; /* predicted output: whole files of the user, as a rule */
    uint32_t prediction = kt_json_member(&c->json, 0, "prediction", NULL);
    if (prediction)
        KT_GUARD(kt_segments_collect(c, prediction, KT_FROM_ASSISTANT, 0, p->err));
    *p->param = NULL;
    return kt_ok();
}

/* Definitions of tools, and the schema of the answer, are read by the model like a system prompt. */
static KT_MUST kt_result parse_tools(const struct parse *p)
{
    static const char *const lists[] = {"tools", "functions"};
    struct kt_chat *c = p->c;
    for (size_t i = 0; i < KT_COUNT(lists); i++) {
        uint32_t list = kt_json_member(&c->json, 0, lists[i], NULL);
        *p->param = lists[i];
        if (!list)
            continue;
        KT_GUARD(kt_segments_tools(c, list, KT_FROM_OFFER, p->err));
        KT_GUARD(kt_tools_offered(c, list, p->err));
    }
    *p->param = "tool_choice";
    KT_GUARD(kt_tools_chosen(c, p->err));
    *p->param = "response_format";
    uint32_t format = kt_json_member(&c->json, 0, "response_format", NULL);
    if (format)
        KT_GUARD(kt_segments_tools(c, format, KT_FROM_SYSTEM, p->err));
    c->tool_segments = c->segment_count;
    *p->param = NULL;
    return kt_ok();
}

static bool is_number(const struct kt_json *j, uint32_t tok)
{
    return tok && j->tok[tok].type == KT_JSON_NUMBER;
}

/* A list of token ids, or a list of such lists. */
static bool has_token_ids(const struct kt_json *j, uint32_t list)
{
    for (uint32_t i = list + 1; i < j->tok[list].next; i = j->tok[i].next)
        if (is_number(j, i) || (j->tok[i].type == KT_JSON_ARRAY && is_number(j, j->tok[i].size ? i + 1 : 0)))
            return true;
    return false;
}

/* A text, a list of texts, of token ids or of parts; a `suffix` may be null. */
static KT_MUST kt_result parse_input(const struct parse *p, const char *name, bool needed)
{
    struct kt_chat *c = p->c;
    uint32_t value = kt_json_member(&c->json, 0, name, NULL);
    *p->param = name;
    enum kt_json_type type = value ? (enum kt_json_type)c->json.tok[value].type : KT_JSON_NULL;
    if (type == KT_JSON_NULL && !needed) {
        *p->param = NULL;
        return kt_ok();
    }
    if (type != KT_JSON_STRING && type != KT_JSON_ARRAY)
        return wrong(p, name, "this field must be a text or a list of texts");
    c->token_ids |= type == KT_JSON_ARRAY && has_token_ids(&c->json, value);
    KT_GUARD(kt_segments_text(c, value, KT_FROM_USER, 0, p->err));
    *p->param = NULL;
    return kt_ok();
}

/* A chat under another name would leave unread. */
static KT_MUST kt_result no_messages(const struct parse *p)
{
    bool there = p->c->endpoint != KT_EP_CHAT && kt_json_member(&p->c->json, 0, "messages", NULL);
    return there ? wrong(p, "messages", "this endpoint takes no 'messages'") : kt_ok();
}

/* Read in their own way. Every other field goes along with a request as a label: a person's address in
 * `user`, or in a field of somebody's own server, leaves like one in the prompt. */
static bool is_label(const struct kt_chat *c, uint32_t key)
{
    static const char *const of_chat[] = {"messages",  "prediction",      "tools",
                                          "functions", "response_format", NULL};
    static const char *const of_prompts[] = {"prompt", "suffix", NULL};
    static const char *const of_inputs[] = {"input", NULL};
    bool prompts = c->endpoint == KT_EP_COMPLETIONS || c->endpoint == KT_EP_FIM;
    bool inputs = c->endpoint == KT_EP_EMBEDDINGS || c->endpoint == KT_EP_MODERATIONS;
    const char *const *own = prompts ? of_prompts : inputs ? of_inputs : of_chat;
    for (; *own; own++)
        if (kt_json_str_eq(&c->json, key, *own))
            return false;
    return !kt_json_str_eq(&c->json, key, "model");
}

static KT_MUST kt_result parse_labels(const struct parse *p)
{
    struct kt_chat *c = p->c;
    const struct kt_json *j = &c->json;
    for (uint32_t k = 1; k < j->tok[0].next; k = j->tok[k + 1].next) {
        if (!is_label(c, k))
            continue;
        KT_GUARD(kt_segments_key(c, k, p->err));
        KT_GUARD(kt_segments_label(c, k + 1, p->err));
    }
    return kt_ok();
}

static KT_MUST kt_result parse_texts(const struct parse *p)
{
    KT_GUARD(no_messages(p));
    switch (p->c->endpoint) {
    case KT_EP_COMPLETIONS:
    case KT_EP_FIM:
        KT_GUARD(parse_input(p, "prompt", true));
        return parse_input(p, "suffix", false);
    case KT_EP_EMBEDDINGS:
    case KT_EP_MODERATIONS:
        return parse_input(p, "input", true);
    default:
        KT_GUARD(parse_tools(p));
        return parse_messages(p);
    }
}

static KT_MUST kt_result parse(const struct parse *p, const char *body, size_t len)
{
    KT_GUARD(parse_json(p, body, len));
    if (p->c->json.tok[0].type != KT_JSON_OBJECT)
        return wrong(p, NULL, "The request body must be a JSON object");
    KT_GUARD(check_duplicates(p));
    KT_GUARD(parse_model(p));
    KT_GUARD(parse_stream(p));
    KT_GUARD(parse_texts(p));
    return parse_labels(p);
}

kt_result kt_chat_parse(struct kt_chat *c, const char *body, size_t len, struct kt_error *err,
                        const char **param)
{
    return kt_request_parse(c, KT_EP_CHAT, body, len, err, param);
}

/* A request is kept for as long as its answer lasts; its lists have grown by doubling. */
static void give_back_room(struct kt_chat *c)
{
    struct kt_json_tok *tok = c->json.count ? realloc(c->json.tok, c->json.count * sizeof *tok) : NULL;
    c->json.tok = tok ? tok : c->json.tok;
    struct kt_segment *s = c->segment_count ? realloc(c->segments, c->segment_count * sizeof *s) : NULL;
    if (!s)
        return;
    c->segments = s;
    c->segment_cap = c->segment_count;
}

kt_result kt_request_parse(struct kt_chat *c, enum kt_endpoint endpoint, const char *body, size_t len,
                           struct kt_error *err, const char **param)
{
    const char *ignored;
    struct kt_error unused;
    struct parse p = {c, err ? err : &unused, param ? param : &ignored};
    memset(c, 0, sizeof *c);
    c->endpoint = endpoint;
    *p.param = NULL;
    p.err->text[0] = '\0';
    kt_result r = parse(&p, body, len);
    if (r.code == KT_OK) {
        give_back_room(c);
        return r;
    }
    if (!p.err->text[0])
        (void)kt_fail(p.err, r.code, "The request body cannot be read: %s", kt_code_name(r.code));
    kt_chat_free(c);
    return r;
}

void kt_chat_free(struct kt_chat *c)
{
    for (size_t i = 0; i < c->segment_count; i++)
        free(c->segments[i].text);
    free(c->segments);
    for (size_t i = 0; i < c->tool_count; i++)
        free(c->tools[i].name);
    free(c->tools);
    free(c->model);
    kt_json_free(&c->json);
    memset(c, 0, sizeof *c);
}

kt_result kt_chat_redact(const struct kt_chat *c, struct kt_edits *edits, size_t segment, size_t start,
                         size_t end, const char *text, size_t len)
{
    KT_ENSURE(segment < c->segment_count, KT_ERR_STATE);
    const struct kt_segment *s = &c->segments[segment];
    return kt_edits_in_string(edits, &c->json, s->tok, s->skip + start, s->skip + end, text, len);
}
