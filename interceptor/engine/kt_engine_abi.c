/* SPDX-License-Identifier: Apache-2.0 */
/* The table that the shim loads. */
#include "interceptor/engine/kt_engine_entry.h"

__attribute__((visibility("default"))) const struct kt_engine_abi *kt_engine_abi(void);

static const struct kt_engine_abi table = {
    .version = KT_ABI_VERSION,
    .size = sizeof table,
    .start = kt_entry_start,
    .make_plan = kt_entry_make_plan,
    .usable = kt_entry_usable,
    .adopt = kt_entry_adopt,
    .ca_der = kt_entry_ca_der,
    .flow_by_random = kt_entry_flow_by_random,
    .flow_write = kt_entry_flow_write,
    .flow_wait = kt_entry_flow_wait,
    .flow_release = kt_entry_flow_release,
    .handoff_enabled = kt_entry_handoff_enabled,
    .tap_enabled = kt_entry_tap_enabled,
    .tap_open = kt_entry_tap_open,
    .tap_data = kt_entry_tap_data,
    .tap_close = kt_entry_tap_close,
    .settle = kt_entry_settle,
    .report = kt_entry_report,
    .note_unseen = kt_entry_note_unseen,
    .split = kt_entry_split,
    .shares_fds = kt_entry_shares_fds,
    .fork_prepare = kt_entry_fork_prepare,
    .fork_parent = kt_entry_fork_parent,
    .fork_child = kt_entry_fork_child,
};

const struct kt_engine_abi *kt_engine_abi(void)
{
    return &table;
}
