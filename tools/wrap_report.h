/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What `kt wrap` does with the calls of its program once that has ended: --fail-on and --report-dir. */
#include "policyengine/base/kt_base.h"

#define WRAP_RUN_MAX 200

struct wrap_report {
    const char *no_rule;    /* what --fail-on was given and is none; NULL = nothing */
    const char *dir;        /* NULL = no reports */
    unsigned rules;         /* of all --fail-on; 0 = none */
    int log;                /* own: a file of the audit log for as long as it is one; -1 = there was none */
    char run[WRAP_RUN_MAX]; /* KT_RUN of the program: which calls are its own */
    struct kt_state *state; /* own; counts the events that could not be written */
    uint64_t lost;          /* of them, before the program */
    uint64_t unlisted;      /* calls under way that nobody could note, before the program */
};

struct kt_engine_options;

/* One --fail-on; several add up. */
void wrap_report_rule(struct wrap_report *w, const char *list);
/* Checks what was given, before the program starts: the rule and the folder (made where it is missing). The
 * run gets a fresh name, inside of the one that this process itself runs in. Returns the exit status and has
 * said why. */
int wrap_report_prepare(struct wrap_report *w);
/* Before the program, once its state folder is there. */
void wrap_report_begin(struct wrap_report *w, const char *state_dir);
/* After the program, whose engines had these options: writes the events of calls that were cut off and the
 * reports, says what broke the rule. Calls whose events could not be written, that were cut off or are still
 * under way break every rule: nobody knows what they were. So does a log that was removed, and perhaps made
 * anew. Returns `status`, or KT_EXIT_POLICY where the rule was broken or nobody can tell, or KT_EXIT_USAGE
 * where a report could not be written and the program had no failure of its own. */
int wrap_report_finish(struct wrap_report *w, const struct kt_engine_options *engine, int status);
