/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/client_hello.h"

#include <stdint.h>
#include <string.h>

#define CLIENT_HELLO 1
#define SERVER_NAME 0
#define HOST_NAME 0

struct cursor { /* reads past the end give 0 and `bad` */
    const uint8_t *at, *end;
    bool bad;
};

static unsigned number(struct cursor *c, unsigned bytes)
{
    unsigned v = 0;
    if ((size_t)(c->end - c->at) < bytes) {
        c->bad = true;
        c->at = c->end;
        return 0;
    }
    while (bytes--)
        v = v << 8 | *c->at++;
    return v;
}

static void skip(struct cursor *c, size_t n)
{
    if ((size_t)(c->end - c->at) < n)
        c->bad = true;
    c->at = c->bad ? c->end : c->at + n;
}

static bool read_name(struct cursor *c, char host[KT_HELLO_HOST_MAX])
{
    skip(c, 2); /* length of the list; its first entry is the only one there is */
    unsigned type = number(c, 1), n = number(c, 2);
    if (c->bad || type != HOST_NAME || n == 0 || n >= KT_HELLO_HOST_MAX || (size_t)(c->end - c->at) < n ||
        memchr(c->at, '\0', n))
        return false;
    memcpy(host, c->at, n);
    host[n] = '\0';
    return true;
}

bool kt_client_hello_name(const void *data, size_t len, char host[KT_HELLO_HOST_MAX])
{
    struct cursor c = {data, (const uint8_t *)data + len, false};
    unsigned type = number(&c, 1), major = number(&c, 1);
    skip(&c, 3);
    if (c.bad || type != KT_HELLO_RECORD || major != 3 || number(&c, 1) != CLIENT_HELLO)
        return false;
    skip(&c, 3 + 2 + 32); /* length, version, random */
    skip(&c, number(&c, 1));
    skip(&c, number(&c, 2));
    skip(&c, number(&c, 1));
    skip(&c, 2);
    while (!c.bad && c.at < c.end) {
        unsigned ext = number(&c, 2), n = number(&c, 2);
        if (!c.bad && ext == SERVER_NAME)
            return read_name(&c, host);
        skip(&c, n);
    }
    return false;
}
