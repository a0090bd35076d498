/* SPDX-License-Identifier: Apache-2.0 */
/* What is known after some bytes must not change with more of them, and a host must be a string. */
#include "tools/supervise/first_bytes.h"
#include "tests/fuzz/kt_fuzz.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char host[FIRST_HOST_MAX], before[FIRST_HOST_MAX];
    enum first_kind settled = FIRST_MORE;
    if (size > 2 * FIRST_BYTES_MAX)
        return 0;
    for (size_t n = 0; n <= size; n += 1 + n / 16) {
        char *copy = kt_fuzz_copy(data, n);
        enum first_kind kind = first_look(kt_span(copy, n), host);
        free(copy);
        if (!memchr(host, '\0', sizeof host) || (kind <= FIRST_MAYBE && n >= FIRST_BYTES_MAX))
            __builtin_trap();
        if (settled > FIRST_MAYBE && settled != kind && n <= FIRST_BYTES_MAX)
            __builtin_trap();
        if (settled > FIRST_MAYBE && n <= FIRST_BYTES_MAX && strcmp(host, before) != 0)
            __builtin_trap();
        settled = kind;
        memcpy(before, host, sizeof host);
    }
    return 0;
}
