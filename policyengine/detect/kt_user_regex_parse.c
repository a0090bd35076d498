/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Recursive descent over the expression; emits steps. A repeated piece is emitted anew for every time it must
 * stand, from the text of the expression, so that {n,m} needs no tree. Groups nest to a depth that a small
 * stack bears.
 */
#include "policyengine/detect/kt_user_regex_steps.h"

#include "policyengine/detect/kt_chars.h"

#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 20u
#define REPEAT_MAX 255u
#define WORK_MAX 20000u /* pieces that are read while compiling; an empty group costs no step */
#define CHAR_MAX_ 0x10ffffu

struct parser {
    struct kt_user_regex *r;
    const char *text;
    size_t at, len;
    unsigned depth, work;
    struct kt_error *err;
};

static kt_result wrong(const struct parser *p, const char *what)
{
    return kt_fail(p->err, KT_ERR_USAGE, "regular expression, offset %zu: %s", p->at, what);
}

static int peek(const struct parser *p)
{
    return p->at < p->len ? (unsigned char)p->text[p->at] : -1;
}

static bool eat(struct parser *p, const char *token)
{
    size_t n = strlen(token);
    if (p->len - p->at < n || memcmp(p->text + p->at, token, n) != 0)
        return false;
    p->at += n;
    return true;
}

static kt_result emit(struct parser *p, unsigned op, unsigned x, unsigned y)
{
    if (p->r->step_count == KT_USER_REGEX_STEPS - 1)
        return wrong(p, "is too large: write smaller {n,m} repeats or fewer alternatives");
    p->r->steps[p->r->step_count++] = (struct kt_re_step){(uint8_t)op, (uint16_t)x, (uint16_t)y};
    return kt_ok();
}

static kt_result add_range(struct parser *p, uint32_t first, uint32_t last)
{
    if (p->r->range_count == KT_RE_RANGES)
        return wrong(p, "has too many characters and classes");
    p->r->ranges[p->r->range_count++] = (struct kt_re_range){first, last};
    return kt_ok();
}

/* With (?i) the text is seen in lower case: a range also stands for the lower case of what it holds. */
static kt_result add_folded(struct parser *p, uint32_t first, uint32_t last)
{
    KT_GUARD(add_range(p, first, last));
    for (uint32_t c = first; p->r->ignore_case && c <= last && c < 0x530; c++)
        if (kt_char_lower(c) != c)
            KT_GUARD(add_range(p, kt_char_lower(c), kt_char_lower(c)));
    return kt_ok();
}

static kt_result add_class(struct parser *p, int c)
{
    static const struct kt_re_range digits[] = {{'0', '9'}},
                                    words[] = {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}},
                                    spaces[] = {{'\t', '\r'}, {' ', ' '}};
    const struct kt_re_range *set = c == 'd' || c == 'D' ? digits : c == 'w' || c == 'W' ? words : spaces;
    size_t n = set == digits ? 1 : set == words ? 4 : 2;
    uint32_t from = 0;
    for (size_t i = 0; i < n; i++) {
        if (c >= 'a')
            KT_GUARD(add_range(p, set[i].first, set[i].last));
        else if (set[i].first > from)
            KT_GUARD(add_range(p, from, set[i].first - 1));
        from = set[i].last + 1;
    }
    return c >= 'a' ? kt_ok() : add_range(p, from, CHAR_MAX_);
}

static kt_result read_hex(struct parser *p, unsigned digits, uint32_t *out)
{
    for (*out = 0; digits > 0; digits--, p->at++) {
        int c = peek(p) | 0x20;
        unsigned v = c >= '0' && c <= '9'   ? (unsigned)c - '0'
                     : c >= 'a' && c <= 'f' ? (unsigned)c - 'a' + 10
                                            : 16;
        if (peek(p) < 0 || v == 16)
            return wrong(p, "\\x wants two and \\u four hex digits");
        *out = *out << 4 | v;
    }
    return kt_ok();
}

/* Behind a backslash. *class_ receives d w s D W S, or 0 and *cp the character. */
static kt_result read_escape(struct parser *p, int *class_, uint32_t *cp)
{
    int c = peek(p);
    *class_ = 0;
    if (c < 0)
        return wrong(p, "ends with a backslash");
    p->at++;
    if (strchr("dwsDWS", c)) {
        *class_ = c;
        return kt_ok();
    }
    if (c == 'x' || c == 'u')
        return read_hex(p, c == 'x' ? 2 : 4, cp);
    const char *plain = "tnrfv", *means = "\t\n\r\f\v", *found = strchr(plain, c);
    if (found) {
        *cp = (uint32_t)means[found - plain];
        return kt_ok();
    }
    bool letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
    if (letter || (c >= '0' && c <= '9'))
        return wrong(p, "unknown escape; back-references and look-around are not supported");
    *cp = (uint32_t)c;
    return kt_ok();
}

