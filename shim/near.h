/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What dlsym would find from an object, read from its tables. dladdr, dlopen and dlsym take the loader's
 * lock, which a library's constructor or destructor holds while it waits for a thread: that one may ask here.
 * Only the lock of the list of objects is taken, which nobody holds for long.
 */

#include <stdbool.h>

/* *out: `name` in the object that holds `address`, or in what it links, breadth first; NULL = not there.
 * False: not to be told without the loader. */
bool kt_near_symbol(const void *address, const char *name, void **out);
/* Does the object that holds `address` itself define `name`? */
bool kt_near_defines(const void *address, const char *name);
