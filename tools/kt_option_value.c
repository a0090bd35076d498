/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/kt.h"

#include <stdlib.h>
#include <string.h>

const char *kt_option_value(const char *name, int argc, char **argv, int *i, bool *missing)
{
    size_t n = strlen(name);
    if (strncmp(argv[*i], name, n) == 0 && argv[*i][n] == '=')
        return argv[*i] + n + 1;
    if (strcmp(argv[*i], name) != 0)
        return NULL;
    *missing = *i + 1 >= argc;
    return *missing ? NULL : argv[++*i];
}

int kt_option_twice(const struct kt_command *c, const char *name)
{
    return kt_usage_error(c, "%s is given twice, and only one can count", name);
}

const char *kt_option_or_env(const char *given, const char *variable)
{
    const char *value = given ? given : getenv(variable);
    return value && *value ? value : NULL;
}
