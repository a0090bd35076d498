/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Files that a command writes for its user. */
#include "policyengine/base/kt_base.h"

#include <stdio.h>

/* Calls `write(arg, file)` and puts the file under its name only when it is whole and on disk, for this user
 * only, as the audit log is; an existing one is replaced, and left as it was on failure. A device, a pipe or
 * a link (/dev/stdout) is written into instead. "-" or NULL = stdout. `write` returns an exit status and says
 * why where that is not KT_EXIT_OK; what went wrong in writing to `file` it may leave to us. Returns the exit
 * status; what we say begins with "kt <command>: ". */
int kt_outfile_write(const char *path, int (*write)(void *arg, FILE *to), void *arg, const char *command);
/* True for a device, a pipe or a link that is there: what must not be replaced by a file. */
bool kt_outfile_is_special(const char *path);
