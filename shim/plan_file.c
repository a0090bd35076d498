/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/plan_file.h"

#include "shim/names.h"
#include "shim/real.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LAST_ADDR (KT_SYNTH_NET | 0xfffeu)
#define LOCK_TRIES 400
#define LOCK_PAUSE_NS 5000000

static bool trusted(const struct stat *st)
{
    return S_ISREG(st->st_mode) && (st->st_uid == geteuid() || st->st_uid == 0) && (st->st_mode & 022) == 0;
}

/* Reads the file from `consumed` on: offsets in text and file are the same, because files only grow and
 * parsing is in place. */
static bool pull(struct kt_plan *p, int fd)
{
    p->used = p->consumed;
    while (p->used < KT_PLAN_MAX_BYTES) {
        ssize_t n = pread(fd, p->text + p->used, KT_PLAN_MAX_BYTES - p->used, (off_t)p->used);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        if (n == 0)
            break;
        p->used += (size_t)n;
    }
    kt_plan_parse(p);
    return true;
}

static bool is_current(const struct kt_plan *p)
{
    struct stat st;
    return p->magic && (p->expires == 0 || p->expires > (int64_t)time(NULL)) && p->ca &&
           stat(p->text + p->ca, &st) == 0;
}

bool kt_plan_file_load(struct kt_plan_file *f, const char *path)
{
    struct stat st;
    kt_plan_reset(&f->plan);
    f->detached = false;
    if (strlen(path) >= sizeof f->path)
        return false;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return false;
    bool ok = fstat(fd, &st) == 0 && trusted(&st) && st.st_size <= KT_PLAN_MAX_BYTES && pull(&f->plan, fd) &&
              is_current(&f->plan);
    KT_REAL(close)(fd);
    if (!ok) {
        kt_plan_reset(&f->plan);
        return false;
    }
    memcpy(f->path, path, strlen(path) + 1);
    f->dev = st.st_dev;
    f->ino = st.st_ino;
    f->plan.live = true;
    return true;
}

void kt_plan_file_builtin(struct kt_plan_file *f, bool observe, bool fail_allow)
{
    struct kt_plan *p = &f->plan;
    kt_plan_reset(p);
    int n = snprintf(p->text, sizeof p->text,
                     KT_PLAN_MAGIC "\nmode %s\nfail_mode %s\nhost 127.183.0.1 api.openai.com\n"
                                   "host 127.183.0.2 api.mistral.ai\nhost 127.183.0.3 codestral.mistral.ai\n",
                     observe ? "observe" : "enforce", fail_allow ? "allow" : "block");
    p->used = (size_t)n;
    kt_plan_parse(p);
    p->live = true;
    f->detached = true;
}

/* Bounded: a process that was stopped with the lock in hand must not stop us too. */
static bool lock_file(int fd)
{
    for (int i = 0; i < LOCK_TRIES; i++) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0)
            return true;
        if (errno != EWOULDBLOCK && errno != EINTR)
            return false;
        struct timespec pause = {0, LOCK_PAUSE_NS};
        nanosleep(&pause, NULL);
    }
    return false;
}

/* -1 where the file is not the one that the plan came from. */
static int open_same(struct kt_plan_file *f, int flags)
{
    struct stat st;
    if (f->detached)
        return -1;
    int fd = open(f->path, flags | O_CLOEXEC | O_NOFOLLOW);
    if (fd >= 0 && fstat(fd, &st) == 0 && st.st_ino == f->ino && st.st_dev == f->dev &&
        st.st_size >= (off_t)f->plan.consumed)
        return fd;
    if (fd >= 0)
        KT_REAL(close)(fd);
    return -1;
}

void kt_plan_file_refresh(struct kt_plan_file *f)
{
    int fd = open_same(f, O_RDONLY);
    if (fd < 0)
        return;
    pull(&f->plan, fd);
    KT_REAL(close)(fd);
}

/* Lock of the file held, tail read. */
static bool append_name(struct kt_plan *p, int fd, const char *name)
{
    char line[KT_NAME_MAX + 32];
    uint32_t a = p->next_wild;
    if (a > LAST_ADDR)
        return false;
    /* A writer that died in the middle left half a line: end it first. */
    const char *first = p->used > p->consumed ? "\n" : "";
    int n = snprintf(line, sizeof line, "%sname %u.%u.%u.%u %s\n", first, a >> 24, (a >> 16) & 255,
                     (a >> 8) & 255, a & 255, name);
    if (n <= 0 || (size_t)n >= sizeof line || p->used + (size_t)n > KT_PLAN_MAX_BYTES)
        return false;
    return write(fd, line, (size_t)n) == n && pull(p, fd);
}

/* For this process alone. */
static const struct kt_plan_entry *add_local(struct kt_plan_file *f, const char *name)
{
    struct kt_plan *p = &f->plan;
    size_t len = strlen(name) + 1;
    f->detached = true; /* from here on text is no longer a copy of the file */
    if (p->next_wild > LAST_ADDR || p->consumed + len > KT_PLAN_MAX_BYTES)
        return NULL;
    memcpy(p->text + p->consumed, name, len);
    uint32_t at = (uint32_t)p->consumed;
    if (!kt_plan_add_entry(p, p->next_wild, at))
        return NULL;
    p->next_wild++;
    p->consumed += len;
    p->used = p->consumed;
    return kt_plan_by_name(p, name);
}

const struct kt_plan_entry *kt_plan_file_add(struct kt_plan_file *f, const char *name)
{
    const struct kt_plan_entry *e = kt_plan_by_name(&f->plan, name);
    if (e)
        return e;
    int fd = open_same(f, O_RDWR | O_APPEND);
    if (fd < 0)
        return add_local(f, name);
    if (lock_file(fd) && pull(&f->plan, fd)) {
        e = kt_plan_by_name(&f->plan, name);
        if (!e && append_name(&f->plan, fd, name))
            e = kt_plan_by_name(&f->plan, name);
    }
    KT_REAL(close)(fd); /* gives the lock up */
    return e ? e : add_local(f, name);
}
