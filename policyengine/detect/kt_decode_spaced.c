/* SPDX-License-Identifier: Apache-2.0 */
/* Letters that stand by themselves: "i g n o r e  a l l", "i-g-n-o-r-e". */
#include "policyengine/detect/kt_bytes.h"
#include "policyengine/detect/kt_decode.h"

#include <string.h>

KT_BYTES_INLINE kt_bytes word_signs(kt_bytes v)
{
    return kt_bytes_within(v | kt_bytes_each(0x20), 'a', 'z') | kt_bytes_digits(v) | kt_bytes_are(v, '_');
}

KT_BYTES_INLINE kt_bytes separators(kt_bytes v)
{
    return kt_bytes_are(v, ' ') | kt_bytes_are(v, '.') | kt_bytes_are(v, '_') | kt_bytes_are(v, '*') |
           kt_bytes_are(v, '-');
}

#define WINDOW 64u
#define ASKED                                                                                                \
    47u /* places of a window about which it tells: it must hold the byte in front and 15 behind             \
         */

/* One bit for each of the places 1..ASKED of the window from which on eight letters follow, each by itself.
 */
static uint64_t hints(const char *window)
{
    uint64_t letters = kt_bytes_bits(window, kt_bytes_small), words = kt_bytes_bits(window, word_signs);
    uint64_t one = kt_bytes_bits(window, separators) & letters >> 1; /* a separator, then a letter */
    uint64_t two = one & one >> 2, four = two & two >> 4, seven = four & two >> 8 & one >> 12;
    return letters & ~words << 1 & seven >> 1 & ~words >> 15 & ((UINT64_C(1) << ASKED) - 1) << 1;
}

/* The window from the byte in front of `at` on; zeros where the text has nothing. */
static void fill(const char *text, size_t len, size_t at, char window[WINDOW])
{
    memset(window, 0, WINDOW);
    window[0] = at > 0 ? text[at - 1] : 0;
    memcpy(window + 1, text + at, len - at < WINDOW - 1 ? len - at : WINDOW - 1);
}

bool kt_decode_spaced_hint(const char *text, size_t len)
{
    char edge[WINDOW];
    for (size_t at = 0; at < len; at += ASKED) {
        bool inside = at > 0 && len - at >= WINDOW - 1;
        if (!inside)
            fill(text, len, at, edge);
        if (hints(inside ? text + at - 1 : edge))
            return true;
    }
    return false;
}

static bool letter(char c)
{
    return c >= 'a' && c <= 'z';
}

/* Letters that stand alone from `i` on, each behind the same sign. */
static size_t spaced_letters(const char *text, size_t len, size_t i)
{
    size_t n = 1;
    char sep = i + 1 < len ? text[i + 1] : 0;
    if (!strchr(" -._*", sep ? sep : 'x'))
        return 0;
    while (i + 2 * n < len && text[i + 2 * n - 1] == sep && letter(text[i + 2 * n]))
        n++;
    bool word_follows = i + 2 * n - 1 < len && letter(text[i + 2 * n - 1]);
    return word_follows ? n - 1 : n;
}

size_t kt_decode_spaced(char *text, size_t len)
{
    size_t out = 0, i = 0;
    while (i < len) {
        bool starts = letter(text[i]) && (i == 0 || !letter(text[i - 1]));
        size_t n = starts ? spaced_letters(text, len, i) : 0;
        if (n < 4) {
            text[out++] = text[i++];
            continue;
        }
        for (size_t k = 0; k < n; k++)
            text[out++] = text[i + 2 * k];
        i += 2 * n - 1;
    }
    return out;
}
