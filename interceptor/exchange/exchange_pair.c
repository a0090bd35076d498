/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON may write a character beyond U+FFFF as two escapes, and a provider may cut its deltas between them. Of
 * such a text the policies must see the character, and the client must not get two U+FFFD for it: the first
 * half waits in its channel for the second.
 */
#include "interceptor/exchange/kt_exchange_filter.h"

#include <string.h>

#define ESCAPE 6u /* bytes of \uXXXX */
#define REPLACEMENT "\xEF\xBF\xBD"
#define REPLACEMENT_LEN 3u

/* The half of a pair that the escape at `p` stands for; 0 = it is something else. */
static unsigned half_at(const char *p)
{
    unsigned v = 0;
    if (p[0] != '\\' || p[1] != 'u')
        return 0;
    for (size_t i = 2; i < ESCAPE; i++) { /* the tokenizer has seen that they are digits */
        unsigned char c = (unsigned char)p[i];
        v = v << 4 | (c <= '9' ? c - 0x30u : (c | 0x20u) - 0x57u);
    }
    return v >= 0xD800 && v < 0xE000 ? v : 0;
}

/* `raw`: the inside of a string. A second half there has no first one in front. */
static unsigned leading_half(struct kt_span raw)
{
    unsigned v = raw.len >= ESCAPE ? half_at(raw.data) : 0;
    return v >= 0xDC00 ? v : 0;
}

static unsigned trailing_half(struct kt_span raw)
{
    if (raw.len < ESCAPE)
        return 0;
    const char *p = raw.data + raw.len - ESCAPE, *q = p;
    while (q > raw.data && q[-1] == '\\')
        q--;
    unsigned v = (p - q) % 2 == 0 ? half_at(p) : 0; /* else its backslash is an escaped one */
    return v < 0xDC00 ? v : 0;
}

static KT_MUST kt_result put_pair(struct kt_buf *out, unsigned high, unsigned low)
{
    unsigned c = 0x10000u + ((high - 0xD800u) << 10) + (low - 0xDC00u);
    const char utf8[] = {(char)(0xF0 | c >> 18), (char)(0x80 | (c >> 12 & 0x3F)),
                         (char)(0x80 | (c >> 6 & 0x3F)), (char)(0x80 | (c & 0x3F))};
    return kt_buf_append(out, utf8, sizeof utf8);
}

/* The first piece that is not blank tells whether it is JSON. */
static void settle_json(struct kt_x_channel *c, const struct kt_segment *s)
{
    if (c->begun)
        return;
    c->json = c->restore.json = s->json;
    c->begun = strspn(s->text, " \t\r\n") < s->len;
}

kt_result kt_x_channel_add(struct kt_x_channel *c, const struct kt_json *j, const struct kt_segment *s,
                           bool final)
{
    struct kt_span raw = kt_json_raw(j, s->tok), text = kt_span(s->text, s->len);
    raw = kt_span(raw.data + 1, raw.len - 2);
    settle_json(c, s);
    unsigned low = c->half && j->tok[s->tok].escaped ? leading_half(raw) : 0;
    if (low) {
        KT_GUARD(put_pair(&c->text, c->half, low));
        text = kt_span(text.data + REPLACEMENT_LEN, text.len - REPLACEMENT_LEN);
        c->half = 0;
    }
    KT_GUARD(kt_x_channel_give_up_half(c));
    c->half = !final && j->tok[s->tok].escaped ? trailing_half(raw) : 0;
    return kt_buf_append(&c->text, text.data, text.len - (c->half ? REPLACEMENT_LEN : 0));
}

kt_result kt_x_channel_give_up_half(struct kt_x_channel *c)
{
    bool alone = c->half != 0;
    c->half = 0;
    return alone ? kt_buf_append(&c->text, REPLACEMENT, REPLACEMENT_LEN) : kt_ok();
}
