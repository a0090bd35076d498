/* SPDX-License-Identifier: Apache-2.0 */
/* kt events verify: what the audit log's own proof says. */
#include "policyengine/audit/kt_audit.h"
#include "policyengine/audit/kt_event.h"
#include "tools/events.h"

#include <inttypes.h>
#include <string.h>

static void print_json_text(const char *text)
{
    KT_CLEANUP(kt_buf_free) struct kt_buf b = KT_BUF_INIT(65536);
    if (kt_event_text(&b, text, strlen(text)).code == KT_OK)
        printf("\"%s\"", b.data ? b.data : "");
}

static void report_json(const struct kt_audit_report *r)
{
    printf("{\"ok\":%s,\"events\":%" PRIu64 ",\"files\":%" PRIu64 ",\"last_seq\":%" PRIu64
           ",\"last_hash\":\"%s\"",
           r->ok ? "true" : "false", r->events, r->files, r->last_seq, r->last_hash);
    if (r->pruned)
        printf(",\"pruned\":%" PRIu64, r->pruned);
    if (!r->ok) {
        printf(",\"file\":");
        print_json_text(r->file);
        printf(",\"line\":%" PRIu64 ",\"what\":", r->line);
        print_json_text(r->what);
    }
    puts("}");
}

static void report_text(const char *dir, const struct kt_audit_report *r)
{
    if (r->ok) {
        printf("ok: %" PRIu64 " event%s in %" PRIu64 " file%s, nothing missing, nothing changed\n", r->events,
               r->events == 1 ? "" : "s", r->files, r->files == 1 ? "" : "s");
        if (r->pruned > 0)
            printf("%" PRIu64 " older events were pruned; their checkpoints link to what is left\n",
                   r->pruned);
        if (r->last_seq > 0)
            printf("last event %" PRIu64 ", hash %s\n", r->last_seq, r->last_hash);
    } else if (r->line > 0) {
        printf("broken: %s/audit/%s:%" PRIu64 ": %s\n", dir, r->file, r->line, r->what);
    } else {
        printf("broken: %s/audit/%s: %s\n", dir, r->file, r->what);
    }
    if (!r->ok)
        printf("%" PRIu64 " events in front of it are good\n", r->events);
}

int events_verify(const struct events_options *o)
{
    struct kt_audit_report report;
    struct kt_error err = {0};
    if (kt_audit_verify(o->state_dir, &report, &err).code != KT_OK) {
        fprintf(stderr, "kt events: %s\n", err.text);
        return KT_EXIT_USAGE;
    }
    if (o->json)
        report_json(&report);
    else
        report_text(o->state_dir, &report);
    return report.ok ? KT_EXIT_OK : KT_EXIT_POLICY;
}
