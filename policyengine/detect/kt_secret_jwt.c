/* SPDX-License-Identifier: Apache-2.0 */
/* JSON web tokens: three parts in base64url; the first must be a JOSE header, so that other base64 of JSON
 * passes. */
#include "policyengine/detect/kt_secret_base64.h"
#include "policyengine/detect/kt_secret_rule.h"

#include <string.h>

#define PART_MAX 8000u

static bool part_byte(char c)
{
    return kt_secret_is(c, KT_CH_ALNUM | KT_CH_UNDER | KT_CH_DASH);
}

static bool jose_header(const char *text, size_t len)
{
    char plain[300];
    size_t n = kt_secret_base64(text, len, plain, sizeof plain);
    return n > 8 && plain[0] == '{' && memmem(plain, n, "\"alg\"", 5);
}

/* One part. YES: *end is behind it. */
static enum kt_secret_answer part(const struct kt_secret_view *v, size_t at, size_t *end)
{
    size_t i = at;
    while (i < v->len && i - at < PART_MAX && part_byte(v->data[i]))
        i++;
    if (i == v->len && i - at < PART_MAX && !v->final)
        return KT_SECRET_MORE;
    *end = i;
    return i - at < PART_MAX ? KT_SECRET_YES : KT_SECRET_NO;
}

enum kt_secret_answer kt_secret_jwt(const struct kt_secret_view *v, const struct kt_secret_anchor *a,
                                    struct kt_secret_hit *hit)
{
    size_t end = 0, body = 0;
    if (memcmp(v->data + a->start, "ey", 2) != 0 || !kt_secret_starts(v, a->start))
        return KT_SECRET_NO;
    enum kt_secret_answer answer = part(v, a->start, &end);
    if (answer != KT_SECRET_YES)
        return answer;
    if (end - a->start < 16 || end == v->len || v->data[end] != '.' ||
        !jose_header(v->data + a->start, end - a->start))
        return KT_SECRET_NO;
    answer = part(v, end + 1, &body);
    if (answer != KT_SECRET_YES)
        return answer;
    if (body - end < 10 || body == v->len || v->data[body] != '.')
        return KT_SECRET_NO;
    answer = part(v, body + 1, &end);
    if (answer != KT_SECRET_YES)
        return answer;
    if (end - body < 17)
        return KT_SECRET_NO; /* cut off, or an example */
    *hit = (struct kt_secret_hit){a->start, end, "jwt", KT_SECRET_SURE};
    return KT_SECRET_YES;
}
