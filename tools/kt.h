/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* `kt`: one file per subcommand, one line in commands.def. */
#include "policyengine/base/kt_base.h"

enum kt_exit { KT_EXIT_OK = 0, KT_EXIT_POLICY = 1, KT_EXIT_USAGE = 2 };

struct kt_command {
    const char *name;
    const char *summary;               /* one line for `kt --help` */
    const char *usage;                 /* full help text of `kt <name> --help`, ends with a newline */
    int (*run)(int argc, char **argv); /* argv[0] is the command's name; returns the exit status */
    bool own_help; /* finds --help itself: it may be meant for a subcommand or for another program */
};

/* Prints "kt <command>: <text>" on stderr, and `kt <command> --help` as the way on; returns KT_EXIT_USAGE. */
int kt_usage_error(const struct kt_command *c, const char *fmt, ...) KT_PRINTF(2, 3);
/* True for -h / --help. */
bool kt_is_help(const char *arg);
/* The value of "--name V" or "--name=V", borrowed; NULL where argv[*i] is another option. *missing: no value
 * follows. *i moves on to the last argument that was used. */
const char *kt_option_value(const char *name, int argc, char **argv, int *i, bool *missing);
/* Says that only one value of the option counts, and that there were two; returns KT_EXIT_USAGE. */
int kt_option_twice(const struct kt_command *c, const char *name);
/* `given` where it is set, else the variable where it is not empty, else NULL. Borrowed. */
const char *kt_option_or_env(const char *given, const char *variable);
