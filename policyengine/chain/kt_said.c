/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/chain/kt_said.h"

#include <string.h>

#define APART "\n\xff\n" /* no UTF-8; a word ends at either side */

void kt_said_free(struct kt_said *s)
{
    kt_buf_wipe_free(&s->text);
}

kt_result kt_said_next(struct kt_said *s)
{
    s->text.max = KT_SAID_BUDGET;
    return kt_buf_append(&s->text, APART, sizeof APART - 1);
}

kt_result kt_said_add(struct kt_said *s, const char *data, size_t len)
{
    return kt_buf_append(&s->text, data, len);
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* The last digit of an escape of JSON source, \u0031, is none of the text's. */
static bool digit_before(const char *at, const char *begin)
{
    return is_digit(at[-1]) && (at - begin < 6 || at[-6] != '\\' || at[-5] != 'u');
}

/* Not within a longer number. What the answer has beside it does not count: a stream may not show it. */
static bool stands_alone(const char *at, size_t n, const struct kt_buf *text)
{
    const char *behind = at + n;
    return !(is_digit(at[0]) && digit_before(at, text->data)) &&
           !(is_digit(at[n - 1]) && behind < text->data + text->len && is_digit(*behind));
}

bool kt_said_has(struct kt_said *s, const char *find, size_t n)
{
    if (n == 0 || s->text.len < sizeof APART)
        return false;
    const char *end = s->text.data + s->text.len;
    for (const char *at = s->text.data + 1; s->searched < KT_SAID_BUDGET;) {
        const char *found = memmem(at, (size_t)(end - at), find, n);
        s->searched += (size_t)((found ? found : end) - at);
        if (!found)
            return false;
        if (stands_alone(found, n, &s->text))
            return true;
        at = found + 1;
    }
    return false;
}
