/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which process something in the segment belongs to, in one word: pid (22, the kernel's maximum) | start time
 * of that process (12 bits of it, so that a later process with its pid is told apart) | pid namespace (4 bits
 * of it).
 */
#include "interceptor/state/kt_state_layout.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PID_BITS 22
#define START_BITS 12
#define SPACE_BITS 4

_Static_assert(PID_BITS + START_BITS + SPACE_BITS == KT_OWNER_BITS, "the parts of an owner");

static uint64_t bits(uint64_t v, unsigned n)
{
    return v & ((1ull << n) - 1);
}

struct process {
    bool ended;     /* and not yet buried; a leader that ended before its threads has not */
    uint64_t start; /* 0 = not to be had */
};

static struct process look(pid_t pid)
{
    char path[40], text[1024];
    struct process found = {false, 0};
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    KT_CLEANUP(kt_cleanup_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (n <= 0)
        return found;
    text[n] = '\0';
    const char *p = strrchr(text, ')'); /* the name before it may hold anything */
    bool zombie = p && p[1] == ' ' && (p[2] == 'Z' || p[2] == 'X');
    for (int field = 2; p && field < 22; field++) {
        p = strchr(p + 1, ' ');
        if (p && field + 1 == 20)
            found.ended = zombie && strtol(p + 1, NULL, 10) <= 1; /* threads */
    }
    found.start = p ? strtoull(p + 1, NULL, 10) : 0;
    return found;
}

static uint64_t space(void)
{
    struct stat st;
    return stat("/proc/thread-self/ns/pid", &st) == 0 ? bits((uint64_t)st.st_ino, SPACE_BITS) : 0;
}

uint64_t kt_owner_me(void)
{
    static _Atomic uint64_t known; /* until a fork: the child has another pid */
    uint64_t pid = bits((uint64_t)getpid(), PID_BITS), me = atomic_load(&known);
    if (bits(me, PID_BITS) == pid)
        return me;
    me = pid | bits(look(getpid()).start, START_BITS) << PID_BITS | space() << (PID_BITS + START_BITS);
    atomic_store(&known, me);
    return me;
}

pid_t kt_owner_pid(uint64_t word)
{
    return (pid_t)bits(word, PID_BITS);
}

bool kt_owner_dead(uint64_t word)
{
    pid_t pid = kt_owner_pid(word);
    if (pid == 0 || bits(word >> (PID_BITS + START_BITS), SPACE_BITS) != space())
        return pid == 0;
    if (kill(pid, 0) != 0)
        return errno == ESRCH;
    struct process is = look(pid);
    return is.ended || (is.start && bits(is.start, START_BITS) != bits(word >> PID_BITS, START_BITS));
}
