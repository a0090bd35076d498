/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Written by tools/train_injection/train.py, seed 20261121. SHA-256 of injection.bin:
 * 14b04a386a8f27fdcdf7baba163436827a4c27e6e8b2bbef1d6c0dbb8b270b5b */
#define KT_INJECTION_SCALE 0.0336078181
#define KT_INJECTION_BIAS -3.01379041
/* log odds of a block = CONST + RULES * rules + BEST * worst window + LENGTH * log2(sentences), see
 * kt_injection.c */
#define KT_INJECTION_CONST -0.397472
#define KT_INJECTION_RULES 1.75
#define KT_INJECTION_BEST 1.2
#define KT_INJECTION_LENGTH -0.8
