/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/shim/unit_glue.h"

#include "shim/child_env.h"
#include "shim/plan_file.h"
#include "shim/via.h"

#include <stdlib.h>
#include <string.h>

const unsigned char kt_via_thunks[KT_VIA_SIZE] = {0}; /* a hook's, and no test calls it */

struct kt_plan_file *glue_plan_new(void)
{
    struct kt_plan_file *f = calloc(1, sizeof *f);
    kt_plan_reset(&f->plan);
    return f;
}

void glue_plan_free(struct kt_plan_file *f)
{
    free(f);
}

void glue_plan_text(struct kt_plan_file *f, const void *text, size_t len)
{
    kt_plan_reset(&f->plan);
    if (len > KT_PLAN_MAX_BYTES)
        len = KT_PLAN_MAX_BYTES;
    if (len > 0)
        memcpy(f->plan.text, text, len);
    f->plan.used = len;
    kt_plan_parse(&f->plan);
    f->plan.live = true;
    f->detached = true;
}

int glue_plan_load(struct kt_plan_file *f, const char *path)
{
    return kt_plan_file_load(f, path);
}

void glue_plan_builtin(struct kt_plan_file *f, int fail_allow)
{
    kt_plan_file_builtin(f, false, fail_allow);
}

void glue_plan_refresh(struct kt_plan_file *f)
{
    kt_plan_file_refresh(f);
}

uint32_t glue_plan_add(struct kt_plan_file *f, const char *name)
{
    const struct kt_plan_entry *e = kt_plan_file_add(f, name);
    return e ? e->addr : 0;
}

uint32_t glue_plan_addr(struct kt_plan_file *f, const char *name)
{
    const struct kt_plan_entry *e = kt_plan_by_name(&f->plan, name);
    return e ? e->addr : 0;
}

const char *glue_plan_name(struct kt_plan_file *f, uint32_t addr)
{
    const struct kt_plan_entry *e = kt_plan_by_addr(&f->plan, addr);
    return e ? kt_plan_name(&f->plan, e) : NULL;
}

const char *glue_plan_by_ip(struct kt_plan_file *f, const uint8_t ip[16])
{
    const struct kt_plan_entry *e = kt_plan_by_ip(&f->plan, ip);
    return e ? kt_plan_name(&f->plan, e) : NULL;
}

int glue_plan_excludes(struct kt_plan_file *f, const char *name)
{
    return kt_plan_excludes(&f->plan, name);
}

int glue_plan_wild(struct kt_plan_file *f, const char *name)
{
    return kt_plan_wild(&f->plan, name);
}

int glue_plan_magic(struct kt_plan_file *f)
{
    return f->plan.magic;
}

int glue_plan_fail_allow(struct kt_plan_file *f)
{
    return f->plan.fail_allow;
}

const char *glue_plan_ca(struct kt_plan_file *f)
{
    return f->plan.ca ? f->plan.text + f->plan.ca : NULL;
}

unsigned glue_plan_count(struct kt_plan_file *f)
{
    return atomic_load(&f->plan.count);
}

int glue_plan_detached(struct kt_plan_file *f)
{
    return f->detached;
}

char **glue_child_env(char *const *envp)
{
    struct kt_missing m;
    size_t need = kt_child_env_need(&m, envp);
    void *room = need ? malloc(need) : NULL;
    char *const *out = kt_child_env(&m, envp, room);
    size_t n = 0;
    while (out && out[n])
        n++;
    char **copy = calloc(n + 1, sizeof *copy);
    for (size_t i = 0; i < n; i++)
        copy[i] = strdup(out[i]);
    free(room);
    return copy;
}

void glue_env_free(char **envp)
{
    for (char **e = envp; *e; e++)
        free(*e);
    free(envp);
}
