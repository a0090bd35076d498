/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/tls_records.h"

#include <string.h>

#define APPLICATION_DATA 23
#define HEAD 5
/* In TLS 1.3 a farewell (19 bytes) and a key update (22) look like application data; no HTTP request is that
 * short. */
#define SHORT 40
#define ENOUGH 8

static void saw(struct kt_tls_records *r, bool out, unsigned type, uint32_t len)
{
    if (type != APPLICATION_DATA)
        return;
    if (!out) {
        r->is_13 = r->is_13 || r->sent == 0;
        r->answered = r->answered || kt_tls_records_spoke(r);
    } else if (len >= SHORT && r->sent < ENOUGH) {
        r->sent++;
    }
}

void kt_tls_records_feed(struct kt_tls_records *r, bool out, const void *data, size_t n)
{
    const uint8_t *p = data;
    __typeof__(r->dir[0]) *d = &r->dir[out];
    while (n > 0) {
        size_t part = d->left > 0 ? d->left : (size_t)(HEAD - d->have);
        part = part < n ? part : n;
        if (d->left > 0) {
            d->left -= (uint32_t)part;
        } else {
            memcpy(d->head + d->have, p, part);
            d->have = (uint8_t)(d->have + part);
        }
        if (d->have == HEAD) {
            d->left = (uint32_t)d->head[3] << 8 | d->head[4];
            d->have = 0;
            saw(r, out, d->head[0], d->left);
        }
        p += part;
        n -= part;
    }
}

bool kt_tls_records_spoke(const struct kt_tls_records *r)
{
    return r->sent > (r->is_13 ? 1 : 0);
}

bool kt_tls_records_answered(const struct kt_tls_records *r)
{
    return r->answered;
}
