/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The name of a configuration's plan file, computed alike by the shim, which looks for it, and by the
 * engine, which writes it (kt_plan_format.h says over what). Needs libc only. */
#include "interceptor/abi/kt_plan_format.h"

#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

static inline uint64_t kt_plan_key_number(uint64_t h, uint64_t n)
{
    unsigned char le[8];
    for (int i = 0; i < 8; i++)
        le[i] = (unsigned char)(n >> (8 * i));
    return kt_fnv1a(h, le, sizeof le);
}

static inline uint64_t kt_plan_key_file(uint64_t h, const char *path, size_t len)
{
    char copy[PATH_MAX];
    struct stat st;
    memset(&st, 0, sizeof st);
    if (len < sizeof copy) {
        memcpy(copy, path, len);
        copy[len] = '\0';
        if (stat(copy, &st) != 0)
            memset(&st, 0, sizeof st);
    }
    h = kt_fnv1a(h, path, len);
    h = kt_plan_key_number(h, (uint64_t)st.st_dev);
    h = kt_plan_key_number(h, (uint64_t)st.st_ino);
    h = kt_plan_key_number(h, (uint64_t)st.st_size);
    h = kt_plan_key_number(h, (uint64_t)st.st_mtim.tv_sec);
    return kt_plan_key_number(h, (uint64_t)st.st_mtim.tv_nsec);
}

/* 16 hex digits. Each may be NULL, which is "". */
static inline void kt_plan_key(const char *config_paths, const char *mode, const char *fail_mode,
                               char out[17])
{
    uint64_t h = KT_FNV_SEED;
    for (const char *at = config_paths ? config_paths : ""; *at;) {
        size_t len = strcspn(at, ":");
        if (len > 0) /* an empty element is no path */
            h = kt_plan_key_file(h, at, len);
        at += len + (at[len] == ':');
    }
    mode = mode ? mode : "";
    fail_mode = fail_mode ? fail_mode : "";
    h = kt_fnv1a(h, mode, strlen(mode) + 1);
    h = kt_fnv1a(h, fail_mode, strlen(fail_mode) + 1);
    snprintf(out, 17, "%016llx", (unsigned long long)h);
}
