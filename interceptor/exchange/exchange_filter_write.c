/* SPDX-License-Identifier: Apache-2.0 */
/* Chunks for the client: those of the target with their texts exchanged, and chunks of our own. */
#include "interceptor/exchange/kt_exchange_filter.h"

#include <string.h>

static void blank(char *text, size_t len, char end)
{
    for (char *p = text; (p = memchr(p, end, len - (size_t)(p - text)));)
        *p = ' ';
}

void kt_x_one_line(char *json, size_t len)
{
    blank(json, len, '\n');
    blank(json, len, '\r');
}

kt_result kt_x_put_named_event(struct kt_buf *out, struct kt_span name, struct kt_span json)
{
    if (name.len) {
        KT_GUARD(kt_buf_puts(out, "event: "));
        KT_GUARD(kt_buf_append(out, name.data, name.len));
        KT_GUARD(kt_buf_puts(out, "\n"));
    }
    return kt_x_put_event(out, json);
}

kt_result kt_x_put_event(struct kt_buf *out, struct kt_span json)
{
    KT_GUARD(kt_buf_puts(out, "data: "));
    size_t at = out->len;
    KT_GUARD(kt_buf_append(out, json.data, json.len));
    kt_x_one_line(out->data + at, json.len);
    return kt_buf_puts(out, "\n\n");
}

static KT_MUST kt_result put_raw(struct kt_buf *out, const struct kt_json *j, const char *name)
{
    uint32_t tok = j->count ? kt_json_member(j, 0, name, NULL) : 0;
    if (!tok || j->tok[tok].type == KT_JSON_OBJECT || j->tok[tok].type == KT_JSON_ARRAY)
        return kt_ok();
    if (j->tok[tok].type == KT_JSON_STRING && !kt_answer_is_id(j, tok - 1))
        return kt_ok(); /* policies look at it in its chunk only */
    KT_GUARD(kt_buf_printf(out, "\"%s\":", name));
    KT_GUARD(kt_buf_append(out, kt_json_raw(j, tok).data, kt_json_raw(j, tok).len));
    return kt_buf_puts(out, ",");
}

static KT_MUST kt_result put_text(struct kt_buf *out, const char *before, struct kt_span text,
                                  const char *behind)
{
    KT_GUARD(kt_buf_puts(out, before));
    KT_GUARD(kt_buf_json(out, text.data, text.len));
    return kt_buf_puts(out, behind);
}

static KT_MUST kt_result put_framed(const struct kt_x_channel *c, struct kt_span text, struct kt_buf *out)
{
    const struct kt_buf *frame = &c->frame.json;
    KT_GUARD(kt_buf_append(out, frame->data, c->frame.hole));
    KT_GUARD(put_text(out, "\"", text, "\""));
    return kt_buf_append(out, frame->data + c->frame.hole, frame->len - c->frame.hole);
}

static KT_MUST kt_result put_delta(const struct kt_exchange *x, const struct kt_x_channel *c,
                                   struct kt_span text, struct kt_buf *out)
{
    char open[96];
    if (x->endpoint == KT_EP_COMPLETIONS) /* whatever the target wrote: it is translated */
        return put_text(out, "\"text\":\"", text, "\"");
    if (c->frame.json.len)
        return put_framed(c, text, out);
    if (c->from == KT_FROM_TOOL_CALL && c->tool != UINT32_MAX) {
        KT_GUARD(kt_buf_printf(out, "\"delta\":{\"tool_calls\":[{\"index\":%u,", c->tool));
        const char *field = c->custom ? "\"custom\":{\"input\":\"" : "\"function\":{\"arguments\":\"";
        return put_text(out, field, text, "\"}}]}");
    }
    if (c->from == KT_FROM_TOOL_CALL)
        return put_text(out, "\"delta\":{\"function_call\":{\"arguments\":\"", text, "\"}}");
    if (c->from == KT_FROM_REASONING && c->listed && !kt_x_answer_translated(x))
        return put_text(out,
                        "\"delta\":{\"content\":[{\"type\":\"thinking\",\"thinking\":"
                        "[{\"type\":\"text\",\"text\":\"",
                        text, "\"}]}]}");
    const char *key = c->refusal ? "refusal" : c->from == KT_FROM_REASONING ? "reasoning_content" : "content";
    memcpy(open, "\"delta\":{\"", 10);
    size_t n = strlen(key);
    memcpy(open + 10, key, n);
    memcpy(open + 10 + n, "\":\"", 4);
    return put_text(out, open, text, "\"}");
}

