/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside interceptor/plan: takes away what is over. */

/* Removes one CA folder with the files that we write into it; anything else in it stays, and so does the
 * folder then. */
void kt_plan_remove_ca_dir(const char *ca_dir);
/* Removes expired plans from `plan_dir` and expired or unfinished CA folders from `runtime_dir`. Bounded work
 * per call. */
void kt_plan_clean(const char *plan_dir, const char *runtime_dir);
