/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside of `kt events`: options, the choice of events, their forms, and one file per subcommand. */
#include "policyengine/audit/kt_audit_files.h"
#include "tools/kt.h"

#include <stdio.h>

enum events_form { EVENTS_JSONL, EVENTS_JSON, EVENTS_CSV };

struct events_options {
    const char *state_dir; /* resolved */
    char dir[4096];        /* <state_dir>/audit */
    size_t limit;          /* of events that are already there */
    char since[31];        /* as in an event's timestamp; "" = any */
    char until[31];        /* first that is too late; "" = any */
    const char *verdict;   /* NULL = any; so are the next */
    const char *policy;    /* one that found or decided something */
    const char *model, *target;
    const char *exe;        /* whole path or last part */
    const char *run;        /* that run of `kt wrap`, with those inside of it */
    enum events_form form;  /* export */
    const char *output;     /* export; NULL = stdout */
    const char *prometheus; /* stats: the file; NULL = not asked for */
    long days;              /* prune; -1 = what the events of a file ask for */
    bool json, follow, colour, dry_run;
};

struct cJSON;

#define EVENTS_SINCE_HELP "a time (2026-01-31, 2026-01-31T08:00:00Z) or an age (90s, 15m, 2h, 7d)"
/* False where `text` is neither. */
bool events_parse_since(const char *text, uint64_t now_ns, char out[31]);

/* 0, or the exit status where no event has such a verdict; said as `command`. */
int events_check_verdict(const struct kt_command *command, const char *text);

/* Nanoseconds since 1970 of an event's timestamp. */
bool events_time(const char *timestamp, uint64_t *ns);

/* True where the event is one that the options ask for. */
bool events_wanted(const struct events_options *o, const struct cJSON *event);
/* Appends the human form and a newline. Nothing in it can steer a terminal, whatever the event holds. */
kt_result events_format(const struct cJSON *event, bool colour, struct kt_buf *out) KT_MUST;
/* Bytes of a character at the start of `text` (UTF-8, NUL behind it) that a reader does not see, or that
 * makes what follows read differently: controls (C0, DEL, C1), marks of direction, line separators, those of
 * no width, tags; 0 = any other. */
size_t events_unsafe(const char *text);
#define EVENTS_REPLACEMENT "\xef\xbf\xbd" /* U+FFFD, shown in their place */
/* Writes JSON with these as \uXXXX, which keeps the value; inside of a page they are replaced, and '<' is
 * escaped. */
void events_put_json(const char *json, bool html, FILE *to);
/* Appends text of foreign origin (the first 1024 bytes of it) so that it cannot steer a terminal. */
kt_result events_safe_text(struct kt_buf *out, const char *text) KT_MUST;

/* Calls `each` for every wanted event, oldest first, one line in memory at a time; it returns false to stop.
 * *skipped: lines that are no events (`kt events verify` names them). Events that are written meanwhile are
 * left out. KT_ERR_NOTFOUND where there is no audit folder. */
typedef bool events_visit(void *arg, struct kt_span line, const struct cJSON *event);
kt_result events_walk(const struct events_options *o, events_visit *each, void *arg,
                      uint64_t *skipped) KT_MUST;
/* Says on stderr why the log cannot be read; returns the exit status. No folder at all is not an error here.
 */
int events_walk_failed(const struct events_options *o, kt_result r);

/* Text and number of a member, also where `object` is NULL: NULL and -1 where there is none. */
const char *events_text(const struct cJSON *object, const char *member);
double events_number(const struct cJSON *object, const char *member);
/* False where the chain passed this member of `policies` over, behind a block. */
bool events_looked(const struct cJSON *policy);
/* True where this member of an event's `policies` found or decided something. */
bool events_acted(const struct cJSON *policy);

/* One line of CSV per event, with its end; a line of names first. RFC 4180; no cell is a formula. */
kt_result events_csv_head(struct kt_buf *out) KT_MUST;
kt_result events_csv_row(const struct cJSON *event, struct kt_buf *out) KT_MUST;

/* The subcommands; all return the exit status. */
/* Prints the last `limit` events and, with `follow`, all that come. */
int events_tail(const struct events_options *o);
int events_verify(const struct events_options *o);
int events_stats(const struct events_options *o);
/* The counters of the whole log as a text file for Prometheus. */
int events_prometheus(const struct events_options *o);
int events_export(const struct events_options *o);
int events_prune(const struct events_options *o);
