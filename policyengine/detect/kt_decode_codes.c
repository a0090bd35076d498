/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text whose characters are written as their numbers: "&#105;&#x67;", "\u0069", "\u{69}", "\151", "01101001",
 * "105 103 110", or in Morse. Only runs of such units: pages and source with one of them here and there are
 * as they seem.
 */
#include "policyengine/detect/kt_decode_codes.h"

#include "policyengine/detect/kt_bytes.h"

#include <string.h>

#define UNITS_MIN 8u

struct form {
    const char *open;
    size_t open_len;
    char close;                 /* 0 = nothing */
    unsigned base, least, most; /* digits */
    bool numbers;               /* units stand apart: a space between two is no space of the text */
};

#define OPEN(text) text, sizeof text - 1
static const struct form forms[] = {
    {OPEN("&#x"), ';', 16, 2, 6, false},  {OPEN("&#"), ';', 10, 2, 7, false},
    {OPEN("\\u{"), '}', 16, 2, 6, false}, {OPEN("\\u"), 0, 16, 4, 4, false},
    {OPEN("\\U"), 0, 16, 8, 8, false},    {OPEN("\\"), 0, 8, 3, 3, false},
    {OPEN(""), 0, 2, 8, 8, true},         {OPEN(""), 0, 10, 2, 3, true},
};
enum {
    BITS = KT_COUNT(forms) - 2,
    NUMBERS
}; /* the forms without a sign in front: what begins with a digit */

/* True where a unit of the form may begin with this byte. */
static bool opens(const struct form *f, char c)
{
    return f->open_len > 0 && f->open[0] == c;
}

static int digit(char c, unsigned base)
{
    int v = c >= '0' && c <= '9'                     ? c - '0'
            : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10
                                                     : 99;
    return v < (int)base ? v : -1;
}

/* Bytes of the unit of form `f` at `in`, its character in *c; 0 = none, or nothing that ASCII text has. */
static size_t unit(const struct form *f, const char *in, size_t len, char *c)
{
    size_t close = f->close != 0, i = f->open_len, n = 0;
    uint32_t value = 0;
    if (len < i + f->least + close || memcmp(in, f->open, i) != 0)
        return 0;
    for (int v; n < f->most && i < len && (v = digit(in[i], f->base)) >= 0; i++, n++)
        value = value * f->base + (uint32_t)v;
    bool text = (value >= ' ' && value < 0x7f) || value == '\n';
    if (n < f->least || !text || len - i < close || (close && in[i] != f->close))
        return 0;
    *c = (char)value;
    return i + close;
}

size_t kt_decode_code(const char *in, size_t len, char *c)
{
    size_t n = 0;
    for (size_t i = 0; n == 0 && i < KT_COUNT(forms) && !forms[i].numbers; i++)
        if (len > 0 && opens(&forms[i], in[0]))
            n = unit(&forms[i], in, len, c);
    return n;
}

static size_t gap(const char *in, size_t len)
{
    size_t n = 0;
    while (n < len && n < 2 && (in[n] == ' ' || in[n] == ',' || in[n] == '\n'))
        n++;
    return n;
}

/* Returns the bytes that were written, 0 = fewer than UNITS_MIN; *used: the bytes that were read. */
static size_t run(const struct form *f, const char *in, size_t len, char *out, size_t *used)
{
    size_t i = 0, n = 0, units = 0, size;
    char c;
    *used = 0;
    while (n + 2 <= KT_DECODE_MAX && (size = unit(f, in + i, len - i, &c)) > 0) {
        bool apart = i > *used;
        if (f->numbers && f->base == 10 && units > 0 && !apart)
            break; /* digits that follow each other are one number */
        if (!f->numbers && apart)
            out[n++] = ' ';
        out[n++] = c;
        units++;
        *used = i += size;
        i += gap(in + i, len - i);
    }
    return units < UNITS_MIN ? 0 : n;
}

static size_t strokes(const char *in, size_t len)
{
    size_t n = 0;
    while (n < len && (in[n] == ' ' || in[n] == '/' || in[n] == '|' || in[n] == '\n'))
        n++;
    return n;
}

