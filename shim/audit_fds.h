/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The audit log, opened while the program still may: one that starts as root and becomes somebody else (a
 * daemon, its workers) could not open it at its first call. */

/* Before a change of the user. Opens nothing in a program without a policy of ours, a second time, or in a
 * child that shares its parent's memory. Async-signal-safe; keeps errno. */
void kt_audit_fds_keep(void);
/* Borrowed: 0 the folder (O_PATH), 1 its lock, 2 its head, 3 its log; -1 = there is none, or no longer. */
int kt_audit_fd(unsigned which);
/* Marks them again, after all marks were taken away: around fork. */
void kt_audit_fds_mark(void);
