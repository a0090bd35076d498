/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/client_hello.h"

#include <string.h>

#define RECORD_HEAD 5
#define MESSAGE_HEAD 4
#define CLIENT_HELLO 1
#define SERVER_NAME 0
#define HOST_NAME 0
#define ENCRYPTED_CLIENT_HELLO 0xfe0d
#define OUTER 0

struct reader { /* of the message in the records; behind its end, or that of the bytes, it gives 0 */
    const uint8_t *at, *end;
    size_t record, message; /* bytes left of them */
    bool more, bad;
};

static bool is_over(const struct reader *r)
{
    return r->more || r->bad;
}

static void next_record(struct reader *r)
{
    size_t there = (size_t)(r->end - r->at);
    r->bad = (there > 0 && r->at[0] != KT_HELLO_RECORD) || (there > 1 && r->at[1] != 3);
    r->more = !r->bad && there < RECORD_HEAD;
    if (is_over(r))
        return;
    r->record = (size_t)r->at[3] << 8 | r->at[4];
    r->at += RECORD_HEAD;
    r->bad = r->record == 0;
}

static unsigned octet(struct reader *r)
{
    r->bad = r->bad || (!r->more && r->message == 0);
    if (!is_over(r) && r->record == 0)
        next_record(r);
    if (!is_over(r) && r->at == r->end)
        r->more = true;
    if (is_over(r))
        return 0;
    r->record--;
    r->message--;
    return *r->at++;
}

static unsigned number(struct reader *r, unsigned bytes)
{
    unsigned v = 0;
    while (bytes--)
        v = v << 8 | octet(r);
    return v;
}

static void skip(struct reader *r, size_t n)
{
    while (n-- > 0 && !is_over(r))
        octet(r);
}

static void take(struct reader *r, void *out, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ((uint8_t *)out)[i] = (uint8_t)octet(r);
}

/* The first entry of the list is the only one there is. Returns how much of the extension's `n` bytes it
 * took. */
static size_t read_name(struct reader *r, size_t n, char host[KT_HELLO_HOST_MAX])
{
    char name[KT_HELLO_HOST_MAX];
    if (n < 5)
        return 0;
    skip(r, 2);
    unsigned type = number(r, 1);
    size_t len = number(r, 2);
    if (type != HOST_NAME || len == 0 || len >= sizeof name || len > n - 5)
        return 5;
    take(r, name, len);
    if (!is_over(r) && !memchr(name, '\0', len)) {
        memcpy(host, name, len);
        host[len] = '\0';
    }
    return 5 + len;
}

static void read_extensions(struct reader *r, struct kt_client_hello *out)
{
    skip(r, 2);
    while (!is_over(r) && r->message > 0) {
        unsigned type = number(r, 2);
        size_t n = number(r, 2), taken = 0;
        if (type == SERVER_NAME && !out->host[0]) {
            taken = read_name(r, n, out->host);
        } else if (type == ENCRYPTED_CLIENT_HELLO && n > 0) {
            taken = 1;
            out->encrypted = octet(r) == OUTER && !is_over(r);
        }
        skip(r, n - taken);
    }
}

static void read_hello(struct reader *r, struct kt_client_hello *out)
{
    skip(r, 2);
    take(r, out->random, sizeof out->random);
    out->has_random = !is_over(r);
    skip(r, number(r, 1));
    skip(r, number(r, 2));
    skip(r, number(r, 1));
    if (r->message > 0)
        read_extensions(r, out);
}

enum kt_hello kt_client_hello_read(const void *data, size_t len, struct kt_client_hello *out)
{
    struct reader r = {.at = data, .end = (const uint8_t *)data + len, .message = MESSAGE_HEAD};
    *out = (struct kt_client_hello){.has_random = false};
    bool begins = number(&r, 1) == CLIENT_HELLO || r.more;
    size_t length = number(&r, 3);
    r.message += length;
    r.bad = r.bad || !begins;
    if (!is_over(&r))
        read_hello(&r, out);
    if (r.bad)
        return out->host[0] ? KT_HELLO_WHOLE : KT_HELLO_NONE;
    return r.more ? KT_HELLO_MORE : KT_HELLO_WHOLE;
}
