/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Written by tools/train_injection/train.py, seed 20261121. SHA-256 of injection.bin:
 * 2d1c5731b5d08fd6b855cabf834d1b3d1a1d335047c9fa870bcdffd1a7248b2c */
#define KT_INJECTION_SCALE 0.028665293
#define KT_INJECTION_BIAS -2.50582414
/* log odds of a block = CONST + RULES * rules + BEST * best window + WHOLE * whole block */
#define KT_INJECTION_CONST -1.400320
#define KT_INJECTION_RULES 1.750000
#define KT_INJECTION_BEST 0.881431
#define KT_INJECTION_WHOLE 0.531564
