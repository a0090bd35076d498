/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Log probabilities spell a choice's text once more, token by token, where no policy looks: they leave only
 * beside the very text that they spell.
 */
#include "interceptor/dialect/kt_dialect.h"

#include <string.h>

#define ALTERNATIVE_MAX 128u /* bytes of a token that the model could have said instead */
#define NUMBER_MAX 32u       /* bytes of a number as it stands */

static bool same(struct kt_span a, struct kt_span b)
{
    return a.len == b.len && memcmp(a.data, b.data, a.len) == 0;
}

/* "bytes": [104, 105]. False where it is no list of bytes. */
static bool put_bytes(const struct kt_json *j, uint32_t list, struct kt_buf *out)
{
    for (uint32_t e = list + 1; e < j->tok[list].next; e = j->tok[e].next) {
        struct kt_span raw = kt_json_raw(j, e);
        unsigned value = 0;
        for (size_t i = 0; i < raw.len; i++)
            if (raw.len > 3 || raw.data[i] < '0' || raw.data[i] > '9')
                return false;
            else
                value = value * 10 + (unsigned)(raw.data[i] - '0');
        char byte = (char)value;
        if (value > 255 || !kt_is_ok(kt_buf_append(out, &byte, 1)))
            return false;
    }
    return true;
}

/* How a token that is a part of a character is written down: "\xe2\x80", "bytes:\xe2", U+FFFD. */
static bool is_partial(struct kt_span bytes, struct kt_span token)
{
    bool foreign = false;
    for (size_t i = 0; i < bytes.len; i++)
        foreign |= (signed char)bytes.data[i] < 0;
    if (!foreign)
        return false;
    for (size_t i = 0; i < token.len; i++)
        if (!strchr("\\x0123456789abcdefbyts:", token.data[i]) && (signed char)token.data[i] >= 0)
            return false;
    return true;
}

static bool is_scalar(const struct kt_json *j, uint32_t tok, enum kt_json_type type)
{
    return kt_json_raw(j, tok).len <= NUMBER_MAX &&
           (j->tok[tok].type == type || j->tok[tok].type == KT_JSON_NULL);
}

/* Nothing but what belongs there, each once: what is more could say anything. */
static bool is_plain_entry(const struct kt_json *j, uint32_t entry, bool inner)
{
    static const char *const texts[] = {"token", "bytes", "top_logprobs"};
    static const char *const numbers[] = {"logprob", "sampling_logprob", "token_id", "text_offset", "rank"};
    size_t known = 0;
    bool twice;
    if (j->tok[entry].type != KT_JSON_OBJECT)
        return false;
    for (size_t i = 0; i < KT_COUNT(texts) - inner; i++) {
        known += kt_json_member(j, entry, texts[i], &twice) != 0;
        if (twice)
            return false;
    }
    for (size_t i = 0; i < KT_COUNT(numbers); i++) {
        uint32_t tok = kt_json_member(j, entry, numbers[i], &twice);
        if (twice || (tok && !is_scalar(j, tok, KT_JSON_NUMBER)))
            return false;
        known += tok != 0;
    }
    return known == j->tok[entry].size;
}

/* Appends what one entry says; its two spellings must say the same. */
static bool put_entry(const struct kt_json *j, uint32_t entry, struct kt_buf *out)
{
    if (!is_plain_entry(j, entry, false))
        return false;
    uint32_t token = kt_json_member(j, entry, "token", NULL), bytes = kt_json_member(j, entry, "bytes", NULL);
    size_t at = out->len;
    if (!token || j->tok[token].type != KT_JSON_STRING)
        return false;
    if (!bytes || j->tok[bytes].type != KT_JSON_ARRAY)
        return (!bytes || j->tok[bytes].type == KT_JSON_NULL) && kt_is_ok(kt_json_unescape(j, token, out));
    KT_CLEANUP(kt_buf_free) struct kt_buf said = KT_BUF_INIT(kt_json_raw(j, token).len);
    if (!put_bytes(j, bytes, out) || !kt_is_ok(kt_json_unescape(j, token, &said)))
        return false;
    struct kt_span spelled = kt_span(kt_buf_span(out).data + at, out->len - at), name = kt_buf_span(&said);
    return same(spelled, name) || is_partial(spelled, name);
}

/* Another token, and its bytes, which need not spell the same. */
static bool is_short_alternative(const struct kt_json *j, uint32_t entry)
{
    if (!is_plain_entry(j, entry, true))
        return false;
    uint32_t token = kt_json_member(j, entry, "token", NULL), bytes = kt_json_member(j, entry, "bytes", NULL);
    if (!token || j->tok[token].type != KT_JSON_STRING || kt_json_raw(j, token).len > ALTERNATIVE_MAX)
        return false;
    if (!bytes || j->tok[bytes].type != KT_JSON_ARRAY)
        return !bytes || j->tok[bytes].type == KT_JSON_NULL;
    KT_CLEANUP(kt_buf_free) struct kt_buf said = KT_BUF_INIT(ALTERNATIVE_MAX);
    return put_bytes(j, bytes, &said);
}

static bool alternatives_are_short(const struct kt_json *j, uint32_t entry)
{
    uint32_t list = kt_json_member(j, entry, "top_logprobs", NULL);
    if (!list || j->tok[list].type != KT_JSON_ARRAY)
        return !list || j->tok[list].type == KT_JSON_NULL;
    for (uint32_t e = list + 1; e < j->tok[list].next; e = j->tok[e].next)
        if (!is_short_alternative(j, e))
            return false;
    return true;
}

