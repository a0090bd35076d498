/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Written by tools/train_injection/train.py, seed 20261121. SHA-256 of injection.bin:
 * e69b69c517b58b28eb752cd9efb0de92ffd5ec84a06e3c386a045ea351db72ec */
#define KT_INJECTION_SCALE 0.0235904134
#define KT_INJECTION_BIAS -2.20386476
/* log odds of a block = CONST + RULES * rules + BEST * worst window
 * + (LENGTH * log2(sentences) + WHOLE * whole block) * (1 - rules, at least 0), see kt_injection.c */
#define KT_INJECTION_CONST 0.649621
#define KT_INJECTION_RULES 1.5
#define KT_INJECTION_BEST 1.2
#define KT_INJECTION_LENGTH -1.0
#define KT_INJECTION_WHOLE 0.3
