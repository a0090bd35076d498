/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Others that stand in front of a TLS library as we do: preloaded objects (key logs, tracers), or the program
 * itself. What lies behind us in the loader's order is called in its turn; what lies in front of us had it.
 */
#include <stdbool.h>

/* Is `fn` the function of that name of an object in front of us? */
bool kt_preload_is_in_front(const void *fn, const char *name);
/* `name` in what was preloaded behind us; NULL = not there. */
void *kt_preload_behind(const char *name);
/* Does `address` lie in that object? */
bool kt_preload_calls(const void *address, const char *name);
