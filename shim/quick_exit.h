/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* libc's, behind at_quick_exit(); no header has it. */
int __cxa_at_quick_exit(void (*fn)(void *), void *dso);

/* Has quick_exit write what is due, behind the program's own handlers where this comes before they are
 * registered. Cheap when done. */
void kt_quick_exit_register(void);
