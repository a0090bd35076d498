/* SPDX-License-Identifier: Apache-2.0 */
/* A name of a wildcard that stands in /etc/hosts gets its address before a program reads it there. */
#include "interceptor/abi/kt_plan_format.h"
#include "tools/supervise/names_private.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LOCK_TRIES 50
#define LOCK_PAUSE_NS 2000000
#define LAST_ADDR (KT_SYNTH_NET | 0xfffe)

/* Nobody holds it for long, and programs wait for us. */
static bool lock(int fd)
{
    const struct timespec pause = {0, LOCK_PAUSE_NS};
    for (int i = 0; i < LOCK_TRIES; i++) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0)
            return true;
        if (errno != EWOULDBLOCK && errno != EINTR)
            return false;
        nanosleep(&pause, NULL);
    }
    return false;
}

/* The highest address so far; true where `host` has one. */
static bool look(struct names *n, const char *host, uint32_t *highest)
{
    struct in_addr a;
    char one[NAMES_HOST_MAX];
    bool found = false;
    struct kt_span rest = kt_buf_span(&n->text);
    *highest = KT_SYNTH_WILD;
    while (names_next_host(&rest, &a, one)) {
        found = found || strcasecmp(one, host) == 0;
        *highest = ntohl(a.s_addr) > *highest ? ntohl(a.s_addr) : *highest;
    }
    return found;
}

static bool append(struct names *n, int fd, const char *host)
{
    char line[NAMES_HOST_MAX + 40], text[INET_ADDRSTRLEN];
    uint32_t highest;
    struct stat st;
    names_refresh(n);
    if (look(n, host, &highest))
        return true;
    if (highest >= LAST_ADDR || fstat(fd, &st) != 0)
        return false;
    struct in_addr a = {htonl(highest + 1)};
    inet_ntop(AF_INET, &a, text, sizeof text);
    bool torn = (uint64_t)st.st_size > n->text.len; /* a writer died in the middle of a line */
    int len = snprintf(line, sizeof line, "%sname %s %s\n", torn ? "\n" : "", text, host);
    return len > 0 && (size_t)len < sizeof line && (size_t)st.st_size + (size_t)len <= KT_PLAN_MAX_BYTES &&
           write(fd, line, (size_t)len) == len;
}

void names_add(struct names *n, struct kt_span name)
{
    char host[NAMES_HOST_MAX];
    uint32_t highest;
    if (name.len > 0 && name.data[name.len - 1] == '.')
        name.len--;
    if (name.len == 0 || name.len >= sizeof host)
        return;
    for (size_t i = 0; i < name.len; i++)
        host[i] = (char)tolower((unsigned char)name.data[i]);
    host[name.len] = '\0';
    if (!names_has(n, host) || look(n, host, &highest))
        return;
    KT_CLEANUP(kt_cleanup_fd) int fd = open(n->path, O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW);
    if (fd >= 0 && lock(fd) && append(n, fd, host))
        names_refresh(n);
}
