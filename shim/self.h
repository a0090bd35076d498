/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Where this library lies: an absolute path also where LD_PRELOAD held a relative one. "" where nothing
 * tells. Needs no loader lock (a forked child may ask), keeps errno. Borrowed for ever. */
const char *kt_self_path(void);
