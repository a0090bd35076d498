/* SPDX-License-Identifier: Apache-2.0 */
/* Names and passwords together: URLs, Basic, curl -u, bots. Only the password goes, save where both are one.
 */
#include "policyengine/detect/kt_secret_base64.h"
#include "policyengine/detect/kt_secret_rule.h"

#include <string.h>
#include <strings.h>

#define LOGIN_MAX 256u

static bool login_byte(char c)
{
    return (unsigned char)c > ' ' && c != 0x7f && !strchr("/?#\"'`<>\\{}|^,", c);
}

/* As a value that somebody chose for a login: not to be filled in, not the name of itself. */
static bool chosen(const char *text, size_t len)
{
    static const char *const common[] = {"password", "passwd",   "pass",  "pwd", "secret",
                                         "user",     "username", "token", "test"};
    for (size_t i = 0; i < KT_COUNT(common); i++)
        if (strlen(common[i]) == len && strncasecmp(text, common[i], len) == 0)
            return false;
    return len >= 3 && !strchr("$%<{[(*:", text[0]) && !kt_secret_placeholder(text, len) &&
           kt_secret_entropy(text, len) > 0.9;
}

/* scheme://user:password@host, scheme://token@host */
enum kt_secret_answer kt_secret_url(const struct kt_secret_view *v, const struct kt_secret_anchor *a,
                                    struct kt_secret_hit *hit)
{
    if (a->start == 0 || a->start == v->floor || !kt_secret_is(v->data[a->start - 1], KT_CH_ALNUM))
        return KT_SECRET_NO;
    size_t i = a->end, colon = 0, at = 0;
    for (; i < v->len && i - a->end < LOGIN_MAX && login_byte(v->data[i]); i++) {
        if (v->data[i] == ':' && !colon)
            colon = i;
        if (v->data[i] == '@')
            at = i;
    }
    if (i == v->len && !v->final && i - a->end < LOGIN_MAX)
        return KT_SECRET_MORE;
    if (!at || at + 1 >= i)
        return KT_SECRET_NO;
    size_t start = colon && colon < at ? colon + 1 : a->end;
    bool alone = start == a->end;
    if (start == at || !chosen(v->data + start, at - start))
        return KT_SECRET_NO;
    bool random = at - start >= 20 && kt_secret_entropy(v->data + start, at - start) > 3 &&
                  !kt_secret_wordy(v->data + start, at - start);
    if (alone && !random)
        return KT_SECRET_NO;
    *hit = (struct kt_secret_hit){start, at, "url-password", KT_SECRET_LIKELY + 0.1};
    return KT_SECRET_YES;
}

/* Basic dXNlcjpwYXNz: base64 of name:password. */
enum kt_secret_answer kt_secret_basic(const struct kt_secret_view *v, const struct kt_secret_anchor *a,
                                      struct kt_secret_hit *hit)
{
    size_t end = 0;
    if (!kt_secret_starts(v, a->start))
        return KT_SECRET_NO;
    enum kt_secret_answer answer = kt_secret_shape(v, a->end, "\\b{8,1000}={0,2}", &end);
    if (answer != KT_SECRET_YES)
        return answer;
    char plain[LOGIN_MAX];
    size_t n = kt_secret_base64(v->data + a->end, end - a->end, plain, sizeof plain);
    const char *colon = memchr(plain, ':', n);
    bool readable = n >= 3 && colon;
    for (size_t i = 0; i < n; i++)
        readable = readable && plain[i] >= ' ' && plain[i] < 0x7f;
    readable = readable && chosen(colon + 1, n - (size_t)(colon + 1 - plain));
    kt_wipe(plain, sizeof plain);
    if (!readable)
        return KT_SECRET_NO;
    *hit = (struct kt_secret_hit){a->end, end, "basic-auth", KT_SECRET_LIKELY + 0.1};
    return KT_SECRET_YES;
}

/* curl -u name:password */
enum kt_secret_answer kt_secret_user_option(const struct kt_secret_view *v, const struct kt_secret_anchor *a,
                                            struct kt_secret_hit *hit)
{
    size_t i = a->end, colon = 0;
    while (i < v->len && i - a->end < 3 && strchr("\\\"'", v->data[i]))
        i++;
    size_t start = i;
    for (; i < v->len && i - start < LOGIN_MAX && (login_byte(v->data[i]) || v->data[i] == '/'); i++)
        if (v->data[i] == ':' && !colon)
            colon = i;
    if (i == v->len && !v->final && i - start < LOGIN_MAX)
        return KT_SECRET_MORE;
    if (!colon || colon == start || i - colon < 5)
        return KT_SECRET_NO;
    const char *word = v->data + colon + 1;
    size_t len = i - colon - 1, letters = 0;
    for (size_t k = 0; k < len; k++)
        letters += kt_secret_is(word[k], KT_CH_LETTER);
    if (!letters || letters == len || (word[0] == '/' && word[1] == '/') || !chosen(word, len))
        return KT_SECRET_NO;
    *hit = (struct kt_secret_hit){colon + 1, i, "login-option", KT_SECRET_LIKELY};
    return KT_SECRET_YES;
}

/* 123456789:AA...: the number in front of the colon is the bot's public id. */
enum kt_secret_answer kt_secret_telegram(const struct kt_secret_view *v, const struct kt_secret_anchor *a,
                                         struct kt_secret_hit *hit)
{
    size_t i = a->start, end = 0, low = a->start > 10 ? a->start - 10 : 0;
    if (low < v->floor)
        low = v->floor;
    while (i > low && kt_secret_is(v->data[i - 1], KT_CH_DIGIT))
        i--;
    if (a->start - i < 7 || memcmp(v->data + a->start, ":AA", 3) != 0)
        return KT_SECRET_NO;
    enum kt_secret_answer answer = kt_secret_shape(v, a->start + 1, "\\k{32,36}", &end);
    if (answer != KT_SECRET_YES)
        return answer;
    if (kt_secret_entropy(v->data + a->end, end - a->end) < 3)
        return KT_SECRET_NO;
    *hit = (struct kt_secret_hit){a->start + 1, end, "telegram-token", KT_SECRET_SURE};
    return KT_SECRET_YES;
}
