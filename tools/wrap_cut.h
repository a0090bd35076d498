/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What `kt wrap` does about calls that began in its run and have no event. */
#include "interceptor/engine/kt_engine.h"
#include "tools/wrap_report.h"

/* At the end of the program: writes the event of each call whose process is dead, and, where there are a rule
 * or reports, says how many there are. True where there are any, or some that are still under way; *missing:
 * of how many there is no event. */
bool wrap_cut_say(struct wrap_report *w, const struct kt_engine_options *o, uint64_t *missing);
/* The same at the end of the last process that was left behind. Nobody is there to be told. */
void wrap_cut_late(const struct kt_engine_options *o);
