/* SPDX-License-Identifier: Apache-2.0 */
/* kt events: shows the audit log and proves that nobody changed it. */
#include "interceptor/plan/kt_plan.h"
#include "policyengine/audit/kt_audit.h"
#include "policyengine/audit/kt_event.h"
#include "tools/events.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern const struct kt_command kt_cmd_events;

#define LIMIT_MAX 1000000

struct args {
    struct events_options o;
    const char *state_dir;
};

/* The value of "--name V" or "--name=V"; NULL where argv[*i] is another option. *missing: no value follows.
 */
static const char *value_of(const char *name, int argc, char **argv, int *i, bool *missing)
{
    size_t n = strlen(name);
    if (strncmp(argv[*i], name, n) == 0 && argv[*i][n] == '=')
        return argv[*i] + n + 1;
    if (strcmp(argv[*i], name) != 0)
        return NULL;
    *missing = *i + 1 >= argc;
    return *missing ? NULL : argv[++*i];
}

static int set_limit(struct args *a, const char *text)
{
    char *end;
    errno = 0;
    unsigned long long n = strtoull(text, &end, 10);
    if (errno || *end || end == text || text[0] == '-' || n > LIMIT_MAX)
        return kt_usage_error(&kt_cmd_events, "--limit wants a number from 0 to %d, not '%s'", LIMIT_MAX,
                              text);
    a->o.limit = (size_t)n;
    return 0;
}

static int set_verdict(struct args *a, const char *text)
{
    static const char *const known[] = {"allow", "redact", "escalate", "block", "error"};
    for (size_t i = 0; i < KT_COUNT(known); i++)
        if (strcmp(text, known[i]) == 0) {
            a->o.verdict = known[i];
            return 0;
        }
    return kt_usage_error(&kt_cmd_events, "--verdict wants allow, redact, escalate, block or error, not '%s'",
                          text);
}

/* 0, or the exit status to leave with. */
static int parse_valued(struct args *a, bool tail, int argc, char **argv, int *i)
{
    const char *v;
    bool missing = false;
    if ((v = value_of("--state-dir", argc, argv, i, &missing)) != NULL) {
        a->state_dir = v;
        return *v ? 0 : kt_usage_error(&kt_cmd_events, "--state-dir wants a folder");
    }
    if (tail && (v = value_of("--limit", argc, argv, i, &missing)) != NULL)
        return set_limit(a, v);
    if (tail && (v = value_of("--verdict", argc, argv, i, &missing)) != NULL)
        return set_verdict(a, v);
    if (tail && (v = value_of("--since", argc, argv, i, &missing)) != NULL) {
        bool ok = events_parse_since(v, kt_now_real_ns(), a->o.since);
        return ok ? 0 : kt_usage_error(&kt_cmd_events, "--since wants " EVENTS_SINCE_HELP ", not '%s'", v);
    }
    if (missing)
        return kt_usage_error(&kt_cmd_events, "%s needs a value", argv[*i]);
    return kt_usage_error(&kt_cmd_events, "no option '%s'", argv[*i]);
}

static int parse(struct args *a, bool tail, int argc, char **argv)
{
    for (int i = 2; i < argc; i++) {
        int status = 0;
        if (strcmp(argv[i], "--json") == 0)
            a->o.json = true;
        else if (tail && (strcmp(argv[i], "--follow") == 0 || strcmp(argv[i], "-f") == 0))
            a->o.follow = true;
        else
            status = parse_valued(a, tail, argc, argv, &i);
        if (status != 0)
            return status;
    }
    return 0;
}

static bool colour_wanted(void)
{
    const char *no = getenv("NO_COLOR"), *term = getenv("TERM");
    return isatty(STDOUT_FILENO) && !(no && *no) && !(term && strcmp(term, "dumb") == 0);
}

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

int events_verify(const char *state_dir, bool json)
{
    struct kt_audit_report report;
    struct kt_error err = {0};
    if (kt_audit_verify(state_dir, &report, &err).code != KT_OK) {
        fprintf(stderr, "kt events: %s\n", err.text);
        return KT_EXIT_USAGE;
    }
    if (json)
        report_json(&report);
    else
        report_text(state_dir, &report);
    return report.ok ? KT_EXIT_OK : KT_EXIT_POLICY;
}

static int run(int argc, char **argv)
{
    struct args a = {.o = {.limit = 50}};
    struct kt_paths paths;
    struct kt_error err = {0};
    if (argc < 2)
        return kt_usage_error(&kt_cmd_events, "tail or verify?");
    bool tail = strcmp(argv[1], "tail") == 0;
    if (!tail && strcmp(argv[1], "verify") != 0)
        return kt_usage_error(&kt_cmd_events, "no subcommand '%s'; there are tail and verify", argv[1]);
    for (int i = 2; i < argc; i++)
        if (kt_is_help(argv[i])) {
            fputs(kt_cmd_events.usage, stdout);
            return KT_EXIT_OK;
        }
    int status = parse(&a, tail, argc, argv);
    if (status != 0)
        return status;
    if (kt_paths_resolve(a.state_dir, &paths, &err).code != KT_OK ||
        strlen(paths.state_dir) + sizeof "/audit" > sizeof a.o.dir)
        return kt_usage_error(&kt_cmd_events, "%s",
                              err.text[0] ? err.text : "the path of the state folder is too long");
    if (!tail)
        return events_verify(paths.state_dir, a.o.json);
    snprintf(a.o.dir, sizeof a.o.dir, "%.4080s/audit", paths.state_dir);
    a.o.colour = !a.o.json && colour_wanted();
    return events_tail(&a.o);
}

static const char usage[] =
    "usage: kt events tail [--limit N] [--since T] [--verdict V] [--follow] [--json] [--state-dir D]\n"
    "       kt events verify [--json] [--state-dir D]\n"
    "\n"
    "tail    shows the last events of the audit log, oldest first, one line each:\n"
    "          time (UTC)  verdict  status  model -> target/upstream model  origin and path\n"
    "          policies that found something  latency  program[pid]  causes\n"
    "verify  reads the whole log and proves that no event was changed, removed, added or moved,\n"
    "        or names the first broken line. Keep the number and hash that it prints somewhere else:\n"
    "        they show a log that was rewritten as a whole.\n"
    "\n"
    "options:\n"
    "  --limit N      events that are shown at first (default 50; 0: only new ones, with --follow)\n"
    "  --since T      only those from T on: " EVENTS_SINCE_HELP "\n"
    "  --verdict V    only these: allow, redact, escalate, block, error\n"
    "  --follow, -f   go on with new events until interrupted\n"
    "  --json         tail: the events as they are stored (JSON Lines); verify: one JSON object\n"
    "  --state-dir D  default: KT_STATE_DIR, or $XDG_STATE_HOME/kt, or ~/.local/state/kt\n"
    "\n"
    "Colours are used on a terminal only, and not where NO_COLOR is set.\n"
    "\n"
    "exit status: 0 ok (also where there are no events to show), 1 verify found the log broken,\n"
    "             2 usage, or no log to verify\n";

const struct kt_command kt_cmd_events = {
    .name = "events",
    .summary = "show the audit log (tail) or prove that it is unchanged (verify)",
    .usage = usage,
    .run = run,
};
