/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/plan_text.h"

#include "shim/names.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

void kt_plan_reset(struct kt_plan *p)
{
    /* Not memset of the whole: a fresh one lies in pages that were never touched, and should stay there. */
    p->used = p->consumed = 0;
    p->magic = p->fail_allow = p->observe = p->live = false;
    p->ca = p->bundle = p->truststore = 0;
    p->expires = 0;
    p->next_wild = KT_SYNTH_WILD + 1;
    p->exclude_count = p->wild_count = p->literal_count = 0;
    atomic_store(&p->count, 0);
}

static uint32_t name_hash(const char *name)
{
    uint64_t h = kt_fnv1a(KT_FNV_SEED, name, strlen(name));
    return (uint32_t)(h ^ (h >> 32));
}

bool kt_plan_add_entry(struct kt_plan *p, uint32_t addr, uint32_t name)
{
    unsigned n = atomic_load_explicit(&p->count, memory_order_relaxed);
    if (n == KT_PLAN_MAX_ENTRIES)
        return false;
    p->entries[n] = (struct kt_plan_entry){addr, name_hash(p->text + name), name};
    atomic_store_explicit(&p->count, n + 1, memory_order_release);
    return true;
}

static bool parse_ip(const char *text, uint8_t ip[16])
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    memcpy(ip, mapped, sizeof mapped);
    return inet_pton(AF_INET, text, ip + 12) == 1 || inet_pton(AF_INET6, text, ip) == 1;
}

/* The next word of a line that ends with NUL; ends the word with NUL and moves on. */
static char *next_word(char **rest)
{
    char *w = *rest + strspn(*rest, " \t\r");
    char *end = w + strcspn(w, " \t\r");
    *rest = *end ? end + 1 : end;
    *end = '\0';
    return w;
}

/* Normalises in place: the result is never longer. */
static bool normalise_here(char *name)
{
    char copy[KT_NAME_MAX];
    if (!kt_name_normalise(name, copy))
        return false;
    memcpy(name, copy, strlen(copy) + 1);
    return true;
}

static void add_host(struct kt_plan *p, char *rest, bool wild)
{
    const char *addr_text = next_word(&rest);
    char *name = next_word(&rest);
    struct in_addr a;
    struct kt_plan_literal lit;
    if (inet_pton(AF_INET, addr_text, &a) != 1 || !normalise_here(name))
        return;
    uint32_t addr = ntohl(a.s_addr);
    if ((addr & KT_SYNTH_MASK) != KT_SYNTH_NET || kt_plan_by_name(p, name) || kt_plan_by_addr(p, addr))
        return;
    if (wild && addr >= p->next_wild)
        p->next_wild = addr + 1;
    lit.entry = atomic_load(&p->count);
    if (!kt_plan_add_entry(p, addr, (uint32_t)(name - p->text)))
        return;
    if (!wild && parse_ip(name, lit.ip) && p->literal_count < KT_PLAN_MAX_HOSTS)
        p->literals[p->literal_count++] = lit;
}

static void add_pattern(struct kt_plan *p, char *rest, uint32_t *list, size_t *count)
{
    char *name = next_word(&rest);
    if (*count < KT_PLAN_MAX_PATTERNS && normalise_here(name))
        list[(*count)++] = (uint32_t)(name - p->text);
}

static void parse_line(struct kt_plan *p, char *line)
{
    if (!p->magic) {
        p->magic = line == p->text && strcmp(line, KT_PLAN_MAGIC) == 0;
        return;
    }
    char *rest = line;
    const char *word = next_word(&rest);
    if (strcmp(word, "name") == 0)
        add_host(p, rest, true);
    else if (p->live)
        return;
    else if (strcmp(word, "host") == 0)
        add_host(p, rest, false);
    else if (strcmp(word, "wild") == 0)
        add_pattern(p, rest, p->wilds, &p->wild_count);
    else if (strcmp(word, "exclude") == 0)
        add_pattern(p, rest, p->excludes, &p->exclude_count);
    else if (strcmp(word, "ca") == 0) /* paths may hold spaces: the whole rest */
        p->ca = (uint32_t)(rest - p->text);
    else if (strcmp(word, "bundle") == 0)
        p->bundle = (uint32_t)(rest - p->text);
    else if (strcmp(word, "truststore") == 0)
        p->truststore = (uint32_t)(rest - p->text);
    else if (strcmp(word, "fail_mode") == 0)
        p->fail_allow = strcmp(next_word(&rest), "allow") == 0;
    else if (strcmp(word, "mode") == 0)
        p->observe = strcmp(next_word(&rest), "observe") == 0;
    else if (strcmp(word, "expires") == 0)
        p->expires = strtoll(next_word(&rest), NULL, 10);
}

void kt_plan_parse(struct kt_plan *p)
{
    p->text[p->used] = '\0';
    for (;;) {
        char *line = p->text + p->consumed;
        char *nl = memchr(line, '\n', p->used - p->consumed);
        if (!nl) /* a line without its end may still be in the writer's hands */
            return;
        *nl = '\0';
        p->consumed = (size_t)(nl + 1 - p->text);
        parse_line(p, line);
    }
}

const struct kt_plan_entry *kt_plan_by_name(const struct kt_plan *p, const char *name)
{
    uint32_t hash = name_hash(name);
    unsigned n = atomic_load_explicit(&p->count, memory_order_acquire);
    for (unsigned i = 0; i < n; i++)
        if (p->entries[i].hash == hash && strcmp(kt_plan_name(p, &p->entries[i]), name) == 0)
            return &p->entries[i];
    return NULL;
}

const struct kt_plan_entry *kt_plan_by_addr(const struct kt_plan *p, uint32_t addr)
{
    unsigned n = atomic_load_explicit(&p->count, memory_order_acquire);
    for (unsigned i = 0; i < n; i++)
        if (p->entries[i].addr == addr)
            return &p->entries[i];
    return NULL;
}

const struct kt_plan_entry *kt_plan_by_ip(const struct kt_plan *p, const uint8_t ip[16])
{
    for (size_t i = 0; i < p->literal_count; i++)
        if (memcmp(p->literals[i].ip, ip, 16) == 0)
            return &p->entries[p->literals[i].entry];
    return NULL;
}

bool kt_plan_excludes(const struct kt_plan *p, const char *name)
{
    for (size_t i = 0; i < p->exclude_count; i++)
        if (kt_name_matches(name, p->text + p->excludes[i]))
            return true;
    return false;
}

bool kt_plan_wild(const struct kt_plan *p, const char *name)
{
    for (size_t i = 0; i < p->wild_count; i++)
        if (kt_name_matches(name, p->text + p->wilds[i]))
            return true;
    return false;
}

bool kt_plan_is_literal(const struct kt_plan *p, const struct kt_plan_entry *e)
{
    for (size_t i = 0; i < p->literal_count; i++)
        if (&p->entries[p->literals[i].entry] == e)
            return true;
    return false;
}
