/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/plan_path.h"

#include "interceptor/abi/kt_plan_format.h"
#include "shim/env.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool fits(int written, size_t size)
{
    return written > 0 && (size_t)written < size;
}

static const char *set_value(const char *name)
{
    const char *v = kt_env_get(name);
    return v && *v ? v : NULL;
}

/* The XDG specification: a relative one is to be ignored. */
static const char *absolute_value(const char *name)
{
    const char *v = set_value(name);
    return v && v[0] == '/' ? v : NULL;
}

bool kt_state_dir(char *out, size_t size)
{
    const char *v;
    bool ok;
    if ((v = set_value("KT_STATE_DIR")))
        ok = fits(snprintf(out, size, "%s", v), size);
    else if ((v = absolute_value("XDG_STATE_HOME")))
        ok = fits(snprintf(out, size, "%s/kt", v), size);
    else if ((v = absolute_value("HOME")))
        ok = fits(snprintf(out, size, "%s/.local/state/kt", v), size);
    else
        ok = fits(snprintf(out, size, "/tmp/kt-%u", (unsigned)geteuid()), size);
    return ok;
}

static uint64_t add_number(uint64_t h, uint64_t n)
{
    unsigned char le[8];
    for (int i = 0; i < 8; i++)
        le[i] = (unsigned char)(n >> (8 * i));
    return kt_fnv1a(h, le, sizeof le);
}

static uint64_t add_path(uint64_t h, const char *path, size_t len)
{
    static char copy[PATH_MAX]; /* the plan's lock is held; stacks may be small */
    struct stat st;
    memset(&st, 0, sizeof st);
    if (len < sizeof copy) {
        memcpy(copy, path, len);
        copy[len] = '\0';
        if (stat(copy, &st) != 0)
            memset(&st, 0, sizeof st);
    }
    h = kt_fnv1a(h, path, len);
    h = add_number(h, (uint64_t)st.st_dev);
    h = add_number(h, (uint64_t)st.st_ino);
    h = add_number(h, (uint64_t)st.st_size);
    h = add_number(h, (uint64_t)st.st_mtim.tv_sec);
    return add_number(h, (uint64_t)st.st_mtim.tv_nsec);
}

void kt_plan_file_key(const char *config_paths, const char *mode, const char *fail_mode, char out[17])
{
    uint64_t h = KT_FNV_SEED;
    for (const char *p = config_paths ? config_paths : ""; *p;) {
        size_t len = strcspn(p, ":");
        if (len > 0)
            h = add_path(h, p, len);
        p += len + (p[len] == ':');
    }
    h = kt_fnv1a(h, mode ? mode : "", (mode ? strlen(mode) : 0) + 1);
    h = kt_fnv1a(h, fail_mode ? fail_mode : "", (fail_mode ? strlen(fail_mode) : 0) + 1);
    snprintf(out, 17, "%016llx", (unsigned long long)h);
}

bool kt_plan_candidate(int i, char *out, size_t size)
{
    char key[17];
    const char *v;
    int n = 0;
    kt_plan_file_key(kt_env_get("KT_POLICY_CONFIG"), kt_env_get("KT_MODE"), kt_env_get("KT_FAIL_MODE"), key);
    if (i == 0 && (v = set_value("KT_PLAN")))
        n = snprintf(out, size, "%s", v);
    else if (i == 1 && kt_state_dir(out, size) && (n = (int)strlen(out)) > 0)
        n += snprintf(out + n, size - (size_t)n, "/plan/%s", key);
    else if (i == 2 && (v = absolute_value("XDG_RUNTIME_DIR")))
        n = snprintf(out, size, "%s/ktwrap/%s", v, key);
    else if (i == 3)
        n = snprintf(out, size, "/tmp/ktwrap-%u/%s", (unsigned)geteuid(), key);
    if (!fits(n, size))
        out[0] = '\0';
    return i <= 3;
}
