/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A plan in memory. It only ever grows (names that match a wildcard), so that readers need no lock: a reader
 * sees `count` entries and all of them are complete. One writer at a time.
 */
#include "interceptor/abi/kt_plan_format.h"

#include <netinet/in.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#define KT_PLAN_MAX_ENTRIES 4096
#define KT_PLAN_MAX_PATTERNS 512

struct kt_plan_entry {
    uint32_t addr; /* host byte order, inside KT_SYNTH_NET */
    uint32_t hash; /* of the name */
    uint32_t name; /* offset in text; normalised, NUL-terminated */
};

struct kt_plan_literal {
    uint32_t entry;
    uint8_t ip[16]; /* IPv4 as ::ffff:a.b.c.d */
};

struct kt_plan {
    char text[KT_PLAN_MAX_BYTES + 1];
    size_t used;     /* bytes of text that hold file content */
    size_t consumed; /* up to here lines were parsed; the same offset in the file */
    bool magic, fail_allow, observe;
    bool live;                       /* readers exist: only `name` lines are taken from now on */
    uint32_t ca, bundle, truststore; /* offsets, 0 = none */
    int64_t expires;                 /* 0 = never */
    uint32_t next_wild;              /* the lowest address that no name has yet */
    uint32_t excludes[KT_PLAN_MAX_PATTERNS], wilds[KT_PLAN_MAX_PATTERNS];
    size_t exclude_count, wild_count;
    struct kt_plan_literal literals[KT_PLAN_MAX_HOSTS];
    size_t literal_count;
    struct kt_plan_entry entries[KT_PLAN_MAX_ENTRIES];
    atomic_uint count;
};

void kt_plan_reset(struct kt_plan *p);
/* Parses every complete line between `consumed` and `used`. Lines that make no sense are skipped. */
void kt_plan_parse(struct kt_plan *p);
/* Adds a name with an address; false where the tables are full. `name` is an offset in text. */
bool kt_plan_add_entry(struct kt_plan *p, uint32_t addr, uint32_t name);

/* All names normalised. NULL = none. Borrowed for as long as the plan. */
const struct kt_plan_entry *kt_plan_by_name(const struct kt_plan *p, const char *name);
const struct kt_plan_entry *kt_plan_by_addr(const struct kt_plan *p, uint32_t addr);
const struct kt_plan_entry *kt_plan_by_ip(const struct kt_plan *p, const uint8_t ip[16]);
bool kt_plan_excludes(const struct kt_plan *p, const char *name);
bool kt_plan_wild(const struct kt_plan *p, const char *name);
bool kt_plan_is_literal(const struct kt_plan *p, const struct kt_plan_entry *e);

static inline const char *kt_plan_name(const struct kt_plan *p, const struct kt_plan_entry *e)
{
    return p->text + e->name;
}
