/* SPDX-License-Identifier: Apache-2.0 */
/* kt events: shows, counts, exports and prunes the audit log, and proves that nobody changed it. */
#include "interceptor/plan/kt_plan.h"
#include "tools/events.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern const struct kt_command kt_cmd_events;

#define LIMIT_MAX 1000000
#define DAYS_MAX 36500

/* Which options a subcommand takes; all take --state-dir. */
enum {
    OPT_JSON = 1,
    OPT_LIMIT = 2,
    OPT_SINCE = 4,
    OPT_UNTIL = 8,
    OPT_VERDICT = 16,
    OPT_FOLLOW = 32,
    OPT_EXPORT = 64, /* --format, --output */
    OPT_PRUNE = 128, /* --days, --dry-run */
    OPT_PROMETHEUS = 256
};

struct sub {
    const char *name;
    unsigned options;
    int (*run)(const struct events_options *o);
};

static const struct sub subs[] = {
    {"tail", OPT_JSON | OPT_LIMIT | OPT_SINCE | OPT_VERDICT | OPT_FOLLOW, events_tail},
    {"stats", OPT_JSON | OPT_SINCE | OPT_UNTIL | OPT_VERDICT | OPT_PROMETHEUS, events_stats},
    {"export", OPT_SINCE | OPT_UNTIL | OPT_VERDICT | OPT_EXPORT, events_export},
    {"prune", OPT_JSON | OPT_PRUNE, events_prune},
    {"verify", OPT_JSON, events_verify},
};
#define SUBS "tail, stats, export, prune and verify"

static int set_number(const char *option, const char *text, long max, long *out)
{
    char *end;
    errno = 0;
    long n = strtol(text, &end, 10);
    if (errno || *end || end == text || text[0] < '0' || text[0] > '9' || n > max)
        return kt_usage_error(&kt_cmd_events, "%s wants a number from 0 to %ld, not '%s'", option, max, text);
    *out = n;
    return 0;
}

static int set_limit(struct events_options *o, const char *text)
{
    long n = 0;
    int status = set_number("--limit", text, LIMIT_MAX, &n);
    o->limit = (size_t)n;
    return status;
}

static int set_days(struct events_options *o, const char *text)
{
    return set_number("--days", text, DAYS_MAX, &o->days);
}

static int set_verdict(struct events_options *o, const char *text)
{
    o->verdict = text;
    return events_check_verdict(&kt_cmd_events, text);
}

static int set_form(struct events_options *o, const char *text)
{
    static const char *const known[] = {
        [EVENTS_JSONL] = "jsonl", [EVENTS_JSON] = "json", [EVENTS_CSV] = "csv"};
    for (size_t i = 0; i < KT_COUNT(known); i++)
        if (strcmp(text, known[i]) == 0) {
            o->form = (enum events_form)i;
            return 0;
        }
    return kt_usage_error(&kt_cmd_events, "--format wants json, jsonl or csv, not '%s'", text);
}

static int set_time(const char *option, const char *text, char out[31])
{
    if (events_parse_since(text, kt_now_real_ns(), out))
        return 0;
    return kt_usage_error(&kt_cmd_events, "%s wants " EVENTS_SINCE_HELP ", not '%s'", option, text);
}

static int set_since(struct events_options *o, const char *text)
{
    return set_time("--since", text, o->since);
}

static int set_until(struct events_options *o, const char *text)
{
    return set_time("--until", text, o->until);
}

static int set_output(struct events_options *o, const char *text)
{
    o->output = strcmp(text, "-") == 0 ? NULL : text;
    return *text ? 0 : kt_usage_error(&kt_cmd_events, "--output wants a file");
}

static int set_prometheus(struct events_options *o, const char *text)
{
    o->prometheus = text;
    return *text ? 0 : kt_usage_error(&kt_cmd_events, "--prometheus wants a file");
}

