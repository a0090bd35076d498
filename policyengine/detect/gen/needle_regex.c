/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the regular expressions of KT_PHRASE, as far as they are used there: literals, \b \w \s \d, classes,
 * (?:..|..), ? * + {m,n}. */
#include "policyengine/detect/gen/kt_patc.h"
#include "policyengine/detect/gen/needles.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define NO_END 0xffffu

struct parser {
    const char *where, *at;
};

static void put(uint8_t set[256 / 8], unsigned c)
{
    set[c / 8] |= (uint8_t)(1u << c % 8);
}

/* `c` behind a backslash. */
static void put_escaped(struct parser *p, uint8_t set[256 / 8], char c)
{
    int (*is)(int) = c == 'w' ? isalnum : c == 's' ? isspace : c == 'd' ? isdigit : NULL;
    if (!is && isalnum((unsigned char)c) && c != 'n')
        kt_patc_die(p->where, "an escape that needles.c does not know");
    for (int i = 0; is && i < 128; i++)
        if (is(i))
            put(set, (unsigned)i);
    if (c == 'w')
        put(set, '_');
    if (!is)
        put(set, c == 'n' ? '\n' : (unsigned char)c);
}

static unsigned char class_end(struct parser *p, unsigned char from)
{
    if (p->at[0] != '-' || p->at[1] == ']')
        return from;
    p->at += 2;
    if (p->at[-1] == '\\')
        kt_patc_die(p->where, "a range to an escape");
    return (unsigned char)p->at[-1];
}

static struct needle_info class(struct parser *p)
{
    uint8_t set[256 / 8] = {0};
    bool other = *p->at == '^';
    p->at += other;
    while (*p->at && *p->at != ']') {
        unsigned char c = (unsigned char)*p->at++;
        if (c == '\\') {
            put_escaped(p, set, *p->at++);
            continue;
        }
        if (c == '[' && *p->at == ':')
            kt_patc_die(p->where, "a named class");
        for (unsigned to = class_end(p, c), i = c; i <= to; i++)
            put(set, i);
    }
    if (*p->at++ != ']')
        kt_patc_die(p->where, "missing ']'");
    for (size_t i = 0; other && i < sizeof set; i++)
        set[i] = (uint8_t)~set[i];
    return needle_one_of(set);
}

static struct needle_info alternatives(struct parser *p);

static struct needle_info group(struct parser *p)
{
    if (strncmp(p->at, "?:", 2) != 0)
        kt_patc_die(p->where, "groups begin with (?:");
    p->at += 2;
    struct needle_info n = alternatives(p);
    if (*p->at++ != ')')
        kt_patc_die(p->where, "missing ')'");
    return n;
}

static struct needle_info atom(struct parser *p)
{
    uint8_t set[256 / 8] = {0};
    char c = *p->at++;
    switch (c) {
    case '(':
        return group(p);
    case '[':
        return class(p);
    case '^':
    case '$':
        return needle_nothing(false);
    case '.':
        memset(set, 0xff, sizeof set);
        return needle_one_of(set);
    case '?':
    case '*':
    case '+':
    case '{':
        kt_patc_die(p->where, "repeats nothing");
    case '\\':
        if (*p->at == 'b') {
            p->at++;
            return needle_nothing(true);
        }
        put_escaped(p, set, *p->at++);
        return needle_one_of(set);
    default:
        put(set, (unsigned char)c);
        return needle_one_of(set);
    }
}

/* {m}, {m,} or {m,n}, behind the brace. */
static struct needle_info counted(struct parser *p, struct needle_info n)
{
    char *end;
    unsigned least = (unsigned)strtoul(p->at, &end, 10), most = least;
    if (*end == ',')
        most = end[1] == '}' ? NO_END : (unsigned)strtoul(end + 1, &end, 10);
    if (most == NO_END)
        end++;
    if (*end != '}')
        kt_patc_die(p->where, "missing '}'");
    p->at = end + 1;
    return needle_repeat(n, least, most);
}

static struct needle_info piece(struct parser *p)
{
    struct needle_info n = atom(p);
    char c = *p->at;
    if (c != '?' && c != '*' && c != '+' && c != '{')
        return n;
    p->at++;
    n = c == '{' ? counted(p, n) : needle_repeat(n, c == '+', c == '?' ? 1 : NO_END);
    p->at += *p->at == '?'; /* as few as possible: the same texts */
    return n;
}

static struct needle_info row(struct parser *p)
{
    struct needle_info n = needle_nothing(false);
    while (*p->at && *p->at != '|' && *p->at != ')')
        n = needle_join(n, piece(p));
    return needle_joined(n);
}

static struct needle_info alternatives(struct parser *p)
{
    struct needle_info n = row(p);
    while (*p->at == '|') {
        p->at++;
        n = needle_either(n, row(p));
    }
    return n;
}

struct needle_info needle_of(const char *regex)
{
    struct parser p = {regex, regex};
    struct needle_info n = alternatives(&p);
    if (*p.at)
        kt_patc_die(regex, "unexpected ')'");
    return n;
}
