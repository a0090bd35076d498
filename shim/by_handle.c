/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/by_handle.h"

#include "shim/libc_symbol.h"
#include "shim/real.h"

#include <link.h>
#include <stddef.h>

/* The linker's name for the beginning of the object that this is in, as _DYNAMIC is one of it. */
extern const char __ehdr_start[] __attribute__((visibility("hidden")));

void *kt_by_handle_hook(const char *name)
{
    return kt_elf_symbol((ElfW(Addr))__ehdr_start, _DYNAMIC, name);
}

bool kt_by_handle_is_behind(const char *name, const void *fn)
{
    void *next;
    return fn == kt_libc_symbol(name) && (!kt_real_by_name(name, &next) || next == fn);
}
