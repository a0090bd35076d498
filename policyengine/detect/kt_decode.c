/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/detect/kt_decode.h"

#include "policyengine/detect/kt_bytes.h"
#include "policyengine/detect/kt_chars.h"
#include "policyengine/detect/kt_decode_codes.h"

#include <string.h>

static int hex_value(unsigned char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool control(int c)
{
    return (c >= 0 && c < ' ' && c != '\n' && c != '\t' && c != '\r') || c == 0x7f;
}

/* Text for people: hardly any control byte. Bytes beyond ASCII are left to the fold. */
static bool readable(const char *text, size_t len)
{
    size_t bad = 0, letters = 0;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        bad += control(c) || c > 0x7f;
        letters += ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == ' ';
    }
    return len >= 8 && bad * 10 <= len && letters * 2 >= len;
}

/* What programs write, too: digits only, or words of any script, whose bytes stand as those of UTF-8 do. */
static bool printable(const char *text, size_t len)
{
    size_t bad = 0;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i], before = i ? (unsigned char)text[i - 1] : 0;
        unsigned char next = i + 1 < len ? (unsigned char)text[i + 1] : 0x80;
        bad += control(c) || (c >= 0x80 && c < 0xc0 && before < 0x80) || (c >= 0xc0 && (next & 0xc0) != 0x80);
    }
    return len >= 8 && bad * 10 <= len;
}

typedef bool text_test(const char *text, size_t len);

static size_t from_base64(const char *in, size_t len, text_test *is_text, char *out)
{
    size_t n = 0;
    unsigned bits = 0, have = 0;
    for (size_t i = 0; i < len && n < KT_DECODE_MAX; i++) {
        int v = kt_base64_value((unsigned char)in[i]);
        if (v < 0)
            continue; /* a line end inside of the blob */
        bits = bits << 6 | (unsigned)v;
        have += 6;
        if (have >= 8) {
            have -= 8;
            out[n++] = (char)(bits >> have & 0xff);
        }
        if (n == 32 && have < 8 && !is_text(out, n))
            return 0; /* pictures and keys: most blobs */
    }
    return is_text(out, n) ? n : 0;
}

/* RFC 4648, section 6, without lower case. */
static size_t from_base32(const char *in, size_t len, text_test *is_text, char *out)
{
    size_t n = 0;
    unsigned bits = 0, have = 0;
    for (size_t i = 0; i < len && n < KT_DECODE_MAX; i++) {
        char c = in[i];
        if (!((c >= 'A' && c <= 'Z') || (c >= '2' && c <= '7')))
            break; /* padding, or the word behind a line end */
        bits = bits << 5 | (unsigned)(c >= 'A' ? c - 'A' : c - '2' + 26);
        have += 5;
        if (have >= 8) {
            have -= 8;
            out[n++] = (char)(bits >> have & 0xff);
        }
    }
    return is_text(out, n) ? n : 0;
}

static size_t from_hex(const char *in, size_t len, text_test *is_text, char *out)
{
    size_t n = 0;
    for (size_t i = 0; i + 1 < len && n < KT_DECODE_MAX; i += 2) {
        int high = hex_value((unsigned char)in[i]), low = hex_value((unsigned char)in[i + 1]);
        if (high < 0 || low < 0)
            return 0;
        out[n++] = (char)(high << 4 | low);
    }
    return is_text(out, n) ? n : 0;
}

/* Units of two hex digits, each behind `mark` ("%", "\x", "0x") or, with mark "", behind a space. Returns
 * bytes of input used. */
static size_t from_units(const char *in, size_t len, const char *mark, char *out, size_t *n)
{
    size_t m = strlen(mark), i = 0;
    *n = 0;
    while (i + m + 2 <= len && *n < KT_DECODE_MAX && memcmp(in + i, mark, m) == 0) {
        int high = hex_value((unsigned char)in[i + m]), low = hex_value((unsigned char)in[i + m + 1]);
        if (high < 0 || low < 0)
            break;
        out[(*n)++] = (char)(high << 4 | low);
        i += m + 2;
        if (i < len && (in[i] == ' ' || in[i] == ','))
            i++;
        else if (m == 0)
            break;
    }
    if (!readable(out, *n))
        *n = 0;
    return i;
}

/* Where the run of base64 letters around `from` ends; a single line end inside of a long run belongs to it.
 */
static size_t run_end(const char *text, size_t len, size_t from)
{
    size_t i = from;
    for (;;) {
        while (i < len && kt_base64_value((unsigned char)text[i]) >= 0)
            i++;
        size_t next = i;
        if (next < len && text[next] == '\r')
            next++;
        bool goes_on = i - from >= 60 && next + 1 < len && text[next] == '\n' &&
                       kt_base64_value((unsigned char)text[next + 1]) >= 0;
        if (!goes_on)
            return i;
        i = next + 1;
    }
}

static size_t run_decode(const char *text, size_t len, text_test *is_text, char *out)
{
    size_t n = from_hex(text, len & ~(size_t)1, is_text, out);
    n = n ? n : from_base64(text, len, is_text, out);
    return n ? n : from_base32(text, len, is_text, out);
}

