/* SPDX-License-Identifier: Apache-2.0 */
/* Where reports go, and what is said of them. */
#include "tools/kt_outfile.h"
#include "tools/report.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define SAID_MAX 10

#define KT_REPORT_FORMAT(name) extern const struct kt_report_format name;
#include "tools/report_formats.def"
#undef KT_REPORT_FORMAT

const struct kt_report_format *const report_formats[] = {
#define KT_REPORT_FORMAT(name) &name,
#include "tools/report_formats.def"
#undef KT_REPORT_FORMAT
};
const size_t report_format_count = KT_COUNT(report_formats);

struct job {
    const struct report *r;
    const struct kt_report_format *f;
    const char *path, *command;
};

static int write_job(void *arg, FILE *to)
{
    const struct job *j = arg;
    kt_result r = j->f->write(j->r, to);
    if (r.code == KT_OK)
        return KT_EXIT_OK;
    fprintf(stderr, "kt %s: cannot write %s: %s\n", j->command, strcmp(j->path, "-") ? j->path : "stdout",
            r.code == KT_ERR_IO ? strerror(errno) : kt_code_name(r.code));
    return KT_EXIT_USAGE;
}

int report_write(const struct report *r, const struct kt_report_format *f, const char *path,
                 const char *command)
{
    struct job j = {r, f, path, command};
    return kt_outfile_write(path, write_job, &j, command);
}

static void say(const char *text, int width)
{
    KT_CLEANUP(kt_buf_free) struct kt_buf safe = KT_BUF_INIT(16384);
    if (kt_is_ok(events_safe_text(&safe, text ? text : "-")))
        fprintf(stderr, "%-*.*s  ", width, width, safe.data ? safe.data : "");
}

void report_say_broken(const struct report *r, const char *command)
{
    char outcome[48];
    unsigned said = 0;
    fprintf(stderr, "kt %s: %" PRIu64 " of %" PRIu64 " LLM calls broke the rule:", command, r->broken,
            r->sums.events);
    for (unsigned i = 0; i < RULE_COUNT; i++)
        if (r->broken_by[i])
            fprintf(stderr, " %s %" PRIu64, report_rule_names[i], r->broken_by[i]);
    fputs("\n", stderr);
    for (const cJSON *c = r->calls->child; c && said < SAID_MAX; c = c->next) {
        if (!report_rule_broken(r->rules, c))
            continue;
        if (said++ == 0)
            fprintf(stderr, "  %8s  %-16s  %-28s  %-22s  %s\n", "seq", "outcome", "reason", "model",
                    "program");
        fprintf(stderr, "  %8.0f  ", events_number(c, "seq"));
        say(report_outcome(c, outcome), 16);
        say(events_text(c, "reason_code"), 28);
        say(events_text(c, "model"), 22);
        say(report_base_name(events_text(c, "exe")), 20);
        fputs("\n", stderr);
    }
    if (r->broken > said)
        fprintf(stderr, "  and %" PRIu64 " more\n", r->broken - said);
}

int report_read_failed(const struct events_options *o, kt_result r, const char *command)
{
    if (r.code == KT_ERR_NOTFOUND)
        return KT_EXIT_OK;
    fprintf(stderr, "kt %s: cannot read %s: %s\n", command, o->dir,
            r.code == KT_ERR_IO ? strerror(errno) : kt_code_name(r.code));
    return KT_EXIT_USAGE;
}