static int set_state_dir(struct events_options *o, const char *text)
{
    o->state_dir = text;
    return *text ? 0 : kt_usage_error(&kt_cmd_events, "--state-dir wants a folder");
}

static const struct {
    const char *name;
    unsigned option;
    int (*set)(struct events_options *o, const char *text); /* 0, or the exit status to leave with */
} valued[] = {
    {"--state-dir", ~0u, set_state_dir},
    {"--limit", OPT_LIMIT, set_limit},
    {"--since", OPT_SINCE, set_since},
    {"--until", OPT_UNTIL, set_until},
    {"--verdict", OPT_VERDICT, set_verdict},
    {"--format", OPT_EXPORT, set_form},
    {"--output", OPT_EXPORT, set_output},
    {"--days", OPT_PRUNE, set_days},
    {"--prometheus", OPT_PROMETHEUS, set_prometheus},
};

static int parse_valued(struct events_options *o, const struct sub *s, int argc, char **argv, int *i,
                        unsigned *given)
{
    bool missing = false;
    for (size_t k = 0; k < KT_COUNT(valued) && !missing; k++) {
        const char *v =
            s->options & valued[k].option ? kt_option_value(valued[k].name, argc, argv, i, &missing) : NULL;
        if (v && (*given >> k) & 1)
            return kt_option_twice(&kt_cmd_events, valued[k].name);
        if (v) {
            *given |= 1u << k;
            return valued[k].set(o, v);
        }
    }
    if (missing)
        return kt_usage_error(&kt_cmd_events, "%s needs a value", argv[*i]);
    return kt_usage_error(&kt_cmd_events, "%s: no option '%s'", s->name, argv[*i]);
}

static int parse(struct events_options *o, const struct sub *s, int argc, char **argv)
{
    unsigned given = 0; /* of `valued` */
    for (int i = 2; i < argc; i++) {
        int status = 0;
        if ((s->options & OPT_JSON) && strcmp(argv[i], "--json") == 0)
            o->json = true;
        else if ((s->options & OPT_FOLLOW) &&
                 (strcmp(argv[i], "--follow") == 0 || strcmp(argv[i], "-f") == 0))
            o->follow = true;
        else if ((s->options & OPT_PRUNE) && strcmp(argv[i], "--dry-run") == 0)
            o->dry_run = true;
        else
            status = parse_valued(o, s, argc, argv, &i, &given);
        if (status != 0)
            return status;
    }
    if (o->prometheus && (o->json || o->since[0] || o->until[0] || o->verdict))
        return kt_usage_error(&kt_cmd_events,
                              "--prometheus counts the whole log and goes with --state-dir only");
    return 0;
}

static bool colour_wanted(void)
{
    const char *no = getenv("NO_COLOR"), *term = getenv("TERM");
    return isatty(STDOUT_FILENO) && !(no && *no) && !(term && strcmp(term, "dumb") == 0);
}

static const struct sub *find_sub(const char *name)
{
    for (size_t i = 0; i < KT_COUNT(subs); i++)
        if (strcmp(name, subs[i].name) == 0)
            return &subs[i];
    return NULL;
}

static int run(int argc, char **argv)
{
    struct events_options o = {.limit = 50, .days = -1};
    struct kt_paths paths;
    struct kt_error err = {0};
    if (argc < 2)
        return kt_usage_error(&kt_cmd_events, "no subcommand; there are " SUBS);
    const struct sub *s = find_sub(argv[1]);
    if (!s)
        return kt_usage_error(&kt_cmd_events, "no subcommand '%s'; there are " SUBS, argv[1]);
    int status = parse(&o, s, argc, argv);
    if (status != 0)
        return status;
    if (kt_paths_resolve(o.state_dir, &paths, &err).code != KT_OK ||
        strlen(paths.state_dir) + sizeof "/audit" > sizeof o.dir)
        return kt_usage_error(&kt_cmd_events, "%s",
                              err.text[0] ? err.text : "the path of the state folder is too long");
    o.state_dir = paths.state_dir;
    snprintf(o.dir, sizeof o.dir, "%.4080s/audit", paths.state_dir);
    o.colour = !o.json && colour_wanted();
    return s->run(&o);
}

