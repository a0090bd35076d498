/* SPDX-License-Identifier: Apache-2.0 */
/* A `kt wrap` whose program, or a part of it, keeps its record in another state folder must not take "no
 * event" for "no call". */
#include "interceptor/engine/kt_engine_private.h"

#include "policyengine/base/kt_log.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static bool same_folder(const char *a, const char *b)
{
    struct stat one, other;
    return strcmp(a, b) == 0 || (stat(a, &one) == 0 && stat(b, &other) == 0 && one.st_dev == other.st_dev &&
                                 one.st_ino == other.st_ino);
}

static kt_result write_there(const char *run_state, struct kt_event *ev, struct kt_error *err)
{
    struct kt_audit *outer = NULL;
    kt_result r = kt_audit_open(run_state, 0, &outer, err);
    if (kt_is_ok(r))
        r = kt_audit_append(outer, ev, err);
    kt_audit_free(outer);
    return r;
}

/* The outer run counts what could not be written. */
static void count_lost(const char *run_state)
{
    struct kt_state *s = NULL;
    if (kt_is_ok(kt_state_open(run_state, &s)))
        kt_state_event_lost(s);
    kt_state_free(s);
}

void kt_engine_tell_outer(const struct kt_engine_options *o, const char *state_dir)
{
    struct kt_error err = {KT_OK, ""};
    char text[400];
    if (!o->run || !*o->run || !o->run_state || !*o->run_state || same_folder(o->run_state, state_dir))
        return;
    snprintf(text, sizeof text, "the calls of this process are recorded in another state folder: %.300s",
             state_dir);
    struct kt_event ev = {.event_type = "unseen",
                          .verdict = "allow",
                          .reason_code = "recorded_elsewhere",
                          .message = text,
                          .cost_usd = -1,
                          .timestamp_ns = kt_now_real_ns(),
                          .immutable = true};
    kt_event_fill_app(&ev);
    kt_result r = kt_event_new_id(ev.id);
    if (kt_is_ok(r))
        r = write_there(o->run_state, &ev, &err);
    if (kt_is_ok(r))
        return;
    kt_warn("the kt wrap around this process could not be told that its calls are recorded here: %s",
            err.text);
    count_lost(o->run_state);
}
