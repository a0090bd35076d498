/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/quick_exit.h"

#include "shim/guard.h"
#include "shim/real.h"
#include "shim/tap.h"

#include <stdatomic.h>

static void settle(void *none)
{
    (void)none;
    if (!kt_bypass())
        kt_tap_settle(KT_ABI_EXIT);
}

void kt_quick_exit_register(void)
{
    static atomic_flag done = ATOMIC_FLAG_INIT;
    __typeof__(&__cxa_at_quick_exit) real = KT_REAL(__cxa_at_quick_exit);
    if (real && !atomic_flag_test_and_set(&done))
        real(settle, NULL);
}
