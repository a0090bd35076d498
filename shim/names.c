/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/names.h"

#include <string.h>
#include <strings.h>

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* inet_aton takes 1 to 4 parts in octal, decimal or hex. No name of the DNS has a last label that starts with
 * a digit and holds nothing but digits, so such a name is an address or nothing. */
static bool looks_numeric(const char *name, size_t len)
{
    if (memchr(name, ':', len) || memchr(name, '%', len))
        return true;
    size_t at = len;
    while (at > 0 && name[at - 1] != '.')
        at--;
    if (at == len || !is_digit(name[at]))
        return false;
    bool hex = len - at > 2 && name[at] == '0' && (name[at + 1] | 32) == 'x';
    for (size_t i = hex ? at + 2 : at; i < len; i++) {
        char c = (char)(name[i] | 32);
        if (!is_digit(name[i]) && !(hex && c >= 'a' && c <= 'f'))
            return false;
    }
    return true;
}

bool kt_name_is_address(const char *name)
{
    return looks_numeric(name, strlen(name));
}

bool kt_name_is_remote(const char *name)
{
    if (!name)
        return false;
    size_t len = strlen(name);
    if (len > 0 && name[len - 1] == '.')
        len--;
    if (len == 0 || len >= KT_NAME_MAX || looks_numeric(name, len))
        return false;
    static const char local[] = "localhost";
    size_t n = sizeof local - 1;
    return len < n || strncasecmp(name + len - n, local, n) != 0 || (len > n && name[len - n - 1] != '.');
}

bool kt_name_normalise(const char *name, char out[KT_NAME_MAX])
{
    size_t len = strlen(name);
    if (len > 0 && name[len - 1] == '.')
        len--;
    if (len == 0 || len >= KT_NAME_MAX)
        return false;
    for (size_t i = 0; i < len; i++)
        out[i] = name[i] >= 'A' && name[i] <= 'Z' ? (char)(name[i] | 32) : name[i];
    out[len] = '\0';
    return true;
}

bool kt_name_matches(const char *name, const char *pattern)
{
    if (pattern[0] != '*' || pattern[1] != '.')
        return strcmp(name, pattern) == 0;
    size_t n = strlen(name), suffix = strlen(pattern + 1);
    return suffix > 1 && n > suffix && strcmp(name + n - suffix, pattern + 1) == 0 && name[0] != '.';
}