/* `list`: entries, or plain tokens of the older completions. An empty one says nothing. */
static bool spells(const struct kt_json *j, uint32_t list, uint32_t text)
{
    if (j->tok[list].type != KT_JSON_ARRAY)
        return j->tok[list].type == KT_JSON_NULL;
    if (!j->tok[list].size)
        return true;
    if (!text || j->tok[text].type != KT_JSON_STRING)
        return false;
    size_t max = (size_t)(j->tok[list].end - j->tok[list].start);
    KT_CLEANUP(kt_buf_free)
    struct kt_buf joined = KT_BUF_INIT(max), want = KT_BUF_INIT(kt_json_raw(j, text).len);
    for (uint32_t e = list + 1; e < j->tok[list].next; e = j->tok[e].next) {
        bool plain = j->tok[e].type == KT_JSON_STRING;
        bool good = plain ? kt_is_ok(kt_json_unescape(j, e, &joined))
                          : put_entry(j, e, &joined) && alternatives_are_short(j, e);
        if (!good)
            return false;
    }
    return kt_is_ok(kt_json_unescape(j, text, &want)) && same(kt_buf_span(&joined), kt_buf_span(&want));
}

/* The text that member `name` of the log probabilities spells; 0 = none. */
static uint32_t text_of(const struct kt_json *j, uint32_t choice, const char *name)
{
    static const char *const holders[] = {"delta", "message"};
    for (size_t i = 0; i < KT_COUNT(holders); i++) {
        uint32_t holder = kt_json_member(j, choice, holders[i], NULL);
        if (holder && j->tok[holder].type == KT_JSON_OBJECT)
            return kt_json_member(j, holder, name, NULL);
    }
    return 0;
}

/* {" the": -0.1}: tokens of the older completions that could stand there instead. */
static bool is_short_map(const struct kt_json *j, uint32_t map)
{
    if (j->tok[map].type != KT_JSON_OBJECT)
        return j->tok[map].type == KT_JSON_NULL;
    for (uint32_t k = map + 1; k < j->tok[map].next; k = j->tok[k + 1].next)
        if (kt_json_raw(j, k).len > ALTERNATIVE_MAX || !is_scalar(j, k + 1, KT_JSON_NUMBER))
            return false;
    return true;
}

/* Numbers beside the tokens, and what of the older completions has tokens for its keys. */
static bool is_harmless(const struct kt_json *j, uint32_t key)
{
    static const char *const names[] = {"token_logprobs", "text_offset", "top_logprobs"};
    uint32_t list = key + 1;
    bool known = false, map = kt_json_str_eq(j, key, "top_logprobs");
    for (size_t i = 0; i < KT_COUNT(names); i++)
        known |= kt_json_str_eq(j, key, names[i]);
    if (!known || j->tok[list].type != KT_JSON_ARRAY)
        return j->tok[list].type == KT_JSON_NULL;
    for (uint32_t e = list + 1; e < j->tok[list].next; e = j->tok[e].next)
        if (!(map ? is_short_map(j, e) : is_scalar(j, e, KT_JSON_NUMBER)))
            return false;
    return true;
}

/* Clients keep one of two, and it need not be the one that was compared. */
static bool has_one_twice(const struct kt_json *j, uint32_t logprobs)
{
    static const char *const names[] = {"content", "refusal", "tokens"};
    bool twice = false;
    for (size_t i = 0; i < KT_COUNT(names) && !twice; i++)
        (void)kt_json_member(j, logprobs, names[i], &twice);
    return twice;
}

static bool is_beside_its_text(const struct kt_json *j, uint32_t choice, uint32_t logprobs)
{
    if (j->tok[logprobs].type != KT_JSON_OBJECT || has_one_twice(j, logprobs))
        return false;
    for (uint32_t k = logprobs + 1; k < j->tok[logprobs].next; k = j->tok[k + 1].next) {
        bool good = kt_json_str_eq(j, k, "content")   ? spells(j, k + 1, text_of(j, choice, "content"))
                    : kt_json_str_eq(j, k, "refusal") ? spells(j, k + 1, text_of(j, choice, "refusal"))
                    : kt_json_str_eq(j, k, "tokens")
                        ? spells(j, k + 1, kt_json_member(j, choice, "text", NULL))
                        : is_harmless(j, k);
        if (!good)
            return false;
    }
    return true;
}

static KT_MUST kt_result drop_from(const struct kt_json *j, uint32_t choice, uint32_t object, bool all,
                                   struct kt_edits *edits)
{
    if (!object || j->tok[object].type != KT_JSON_OBJECT)
        return kt_ok();
    for (uint32_t k = object + 1; k < j->tok[object].next; k = j->tok[k + 1].next)
        if (kt_json_str_eq(j, k, "logprobs") && j->tok[k + 1].type != KT_JSON_NULL &&
            (all || !is_beside_its_text(j, choice, k + 1)))
            KT_GUARD(kt_edits_replace_value(edits, j, k + 1, "null", 4));
    return kt_ok();
}

kt_result kt_answer_drop_logprobs(const struct kt_chat *a, const uint64_t *changed, size_t choices,
                                  bool check, struct kt_edits *edits)
{
    const struct kt_json *j = &a->json;
    uint32_t list = a->choices_tok;
    size_t number = 0;
    for (uint32_t c = list + 1; list && c < j->tok[list].next && number < choices; c = j->tok[c].next) {
        bool all = changed[number / 64] >> number % 64 & 1;
        number++;
        if (!all && !check)
            continue;
        KT_GUARD(drop_from(j, c, c, all, edits));
        KT_GUARD(drop_from(j, c, kt_json_member(j, c, "delta", NULL), all, edits));
        KT_GUARD(drop_from(j, c, kt_json_member(j, c, "message", NULL), all, edits));
    }
    return kt_ok();
}
