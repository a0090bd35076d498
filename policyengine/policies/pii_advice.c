/* SPDX-License-Identifier: Apache-2.0 */
/* Options of pii-detector that contradict each other, or that nothing heeds. Which kinds are looked for: the
 * usual ones or `entities`, then what healthcare_mode and detect_patterns add, then `kinds`. */
#include "policyengine/policies/pii_options.h"

#include <stdio.h>
#include <string.h>

static uint32_t named(const struct kt_strings *names)
{
    uint32_t set = 0;
    for (size_t i = 0; i < names->count; i++)
        set |= kt_pii_named(names->items[i]);
    return set;
}

/* `block` replaces nothing. */
static void about_redaction(const struct pii_options *o, const struct kt_advice *a)
{
    static const char *const all[] = {"restore", "marker_format", "include_metadata", "preserve_length",
                                      "custom_markers"};
    char option[64];
    bool said = false;
    for (size_t i = 0; o->action == PII_BLOCK && i < KT_COUNT(all); i++) {
        snprintf(option, sizeof option, "redaction.%s", all[i]);
        if (!a->written(a, option))
            continue;
        a->say(a, option,
               "has no effect with action: block, which replaces nothing; action: redact, or leave it out");
        said = true;
    }
    if (o->action == PII_BLOCK && !said && a->written(a, "redaction"))
        a->say(a, "redaction",
               "has no effect with action: block, which replaces nothing; action: redact, or leave it out");
}

static void about_markers(const struct pii_options *o, const struct kt_advice *a)
{
    if (o->action == PII_REDACT && o->redaction.format != KT_MARKER_LABEL &&
        a->written(a, "redaction.include_metadata"))
        a->say(a, "redaction.include_metadata", "is for marker_format: label; leave it out");
}

static void about_kind(const struct pii_options *o, const struct kt_advice *a, size_t at)
{
    static const char *const offs[] = {"off", "false", "no"};
    const char *key = o->kinds.keys[at], *value = o->kinds.values[at];
    uint32_t bits = kt_pii_named(key), health = o->healthcare_mode ? kt_pii_of_group(KT_PII_HEALTH) : 0;
    bool off = false;
    char option[96];
    for (size_t i = 0; i < KT_COUNT(offs); i++)
        off = off || kt_span_ieq(kt_span(value, strlen(value)), offs[i]);
    snprintf(option, sizeof option, "kinds.%.60s", key);
    for (size_t i = at + 1; i < o->kinds.count; i++)
        if (kt_pii_named(o->kinds.keys[i]) & bits)
            a->say(a, option, "'%.60s' below names the same kind and wins; keep one of them",
                   o->kinds.keys[i]);
    if (!off)
        return;
    if (named(&o->entities) & bits)
        a->say(a, option,
               "is in entities too; kinds wins, so that it is not looked for: take it out of one of them");
    else if (named(&o->detect_patterns) & bits)
        a->say(a, option,
               "is in detect_patterns too; kinds wins, so that it is not looked for: take it out of one of "
               "them");
    else if (o->entities.count && !(health & bits))
        a->say(a, option,
               "has no effect: entities does not name it, so that it is not looked for; leave it out");
}

void pii_advise(const void *opts, const struct kt_advice *a)
{
    const struct pii_options *o = opts;
    about_redaction(o, a);
    about_markers(o, a);
    for (size_t i = 0; i < o->kinds.count; i++)
        about_kind(o, a, i);
    if (o->entities.count && o->pci_mode && a->written(a, "pci_mode"))
        a->say(a, "pci_mode",
               "has no effect beside entities, which says all; name credit_card there, or leave it out");
}
