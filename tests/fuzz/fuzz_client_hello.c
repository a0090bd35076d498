/* SPDX-License-Identifier: Apache-2.0 */
/* The shim's own reader of a ClientHello: a name is a string, and what was found does not change with more
 * bytes. */
#include "shim/client_hello.h"
#include "tests/fuzz/kt_fuzz.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kt_client_hello h, before = {.has_random = false};
    bool over = false;
    if (size > 16384)
        return 0;
    for (size_t n = 0; n <= size; n += 1 + n / 16) {
        char *copy = kt_fuzz_copy(data, n);
        enum kt_hello kind = kt_client_hello_read(copy, n, &h);
        free(copy);
        if (!memchr(h.host, '\0', sizeof h.host) || (over && kind == KT_HELLO_MORE))
            __builtin_trap();
        if ((before.host[0] && strcmp(h.host, before.host) != 0) || (before.encrypted && !h.encrypted) ||
            (before.has_random && memcmp(h.random, before.random, sizeof h.random) != 0))
            __builtin_trap();
        over = kind != KT_HELLO_MORE;
        before = h;
    }
    return 0;
}
