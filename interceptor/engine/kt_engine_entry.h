/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The one engine of a process: each function is the slot of its name in kt_engine_abi, which says what it
 * takes and owns. */
#include "interceptor/abi/kt_engine_abi.h"

int kt_entry_start(const struct kt_shim_host *host);
int kt_entry_make_plan(char *path, size_t size);
int kt_entry_usable(void);
int kt_entry_adopt(int fd, const struct kt_abi_origin *origin);
size_t kt_entry_ca_der(const uint8_t **der);
struct kt_abi_flow *kt_entry_flow_by_random(const uint8_t random[32]);
ssize_t kt_entry_flow_write(struct kt_abi_flow *flow, const void *data, size_t len);
int kt_entry_flow_wait(struct kt_abi_flow *flow, enum kt_abi_wait how, uint64_t taken, void *buf,
                       size_t *len);
void kt_entry_flow_release(struct kt_abi_flow *flow);
int kt_entry_handoff_enabled(void);
int kt_entry_tap_enabled(void);
uint64_t kt_entry_tap_open(const struct kt_abi_origin *origin, int tls);
void kt_entry_tap_data(uint64_t tap, enum kt_abi_dir dir, const void *data, size_t len);
void kt_entry_tap_close(uint64_t tap);
void kt_entry_settle(enum kt_abi_leave how);
void kt_entry_report(enum kt_abi_event what, const char *host, const char *detail);
void kt_entry_note_unseen(const char *host, uint16_t port);
int kt_entry_split(void);
int kt_entry_shares_fds(void);
int kt_entry_fork_prepare(void);
void kt_entry_fork_parent(void);
void kt_entry_fork_child(void);
