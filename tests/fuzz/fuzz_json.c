/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes: the tokenizer refuses them or yields tokens that nest, strings that unescape, offsets that map
 * back in order, and edits that leave valid JSON. The first byte of the input chooses which entries are
 * removed.
 */
#include "policyengine/body/kt_edits.h"
#include "tests/fuzz/kt_fuzz.h"

#include <string.h>

#define BIG (1u << 24)

static void check_string(const struct kt_json *j, uint32_t tok, struct kt_edits *identity)
{
    KT_CLEANUP(kt_buf_free) struct kt_buf text = KT_BUF_INIT(BIG);
    KT_HOLDS(kt_json_unescape(j, tok, &text).code == KT_OK);
    KT_HOLDS(text.len <= j->tok[tok].end - j->tok[tok].start - 2);
    size_t last = (size_t)j->tok[tok].start + 1, quote = (size_t)j->tok[tok].end - 1;
    for (size_t at = 0; at <= text.len + 1; at += text.len / 64 + 1) {
        size_t raw;
        kt_json_map_offsets(j, tok, &at, &raw, 1);
        KT_HOLDS(raw >= last && raw <= quote && (at < text.len || raw == quote));
        last = raw;
    }
    if (!text.data || memchr(text.data, '\0', text.len))
        return;
    KT_HOLDS(kt_json_str_eq(j, tok, text.data));
    if (!j->tok[tok].escaped) /* written back as it was, one byte at a time */
        KT_HOLDS(kt_edits_in_string(identity, j, tok, 0, text.len, text.data, text.len).code == KT_OK);
}

static void check_token(const struct kt_json *j, uint32_t i, struct kt_edits *identity)
{
    const struct kt_json_tok *t = &j->tok[i];
    KT_HOLDS(t->start < t->end && t->end <= j->len && t->next > i && t->next <= j->count);
    struct kt_span raw = kt_json_raw(j, i);
    if (t->type == KT_JSON_STRING)
        check_string(j, i, identity);
    else if (t->type != KT_JSON_OBJECT && t->type != KT_JSON_ARRAY)
        KT_HOLDS(kt_edits_replace_value(identity, j, i, raw.data, raw.len).code == KT_OK);
    uint32_t entries = 0;
    bool object = t->type == KT_JSON_OBJECT;
    for (uint32_t k = i + 1; k < t->next; entries++) {
        KT_HOLDS(j->tok[k].start > t->start && j->tok[k].end < t->end);
        k = j->tok[object ? k + 1 : k].next;
        KT_HOLDS(k <= t->next);
    }
    KT_HOLDS(entries == t->size);
}

static void check_identity(const struct kt_json *j)
{
    KT_CLEANUP(kt_edits_free) struct kt_edits identity = {0};
    KT_CLEANUP(kt_buf_free) struct kt_buf out = KT_BUF_INIT(BIG);
    for (uint32_t i = 0; i < j->count; i++)
        check_token(j, i, &identity);
    KT_HOLDS(kt_edits_apply(&identity, j->text, j->len, &out).code == KT_OK);
    KT_HOLDS(out.len == j->len && memcmp(out.data, j->text, out.len) == 0);
}

/* Removes entries of every container by a pattern of bits and adds members; what comes out must be JSON. */
static void check_removal(const struct kt_json *j, unsigned bits)
{
    KT_CLEANUP(kt_edits_free) struct kt_edits e = {0};
    KT_CLEANUP(kt_buf_free) struct kt_buf out = KT_BUF_INIT(BIG);
    unsigned n = 0;
    for (uint32_t i = 0; i < j->count; i++) {
        bool object = j->tok[i].type == KT_JSON_OBJECT;
        if (!object && j->tok[i].type != KT_JSON_ARRAY)
            continue;
        if (object && (bits & 1))
            KT_HOLDS(kt_edits_add_member(&e, j, i, "new", "[0]", 3).code == KT_OK);
        for (uint32_t k = i + 1; k < j->tok[i].next;) {
            uint32_t v = object ? k + 1 : k;
            k = j->tok[v].next;
            if (!(bits >> (n++ % 7 + 1) & 1))
                continue;
            kt_result r = object ? kt_edits_remove_member(&e, j, i, v) : kt_edits_remove_element(&e, j, i, v);
            KT_HOLDS(r.code == KT_OK);
        }
    }
    struct kt_json again;
    KT_HOLDS(kt_edits_apply(&e, j->text, j->len, &out).code == KT_OK);
    KT_HOLDS(kt_json_parse(&again, out.data, out.len, NULL).code == KT_OK);
    kt_json_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kt_json j;
    struct kt_error err = {.code = KT_OK};
    if (size == 0)
        return 0;
    if (kt_json_parse(&j, (const char *)data + 1, size - 1, &err).code == KT_OK) {
        check_identity(&j);
        check_removal(&j, data[0]);
    } else {
        KT_HOLDS(err.text[0] && !j.tok);
    }
    kt_json_free(&j);
    return 0;
}
