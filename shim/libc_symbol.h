/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include <link.h>
#include <stdbool.h>

/* libc's own dlsym and dlvsym: where these two are hooked themselves, somebody must find them without asking
 * them. */

/* The default version of `name` in libc (or libdl, before glibc 2.34). NULL = none. */
void *kt_libc_symbol(const char *name);
/* Is the first one that defines `name`, in the order of the loader, libc? */
bool kt_libc_is_first(const char *name);
/* Does the object that holds `address` define `name` itself? */
bool kt_object_defines(const void *address, const char *name);

/* The default version of `name` in one object; NULL = none, or one that has to be asked what it is (IFUNC).
 */
void *kt_elf_symbol(ElfW(Addr) base, const ElfW(Dyn) * dyn, const char *name);
/* The n-th string with this tag (DT_NEEDED, DT_SONAME) in its dynamic section; NULL past the last. */
const char *kt_elf_string(ElfW(Addr) base, const ElfW(Dyn) * dyn, ElfW(Sxword) tag, unsigned n);
