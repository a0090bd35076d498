/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens that their prefix gives away. */
#include "policyengine/detect/kt_secret_rule.h"

#include <stdlib.h>
#include <string.h>

static const struct token {
    const char *label, *prefix, *shape;
} tokens[] = {
#define KT_TOKEN(label, prefix, shape) {label, prefix, shape},
#include "policyengine/detect/patterns/secret_tokens.def"
#undef KT_TOKEN
};

unsigned kt_secret_token_count(void)
{
    return KT_COUNT(tokens);
}

const char *kt_secret_token_prefix(unsigned i)
{
    return tokens[i].prefix;
}

static uint32_t crc32(const char *text, size_t len)
{
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < len; i++) {
        crc ^= (unsigned char)text[i];
        for (unsigned bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
    }
    return ~crc;
}

/* GitHub and npm end a token by the CRC-32 of what is between, six digits to the base of 62. A wrong one does
 * not clear a token: it may have a slip in it, and still opens doors to whoever finds it. */
static bool checksum_fits(const char *text, size_t len)
{
    static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    uint32_t crc = crc32(text, len - 6);
    for (size_t i = 0; i < 6; i++, crc /= 62)
        if (text[len - 1 - i] != digits[crc % 62])
            return false;
    return true;
}

static bool has_checksum(const struct token *t)
{
    return strcmp(t->shape, "\\a{36}") == 0 &&
           (strncmp(t->prefix, "gh", 2) == 0 || strcmp(t->prefix, "npm_") == 0);
}

/* A prefix of its own and just so many letters and digits behind it: that is no word, whatever it spells. */
static bool is_rigid(const struct token *t)
{
    const char *count = t->shape + 2, *behind = strchr(t->shape, '}');
    bool one = t->shape[0] == '\\' && strchr("audhHl", t->shape[1]) && *count == '{' && behind && !behind[1];
    return one && strtoul(count + 1, NULL, 10) >= 16 && strlen(t->prefix) >= 4;
}

static bool random_enough(const struct token *t, const char *text, size_t len)
{
    size_t digits = 0;
    for (size_t i = 0; i < len; i++)
        digits += kt_secret_is(text[i], KT_CH_DIGIT);
    if (kt_secret_placeholder(text, len) || kt_secret_entropy(text, len) < (len < 16 ? 2.0 : 2.5))
        return false;
    return is_rigid(t) || (digits > 0 && len < 30) || kt_secret_jumbled(text, len) ||
           !kt_secret_wordy(text, len);
}

/* A run that goes on from the one before ("-pypi-pypi-") is read once only: the rules stay linear. */
static bool may_start(const struct kt_secret_view *v, size_t at, const struct token *t)
{
    if (!kt_secret_is(t->prefix[0], KT_CH_ALNUM))
        return true;
    if (!kt_secret_starts(v, at))
        return false;
    bool dashes = strstr(t->shape, "\\k") || strstr(t->shape, "\\j") || strstr(t->shape, "\\e");
    return !dashes || at <= v->floor || !kt_secret_is(v->data[at - 1], KT_CH_DASH);
}

enum kt_secret_answer kt_secret_token(const struct kt_secret_view *v, const struct kt_secret_anchor *a,
                                      struct kt_secret_hit *hit)
{
    const struct token *t = &tokens[a->arg];
    size_t prefix = strlen(t->prefix), end = 0;
    if (memcmp(v->data + a->start, t->prefix, prefix) != 0 || !may_start(v, a->start, t))
        return KT_SECRET_NO;
    enum kt_secret_answer answer = kt_secret_shape(v, a->end, t->shape, &end);
    if (answer != KT_SECRET_YES)
        return answer;
    const char *rest = v->data + a->end;
    if (!random_enough(t, rest, end - a->end))
        return KT_SECRET_NO;
    *hit = (struct kt_secret_hit){a->start, end, t->label, KT_SECRET_SURE};
    if (has_checksum(t) && checksum_fits(rest, end - a->end))
        hit->score = 0.99;
    return KT_SECRET_YES;
}

enum kt_secret_answer kt_secret_token_at(const struct kt_secret_view *v, size_t at, struct kt_secret_hit *hit)
{
    for (size_t i = KT_COUNT(tokens); i-- > 0;) {
        size_t n = strlen(tokens[i].prefix), left = v->len - at;
        if (strncmp(v->data + at, tokens[i].prefix, n < left ? n : left) != 0)
            continue;
        if (left < n) {
            if (!v->final)
                return KT_SECRET_MORE;
            continue;
        }
        const struct kt_secret_anchor a = {at, at + n, (unsigned)i};
        enum kt_secret_answer answer = kt_secret_token(v, &a, hit);
        if (answer != KT_SECRET_NO)
            return answer;
    }
    return KT_SECRET_NO;
}
