/* SPDX-License-Identifier: Apache-2.0 */
/* kt policy: what can be done with a config without running a program. One file per subcommand. */
#include "tools/policy.h"

#include <stdio.h>
#include <string.h>

static bool says(int argc, char **argv, const char *option)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], option) == 0)
            return true;
    return false;
}

static int explain(int argc, char **argv)
{
    return says(argc, argv, "--effective") ? kt_policy_effective(argc, argv) : kt_policy_explain(argc, argv);
}

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
} subs[] = {
    {"lint", kt_policy_lint}, {"test", kt_policy_test},           {"explain", explain},
    {"eval", kt_policy_eval}, {"reference", kt_policy_reference},
};

static void list_subs(char *out, size_t room)
{
    size_t used = 0;
    for (size_t i = 0; i < KT_COUNT(subs) && used < room; i++)
        used += (size_t)snprintf(out + used, room - used, "%s%s", i ? ", " : "", subs[i].name);
}

static int policy(int argc, char **argv)
{
    char names[128] = "";
    for (size_t i = 0; argc > 1 && i < KT_COUNT(subs); i++)
        if (strcmp(argv[1], subs[i].name) == 0)
            return subs[i].run(argc - 1, argv + 1);
    if (kt_policy_wants_help(argc, argv)) {
        fputs(kt_cmd_policy.usage, stdout);
        return KT_EXIT_OK;
    }
    list_subs(names, sizeof names);
    if (argc < 2)
        return kt_usage_error(&kt_cmd_policy, "which subcommand? There is: %s", names);
    return kt_usage_error(&kt_cmd_policy, "no subcommand '%s'; there is: %s", argv[1], names);
}

const struct kt_command kt_cmd_policy = {
    .name = "policy",
    .summary = "check, test, measure and explain a policy-config.yaml",
    .usage = "usage: kt policy <subcommand> [options]\n\n"
             "  lint                 says what is wrong with a config, where, and how to mend it\n"
             "  test                 runs the test suites of a config\n"
             "  explain              shows what the chain makes of one request or answer\n"
             "  explain --effective  prints the config as it is understood, every default filled in\n"
             "  eval                 measures one policy on labelled data\n"
             "  reference            prints every key with its default and meaning\n\n"
             "'kt policy <subcommand> --help' explains a subcommand.\n",
    .run = policy,
    .own_help = true,
};
