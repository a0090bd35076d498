/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/chain/kt_boundary.h"

#define ESCAPE_MAX 6u  /* \u0041 */
#define NUMBER_MAX 64u /* bytes; longer ones are not kept whole */

/* Bytes of the character that begins with `c`; 1 for what begins none. */
static size_t width(unsigned char c)
{
    return c < 0xc2 || c > 0xf4 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
}

static size_t before_character(const char *data, size_t at)
{
    for (size_t back = 1; back < 4 && back <= at; back++) {
        unsigned char c = (unsigned char)data[at - back];
        if ((c & 0xc0) != 0x80)
            return width(c) > back ? at - back : at;
    }
    return at;
}

/* An odd number of backslashes ends at `i`: the last one opens an escape. */
static bool opens_escape(const char *data, size_t i)
{
    size_t n = 0;
    while (n <= i && data[i - n] == '\\')
        n++;
    return n % 2 == 1;
}

static size_t before_escape(const char *data, size_t at)
{
    for (size_t back = 1; back < ESCAPE_MAX && back <= at; back++) {
        size_t i = at - back;
        if (data[i] != '\\')
            continue;
        size_t size = back > 1 && data[i + 1] == 'u' ? ESCAPE_MAX : 2;
        return opens_escape(data, i) && back < size ? i : at;
    }
    return at;
}

/* \ud800 to \udbff end at `at`, and the other half follows or may yet. */
static size_t before_pair(const char *data, size_t len, size_t at)
{
    if (at < ESCAPE_MAX || (at < len && data[at] != '\\'))
        return at;
    const char *e = data + at - ESCAPE_MAX;
    bool high = e[0] == '\\' && e[1] == 'u' && (e[2] | 0x20) == 'd' &&
                (e[3] == '8' || e[3] == '9' || (e[3] | 0x20) == 'a' || (e[3] | 0x20) == 'b');
    return high && opens_escape(data, at - ESCAPE_MAX) ? at - ESCAPE_MAX : at;
}

size_t kt_boundary_before(const char *data, size_t len, size_t at, bool json)
{
    at = before_character(data, at);
    return json ? before_pair(data, len, before_escape(data, at)) : at;
}

size_t kt_boundary_behind(const char *data, size_t len, size_t at, bool json)
{
    while (at < len && kt_boundary_before(data, len, at, json) < at)
        at++;
    return at;
}

static bool of_number(char c)
{
    return (c >= '0' && c <= '9') || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E';
}

size_t kt_boundary_number_before(const char *data, size_t at)
{
    size_t i = at;
    while (i > 0 && at - i < NUMBER_MAX && of_number(data[i - 1]))
        i--;
    return at - i < NUMBER_MAX ? i : at;
}

void kt_boundary_number(const char *data, size_t len, size_t base, size_t from, size_t *start, size_t *end)
{
    size_t floor = from > base ? from : base;
    while (*start > floor && of_number(data[*start - 1 - base]))
        (*start)--;
    while (*end<base + len && * end> base && of_number(data[*end - 1 - base]) && of_number(data[*end - base]))
        (*end)++;
}
