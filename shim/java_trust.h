/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Java trusts what its properties name, and reads them once, when the virtual machine is made. A variable
 * (JAVA_TOOL_OPTIONS) would be told on stderr by each of them and is lost in a clean environment; so whoever
 * asks dlsym for JNI_CreateJavaVM, as all launchers do, gets a function that adds the options.
 */

/* True for that name; `name` may be asked for before libc can be used. */
static inline int kt_is_java_create(const char *name)
{
    static const char wanted[] = "JNI_CreateJavaVM";
    for (unsigned i = 0; i < sizeof wanted; i++)
        if (name[i] != wanted[i])
            return 0;
    return 1;
}
/* What to hand out for `real`, the machine's own function: that one where there is no trust to add, or where
 * another one was handed out before. */
void *kt_java_create_for(void *real);
