/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/chain/kt_shape.h"

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Bytes above ASCII are letters of a custom kind; they have no case here. */
static bool is_word(char c)
{
    return is_digit(c) || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (unsigned char)c >= 0x80;
}

/* What may stand between, before and behind the words: separators, and the marks of Markdown. */
static bool is_filler(char c)
{
    return c == ' ' || c == '_' || c == '-' || c == '\\' || c == '*' || c == '`' || c == '#' || c == ':' ||
           c == '.';
}

static char closing(char open)
{
    return open == '[' ? ']' : open == '(' ? ')' : open == '{' ? '}' : '>';
}

/* Names are "KIND_1": they begin with a letter and end with their number. */
static bool is_name(const struct kt_shape *s)
{
    return s->key_len >= 2 && !is_digit(s->key[0]) && is_digit(s->key[s->key_len - 1]);
}

/* False where this byte cannot be part of a name. */
static bool take(struct kt_shape *s, char c)
{
    if (!is_word(c))
        return s->exact ? c == '_' : is_filler(c);
    bool small = c >= 'a' && c <= 'z';
    if ((small && s->exact) || s->key_len == sizeof s->key)
        return false;
    s->key[s->key_len++] = small ? (char)(c - 'a' + 'A') : c;
    return true;
}

enum kt_shape_is kt_shape_read(const char *text, size_t len, struct kt_shape *out)
{
    char close = closing(text[0]);
    size_t max = len < KT_SHAPE_MAX ? len : KT_SHAPE_MAX;
    out->key_len = 0;
    out->exact = text[0] != '[';
    for (size_t i = 1; i < max; i++) {
        if (text[i] == close) {
            out->len = i + 1;
            out->close_escaped = text[i - 1] == '\\';
            return is_name(out) ? KT_SHAPE_WHOLE : KT_SHAPE_NONE;
        }
        if (!take(out, text[i]))
            return KT_SHAPE_NONE;
    }
    return len < KT_SHAPE_MAX ? KT_SHAPE_OPEN : KT_SHAPE_NONE;
}