static const char usage[] =
    "usage: kt events tail [--limit N] [--since T] [--verdict V] [--follow] [--json] [--state-dir D]\n"
    "       kt events stats [--since T] [--until T] [--verdict V] [--json] [--state-dir D]\n"
    "       kt events stats --prometheus FILE [--state-dir D]\n"
    "       kt events export [--format json|jsonl|csv] [--output F] [--since T] [--until T] [--verdict V]\n"
    "                        [--state-dir D]\n"
    "       kt events prune [--days N] [--dry-run] [--json] [--state-dir D]\n"
    "       kt events verify [--json] [--state-dir D]\n"
    "\n"
    "tail    shows the last events of the audit log, oldest first, one line each:\n"
    "          time (UTC)  verdict  status  model -> target/upstream model  origin and path\n"
    "          policies that found something  latency  program[pid]  causes\n"
    "stats   counts events by verdict, reason, policy, model, target and program; adds up tokens, cost\n"
    "        and attempts; latency percentiles are right to 1 %. Names beyond the first 1000 of a kind\n"
    "        are counted together as (other). --prometheus writes the counters that a gateway has at\n"
    "        /metrics for all processes of the log, in the text form of Prometheus: by cron into the\n"
    "        folder of node_exporter's textfile collector, as NAME.prom. The file is replaced at once.\n"
    "export  writes all events: jsonl (as stored, the default), json (one array) or csv (RFC 4180, one\n"
    "        line per event, first line the names; a cell that begins with = + - @, a tab or a return\n"
    "        gets a ' in front, so that no spreadsheet runs it; captured requests are left out).\n"
    "        A file appears under its name only when it is whole.\n"
    "prune   removes rotated files, oldest first, whose events are all older than N days. Without --days\n"
    "        each file is kept for the highest retention_days (audit-logger) that its own events carry,\n"
    "        and for ever where none does. A file that does not fit its checkpoint is never removed.\n"
    "        The checkpoints stay, so verify still proves what is left; the log says what was removed.\n"
    "verify  reads the whole log and proves that no event was changed, removed, added or moved,\n"
    "        or names the first broken line. Keep the number and hash that it prints somewhere else:\n"
    "        they show a log that was rewritten as a whole.\n"
    "\n"
    "options:\n"
    "  --limit N      events that are shown at first (default 50; 0: only new ones, with --follow)\n"
    "  --since T      only those from T on: " EVENTS_SINCE_HELP "\n"
    "  --until T      only those before T\n"
    "  --verdict V    only these: allow, redact, escalate, block, error; also what would have been, in\n"
    "                 mode observe\n"
    "  --follow, -f   go on with new events until interrupted\n"
    "  --format F     json, jsonl or csv\n"
    "  --output F     the file to write, - for stdout (default); an existing one is replaced\n"
    "  --prometheus FILE  the file to write, - for stdout; others may read it\n"
    "  --days N       the age, 0 to 36500\n"
    "  --dry-run      say what would be removed, remove nothing\n"
    "  --json         tail: the events as they are stored (JSON Lines); others: one JSON object\n"
    "  --state-dir D  default: KT_STATE_DIR, or $XDG_STATE_HOME/kt, or ~/.local/state/kt\n"
    "\n"
    "Colours are used on a terminal only, and not where NO_COLOR is set.\n"
    "\n"
    "exit status: 0 ok (also where there are no events to show), 1 verify found the log broken,\n"
    "             2 usage, or what could not be read or written\n";

const struct kt_command kt_cmd_events = {
    .name = "events",
    .summary = "show, count, export and prune the audit log, or prove that it is unchanged",
    .usage = usage,
    .run = run,
};
