/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The texts of one message, of offered tools, of a prompt. Not a list of known places but a walk over
 * everything in the message: a text is what stands under a key that models read, at any depth, so that a part
 * type which we have never heard of is read all the same. What else goes to a provider is a label, or a name
 * where it could not be replaced: no string leaves unseen but the words of the API, and none is seen twice.
 */
#include "interceptor/dialect/kt_segments.h"

#include <stdlib.h>
#include <string.h>

/* What is not among these is looked at all the same, where it goes to a provider: as a label. */
enum reads {
    READS_OTHER,   /* no text that we know of */
    READS_TEXT,    /* a string, or a list of strings */
    READS_THOUGHT, /* the same, and all texts below are the model's reasoning */
    READS_TITLE,   /* as a text, and beside one: a model's answer does not go on in it */
    READS_ALL,     /* every string below: arguments of a tool call may come as an object */
    READS_PERSON,  /* a participant's name: in the message itself, not in what it holds */
    READS_NAME,    /* cannot be replaced: ids, names of tools and properties */
    READS_URL,     /* the same, behind the name of the host */
    READS_DATA     /* bytes of a file, as a rule */
};

struct watched {
    const char *key;
    enum reads reads;
    bool many; /* nobody is misled where it occurs twice */
};

static const struct watched of_messages[] = {
    {"role", READS_NAME, false},
    {"type", READS_NAME, false},
    {"tool_calls", READS_OTHER, false},
    {"custom", READS_OTHER, false},
    {"function", READS_OTHER, false},
    {"function_call", READS_OTHER, false},
    {"content", READS_TEXT, false},
    {"text", READS_TEXT, false},
    {"refusal", READS_TEXT, false},
    {"thinking", READS_THOUGHT, false},
    {"reasoning", READS_THOUGHT, false},
    {"reasoning_content", READS_THOUGHT, false},
    {"summary", READS_THOUGHT, false},
    {"arguments", READS_ALL, false},
    {"input", READS_ALL, false},
    {"name", READS_PERSON, false},
    {"transcript", READS_TEXT, false},
    {"filename", READS_TITLE, false},
    {"title", READS_TITLE, false},
    {"id", READS_NAME, true},
    {"tool_call_id", READS_NAME, true},
    {"file_id", READS_NAME, true},
    {"url", READS_URL, true},
    {"image_url", READS_URL, true}, /* Mistral's may be a string */
    {"document_url", READS_URL, true},
    {"data", READS_DATA, true},
    {"file_data", READS_DATA, true},
};

/* What a tool's definition, or a schema, tells the model in words. */
static const struct watched of_tools[] = {
    {"type", READS_NAME, false},       {"custom", READS_OTHER, false}, {"function", READS_OTHER, false},
    {"name", READS_NAME, false},       {"enum", READS_ALL, false},     {"description", READS_TEXT, false},
    {"default", READS_ALL, false},     {"const", READS_ALL, false},    {"examples", READS_ALL, false},
    {"definition", READS_TEXT, false}, {"title", READS_TEXT, true},    {"$comment", READS_TEXT, true},
    {"required", READS_NAME, true},    {"pattern", READS_NAME, true},  {"format", READS_NAME, true},
    {"$ref", READS_NAME, true},        {"$id", READS_NAME, true},      {"$schema", READS_NAME, true},
};

/* A container that is open at the current token. */
struct frame {
    uint32_t next; /* first token behind it */
    uint32_t seen; /* bits of the watched keys that occurred */
    bool object, at_key;
    bool arguments;     /* the value at hand stands under the key of that name */
    bool thought;       /* all below is reasoning */
    bool part;          /* below a list of an answer's texts */
    bool call;          /* all below says which tool is called, and with what */
    bool calls_now;     /* the value at hand does */
    bool wraps;         /* it stands where a text does: {"text": {"value": "..."}} */
    enum reads member;  /* objects: what the key before the current value says */
    enum reads inherit; /* what holds for all that lies inside */
};

struct walk {
    struct kt_chat *c;
    const struct watched *watched;
    uint32_t watched_count;
    enum kt_origin_class from;
    unsigned choice;
    struct kt_error *err;
    uint32_t depth;
    struct frame open[KT_JSON_MAX_DEPTH];
};

static KT_MUST kt_result grow(struct kt_chat *c, struct kt_error *err)
{
    if (c->segment_count < c->segment_cap)
        return kt_ok();
    if (c->segment_count >= KT_CHAT_MAX_SEGMENTS)
        return kt_fail(err, KT_ERR_LIMIT, "The body has more than %d texts", KT_CHAT_MAX_SEGMENTS);
    size_t cap = c->segment_cap ? c->segment_cap * 2 : 8;
    struct kt_segment *s = realloc(c->segments, cap * sizeof *s);
    if (!s)
        return kt_fail(err, KT_ERR_MEMORY, "out of memory");
    c->segments = s;
    c->segment_cap = cap;
    return kt_ok();
}

