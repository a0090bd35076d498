/* SPDX-License-Identifier: Apache-2.0 */
/* kt policy reference: every key of a config, from the tables that read it. */
#include "policyengine/config/kt_schema.h"
#include "policyengine/policies/kt_policy.h"
#include "tools/policy.h"

#include <stdio.h>
#include <string.h>

static const char usage[] =
    "usage: kt policy reference\n\n"
    "Prints every key that a policy-config.yaml may hold, with type, default and meaning, as Markdown.\n\n"
    "exit status: 0 ok, 2 wrong usage\n";

/* A table's cell: no bar may end it. */
static void cell(const char *text)
{
    for (; *text; text++)
        printf(*text == '|' ? "\\%c" : "%c", *text);
}

static void print_range(const struct kt_option *o)
{
    if (o->min != 0 || o->max != 0)
        printf(", %.15g to %.15g", o->min, o->max);
}

/* "a|b=c": b also as c. */
static void print_values(const char *values)
{
    bool alias = false;
    putchar('`');
    for (const char *v = values; *v; v++) {
        if (*v == '|')
            fputs(alias ? "`), `" : "`, `", stdout);
        else if (*v == '=')
            fputs(alias ? "`, `" : "` (also `", stdout);
        else
            putchar(*v);
        alias = *v == '=' || (alias && *v != '|');
    }
    fputs(alias ? "`)" : "`", stdout);
}

static void print_type(const struct kt_option *o)
{
    static const char *const names[] = {[KT_OPT_BOOL] = "true or false",
                                        [KT_OPT_INT] = "whole number",
                                        [KT_OPT_FLOAT] = "number",
                                        [KT_OPT_STRING] = "text",
                                        [KT_OPT_STRING_LIST] = "list of texts",
                                        [KT_OPT_TABLE] = "mapping, below",
                                        [KT_OPT_TABLE_LIST] = "list of mappings, below",
                                        [KT_OPT_STRING_MAP] = "mapping of texts",
                                        [KT_OPT_FLOAT_MAP] = "mapping of numbers",
                                        [KT_OPT_JSON] = "any",
                                        [KT_OPT_CUSTOM] = "see there"};
    if (o->type == KT_OPT_ENUM) {
        print_values(o->values);
        return;
    }
    fputs(names[o->type], stdout);
    if (o->type == KT_OPT_INT || o->type == KT_OPT_FLOAT || o->type == KT_OPT_FLOAT_MAP)
        print_range(o);
}

/* A negative default below a minimum means "not set" (kt_option.h). */
static bool has_default(const struct kt_option *o)
{
    return o->def && !(o->min >= 0 && o->def[0] == '-');
}

static void print_row(const struct kt_option *o)
{
    printf("| `%s`", o->name);
    if (o->alias)
        printf(" (also `%s`)", o->alias);
    fputs(" | ", stdout);
    print_type(o);
    if (o->required)
        fputs(" | **required** | ", stdout);
    else if (has_default(o))
        printf(" | `%s` | ", o->def);
    else
        fputs(" | | ", stdout);
    cell(o->help ? o->help : "");
    fputs(" |\n", stdout);
}

static void print_table(const char *path, const char *about, const struct kt_option *table,
                        const struct kt_option *more)
{
    printf("\n## %s\n\n", path);
    if (about)
        printf("%s\n\n", about);
    if (!table->name && (!more || !more->name))
        return;
    fputs("| key | value | default | meaning |\n|---|---|---|---|\n", stdout);
    for (const struct kt_option *o = table; o->name; o++)
        print_row(o);
    for (const struct kt_option *o = more; o && o->name; o++)
        print_row(o);
    for (const struct kt_option *o = table; o->name; o++) {
        char below[256];
        if (!o->table)
            continue;
        snprintf(below, sizeof below, "%s%s%s%s", strcmp(path, "top level") ? path : "",
                 strcmp(path, "top level") ? "." : "", o->name, o->type == KT_OPT_TABLE_LIST ? "[]" : "");
        print_table(below, NULL, o->table, NULL);
    }
}

int kt_policy_reference(int argc, char **argv)
{
    size_t count;
    if (kt_policy_wants_help(argc, argv)) {
        fputs(usage, stdout);
        return KT_EXIT_OK;
    }
    if (argc > 1)
        return kt_usage_error(&kt_cmd_policy, "reference takes no arguments, not '%s'", argv[1]);
    fputs("# policy-config.yaml\n\n"
          "Every key, as `kt policy reference` prints it. Other spellings that public pages use are accepted "
          "too; "
          "`kt policy explain\n--effective` prints the one canonical form. Where no public page gives a "
          "default, the "
          "default is ours: so it is with all numbers of\n`retry`, `circuit_breaker`, `fallback` and "
          "`limits`.\n",
          stdout);
    print_table("top level", NULL, kt_schema_root, NULL);
    print_table("policies", NULL, kt_schema_policies, NULL);
    print_table("providers.targets[]",
                "The shorthand `mistral:chat:<model>` as `provider` sets kind and model too.",
                kt_schema_target, NULL);
    const struct kt_policy *const *all = kt_policies(&count);
    for (size_t i = 0; i < count; i++) {
        char path[128];
        snprintf(path, sizeof path, "policy.%s", all[i]->kind);
        print_table(path, all[i]->help, all[i]->options, kt_schema_common);
    }
    return KT_EXIT_OK;
}
