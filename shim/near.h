/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What dlsym would find from an object, read from its tables. dladdr, dlopen and dlsym take the loader's
 * lock, which a library's constructor or destructor holds while it waits for a thread: that one may ask here.
 * Only the lock of the list of objects is taken, which nobody holds for long.
 */

#include <stdbool.h>

/* *out: `name` in the object that holds `address` (but see kt_near_wraps), or in what it links, breadth
 * first; NULL = not there. False: not to be told without the loader. */
bool kt_near_symbol(const void *address, const char *name, void **out);
/*
 * Libraries and programs that stand in front of a TLS library have some of its functions themselves, and call
 * the next ones (RTLD_NEXT): key logs, tracers.
 */
/* Does `fn` lie in one that stands in front of us, too? What calls us from there means the next one. */
bool kt_near_wraps(const void *fn, const char *name);
/* `name` in one that was preloaded behind us, for a call from `address`. NULL = none, or it has its own. */
void *kt_near_preloaded(const void *address, const char *name);
/* Does the object that holds `address` itself define `name`? */
bool kt_near_defines(const void *address, const char *name);
