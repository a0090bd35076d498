/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Inside of `kt policy test`. A case is
 *   {"name", "input": {"messages" | "request", "headers"?, "upstream_response"?}, "expected": {"verdict",
 * "reason_code"?}} `request` is a whole chat body, `messages` its messages alone; both: the messages take the
 * place of those in the request. `upstream_response` (an answer, a message or a string) is shown to the
 * response phase where the request phase lets the request through; the severer of both verdicts counts.
 */
#include "policyengine/body/kt_json.h"
#include "tools/policy_chain.h"
#include "tools/policy_run.h"

#include <cjson/cJSON.h>

struct test_run {
    const struct kt_config *config;
    const struct kt_chain *chain;
    cJSON *results;
    size_t passed, failed, bad;
    bool json, colour;
};

/* Where a case stands. */
struct test_place {
    const char *file;                  /* for messages */
    char path[128];                    /* "testing.suites[0].cases[2]" */
    const char *suite;                 /* name; NULL = none */
    const char *target;                /* id of the target that the suite is about; NULL = all */
    const struct kt_chain *assertions; /* checks of answers that the suite brings; NULL = none */
};

/* Runs one case and adds its result; prints it unless JSON is wanted. What is wrong with the case itself is
 * printed on stderr and counted as bad. */
void test_case(struct test_run *t, const struct kt_json *j, uint32_t tok, const struct test_place *place);
/* Says on stderr what is wrong at `place` below `member`, and counts it. */
void test_bad(struct test_run *t, const struct test_place *place, const char *member, const char *fmt, ...)
    KT_PRINTF(4, 5);
/* new, unescaped; NULL where the member is absent or no string, or on OOM. */
char *test_string(const struct kt_json *j, uint32_t object, const char *key);
