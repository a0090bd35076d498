/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/wrap_cut.h"

#include "interceptor/state/kt_state.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

/* Processes that are just ending look alive for a moment. */
#define LOOKS 5
#define LATE_LOOKS 50
#define BETWEEN_LOOKS_NS 10000000

static void ignore_mark(void *count, const struct kt_left_mark *mark)
{
    (void)mark;
    ++*(size_t *)count;
}

/* An engine, for its audit log, only where there is something to write. */
static size_t write_events(struct kt_state *s, const struct kt_engine_options *o, int looks, size_t *alive)
{
    const struct timespec pause = {0, BETWEEN_LOOKS_NS};
    struct kt_engine *e = NULL;
    size_t count = 0;
    if (!kt_is_ok(kt_engine_new(o, &e, NULL)))
        e = NULL;
    for (int i = 0; i < looks; i++) {
        if (i > 0)
            nanosleep(&pause, NULL);
        if (e)
            count += kt_engine_report_cut(e, o->run, alive);
        else
            *alive = kt_marks_collect(s, kt_run_key(o->run), ignore_mark, &count);
        if (!*alive)
            break;
    }
    kt_engine_free(e);
    return count;
}

/* new; NULL where no call was ever made with this state folder. */
static struct kt_state *open_state(const char *state_dir)
{
    char folder[4096];
    struct kt_state *s = NULL;
    if (snprintf(folder, sizeof folder, "%s/state", state_dir) < (int)sizeof folder &&
        access(folder, F_OK) == 0 && !kt_is_ok(kt_state_open(state_dir, &s)))
        s = NULL;
    return s;
}

static size_t cut_of(struct kt_state *s, const struct kt_engine_options *o, int looks, size_t *alive)
{
    *alive = 0;
    if (!s)
        return 0;
    kt_state_check(s, kt_state_now_ms());
    return kt_marks_any(s, kt_run_key(o->run)) ? write_events(s, o, looks, alive) : 0;
}

bool wrap_cut_say(struct wrap_report *w, const struct kt_engine_options *o, uint64_t *missing)
{
    bool asked = w->rules || w->dir; /* else the program's output stays its own */
    struct kt_state *s = w->state ? w->state : open_state(o->state_dir);
    size_t alive, cut = cut_of(s, o, LOOKS, &alive);
    *missing = alive;
    if (w->state && kt_marks_unlisted(s) > w->unlisted)
        *missing += kt_marks_unlisted(s) - w->unlisted;
    cut += (size_t)(*missing - alive);
    if (!w->state)
        kt_state_free(s);
    if (cut && asked)
        fprintf(stderr,
                "kt wrap: %zu LLM calls were cut off by exec or a signal: the record does not say what they "
                "were\n",
                cut);
    if (alive && asked)
        fprintf(stderr, "kt wrap: %zu LLM calls are still under way in processes that were left behind\n",
                alive);
    return cut || alive;
}

void wrap_cut_late(const struct kt_engine_options *o)
{
    size_t alive;
    struct kt_state *s = open_state(o->state_dir);
    cut_of(s, o, LATE_LOOKS, &alive);
    kt_state_free(s);
}