/* Of the letter at `in`: 1 followed by its signs as bits, a dash is 1; its size in *size. 0 = no letter. */
static unsigned morse_signs(const char *in, size_t len, size_t *size)
{
    unsigned signs = 1;
    size_t i = 0;
    for (; i < len && (in[i] == '.' || in[i] == '-'); i++) {
        if (i == 5)
            return 0;
        signs = signs << 1 | (in[i] == '-');
    }
    *size = i;
    return i > 0 ? signs : 0;
}

/* ITU-R M.1677-1; letters with a space between them, words with more than that or a stroke. */
static size_t morse(const char *in, size_t len, char *out, size_t *used)
{
    static const char letters[64] = {
        [0x2] = 'e',  [0x3] = 't',  [0x4] = 'i',  [0x5] = 'a',  [0x6] = 'n',  [0x7] = 'm',
        [0x8] = 's',  [0x9] = 'u',  [0xa] = 'r',  [0xb] = 'w',  [0xc] = 'd',  [0xd] = 'k',
        [0xe] = 'g',  [0xf] = 'o',  [0x10] = 'h', [0x11] = 'v', [0x12] = 'f', [0x14] = 'l',
        [0x16] = 'p', [0x17] = 'j', [0x18] = 'b', [0x19] = 'x', [0x1a] = 'c', [0x1b] = 'y',
        [0x1c] = 'z', [0x1d] = 'q', [0x20] = '5', [0x21] = '4', [0x23] = '3', [0x27] = '2',
        [0x2f] = '1', [0x30] = '6', [0x38] = '7', [0x3c] = '8', [0x3e] = '9', [0x3f] = '0'};
    size_t i = 0, n = 0, units = 0, size;
    unsigned signs;
    *used = 0;
    while (n + 2 <= KT_DECODE_MAX && (signs = morse_signs(in + i, len - i, &size)) && letters[signs]) {
        out[n++] = letters[signs];
        units++;
        *used = i += size;
        size_t spaces = strokes(in + i, len - i);
        if (spaces == 0)
            break;
        if (spaces > 1)
            out[n++] = ' ';
        i += spaces;
    }
    return units < UNITS_MIN ? 0 : n;
}

/* Eight bits, or two or three digits that are not part of a longer number. */
static bool number_start(const char *text, size_t len, size_t at)
{
    size_t n = kt_bytes_end(text, len, at, kt_bytes_digits) - at;
    char next = at + n < len ? text[at + n] : 0;
    for (size_t i = 0; n >= 8 && i < 8; i++)
        if (text[at + i] > '1')
            return false;
    return n >= 8 || ((n == 2 || n == 3) && (next == ' ' || next == ',' || next == '\n'));
}

static bool sign(const char *text, size_t len, size_t at)
{
    return at < len && (text[at] == '.' || text[at] == '-');
}

bool kt_decode_codes_start(const char *text, size_t len, size_t at)
{
    char c = text[at], next = at + 1 < len ? text[at + 1] : 0;
    if (c == '&')
        return next == '#';
    if (c == '.' || c == '-')
        return sign(text, len, at + (next == ' ' ? 2 : 1));
    if (c == '\\')
        return (next | 0x20) == 'u' || digit(next, 8) >= 0;
    return digit(c, 10) >= 0 && (at == 0 || digit(text[at - 1], 10) < 0) && number_start(text, len, at);
}

size_t kt_decode_codes(const char *text, size_t len, size_t *at, char *out)
{
    const char *in = text + *at;
    size_t left = len - *at, used = 0, n = 0;
    if (in[0] == '.' || in[0] == '-')
        n = morse(in, left, out, &used);
    else if (digit(in[0], 10) >= 0)
        n = run(&forms[left > 3 && digit(in[3], 10) >= 0 ? BITS : NUMBERS], in, left, out, &used);
    for (size_t i = 0; n == 0 && i < BITS; i++)
        if (opens(&forms[i], in[0]))
            n = run(&forms[i], in, left, out, &used);
    *at += n > 0 ? used : 0;
    return n;
}
