/* SPDX-License-Identifier: Apache-2.0 */
#include "interceptor/plan/kt_plan_clean.h"
#include "interceptor/abi/kt_plan_format.h"
#include "interceptor/plan/kt_plan_file.h"
#include "interceptor/plan/kt_plan_text.h"
#include "interceptor/tls/kt_ca.h"

#include <dirent.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_ENTRIES 1024
#define UNFINISHED_SECONDS 3600
#define KEY_DIGITS 16

void kt_plan_remove_ca_dir(const char *ca_dir)
{
    static const char *const names[] = {"ca.key", "ca.pem", "bundle.pem", "extra.pem", "truststore.p12"};
    char path[4096];
    for (size_t i = 0; i < KT_COUNT(names); i++)
        if (kt_is_ok(kt_path_format(path, sizeof path, "%s/%s", ca_dir, names[i])))
            unlink(path);
    rmdir(ca_dir);
}

static size_t hex_run(const char *s)
{
    return strspn(s, "0123456789abcdef");
}

/* <key> or <key>-<random> */
static bool is_plan_name(const char *s)
{
    return hex_run(s) == KEY_DIGITS &&
           (s[KEY_DIGITS] == '\0' || (s[KEY_DIGITS] == '-' && hex_run(s + KEY_DIGITS + 1) == KEY_DIGITS &&
                                      s[2 * KEY_DIGITS + 1] == '\0'));
}

static void look_at_plan(const char *path, const char *name, const struct stat *st, time_t now)
{
    if (!S_ISREG(st->st_mode) || st->st_uid != geteuid())
        return;
    if (strncmp(name, KT_FILE_TEMP_PREFIX, strlen(KT_FILE_TEMP_PREFIX)) == 0) {
        if (st->st_mtime < now - UNFINISHED_SECONDS)
            unlink(path);
        return;
    }
    /* A young one cannot have expired; do not open hundreds of them. */
    if (!is_plan_name(name) || st->st_mtime > now - KT_CA_VALID_SECONDS / 2)
        return;
    KT_CLEANUP(kt_buf_free) struct kt_buf text = KT_BUF_INIT(KT_PLAN_MAX_BYTES);
    if (kt_is_ok(kt_plan_file_read(path, true, &text)) && !kt_is_ok(kt_plan_check(kt_buf_span(&text), now)))
        unlink(path);
}

static void look_at_ca(const char *path, const char *name, const struct stat *st, time_t now)
{
    char cert[4096];
    if (!S_ISDIR(st->st_mode) || st->st_uid != geteuid() || strncmp(name, "ca-", 3) != 0 ||
        hex_run(name + 3) != KEY_DIGITS || name[3 + KEY_DIGITS] != '\0')
        return;
    bool finished =
        kt_is_ok(kt_path_format(cert, sizeof cert, "%s/bundle.pem", path)) && access(cert, F_OK) == 0;
    time_t keep = finished ? KT_CA_VALID_SECONDS + UNFINISHED_SECONDS : UNFINISHED_SECONDS;
    if (st->st_mtime < now - keep)
        kt_plan_remove_ca_dir(path);
}

static void each(const char *dir, void (*look)(const char *, const char *, const struct stat *, time_t))
{
    DIR *d = opendir(dir);
    if (!d)
        return;
    time_t now = time(NULL);
    const struct dirent *e;
    for (int n = 0; n < MAX_ENTRIES && (e = readdir(d)); n++) {
        char path[4096];
        struct stat st;
        if (kt_is_ok(kt_path_format(path, sizeof path, "%s/%s", dir, e->d_name)) && lstat(path, &st) == 0)
            look(path, e->d_name, &st, now);
    }
    closedir(d);
}

void kt_plan_clean(const char *plan_dir, const char *runtime_dir)
{
    each(plan_dir, look_at_plan);
    each(runtime_dir, look_at_ca);
}
