/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside interceptor/plan: the words of a plan file. */
#include "interceptor/plan/kt_plan.h"

#include <time.h>

struct kt_plan_facts { /* all borrowed */
    const char *mode, *fail_mode;
    time_t expires;
    const struct kt_plan_made *made;
    const struct kt_strings *hosts, *exclude;
    const char *roots_from, *extra_from; /* NULL = none */
};
/* Appends the plan. KT_ERR_USAGE where hosts are malformed or too many. */
kt_result kt_plan_print(const struct kt_plan_facts *facts, struct kt_buf *out, struct kt_error *err) KT_MUST;

/* The value of the first line `word value`; NULL data where there is none. */
struct kt_span kt_plan_word(struct kt_span plan, const char *word);
/* It is a plan of our version, and its time is not over. KT_ERR_SYNTAX, KT_ERR_STATE. */
kt_result kt_plan_check(struct kt_span plan, time_t now) KT_MUST;
