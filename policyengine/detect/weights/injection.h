/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Written by tools/train_injection/train.py, seed 20261121. SHA-256 of injection.bin:
 * d558afaa71fce43a661cea5359d7b9392ca1ed76a51e503f1d796694653b1692 */
#define KT_INJECTION_SCALE 0.0237387716
#define KT_INJECTION_BIAS -2.24842445
/* log odds of a block = CONST + RULES * rules + BEST * worst window
 * + (LENGTH * log2(sentences) + WHOLE * whole block) * (1 - rules, at least 0), see kt_injection.c */
#define KT_INJECTION_CONST 0.714871
#define KT_INJECTION_RULES 1.5
#define KT_INJECTION_BEST 1.2
#define KT_INJECTION_LENGTH -1.0
#define KT_INJECTION_WHOLE 0.3
