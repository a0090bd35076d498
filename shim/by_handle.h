/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
#include <stdbool.h>

/* Who takes libc's functions from a handle of libc (ctypes, FFI, JNA, P/Invoke) gets our hooks, where such a
 * hook would call that very function next: another library's wrapper (which may be the one that asks) stays
 * what it is. */

/* Our hook `name`; NULL = there is none. Calls nothing: a sanitizer may ask while it is not ready. */
void *kt_by_handle_hook(const char *name);
/* Is `fn` what that hook stands in front of? */
bool kt_by_handle_is_behind(const char *name, const void *fn);
