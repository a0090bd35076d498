/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a text that may be JSON: the tracker is in the same state however the text is cut, and of what
 * the tokenizer reads as an object or a list it says the same: where strings, numbers and words stand.
 */
#include "policyengine/body/kt_json.h"
#include "policyengine/body/kt_json_place.h"
#include "tests/fuzz/kt_fuzz.h"

#include <string.h>

static void same(const struct kt_json_track *a, const struct kt_json_track *b)
{
    struct kt_json_place p = kt_json_track_place(a), q = kt_json_track_place(b);
    KT_HOLDS(a->at == b->at && a->clean == b->clean && a->token == b->token);
    KT_HOLDS(p.json == q.json && p.bare == q.bare && p.token == q.token && p.level == q.level);
    for (size_t i = 0; i < KT_JSON_LEVELS; i++)
        KT_HOLDS(a->level[i].state == b->level[i].state && a->level[i].depth == b->level[i].depth);
}

static void check_cuts(const char *text, size_t len, unsigned cuts, bool known)
{
    struct kt_json_track whole, bytes, pieces;
    kt_json_track_start(&whole, known);
    kt_json_track_start(&bytes, known);
    kt_json_track_start(&pieces, known);
    kt_json_track_read(&whole, text, len);
    for (size_t i = 0; i < len; i++) {
        kt_json_track_read(&bytes, text + i, 1);
        struct kt_json_place p = kt_json_track_place(&bytes);
        KT_HOLDS(bytes.at == i + 1 && bytes.clean <= bytes.at && p.level < KT_JSON_LEVELS &&
                 p.known <= known);
        (void)kt_json_track_in_token(&bytes);
    }
    for (size_t at = 0; at < len;) {
        size_t n = kt_fuzz_step(&cuts, len - at);
        kt_json_track_read(&pieces, text + at, n);
        at += n;
    }
    same(&whole, &bytes);
    same(&whole, &pieces);
}

static bool nests_too_deep(const struct kt_json *j)
{
    uint32_t open[KT_JSON_MAX_DEPTH + 1], depth = 0;
    for (uint32_t i = 0; i < j->count; i++) {
        while (depth && i >= open[depth - 1])
            depth--;
        if (j->tok[i].type == KT_JSON_OBJECT || j->tok[i].type == KT_JSON_ARRAY)
            open[depth++] = j->tok[i].next;
        if (depth > KT_JSON_NESTED)
            return true;
    }
    return false;
}

/* In front of each token, and behind the first byte of each string. */
static void check_tokens(const struct kt_json *j)
{
    struct kt_json_track t;
    kt_json_track_start(&t, false);
    for (uint32_t i = 1; i < j->count; i++) {
        const struct kt_json_tok *k = &j->tok[i];
        kt_json_track_read(&t, j->text + t.at, k->start - t.at);
        struct kt_json_place p = kt_json_track_place(&t);
        KT_HOLDS(p.json && p.bare && p.level == 0);
        if (k->type == KT_JSON_OBJECT || k->type == KT_JSON_ARRAY)
            continue;
        if (k->type != KT_JSON_STRING) {
            KT_HOLDS(p.token);
            kt_json_track_read(&t, j->text + t.at, 1);
            KT_HOLDS(kt_json_track_place(&t).bare && kt_json_track_in_token(&t) && t.token == k->start);
            continue;
        }
        kt_json_track_read(&t, j->text + t.at, 1);
        p = kt_json_track_place(&t);
        KT_HOLDS(p.json && !p.bare && p.level == 0);
        kt_json_track_read(&t, j->text + t.at, k->end - t.at);
        KT_HOLDS(kt_json_track_place(&t).bare && kt_json_track_place(&t).level == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 || size > 1u << 16)
        return 0;
    const char *text = (const char *)data + 1;
    check_cuts(text, size - 1, 1u + data[0], false);
    check_cuts(text, size - 1, 1u + data[0], true);
    struct kt_json j;
    bool good = kt_json_parse(&j, text, size - 1, NULL).code == KT_OK;
    if (good && (j.tok[0].type == KT_JSON_OBJECT || j.tok[0].type == KT_JSON_ARRAY) && !nests_too_deep(&j))
        check_tokens(&j);
    kt_json_free(&j);
    return 0;
}
