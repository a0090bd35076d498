/* SPDX-License-Identifier: Apache-2.0 */
/* What a string token says, and where in the raw text it says it. */
#include "policyengine/body/kt_json_lex.h"

#include <string.h>

struct kt_span kt_json_raw(const struct kt_json *j, uint32_t tok)
{
    return kt_span(j->text + j->tok[tok].start, j->tok[tok].end - j->tok[tok].start);
}

static bool is_string(const struct kt_json *j, uint32_t tok)
{
    return tok < j->count && j->tok[tok].type == KT_JSON_STRING;
}

static size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* kt_json_str_eq of a string with a backslash. */
bool kt_json_escaped_eq(const struct kt_json *j, uint32_t tok, const char *text)
{
    const char *p = j->text + j->tok[tok].start + 1, *end = j->text + j->tok[tok].end - 1;
    size_t len = strlen(text);
    while (p < end) {
        char c[4] = {*p};
        size_t n = 1;
        p += *p == '\\' ? kt_json_escape(p, c, &n) : 1;
        if (n > len || memcmp(c, text, n) != 0)
            return false;
        text += n;
        len -= n;
    }
    return len == 0;
}

kt_result kt_json_unescape(const struct kt_json *j, uint32_t tok, struct kt_buf *out)
{
    KT_ENSURE(is_string(j, tok), KT_ERR_STATE);
    const char *p = j->text + j->tok[tok].start + 1, *end = j->text + j->tok[tok].end - 1;
    if (!j->tok[tok].escaped)
        return kt_buf_append(out, p, (size_t)(end - p));
    while (p < end) {
        const char *slash = memchr(p, '\\', (size_t)(end - p));
        size_t run = (size_t)((slash ? slash : end) - p);
        KT_GUARD(kt_buf_append(out, p, run));
        p += run;
        if (!slash)
            break;
        char c[4];
        size_t n;
        p += kt_json_escape(p, c, &n);
        KT_GUARD(kt_buf_append(out, c, n));
    }
    return kt_ok();
}

void kt_json_place_init(struct kt_json_place *p, const struct kt_json *j, uint32_t tok)
{
    p->tok = tok;
    p->decoded = 0;
    p->raw = (size_t)j->tok[tok].start + 1;
}

static size_t raw_char_len(const struct kt_json *j, size_t raw, size_t *decoded)
{
    unsigned char c = (unsigned char)j->text[raw];
    char out[4];
    if (c == '\\')
        return kt_json_escape(j->text + raw, out, decoded);
    *decoded = c < 0x80 ? 1 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;
    return *decoded;
}

void kt_json_place_step(struct kt_json_place *p, const struct kt_json *j)
{
    if (p->raw + 1 >= j->tok[p->tok].end)
        return;
    size_t n;
    p->raw += raw_char_len(j, p->raw, &n);
    p->decoded += n;
}

/* Jumps over bytes that stand for themselves, at most to `target`, and back to the start of the character
 * there. */
static void jump(struct kt_json_place *p, const struct kt_json *j, size_t target, size_t quote)
{
    size_t want = min_size(target - p->decoded, quote - p->raw);
    if (j->tok[p->tok].escaped) {
        const char *slash = memchr(j->text + p->raw, '\\', want);
        want = slash ? (size_t)(slash - j->text) - p->raw : want;
    }
    size_t raw = p->raw + want;
    while (raw > p->raw && ((unsigned char)j->text[raw] & 0xC0) == 0x80)
        raw--;
    p->decoded += raw - p->raw;
    p->raw = raw;
}

void kt_json_place_seek(struct kt_json_place *p, const struct kt_json *j, size_t target)
{
    size_t quote = (size_t)j->tok[p->tok].end - 1;
    for (;;) {
        if (target > p->decoded)
            jump(p, j, target, quote);
        if (p->raw >= quote || target == p->decoded)
            return;
        size_t n;
        size_t raw = raw_char_len(j, p->raw, &n);
        if (target < p->decoded + n)
            return;
        p->raw += raw;
        p->decoded += n;
    }
}

size_t kt_json_str_size(const struct kt_json *j, uint32_t tok)
{
    const struct kt_json_tok *t = &j->tok[tok];
    struct kt_json_place p;
    if (!t->escaped)
        return t->end - t->start - 2;
    kt_json_place_init(&p, j, tok);
    kt_json_place_seek(&p, j, SIZE_MAX);
    return p.decoded;
}

void kt_json_map_offsets(const struct kt_json *j, uint32_t tok, const size_t *decoded, size_t *raw, size_t n)
{
    struct kt_json_place p;
    kt_json_place_init(&p, j, tok);
    for (size_t i = 0; i < n; i++) {
        if (decoded[i] < p.decoded) /* not ascending: start over rather than answer nonsense */
            kt_json_place_init(&p, j, tok);
        kt_json_place_seek(&p, j, decoded[i]);
        raw[i] = p.raw;
    }
}
