/* SPDX-License-Identifier: Apache-2.0 */
/* The shim's own reader of a ClientHello: a name is a string, and does not change with more bytes. */
#include "shim/client_hello.h"
#include "tests/fuzz/kt_fuzz.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char host[KT_HELLO_HOST_MAX], before[KT_HELLO_HOST_MAX] = "";
    if (size > 16384)
        return 0;
    for (size_t n = 0; n <= size; n += 1 + n / 16) {
        char *copy = kt_fuzz_copy(data, n);
        bool found = kt_client_hello_name(copy, n, host);
        free(copy);
        if (found && (!memchr(host, '\0', sizeof host) || !host[0]))
            __builtin_trap();
        if (before[0] && (!found || strcmp(host, before) != 0))
            __builtin_trap();
        if (found)
            memcpy(before, host, sizeof host);
    }
    return 0;
}
