/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/plan_path.h"

#include "interceptor/abi/kt_plan_key.h"
#include "shim/env.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
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

bool kt_plan_candidate(int i, char *out, size_t size)
{
    char key[17];
    const char *v;
    int n = 0;
    kt_plan_key(kt_env_get("KT_POLICY_CONFIG"), kt_env_get("KT_MODE"), kt_env_get("KT_FAIL_MODE"), key);
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
