/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/wrap_report.h"

#include "interceptor/engine/kt_engine.h"
#include "interceptor/state/kt_state.h"
#include "tools/report.h"
#include "tools/wrap_cut.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A run inside of a run is also the outer one's. */
static bool name_run(char out[WRAP_RUN_MAX])
{
    unsigned char raw[8];
    const char *outer = getenv("KT_RUN");
    size_t n = 0;
    if (!kt_is_ok(kt_random(raw, sizeof raw)))
        return false;
    if (outer && *outer && strlen(outer) + 2 + 2 * sizeof raw <= WRAP_RUN_MAX)
        n = (size_t)snprintf(out, WRAP_RUN_MAX, "%s/", outer);
    for (size_t i = 0; i < sizeof raw; i++)
        snprintf(out + n + 2 * i, WRAP_RUN_MAX - n - 2 * i, "%02x", raw[i]);
    return true;
}

void wrap_report_rule(struct wrap_report *w, const char *list)
{
    unsigned rules = report_rule_parse(list);
    w->rules |= rules;
    if (!rules)
        w->no_rule = list;
}

int wrap_report_prepare(struct wrap_report *w)
{
    extern const struct kt_command kt_cmd_wrap;
    if (!name_run(w->run)) {
        fputs("kt wrap: no random numbers can be had\n", stderr);
        return KT_EXIT_USAGE;
    }
    if (w->no_rule)
        return kt_usage_error(&kt_cmd_wrap, "--fail-on wants a list of " REPORT_RULES_HELP ", not '%s'",
                              w->no_rule);
    if (w->dir && mkdir(w->dir, 0777) != 0 && errno != EEXIST) {
        fprintf(stderr, "kt wrap: cannot make --report-dir %s: %s\n", w->dir, strerror(errno));
        return KT_EXIT_USAGE;
    }
    if (w->dir && access(w->dir, W_OK | X_OK) != 0) {
        fprintf(stderr, "kt wrap: cannot write into --report-dir %s: %s\n", w->dir, strerror(errno));
        return KT_EXIT_USAGE;
    }
    return KT_EXIT_OK;
}

static int write_all(const struct report *r, const char *dir)
{
    int status = KT_EXIT_OK;
    for (size_t i = 0; i < report_format_count && status == KT_EXIT_OK; i++) {
        KT_CLEANUP(kt_cleanup_free) char *path = NULL;
        if (asprintf(&path, "%s/%s", dir, report_formats[i]->file) < 0) {
            path = NULL;
            return KT_EXIT_USAGE;
        }
        status = report_write(r, report_formats[i], path, "wrap");
    }
    return status;
}

/* The audit log's lock lives as long as the log does, through rotation and pruning. */
static int open_lock(const char *state_dir)
{
    char path[4096];
    int n = snprintf(path, sizeof path, "%s/audit/lock", state_dir);
    return n < (int)sizeof path ? open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW) : -1;
}

/* Only what is held open tells: the number of a file that is gone is soon another's. */
static bool say_replaced(struct wrap_report *w, const char *state_dir)
{
    KT_CLEANUP(kt_cleanup_fd) int before = w->log;
    KT_CLEANUP(kt_cleanup_fd) int now = before < 0 ? -1 : open_lock(state_dir);
    struct stat a, b;
    w->log = -1;
    if (before < 0 || (now >= 0 && fstat(before, &a) == 0 && fstat(now, &b) == 0 && a.st_dev == b.st_dev &&
                       a.st_ino == b.st_ino))
        return false;
    fprintf(stderr,
            "kt wrap: the audit log in %s/audit was removed while the program ran: calls of before are not "
            "known. Keep --state-dir where the build does not clean\n",
            state_dir);
    return true;
}

void wrap_report_begin(struct wrap_report *w, const char *state_dir)
{
    w->log = w->rules || w->dir ? open_lock(state_dir) : -1;
    if ((w->rules || w->dir) && !kt_is_ok(kt_state_open(state_dir, &w->state)))
        w->state = NULL;
    w->lost = kt_state_lost_events(w->state);
    w->unlisted = kt_marks_unlisted(w->state);
    if (w->rules && !kt_state_is_shared(w->state))
        fprintf(stderr, "kt wrap: calls that exec or a signal cuts off will not be seen: %s\n",
                w->state ? kt_state_problem(w->state) : "no memory");
}

static uint64_t say_lost(struct wrap_report *w, const char *dir)
{
    uint64_t lost = kt_state_lost_events(w->state) - w->lost;
    kt_state_free(w->state);
    w->state = NULL;
    if (lost)
        fprintf(stderr,
                "kt wrap: %llu audit events could not be written to %s while the program ran: the record of "
                "its LLM calls has holes\n",
                (unsigned long long)lost, dir);
    return lost;
}

int wrap_report_finish(struct wrap_report *w, const struct kt_engine_options *engine, int status)
{
    const char *state_dir = engine->state_dir;
    uint64_t missing;
    bool cut = wrap_cut_say(w, engine, &missing);
    struct events_options o = {.state_dir = state_dir, .run = w->run};
    if (!w->rules && !w->dir)
        return status;
    if (snprintf(o.dir, sizeof o.dir, "%s/audit", state_dir) >= (int)sizeof o.dir)
        o.dir[0] = '\0';
    KT_CLEANUP(report_free) struct report r;
    kt_result read = report_collect(&o, w->rules, &r);
    if (read.code != KT_OK) {
        /* Not even an empty log: nobody can say what was called. */
        fprintf(stderr,
                "kt wrap: the audit log in %s cannot be read (%s): nothing is known about the LLM calls\n",
                o.dir, kt_code_name(read.code));
        say_lost(w, o.dir);
        say_replaced(w, state_dir);
        return w->rules ? KT_EXIT_POLICY : status ? status : KT_EXIT_USAGE;
    }
    r.missing = missing + say_lost(w, o.dir);
    int wrote = w->dir ? write_all(&r, w->dir) : KT_EXIT_OK;
    if (r.broken)
        report_say_broken(&r, "wrap");
    bool replaced = say_replaced(w, state_dir), holes = r.missing || cut || replaced;
    if ((holes && w->rules) || r.broken)
        return KT_EXIT_POLICY;
    return status ? status : wrote;
}
