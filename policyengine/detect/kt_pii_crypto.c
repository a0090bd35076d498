/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses of Bitcoin (base58check, bech32, bech32m) and Ethereum (EIP-55 where it is written in mixed
 * case). */
#include "policyengine/detect/kt_pii_keccak.h"
#include "policyengine/detect/kt_pii_text.h"

#include <string.h>

/* The word at `at`, alphanumeric and at most KT_PII_CHARS long; 0 = there is none. The scanner shows words
 * whole. */
static size_t word_len(const struct kt_pii_view *v, size_t at)
{
    size_t n = 0;
    while (at + n < v->len && kt_pii_alnum((unsigned char)v->data[at + n]) && n <= KT_PII_CHARS)
        n++;
    return n <= KT_PII_CHARS ? n : 0;
}

/* ---- base58check: a version, a hash of 20 bytes, four bytes of a double SHA-256 ---- */

static bool base58(const char *s, size_t len, uint8_t out[25])
{
    static const char digits[] = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
    memset(out, 0, 25);
    for (size_t i = 0; i < len; i++) {
        const char *d = s[i] ? strchr(digits, s[i]) : NULL;
        if (!d)
            return false;
        unsigned carry = (unsigned)(d - digits);
        for (unsigned b = 25; b-- > 0;) {
            carry += 58u * out[b];
            out[b] = (uint8_t)carry;
            carry >>= 8;
        }
        if (carry)
            return false;
    }
    return true;
}

static bool sha256(const void *data, size_t len, uint8_t out[32])
{
    char hex[KT_SHA256_HEX];
    if (!kt_is_ok(kt_sha256_hex(data, len, hex)))
        return false;
    for (unsigned i = 0; i < 32; i++) {
        unsigned high = (unsigned)(hex[2 * i] <= '9' ? hex[2 * i] - '0' : hex[2 * i] - 'a' + 10);
        unsigned low = (unsigned)(hex[2 * i + 1] <= '9' ? hex[2 * i + 1] - '0' : hex[2 * i + 1] - 'a' + 10);
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static bool base58check(const char *s, size_t len)
{
    uint8_t raw[25], once[32], twice[32];
    if (len < 26 || len > 35 || !base58(s, len, raw) || (raw[0] != 0 && raw[0] != 5))
        return false;
    return sha256(raw, 21, once) && sha256(once, 32, twice) && memcmp(raw + 21, twice, 4) == 0;
}

/* ---- bech32 (BIP 173) and bech32m (BIP 350) ---- */

static uint32_t polymod(uint32_t sum, unsigned value)
{
    static const uint32_t generator[] = {0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3};
    uint32_t top = sum >> 25;
    sum = (sum & 0x1ffffff) << 5 ^ value;
    for (unsigned i = 0; i < 5; i++)
        if (top >> i & 1)
            sum ^= generator[i];
    return sum;
}

static bool bech32(const char *s, size_t len)
{
    static const char digits[] = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";
    uint32_t sum = 1;
    bool upper = false, lower = false;
    if (len < 14 || len > 74 || kt_pii_upper(s[2]) != '1')
        return false;
    for (unsigned i = 0; i < 2; i++)
        sum = polymod(sum, (unsigned)(s[i] | 0x20) >> 5);
    sum = polymod(sum, 0);
    for (unsigned i = 0; i < 2; i++)
        sum = polymod(sum, (unsigned)(s[i] | 0x20) & 31);
    for (size_t i = 0; i < len; i++) {
        upper |= s[i] >= 'A' && s[i] <= 'Z';
        lower |= s[i] >= 'a' && s[i] <= 'z';
        const char *d = s[i] ? strchr(digits, s[i] >= 'A' ? s[i] | 0x20 : s[i]) : NULL;
        if (i > 2 && !d)
            return false;
        if (i > 2)
            sum = polymod(sum, (unsigned)(d - digits));
    }
    return !(upper && lower) && (sum == 1 || sum == 0x2bc830a3);
}

static enum kt_pii_answer btc_match(const struct kt_pii_view *v, size_t at, size_t *start, size_t *end)
{
    const char *s = v->data + at;
    size_t len = kt_pii_starts(v, at) ? word_len(v, at) : 0;
    if (len < 14)
        return KT_PII_NO;
    bool segwit = kt_pii_upper(s[1]) == 'C' && kt_pii_upper(s[0]) == 'B';
    bool legacy = s[0] == '1' || s[0] == '3';
    if (!(legacy && base58check(s, len)) && !(segwit && bech32(s, len)))
        return KT_PII_NO;
    *start = at;
    *end = at + len;
    return kt_pii_ends_word(v, *end, false);
}

/* ---- Ethereum ---- */

/* EIP-55: a letter is a capital where the digit of the hash at its place is 8 or more. */
static bool eip55(const char *hex)
{
    char small[40];
    uint8_t hash[32];
    for (unsigned i = 0; i < 40; i++)
        small[i] = hex[i] >= 'A' && hex[i] <= 'F' ? (char)(hex[i] | 0x20) : hex[i];
    kt_pii_keccak256(small, sizeof small, hash);
    for (unsigned i = 0; i < 40; i++) {
        unsigned digit = i % 2 ? hash[i / 2] & 15u : hash[i / 2] >> 4;
        if (kt_pii_alpha((unsigned char)hex[i]) && (hex[i] < 'a') != (digit >= 8))
            return false;
    }
    return true;
}

static enum kt_pii_answer eth_match(const struct kt_pii_view *v, size_t at, size_t *start, size_t *end)
{
    const char *s = v->data + at;
    if (s[0] != '0' || !kt_pii_starts(v, at) || word_len(v, at) != 42 || (s[1] | 0x20) != 'x')
        return KT_PII_NO;
    bool upper = false, lower = false, zero = true;
    for (unsigned i = 2; i < 42; i++) {
        if (!kt_pii_hex((unsigned char)s[i]))
            return KT_PII_NO;
        upper |= s[i] >= 'A' && s[i] <= 'F';
        lower |= s[i] >= 'a';
        zero &= s[i] == '0';
    }
    bool checked = upper && lower;
    if (zero || (checked ? !eip55(s + 2) : !kt_pii_context(v, at, 64, KT_PII_W_CRYPTO | KT_PII_W_NETWORK)))
        return KT_PII_NO;
    *start = at;
    *end = at + 42;
    return kt_pii_ends_word(v, *end, false);
}

const struct kt_pii_kind kt_pii_btc = {.label = "btc",
                                       .name = "BTC",
                                       .also = " bitcoin crypto bitcoin_address ",
                                       .help = "Bitcoin addresses: base58check, bech32, bech32m",
                                       .starts = KT_PII_AT_DIGIT | KT_PII_AT_LETTER,
                                       .words = KT_PII_LEN(14, 63),
                                       .match = btc_match};

const struct kt_pii_kind kt_pii_eth = {.label = "eth",
                                       .name = "ETH",
                                       .also = " ethereum crypto ethereum_address ",
                                       .help = "Ethereum addresses: EIP-55, or a word that names them",
                                       .starts = KT_PII_AT_DIGIT,
                                       .words = KT_PII_LEN(42, 42),
                                       .match = eth_match};
