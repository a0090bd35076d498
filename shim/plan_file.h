/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A plan in memory and the file that it came from. The caller holds the one lock of writers; nothing here
 * loads the engine. */
#include "shim/plan_text.h"

#include <limits.h>
#include <sys/types.h>

struct kt_plan_file {
    struct kt_plan plan;
    char path[PATH_MAX];
    dev_t dev;
    ino_t ino;
    bool detached; /* the file is gone, full or another one: new names live in this process only */
};

/* Reads `path` where it is ours (owner this user or root, writable by nobody else) and current. Otherwise the
 * plan is empty. */
bool kt_plan_file_load(struct kt_plan_file *f, const char *path);
/* Stands in where no plan can be made: the built-in hosts, no CA. */
void kt_plan_file_builtin(struct kt_plan_file *f, bool observe, bool fail_allow);
/* Takes in what other processes appended. */
void kt_plan_file_refresh(struct kt_plan_file *f);
/* Gives a name that matches a wildcard its address, the same one in all processes that share the file. NULL
 * where no address is left. */
const struct kt_plan_entry *kt_plan_file_add(struct kt_plan_file *f, const char *name);
