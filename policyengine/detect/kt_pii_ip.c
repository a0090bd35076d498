/* SPDX-License-Identifier: Apache-2.0 */
/*
 * IPv4 and IPv6 addresses with their prefix length or zone. Private and loopback addresses count: they
 * describe a network. What does not count: a "::" that nothing calls an address and slices such as "a[::2]",
 * object identifiers (1.3.6.1.4.1), versions behind the word.
 */
#include "policyengine/detect/kt_bytes.h"
#include "policyengine/detect/kt_pii_text.h"

#include <string.h>

#define V6_MAX 45u
#define ZONE_MAX 16u

/* Reads a decimal of up to three digits, at most `max`; false where there is none or a fourth digit follows.
 */
static bool decimal(const struct kt_pii_view *v, size_t *at, unsigned max)
{
    unsigned value = 0, n = 0;
    for (; *at < v->len && n < 4 && kt_pii_digit((unsigned char)v->data[*at]); n++)
        value = value * 10 + (unsigned)(v->data[(*at)++] - '0');
    return n > 0 && n < 4 && value <= max;
}

static enum kt_pii_answer open_end(const struct kt_pii_view *v, size_t at)
{
    return at >= v->len && !v->final ? KT_PII_MORE : KT_PII_NO;
}

/* "/24" belongs to the address where it is a prefix length, "%eth0" where `zone`. Never NO. */
static enum kt_pii_answer suffix(const struct kt_pii_view *v, unsigned bits, bool zone, size_t *end)
{
    size_t i = *end;
    if (zone && i < v->len && v->data[i] == '%') {
        size_t n = 1;
        while (i + n < v->len && n <= ZONE_MAX && kt_pii_word((unsigned char)v->data[i + n]))
            n++;
        if (i + n >= v->len && !v->final)
            return KT_PII_MORE;
        *end = i = n > 1 ? i + n : i;
    }
    if (i < v->len && v->data[i] == '/') {
        i++;
        bool valid = decimal(v, &i, bits);
        if (i >= v->len && !v->final)
            return KT_PII_MORE;
        if (valid && (i == v->len || !kt_pii_word((unsigned char)v->data[i])))
            *end = i;
    }
    return i >= v->len && !v->final ? KT_PII_MORE : KT_PII_YES;
}

/* Behind an address: no word, no further ".digit". */
static enum kt_pii_answer boundary(const struct kt_pii_view *v, size_t end)
{
    if (end == v->len)
        return v->final ? KT_PII_YES : KT_PII_MORE;
    unsigned char c = (unsigned char)v->data[end];
    if (kt_pii_word(c))
        return KT_PII_NO;
    if (c != '.')
        return KT_PII_YES;
    if (end + 1 == v->len)
        return v->final ? KT_PII_YES : KT_PII_MORE;
    return kt_pii_digit((unsigned char)v->data[end + 1]) ? KT_PII_NO : KT_PII_YES;
}

/* "Chrome/120.0.0.0": of a program, as user agents name them. Names of machines are small letters. */
static bool of_program(const struct kt_pii_view *v, size_t at)
{
    size_t i = at;
    if (i == 0 || v->data[--i] != '/')
        return false;
    while (i > 0 && kt_pii_alpha((unsigned char)v->data[i - 1]))
        i--;
    return v->data[i] >= 'A' && v->data[i] <= 'Z' && (i == 0 || !strchr("/.-_", v->data[i - 1]));
}

/* "23.3.4.6" is a section far more often than a machine; 10/8 is a network that people have. */
static bool small(const char *s, size_t len)
{
    unsigned value = 0, octets = 0;
    bool low = true;
    for (size_t i = 0; i < len && low; i++) {
        value = s[i] == '.' ? 0 : value * 10 + (unsigned)(s[i] - '0');
        octets += s[i] == '.';
        low = value < 32 && !(octets == 0 && value == 10 && s[i + 1] == '.');
    }
    return low;
}

