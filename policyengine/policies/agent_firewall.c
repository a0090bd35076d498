/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent-firewall: which tools a program may offer and a model may call. Looks at names only: offered tools,
 * the calls of the conversation so far and those of the answer.
 */
#include "policyengine/detect/kt_fold.h"
#include "policyengine/policies/kt_policy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum firewall_action { FIREWALL_BLOCK, FIREWALL_ESCALATE };

/* Longer names are no tool's: APIs allow 64 bytes. They are stopped whatever the lists say. */
#define NAME_MAX_BYTES 256u
#define NAME_SHOWN 64u

struct firewall_options {
    struct kt_strings allowed_tools, blocked_tools;
    int64_t max_actions_per_session;
    int action;
};

struct firewall_state {
    uint64_t actions;
};

static unsigned char lower(unsigned char c)
{
    return c >= 'A' && c <= 'Z' ? c | 0x20 : c;
}

static bool same(char a, char b, bool any_case)
{
    return a == b || (any_case && lower((unsigned char)a) == lower((unsigned char)b));
}

/* '*' any bytes, '?' one byte. Goes back to the last '*' only: at most pattern times name. */
static bool glob(const char *pattern, const char *name, size_t len, bool any_case)
{
    const char *star = NULL;
    size_t i = 0, star_i = 0;
    while (i < len) {
        if (*pattern == '*') {
            star = pattern++;
            star_i = i;
        } else if (*pattern && (*pattern == '?' || same(*pattern, name[i], any_case))) {
            pattern++;
            i++;
        } else if (star) {
            pattern = star + 1;
            i = ++star_i;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return !*pattern;
}

static bool listed(const struct kt_strings *list, struct kt_span name, bool any_case)
{
    for (size_t i = 0; i < list->count; i++)
        if (glob(list->items[i], name.data, name.len, any_case))
            return true;
    return false;
}

static kt_result check_list(const struct kt_strings *list, const char *option, struct kt_error *err)
{
    for (size_t i = 0; i < list->count; i++) {
        size_t n = strlen(list->items[i]);
        if (n == 0 || n > NAME_MAX_BYTES)
            return kt_fail(
                err, KT_ERR_USAGE,
                "agent-firewall: %s[%zu] must be a tool name or glob of 1 to %u bytes; e.g. search or "
                "code_*",
                option, i, NAME_MAX_BYTES);
    }
    return kt_ok();
}

static kt_result firewall_init(const void *opts, void **instance, struct kt_error *err)
{
    const struct firewall_options *o = opts;
    (void)instance;
    KT_GUARD(check_list(&o->allowed_tools, "allowed_tools", err));
    return check_list(&o->blocked_tools, "blocked_tools", err);
}

static kt_result firewall_open(const void *opts, void *instance, enum kt_phase phase, void **state)
{
    (void)opts, (void)instance, (void)phase;
    *state = calloc(1, sizeof(struct firewall_state));
    return *state ? kt_ok() : kt_err(KT_ERR_MEMORY);
}

static void firewall_close(void *state)
{
    free(state);
}

/* A tool's name is the program's own word, no secret; what is not plain ASCII is not shown. */
static void shown_name(struct kt_span name, char out[NAME_SHOWN + 4])
{
    size_t n = name.len < NAME_SHOWN ? name.len : NAME_SHOWN;
    for (size_t i = 0; i < n; i++)
        out[i] = name.data[i] > ' ' && name.data[i] < 0x7f && name.data[i] != '\'' ? name.data[i] : '?';
    memcpy(out + n, name.len > n ? "..." : "", name.len > n ? 4 : 1);
}

static void stop(const struct firewall_options *o, struct kt_sink *s, const char *reason, const char *message)
{
    s->stop(s, o->action == FIREWALL_BLOCK ? KT_VERDICT_BLOCK : KT_VERDICT_ESCALATE, reason, -1, message);
}

/* As a reader sees the name: without what has no width, and look-alike letters as what they look like. */
static bool blocked(const struct firewall_options *o, struct kt_span name)
{
    char seen[2 * NAME_MAX_BYTES + 8];
    if (listed(&o->blocked_tools, name, true))
        return true;
    struct kt_fold f = {.out = seen, .cap = sizeof seen};
    size_t len = name.len < NAME_MAX_BYTES ? name.len : NAME_MAX_BYTES;
    (void)kt_fold_text(&f, name.data, len, true);
    return listed(&o->blocked_tools, kt_span(seen, f.len), true);
}

static bool forbidden(const struct firewall_options *o, const struct kt_tool *t)
{
    struct kt_span name = t->name;
    if (t->other_reading)
        return blocked(o, name);
    bool any_list = o->allowed_tools.count || o->blocked_tools.count;
    if (any_list && name.len > NAME_MAX_BYTES)
        return true;
    return blocked(o, name) || (o->allowed_tools.count && !listed(&o->allowed_tools, name, false));
}

static enum kt_step firewall_tool(const void *opts, void *instance, void *state, const struct kt_tool *t,
                                  struct kt_sink *s)
{
    (void)instance;
    const struct firewall_options *o = opts;
    struct firewall_state *st = state;
    char message[256], name[NAME_SHOWN + 4];
    if (forbidden(o, t)) {
        bool offered = t->role == KT_TOOL_OFFERED;
        shown_name(t->name, name);
        snprintf(message, sizeof message, "Blocked by policy agent-firewall: the tool '%s' may not be %s.",
                 name, offered ? "offered" : "called");
        s->match(s, offered ? "tool_offered" : "tool_called");
        stop(o, s, "agent_firewall.tool_blocked", message);
        return KT_STEP_DONE;
    }
    if (t->role != KT_TOOL_CALLED || t->other_reading || o->max_actions_per_session == 0)
        return KT_STEP_DONE;
    if (++st->actions > (uint64_t)o->max_actions_per_session) {
        snprintf(message, sizeof message,
                 "Blocked by policy agent-firewall: the conversation has more than %lld tool calls.",
                 (long long)o->max_actions_per_session);
        s->match(s, "max_actions");
        stop(o, s, "agent_firewall.max_actions", message);
    }
    return KT_STEP_DONE;
}

static const struct kt_option firewall_option_table[] = {
    {.name = "allowed_tools",
     .type = KT_OPT_STRING_LIST,
     .offset = offsetof(struct firewall_options, allowed_tools),
     .help =
         "the only tools that may be offered or called: names or globs (* ?), with their case; empty = any"},
    {.name = "blocked_tools",
     .type = KT_OPT_STRING_LIST,
     .offset = offsetof(struct firewall_options, blocked_tools),
     .help = "tools that may not be offered or called, in any case, whatever allowed_tools says"},
    {.name = "max_actions_per_session",
     .type = KT_OPT_INT,
     .offset = offsetof(struct firewall_options, max_actions_per_session),
     .def = "0",
     .min = 0,
     .max = 1000000,
     .help = "tool calls that one conversation may hold, as its messages show them; 0 = any number"},
    {.name = "action",
     .type = KT_OPT_ENUM,
     .offset = offsetof(struct firewall_options, action),
     .def = "block",
     .values = "block|escalate",
     .help = "block the call, or stop it for a human to decide"},
    {.name = NULL},
};

static const char *firewall_idle(const void *opts, const void *instance)
{
    const struct firewall_options *o = opts;
    (void)instance;
    return o->allowed_tools.count || o->blocked_tools.count || o->max_actions_per_session
               ? NULL
               : "set allowed_tools, blocked_tools or max_actions_per_session";
}

/* APIs take letters, digits, - and _ in names; others use . / : too. What else there is was meant otherwise.
 */
static void advise_names(const struct kt_advice *a, const struct kt_strings *list, const char *name)
{
    char option[64];
    for (size_t i = 0; i < list->count; i++) {
        const char *odd = strpbrk(list->items[i], "()[]{}^$|+\\ \t\r\n\"'`");
        snprintf(option, sizeof option, "%s[%zu]", name, i);
        if (odd)
            a->say(a, option, "'%c' is in no tool's name; a name, or a glob with * and ?, is wanted",
                   *odd < ' ' ? ' ' : *odd);
    }
}

/* An allowed name or glob that a blocked one covers: it lets nothing through. */
static void firewall_advise(const void *opts, const struct kt_advice *a)
{
    const struct firewall_options *o = opts;
    char option[64];
    advise_names(a, &o->allowed_tools, "allowed_tools");
    advise_names(a, &o->blocked_tools, "blocked_tools");
    for (size_t i = 0; i < o->allowed_tools.count; i++)
        for (size_t k = 0; k < o->blocked_tools.count; k++) {
            const char *allowed = o->allowed_tools.items[i];
            if (!glob(o->blocked_tools.items[k], allowed, strlen(allowed), true))
                continue;
            snprintf(option, sizeof option, "allowed_tools[%zu]", i);
            a->say(a, option,
                   "'%.64s' is blocked by blocked_tools[%zu] too, which wins; keep it in one of the lists",
                   allowed, k);
            break;
        }
}

const struct kt_policy kt_policy_agent_firewall = {
    .kind = "agent-firewall",
    .help = "lets through only the tools that may be offered and called, and counts the calls",
    .reason_code = "agent_firewall.tool_blocked",
    .phases = KT_PHASE_REQUEST | KT_PHASE_RESPONSE,
    .options = firewall_option_table,
    .options_size = sizeof(struct firewall_options),
    .init = firewall_init,
    .open = firewall_open,
    .close = firewall_close,
    .tool = firewall_tool,
    .idle = firewall_idle,
    .advise = firewall_advise,
};
