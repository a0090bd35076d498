/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One writer's turn. Lock and files are opened for each event and closed behind it: a wrapped program may
 * fork, close every fd or chdir at any moment, and none of that can then leave us with a foreign fd or the
 * others with a lock that nobody frees.
 */
#include "policyengine/audit/audit_log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LOCK_WAIT_NS (10ull * 1000000000u)
#define LOCK_PAUSE_MIN_NS 20000
/* Nobody queues for a lock that is asked for: ask often, or a busy log starves us. */
#define LOCK_PAUSE_MAX_NS 250000

kt_result audit_write_all(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, data, len);
        if (n < 0 && errno == EINTR)
            continue;
        KT_ENSURE(n > 0, KT_ERR_IO);
        data += n;
        len -= (size_t)n;
    }
    return kt_ok();
}

static kt_result fail_open(const struct audit_turn *t, const char *file, struct kt_error *err)
{
    return kt_fail(err, KT_ERR_IO,
                   "audit: cannot write %s/%s: %s; set KT_STATE_DIR to a folder that this user can write",
                   t->dir, file, strerror(errno));
}

/* Keeps errno. */
static bool is_dir(const char *path)
{
    struct stat st;
    int saved = errno;
    bool yes = stat(path, &st) == 0 && S_ISDIR(st.st_mode);
    errno = saved;
    return yes;
}

/* Every folder of the path: someone may have removed the state folder under a running program. */
static bool make_dirs(const char *dir)
{
    char path[4096];
    size_t len = strlen(dir);
    if (len >= sizeof path) {
        errno = ENAMETOOLONG;
        return false;
    }
    memcpy(path, dir, len + 1);
    for (char *p = path + 1;; p++) {
        if (*p != '/' && *p != '\0')
            continue;
        char keep = *p;
        *p = '\0';
        if (mkdir(path, 0700) != 0 && errno != EEXIST && !is_dir(path))
            return false;
        *p = keep;
        if (keep == '\0')
            return true;
    }
}

static kt_result open_dir(struct audit_turn *t, struct kt_error *err)
{
    const int flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
    t->dir_fd = open(t->dir, flags);
    if (t->dir_fd < 0 && errno == ENOENT && make_dirs(t->dir))
        t->dir_fd = open(t->dir, flags);
    if (t->dir_fd < 0)
        return kt_fail(err, KT_ERR_IO,
                       "audit: cannot make %s: %s; set KT_STATE_DIR to a folder that this user can write",
                       t->dir, strerror(errno));
    return kt_ok();
}

/* flock has no time limit of its own, and a writer that was stopped (ctrl-Z, a debugger) keeps its lock: so
 * ask, pause, ask. */
static bool lock_in_time(int fd)
{
    uint64_t deadline = kt_now_mono_ns() + LOCK_WAIT_NS;
    struct timespec pause = {0, LOCK_PAUSE_MIN_NS};
    while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return false;
        if (kt_now_mono_ns() >= deadline) {
            errno = EWOULDBLOCK;
            return false;
        }
        nanosleep(&pause, NULL);
        pause.tv_nsec = pause.tv_nsec * 2 > LOCK_PAUSE_MAX_NS ? LOCK_PAUSE_MAX_NS : pause.tv_nsec * 2;
    }
    return true;
}

/* True where the locked file is still the one in the folder: someone may have removed it while we waited. */
static bool still_there(const struct audit_turn *t)
{
    struct stat mine, now;
    return fstat(t->lock_fd, &mine) == 0 && fstatat(t->dir_fd, AUDIT_LOCK, &now, AT_SYMLINK_NOFOLLOW) == 0 &&
           mine.st_ino == now.st_ino && mine.st_dev == now.st_dev;
}

/* Forgets the number before it closes: a child forked in between (kt_audit.c) must not close what may be
 * another's by then. */
static void drop(int *fd)
{
    int was = *fd;
    *fd = -1;
    atomic_signal_fence(memory_order_seq_cst);
    if (was >= 0)
        close(was);
}

static void unlock(struct audit_turn *t)
{
    if (t->lock_fd >= 0)
        flock(t->lock_fd, LOCK_UN); /* by hand: a child may hold a copy of the fd */
    drop(&t->lock_fd);
}

static kt_result take_lock(struct audit_turn *t, struct kt_error *err)
{
    for (int tries = 0; tries < 8; tries++) {
        t->lock_fd = openat(t->dir_fd, AUDIT_LOCK, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (t->lock_fd < 0)
            return fail_open(t, AUDIT_LOCK, err);
        if (!lock_in_time(t->lock_fd))
            return kt_fail(err, KT_ERR_IO, "audit: %s/" AUDIT_LOCK " cannot be locked: %s", t->dir,
                           errno == EWOULDBLOCK ? "another process has held it for 10 s" : strerror(errno));
        if (still_there(t))
            return kt_ok();
        unlock(t);
    }
    return kt_fail(err, KT_ERR_IO, "audit: %s/" AUDIT_LOCK " disappears again and again", t->dir);
}

void audit_turn_init(struct audit_turn *t, const char *dir)
{
    memset(t, 0, sizeof *t);
    t->dir = dir;
    t->dir_fd = t->lock_fd = t->head_fd = t->log_fd = -1;
}

kt_result audit_turn_begin(struct audit_turn *t, struct kt_error *err)
{
    struct stat st;
    KT_GUARD(open_dir(t, err));
    KT_GUARD(take_lock(t, err));
    t->head_fd = openat(t->dir_fd, AUDIT_HEAD, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (t->head_fd < 0)
        return fail_open(t, AUDIT_HEAD, err);
    t->log_fd =
        openat(t->dir_fd, KT_AUDIT_CURRENT, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (t->log_fd < 0 || fstat(t->log_fd, &st) != 0)
        return fail_open(t, KT_AUDIT_CURRENT, err);
    t->size = (uint64_t)st.st_size;
    bool valid = audit_head_read(t->head_fd, &t->head);
    return valid && t->head.bytes == t->size ? kt_ok() : audit_recover(t, valid, err);
}

void audit_turn_end(struct audit_turn *t)
{
    drop(&t->log_fd);
    drop(&t->head_fd);
    unlock(t);
    drop(&t->dir_fd);
}
