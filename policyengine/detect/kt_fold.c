/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/detect/kt_fold.h"
#include "policyengine/detect/kt_bytes.h"
#include "policyengine/detect/kt_chars.h"
#include "policyengine/detect/kt_decode_codes.h"
#include "policyengine/detect/kt_fold_table.h"
#include "policyengine/detect/kt_pii_fold.h"

#include <stdatomic.h>
#include <string.h>

enum { DROP = 0, KEEP = 1 }; /* answers of fold_char that are no byte */

/* Length of the character at p by its first byte, its code point in *cp; 0 = not UTF-8. A character that
 * `len` cuts gives its full length and cp 0 as long as what is there can still become one. */
static size_t decode(const unsigned char *p, size_t len, uint32_t *cp)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t n = p[0] >= 0xf0 && p[0] <= 0xf4  ? 4
               : p[0] >= 0xe0 && p[0] < 0xf0 ? 3
               : p[0] >= 0xc2 && p[0] < 0xe0 ? 2
                                             : 0;
    if (n == 0)
        return 0;
    uint32_t c = p[0] & (0xffu >> (n + 1));
    for (size_t i = 1; i < n; i++) {
        if (i == len) {
            *cp = 0;
            return n;
        }
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (p[i] & 0x3f);
    }
    *cp = c;
    return c >= least[n] ? n : 0;
}

struct range {
    uint32_t first, last;
};

static bool in_ranges(const struct range *r, size_t n, uint32_t cp)
{
    for (size_t i = 0; i < n; i++)
        if (cp >= r[i].first && cp <= r[i].last)
            return true;
    return false;
}

/* Characters that take no room: a word that is cut by them reads as one. */
static bool invisible(uint32_t cp)
{
    static const struct range low[] = {{0xad, 0xad},     {0x300, 0x36f},   {0x483, 0x489},
                                       {0x61c, 0x61c},   {0x115f, 0x1160}, {0x17b4, 0x17b5},
                                       {0x180b, 0x180f}, {0x1ab0, 0x1aff}, {0x1dc0, 0x1dff}};
    static const struct range high[] = {
        {0x200b, 0x200f}, {0x202a, 0x202e}, {0x2060, 0x206f}, {0x20d0, 0x20ff}, {0x3164, 0x3164},
        {0xfe00, 0xfe0f}, {0xfe20, 0xfe2f}, {0xfeff, 0xfeff}, {0xffa0, 0xffa0}, {0xe0100, 0xe01ef}};
    return cp < 0x2000 ? in_ranges(low, KT_COUNT(low), cp) : in_ranges(high, KT_COUNT(high), cp);
}

/* Stops of Arabic, Urdu and Hindi. */
static char script_stop(uint32_t cp)
{
    return cp == 0x61f ? '?' : cp == 0x60c ? ',' : cp == 0x6d4 || cp == 0x964 ? '.' : KEEP;
}

static char punctuation(uint32_t cp)
{
    switch (cp) {
    case 0x85:
    case 0x2028:
    case 0x2029:
        return '\n';
    case 0xa0:
    case 0x1680:
    case 0x202f:
    case 0x205f:
    case 0x3000:
        return ' ';
    case 0x2018:
    case 0x2019:
    case 0x201a:
    case 0x201b:
    case 0x2032:
    case 0x2bc:
    case 0xb4:
    case 0x2039:
    case 0x203a:
        return '\'';
    case 0xab:
    case 0xbb:
    case 0x201c:
    case 0x201d:
    case 0x201e:
    case 0x201f:
    case 0x2033:
    case 0x300c:
    case 0x300d:
        return '"';
    case 0x2010:
    case 0x2011:
    case 0x2012:
    case 0x2013:
    case 0x2014:
    case 0x2015:
    case 0x2212:
        return '-';
    case 0x2024:
    case 0x3002:
        return '.';
    case 0x2223:
    case 0x2502:
    case 0x23d0:
        return '|';
    default:
        return script_stop(cp);
    }
}

/* Spaces, and signs that are part of no word: they separate words as a space does. */
static bool separates(uint32_t cp)
{
    static const struct range signs[] = {{0xa1, 0xa9},     {0xac, 0xb4},     {0xb6, 0xb9},
                                         {0xbb, 0xbf},     {0x2000, 0x206f}, {0x2190, 0x249b},
                                         {0x24ea, 0x2bff}, {0x3000, 0x303f}, {0xfe30, 0xfe6f}};
    return in_ranges(signs, KT_COUNT(signs), cp);
}

/* Letters of other scripts that look Latin; the other blocks of the table are forms of Latin letters. */
static bool lookalike(uint32_t cp)
{
    return (cp >= 0x370 && cp <= 0x52f) || (cp >= 0x1d00 && cp <= 0x1d7f);
}

