/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One writer's turn. The fds stay open between turns, since opening four files costs more than all else here;
 * the lock does not. A wrapped program may close every fd at any moment, someone may remove the folder,
 * another process may rotate: so each turn first proves that every kept fd is still the file that it was and
 * that this is still the file of that name, and starts afresh where it cannot.
 */
#include "policyengine/audit/audit_log.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#define LOCK_WAIT_NS (10ull * 1000000000u)
#define LOCK_PAUSE_MIN_NS 20000
/* Nobody queues for a lock that is asked for: ask often, or a busy log starves us. */
#define LOCK_PAUSE_MAX_NS 250000

static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_dev == b->st_dev;
}

static int keep_plain(int fd)
{
    return fd;
}

static void close_plain(int fd)
{
    close(fd);
}

static struct kt_audit_fds owner = {keep_plain, close_plain, NULL};

void audit_turn_set_owner(const struct kt_audit_fds *fds)
{
    owner = *fds;
}

/* Forgets the number before it closes: a child forked in between (kt_audit.c) must not close what may be
 * another's by then. What the program has put in our fd's place is the program's, and stays open. */
static void drop(int *fd, const struct stat *then)
{
    struct stat now;
    int was = *fd;
    *fd = -1;
    atomic_signal_fence(memory_order_seq_cst);
    if (was >= 0 && (then->st_ino == 0 || (fstat(was, &now) == 0 && same_file(then, &now))))
        owner.close(was);
}

static int own(int fd)
{
    return fd < 0 ? fd : owner.keep(fd);
}

/* What the program may not open any more it may have opened before it gave up its rights. */
static int own_or_before(struct audit_turn *t, int fd, enum audit_file which)
{
    int cause = errno;
    int before = fd < 0 && (cause == EACCES || cause == EPERM) && owner.before ? owner.before(which) : -1;
    if (before >= 0) {
        fd = fcntl(before, F_DUPFD_CLOEXEC, 3);
        t->old_files = true;
    }
    errno = cause;
    return own(fd);
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
    if (stat("/", &t->root_st) != 0)
        memset(&t->root_st, 0, sizeof t->root_st);
    t->dir_fd = own_or_before(t, open(t->dir, flags), AUDIT_FILE_DIR);
    if (t->dir_fd < 0 && errno == ENOENT && make_dirs(t->dir))
        t->dir_fd = own(open(t->dir, flags));
    if (t->dir_fd < 0 || fstat(t->dir_fd, &t->dir_st) != 0)
        return kt_fail(err, KT_ERR_IO,
                       "audit: cannot make %s: %s; set KT_STATE_DIR to a folder that this user can write",
                       t->dir, strerror(errno));
    return kt_ok();
}

static int set_lock(int fd, short type)
{
    struct flock whole = {.l_type = type, .l_whence = SEEK_SET};
    return fcntl(fd, F_SETLK, &whole);
}

/* NFS makes flock of the other kind of lock, and the two of one file shut each other out. */
static bool on_nfs(int fd)
{
    struct statfs fs;
    return fstatfs(fd, &fs) == 0 && fs.f_type == NFS_SUPER_MAGIC;
}

/* flock tells readers apart from writers whatever process they are in, but is one for all processes that have
 * the same open file. Those are the ones that gave up their rights and were forked: they take a lock of
 * their process too. */
static bool take(const struct audit_turn *t)
{
    if (!t->old_files)
        return flock(t->lock_fd, LOCK_EX | LOCK_NB) == 0;
    if (set_lock(t->lock_fd, F_WRLCK) != 0) {
        errno = errno == EACCES || errno == EAGAIN ? EWOULDBLOCK : errno;
        return false;
    }
    if (on_nfs(t->lock_fd) || flock(t->lock_fd, LOCK_EX | LOCK_NB) == 0)
        return true;
    int cause = errno;
    set_lock(t->lock_fd, F_UNLCK);
    errno = cause;
    return false;
}

/* flock has no time limit of its own, and a writer that was stopped (ctrl-Z, a debugger) keeps its lock: so
 * ask, pause, ask. */
