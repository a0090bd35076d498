/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* main may leave by pthread_exit: then the process ends with its last thread. The engine's would be that one,
 * and lives for ever. */

#include <stdbool.h>

/* No other thread is the program's. Keeps errno. */
bool kt_only_thread(void);
/* This thread, the first one of the process, is about to leave so. */
void kt_main_leaves(void);
/* The engine was loaded; the shim's locks may be held. */
void kt_main_may_have_left(void);