/* Names of X.509 and of management: "2.5.29.15", "1.3.6.1". */
static bool object_identifier(const char *s, size_t len)
{
    static const char *const arcs[] = {"2.5.4.", "2.5.29.", "1.3.6.1", "1.3.101.", "1.3.132."};
    for (size_t i = 0; i < KT_COUNT(arcs); i++)
        if (len >= strlen(arcs[i]) && memcmp(s, arcs[i], strlen(arcs[i])) == 0)
            return true;
    return false;
}

/* The name of a member (`"v": "from 192.0.2.7"`): "v" says version of what stands right behind it only.
 * `far`: bytes from it to the number. */
static bool letter_only(const struct kt_pii_view *v, size_t at, size_t far)
{
    size_t end = at - far;
    bool one = end > 0 && (v->data[end - 1] | 0x20) == 'v' &&
               (end == 1 || !kt_pii_alpha((unsigned char)v->data[end - 2]));
    return one && far > 5 && (v->data[end] == '"' || v->data[end] == '\'');
}

/* "version 1.2.3.4" is none, and neither is a bare 1.2.3.4 unless something says so. */
static bool meant_as_v4(const struct kt_pii_view *v, size_t at, size_t end)
{
    static const char *const known[] = {"1.1.1.1", "1.0.0.1", "8.8.8.8", "8.8.4.4", "9.9.9.9", "0.0.0.0"};
    if (of_program(v, at))
        return false;
    size_t version = kt_pii_near(v, at, 24, KT_PII_W_VERSION);
    size_t network = kt_pii_near(v, at, 32, KT_PII_W_NETWORK);
    if (version != KT_PII_FAR && !letter_only(v, at, version))
        return network < version;
    if (network != KT_PII_FAR)
        return true;
    if (object_identifier(v->data + at, end - at))
        return false;
    if (end - at > 7 && !small(v->data + at, end - at))
        return true;
    for (size_t i = 0; i < KT_COUNT(known); i++)
        if (end - at == 7 && memcmp(v->data + at, known[i], 7) == 0)
            return true;
    return at > 0 && v->data[at - 1] && strchr("[@/=:\"'", v->data[at - 1]);
}

/* Four decimals; YES with the end where no word goes on behind them. */
static enum kt_pii_answer form_v4(const struct kt_pii_view *v, size_t at, size_t *end)
{
    size_t i = at;
    for (unsigned octet = 0; octet < 4; octet++) {
        if (octet > 0 && (i >= v->len || v->data[i++] != '.'))
            return open_end(v, i);
        if (!decimal(v, &i, 255))
            return open_end(v, i);
    }
    *end = i;
    return boundary(v, i);
}

static enum kt_pii_answer match_v4(const struct kt_pii_view *v, size_t at, size_t *end)
{
    if (!kt_pii_starts_number(v, at))
        return KT_PII_NO;
    enum kt_pii_answer a = form_v4(v, at, end);
    if (a != KT_PII_YES)
        return a;
    return meant_as_v4(v, at, *end) ? suffix(v, 32, false, end) : KT_PII_NO;
}

/* Length of a valid IPv6 address that fills s exactly, judged by its parts; false where it is none. */
static bool valid_v6(const char *s, size_t len)
{
    unsigned groups = 0;
    bool gap = false;
    size_t i = 0;
    if (len >= 2 && s[0] == ':' && s[1] != ':')
        return false;
    while (i < len) {
        if (s[i] == ':' && i + 1 < len && s[i + 1] == ':') {
            if (gap)
                return false;
            gap = true;
            i += 2;
            continue;
        }
        if (s[i] == ':' && ++i == len)
            return false;
        size_t n = 0;
        while (i + n < len && kt_pii_hex((unsigned char)s[i + n]))
            n++;
        if (i + n < len && s[i + n] == '.') { /* an IPv4 tail is two groups */
            struct kt_pii_view tail = {.data = s + i, .len = len - i, .final = true};
            size_t end = 0;
            groups += 2;
            return form_v4(&tail, 0, &end) == KT_PII_YES && end == len - i &&
                   (gap ? groups < 8 : groups == 8);
        }
        if (n == 0 || n > 4)
            return false;
        groups++;
        i += n;
        if (i < len && s[i] != ':')
            return false;
    }
    return gap ? groups < 8 : groups == 8;
}

