/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/supervise/private.h"

#include "policyengine/base/kt_log.h"

struct kt_engine *supervise_engine(struct kt_supervise *s)
{
    struct kt_error err = {KT_OK, ""};
    pthread_mutex_lock(&s->lock);
    if (!s->engine && !s->engine_failed && !kt_is_ok(kt_engine_new(&s->o.engine, &s->engine, &err))) {
        s->engine = NULL;
        s->engine_failed = true;
        kt_log_open(s->o.engine.state_dir);
        kt_warn("supervise: no engine: %s", err.text);
    }
    struct kt_engine *e = s->engine;
    pthread_mutex_unlock(&s->lock);
    return e;
}

struct kt_event_program *supervise_program(pid_t tid)
{
    struct kt_event_program *p = NULL;
    pid_t process = target_process(tid);
    return process > 0 && kt_is_ok(kt_event_program_new((int)process, &p)) ? p : NULL;
}

void supervise_report(struct kt_supervise *s, const struct kt_event_program *program, bool passed,
                      const char *host, const char *detail)
{
    struct kt_engine *e = supervise_engine(s);
    if (e)
        kt_engine_report_of(e, program, passed ? KT_ABI_PASSED : KT_ABI_UNSEEN, host, detail);
    kt_warn("supervise: %s%s%s", host ? host : "", host ? ": " : "", detail);
}

void supervise_report_of(struct kt_supervise *s, pid_t tid, bool passed, const char *host, const char *detail)
{
    struct kt_event_program *program = supervise_program(tid);
    supervise_report(s, program, passed, host, detail);
    kt_event_program_unref(program);
}

bool supervise_plan_says(struct kt_supervise *s, const char *word, const char *value)
{
    pthread_mutex_lock(&s->lock);
    bool yes = kt_span_eq(names_word(&s->names, word), value);
    pthread_mutex_unlock(&s->lock);
    return yes;
}
