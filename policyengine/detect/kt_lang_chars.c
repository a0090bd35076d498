/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/detect/kt_lang_chars.h"

#include "policyengine/detect/kt_lang_words.h"

#define L(code) (1u << KT_LANG_##code)

/* Letters that say something about the language, ascending. */
static const struct letter {
    uint32_t cp, langs;
} letters[] = {
    {0xa1, L(es)},
    {0xbf, L(es)},
    {0xdf, L(de)},
    {0xe0, L(fr) | L(it) | L(pt) | L(ca) | L(vi)},
    {0xe2, L(fr) | L(ro) | L(pt) | L(vi)},
    {0xe3, L(pt) | L(vi)},
    {0xe4, L(de) | L(sv) | L(fi) | L(sk)},
    {0xe5, L(sv) | L(da) | L(no)},
    {0xe6, L(da) | L(no)},
    {0xe7, L(fr) | L(pt) | L(tr) | L(ca)},
    {0xe8, L(fr) | L(it) | L(ca)},
    {0xea, L(fr) | L(pt) | L(vi)},
    {0xeb, L(fr) | L(nl)},
    {0xec, L(it)},
    {0xee, L(fr) | L(ro)},
    {0xf1, L(es)},
    {0xf2, L(it) | L(ca)},
    {0xf4, L(fr) | L(sk) | L(vi) | L(pt)},
    {0xf5, L(pt)},
    {0xf6, L(de) | L(sv) | L(fi) | L(hu) | L(tr)},
    {0xf8, L(da) | L(no)},
    {0xf9, L(it) | L(fr)},
    {0xfb, L(fr)},
    {0xfc, L(de) | L(tr) | L(hu)},
    {0x103, L(ro) | L(vi)},
    {0x105, L(pl)},
    {0x107, L(pl) | L(hr)},
    {0x10d, L(cs) | L(sk) | L(hr)},
    {0x111, L(vi) | L(hr)},
    {0x119, L(pl)},
    {0x11b, L(cs)},
    {0x11f, L(tr)},
    {0x131, L(tr)},
    {0x13e, L(sk)},
    {0x142, L(pl)},
    {0x144, L(pl)},
    {0x151, L(hu)},
    {0x153, L(fr)},
    {0x159, L(cs)},
    {0x15b, L(pl)},
    {0x15f, L(tr) | L(ro)},
    {0x161, L(cs) | L(sk) | L(hr)},
    {0x163, L(ro)},
    {0x165, L(sk) | L(cs)},
    {0x16f, L(cs)},
    {0x171, L(hu)},
    {0x17a, L(pl)},
    {0x17c, L(pl)},
    {0x17e, L(cs) | L(sk) | L(hr)},
    {0x1a1, L(vi)},
    {0x1b0, L(vi)},
    {0x219, L(ro)},
    {0x21b, L(ro)},
    {0x44b, L(ru)},
    {0x44d, L(ru)},
    {0x451, L(ru)},
    {0x454, L(uk)},
    {0x456, L(uk)},
    {0x457, L(uk)},
    {0x491, L(uk)},
};

uint32_t kt_lang_lower(uint32_t cp)
{
    if (cp < 0x80)
        return cp >= 'A' && cp <= 'Z' ? cp | 0x20 : cp;
    if ((cp >= 0xc0 && cp <= 0xde && cp != 0xd7) || (cp >= 0x410 && cp <= 0x42f) ||
        (cp >= 0x391 && cp <= 0x3a9))
        return cp + 0x20;
    if (cp >= 0x400 && cp <= 0x40f)
        return cp + 0x50;
    if ((cp >= 0x139 && cp <= 0x148) || (cp >= 0x179 && cp <= 0x17e))
        return cp % 2 ? cp + 1 : cp;
    if ((cp >= 0x100 && cp <= 0x177 && cp != 0x130 && cp != 0x131) || (cp >= 0x200 && cp <= 0x21f) ||
        (cp >= 0x460 && cp <= 0x52f) || (cp >= 0x1ea0 && cp <= 0x1eff))
        return cp | 1;
    return cp == 0x130 ? 'i' : cp == 0x1a0 || cp == 0x1af ? cp + 1 : cp;
}

static bool between(uint32_t cp, uint32_t low, uint32_t high)
{
    return cp >= low && cp <= high;
}

enum kt_script kt_lang_script(uint32_t cp)
{
    if (cp < 0xc0)
        return (cp | 0x20) >= 'a' && (cp | 0x20) <= 'z' ? KT_S_LATIN : KT_SCRIPTS;
    if (cp < 0x250)
        return cp == 0xd7 || cp == 0xf7 ? KT_SCRIPTS : KT_S_LATIN;
    if (between(cp, 0x300, 0x36f) || between(cp, 0x2000, 0x2bff) || between(cp, 0x3000, 0x3004) ||
        between(cp, 0x3008, 0x3020) || between(cp, 0xfe00, 0xfe6f) || cp >= 0x1f000)
        return between(cp, 0x20000, 0x3ffff) ? KT_S_HAN : KT_SCRIPTS;
    static const struct {
        uint32_t low, high;
        enum kt_script script;
    } blocks[] = {
        {0x370, 0x3ff, KT_S_GREEK},    {0x400, 0x52f, KT_S_CYRILLIC}, {0x590, 0x5ff, KT_S_HEBREW},
        {0x600, 0x6ff, KT_S_ARABIC},   {0x750, 0x77f, KT_S_ARABIC},   {0x900, 0x97f, KT_S_DEVANAGARI},
        {0xe00, 0xe7f, KT_S_THAI},     {0x1100, 0x11ff, KT_S_HANGUL}, {0x1e00, 0x1eff, KT_S_LATIN},
        {0x1f00, 0x1fff, KT_S_GREEK},  {0x3040, 0x30ff, KT_S_KANA},   {0x3130, 0x318f, KT_S_HANGUL},
        {0x31f0, 0x31ff, KT_S_KANA},   {0x3400, 0x4dbf, KT_S_HAN},    {0x4e00, 0x9fff, KT_S_HAN},
        {0xac00, 0xd7a3, KT_S_HANGUL}, {0xf900, 0xfaff, KT_S_HAN},    {0xfb50, 0xfdff, KT_S_ARABIC},
        {0xff01, 0xff20, KT_SCRIPTS},  {0xff21, 0xff5a, KT_S_LATIN},  {0xff66, 0xff9f, KT_S_KANA}};
    for (size_t i = 0; i < KT_COUNT(blocks); i++)
        if (between(cp, blocks[i].low, blocks[i].high))
            return blocks[i].script;
    return KT_S_OTHER;
}

uint32_t kt_lang_letter(uint32_t cp)
{
    size_t low = 0, high = KT_COUNT(letters);
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (letters[mid].cp < cp)
            low = mid + 1;
        else
            high = mid;
    }
    return low < KT_COUNT(letters) && letters[low].cp == cp ? letters[low].langs : 0;
}
