/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/detect/kt_linear.h"
#include "policyengine/detect/weights/injection.h"

/* 256 KiB of numbers are no source text: the assembler takes the file as it is. */
__asm__(".section .rodata\n"
        ".balign 64\n"
        ".hidden kt_linear_injection_weights\n"
        ".globl kt_linear_injection_weights\n"
        ".type kt_linear_injection_weights, @object\n"
        ".size kt_linear_injection_weights, 262144\n"
        "kt_linear_injection_weights:\n"
        ".incbin \"" KT_WEIGHTS_FILE "\"\n"
        ".previous\n");
extern const int8_t kt_linear_injection_weights[KT_LINEAR_BUCKETS] __attribute__((visibility("hidden")));

const struct kt_linear kt_linear_injection = {
    .weights = kt_linear_injection_weights,
    .scale = KT_INJECTION_SCALE,
    .bias = KT_INJECTION_BIAS,
};
