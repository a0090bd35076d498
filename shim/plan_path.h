/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Where the plan lies (interceptor/abi/kt_plan_format.h). Nothing is created. */
#include <stdbool.h>
#include <stddef.h>

/* KT_STATE_DIR or its default, without a last slash. False where it does not fit. */
bool kt_state_dir(char *out, size_t size);
/* The i-th place to look at, best first: KT_PLAN, the state folder, the per-user runtime folders. False past
 * the last; *out is "" for a place that this environment does not name. */
bool kt_plan_candidate(int i, char *out, size_t size);
