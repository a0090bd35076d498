/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include <stdbool.h>

/* libc's own dlsym and dlvsym: where these two are hooked themselves, somebody must find them without asking
 * them. */

/* The default version of `name` in libc (or libdl, before glibc 2.34). NULL = none. */
void *kt_libc_symbol(const char *name);
/* Is the first one that defines `name`, in the order of the loader, libc? */
bool kt_libc_is_first(const char *name);