/* What `f` was told not to fold. Accents always go: the pattern sets are written without them. */
static bool keeps(const struct kt_fold *f, uint32_t cp)
{
    bool accent = cp < 0x370 || (cp >= 0x1e00 && cp <= 0x1eff);
    return lookalike(cp) ? f->keep_lookalikes : f->keep_forms && !accent && punctuation(cp) == KEEP;
}

/* The byte that stands for a character beyond ASCII: KEEP, DROP or the byte. */
static char fold_char(uint32_t cp)
{
    if (invisible(cp))
        return DROP;
    if (cp >= 0x1d400 && cp <= 0x1d6a3)
        return (char)('a' + (cp - 0x1d400) % 52 % 26);
    if (cp >= 0x1d7ce && cp <= 0x1d7ff)
        return (char)('0' + (cp - 0x1d7ce) % 10);
    if (cp >= 0xff01 && cp <= 0xff5e) {
        char c = (char)(cp - 0xff01 + '!');
        return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
    }
    char p = punctuation(cp);
    if (p != KEEP)
        return p;
    for (size_t i = 0; i < KT_COUNT(kt_fold_blocks) && cp >= kt_fold_blocks[i].first; i++)
        if (cp <= kt_fold_blocks[i].last) {
            char c = kt_fold_blocks[i].letters[cp - kt_fold_blocks[i].first];
            return c == '.' ? KEEP : c;
        }
    return separates(cp) ? ' ' : KEEP;
}

/* Letters that are written as two. */
static const char *two_letters(uint32_t cp)
{
    switch (cp) {
    case 0xdf:
        return "ss";
    case 0xc6:
    case 0xe6:
        return "ae";
    case 0x152:
    case 0x153:
        return "oe";
    case 0xfb00:
        return "ff";
    case 0xfb01:
        return "fi";
    case 0xfb02:
        return "fl";
    case 0xfb05:
    case 0xfb06:
        return "st";
    default:
        return NULL;
    }
}

static void put(struct kt_fold *f, const char *bytes, size_t n)
{
    char *out = f->out + f->len;
    if (f->gap && f->len > 0)
        *out++ = f->gap;
    f->gap = 0;
    for (size_t i = 0; i < n; i++) /* at most four: no call */
        out[i] = bytes[i];
    f->len = (size_t)(out - f->out) + n;
}

/* A sign that is part of no word, as an emoji, is one by itself. */
static void put_sign(struct kt_fold *f, const char *in, size_t n)
{
    f->gap = f->gap ? f->gap : ' ';
    put(f, in, n);
    f->gap = ' ';
}

static void hide(struct kt_fold *f, uint32_t byte)
{
    if (f->hidden && f->hidden_len < KT_FOLD_HIDDEN && byte >= ' ')
        f->hidden[f->hidden_len++] = (char)byte;
}

/* What becomes of a character beyond ASCII: one of these, or the byte that stands for it. */
enum { UNKNOWN, DROPPED, KEPT, A_SIGN, TWO };

static uint8_t find_fate(uint32_t cp)
{
    if (two_letters(cp))
        return TWO;
    char c = fold_char(cp);
    return c == DROP ? DROPPED : c != KEEP ? (uint8_t)c : kt_char_is_word(cp) ? KEPT : A_SIGN;
}

/* Most characters come again: found once, by whichever thread, and the same for all. */
static inline uint8_t fate(uint32_t cp)
{
    static _Atomic uint8_t fates[0x10000];
    uint8_t known = UNKNOWN;
    if (cp >= KT_COUNT(fates))
        return find_fate(cp);
    known = atomic_load_explicit(&fates[cp], memory_order_relaxed);
    if (known == UNKNOWN)
        atomic_store_explicit(&fates[cp], known = find_fate(cp), memory_order_relaxed);
    return known;
}

static void wide_char(struct kt_fold *f, const char *in, size_t n, uint32_t cp)
{
    if ((f->keep_lookalikes | f->keep_forms) && keeps(f, cp)) {
        put(f, in, n);
        return;
    }
    if (cp >= 0xe0000 && cp <= 0xe007f) {
        hide(f, cp & 0x7f);
        return;
    }
    if (cp >= 0xe0100 && cp <= 0xe01ef)
        hide(f, cp - 0xe0100 + 16);
    char c = (char)fate(cp);
    if (c > TWO && c != ' ' && c != '\n')
        put(f, &c, 1);
    else if (c == KEPT)
        put(f, in, n);
    else if (c == ' ' || c == '\n')
        f->gap = f->gap == '\n' ? '\n' : c;
    else if (c == TWO)
        put(f, two_letters(cp), 2);
    else if (c == A_SIGN)
        put_sign(f, in, n);
}

