/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Ordinary text to measure with, made here: sentences of small vocabularies, never twice the same. */
#include "policyengine/base/kt_base.h"

enum bench_text { BENCH_PROSE, BENCH_CODE, BENCH_MULTILINGUAL, BENCH_NUMBERS, BENCH_RECORDS, BENCH_TEXTS };
const char *bench_text_name(enum bench_text t);
/* Fills out[0..len) with valid UTF-8; the same seed gives the same text. */
void bench_text_fill(enum bench_text t, uint64_t seed, char *out, size_t len);
