/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/policies/pii_options.h"
#include "policyengine/base/kt_suggest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OFFSET(field) offsetof(struct pii_options, field)

const struct kt_option pii_option_table[] = {
    {.name = "action",
     .type = KT_OPT_ENUM,
     .offset = OFFSET(action),
     .def = "redact",
     .values = "redact|block",
     .help = "replace each value by a marker such as [EMAIL_1], or block the text"},
    {.name = "pci_mode",
     .type = KT_OPT_BOOL,
     .offset = OFFSET(pci_mode),
     .def = "true",
     .help = "also look for payment cards: numbers, security codes, expiry"},
    {.name = "healthcare_mode",
     .type = KT_OPT_BOOL,
     .offset = OFFSET(healthcare_mode),
     .def = "false",
     .help = "also look for record, insurance and provider numbers"},
    {.name = "entities",
     .type = KT_OPT_STRING_LIST,
     .offset = OFFSET(entities),
     .help = "look for these kinds and no others, whatever pci_mode says; empty = the usual ones. "
             "healthcare_mode and detect_patterns add to either, and kinds has the last word"},
    {.name = "detect_patterns",
     .type = KT_OPT_STRING_LIST,
     .offset = OFFSET(detect_patterns),
     .help = "kinds to look for besides the usual ones, e.g. [passport, driver_license]"},
    {.name = "kinds",
     .type = KT_OPT_STRING_MAP,
     .offset = OFFSET(kinds),
     .help = "kinds by name, on or off: {ip: off, passport: on}; wins over entities, detect_patterns and the "
             "modes; of two that name one kind, the later"},
    {.name = "redaction",
     .type = KT_OPT_TABLE,
     .offset = OFFSET(redaction),
     .table = kt_marker_option_table,
     .help = "what a value becomes"},
    {.name = NULL},
};

/* All labels, for the message of an error. */
static void known_kinds(char *out, size_t room)
{
    size_t n = 0, used = 0;
    const struct kt_pii_kind *const *kinds = kt_pii_kinds(&n);
    out[0] = '\0';
    for (size_t i = 0; i < n && used < room; i++)
        used += (size_t)snprintf(out + used, room - used, "%s%s", i ? ", " : "", kinds[i]->label);
}

/* "did you mean 'x'?" or NULL; `out` is the storage of what is returned. */
static const char *nearest(const char *name, char out[96])
{
    size_t n = 0;
    struct kt_suggest s;
    const struct kt_pii_kind *const *kinds = kt_pii_kinds(&n);
    kt_suggest_begin(&s, name);
    for (size_t i = 0; i < n; i++)
        kt_suggest_try(&s, kinds[i]->label, strlen(kinds[i]->label));
    return kt_suggest_text(&s, out);
}

static kt_result unknown(const char *option, const char *name, struct kt_error *err)
{
    char known[400], room[96];
    if (strpbrk(name, "\\[](){}^$*+?|"))
        return kt_fail(err, KT_ERR_USAGE,
                       "%s: \"%.60s\" is a pattern, not a kind of personal data; patterns of your own belong "
                       "to dlp-filter.detect_patterns",
                       option, name);
    if (kt_span_ieq(kt_span(name, strlen(name)), "person") ||
        kt_span_ieq(kt_span(name, strlen(name)), "location"))
        return kt_fail(
            err, KT_ERR_USAGE,
            "%s: names and places (\"%s\") are not detected: no rule tells them from other words; leave "
            "it out",
            option, name);
    known_kinds(known, sizeof known);
    const char *meant = nearest(name, room);
    return kt_fail(err, KT_ERR_USAGE, "%s: unknown kind \"%.40s\"; %s%sknown are %s", option, name,
                   meant ? meant : "", meant ? " " : "", known);
}

