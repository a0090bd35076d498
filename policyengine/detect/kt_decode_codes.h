/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A part of kt_decode.h: text whose characters are written as their numbers, or in Morse. */
#include "policyengine/detect/kt_decode.h"

/* Bytes of one unit with a mark of its own at `in` ("&#105;", "\u{69}", no bare number), its character in *c;
 * 0 = none, or no ASCII text. */
size_t kt_decode_code(const char *in, size_t len, char *c);

/* True where such a run may begin at `at`; cheap, asked for every sign that may open one. */
bool kt_decode_codes_start(const char *text, size_t len, size_t at);

/* Decodes the run at *at into `out` (room for KT_DECODE_MAX) and moves *at behind it. Returns the bytes
 * written; 0 where there is no run of eight units or more, which is found after eight of them: *at stays. */
size_t kt_decode_codes(const char *text, size_t len, size_t *at, char *out);
