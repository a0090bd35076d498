/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The texts of one message, of offered tools, of a prompt. Not a list of known places but a walk over
 * everything in the message: a text is what stands under a key that models read, at any depth, so that a part
 * type which we have never heard of is read all the same.
 */
#include "interceptor/dialect/kt_segments.h"

#include <stdlib.h>
#include <string.h>

enum reads {
    READS_NOTHING, /* only watched for duplicates */
    READS_TEXT,    /* a string, or a list of strings */
    READS_THOUGHT, /* the same, and all texts below are the model's reasoning */
    READS_ALL,     /* every string below: arguments of a tool call may come as an object */
    READS_NAME     /* of a participant: in the message itself, not in what it holds */
};

struct watched {
    const char *key;
    enum reads reads;
};

static const struct watched of_messages[] = {
    {"role", READS_NOTHING},     {"type", READS_NOTHING},      {"tool_calls", READS_NOTHING},
    {"custom", READS_NOTHING},   {"function", READS_NOTHING},  {"function_call", READS_NOTHING},
    {"content", READS_TEXT},     {"text", READS_TEXT},         {"refusal", READS_TEXT},
    {"thinking", READS_THOUGHT}, {"reasoning", READS_THOUGHT}, {"reasoning_content", READS_THOUGHT},
    {"arguments", READS_ALL},    {"input", READS_ALL},         {"name", READS_NAME},
    {"transcript", READS_TEXT},  {"filename", READS_TEXT},
};

/* What a tool's definition, or a schema, tells the model in words. */
static const struct watched of_tools[] = {
    {"type", READS_NOTHING},    {"custom", READS_NOTHING}, {"function", READS_NOTHING},
    {"name", READS_NOTHING},    {"enum", READS_ALL},       {"description", READS_TEXT},
    {"default", READS_ALL},     {"const", READS_ALL},      {"examples", READS_ALL},
    {"definition", READS_TEXT},
};

/* A container that is open at the current token. */
struct frame {
    uint32_t next; /* first token behind it */
    uint32_t seen; /* bits of the watched keys that occurred */
    bool object, at_key;
    bool arguments;     /* the value at hand stands under the key of that name */
    bool thought;       /* all below is reasoning */
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

/* `f` holds the string; NULL at the root. */
static KT_MUST kt_result emit(struct walk *w, const struct frame *f, uint32_t tok, enum reads reads)
{
    struct kt_span raw = kt_json_raw(&w->c->json, tok);
    if (raw.len <= 2) /* the quotes */
        return kt_ok();
    KT_GUARD(grow(w->c, w->err));
    KT_CLEANUP(kt_buf_free) struct kt_buf text = KT_BUF_INIT(raw.len);
    KT_GUARD(kt_json_unescape(&w->c->json, tok, &text));
    struct kt_segment *s = &w->c->segments[w->c->segment_count];
    bool call = reads == READS_ALL && w->watched == of_messages && w->from != KT_FROM_LABEL;
    bool thought = w->from == KT_FROM_ASSISTANT && (reads == READS_THOUGHT || (f && f->thought));
    s->from = call ? KT_FROM_TOOL_CALL : thought ? KT_FROM_REASONING : w->from;
    s->choice = w->choice;
    s->tok = tok;
    s->len = text.len;
    s->text = kt_buf_take(&text);
    KT_ENSURE(s->text, KT_ERR_MEMORY);
    s->json = call && f && f->arguments && may_be_json(s->text, s->len);
    w->c->segment_count++;
    return kt_ok();
}

static KT_MUST kt_result key(struct walk *w, struct frame *f, uint32_t tok)
{
    f->at_key = false;
    f->member = f->inherit;
    if (f->inherit == READS_ALL)
        return emit(w, f, tok, READS_ALL);
    f->arguments = kt_json_str_eq(&w->c->json, tok, "arguments");
    for (uint32_t i = 0; i < w->watched_count; i++) {
        const struct watched *k = &w->watched[i];
        if (!kt_json_str_eq(&w->c->json, tok, k->key))
            continue;
        if (f->seen & 1u << i)
            return kt_fail(w->err, KT_ERR_USAGE, "'%s' occurs more than once in one object of the messages",
                           k->key);
        f->seen |= 1u << i;
        f->member = k->reads;
        if (f->member == READS_NAME && (w->depth > 1 || w->from == KT_FROM_TOOL))
            f->member = READS_NOTHING;
    }
    return kt_ok();
}

static KT_MUST kt_result value(struct walk *w, const struct frame *f, uint32_t tok, enum reads reads)
{
    const struct kt_json_tok *t = &w->c->json.tok[tok];
    if (t->type == KT_JSON_STRING)
        return reads == READS_NOTHING ? kt_ok() : emit(w, f, tok, reads);
    if (t->type != KT_JSON_OBJECT && t->type != KT_JSON_ARRAY)
        return kt_ok();
    bool object = t->type == KT_JSON_OBJECT;
    enum reads inherit = object && reads != READS_ALL ? READS_NOTHING : reads;
    w->open[w->depth++] = (struct frame){.next = t->next,
                                         .object = object,
                                         .at_key = object,
                                         .thought = reads == READS_THOUGHT || (f && f->thought),
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
    return walk(&w, root, READS_NOTHING);
}

kt_result kt_segments_text(struct kt_chat *c, uint32_t value, enum kt_origin_class from, unsigned choice,
                           struct kt_error *err)
{
    struct walk w;
    begin(&w, c, from, err);
    w.choice = choice;
    return walk(&w, value, READS_TEXT);
}

kt_result kt_segments_tools(struct kt_chat *c, uint32_t tools, struct kt_error *err)
{
    struct walk w;
    begin(&w, c, KT_FROM_SYSTEM, err);
    w.watched = of_tools;
    w.watched_count = KT_COUNT(of_tools);
    return walk(&w, tools, READS_NOTHING);
}

kt_result kt_segments_label(struct kt_chat *c, uint32_t value, struct kt_error *err)
{
    struct walk w;
    begin(&w, c, KT_FROM_LABEL, err);
    w.watched_count = 0;
    return walk(&w, value, READS_ALL);
}