size_t kt_decode_run(const char *run, size_t len, char *out)
{
    return run_decode(run, len, printable, out);
}

/* Moves *at behind what it read, also where that gave no text: reading it again from the next byte would be
 * quadratic. */
static size_t units_decode(const char *text, size_t len, size_t *at, char *out)
{
    static const char *const marks[] = {"%", "\\x", "0x", ""};
    size_t most = 0;
    for (size_t m = 0; m < KT_COUNT(marks); m++) {
        size_t n = 0, used = from_units(text + *at, len - *at, marks[m], out, &n);
        most = used > most ? used : most;
        if (n == 0)
            continue;
        *at += used;
        return n;
    }
    *at += most;
    return 0;
}

static bool units_start(const char *text, size_t len, size_t at)
{
    if (len - at < 16)
        return false;
    const unsigned char *p = (const unsigned char *)text + at;
    if (p[0] == '%')
        return hex_value(p[1]) >= 0 && hex_value(p[2]) >= 0 && p[3] == '%';
    if ((p[0] == '\\' || p[0] == '0') && p[1] == 'x')
        return hex_value(p[2]) >= 0 && hex_value(p[3]) >= 0;
    return hex_value(p[0]) >= 0 && hex_value(p[1]) >= 0 && p[2] == ' ' && hex_value(p[3]) >= 0 &&
           hex_value(p[4]) >= 0 && p[5] == ' ';
}

#define PERCENT_LOOK 64u  /* decoded bytes by which it shows whether they are text */
#define PERCENT_MORE 256u /* that much behind the last place up to which it is text, and the text is over */
#define PERCENT_BACK 256u /* bytes in front of the first escape that belong to the run */
#define PERCENT_LEAST 2u  /* escapes: one stands in many an address */

static bool of_address(char c)
{
    unsigned char low = (unsigned char)c | 0x20;
    return (low >= 'a' && low <= 'z') || (c >= '0' && c <= '9') || (c && strchr("-._~!$&'()*+,;=:@/?#", c));
}

/* The byte of "%HH" at `at`; -1 = it is none. */
static int percent_byte(const char *text, size_t len, size_t at)
{
    if (len - at < 3 || text[at] != '%')
        return -1;
    int high = hex_value((unsigned char)text[at + 1]), low = hex_value((unsigned char)text[at + 2]);
    return high < 0 || low < 0 ? -1 : high << 4 | low;
}

/* Of any script: what is decoded is UTF-8. */
static bool of_word(unsigned char c)
{
    return c >= 0x80 || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == ' ';
}

/* How far a run was read. */
struct percent {
    size_t end; /* in the text */
    size_t n;   /* decoded bytes */
    size_t escapes, letters;
};

static bool wordy(const struct percent *p)
{
    return p->n >= 8 && p->letters * 2 >= p->n;
}

static bool percent_one(const char *text, size_t len, struct percent *p, char *out)
{
    if (p->end == len || p->n == KT_DECODE_MAX)
        return false;
    int c = percent_byte(text, len, p->end);
    bool escape = c >= 0;
    char raw = text[p->end];
    if (control(c) || (!escape && !of_address(raw)))
        return false;
    out[p->n] = escape ? (char)c : raw == '+' ? ' ' : strchr("?&=#", raw) ? '\n' : raw;
    p->letters += of_word((unsigned char)out[p->n++]);
    p->end += escape ? 3 : 1;
    p->escapes += escape;
    return true;
}

/* Words with percent escapes between them, by themselves or in an address: the run around the first escape,
 * as far as most of it is letters. Where there is none *at moves by one escape, and little was looked at. */
static size_t percent_decode(const char *text, size_t len, size_t *at, char *out)
{
    struct percent p = {.end = *at}, best = {.n = 0};
    while (p.end > 0 && *at - p.end < PERCENT_BACK && of_address(text[p.end - 1]))
        p.end--;
    size_t early = *at - p.end + PERCENT_LOOK;
    bool more = true;
    while (more && p.n < (best.n ? best.n + PERCENT_MORE : early)) {
        more = percent_one(text, len, &p, out);
        if (wordy(&p) && (!more || p.n >= early))
            best = p;
    }
    bool found = best.escapes >= PERCENT_LEAST;
    size_t n = found ? best.n : 0;
    *at = found ? best.end : *at + 3;
    kt_wipe(out + n, p.n - n);
    return n;
}

/* "68 65 ..." and "0x68": of all short runs few, found without a branch on each byte. */
static inline bool may_be_units(const char *p, size_t left, size_t size)
{
    return left >= 16 && (((size == 2) & (p[2] == ' ') & (p[5] == ' ')) | ((size == 4) & (p[1] == 'x')));
}

static inline bool stroke(char c)
{
    return c == '.' || c == '-';
}

/* Eight bits. */
static inline bool may_be_bits(const char *p)
{
    uint64_t w;
    memcpy(&w, p, sizeof w);
    return (w & UINT64_C(0xfefefefefefefefe)) == UINT64_C(0x3030303030303030);
}

