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

void quality_answer_init(struct quality_answer *t, const char *text, size_t len)
{
    *t = (struct quality_answer){.text = kt_span(text, len), .lower = KT_BUF_INIT(QUALITY_ANSWER_MAX)};
    while (len > 0 && space(text[len - 1]))
        len--;
    while (len > 0 && space(*text)) {
        text++;
        len--;
    }
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
    while (*at < text.len && space(text.data[*at]))
        ++*at;
    *start = *at;
    while (*at < text.len && !space(text.data[*at]))
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
        stopped = stop || (stopped && closes(c));
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