/* The unspecified address: "::/0" says that it is one, "::" needs a word in front ("listen on ::"). */
static bool meant_as_any(const struct kt_pii_view *v, size_t at)
{
    bool prefix = at + 3 < v->len && v->data[at + 2] == '/' && kt_pii_digit((unsigned char)v->data[at + 3]);
    bool apart = at == 0 || (v->data[at - 1] && strchr(" =\"'[(,", v->data[at - 1]));
    return apart && (prefix || kt_pii_context(v, at, 32, KT_PII_W_NETWORK));
}

/* "Class::add", "x[::2]" and "::" have the form of an address, but nobody means one. */
static bool meant_as_v6(const struct kt_pii_view *v, size_t at, size_t len)
{
    const char *s = v->data + at;
    bool digit = false, letter = false;
    for (size_t i = 0; i < len; i++) {
        digit |= kt_pii_digit((unsigned char)s[i]);
        letter |= kt_pii_alpha((unsigned char)s[i]);
    }
    if (len == 2)
        return meant_as_any(v, at);
    if (!digit)
        return false;
    bool indexed = at >= 2 && v->data[at - 1] == '[' &&
                   (kt_pii_word((unsigned char)v->data[at - 2]) || strchr(")]", v->data[at - 2]));
    if (len <= 5 && !letter) /* "::1" is the loopback; "1::2", "::3" are slices */
        return len == 3 && memcmp(s, "::1", 3) == 0 && !indexed;
    return !indexed;
}

KT_BYTES_INLINE kt_bytes hex_digits(kt_bytes v)
{
    return kt_bytes_digits(v) | kt_bytes_within(v | kt_bytes_each(0x20), 'a', 'f');
}

static enum kt_pii_answer match_v6(const struct kt_pii_view *v, size_t at, size_t *end)
{
    if (!kt_pii_starts(v, at) || (at > 0 && v->data[at - 1] == ':'))
        return KT_PII_NO;
    /* Most words and numbers are no first group; in sight of the end it is read to the end. */
    if (v->len - at > V6_MAX + 2 && v->data[kt_bytes_end(v->data, at + 5, at, hex_digits)] != ':')
        return KT_PII_NO;
    size_t i = at;
    bool colon = false;
    while (i < v->len && i - at <= V6_MAX &&
           (kt_pii_hex((unsigned char)v->data[i]) || v->data[i] == ':' || v->data[i] == '.')) {
        colon |= v->data[i++] == ':';
        if (!colon && i - at > 4)
            return KT_PII_NO;
    }
    if (!v->final && (i == v->len || (i == at + 2 && i + 2 > v->len)) && i - at <= V6_MAX)
        return KT_PII_MORE;
    while (i > at &&
           (v->data[i - 1] == '.' || (v->data[i - 1] == ':' && (i < at + 2 || v->data[i - 2] != ':'))))
        i--;
    if (i - at < 2 || !valid_v6(v->data + at, i - at) || !meant_as_v6(v, at, i - at))
        return KT_PII_NO;
    enum kt_pii_answer a = boundary(v, i);
    *end = i;
    return a == KT_PII_YES ? suffix(v, 128, true, end) : a;
}

static enum kt_pii_answer ip_match(const struct kt_pii_view *v, size_t at, size_t *start, size_t *end)
{
    *start = at;
    enum kt_pii_answer a = KT_PII_NO;
    if (kt_pii_digit((unsigned char)v->data[at]))
        a = match_v4(v, at, end);
    return a == KT_PII_NO ? match_v6(v, at, end) : a;
}

const struct kt_pii_kind kt_pii_ip = {.label = "ip",
                                      .name = "IP",
                                      .also = " ip_address ipv4 ipv6 ",
                                      .help = "IPv4 and IPv6 addresses, with their prefix length or zone",
                                      .starts = KT_PII_AT_DIGIT | KT_PII_AT_LETTER | KT_PII_AT_COLON,
                                      .words = KT_PII_LEN(1, 4),
                                      .behind = ".:",
                                      .behind_words = true,
                                      .match = ip_match};