static kt_result read_char(struct parser *p, int *class_, uint32_t *cp)
{
    *class_ = 0;
    if (eat(p, "\\"))
        return read_escape(p, class_, cp);
    p->at += kt_char_next(p->text + p->at, p->len - p->at, cp);
    return kt_ok();
}

static kt_result set(struct parser *p)
{
    bool none = eat(p, "^"), first = true;
    unsigned from = p->r->range_count;
    for (; peek(p) != ']' || first; first = false) {
        uint32_t low = 0, high = 0;
        int class_ = 0, other = 0;
        if (peek(p) < 0)
            return wrong(p, "missing ']'");
        KT_GUARD(read_char(p, &class_, &low));
        if (class_) {
            KT_GUARD(add_class(p, class_));
            continue;
        }
        high = low;
        if (peek(p) == '-' && p->at + 1 < p->len && p->text[p->at + 1] != ']') {
            p->at++;
            KT_GUARD(read_char(p, &other, &high));
            if (other || high < low)
                return wrong(p, "a range goes from a lower to a higher character");
        }
        KT_GUARD(add_folded(p, low, high));
    }
    p->at++;
    return emit(p, none ? KT_RE_NONE_OF : KT_RE_ONE_OF, from, p->r->range_count - from);
}

static kt_result alternatives(struct parser *p);

static kt_result group(struct parser *p)
{
    if (peek(p) == '?' && !eat(p, "?:"))
        return wrong(p, "of the (?..) forms only (?:..) is known, and (?i) in front");
    if (++p->depth > DEPTH_MAX)
        return wrong(p, "groups nest too deep");
    KT_GUARD(alternatives(p));
    p->depth--;
    return eat(p, ")") ? kt_ok() : wrong(p, "missing ')'");
}

static kt_result assertion(struct parser *p, unsigned op)
{
    return emit(p, op, p->r->step_count + 1, 0);
}

static kt_result atom(struct parser *p)
{
    uint32_t cp = 0;
    int class_ = 0;
    if (++p->work > WORK_MAX)
        return wrong(p, "is too large: write smaller {n,m} repeats");
    if (eat(p, "("))
        return group(p);
    if (eat(p, "["))
        return set(p);
    if (eat(p, "."))
        return emit(p, KT_RE_ANY, 0, 0);
    if (eat(p, "^"))
        return assertion(p, KT_RE_START);
    if (eat(p, "$"))
        return assertion(p, KT_RE_END);
    if (eat(p, "\\b"))
        return assertion(p, KT_RE_BOUNDARY);
    if (eat(p, "\\B"))
        return assertion(p, KT_RE_NO_BOUNDARY);
    if (peek(p) >= 0 && strchr("*+?{", peek(p)))
        return wrong(p, "nothing to repeat");
    KT_GUARD(read_char(p, &class_, &cp));
    unsigned from = p->r->range_count;
    KT_GUARD(class_ ? add_class(p, class_) : add_folded(p, cp, cp));
    return emit(p, KT_RE_ONE_OF, from, p->r->range_count - from);
}

static bool number(struct parser *p, unsigned *out)
{
    size_t start = p->at;
    for (*out = 0; peek(p) >= '0' && peek(p) <= '9' && *out <= REPEAT_MAX; p->at++)
        *out = *out * 10 + (unsigned)(peek(p) - '0');
    return p->at > start;
}

/* *most = 0 stands for no end; *least 1 and *most 1 where nothing repeats. */
static kt_result quantifier(struct parser *p, unsigned *least, unsigned *most)
{
    *least = *most = 1;
    if (eat(p, "*")) {
        *least = *most = 0;
    } else if (eat(p, "+")) {
        *most = 0;
    } else if (eat(p, "?")) {
        *least = 0;
    } else if (eat(p, "{")) {
        if (!number(p, least))
            return wrong(p, "a '{' wants a number; write \\{ for the sign itself");
        *most = *least;
        bool open = eat(p, ","), bounded = open && number(p, most);
        if (open && !bounded)
            *most = 0;
        if (!eat(p, "}") || *least > REPEAT_MAX || *most > REPEAT_MAX || (bounded && *most < *least) ||
            (!open && *least == 0) || (bounded && *most == 0))
            return wrong(p, "repeats are {n}, {n,} or {n,m} with 1 <= m <= 255 and n <= m");
    } else {
        return kt_ok();
    }
    (void)eat(p, "?"); /* lazy: the same texts match */
    if (peek(p) >= 0 && strchr("*+{", peek(p)))
        return wrong(p, "two repeats in a row; possessive ones are not supported");
    return kt_ok();
}

/* Emits the piece at `start` once more; the offset behind it stays. */
static kt_result again(struct parser *p, size_t start)
{
    size_t at = p->at;
    p->at = start;
    KT_GUARD(atom(p));
    p->at = at;
    return kt_ok();
}