static bool lock_in_time(const struct audit_turn *t)
{
    uint64_t deadline = kt_now_mono_ns() + LOCK_WAIT_NS;
    struct timespec pause = {0, LOCK_PAUSE_MIN_NS};
    while (!take(t)) {
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

/* True where the locked file is still the one of that path: someone may have removed it, or the whole folder,
 * while we waited or between two turns. */
static bool still_there(const struct audit_turn *t)
{
    struct stat now;
    char path[4096 + 8];
    int n = snprintf(path, sizeof path, "%s/" AUDIT_LOCK, t->dir);
    bool found = n > 0 && (size_t)n < sizeof path && lstat(path, &now) == 0;
    if (found && same_file(&t->lock_st, &now))
        return true;
    if (!found && errno == EACCES) /* rights were given up: the open file itself is all that can be asked */
        return fstat(t->lock_fd, &now) == 0 && now.st_nlink > 0;
    /* Behind a chroot the path means another folder, and the one that is open stays the right one. */
    return stat("/", &now) == 0 && !same_file(&t->root_st, &now) &&
           fstatat(t->dir_fd, AUDIT_LOCK, &now, AT_SYMLINK_NOFOLLOW) == 0 && same_file(&t->lock_st, &now);
}

static void unlock(struct audit_turn *t)
{
    if (t->locked) {
        flock(t->lock_fd, LOCK_UN); /* by hand: a child may hold a copy of the fd */
        if (t->old_files)
            set_lock(t->lock_fd, F_UNLCK);
    }
    t->locked = false;
}

static kt_result take_lock(struct audit_turn *t, struct kt_error *err)
{
    for (int tries = 0; tries < 8; tries++) {
        t->lock_fd =
            own_or_before(t, openat(t->dir_fd, AUDIT_LOCK, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600),
                          AUDIT_FILE_LOCK);
        if (t->lock_fd < 0 || fstat(t->lock_fd, &t->lock_st) != 0)
            return fail_open(t, AUDIT_LOCK, err);
        t->locked = lock_in_time(t);
        if (!t->locked)
            return kt_fail(err, KT_ERR_IO, "audit: %s/" AUDIT_LOCK " cannot be locked: %s", t->dir,
                           errno == EWOULDBLOCK ? "another process has held it for 10 s" : strerror(errno));
        if (still_there(t))
            return kt_ok();
        unlock(t);
        drop(&t->lock_fd, &t->lock_st);
    }
    return kt_fail(err, KT_ERR_IO, "audit: %s/" AUDIT_LOCK " disappears again and again", t->dir);
}

void audit_turn_init(struct audit_turn *t)
{
    memset(t, 0, sizeof *t);
    t->dir_fd = t->lock_fd = t->head_fd = t->log_fd = -1;
}

void audit_turn_drop(struct audit_turn *t)
{
    drop(&t->log_fd, &t->log_st);
    drop(&t->head_fd, &t->head_st);
    unlock(t);
    drop(&t->lock_fd, &t->lock_st);
    drop(&t->dir_fd, &t->dir_st);
}

void audit_turn_forget(struct audit_turn *t)
{
    if (owner.close == close_plain) {
        t->locked = false; /* the lock is the parent's */
        audit_turn_drop(t);
    }
    audit_turn_init(t);
}

/* The same file as when it was opened, and not removed since. */
static bool unchanged(int fd, const struct stat *then, struct stat *now)
{
    return fd >= 0 && fstat(fd, now) == 0 && now->st_nlink > 0 && same_file(then, now);
}

bool audit_turn_busy(struct audit_turn *t)
{
    struct stat now;
    if (!unchanged(t->lock_fd, &t->lock_st, &now))
        return false;
    t->locked = take(t);
    bool busy = !t->locked && errno == EWOULDBLOCK;
    unlock(t);
    return busy;
}

/* Somebody may have put another file in the log's place, and this one elsewhere. */
static bool still_named(const struct audit_turn *t)
{
    struct stat now;
    if (fstatat(t->dir_fd, KT_AUDIT_CURRENT, &now, AT_SYMLINK_NOFOLLOW) == 0)
        return same_file(&t->log_st, &now);
    return errno == EACCES; /* as in still_there */
}

/* Goes on with the fds of the last turn. False: nothing is sure, start afresh. Nothing is done with an fd
 * before it is known to be still ours. */
static bool resume(struct audit_turn *t)
{
    struct stat st;
    if (!unchanged(t->dir_fd, &t->dir_st, &st) || !unchanged(t->lock_fd, &t->lock_st, &st))
        return false;
    t->locked = lock_in_time(t);
    uint64_t first_seq = t->head.first_seq;
    if (!t->locked || !still_there(t) || !unchanged(t->head_fd, &t->head_st, &st) ||
        !unchanged(t->log_fd, &t->log_st, &st) || !still_named(t))
        return false;
    t->size = (uint64_t)st.st_size;
    if ((uint64_t)st.st_blocks * 512 < t->room_to)
        t->room_to = 0; /* a file that is cut loses what was reserved behind its end, too */
    return audit_head_read(t->head_fd, &t->head) && t->head.bytes == t->size &&
           t->head.first_seq == first_seq; /* else another process has rotated, or crashed */
}

/* A log that others have put aside since must not grow. An empty one has no first event yet. */
static bool begins_with(const struct audit_turn *t, uint64_t seq)
{
    char line[256];
    unsigned long long first = 0;
    ssize_t n = pread(t->log_fd, line, sizeof line - 1, 0);
    line[n > 0 ? n : 0] = '\0';
    const char *at = strstr(line, "\"seq\":");
    return n == 0 || (at && sscanf(at, "\"seq\":%llu", &first) == 1 && first == seq);
}

static kt_result start(struct audit_turn *t, struct kt_error *err)
{
    KT_GUARD(open_dir(t, err));
    KT_GUARD(take_lock(t, err));
    t->head_fd = own_or_before(
        t, openat(t->dir_fd, AUDIT_HEAD, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600), AUDIT_FILE_HEAD);
    if (t->head_fd < 0 || fstat(t->head_fd, &t->head_st) != 0)
        return fail_open(t, AUDIT_HEAD, err);
    t->log_fd = own_or_before(
        t, openat(t->dir_fd, KT_AUDIT_CURRENT, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600),
        AUDIT_FILE_LOG);
    if (t->log_fd < 0 || fstat(t->log_fd, &t->log_st) != 0)
        return fail_open(t, KT_AUDIT_CURRENT, err);
    t->size = (uint64_t)t->log_st.st_size;
    bool valid = audit_head_read(t->head_fd, &t->head);
    if (t->old_files && t->size == 0 && t->head_st.st_size == 0) { /* made just then */
        t->head.first_seq = 1;
        return audit_head_write(t->head_fd, &t->head);
    }
    if (t->old_files && !(valid && t->head.bytes == t->size && begins_with(t, t->head.first_seq)))
        return kt_fail(
            err, KT_ERR_IO,
            "audit: %s is not open to this user, and the log that was opened before the program gave up "
            "its rights is not the current one any more; set KT_STATE_DIR to a folder that this user can "
            "write, or start the program again",
            t->dir);
    return valid && t->head.bytes == t->size ? kt_ok() : audit_recover(t, valid, err);
}

kt_result audit_turn_begin(struct audit_turn *t, const char *dir, struct kt_error *err)
{
    bool same_dir = t->dir && strcmp(t->dir, dir) == 0;
    t->dir = dir;
    t->note_type = NULL;
    if (same_dir && resume(t))
        return kt_ok();
    audit_turn_drop(t);
    audit_turn_init(t);
    t->dir = dir;
    return start(t, err);
}

kt_result audit_turn_new_log(struct audit_turn *t, int fd)
{
    drop(&t->log_fd, &t->log_st);
    t->log_fd = own(fd);
    return t->log_fd >= 0 && fstat(t->log_fd, &t->log_st) == 0 ? kt_ok() : kt_err(KT_ERR_IO);
}

void audit_turn_end(struct audit_turn *t, bool keep)
{
    if (keep)
        unlock(t);
    else
        audit_turn_drop(t);
}
