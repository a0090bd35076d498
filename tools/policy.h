/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The subcommands of `kt policy`, one file each, and what they share. */
#include "policyengine/config/kt_config.h"
#include "tools/kt.h"

/* argv[0] is the subcommand's name; each prints its own help. All return the exit status. */
int kt_policy_lint(int argc, char **argv);
int kt_policy_effective(int argc, char **argv); /* explain --effective */
int kt_policy_reference(int argc, char **argv);
int kt_policy_eval(int argc, char **argv);
int kt_policy_test(int argc, char **argv);
int kt_policy_explain(int argc, char **argv);

extern const struct kt_command kt_cmd_policy;

/* ---- shared: which files ---- */

/* True where --help or -h stands in front of "--". */
bool kt_policy_wants_help(int argc, char **argv);
/* --file F, -f F, --policy-config F, also joined by "=": *file receives the borrowed value, *i moves on to
 * the last argument that was used. *file stays NULL for any other argument. 0, or the exit status to leave
 * with.
 */
int kt_policy_file_option(int argc, char **argv, int *i, const char **file);
/* All arguments of a subcommand that takes files, as options or by themselves, and --json; `ignored` (may be
 * NULL) is an option that is known already. 0, or the exit status to leave with. */
int kt_policy_file_args(int argc, char **argv, const char *sub, const char *ignored, struct kt_strings *files,
                        bool *json);
/* 0, or the exit status to leave with. */
int kt_policy_add_file(struct kt_strings *files, const char *path);
/* Where no file is given: those of $KT_POLICY_CONFIG, else ./policy-config.yaml. `sub` is for the message. 0,
 * or the exit status to leave with. */
int kt_policy_default_files(struct kt_strings *files, const char *sub);
int kt_policy_out_of_memory(void);
/* For KT_CLEANUP. */
void kt_policy_config_cleanup(struct kt_config **c);