kt_result kt_x_put_head(const struct kt_exchange *x, const struct kt_json *j, struct kt_buf *out)
{
    KT_GUARD(put_raw(out, j, "id"));
    KT_GUARD(kt_buf_printf(out, "\"object\":\"%s\",",
                           x->endpoint == KT_EP_COMPLETIONS ? "text_completion" : "chat.completion.chunk"));
    KT_GUARD(put_raw(out, j, "created"));
    return put_raw(out, j, "model");
}

kt_result kt_x_keep_head(struct kt_exchange *x)
{
    struct kt_x_filter *f = &x->filter;
    const struct kt_json *j = &f->chunk.json;
    return f->head.len || !j->count ? kt_ok() : kt_x_put_head(x, j, &f->head);
}

static KT_MUST kt_result put_rest_aside(const struct kt_x_channel *c, struct kt_span text, struct kt_buf *out)
{
    KT_CLEANUP(kt_buf_free) struct kt_buf json = KT_BUF_INIT(KT_X_HELD_MAX * 4);
    KT_GUARD(kt_buf_puts(&json, "{"));
    KT_GUARD(put_framed(c, text, &json));
    KT_GUARD(kt_buf_puts(&json, "}"));
    return kt_x_put_named_event(out, kt_buf_span(&c->frame.name), kt_buf_span(&json));
}

/* A chunk of our own for what was held back of a text that ends. */
kt_result kt_x_put_rest(const struct kt_exchange *x, const struct kt_x_channel *c, struct kt_span text,
                        struct kt_buf *out)
{
    if (c->aside)
        return put_rest_aside(c, text, out);
    if (c->listed && c->place.len && kt_x_answer_translated(x))
        return kt_ok(); /* of lists of content only the words are translated */
    KT_CLEANUP(kt_buf_free) struct kt_buf json = KT_BUF_INIT(KT_X_HELD_MAX * 4);
    KT_GUARD(kt_buf_puts(&json, "{"));
    KT_GUARD(kt_buf_append(&json, kt_buf_span(&x->filter.head).data, x->filter.head.len));
    KT_GUARD(kt_buf_printf(&json, "\"choices\":[{\"index\":%u,", c->choice));
    KT_GUARD(put_delta(x, c, text, &json));
    KT_GUARD(kt_buf_puts(&json, ",\"finish_reason\":null}]}"));
    return kt_x_put_event(out, kt_buf_span(&json));
}

kt_result kt_x_write_chunk(struct kt_exchange *x)
{
    struct kt_x_filter *f = &x->filter;
    KT_CLEANUP(kt_buf_free) struct kt_buf json = KT_BUF_INIT(KT_X_HELD_MAX * 4);
    if (!f->chunk.json.count) /* nobody could read it, and fail_mode lets it pass */
        return kt_x_put_named_event(&f->out, kt_buf_span(&f->name), kt_buf_span(&f->payload));
    if (f->aside) {
        size_t at = f->out.len;
        KT_GUARD(kt_edits_apply(&f->edits, f->payload.data, f->payload.len, &json));
        KT_GUARD(kt_x_put_named_event(&f->out, kt_buf_span(&f->name), kt_buf_span(&json)));
        kt_x_scrub(x, f->out.data + at, f->out.len - at);
        return kt_ok();
    }
    KT_GUARD(
        kt_answer_drop_logprobs(&f->chunk, f->changed, KT_ANSWER_MAX_CHOICES, x->res.run != NULL, &f->edits));
    KT_GUARD(kt_x_translate_answer(x, &f->chunk, &f->edits));
    KT_GUARD(kt_edits_apply(&f->edits, f->payload.data, f->payload.len, &json));
    return kt_x_put_event(&f->out, kt_buf_span(&json));
}
