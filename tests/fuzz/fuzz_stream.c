/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a provider's event stream, through reader, channels, chain and writer: however they are cut,
 * the client gets the same bytes, and a planted value never leaves, whether it is replaced or stops the
 * answer. A stopped answer leaves no choice open.
 *
 * Behind the input comes a stream of our own with the value, so that every input has one.
 */
#include "interceptor/exchange/kt_exchange_filter.h"
#include "tests/fuzz/kt_fuzz.h"
#include "tests/harness/stream_rig.h"

#include <string.h>

#define BIG (16u << 20)

#define CONFIG(action)                                                                                       \
    "pack: {name: f, version: 1.0.0, enabled: true}\n"                                                       \
    "policies: {chain: [pii-detector, dlp-filter, audit-logger]}\n"                                          \
    "policy:\n  pii-detector: {action: " action "}\n"                                                        \
    "  dlp-filter: {secrets: true, blocked_terms: [tidewater], action: " action "}\n"                        \
    "  audit-logger: {retention_days: 1}\n"                                                                  \
    "providers:\n  targets:\n"                                                                               \
    "    - {id: a, provider: mistral, model: m, base_url: http://127.0.0.1:9/v1, secret_key_ref: {env: "     \
    "KT_FUZZ_KEY}}\n"

/* With the blanks around it: "...example3d" is no address. */
static const char planted[] = " planted.value@secret-host.example ";
static const char tail[] =
    "\n\ndata: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\" "
    "planted.val\"},\"finish_reason\":null}]}\n\n"
    "data: "
    "{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"ue\\u0040secret-host.exam\"},\"finish_reason\":null}"
    "]}\n\n"
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"ple \"},\"finish_reason\":\"stop\"}]}\n\n"
    "data: [DONE]\n\n";

/* What the client reads as the text of the first choice. */
struct seen {
    struct kt_buf text;
    bool done, blocked;
    uint64_t begun, finished; /* a bit per choice */
};

static void note_choices(struct seen *s, struct kt_span json)
{
    struct kt_json j = {0};
    struct kt_x_chunk c = kt_x_chunk_read(json, &j, NULL, KT_EP_CHAT, NULL);
    uint32_t error = c.error ? kt_json_member(&j, 0, "error", NULL) : 0;
    uint32_t code = error ? kt_json_member(&j, error, "code", NULL) : 0;
    s->begun |= c.begun;
    s->finished |= c.finished;
    s->blocked = code && kt_json_str_eq(&j, code, "output_blocked");
    kt_json_free(&j);
}

static void note_text(struct seen *s, struct kt_span json)
{
    struct kt_chat c;
    if (kt_is_ok(kt_answer_parse(&c, KT_EP_CHAT, json.data, json.len, NULL)))
        for (size_t i = 0; i < c.segment_count; i++) {
            struct kt_x_channel at = kt_x_text_channel(&c, &c.segments[i]);
            if (at.choice == 0 && at.from == KT_FROM_ASSISTANT && !at.place.len && !at.refusal)
                KT_HOLDS(kt_is_ok(kt_buf_append(&s->text, c.segments[i].text, c.segments[i].len)));
        }
    kt_chat_free(&c);
}

static bool on_event(void *arg, const struct kt_sse_event *e)
{
    struct seen *s = arg;
    KT_HOLDS(!s->done); /* nothing behind the end */
    s->done = kt_span_eq(e->data, "[DONE]");
    if (s->done)
        return true;
    note_choices(s, e->data);
    note_text(s, e->data);
    return true;
}

static bool holds_it(struct kt_span s)
{
    return s.len && memmem(s.data, s.len, planted, sizeof planted - 1);
}

/* `given`: the input has the value itself, maybe in a field that is no text. */
static void check_reply(const struct stream_rig_reply *r, bool given)
{
    struct kt_sse sse;
    struct kt_span body = kt_buf_span(&r->body);
    struct seen s = {.text = KT_BUF_INIT(BIG)};
    KT_HOLDS(r->ended && !r->aborted);
    KT_HOLDS(given || !holds_it(body));
    if (r->status != 200)
        return;
    kt_sse_init(&sse, on_event, &s);
    KT_HOLDS(kt_is_ok(kt_sse_feed(&sse, body.data ? body.data : "", body.len)));
    KT_HOLDS(kt_sse_boundary(&sse) == sse.offset); /* whole events, in every case */
    KT_HOLDS(!holds_it(kt_buf_span(&s.text)));
    KT_HOLDS(!s.blocked || !s.done || !(s.begun & ~s.finished));
    kt_sse_free(&sse);
    kt_buf_free(&s.text);
}

static struct stream_rig_reply run(struct stream_rig *rig, struct kt_span text, size_t piece)
{
    size_t n = (text.len + piece - 1) / piece, i = 0;
    struct kt_span *pieces = calloc(n, sizeof *pieces);
    struct stream_rig_reply r = {0};
    KT_HOLDS(pieces);
    for (size_t at = 0; at < text.len; at += piece)
        pieces[i++] = kt_span(text.data + at, text.len - at < piece ? text.len - at : piece);
    stream_rig_run(rig, pieces, n, &r);
    free(pieces);
    return r;
}

static void same(struct stream_rig_reply *a, struct stream_rig_reply *b)
{
    KT_HOLDS(a->status == b->status && a->body.len == b->body.len);
    KT_HOLDS(!a->body.len || memcmp(a->body.data, b->body.data, a->body.len) == 0);
    kt_buf_free(&b->body);
}

static void check_rig(struct stream_rig *rig, struct kt_span text, size_t piece, bool given)
{
    struct stream_rig_reply whole = run(rig, text, text.len);
    struct stream_rig_reply bytes = run(rig, text, 1);
    struct stream_rig_reply pieces = run(rig, text, piece);
    check_reply(&whole, given);
    same(&whole, &bytes);
    same(&whole, &pieces);
    kt_buf_free(&whole.body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct stream_rig *redacts, *blocks;
    KT_CLEANUP(kt_buf_free) struct kt_buf text = KT_BUF_INIT(BIG);
    if (size > 1u << 15)
        return 0;
    if (!redacts)
        redacts = stream_rig_new(CONFIG("redact"));
    if (!blocks)
        blocks = stream_rig_new(CONFIG("block"));
    KT_HOLDS(redacts && blocks);
    KT_HOLDS(kt_is_ok(kt_buf_append(&text, (const char *)data, size)) && kt_is_ok(kt_buf_puts(&text, tail)));
    bool given = holds_it(kt_span((const char *)data, size));
    size_t piece = size ? 2u + data[0] % 61u : 2u;
    check_rig(redacts, kt_buf_span(&text), piece, given);
    check_rig(blocks, kt_buf_span(&text), piece, given);
    return 0;
}
