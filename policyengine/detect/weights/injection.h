/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Written by tools/train_injection/train.py, seed 20261121. SHA-256 of injection.bin:
 * 6e1017a0ebd269cce92afe041e4fbd3cb6e8277b472aeb844fa7a2de078ce23e */
#define KT_INJECTION_SCALE 0.0269226415
#define KT_INJECTION_BIAS -2.23529169
/* log odds of a block = CONST + RULES * rules + BEST * worst window
 * + (LENGTH * log2(sentences) + WHOLE * whole block) * (1 - rules, at least 0), see kt_injection.c */
#define KT_INJECTION_CONST 0.052818
#define KT_INJECTION_RULES 1.5
#define KT_INJECTION_BEST 1.2
#define KT_INJECTION_LENGTH -0.8
#define KT_INJECTION_WHOLE 0.3
