/* SPDX-License-Identifier: Apache-2.0 */
/* kt events export: the log in a form for other programs. */
#include "tools/events.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CSV_LINE_MAX (256u << 20)

struct export
{
    const struct events_options *o;
    FILE *to;
    struct kt_buf line; /* csv */
    uint64_t count;
    bool failed; /* see errno */
};

static bool put_event(void *arg, struct kt_span line, const struct cJSON *event)
{
    struct export *x = arg;
    struct kt_span text = line;
    if (x->o->form == EVENTS_CSV) {
        kt_buf_clear(&x->line);
        if (events_csv_row(event, &x->line).code != KT_OK) {
            errno = ENOMEM;
            x->failed = true;
            return false;
        }
        text = kt_buf_span(&x->line);
    } else if (x->o->form == EVENTS_JSON) {
        fputs(x->count ? ",\n" : "\n", x->to);
    }
    fwrite(text.data, 1, text.len, x->to);
    if (x->o->form == EVENTS_JSONL)
        putc('\n', x->to);
    x->count++;
    x->failed = ferror(x->to) != 0;
    return !x->failed;
}

static kt_result put_all(struct export *x, uint64_t *skipped)
{
    if (x->o->form == EVENTS_JSON)
        fputs("[", x->to);
    if (x->o->form == EVENTS_CSV) {
        KT_GUARD(events_csv_head(&x->line));
        fwrite(x->line.data, 1, x->line.len, x->to);
    }
    kt_result r = events_walk(x->o, put_event, x, skipped);
    if (x->o->form == EVENTS_JSON)
        fputs("\n]\n", x->to);
    return r;
}

static int cannot_write(const char *file)
{
    fprintf(stderr, "kt events: cannot write %s: %s\n", file, strerror(errno));
    return KT_EXIT_USAGE;
}

/* No log at all is an export of no events. */
static int export_to(const struct events_options *o, FILE *to, const char *name)
{
    struct export x = {.o = o, .to = to, .line = KT_BUF_INIT(CSV_LINE_MAX)};
    uint64_t skipped = 0;
    kt_result r = put_all(&x, &skipped);
    kt_buf_free(&x.line);
    if (x.failed || fflush(to) != 0)
        return cannot_write(name);
    if (r.code != KT_OK) {
        int status = events_walk_failed(o, r);
        if (status != KT_EXIT_OK)
            return status;
    }
    if (skipped)
        fprintf(stderr,
                "kt events: %" PRIu64 " lines are no events and were left out; 'kt events verify' "
                "names the first\n",
                skipped);
    return KT_EXIT_OK;
}

/* Whole and on disk before it gets its name; for this user only, as the log is. */
static int export_file(const struct events_options *o)
{
    KT_CLEANUP(kt_cleanup_free) char *temp = NULL;
    if (asprintf(&temp, "%s.part-XXXXXX", o->output) < 0) {
        temp = NULL;
        return cannot_write(o->output);
    }
    int fd = mkostemp(temp, O_CLOEXEC);
    if (fd < 0)
        return cannot_write(o->output);
    FILE *to = fdopen(fd, "w");
    if (!to)
        close(fd);
    int status = to ? export_to(o, to, o->output) : cannot_write(o->output);
    if (status == KT_EXIT_OK && fsync(fd) != 0)
        status = cannot_write(o->output);
    if (to && fclose(to) != 0 && status == KT_EXIT_OK)
        status = cannot_write(o->output);
    if (status == KT_EXIT_OK && rename(temp, o->output) != 0)
        status = cannot_write(o->output);
    if (status != KT_EXIT_OK)
        unlink(temp);
    return status;
}

int events_export(const struct events_options *o)
{
    return o->output ? export_file(o) : export_to(o, stdout, "stdout");
}