/* Providers pass on what a model wrote for arguments, whether it is an object or a sentence. A blank may be
 * the first piece of either. */
static bool may_be_json(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (!strchr(" \t\r\n", text[i]))
            return strchr("{[\"", text[i]) != NULL;
    return true;
}

/* Whose words a string is; `f` holds it, NULL at the root. */
static enum kt_origin_class origin(const struct walk *w, const struct frame *f, enum reads reads)
{
    if (w->from == KT_FROM_LABEL)
        return KT_FROM_LABEL;
    switch (reads) {
    case READS_NAME:
        return KT_FROM_NAME;
    case READS_URL: /* what an answer quoted will not be fetched */
        return w->from == KT_FROM_ASSISTANT ? KT_FROM_LABEL : KT_FROM_NAME;
    case READS_OTHER: /* the model's, by a name that we do not know */
        return w->c->answer && w->depth == 1 && f && f->object ? KT_FROM_REASONING : KT_FROM_LABEL;
    case READS_DATA:
        return KT_FROM_LABEL;
    case READS_ALL:
        return w->watched == of_messages ? KT_FROM_TOOL_CALL : w->from;
    case READS_TITLE:
        return w->c->answer ? KT_FROM_REASONING : w->from;
    default:
        break;
    }
    bool thought = w->from == KT_FROM_ASSISTANT && (reads == READS_THOUGHT || (f && f->thought));
    return thought ? KT_FROM_REASONING : w->from;
}

static KT_MUST kt_result emit(struct walk *w, const struct frame *f, uint32_t tok, enum reads reads)
{
    struct kt_span raw = kt_json_raw(&w->c->json, tok);
    if (raw.len <= 2) /* the quotes */
        return kt_ok();
    KT_GUARD(grow(w->c, w->err));
    KT_CLEANUP(kt_buf_free) struct kt_buf text = KT_BUF_INIT(raw.len);
    KT_GUARD(kt_json_unescape(&w->c->json, tok, &text));
    size_t skip = reads == READS_URL ? kt_url_host_end(text.data, text.len) : 0;
    if (skip == text.len || (reads == READS_DATA && kt_is_data(text.data, text.len)))
        return kt_ok();
    struct kt_segment *s = &w->c->segments[w->c->segment_count];
    s->from = origin(w, f, reads);
    s->choice = w->choice;
    s->tok = tok;
    s->skip = skip;
    s->len = text.len - skip;
    s->text = kt_buf_take(&text);
    KT_ENSURE(s->text, KT_ERR_MEMORY);
    memmove(s->text, s->text + skip, s->len + 1);
    s->whole = w->c->answer && (s->from == KT_FROM_LABEL || reads == READS_TITLE || reads == READS_PERSON);
    s->json = s->from == KT_FROM_TOOL_CALL && f && f->arguments && may_be_json(s->text, s->len);
    w->c->segment_count++;
    return kt_ok();
}

/* Keys of which nothing is known are words of somebody's; in a schema they are names of properties. */
static KT_MUST kt_result unknown_key(struct walk *w, const struct frame *f, uint32_t tok)
{
    if ((w->c->answer && !f->part) || kt_is_api_word(&w->c->json, tok))
        return kt_ok();
    return emit(w, f, tok, w->watched == of_tools ? READS_NAME : READS_OTHER);
}

static enum reads member_of(const struct walk *w, const struct frame *f, enum reads reads)
{
    if (reads != READS_PERSON || (w->depth == 1 && w->from != KT_FROM_TOOL))
        return reads;
    return w->depth == 1 || f->call ? READS_NAME : READS_OTHER;
}

static KT_MUST kt_result key(struct walk *w, struct frame *f, uint32_t tok)
{
    const struct kt_json *j = &w->c->json;
    f->at_key = false;
    f->member = f->inherit;
    if (f->inherit == READS_ALL)
        return w->from == KT_FROM_LABEL ? unknown_key(w, f, tok) : emit(w, f, tok, READS_ALL);
    f->arguments = kt_json_str_eq(j, tok, "arguments");
    f->calls_now = f->call || kt_json_str_eq(j, tok, "tool_calls") || kt_json_str_eq(j, tok, "function_call");
    for (uint32_t i = 0; i < w->watched_count; i++) {
        const struct watched *k = &w->watched[i];
        if (!kt_json_str_eq(j, tok, k->key))
            continue;
        if (!k->many && f->seen & 1u << i)
            return kt_fail(w->err, KT_ERR_USAGE, "'%s' occurs more than once in one object of the messages",
                           k->key);
        f->seen |= 1u << i;
        f->member = member_of(w, f, k->reads);
        return kt_ok();
    }
    if (f->wraps && kt_json_str_eq(j, tok, "value"))
        f->member = READS_TEXT;
    else if (w->c->answer && kt_answer_is_piece(j, tok))
        f->member = READS_THOUGHT;
    return f->member == READS_OTHER ? unknown_key(w, f, tok) : kt_ok();
}

