/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/detect/kt_terms_token.h"

#include "policyengine/detect/kt_chars.h"
#include "policyengine/detect/kt_fold.h"

#include <string.h>

enum char_kind { GAP, LETTER, SIGN, NOTHING, CUT };

struct one_char {
    enum char_kind kind;
    bool alone; /* a word of its own */
    size_t bytes, folded;
    char text[8];
};

static bool script_without_spaces(uint32_t cp)
{
    return (cp >= 0xe00 && cp <= 0xeff) || (cp >= 0x1000 && cp <= 0x109f) || (cp >= 0x1780 && cp <= 0x17ff) ||
           (cp >= 0x3040 && cp <= 0x30ff) || (cp >= 0x3400 && cp <= 0x9fff) ||
           (cp >= 0xf900 && cp <= 0xfaff) || (cp >= 0x20000 && cp <= 0x3ffff);
}

static enum char_kind ascii_kind(unsigned char c)
{
    if ((c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z'))
        return LETTER;
    return c <= ' ' || c == '-' || c == '_' || c == 0x7f ? GAP : SIGN;
}

/* Part of a word: a letter of any script, or what is drawn like one ("Ⓗ"). The letters that make flags stand
 * beside words, and so do numbers of footnotes. */
static bool is_letter(uint32_t cp, const char *folded)
{
    bool flag = cp >= 0x1f1e6 && cp <= 0x1f1ff, lowered = cp >= 0x2080 && cp <= 0x2089;
    bool drawn = folded[0] >= 'a' && folded[0] <= 'z' && !flag;
    return kt_char_is_word(cp) || drawn || lowered;
}

static enum char_kind wide_kind(uint32_t cp, const char *folded)
{
    unsigned char c = (unsigned char)folded[0];
    if (c < 0x80 && ascii_kind(c) != LETTER)
        return ascii_kind(c);
    return is_letter(cp, folded) ? LETTER : SIGN;
}

static struct one_char char_at(const char *data, size_t len, size_t at, bool final)
{
    unsigned char c = (unsigned char)data[at];
    struct one_char o = {.bytes = 1, .folded = 1};
    if (c < 0x80) {
        o.kind = ascii_kind(c);
        o.text[0] = (char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
        return o;
    }
    uint32_t cp = 0;
    size_t n = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc0 ? 2 : 1, left = len - at < n ? len - at : n;
    struct kt_fold f = {.out = o.text, .cap = sizeof o.text};
    o.bytes = kt_fold_text(&f, data + at, left, final);
    if (o.bytes == 0 && left < n && !final) {
        o.kind = CUT;
        return o;
    }
    o.bytes = kt_char_next(data + at, left, &cp);
    f = (struct kt_fold){.out = o.text, .cap = sizeof o.text};
    kt_fold_text(&f, data + at, o.bytes, true);
    o.folded = f.len;
    o.alone = script_without_spaces(cp);
    o.kind = f.len > 0 ? wide_kind(cp, o.text) : f.gap ? GAP : NOTHING;
    return o;
}

static void put(struct kt_token *t, const struct one_char *c)
{
    if (t->len + c->folded > KT_TERM_WORD_BYTES) {
        t->kind = KT_TOKEN_LONG;
        return;
    }
    memcpy(t->text + t->len, c->text, c->folded);
    t->len += c->folded;
}

void kt_token_read(const char *data, size_t len, size_t at, bool final, bool in_word, struct kt_token *out)
{
    size_t i = at;
    out->len = 0;
    out->open = false;
    out->kind = in_word ? KT_TOKEN_LONG : KT_TOKEN_WORD;
    for (; i < len;) {
        struct one_char c = char_at(data, len, i, final);
        if (c.kind == CUT) {
            out->kind = KT_TOKEN_CUT;
            return;
        }
        bool goes_on = c.kind == NOTHING || (c.kind == LETTER && !c.alone);
        if (!goes_on && i > at)
            break;
        i += c.bytes;
        if (!goes_on) {
            if (in_word) {
                out->end = at;
                return;
            }
            out->kind = c.kind == GAP ? KT_TOKEN_GAP : KT_TOKEN_WORD;
            if (c.kind != GAP)
                put(out, &c);
            out->end = i;
            return;
        }
        if (out->kind == KT_TOKEN_WORD)
            put(out, &c);
        if (i - at >= KT_TOKEN_RAW || (out->kind == KT_TOKEN_LONG && i == len)) {
            out->kind = KT_TOKEN_LONG;
            out->open = true;
            out->end = i;
            return;
        }
    }
    out->end = i;
    if (i == len && !final)
        out->kind = KT_TOKEN_CUT;
    else if (out->kind == KT_TOKEN_WORD && out->len == 0)
        out->kind = KT_TOKEN_GAP;
}
