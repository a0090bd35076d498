/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a chat request: refused with a text, or its redacted and translated body is valid JSON for
 * every provider, reads as a chat again, holds nothing of what was redacted, and is not changed by a second
 * translation. The same bytes serve as an answer, too.
 */
#include "interceptor/dialect/kt_dialect.h"
#include "tests/fuzz/kt_fuzz.h"

#include <string.h>

#define BIG (1u << 24)

static void body_for(const struct kt_chat *c, const char *provider, const struct kt_edits *edits,
                     struct kt_buf *out)
{
    char name[32];
    strncpy(name, provider, sizeof name - 1);
    name[sizeof name - 1] = '\0';
    char url[] = "https://api.openai.com/v1"; /* there the usage of a stream is asked for */
    struct kt_target t = {.provider = name, .base_url = url};
    KT_HOLDS(kt_chat_body_for(c, &t, "mistral-small-latest", edits, out).code == KT_OK);
}

/* Mistral's body read and translated once more stays as it is. */
static void check_fix_point(const struct kt_buf *body)
{
    KT_CLEANUP(kt_buf_free) struct kt_buf again = KT_BUF_INIT(BIG);
    KT_CLEANUP(kt_chat_free) struct kt_chat c;
    const char *param;
    KT_HOLDS(kt_chat_parse(&c, body->data, body->len, NULL, &param).code == KT_OK);
    body_for(&c, "mistral", NULL, &again);
    KT_HOLDS(again.len == body->len && memcmp(again.data, body->data, body->len) == 0);
}

static void redact_all(const struct kt_chat *c, struct kt_edits *edits)
{
    for (size_t i = 0; i < c->segment_count; i++) {
        const struct kt_segment *s = &c->segments[i];
        KT_HOLDS(s->text && s->len > 0 && s->text[s->len] == '\0');
        size_t half = s->len / 2;
        KT_HOLDS(kt_chat_redact(c, edits, i, 0, half, "[A_1]", 5).code == KT_OK);
        KT_HOLDS(kt_chat_redact(c, edits, i, half, s->len, "[B\"_1]", 6).code == KT_OK);
    }
}

static void check_redacted(const struct kt_buf *body)
{
    KT_CLEANUP(kt_chat_free) struct kt_chat c;
    const char *param;
    KT_HOLDS(kt_chat_parse(&c, body->data, body->len, NULL, &param).code == KT_OK);
    for (size_t i = 0; i < c.segment_count; i++)
        KT_HOLDS(strstr(c.segments[i].text, "_1]") ||
                 strcmp(c.segments[i].text, "required") == 0); /* ours, for Mistral's tool_choice "any" */
}

static void check_chat(const struct kt_chat *c, const char *text, size_t len)
{
    KT_CLEANUP(kt_buf_free) struct kt_buf same = KT_BUF_INIT(BIG), redacted = KT_BUF_INIT(BIG);
    KT_CLEANUP(kt_buf_free) struct kt_buf mistral = KT_BUF_INIT(BIG);
    KT_CLEANUP(kt_edits_free) struct kt_edits edits = {0};
    KT_HOLDS(kt_chat_body_for(c, NULL, NULL, NULL, &same).code == KT_OK);
    KT_HOLDS(same.len == len && memcmp(same.data, text, len) == 0);
    body_for(c, "mistral", NULL, &mistral);
    check_fix_point(&mistral);
    redact_all(c, &edits);
    body_for(c, "openai", &edits, &redacted);
    check_redacted(&redacted);
    kt_buf_clear(&redacted);
    body_for(c, "mistral", &edits, &redacted);
    struct kt_json j;
    KT_HOLDS(kt_json_parse(&j, redacted.data, redacted.len, NULL).code == KT_OK);
    kt_json_free(&j);
}

static void check_answer(const char *text, size_t len)
{
    struct kt_usage usage;
    if (kt_usage_read(text, len, &usage))
        KT_HOLDS(usage.prompt_tokens >= 0 && usage.completion_tokens >= 0 && usage.total_tokens >= 0);
    KT_CLEANUP(kt_buf_free) struct kt_buf out = KT_BUF_INIT(BIG);
    KT_HOLDS(kt_error_wrap(422, text, len, &out).code == KT_OK);
    struct kt_json j;
    KT_HOLDS(kt_json_parse(&j, out.data, out.len, NULL).code == KT_OK);
    uint32_t error = kt_json_member(&j, 0, "error", NULL);
    uint32_t message = kt_json_member(&j, error, "message", NULL);
    KT_HOLDS(message && j.tok[message].type == KT_JSON_STRING);
    kt_json_free(&j);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    struct kt_chat c;
    struct kt_error err = {.code = KT_OK};
    const char *param;
    if (size > 1u << 20)
        return 0;
    if (kt_chat_parse(&c, text, size, &err, &param).code == KT_OK)
        check_chat(&c, text, size);
    else
        KT_HOLDS(err.text[0] && !c.segments);
    kt_chat_free(&c);
    check_answer(text, size);
    (void)kt_endpoint_of(kt_span("POST", 4), kt_span(text, size));
    return 0;
}
