/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/supervise/target.h"

#include "interceptor/abi/kt_connect_mark.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef PIDFD_THREAD
#define PIDFD_THREAD O_EXCL /* Linux 6.9 */
#endif

size_t target_read(pid_t tid, uint64_t at, void *to, size_t len)
{
    /* Page by page: what lies behind the first may not be there. */
    size_t first = 4096 - at % 4096;
    struct iovec here = {to, len}, there[2] = {{(void *)(uintptr_t)at, len < first ? len : first}};
    there[1] = (struct iovec){(void *)(uintptr_t)(at + first), len > first ? len - first : 0};
    ssize_t n = process_vm_readv(tid, &here, 1, there, len > first ? 2 : 1, 0);
    return n > 0 ? (size_t)n : 0;
}

pid_t target_process(pid_t tid)
{
    char path[64], line[256];
    snprintf(path, sizeof path, "/proc/%d/status", (int)tid);
    FILE *f = fopen(path, "re");
    pid_t tgid = 0;
    if (!f)
        return 0;
    while (tgid == 0 && fgets(line, sizeof line, f))
        if (strncmp(line, "Tgid:", 5) == 0)
            tgid = (pid_t)strtol(line + 5, NULL, 10);
    fclose(f);
    return tgid;
}

int target_fd(pid_t tid, int fd)
{
    /* The thread itself, where the kernel can: it may have a file table of its own, and the leader may be
     * gone. */
    KT_CLEANUP(kt_cleanup_fd) int pidfd = (int)syscall(SYS_pidfd_open, tid, PIDFD_THREAD);
    if (pidfd < 0 && errno == EINVAL) {
        pid_t process = target_process(tid);
        pidfd = process > 0 ? (int)syscall(SYS_pidfd_open, process, 0) : -1;
    }
    return pidfd < 0 ? -1 : (int)syscall(SYS_pidfd_getfd, pidfd, fd, 0);
}

bool target_has_shim(pid_t tid, bool *known)
{
    char path[64], line[4352];
    bool has = false;
    snprintf(path, sizeof path, "/proc/%d/maps", (int)tid);
    FILE *f = fopen(path, "re");
    *known = f != NULL;
    if (!f)
        return false;
    while (!has && fgets(line, sizeof line, f)) {
        const char *name = strstr(line, "/libkt.so");
        has = name && (name[9] == '\n' || name[9] == ' ' || name[9] == '.');
    }
    fclose(f);
    return has;
}

static bool mask_in(const char *line, const char *name, uint64_t *mask)
{
    size_t len = strlen(name);
    if (strncmp(line, name, len) != 0)
        return false;
    *mask = strtoull(line + len, NULL, 16);
    return true;
}

bool target_signal_waits(pid_t tid)
{
    char path[64], line[256];
    uint64_t own = 0, shared = 0, blocked = 0, caught = 0, threads = 0;
    snprintf(path, sizeof path, "/proc/%d/status", (int)tid);
    FILE *f = fopen(path, "re");
    if (!f)
        return false;
    while (fgets(line, sizeof line, f))
        (void)(mask_in(line, "SigPnd:", &own) || mask_in(line, "ShdPnd:", &shared) ||
               mask_in(line, "SigBlk:", &blocked) || mask_in(line, "SigCgt:", &caught) ||
               mask_in(line, "Threads:", &threads));
    fclose(f);
    return ((own | (threads == 1 ? shared : 0)) & ~blocked & caught) != 0;
}

static bool has_mark(const union target_addr *a, uint64_t len, const char *mark)
{
    return len >= sizeof a->in + KT_CONNECT_MARK_LEN &&
           memcmp(a->room + len - KT_CONNECT_MARK_LEN, mark, KT_CONNECT_MARK_LEN) == 0;
}

bool target_dest(pid_t tid, uint64_t at, uint64_t len, struct target_dest *d)
{
    memset(d, 0, sizeof *d);
    if (len < sizeof(sa_family_t) || len > sizeof d->addr)
        return true; /* the kernel refuses it */
    if (target_read(tid, at, &d->addr, len) != len)
        return false;
    d->len = (socklen_t)len;
    if (d->addr.sa.sa_family == AF_INET && len >= sizeof d->addr.in) {
        d->ip[10] = d->ip[11] = 0xff;
        memcpy(d->ip + 12, &d->addr.in.sin_addr, 4);
        d->port = ntohs(d->addr.in.sin_port);
    } else if (d->addr.sa.sa_family == AF_INET6 && len >= 24) { /* RFC 2133 had no scope id */
        memcpy(d->ip, &d->addr.in6.sin6_addr, 16);
        d->port = ntohs(d->addr.in6.sin6_port);
    } else {
        return true;
    }
    d->inet = true;
    d->engines = has_mark(&d->addr, len, KT_CONNECT_MARK_ENGINE);
    d->meant = d->engines || has_mark(&d->addr, len, KT_CONNECT_MARK);
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    if (memcmp(d->ip, mapped, sizeof mapped) == 0)
        d->v4 = (uint32_t)d->ip[12] << 24 | (uint32_t)d->ip[13] << 16 | (uint32_t)d->ip[14] << 8 | d->ip[15];
    return true;
}
