/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file: found good and mapped, or made anew beside it and put in its place by a rename. It is never
 * truncated and its blocks are allocated before anybody maps it: a page that the file system cannot give
 * would kill the program that we live in.
 */
#include "interceptor/state/kt_state_layout.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#define LOCK_WAIT_MS 500u /* making a segment takes some 5 ms */
#define LOCK_NAP_NS 1000000l
#define STALE_TEMP_S 60
#define TEMP_PREFIX ".new-"

#define WHY(...) snprintf(why, why_size, __VA_ARGS__)

/* ---- the folder ---- */

/* Where two machines may see the file: their clocks and boots differ, and mapped pages are not coherent. */
static const char *network_name(long type)
{
    static const struct {
        unsigned type;
        const char *name;
    } all[] = {{0x6969, "NFS"},        {0x517b, "SMB"},       {0xff534d42u, "CIFS"}, {0xfe534d42u, "SMB2"},
               {0x65735546, "FUSE"},   {0x01021997, "9p"},    {0x5346414f, "AFS"},   {0x6b414653, "AFS"},
               {0x73757245, "Coda"},   {0x564c, "NCP"},       {0x00c36400, "Ceph"},  {0x0bd00bd0, "Lustre"},
               {0x786f4256, "vboxsf"}, {0x47504653, "GPFS"},  {0x7461636f, "OCFS2"}, {0x01161970, "GFS2"},
               {0xbacbacbcu, "HGFS"},  {0x19830326, "BeeGFS"}};
    for (size_t i = 0; i < KT_COUNT(all); i++)
        if (all[i].type == (unsigned)type)
            return all[i].name;
    return NULL;
}

static bool make_folders(const char *dir)
{
    char path[4096];
    size_t n = (size_t)snprintf(path, sizeof path, "%s", dir);
    if (n >= sizeof path)
        return false;
    for (size_t i = 1; i <= n; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        path[i] = '\0';
        if (mkdir(path, 0700) != 0 && errno != EEXIST && errno != EACCES && errno != EROFS)
            return false;
        path[i] = i < n ? '/' : '\0';
    }
    return true;
}

/* The fd of a folder that is ours alone; -1 with the cause. */
static int open_folder(const char *dir, char *why, size_t why_size)
{
    struct stat st;
    struct statfs fs;
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT && make_folders(dir))
        fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        WHY("%s: %s", dir, strerror(errno));
        return -1;
    }
    const char *network = NULL;
    if (fstat(fd, &st) != 0 || fstatfs(fd, &fs) != 0)
        WHY("%s: %s", dir, strerror(errno));
    else if (st.st_uid != geteuid())
        WHY("%s belongs to the user %u", dir, (unsigned)st.st_uid);
    else if ((st.st_mode & 077) && fchmod(fd, 0700) != 0)
        WHY("%s is open to others: %s", dir, strerror(errno));
    else if ((network = network_name((long)fs.f_type)) != NULL)
        WHY("%s lies on a network file system (%s)", dir, network);
    else
        return fd;
    close(fd);
    return -1;
}

/* ---- an existing file ---- */

static struct kt_seg *map_file(int fd, struct kt_file_id *id)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return NULL;
    void *p = mmap(NULL, sizeof(struct kt_seg), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED)
        return NULL;
    *id = (struct kt_file_id){(uint64_t)st.st_dev, (uint64_t)st.st_ino};
    return p;
}

/* Regular, ours alone, whole, with its blocks: only then is mapping it safe. The header is read, not mapped.
 * */
static enum kt_seg_verdict judge_file(int fd)
{
    struct stat st;
    struct kt_seg_header h;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_uid != geteuid() ||
        (st.st_mode & 0777) != 0600 || st.st_nlink != 1 || st.st_size != (off_t)sizeof(struct kt_seg))
        return KT_SEG_BAD;
    /* A copy made by cp has holes: writing into one needs a block that may not be there. */
    if ((uint64_t)st.st_blocks * 512u < sizeof(struct kt_seg) &&
        posix_fallocate(fd, 0, sizeof(struct kt_seg)))
        return KT_SEG_BAD;
    if (pread(fd, &h, sizeof h, 0) != (ssize_t)sizeof h)
        return KT_SEG_BAD;
    return kt_seg_judge(&h);
}

