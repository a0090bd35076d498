/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/config/kt_read.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool kt_parse_bool(const char *s, bool *out)
{
    static const char *const yes[] = {"true", "True", "TRUE"}, *const no[] = {"false", "False", "FALSE"};
    for (size_t i = 0; i < KT_COUNT(yes); i++) {
        if (strcmp(s, yes[i]) != 0 && strcmp(s, no[i]) != 0)
            continue;
        *out = strcmp(s, yes[i]) == 0;
        return true;
    }
    return false;
}

bool kt_parse_int(const char *s, int64_t *out)
{
    if (!*s || strspn(s, "+-0123456789") != strlen(s))
        return false;
    char *end = NULL;
    errno = 0;
    long long v = strtoll(s, &end, 10);
    if (errno || end == s || *end)
        return false;
    *out = v;
    return true;
}

bool kt_parse_float(const char *s, double *out)
{
    /* The alphabet keeps "nan", "inf" and hexadecimal out. */
    if (!*s || strspn(s, "+-0123456789.eE") != strlen(s))
        return false;
    locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (!c)
        return false;
    char *end = NULL;
    double v = strtod_l(s, &end, c);
    freelocale(c);
    if (end == s || *end || !isfinite(v))
        return false;
    *out = v;
    return true;
}

/* printf writes the decimal point of the program's locale, which may be several bytes long. */
static void with_point(const char *from, char out[32])
{
    size_t n = 0;
    bool pointed = false;
    for (; *from && n + 1 < 32; from++) {
        bool usual = (*from >= '0' && *from <= '9') || strchr("+-e", *from);
        if (usual)
            out[n++] = *from;
        else if (!pointed)
            out[n++] = '.';
        pointed |= !usual;
    }
    out[n] = '\0';
}

void kt_format_float(double v, char out[32])
{
    for (int digits = 6; digits <= 17; digits++) {
        char text[64];
        double back = 0;
        snprintf(text, sizeof text, "%.*g", digits, v);
        with_point(text, out);
        if (kt_parse_float(out, &back) && !(back < v) && !(back > v))
            return;
    }
}

/* Does one entry, "name" or "name=alias=alias", spell `s`? */
static bool entry_has(const char *entry, size_t len, const char *s)
{
    size_t want = strlen(s);
    for (size_t i = 0; i < len;) {
        size_t word = strcspn(entry + i, "=|");
        if (word == want && memcmp(entry + i, s, want) == 0)
            return true;
        i += word + 1;
    }
    return false;
}

int kt_parse_enum(const char *values, const char *s)
{
    if (!*s)
        return -1;
    for (int index = 0;; index++) {
        size_t len = strcspn(values, "|");
        if (entry_has(values, len, s))
            return index;
        if (!values[len])
            return -1;
        values += len + 1;
    }
}

struct kt_span kt_enum_name(const char *values, int index)
{
    for (; index > 0; index--) {
        values += strcspn(values, "|");
        values += *values == '|';
    }
    return kt_span(values, index < 0 ? 0 : strcspn(values, "=|"));
}
