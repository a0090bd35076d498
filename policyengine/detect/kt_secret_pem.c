/* SPDX-License-Identifier: Apache-2.0 */
/* Private keys in armour: PEM, PGP, SSH2, PuTTY. The whole block goes, cut ones as far as they go. */
#include "policyengine/detect/kt_secret_rule.h"

#include <string.h>

#define HEADER_MAX 64u
#define BODY_MIN 24u /* base64 bytes: less is a mention of a key */

/* The dashes behind "-----BEGIN ... PRIVATE KEY": *end is behind them. */
static enum kt_secret_answer header(const struct kt_secret_view *v, size_t at, size_t *end)
{
    size_t i = at;
    while (i < v->len && i - at < HEADER_MAX && v->data[i] != '-' && v->data[i] >= ' ')
        i++;
    if (i - at == HEADER_MAX)
        return KT_SECRET_NO;
    if (i == v->len)
        return v->final ? KT_SECRET_NO : KT_SECRET_MORE;
    if (!memmem(v->data + at, i - at, "PRIVATE KEY", 11))
        return KT_SECRET_NO;
    while (i < v->len && v->data[i] == '-')
        i++;
    *end = i;
    return i == v->len && !v->final ? KT_SECRET_MORE : KT_SECRET_YES;
}

/* What a block holds: base64, header lines of the armour, line ends in any spelling. */
static bool block_byte(char c)
{
    return kt_secret_is(c, KT_CH_ALNUM | KT_CH_BASE64 | KT_CH_EQUAL) || memchr("\r\n\t \\\"',:.()", c, 12);
}

/* One dash alone is part of a header line ("Proc-Type: 4,ENCRYPTED"). */
static bool in_block(const struct kt_secret_view *v, size_t at)
{
    return block_byte(v->data[at]) || (v->data[at] == '-' && (at + 1 == v->len || v->data[at + 1] != '-'));
}

static size_t base64_bytes(const char *text, size_t len)
{
    size_t n = 0, best = 0;
    for (size_t i = 0; i < len; i++) {
        n = kt_secret_is(text[i], KT_CH_ALNUM | KT_CH_BASE64) ? n + 1 : 0;
        best = n > best ? n : best;
    }
    return best;
}

/* Behind the line "-----END ...-----" at `at`. */
static enum kt_secret_answer footer(const struct kt_secret_view *v, size_t at, size_t *end)
{
    size_t dashes = at, i;
    while (dashes < v->len && v->data[dashes] == '-')
        dashes++;
    for (i = dashes; i < v->len && i - dashes < HEADER_MAX && v->data[i] != '-' && v->data[i] >= ' '; i++)
        ;
    while (i < v->len && v->data[i] == '-')
        i++;
    if (i == v->len && !v->final)
        return KT_SECRET_MORE;
    *end = i;
    return memmem(v->data + dashes, i - dashes, "END", 3) ? KT_SECRET_YES : KT_SECRET_NO;
}

enum kt_secret_answer kt_secret_pem(const struct kt_secret_view *v, const struct kt_secret_anchor *a,
                                    struct kt_secret_hit *hit)
{
    size_t body = 0, end = 0;
    enum kt_secret_answer answer = header(v, a->end, &body);
    if (answer != KT_SECRET_YES)
        return answer;
    size_t i = body;
    while (i < v->len && i - a->start < KT_SECRET_MAX && in_block(v, i))
        i++;
    bool cut = i - a->start >= KT_SECRET_MAX;
    if (i == v->len && !cut && !v->final)
        return KT_SECRET_MORE;
    if (base64_bytes(v->data + body, i - body) < BODY_MIN || kt_secret_placeholder(v->data + body, i - body))
        return KT_SECRET_NO;
    end = i;
    if (!cut && i < v->len && v->data[i] == '-') {
        answer = footer(v, i, &end);
        if (answer == KT_SECRET_MORE)
            return answer;
        if (answer == KT_SECRET_NO)
            end = i;
    }
    while (end > body && memchr(" \r\n\t\\\"',:.(", v->data[end - 1], 11))
        end--; /* of the text around it */
    *hit = (struct kt_secret_hit){a->start, end, "private-key", KT_SECRET_SURE};
    return KT_SECRET_YES;
}

/* "Private-Lines: 3" of a PuTTY key file, and the lines behind it up to "Private-MAC". */
enum kt_secret_answer kt_secret_putty(const struct kt_secret_view *v, const struct kt_secret_anchor *a,
                                      struct kt_secret_hit *hit)
{
    size_t i = a->end;
    while (i < v->len && kt_secret_is(v->data[i], KT_CH_DIGIT) && i - a->end < 4)
        i++;
    size_t body = i;
    while (i < v->len && i - body < KT_SECRET_MAX && in_block(v, i))
        i++;
    if (i == v->len && !v->final && i - body < KT_SECRET_MAX)
        return KT_SECRET_MORE;
    if (body == a->end || base64_bytes(v->data + body, i - body) < BODY_MIN)
        return KT_SECRET_NO;
    while (i > body && memchr(" \r\n\t\\\"',:.(", v->data[i - 1], 11))
        i--; /* of the text around it */
    *hit = (struct kt_secret_hit){a->start, i, "private-key", KT_SECRET_SURE};
    return KT_SECRET_YES;
}
