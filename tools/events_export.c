/* SPDX-License-Identifier: Apache-2.0 */
/* kt events export: the log in a form for other programs. */
#include "tools/events.h"
#include "tools/kt_outfile.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

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

/* No log at all is an export of no events. */
static int export_to(void *arg, FILE *to)
{
    const struct events_options *o = arg;
    struct export x = {.o = o, .to = to, .line = KT_BUF_INIT(CSV_LINE_MAX)};
    uint64_t skipped = 0;
    kt_result r = put_all(&x, &skipped);
    kt_buf_free(&x.line);
    if (x.failed) {
        fprintf(stderr, "kt events: cannot write %s: %s\n", o->output ? o->output : "stdout",
                strerror(errno));
        return KT_EXIT_USAGE;
    }
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

int events_export(const struct events_options *o)
{
    struct events_options copy = *o;
    return kt_outfile_write(o->output, export_to, &copy, "events");
}
