/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The plan of this process: which hosts are intercepted, under which addresses. It is read once, when a hook
 * first needs it, and stays; only names that match a wildcard are added. Every function keeps errno and may
 * be called by any thread.
 */
#include <stdbool.h>
#include <stdint.h>

enum kt_plan_want {
    KT_PLAN_LOADED, /* only what is in memory */
    KT_PLAN_READ,   /* may read a plan file; tried once */
    KT_PLAN_MAKE    /* and has the engine make one where none is current; always ends with a plan */
};

/* True where a plan is in memory. */
bool kt_plan_ready(enum kt_plan_want want);
/* For a host of this machine: makes a plan only where the config may speak of such hosts. */
bool kt_plan_ready_for_local(void);

struct kt_host {
    const char *name; /* the origin; borrowed for ever */
    uint32_t addr;    /* host byte order; 0 where a wildcard's name has none yet */
    bool literal;     /* name is an IP literal */
};

enum kt_host_kind { KT_HOST_OTHER, KT_HOST_OURS };

/* Is `name` intercepted? `give_address`: a name that matches a wildcard gets its address now; out->addr is 0
 * where none is left. Otherwise out->name may be NULL for such a name. */
enum kt_host_kind kt_plan_host(const char *name, enum kt_plan_want want, bool give_address,
                               struct kt_host *out);
/* Who has this synthetic address; looks at what other processes added where nobody here knows. */
bool kt_plan_synthetic(uint32_t addr, struct kt_host *out);
/* Who has this literal address (IPv4 as ::ffff:a.b.c.d). Plan in memory only. */
bool kt_plan_literal(const uint8_t ip[16], struct kt_host *out);
bool kt_plan_has_literals(void);
/* What happens when we cannot do our work: true = the program may go on without us, as it always may where is
 * only observed. Plan in memory only. */
bool kt_plan_fail_allows(void);
/* The plan was made for mode: observe. Plan in memory only. */
bool kt_plan_observes(void);
/* Path of the CA certificate; NULL where there is none. Borrowed for ever. */
const char *kt_plan_ca_path(void);
/* The same of the store for Java, which may not exist yet. */
const char *kt_plan_truststore_path(void);

/* Around fork. */
void kt_plan_lock(void);
void kt_plan_unlock(void);
