/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside of `kt events`: options, the choice of events, and their one-line form. */
#include "policyengine/audit/kt_audit_files.h"
#include "tools/kt.h"

struct events_options {
    char dir[4096];      /* <state_dir>/audit */
    size_t limit;        /* of events that are already there */
    char since[31];      /* as in an event's timestamp; "" = any */
    const char *verdict; /* NULL = any */
    bool json, follow, colour;
};

struct cJSON;

#define EVENTS_SINCE_HELP "a time (2026-01-31, 2026-01-31T08:00:00Z) or an age (90s, 15m, 2h, 7d)"
/* False where `text` is neither. */
bool events_parse_since(const char *text, uint64_t now_ns, char out[31]);

/* True where the event is one that the options ask for. */
bool events_wanted(const struct events_options *o, const struct cJSON *event);
/* Appends the human form and a newline. Nothing in it can steer a terminal, whatever the event holds. */
kt_result events_format(const struct cJSON *event, bool colour, struct kt_buf *out) KT_MUST;

/* Prints the last `limit` events and, with `follow`, all that come. Returns the exit status. */
int events_tail(const struct events_options *o);
int events_verify(const char *state_dir, bool json);