/* An answer goes to the program: there what the model may have said is looked at, and no names of the API. */
static bool is_looked_at(const struct walk *w, const struct frame *f, uint32_t tok, enum reads reads)
{
    bool said = reads == READS_TEXT || reads == READS_THOUGHT || reads == READS_TITLE || reads == READS_ALL ||
                reads == READS_PERSON;
    if (!w->c->answer)
        return said || !(reads == READS_NAME && kt_is_api_word(&w->c->json, tok));
    if (reads == READS_OTHER)
        return !(f && f->object && kt_answer_is_id(&w->c->json, tok - 1));
    return said || (reads == READS_DATA && f && f->part);
}

static KT_MUST kt_result value(struct walk *w, const struct frame *f, uint32_t tok, enum reads reads)
{
    const struct kt_json_tok *t = &w->c->json.tok[tok];
    if (t->type == KT_JSON_STRING)
        return is_looked_at(w, f, tok, reads) ? emit(w, f, tok, reads) : kt_ok();
    if (t->type != KT_JSON_OBJECT && t->type != KT_JSON_ARRAY)
        return kt_ok();
    bool object = t->type == KT_JSON_OBJECT;
    bool texts = w->c->answer && !object && (reads == READS_TEXT || reads == READS_THOUGHT);
    enum reads inherit = object && reads != READS_ALL ? READS_OTHER : reads;
    w->open[w->depth++] = (struct frame){.next = t->next,
                                         .object = object,
                                         .at_key = object,
                                         .thought = reads == READS_THOUGHT || (f && f->thought),
                                         .part = texts || (f && f->part),
                                         .call = f && (f->object ? f->calls_now : f->call),
                                         .wraps = object && (reads == READS_TEXT || reads == READS_THOUGHT),
                                         .inherit = inherit};
    return kt_ok();
}

/* `reads`: what holds for the root itself. */
static KT_MUST kt_result walk(struct walk *w, uint32_t root, enum reads reads)
{
    uint32_t end = w->c->json.tok[root].next;
    w->depth = 0;
    for (uint32_t t = root; t < end; t++) {
        while (w->depth > 0 && t >= w->open[w->depth - 1].next)
            w->depth--;
        struct frame *f = w->depth > 0 ? &w->open[w->depth - 1] : NULL;
        if (f && f->at_key) {
            KT_GUARD(key(w, f, t));
            continue;
        }
        if (f)
            f->at_key = f->object;
        KT_GUARD(value(w, f, t, !f ? reads : f->object ? f->member : f->inherit));
    }
    return kt_ok();
}

static void begin(struct walk *w, struct kt_chat *c, enum kt_origin_class from, struct kt_error *err)
{
    w->c = c;
    w->watched = of_messages;
    w->watched_count = KT_COUNT(of_messages);
    w->from = from;
    w->choice = 0;
    w->err = err;
}

kt_result kt_segments_collect(struct kt_chat *c, uint32_t root, enum kt_origin_class from, unsigned choice,
                              struct kt_error *err)
{
    struct walk w;
    begin(&w, c, from, err);
    w.choice = choice;
    return walk(&w, root, READS_OTHER);
}

kt_result kt_segments_text(struct kt_chat *c, uint32_t value, enum kt_origin_class from, unsigned choice,
                           struct kt_error *err)
{
    struct walk w;
    begin(&w, c, from, err);
    w.choice = choice;
    return walk(&w, value, READS_TEXT);
}

kt_result kt_segments_tools(struct kt_chat *c, uint32_t tools, enum kt_origin_class from,
                            struct kt_error *err)
{
    struct walk w;
    begin(&w, c, from, err);
    w.watched = of_tools;
    w.watched_count = KT_COUNT(of_tools);
    return walk(&w, tools, READS_OTHER);
}

kt_result kt_segments_label(struct kt_chat *c, uint32_t value, struct kt_error *err)
{
    struct walk w;
    begin(&w, c, KT_FROM_LABEL, err);
    w.watched_count = 0;
    return walk(&w, value, READS_ALL);
}

kt_result kt_segments_key(struct kt_chat *c, uint32_t key, struct kt_error *err)
{
    struct walk w;
    begin(&w, c, KT_FROM_LABEL, err);
    return kt_is_api_word(&c->json, key) ? kt_ok() : emit(&w, NULL, key, READS_OTHER);
}
