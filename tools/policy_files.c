/* SPDX-License-Identifier: Apache-2.0 */
/* Which files a subcommand of `kt policy` works on. */
#include "tools/policy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char default_file[] = "policy-config.yaml";

bool kt_policy_wants_help(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (kt_is_help(argv[i]))
            return true;
    return false;
}

static bool takes_file(const char *arg)
{
    return strcmp(arg, "--file") == 0 || strcmp(arg, "-f") == 0 || strcmp(arg, "--policy-config") == 0;
}

int kt_policy_file_option(int argc, char **argv, int *i, const char **file)
{
    static const char *const joined[] = {"--file=", "--policy-config="};
    const char *arg = argv[*i];
    *file = NULL;
    for (size_t k = 0; k < KT_COUNT(joined); k++)
        if (strncmp(arg, joined[k], strlen(joined[k])) == 0)
            *file = arg + strlen(joined[k]);
    if (*file || !takes_file(arg))
        return 0;
    if (*i + 1 == argc)
        return kt_usage_error(&kt_cmd_policy, "%s needs a file", arg);
    *file = argv[++*i];
    return 0;
}

int kt_policy_out_of_memory(void)
{
    fputs("kt policy: out of memory\n", stderr);
    return KT_EXIT_USAGE;
}

int kt_policy_add_file(struct kt_strings *files, const char *path)
{
    if (!*path)
        return kt_usage_error(&kt_cmd_policy, "an empty file name");
    return kt_is_ok(kt_strings_add(files, path)) ? 0 : kt_policy_out_of_memory();
}

int kt_policy_file_args(int argc, char **argv, const char *sub, const char *ignored, struct kt_strings *files,
                        bool *json)
{
    bool only_files = false;
    for (int i = 1; i < argc; i++) {
        const char *file = only_files || argv[i][0] != '-' ? argv[i] : NULL;
        int status = 0;
        if (!file && (status = kt_policy_file_option(argc, argv, &i, &file)) != 0)
            return status;
        if (!file && strcmp(argv[i], "--json") == 0)
            *json = true;
        else if (!file && strcmp(argv[i], "--") == 0)
            only_files = true;
        else if (!file && (!ignored || strcmp(argv[i], ignored) != 0))
            return kt_usage_error(&kt_cmd_policy, "%s: unknown option '%s'", sub, argv[i]);
        if (file && (status = kt_policy_add_file(files, file)) != 0)
            return status;
    }
    return 0;
}

void kt_policy_config_cleanup(struct kt_config **c)
{
    kt_config_free(*c);
}

int kt_policy_default_files(struct kt_strings *files, const char *sub)
{
    const char *env = getenv("KT_POLICY_CONFIG");
    if (files->count == 0 && env && !kt_is_ok(kt_config_split_paths(env, files)))
        return kt_policy_out_of_memory();
    if (files->count)
        return 0;
    if (access(default_file, F_OK) != 0)
        return kt_usage_error(&kt_cmd_policy, "%s: no --policy-config, no KT_POLICY_CONFIG and no ./%s", sub,
                              default_file);
    return kt_policy_add_file(files, default_file);
}
