/* SPDX-License-Identifier: Apache-2.0 */
/* Who probes a target, and what the last probe said. */
#include "interceptor/state/kt_state_layout.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A lease: pid (22, the kernel's maximum) | start time of that process (12 bits of it, so that a later
 * process with its pid is told apart) | pid namespace (4 bits of it) | end in seconds since boot (26: two
 * years). */
#define PID_BITS 22
#define START_BITS 12
#define SPACE_BITS 4
#define END_BITS 26
#define LONGEST_S 90000u

static uint64_t bits(uint64_t v, unsigned n)
{
    return v & ((1ull << n) - 1);
}

/* Field 22 of /proc/<pid>/stat; the name before it may hold anything. 0 = not to be had. */
static uint64_t start_time(pid_t pid)
{
    char path[40], text[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    KT_CLEANUP(kt_cleanup_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (n <= 0)
        return 0;
    text[n] = '\0';
    const char *p = strrchr(text, ')');
    for (int field = 2; p && field < 22; field++)
        p = strchr(p + 1, ' ');
    return p ? strtoull(p + 1, NULL, 10) : 0;
}

static uint64_t space(void)
{
    struct stat st;
    return stat("/proc/self/ns/pid", &st) == 0 ? bits((uint64_t)st.st_ino, SPACE_BITS) : 0;
}

static uint64_t owner_word(pid_t pid, uint64_t start, uint64_t ns)
{
    return bits((uint64_t)pid, PID_BITS) | bits(start, START_BITS) << PID_BITS |
           ns << (PID_BITS + START_BITS);
}

static uint64_t owner_of(uint64_t word)
{
    return bits(word, PID_BITS + START_BITS + SPACE_BITS);
}

static uint64_t me(void)
{
    return owner_word(getpid(), start_time(getpid()), space());
}

/* Known to be gone. A holder in another pid namespace cannot be looked at: it has its time. */
static bool dead(uint64_t word)
{
    pid_t pid = (pid_t)bits(word, PID_BITS);
    if (pid == 0 || bits(word >> (PID_BITS + START_BITS), SPACE_BITS) != space())
        return pid == 0;
    if (kill(pid, 0) != 0)
        return errno == ESRCH;
    uint64_t start = start_time(pid);
    return start && bits(start, START_BITS) != bits(word >> PID_BITS, START_BITS);
}

bool kt_lease_take(struct kt_tstate *t, uint64_t now_ms, int64_t lease_ms)
{
    if (!t)
        return true; /* nobody to share the work with */
    uint64_t mine = me(), now_s = now_ms / 1000;
    uint64_t end = now_s + 1 + (uint64_t)(lease_ms > 0 ? lease_ms : 0) / 1000;
    uint64_t old = kt_word_get(&t->lease);
    for (;;) {
        uint64_t until = old >> (64 - END_BITS);
        bool over = old == 0 || until <= now_s || until > now_s + LONGEST_S;
        if (!over && owner_of(old) != mine && !dead(old))
            return false;
        if (kt_word_swap(&t->lease, &old, mine | bits(end, END_BITS) << (64 - END_BITS)))
            return true;
    }
}

void kt_lease_drop(struct kt_tstate *t)
{
    uint64_t old = t ? kt_word_get(&t->lease) : 0, mine = t ? me() : 0;
    while (old && owner_of(old) == mine)
        if (kt_word_swap(&t->lease, &old, 0))
            return;
}

/* Result: ms since boot (40) | status (10) | failures in a row (8) | known | ok */
void kt_probe_set(struct kt_tstate *t, bool ok, int status, uint64_t now_ms)
{
    if (!t)
        return;
    uint64_t old = kt_word_get(&t->probe), failures = bits(old >> 2, 8);
    failures = ok ? 0 : failures < 255 ? failures + 1 : failures;
    uint64_t code = status > 0 && status < 1000 ? (uint64_t)status : 0;
    kt_word_set(&t->probe, now_ms << 24 >> 4 | code << 10 | failures << 2 | 2 | ok);
}

struct kt_probe kt_probe_get(const struct kt_tstate *t, uint64_t now_ms)
{
    uint64_t w = t ? kt_word_get(&t->probe) : 0, when = w >> 20;
    struct kt_probe p = {.known = w & 2,
                         .ok = w & 1,
                         .failures = (unsigned)bits(w >> 2, 8),
                         .status = (int)bits(w >> 10, 10),
                         .age_ms = when > now_ms ? 0 : now_ms - when};
    return p;
}
