/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/fdtab.h"

#include "shim/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TABLE_MAX 16384
#define FIRST_SWEEP 64

struct entry {
    int fd; /* where the socket was last seen */
    struct kt_diverted d;
};

/* Apart from the entries, so that a search reads few cache lines. 0 = free. */
static ino_t inodes[TABLE_MAX];
static struct entry entries[TABLE_MAX];
static unsigned used; /* entries at or above were never taken */
static unsigned sweep_at = FIRST_SWEEP;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static atomic_bool ever;

void kt_fdtab_lock(void)
{
    kt_lock(&lock);
}

void kt_fdtab_unlock(void)
{
    kt_unlock(&lock);
}

bool kt_fdtab_used(void)
{
    return atomic_load_explicit(&ever, memory_order_relaxed);
}

static ino_t socket_inode(int fd)
{
    struct stat st;
    int saved = errno;
    /* Not fstat: a sweep may ask about a number that another thread closes, which is answered rightly but is
     * what a race detector looks for in fstat. */
    bool ok = fd >= 0 && fstatat(fd, "", &st, AT_EMPTY_PATH) == 0 && S_ISSOCK(st.st_mode);
    errno = saved;
    return ok ? st.st_ino : 0;
}

static int find_locked(ino_t ino)
{
    for (unsigned i = 0; i < used; i++)
        if (inodes[i] == ino)
            return (int)i;
    return -1;
}

/* Frees the entries whose fd is now something else; the next sweep comes when as many live ones have been
 * added again. */
static void sweep_locked(void)
{
    unsigned live = 0;
    for (unsigned i = 0; i < used; i++) {
        if (inodes[i] && socket_inode(entries[i].fd) != inodes[i])
            inodes[i] = 0;
        live += inodes[i] != 0;
    }
    sweep_at = 2 * live > FIRST_SWEEP ? 2 * live : FIRST_SWEEP;
}

static int slot_locked(void)
{
    if (used < sweep_at && used < TABLE_MAX)
        return (int)used++;
    int free_slot = find_locked(0);
    if (free_slot < 0) {
        sweep_locked();
        free_slot = find_locked(0);
    }
    if (free_slot < 0 && used < TABLE_MAX)
        free_slot = (int)used++;
    return free_slot;
}

bool kt_fdtab_add(int fd, const struct kt_diverted *d)
{
    ino_t ino = socket_inode(fd);
    if (!ino)
        return false;
    kt_lock(&lock);
    int i = find_locked(ino);
    if (i < 0)
        i = slot_locked();
    if (i >= 0) {
        entries[i] = (struct entry){fd, *d};
        entries[i].d.opener = getpid();
        inodes[i] = ino;
        atomic_store(&ever, true);
    }
    kt_unlock(&lock);
    return i >= 0;
}

static bool find(int fd, bool watched, struct kt_diverted *out)
{
    ino_t ino = kt_fdtab_used() ? socket_inode(fd) : 0;
    if (!ino)
        return false;
    kt_lock(&lock);
    int i = find_locked(ino);
    bool found = i >= 0 && entries[i].d.watched == watched;
    if (found) {
        entries[i].fd = fd; /* a duplicate keeps the entry alive when the first fd is closed */
        *out = entries[i].d;
    }
    kt_unlock(&lock);
    return found;
}

bool kt_fdtab_find(int fd, struct kt_diverted *out)
{
    return find(fd, false, out);
}

bool kt_fdtab_find_watched(int fd, struct kt_diverted *out)
{
    return find(fd, true, out);
}

void kt_fdtab_forget(int fd)
{
    ino_t ino = kt_fdtab_used() ? socket_inode(fd) : 0;
    if (!ino)
        return;
    kt_lock(&lock);
    int i = find_locked(ino);
    if (i >= 0)
        inodes[i] = 0;
    kt_unlock(&lock);
}

bool kt_fdtab_has_origin(const char *origin)
{
    bool found = false;
    if (!kt_fdtab_used())
        return false;
    kt_lock(&lock);
    for (unsigned i = 0; i < used && !found; i++)
        found = inodes[i] && !entries[i].d.watched &&
                (entries[i].d.literal || (origin && strcmp(entries[i].d.origin, origin) == 0)) &&
                socket_inode(entries[i].fd) == inodes[i];
    kt_unlock(&lock);
    return found;
}

void kt_fdtab_each_locked(void (*fn)(void *arg, int fd, const struct kt_diverted *d), void *arg)
{
    for (unsigned i = 0; i < used; i++)
        if (inodes[i])
            fn(arg, entries[i].fd, &entries[i].d);
}