static kt_result add_names(const char *option, const struct kt_strings *names, uint32_t *set,
                           struct kt_error *err)
{
    for (size_t i = 0; i < names->count; i++) {
        uint32_t bits = kt_pii_named(names->items[i]);
        if (bits == 0)
            return unknown(option, names->items[i], err);
        *set |= bits;
    }
    return kt_ok();
}

static bool one_of(const char *value, const char *a, const char *b, const char *c)
{
    struct kt_span v = kt_span(value, strlen(value));
    return kt_span_ieq(v, a) || kt_span_ieq(v, b) || kt_span_ieq(v, c);
}

static kt_result switch_kinds(const struct kt_string_map *map, uint32_t *set, struct kt_error *err)
{
    for (size_t i = 0; i < map->count; i++) {
        uint32_t bits = kt_pii_named(map->keys[i]);
        if (bits == 0)
            return unknown("kinds", map->keys[i], err);
        if (one_of(map->values[i], "on", "true", "yes"))
            *set |= bits;
        else if (one_of(map->values[i], "off", "false", "no"))
            *set &= ~bits;
        else
            return kt_fail(err, KT_ERR_USAGE, "kinds.%.40s: must be on or off, is \"%.40s\"; on or off",
                           map->keys[i], map->values[i]);
    }
    return kt_ok();
}

static kt_result choose(const struct pii_options *o, struct pii_instance *pii, struct kt_error *err)
{
    if (o->entities.count > 0)
        KT_GUARD(add_names("entities", &o->entities, &pii->kinds, err));
    else
        pii->kinds = kt_pii_of_group(KT_PII_ALWAYS) | (o->pci_mode ? kt_pii_of_group(KT_PII_PCI) : 0);
    pii->kinds |= o->healthcare_mode ? kt_pii_of_group(KT_PII_HEALTH) : 0;
    KT_GUARD(add_names("detect_patterns", &o->detect_patterns, &pii->kinds, err));
    return switch_kinds(&o->kinds, &pii->kinds, err);
}

static kt_result custom_markers(const struct pii_options *o, struct pii_instance *pii, struct kt_error *err)
{
    const struct kt_string_map *map = &o->redaction.custom;
    KT_GUARD(kt_marker_check(&o->redaction, err));
    for (size_t i = 0; i < map->count; i++) {
        uint32_t bits = kt_pii_named(map->keys[i]);
        if (bits == 0)
            return unknown("redaction.custom_markers", map->keys[i], err);
        for (; bits; bits &= bits - 1)
            pii->custom[__builtin_ctz(bits)] = map->values[i];
    }
    return kt_ok();
}

kt_result pii_init(const void *opts, void **instance, struct kt_error *err)
{
    struct pii_instance *pii = calloc(1, sizeof *pii);
    KT_ENSURE(pii, KT_ERR_MEMORY);
    kt_sha256_prepare(); /* addresses of Bitcoin are checked with it, perhaps in a fork child */
    kt_result r = choose(opts, pii, err);
    if (kt_is_ok(r))
        r = custom_markers(opts, pii, err);
    if (!kt_is_ok(r)) {
        free(pii);
        return r;
    }
    *instance = pii;
    return kt_ok();
}

void pii_fini(void *instance)
{
    free(instance);
}

struct kt_marker pii_marker(const struct pii_instance *pii, const struct kt_pii_kind *kind)
{
    static const char *const hidden[] = {"dob", "cvv", "card_expiry", "ip", "mac"};
    struct kt_marker m = {kind->name, NULL, KT_MARKER_SHOW_TAIL};
    uint32_t bit = kt_pii_bit(kind->label);
    if (bit)
        m.custom = pii->custom[__builtin_ctz(bit)];
    if (strcmp(kind->label, "email") == 0)
        m.show = KT_MARKER_SHOW_MAIL;
    for (size_t i = 0; i < KT_COUNT(hidden); i++)
        if (strcmp(kind->label, hidden[i]) == 0)
            m.show = KT_MARKER_SHOW_NOTHING;
    return m;
}
