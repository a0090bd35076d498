/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/detect/kt_secret_base64.h"

#include "policyengine/detect/kt_chars.h"

size_t kt_secret_base64(const char *text, size_t len, char *out, size_t cap)
{
    uint32_t bits = 0;
    unsigned have = 0;
    size_t n = 0;
    for (size_t i = 0; i < len && n < cap; i++) {
        int v = kt_base64_value((unsigned char)text[i]);
        if (v < 0)
            break;
        bits = bits << 6 | (uint32_t)v;
        have += 6;
        if (have >= 8) {
            have -= 8;
            out[n++] = (char)(bits >> have);
        }
    }
    return n;
}
