/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/config_text.h"

#include "shim/env.h"
#include "shim/guard.h"
#include "shim/real.h"
#include "shim/stack.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define OVERLAP 16 /* no needle is longer */

/* A name that is written with escapes is not found; nobody does so by chance. */
static const char *const needles[] = {"localhost", "127.", "::1", "0:1", "::ffff:7f"};

static bool has_needle(const char *text)
{
    for (size_t i = 0; i < sizeof needles / sizeof needles[0]; i++)
        if (strcasestr(text, needles[i]))
            return true;
    return false;
}

static bool file_has_needle(const char *path)
{
    char buf[OVERLAP + 4096 + 1];
    size_t kept = 0;
    bool found = false;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ssize_t n;
    while (fd >= 0 && !found && (n = read(fd, buf + kept, sizeof buf - 1 - kept)) > 0) {
        size_t used = kept + (size_t)n;
        buf[used] = '\0';
        found = has_needle(buf);
        kept = used < OVERLAP ? used : OVERLAP;
        memmove(buf, buf + used - kept, kept);
    }
    if (fd >= 0)
        KT_REAL(close)(fd);
    return found;
}

static void look(void *result)
{
    const char *p = kt_env_get("KT_POLICY_CONFIG");
    bool found = false;
    while (p && *p && !found) {
        char path[PATH_MAX];
        size_t len = strcspn(p, ":");
        if (len > 0 && len < sizeof path) {
            memcpy(path, p, len);
            path[len] = '\0';
            found = file_has_needle(path);
        }
        p += len + (p[len] == ':');
    }
    *(bool *)result = found;
}

bool kt_config_names_local(void)
{
    static atomic_int known; /* 0 not asked, 1 no, 2 yes */
    int k = atomic_load_explicit(&known, memory_order_relaxed);
    if (k == 0) {
        int saved = kt_guard_enter();
        bool found = false;
        if (!kt_stack_call(look, &found))
            found = true; /* then a plan is wanted */
        k = found ? 2 : 1;
        kt_guard_leave(saved);
        atomic_store_explicit(&known, k, memory_order_relaxed);
    }
    return k == 2;
}
