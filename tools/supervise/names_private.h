/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Between names.c and names_add.c. */
#include "tools/supervise/names.h"

#include <netinet/in.h>

/* Reads the plan where it has grown. */
void names_refresh(struct names *n);
/* The next `host` or `name` line from *rest on. */
bool names_next_host(struct kt_span *rest, struct in_addr *addr, char host[NAMES_HOST_MAX]);
/* Gives a name that a wildcard covers its address, as the shim does at a first look-up. Where that cannot be
 * it stays without. */
void names_add(struct names *n, struct kt_span name);