/* Numbers of characters have two or three digits and stand apart, or eight bits; signs of Morse begin with
 * '-' here. Of the former few are a character of ASCII text. */
static inline bool may_be_codes(const char *p, size_t left, size_t size)
{
    unsigned a = (unsigned char)p[0] - '0';
    if (a > 9)
        return p[0] == '-' && left > 2 && (stroke(p[1]) || (p[1] == ' ' && stroke(p[2])));
    if (size != 2 && size != 3)
        return size >= 8 && may_be_bits(p);
    if (left == size || !(p[size] == ' ' || p[size] == ',' || p[size] == '\n'))
        return false;
    unsigned b = (unsigned char)p[1] - '0', c = size == 3 ? (unsigned char)p[2] - '0' : 0;
    unsigned value = size == 2 ? a * 10 + b : a * 100 + b * 10 + c;
    return (b <= 9) & (c <= 9) & ((value - ' ' < 0x7f - ' ') | (value == '\n'));
}

/* True where the run of base64 letters at `p` may be something else than a word. */
static inline bool of_interest(const char *p, size_t left, size_t size)
{
    return (size >= KT_DECODE_RUN) | may_be_units(p, left, size) | may_be_codes(p, left, size);
}

/* A run of base64 letters at *at: a blob, a unit of hex, a number of a character, or a word. */
static size_t run_at(const char *text, size_t len, size_t *at, size_t end, char *out)
{
    size_t i = *at, size = end - i, n = 0;
    if (may_be_units(text + i, len - i, size) && units_start(text, len, i))
        return units_decode(text, len, at, out);
    if (may_be_codes(text + i, len - i, size) && kt_decode_codes_start(text, len, i) &&
        (n = kt_decode_codes(text, len, at, out)) > 0)
        return n;
    *at = end;
    if (size < KT_DECODE_RUN)
        return 0;
    *at = run_end(text, len, i);
    return run_decode(text + i, *at - i, readable, out);
}

/* A sign at *at that may begin an escape. */
static size_t sign_at(const char *text, size_t len, size_t *at, char *out)
{
    char c = text[*at];
    size_t n = 0;
    if ((c == '%' || c == '\\') && units_start(text, len, *at))
        n = units_decode(text, len, at, out);
    else if (percent_byte(text, len, *at) >= 0)
        n = percent_decode(text, len, at, out);
    else if (c != '%' && kt_decode_codes_start(text, len, *at))
        n = kt_decode_codes(text, len, at, out);
    return n;
}

/* From *at on to the next run of base64 letters of interest, or a sign that may begin an escape: most words
 * and signs are neither. Moves *at there; *end is where the run ends, 0 = it is a sign. False where there is
 * none. */
static bool find_place(const char *text, size_t len, size_t *at, size_t *end)
{
    static const bool sign[256] = {['%'] = true, ['\\'] = true, ['&'] = true, ['.'] = true};
    struct kt_runs runs = kt_runs_of(text + *at, len - *at);
    size_t from = *at, start, base = *at;
    do {
        if (!kt_runs_next(&runs, kt_bytes_base64, &start, end))
            start = *end = len - base;
        for (size_t i = from; i < base + start; i++)
            if (sign[(unsigned char)text[i]]) {
                *at = i;
                *end = 0;
                return true;
            }
        *at = base + start;
        from = *end += base;
    } while (*at < len && !of_interest(text + *at, len - *at, *end - *at));
    return *at < len;
}

size_t kt_decode_next(const char *text, size_t len, size_t *at, char *out)
{
    size_t end = 0, n = 0;
    while (n == 0 && *at < len && find_place(text, len, at, &end)) {
        size_t before = *at;
        n = end > 0 ? run_at(text, len, at, end, out) : sign_at(text, len, at, out);
        *at += n == 0 && *at == before;
    }
    return n;
}

void kt_decode_rot13(char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i], low = c | 0x20;
        if (low >= 'a' && low <= 'z')
            text[i] = (char)(low - 'a' < 13 ? c + 13 : c - 13);
    }
}

void kt_decode_atbash(char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        char low = (char)(text[i] | 0x20);
        if (low >= 'a' && low <= 'z')
            text[i] = (char)('a' + 'z' - low);
    }
}

void kt_decode_reverse(char *text, size_t len)
{
    for (size_t i = 0; i + 1 < len - i; i++) {
        char c = text[i];
        text[i] = text[len - 1 - i];
        text[len - 1 - i] = c;
    }
}

void kt_decode_leet(char *text, size_t len)
{
    static const char letters[128] = {['0'] = 'o', ['1'] = 'i', ['3'] = 'e', ['4'] = 'a', ['5'] = 's',
                                      ['7'] = 't', ['@'] = 'a', ['$'] = 's', ['!'] = 'i', ['|'] = 'i'};
    for (size_t i = 0; i < len; i++) {
        char c = letters[text[i] & 0x7f];
        text[i] = c && !(text[i] & 0x80) ? c : text[i];
    }
}
