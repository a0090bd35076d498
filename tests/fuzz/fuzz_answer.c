/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as an answer: refused with a text, or what policies want gone of it is gone, the values for its
 * placeholders are in it, it is valid JSON still and says everywhere else what it said. The same bytes serve
 * as a text that the restorer reads in two windows and as a request of every endpoint.
 */
#include "interceptor/dialect/kt_dialect.h"
#include "policyengine/chain/kt_restore.h"
#include "tests/fuzz/kt_fuzz.h"

#include <stdlib.h>
#include <string.h>

#define BIG (1u << 24)

static void check_shape(const struct kt_chat *a)
{
    for (size_t i = 0; i < a->segment_count; i++) {
        const struct kt_segment *s = &a->segments[i];
        KT_HOLDS(s->text && s->len > 0 && s->text[s->len] == '\0');
        KT_HOLDS(s->choice < KT_ANSWER_MAX_CHOICES && s->tok > 0 && s->tok < a->json.count);
    }
    for (size_t i = 0; i < a->tool_count; i++)
        KT_HOLDS(a->tools[i].name && a->tools[i].name[a->tools[i].len] == '\0');
}

/* True where an edit from number `from` on takes the token away: texts within log probabilities go along. */
static bool is_gone(const struct kt_edits *e, size_t from, const struct kt_json_tok *tok)
{
    for (size_t i = from; i < e->count; i++)
        if (tok->start >= e->items[i].start && tok->end <= e->items[i].end)
            return true;
    return false;
}

/* Every second text is replaced; the others stay. */
static void check_rewrite(const struct kt_chat *a, const char *text, size_t len)
{
    static uint64_t changed[KT_ANSWER_MAX_CHOICES / 64];
    KT_CLEANUP(kt_edits_free) struct kt_edits edits = {0};
    KT_CLEANUP(kt_buf_free) struct kt_buf out = KT_BUF_INIT(BIG);
    memset(changed, 0, sizeof changed);
    for (size_t i = 0; i < a->segment_count; i += 2) {
        KT_HOLDS(kt_chat_redact(a, &edits, i, 0, a->segments[i].len, "[X\"_1]", 7).code == KT_OK);
        changed[a->segments[i].choice / 64] |= 1ull << a->segments[i].choice % 64;
    }
    size_t before = edits.count;
    KT_HOLDS(kt_answer_drop_logprobs(a, changed, KT_ANSWER_MAX_CHOICES, true, &edits).code == KT_OK);
    bool *gone = calloc(a->segment_count + 1, sizeof *gone);
    size_t tools = 0, next = 0;
    KT_HOLDS(gone);
    for (size_t i = 0; i < a->segment_count; i++)
        gone[i] = is_gone(&edits, before, &a->json.tok[a->segments[i].tok]);
    for (size_t i = 0; i < a->tool_count; i++)
        tools += !is_gone(&edits, before, &a->json.tok[a->tools[i].tok]);
    KT_HOLDS(kt_edits_apply(&edits, text, len, &out).code == KT_OK);
    struct kt_chat again;
    KT_HOLDS(kt_answer_parse(&again, a->endpoint, out.data ? out.data : "", out.len, NULL).code == KT_OK);
    KT_HOLDS(again.tool_count == tools);
    for (size_t i = 0; i < a->segment_count; i++) {
        if (gone[i])
            continue;
        KT_HOLDS(next < again.segment_count);
        const struct kt_segment *now = &again.segments[next++], *was = &a->segments[i];
        bool same = now->len == was->len && memcmp(now->text, was->text, was->len) == 0;
        KT_HOLDS(i % 2 ? same : now->len == 7 && memcmp(now->text, "[X\"_1]", 7) == 0);
    }
    KT_HOLDS(next == again.segment_count);
    free(gone);
    kt_chat_free(&again);
}

/* Mistral's answer for a client of text completions is JSON, too. */
static void check_translation(const struct kt_chat *a, const char *text, size_t len)
{
    const struct kt_provider *p = kt_provider_find("mistral");
    KT_CLEANUP(kt_edits_free) struct kt_edits edits = {0};
    KT_CLEANUP(kt_buf_free) struct kt_buf out = KT_BUF_INIT(BIG);
    KT_HOLDS(p->translate_answer(a, &edits).code == KT_OK);
    KT_HOLDS(kt_edits_apply(&edits, text, len, &out).code == KT_OK);
    struct kt_json j;
    KT_HOLDS(kt_json_parse(&j, out.data ? out.data : "", out.len, NULL).code == KT_OK);
    kt_json_free(&j);
}

struct restored {
    struct kt_buf out;
    const char *text;
    size_t done;
};

static kt_result on_restore(void *arg, size_t start, size_t end, struct kt_span with)
{
    struct restored *r = arg;
    KT_HOLDS(start >= r->done && end > start);
    KT_HOLDS(kt_buf_append(&r->out, r->text + r->done, start - r->done).code == KT_OK);
    KT_HOLDS(kt_buf_append(&r->out, with.data, with.len).code == KT_OK);
    r->done = end;
    return kt_ok();
}

static void restore(struct kt_restorer *r, const char *text, size_t len, size_t cut, bool json,
                    struct kt_buf *out)
{
    struct kt_restore_text t = {.json = json};
    struct restored to = {.out = KT_BUF_INIT(BIG), .text = text};
    size_t hold = 0;
    KT_HOLDS(kt_restorer_scan(r, &t, text, cut, 0, false, on_restore, &to, &hold).code == KT_OK);
    KT_HOLDS(hold <= cut && hold >= to.done);
    KT_HOLDS(kt_restorer_scan(r, &t, text + hold, len - hold, hold, true, on_restore, &to, &hold).code ==
             KT_OK);
    KT_HOLDS(hold == len);
    KT_HOLDS(kt_buf_append(&to.out, text + to.done, len - to.done).code == KT_OK);
    *out = to.out;
}

static void check_restorer(const char *text, size_t len)
{
    struct kt_placeholders *p = kt_placeholders_new();
    struct kt_restorer *r = NULL;
    KT_HOLDS(p && kt_placeholders_name(p, "EMAIL", "a\"b", 3, true) &&
             kt_placeholders_name(p, "X", "y", 1, true));
    KT_HOLDS(kt_restorer_new(p, &r).code == KT_OK && r);
    for (int json = 0; json < 2; json++) {
        struct kt_buf whole, cut;
        restore(r, text, len, 0, json, &whole);
        restore(r, text, len, len / 2, json, &cut);
        KT_HOLDS(whole.len == cut.len && (!whole.len || memcmp(whole.data, cut.data, cut.len) == 0));
        kt_buf_free(&whole);
        kt_buf_free(&cut);
    }
    kt_restorer_free(r);
    kt_placeholders_free(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    if (size > 1u << 20)
        return 0;
    for (int e = KT_EP_CHAT; e < KT_EP_UNKNOWN; e++) {
        struct kt_chat c;
        struct kt_error err = {.code = KT_OK};
        const char *param;
        if (kt_answer_parse(&c, (enum kt_endpoint)e, text, size, &err).code == KT_OK) {
            check_shape(&c);
            check_rewrite(&c, text, size);
            check_translation(&c, text, size);
        } else {
            KT_HOLDS(!c.segments && !c.tools);
        }
        kt_chat_free(&c);
        if (kt_request_parse(&c, (enum kt_endpoint)e, text, size, &err, &param).code == KT_OK)
            check_shape(&c);
        else
            KT_HOLDS(err.text[0] && !c.segments && !c.tools);
        kt_chat_free(&c);
    }
    check_restorer(text, size);
    return 0;
}
