/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/config/kt_address.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { MAX_NAME = 253, MAX_LABEL = 63 };

/* ASCII only, whatever the program's locale says. */
static bool is_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool label_valid(const char *s, size_t len)
{
    if (len == 0 || len > MAX_LABEL || s[0] == '-' || s[len - 1] == '-')
        return false;
    for (size_t i = 0; i < len; i++)
        if (!is_alnum(s[i]) && s[i] != '-' && s[i] != '_')
            return false;
    return true;
}

static bool octets_valid(const char *s)
{
    for (int i = 0; i < 4; i++) {
        size_t len = strspn(s, "0123456789");
        if (len == 0 || len > 3 || atoi(s) > 255 || (len > 1 && s[0] == '0'))
            return false;
        s += len;
        if (*s != (i < 3 ? '.' : '\0'))
            return false;
        s += i < 3;
    }
    return true;
}

static bool name_valid(const char *s)
{
    if (strlen(s) > MAX_NAME || !*s)
        return false;
    if (strspn(s, "0123456789.") == strlen(s))
        return octets_valid(s);
    for (;;) {
        size_t len = strcspn(s, ".");
        if (!label_valid(s, len))
            return false;
        if (!s[len])
            return true;
        s += len + 1;
    }
}

/* Groups of up to four hex digits, at most one "::". */
static bool ipv6_valid(const char *s)
{
    int groups = 0, gaps = 0;
    if (s[0] == ':' && s[1] != ':')
        return false;
    while (*s) {
        if (s[0] == ':' && s[1] == ':') {
            gaps++;
            s += 2;
            continue;
        }
        size_t len = strspn(s, "0123456789abcdefABCDEF");
        if (len == 0 && *s == ':' && groups > 0 && s[1] && s[1] != ':') {
            s++;
            len = strspn(s, "0123456789abcdefABCDEF");
        }
        if (len == 0 || len > 4)
            return false;
        groups++;
        s += len;
        if (*s && *s != ':')
            return false;
        if (*s == ':' && !s[1])
            return false;
    }
    return gaps == 0 ? groups == 8 : gaps == 1 && groups < 8;
}

bool kt_host_valid(const char *host, bool wildcard)
{
    if (wildcard && host[0] == '*' && host[1] == '.')
        return name_valid(host + 2) && strspn(host + 2, "0123456789.") != strlen(host + 2);
    return strchr(host, ':') ? ipv6_valid(host) : name_valid(host);
}

bool kt_host_is_loopback(const char *host)
{
    static const char suffix[] = ".localhost";
    size_t len = strlen(host);
    if (strcasecmp(host, "localhost") == 0 || strcmp(host, "::1") == 0)
        return true;
    if (len >= sizeof suffix && strcasecmp(host + len - (sizeof suffix - 1), suffix) == 0)
        return true;
    return strncmp(host, "127.", 4) == 0 && octets_valid(host);
}

bool kt_header_name_valid(const char *name)
{
    static const char token[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!#$%&'*+-.^_`|~";
    return *name && strspn(name, token) == strlen(name);
}

static bool port_valid(const char *s, size_t len)
{
    long v = 0;
    for (size_t i = 0; i < len && i < 6; i++) {
        if (s[i] < '0' || s[i] > '9')
            return false;
        v = v * 10 + (s[i] - '0');
    }
    return len > 0 && len < 6 && v > 0 && v < 65536;
}

/* host[:port] or [v6][:port]; false where the host does not fit or the port is wrong. */
static const char *authority_problem(const char *s, size_t len, char host[256])
{
    size_t start = 0, end = 0, rest = 0;
    if (len && s[0] == '[') {
        const char *close = memchr(s, ']', len);
        if (!close)
            return "the '[' of its host is never closed";
        start = 1;
        end = (size_t)(close - s);
        rest = end + 1;
    } else {
        const char *colon = memchr(s, ':', len);
        end = rest = colon ? (size_t)(colon - s) : len;
    }
    if (end - start >= 256)
        return "its host is too long";
    memcpy(host, s + start, end - start);
    host[end - start] = '\0';
    if (!kt_host_valid(host, false) || (start == 1) != (strchr(host, ':') != NULL))
        return "its host is not a host name or an address";
    if (rest < len && (s[rest] != ':' || !port_valid(s + rest + 1, len - rest - 1)))
        return "its port is not a number from 1 to 65535";
    return NULL;
}

const char *kt_url_problem(const char *url, char host[256], bool *clear)
{
    host[0] = '\0';
    *clear = strncasecmp(url, "http://", 7) == 0;
    if (!*clear && strncasecmp(url, "https://", 8) != 0)
        return "it must start with https:// or http://";
    for (const char *p = url; *p; p++)
        if ((unsigned char)*p <= 0x20 || (unsigned char)*p >= 0x7f)
            return "it holds a space or a character that a URL cannot hold";
    const char *authority = url + (*clear ? 7 : 8);
    size_t len = strcspn(authority, "/?#");
    if (memchr(authority, '@', len))
        return "it holds a user or password: use secret_key_ref";
    if (strpbrk(authority, "?#"))
        return "it holds a query or a fragment";
    return authority_problem(authority, len, host);
}
