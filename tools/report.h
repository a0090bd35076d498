/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside of `kt report`: what is collected from the audit log, and the forms it is written in. */
#include "tools/events.h"
#include "tools/events_stats.h"

#define REPORT_GROUPS_MAX 200 /* names per table; those that come later are counted together */
#define REPORT_SLICES 60      /* of time */
#define REPORT_ROWS 2000 /* newest calls, and as many of the newest that broke the rule or did not pass */

/* The rule of --fail-on. Observed calls count by what would have happened. */
enum {
    RULE_BLOCK = 1,
    RULE_REDACT = 2,
    RULE_ESCALATE = 4,
    RULE_ERROR = 8,
    RULE_UNSEEN = 16, /* what ktwrap could not look into: unseen, client_distrusts */
    RULE_COUNT = 5
};
extern const char *const report_rule_names[RULE_COUNT];
#define REPORT_RULES_HELP "block, redact, escalate, error and unseen"
/* "block,redact": 0 where `text` is no such list. */
unsigned report_rule_parse(const char *text);
/* Those of the rules that the event breaks. */
unsigned report_rule_broken(unsigned rules, const struct cJSON *event);

/* One line of a table: calls to a target, of a model, of a program. */
struct report_group {
    char *name; /* owned; NULL = all others */
    uint64_t calls, failed, blocked, redacted, tokens, retried;
    double cost_usd;
    struct spread *latency; /* owned, ms */
};
struct report_groups {
    struct report_group items[REPORT_GROUPS_MAX + 1]; /* the last one: all others */
    size_t count;
};
enum { REPORT_TARGETS, REPORT_MODELS, REPORT_PROGRAMS, REPORT_TABLES };

struct report_policy {
    char kind[64];
    uint64_t looked, found, blocked, redacted, time_us;
};

struct report {
    const struct events_options *o;
    unsigned rules; /* 0 = none was asked for */
    struct events_sums sums;
    uint64_t broken, broken_by[RULE_COUNT], notable;
    struct report_groups *tables[REPORT_TABLES]; /* owned */
    struct report_policy policies[64];
    size_t policy_count;
    struct tally *attempts; /* owned; "target: outcome" */
    uint64_t from_ns, slice_ns;
    uint32_t slices[REPORT_SLICES][RULE_COUNT]; /* allow, redact, escalate, block, error */
    struct cJSON *calls;                        /* owned; newest last */
    uint64_t missing; /* calls that are known to have no event: set behind report_collect, by who knows */
    bool out_of_memory;
};

/* What the figures cannot know, as a sentence: calls without an event, lines that cannot be read. False where
 * there is nothing of the kind; *out is then "". */
bool report_gaps(const struct report *r, char out[240]);

/* Reads the log twice: sums first, then all that needs to know the whole. KT_ERR_NOTFOUND where there is no
 * log (all else is then empty and valid). report_free in any case. */
kt_result report_collect(const struct events_options *o, unsigned rules, struct report *out) KT_MUST;
void report_free(struct report *r);
/* Says on stderr why the log could not be read; returns the exit status. No log at all is not an error. */
int report_read_failed(const struct events_options *o, kt_result r, const char *command);

/* NULL on OOM: new, the whole report as a tree (report_json.c). */
struct cJSON *report_tree(const struct report *r);

/* A group is added to, or found, by name; NULL on OOM. */
struct report_group *report_group(struct report_groups *g, const char *name);

/* "wget" of "/usr/bin/wget"; "-" for NULL. Borrowed. */
const char *report_base_name(const char *path);
/* What became of it: the verdict, "would block" where it was only observed, else the event's type. Into
 * `out`, returned. */
const char *report_outcome(const struct cJSON *event, char out[48]);

struct kt_report_format {
    const char *option; /* --html */
    const char *file;   /* its name in --report-dir */
    const char *help;
    kt_result (*write)(const struct report *r, FILE *to); /* KT_ERR_IO with errno, KT_ERR_MEMORY */
};
extern const struct kt_report_format *const report_formats[];
extern const size_t report_format_count;

/* Writes one form to `path` ("-" = stdout); a file appears under its name only when it is whole. Returns the
 * exit status and has said why on stderr. */
int report_write(const struct report *r, const struct kt_report_format *f, const char *path,
                 const char *command);
/* The calls that broke the rule, at most ten of them, on stderr. */
void report_say_broken(const struct report *r, const char *command);