static kt_result optional(struct parser *p, size_t start)
{
    unsigned split = p->r->step_count;
    KT_GUARD(emit(p, KT_RE_SPLIT, split + 1, 0));
    KT_GUARD(again(p, start));
    p->r->steps[split].y = (uint16_t)p->r->step_count;
    return kt_ok();
}

/* Behind the set at `at`: its '[' is passed. */
static size_t set_end(const struct parser *p, size_t at)
{
    at += at < p->len && p->text[at] == '^';
    for (bool first = true; at < p->len && (p->text[at] != ']' || first); first = false)
        at += p->text[at] == '\\' && at + 1 < p->len ? 2 : 1;
    return at < p->len ? at + 1 : at;
}

/* Where the row at `at` ends (a '|' or ')' of its own level, or the end); with `one`, where its first piece
 * ends. What is wrong in it is found when it is compiled. */
static size_t scan(const struct parser *p, size_t at, bool one)
{
    unsigned depth = 0;
    while (at < p->len) {
        char c = p->text[at];
        if (depth == 0 && (c == '|' || c == ')'))
            break;
        depth += c == '(';
        depth -= c == ')';
        at += c == '\\' && at + 1 < p->len ? 2 : 1;
        if (c == '[')
            at = set_end(p, at);
        if (one && depth == 0)
            break;
    }
    while (one && at < p->len && ((unsigned char)p->text[at] & 0xc0) == 0x80)
        at++; /* the rest of a character */
    return at;
}

/* \x and \u take more than one character. */
static size_t piece_end(const struct parser *p)
{
    size_t at = scan(p, p->at, true);
    if (at == p->at + 2 && p->text[p->at] == '\\')
        at += p->text[p->at + 1] == 'x' ? 2 : p->text[p->at + 1] == 'u' ? 4 : 0;
    return at < p->len ? at : p->len;
}

static kt_result piece(struct parser *p)
{
    size_t start = p->at;
    unsigned least = 1, most = 1;
    p->at = piece_end(p);
    KT_GUARD(quantifier(p, &least, &most));
    if (least == 1 && most == 1) {
        p->at = start;
        return atom(p);
    }
    for (unsigned i = 0; i < least; i++)
        KT_GUARD(again(p, start));
    for (unsigned i = least; i < most; i++)
        KT_GUARD(optional(p, start));
    if (most > 0)
        return kt_ok();
    unsigned split = p->r->step_count;
    KT_GUARD(optional(p, start));
    KT_GUARD(emit(p, KT_RE_JUMP, split, 0));
    p->r->steps[split].y = (uint16_t)p->r->step_count;
    return kt_ok();
}

static kt_result row(struct parser *p)
{
    while (peek(p) >= 0 && peek(p) != '|' && peek(p) != ')')
        KT_GUARD(piece(p));
    return kt_ok();
}

/* a|b|c: a split in front of each row but the last one, a jump to the end behind it. */
static kt_result alternatives(struct parser *p)
{
    unsigned ends[64], n = 0;
    for (size_t end = scan(p, p->at, false); end < p->len && p->text[end] == '|';
         end = scan(p, p->at, false)) {
        unsigned split = p->r->step_count;
        if (n == KT_COUNT(ends))
            return wrong(p, "more than 64 alternatives in one group");
        KT_GUARD(emit(p, KT_RE_SPLIT, split + 1, 0));
        KT_GUARD(row(p));
        if (!eat(p, "|"))
            return wrong(p, "a group is not closed");
        ends[n++] = p->r->step_count;
        KT_GUARD(emit(p, KT_RE_JUMP, 0, 0));
        p->r->steps[split].y = (uint16_t)p->r->step_count;
        p->r->anchored = p->r->anchored && p->depth > 0;
    }
    KT_GUARD(row(p));
    for (unsigned i = 0; i < n; i++)
        p->r->steps[ends[i]].x = (uint16_t)p->r->step_count;
    return kt_ok();
}

static void regex_cleanup(struct kt_user_regex **r)
{
    kt_user_regex_free(*r);
}

kt_result kt_user_regex_new(const char *expression, bool ignore_case, struct kt_user_regex **out,
                            struct kt_error *err)
{
    *out = NULL;
    KT_CLEANUP(regex_cleanup) struct kt_user_regex *r = calloc(1, sizeof *r);
    KT_ENSURE(r, KT_ERR_MEMORY);
    struct parser p = {.r = r, .text = expression, .len = strlen(expression), .err = err};
    if (p.len > KT_USER_REGEX_BYTES)
        return wrong(&p, "is longer than 1024 bytes");
    r->ignore_case = eat(&p, "(?i)") || ignore_case;
    r->anchored = peek(&p) == '^' && !(p.len > p.at + 1 && strchr("*+?{", p.text[p.at + 1]));
    KT_GUARD(alternatives(&p));
    if (p.at < p.len)
        return wrong(&p, "unexpected ')'");
    r->steps[r->step_count++] = (struct kt_re_step){KT_RE_MATCH, 0, 0};
    *out = KT_TAKE(r);
    return kt_ok();
}
