/* SPDX-License-Identifier: Apache-2.0 */
/* kt events prune: what is older than it must be kept. */
#include "policyengine/audit/kt_audit.h"
#include "tools/events.h"

#include <inttypes.h>

/* File names are digits, and `why` is our own text: nothing to escape. */
static void say_file(void *arg, const char *file, uint64_t events, uint64_t bytes)
{
    const struct events_options *o = arg;
    if (!o->json)
        printf("%s %s (%" PRIu64 " events, %" PRIu64 " bytes)\n", o->dry_run ? "would remove" : "removed",
               file, events, bytes);
}

static void say_sums(const struct events_options *o, const struct kt_audit_pruning *p)
{
    if (o->json) {
        printf("{\"dry_run\":%s,\"files\":%" PRIu64 ",\"events\":%" PRIu64 ",\"bytes\":%" PRIu64,
               o->dry_run ? "true" : "false", p->files, p->events, p->bytes);
        if (p->stopped_at[0])
            printf(",\"first_kept\":\"%s\",\"why\":\"%s\"", p->stopped_at, p->why);
        puts("}");
        return;
    }
    if (p->files == 0)
        puts("nothing to remove");
    if (p->stopped_at[0])
        printf("kept from %s on: %s\n", p->stopped_at, p->why);
}

int events_prune(const struct events_options *o)
{
    struct kt_error err = {0};
    struct kt_audit_pruning p = {
        .days = o->days, .dry_run = o->dry_run, .removed = say_file, .arg = (void *)(uintptr_t)o};
    kt_result r = kt_audit_prune(o->state_dir, &p, &err);
    if (r.code == KT_OK || p.files)
        say_sums(o, &p);
    if (r.code == KT_OK)
        return KT_EXIT_OK;
    fprintf(stderr, "kt events: %s\n", err.text);
    return KT_EXIT_USAGE;
}
