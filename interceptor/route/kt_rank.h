/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside interceptor/route: what several strategies need. */
#include "interceptor/route/kt_route.h"

/* 0 .. n-1 by score, lowest first; equal scores keep their order. */
void kt_rank_by(const double *score, size_t n, size_t *out);
/* Puts `first` in front and keeps the order of the others. */
void kt_rank_front(size_t *order, size_t n, size_t first);
/* Key of a turn that these candidates share, whatever config they come from. `salt` tells strategies apart.
 */
uint64_t kt_rank_turn_key(const char *salt, const struct kt_candidate *c, size_t n);
/* By measured speed: `sign` 1 = the lowest mean first, -1 = the highest. See kt_rank.c for what happens while
 * there is too little to go by. */
void kt_rank_by_samples(const struct kt_route_ask *ask, const struct kt_candidate *c, size_t n,
                        enum kt_sample_kind kind, double sign, size_t *out);
/* The place of turn `turn` in a smooth cycle in which target i has weight[i] turns (0 .. 1e6; one of them is
 * not 0). */
size_t kt_weighted_turn(const uint64_t *weight, size_t n, uint64_t turn);
