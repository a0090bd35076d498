/* SPDX-License-Identifier: Apache-2.0 */
#include "interceptor/loop/kt_fds.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define BASE 1536 /* above what select() can name; a higher one would only grow the kernel's table */
#define WORD_BITS 64

/* The number and its protection change hands together, under this lock: between close and "not ours" no other
 * thread of ours can be given the same number. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t *bits;
static size_t words, used;
static void (*protector)(int fd, int on);
static _Thread_local bool raise_theirs;

void kt_fds_set_protector(void (*own_fd)(int fd, int on))
{
    pthread_mutex_lock(&lock);
    protector = own_fd;
    pthread_mutex_unlock(&lock);
}

static int base_fd(void)
{
    struct rlimit rl;
    if (getrlimit(RLIMIT_NOFILE, &rl) == 0 && rl.rlim_cur < 2u * BASE)
        return (int)(rl.rlim_cur / 4 * 3);
    return BASE;
}

static bool grow(size_t need)
{
    if (need <= words)
        return true;
    size_t n = words ? words : 32;
    while (n < need)
        n *= 2;
    uint64_t *p = realloc(bits, n * sizeof *p);
    if (!p)
        return false;
    memset(p + words, 0, (n - words) * sizeof *p);
    bits = p;
    words = n;
    return true;
}

/* Lock held. */
static bool add(int fd)
{
    if ((unsigned)fd >= KT_FDS_MAX || !grow((size_t)fd / WORD_BITS + 1))
        return false;
    uint64_t bit = 1ull << (fd % WORD_BITS);
    used += !(bits[fd / WORD_BITS] & bit);
    bits[fd / WORD_BITS] |= bit;
    if (protector)
        protector(fd, 1);
    return true;
}

/* Lock held. */
static void forget(int fd)
{
    size_t w = (size_t)fd / WORD_BITS;
    uint64_t bit = 1ull << (fd % WORD_BITS);
    if (w >= words || !(bits[w] & bit))
        return;
    bits[w] &= ~bit;
    used--;
    if (protector)
        protector(fd, 0);
}

int kt_own_fd(int fd)
{
    if (fd < 0)
        return -1;
    pthread_mutex_lock(&lock);
    int base = base_fd();
    int high = fd >= base ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, base);
    if (high >= 0) {
        close(fd);
        if (protector)
            protector(fd, 0); /* the shim hands over fds that it has protected already */
    } else {
        fcntl(fd, F_SETFD, FD_CLOEXEC);
    }
    int mine = high >= 0 ? high : fd;
    bool ok = add(mine);
    if (!ok)
        close(mine);
    pthread_mutex_unlock(&lock);
    if (!ok)
        errno = EMFILE;
    return ok ? mine : -1;
}

void kt_disown_close(int fd)
{
    if (fd < 0)
        return;
    int saved = errno;
    pthread_mutex_lock(&lock);
    close(fd);
    forget(fd);
    pthread_mutex_unlock(&lock);
    errno = saved;
}

void kt_fds_raise_theirs(bool on)
{
    raise_theirs = on;
}

int kt_fds_raise(int fd)
{
    int saved = errno, base = base_fd();
    int high = raise_theirs && fd < base ? fcntl(fd, F_DUPFD_CLOEXEC, base) : -1;
    if (high >= 0)
        close(fd);
    errno = saved;
    return high >= 0 ? high : fd;
}

size_t kt_fds_count(void)
{
    pthread_mutex_lock(&lock);
    size_t n = used;
    pthread_mutex_unlock(&lock);
    return n;
}

void kt_fds_fork_prepare(void)
{
    pthread_mutex_lock(&lock);
}

void kt_fds_fork_parent(void)
{
    pthread_mutex_unlock(&lock);
}

void kt_fds_fork_child(void)
{
    for (size_t w = 0; w < words; w++) {
        while (bits[w]) {
            int fd = (int)(w * WORD_BITS) + __builtin_ctzll(bits[w]);
            close(fd);
            forget(fd);
        }
    }
    pthread_mutex_unlock(&lock);
}
