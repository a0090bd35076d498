/* SPDX-License-Identifier: Apache-2.0 */
/* Counting words, sentences and repeats. */
#include "policyengine/detect/kt_chars.h"
#include "policyengine/policies/quality.h"

#include <stdlib.h>
#include <string.h>

static bool space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Bytes of the space at s: also those that do not break, and the wide one; 0 = none. */
static size_t space_len(const char *s, size_t left)
{
    if (left > 0 && space(*s))
        return 1;
    if (left >= 2 && memcmp(s, "\xc2\xa0", 2) == 0)
        return 2;
    bool wide = left >= 3 && (memcmp(s, "\xe2\x80\xaf", 3) == 0 || memcmp(s, "\xe3\x80\x80", 3) == 0);
    return wide ? 3 : 0;
}

/* The same, and characters without width: a text of nothing else is empty. */
static size_t nothing_len(const char *s, size_t left)
{
    size_t n = space_len(s, left);
    if (n || left < 3)
        return n;
    bool zero = memcmp(s, "\xe2\x80", 2) == 0 && (unsigned char)s[2] >= 0x8b && (unsigned char)s[2] <= 0x8f;
    return zero || memcmp(s, "\xe2\x81\xa0", 3) == 0 || memcmp(s, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
}

static size_t trailing_len(const char *text, size_t len)
{
    for (size_t n = 1; n <= 3 && n <= len; n++)
        if (nothing_len(text + len - n, n) == n)
            return n;
    return 0;
}

void quality_answer_init(struct quality_answer *t, const char *text, size_t len)
{
    *t = (struct quality_answer){.text = kt_span(text, len), .lower = KT_BUF_INIT(QUALITY_ANSWER_MAX)};
    for (size_t n; (n = trailing_len(text, len)) > 0;)
        len -= n;
    for (size_t n; (n = nothing_len(text, len)) > 0; len -= n)
        text += n;
    t->trimmed = kt_span(text, len);
}

void quality_answer_free(struct quality_answer *t)
{
    kt_buf_free(&t->lower);
}

kt_result quality_answer_text(const struct quality_assertion *a, struct quality_answer *t,
                              struct kt_span *out)
{
    *out = t->trimmed;
    if (a->case_sensitive)
        return kt_ok();
    if (!t->has_lower)
        KT_GUARD(kt_chars_lower(t->trimmed.data, t->trimmed.len, &t->lower));
    t->has_lower = true;
    *out = kt_buf_span(&t->lower);
    return kt_ok();
}

/* The next word at or behind *at: [start, *at). */
static bool next_word(struct kt_span text, size_t *at, size_t *start)
{
    for (size_t n; (n = space_len(text.data + *at, text.len - *at)) > 0;)
        *at += n;
    *start = *at;
    while (*at < text.len && !space_len(text.data + *at, text.len - *at))
        ++*at;
    return *at > *start;
}

size_t quality_words(struct kt_span text)
{
    size_t at = 0, start = 0, n = 0;
    while (next_word(text, &at, &start))
        n++;
    return n;
}

/* Also the full stops of CJK, Devanagari and Arabic, which need no space behind them. */
static bool full_stop(uint32_t c, bool *alone)
{
    *alone = c == 0x3002 || c == 0xff01 || c == 0xff1f || c == 0x964 || c == 0x61f;
    return *alone || c == '.' || c == '!' || c == '?' || c == 0x2026;
}

static bool closes(uint32_t c)
{
    return c == '"' || c == '\'' || c == ')' || c == ']' || c == 0xbb || c == 0x201d || c == 0x2019 ||
           c == '*' || c == '_';
}

static bool spoken(uint32_t c)
{
    return c >= 0x80 || (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

/* Is the full stop at `at` that of a shortened word: a single letter ("e.g.", "z. B."), or one that is usual
 * in English, German, French, Spanish or Italian? */
static bool shortens(struct kt_span text, size_t at)
{
    static const char usual[] =
        " dr mr mrs ms prof st vs approx dept fig no nr bzw ca evtl ggf inkl str tel abs "
        "mme mlle av art sr sra ud uds dott sig ecc pag p.ej ";
    char word[10] = " ";
    size_t start = at, n = 0;
    while (start > 0 && at - start < 8 && spoken((unsigned char)text.data[start - 1]))
        start--;
    for (size_t i = start; i < at; i++)
        n += ((unsigned char)text.data[i] & 0xc0) != 0x80; /* characters */
    if (n == 1)
        return !(text.data[start] >= '0' && text.data[start] <= '9');
    for (n = 1; start < at; start++)
        word[n++] = (char)(text.data[start] | 0x20);
    word[n++] = ' ';
    return n > 3 && n < sizeof word && strstr(usual, word);
}

size_t quality_sentences(struct kt_span text)
{
    size_t n = 0;
    bool words = false, stopped = false;
    uint32_t c = 0, before = 0;
    for (size_t i = 0; i < text.len;) {
        size_t step = kt_char_next(text.data + i, text.len - i, &c);
        bool alone = false, stop = full_stop(c, &alone);
        bool blank = c < 0x80 && space((char)c);
        bool line = c == '\n' && before == '\n';
        if (words && (alone || line || (stopped && blank))) {
            n++;
            words = false;
        }
        stopped = (stop && !(c == '.' && shortens(text, i))) || (stopped && closes(c));
        words = words || (spoken(c) && !stop);
        before = c != '\r' ? c : before;
        i += step;
    }
    return n + words;
}

/* ---- repeats ---- */

static uint64_t mix(uint64_t h, uint64_t v)
{
    h = (h ^ v) * UINT64_C(0x9e3779b97f4a7c15);
    return h ^ h >> 29;
}

static uint64_t word_hash(const char *w, size_t len)
{
    uint64_t h = len;
    uint32_t c = 0;
    for (size_t i = 0; i < len;) {
        i += kt_char_next(w + i, len - i, &c);
        h = mix(h, kt_char_lower(c));
    }
    return h;
}

/* True where the hash was in the table before. 0 marks an empty slot. */
static bool seen(uint64_t *slots, size_t mask, uint64_t h)
{
    h |= 1;
    size_t i = (size_t)(h >> 7) & mask;
    for (; slots[i]; i = (i + 1) & mask)
        if (slots[i] == h)
            return true;
    slots[i] = h;
    return false;
}

kt_result quality_repeated(struct kt_span text, unsigned n, double *share)
{
    size_t words = quality_words(text), size = 64, at = 0, start = 0, rows = 0, again = 0;
    *share = 0;
    if (words < n || n == 0 || n > 16)
        return kt_ok();
    while (size < 2 * words)
        size *= 2;
    KT_CLEANUP(kt_cleanup_free) uint64_t *slots = calloc(size, sizeof *slots);
    KT_ENSURE(slots, KT_ERR_MEMORY);
    uint64_t last[16] = {0};
    for (size_t w = 0; next_word(text, &at, &start); w++) {
        last[w % n] = word_hash(text.data + start, at - start);
        if (w + 1 < n)
            continue;
        uint64_t h = n;
        for (unsigned k = 1; k <= n; k++)
            h = mix(h, last[(w + k) % n]);
        rows++;
        again += seen(slots, size - 1, h);
    }
    *share = (double)again / (double)rows;
    return kt_ok();
}