static inline void ascii_char(struct kt_fold *f, unsigned char c)
{
    if (c > ' ') {
        char low = (char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
        if (f->gap)
            put(f, &low, 1);
        else
            f->out[f->len++] = low;
    } else if (c == '\n' || c == '\r') {
        f->gap = '\n';
    } else if (!f->gap && (c == ' ' || c == '\t' || c == '\v' || c == '\f')) {
        f->gap = ' ';
    }
}

static inline bool may_escape(char c)
{
    return c == '\\' || c == '&';
}

/* The escape at `in`, or a sign that is none; returns its bytes. A Windows path may lose a letter by it. */
static size_t escape_char(struct kt_fold *f, const char *in, size_t len)
{
    char c = in[0];
    size_t n = f->escapes ? kt_decode_code(in, len, &c) : 0;
    struct kt_pii_unit u = {.raw = 1};
    if (n == 0 && f->escapes && c == '\\')
        u = kt_pii_unit(in, len, true, true);
    uint32_t cp = 0;
    if (u.raw > 1 && (unsigned char)u.text[0] >= 0x80 &&
        decode((const unsigned char *)u.text, u.len, &cp) == u.len)
        wide_char(f, u.text, u.len, cp);
    else
        ascii_char(f, (unsigned char)(u.raw > 1 ? u.text[0] : c));
    return n ? n : u.raw;
}

/* The byte that a plain one is: small. */
static inline kt_bytes small(kt_bytes v)
{
    return v | (kt_bytes_within(v, 'A', 'Z') & kt_bytes_each(0x20));
}

/* One bit for each of the 16 bytes at `in` that is printable ASCII and begins no escape, a space only where
 * the next byte is a printable sign: 17 bytes must be readable. */
static inline unsigned plain_sixteen(const unsigned char *in)
{
    kt_bytes v = kt_bytes_load((const char *)in), next = kt_bytes_load((const char *)in + 1);
    kt_bytes sign = kt_bytes_within(v, '!', '~') & ~(kt_bytes_are(v, '\\') | kt_bytes_are(v, '&'));
    return kt_bytes_mask(sign | (kt_bytes_are(v, ' ') & kt_bytes_within(next, '!', '~')));
}

/* Writes the first n of 16 bytes; where there is room zeros behind them, and nothing that must be wiped. */
static inline void put_some(const unsigned char *in, unsigned n, char *out, size_t room)
{
    static const char window[32] = {[0 ... 15] = (char)0xff};
    kt_bytes v = small(kt_bytes_load((const char *)in)) & kt_bytes_load(window + 16 - n);
    memcpy(out, &v, room < sizeof v ? n : sizeof v);
}

/* Takes plain bytes of the 16 at `in` and returns how many: in steps of eight, none of which begins with a
 * space; 0 = look at one byte. *over: what follows them is not plain. */
static inline unsigned plain_steps(const unsigned char *in, size_t len, char *out, size_t room, bool *over)
{
    unsigned char end[17] = {0};
    if (room < 8 || in[0] == ' ')
        return 0;
    if (len < sizeof end)
        in = memcpy(end, in, len);
    unsigned plain = plain_sixteen(in), n = 16;
    if ((plain & 0xff) != 0xff) {
        n = (unsigned)__builtin_ctz(~plain);
        *over = true;
    } else if (plain != 0xffff || in[8] == ' ' || room < 16) {
        n = 8;
    }
    put_some(in, n, out, room);
    return n;
}

/* The common run: printable ASCII with single spaces between words, nothing pending. Returns the bytes taken.
 */
static size_t plain_run(struct kt_fold *f, const unsigned char *in, size_t len)
{
    size_t room = f->cap - f->len - 4, n = len < room ? len : room, i = 0;
    char *out = f->out + f->len;
    bool over = false;
    while (i < n && !over) {
        unsigned step = plain_steps(in + i, len - i, out + i, n - i, &over);
        i += step;
        if (step > 0)
            continue;
        unsigned char c = in[i];
        if (c == ' ' ? i + 1 == n || in[i + 1] <= ' ' || in[i + 1] > '~'
                     : c < ' ' || c > '~' || may_escape((char)c))
            break;
        out[i++] = (char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
    }
    f->len += i;
    return i;
}

size_t kt_fold_text(struct kt_fold *f, const char *in, size_t len, bool final)
{
    size_t i = 0;
    while (i < len && f->cap - f->len >= 5) { /* a gap and four bytes */
        unsigned char c = (unsigned char)in[i];
        if (may_escape((char)c)) {
            i += escape_char(f, in + i, len - i);
            continue;
        }
        if (c > ' ' && c <= '~' && !f->gap) {
            i += plain_run(f, (const unsigned char *)in + i, len - i);
            continue;
        }
        if (c < 0x80) {
            ascii_char(f, c);
            i++;
            continue;
        }
        uint32_t cp = 0;
        size_t n = decode((const unsigned char *)in + i, len - i, &cp);
        if (n > len - i && !final)
            break;
        if (n == 0 || n > len - i)
            n = 1; /* not UTF-8: a byte that is no letter to anyone */
        else
            wide_char(f, in + i, n, cp);
        i += n;
    }
    return i;
}
