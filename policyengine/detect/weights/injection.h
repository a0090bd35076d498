/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Written by tools/train_injection/train.py, seed 20261121. SHA-256 of injection.bin:
 * 8510804c87c9599b91cd8eb63947ad476864ce6a4c506daaabdeb3aba3ce1e36 */
#define KT_INJECTION_SCALE 0.0271567053
#define KT_INJECTION_BIAS -2.24413113
/* log odds of a block = CONST + RULES * rules + BEST * worst window
 * + (LENGTH * log2(sentences) + WHOLE * whole block) * (1 - rules, at least 0), see kt_injection.c */
#define KT_INJECTION_CONST 0.062764
#define KT_INJECTION_RULES 1.5
#define KT_INJECTION_BEST 1.2
#define KT_INJECTION_LENGTH -0.8
#define KT_INJECTION_WHOLE 0.3
