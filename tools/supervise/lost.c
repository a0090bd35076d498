/* SPDX-License-Identifier: Apache-2.0 */
/* Processes that cannot write their events say so by a connect to an address that nobody has. */
#include "tools/supervise/private.h"

#include "interceptor/abi/kt_connect_mark.h"

#include <stdio.h>
#include <sys/stat.h>

bool lost_notice(struct kt_supervise *s, pid_t tid, const struct target_dest *d)
{
    if (!d->meant || d->v4 != KT_LOST_ADDR || d->port != KT_LOST_PORT)
        return false;
    char path[64], detail[200];
    struct stat st = {0};
    snprintf(path, sizeof path, "/proc/%d", (int)tid);
    bool known = stat(path, &st) == 0;
    bool passes = supervise_plan_says(s, "fail_mode", "allow") || supervise_plan_says(s, "mode", "observe");
    snprintf(detail, sizeof detail,
             "process %d (user %ld) may not write the audit log: its calls have no event of their own, and "
             "were %s",
             (int)target_process(tid), known ? (long)st.st_uid : -1L, passes ? "let through" : "refused");
    supervise_report_of(s, tid, passes, NULL, detail);
    return true;
}
