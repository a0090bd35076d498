/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Written by tools/train_injection/train.py, seed 20261121. SHA-256 of injection.bin:
 * 59d8aa383442e98364a7033e4990528c8e22de01e39396f178a2bbd95272d03d */
#define KT_INJECTION_SCALE 0.0232608725
#define KT_INJECTION_BIAS -2.19885974
/* log odds of a block = CONST + RULES * rules + BEST * worst window
 * + (LENGTH * log2(sentences) + WHOLE * whole block) * (1 - rules, at least 0), see kt_injection.c */
#define KT_INJECTION_CONST 0.457393
#define KT_INJECTION_RULES 1.5
#define KT_INJECTION_BEST 1.2
#define KT_INJECTION_LENGTH -1.0
#define KT_INJECTION_WHOLE 0.3
