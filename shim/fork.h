/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Registers what happens around fork; called before the shim takes its first lock, so that no child inherits
 * a held one. Cheap when done. */
void kt_fork_register(void);
