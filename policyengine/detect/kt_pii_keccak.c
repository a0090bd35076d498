/* SPDX-License-Identifier: Apache-2.0 */
/* The permutation of FIPS 202, written from its definition: rotation offsets and round constants are computed
 * as the standard defines them. */
#include "policyengine/detect/kt_pii_keccak.h"

#include <string.h>

#define RATE 136u

static uint64_t rotate(uint64_t x, unsigned by)
{
    return by ? x << by | x >> (64 - by) : x;
}

static void theta(uint64_t a[25])
{
    uint64_t column[5];
    for (unsigned x = 0; x < 5; x++)
        column[x] = a[x] ^ a[x + 5] ^ a[x + 10] ^ a[x + 15] ^ a[x + 20];
    for (unsigned i = 0; i < 25; i++)
        a[i] ^= column[(i + 4) % 5] ^ rotate(column[(i + 1) % 5], 1);
}

static void rho_pi(uint64_t a[25])
{
    unsigned x = 1, y = 0;
    uint64_t moved = a[1];
    for (unsigned t = 0; t < 24; t++) {
        unsigned next = (2 * x + 3 * y) % 5;
        x = y;
        y = next;
        uint64_t here = a[x + 5 * y];
        a[x + 5 * y] = rotate(moved, (t + 1) * (t + 2) / 2 % 64);
        moved = here;
    }
}

static void chi(uint64_t a[25])
{
    for (unsigned y = 0; y < 25; y += 5) {
        uint64_t row[5];
        memcpy(row, a + y, sizeof row);
        for (unsigned x = 0; x < 5; x++)
            a[y + x] = row[x] ^ (~row[(x + 1) % 5] & row[(x + 2) % 5]);
    }
}

/* FIPS 202 gives the constants as bits of x^t mod x^8 + x^6 + x^5 + x^4 + 1. */
static void iota(uint64_t a[25], uint16_t *r)
{
    for (unsigned j = 0; j < 7; j++) {
        if (*r & 1u)
            a[0] ^= 1ull << ((1u << j) - 1);
        *r = (uint16_t)(*r << 1);
        if (*r & 0x100u)
            *r = (uint16_t)(*r ^ 0x171u);
    }
}

void kt_pii_keccak256(const void *data, size_t len, uint8_t out[32])
{
    uint64_t a[25] = {0};
    uint8_t block[RATE] = {0};
    uint16_t r = 1;
    memcpy(block, data, len < RATE ? len : RATE - 1);
    block[len < RATE ? len : RATE - 1] ^= 0x01;
    block[RATE - 1] ^= 0x80;
    for (unsigned i = 0; i < RATE; i++)
        a[i / 8] ^= (uint64_t)block[i] << (8 * (i % 8));
    for (unsigned round = 0; round < 24; round++) {
        theta(a);
        rho_pi(a);
        chi(a);
        iota(a, &r);
    }
    for (unsigned i = 0; i < 32; i++)
        out[i] = (uint8_t)(a[i / 8] >> (8 * (i % 8)));
}
