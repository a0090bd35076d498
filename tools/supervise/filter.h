/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside tools/supervise: the BPF program that decides which system calls are notified. */
#include "policyengine/base/kt_base.h"

#include <linux/filter.h>

#define FILTER_MAX 160

struct filter {
    struct sock_filter op[FILTER_MAX];
    unsigned short len;
};

/* `strict`: also the calls with which a program could get around the other ones. */
void filter_build(bool strict, struct filter *f);
/* High half of the lowest address of the area where the kernel maps libraries: code below belongs to a
 * program of its own kind (static, or Go, which makes its system calls itself). */
uint32_t filter_mmap_area(void);
/* Puts this process and what it will start under the filter. Returns the listener (CLOEXEC), or -1 with
 * errno: EBUSY where another listener has this tree. May set no_new_privs. */
int filter_install(const struct filter *f);