static int open_file(int dir, const char *name)
{
    return openat(dir, name, O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
}

static struct kt_seg *open_good(int dir, const char *name, struct kt_file_id *id)
{
    KT_CLEANUP(kt_cleanup_fd) int fd = open_file(dir, name);
    return fd >= 0 && judge_file(fd) == KT_SEG_GOOD ? map_file(fd, id) : NULL;
}

/* ---- a new file ---- */

/* Other makers wait, but not for long: one that was stopped must not stop a program. */
static int lock_folder(int dir)
{
    int fd = openat(dir, ".lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0600);
    uint64_t start = kt_state_now_ms();
    while (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0) {
        const struct timespec nap = {0, LOCK_NAP_NS};
        if ((errno != EWOULDBLOCK && errno != EINTR) || kt_state_now_ms() - start > LOCK_WAIT_MS)
            break;
        nanosleep(&nap, NULL);
    }
    return fd;
}

/* What a maker left that was killed. */
static void sweep(int dir)
{
    int copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = copy < 0 ? NULL : fdopendir(copy);
    if (!d) {
        if (copy >= 0)
            close(copy);
        return;
    }
    for (struct dirent *e; (e = readdir(d));) {
        struct stat st;
        if (strncmp(e->d_name, TEMP_PREFIX, sizeof TEMP_PREFIX - 1) == 0 &&
            fstatat(dir, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_mtime + STALE_TEMP_S < time(NULL))
            unlinkat(dir, e->d_name, 0);
    }
    closedir(d);
}

static int make_temp(int dir, char name[64])
{
    uint64_t random = 0;
    if (!kt_is_ok(kt_random(&random, sizeof random)))
        random = kt_now_mono_ns();
    snprintf(name, 64, TEMP_PREFIX "%d-%016llx", (int)getpid(), (unsigned long long)random);
    int fd = openat(dir, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return -1;
#ifdef FS_NOCOW_FL
    /* btrfs would look for a new block at every write-back, and may find none. Elsewhere this fails. */
    int flags = 0;
    if (ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0) {
        flags |= FS_NOCOW_FL;
        if (ioctl(fd, FS_IOC_SETFLAGS, &flags) != 0)
            errno = 0;
    }
#endif
    int why = fchmod(fd, 0600) == 0 ? posix_fallocate(fd, 0, sizeof(struct kt_seg)) : errno;
    if (why == 0)
        return fd;
    close(fd);
    unlinkat(dir, name, 0);
    errno = why;
    return -1;
}

static void carry_over(int dir, const char *name, struct kt_seg *to)
{
    KT_CLEANUP(kt_cleanup_fd) int fd = open_file(dir, name);
    struct kt_file_id id;
    if (fd < 0 || judge_file(fd) != KT_SEG_OTHER_BOOT)
        return;
    struct kt_seg *from = map_file(fd, &id);
    if (!from)
        return;
    kt_seg_carry_spending(to, from);
    kt_seg_unmap(from);
}

static bool is_good(int dir, const char *name)
{
    KT_CLEANUP(kt_cleanup_fd) int fd = open_file(dir, name);
    return fd >= 0 && judge_file(fd) == KT_SEG_GOOD;
}

/* What is there may be the file of a maker that did not wait for us, nor we for it (a busy machine): then
 * that one stands, and what was ours keeps the temporary name. */
static bool yield_to_other(int dir, const char *temp, const char *name)
{
    struct stat st;
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0 || S_ISDIR(st.st_mode) ||
        renameat2(dir, temp, dir, name, RENAME_EXCHANGE) != 0)
        return false;
    return is_good(dir, temp) ? renameat2(dir, temp, dir, name, RENAME_EXCHANGE) == 0 : true;
}

/* A folder or a fifo in the file's place goes as well; a folder only while it is empty. */
static bool put_in_place(int dir, const char *temp, const char *name)
{
    if (renameat2(dir, temp, dir, name, RENAME_NOREPLACE) == 0)
        return true;
    if (errno == EEXIST && (is_good(dir, name) || yield_to_other(dir, temp, name)))
        return unlinkat(dir, temp, 0) == 0;
    if (renameat(dir, temp, dir, name) == 0) /* a file system without these */
        return true;
    return (errno == EISDIR || errno == EEXIST || errno == ENOTEMPTY) &&
           unlinkat(dir, name, AT_REMOVEDIR) == 0 && renameat(dir, temp, dir, name) == 0;
}

static bool make_file(int dir, const char *name)
{
    char temp[64];
    struct kt_file_id id;
    KT_CLEANUP(kt_cleanup_fd) int fd = make_temp(dir, temp);
    if (fd < 0)
        return false;
    struct kt_seg *seg = map_file(fd, &id);
    int why = errno;
    if (seg) {
        kt_seg_header_fill(&seg->header);
        carry_over(dir, name, seg);
        kt_seg_unmap(seg);
        if (put_in_place(dir, temp, name))
            return true;
        why = errno;
    }
    unlinkat(dir, temp, 0);
    errno = why;
    return false;
}

/* ---- both ---- */

struct kt_seg *kt_seg_open(const char *dir, struct kt_file_id *id, char *why, size_t why_size)
{
    char name[64];
    kt_seg_name(name);
    KT_CLEANUP(kt_cleanup_fd) int folder = open_folder(dir, why, why_size);
    if (folder < 0)
        return NULL;
    struct kt_seg *seg = open_good(folder, name, id);
    if (seg)
        return seg;
    /* Who waited for the lock finds what the holder made. Without the lock two may make one each: see
     * put_in_place. */
    KT_CLEANUP(kt_cleanup_fd) int lock = lock_folder(folder);
    (void)lock; /* held until this ends */
    for (int i = 0; i < 3 && !seg; i++) {
        seg = open_good(folder, name, id);
        if (!seg && !make_file(folder, name)) {
            WHY("%s/%s: %s", dir, name, strerror(errno));
            return NULL;
        }
        if (!seg)
            sweep(folder);
    }
    if (!seg)
        seg = open_good(folder, name, id);
    if (!seg)
        WHY("%s/%s cannot be mapped: %s", dir, name, strerror(errno));
    return seg;
}

struct kt_seg *kt_seg_anonymous(void)
{
    void *p = mmap(NULL, sizeof(struct kt_seg), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return NULL;
    kt_seg_header_fill(&((struct kt_seg *)p)->header);
    return p;
}

void kt_seg_unmap(struct kt_seg *seg)
{
    if (seg)
        munmap(seg, sizeof *seg);
}

bool kt_seg_is_current(const char *dir, const struct kt_file_id *id)
{
    char name[64], path[4200];
    struct stat st;
    kt_seg_name(name);
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return stat(path, &st) == 0 && (uint64_t)st.st_dev == id->dev && (uint64_t)st.st_ino == id->ino;
}
