/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The program's diverted sockets, and those that are only watched. An entry belongs to a socket (its inode),
 * not to an fd number: duplicates find it, and an entry whose socket is gone can never match again, so no
 * call that creates fds needs a hook.
 */
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

union kt_addr {
    struct sockaddr sa;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
};

struct kt_diverted {
    const char *origin; /* borrowed for ever */
    pid_t opener;       /* set by kt_fdtab_add */
    uint16_t port;      /* of the origin, host byte order */
    bool literal;       /* origin is an IP literal */
    bool watched;       /* not diverted: connected to its origin, and tapped */
    union kt_addr peer; /* what the program connected to */
    socklen_t peer_len;
    union kt_addr loop; /* where the kernel connected it */
    socklen_t loop_len;
};

/* Remembers the socket behind fd. False where the table is full of live ones. */
bool kt_fdtab_add(int fd, const struct kt_diverted *d);
/* A diverted one. */
bool kt_fdtab_find(int fd, struct kt_diverted *out);
/* A watched one. */
bool kt_fdtab_find_watched(int fd, struct kt_diverted *out);
void kt_fdtab_forget(int fd);
/* Is any diverted socket known that meant `origin`, or an IP literal (then a name tells nothing)? */
bool kt_fdtab_has_origin(const char *origin);
/* False: no socket was ever diverted in this process. One load. */
bool kt_fdtab_used(void);

/* Each entry that may be live, with the number where it was last seen: another file, or none, may have that
 * by now. Lock held; asks the kernel nothing. */
void kt_fdtab_each_locked(void (*fn)(void *arg, int fd, const struct kt_diverted *d), void *arg);

/* Around fork. */
void kt_fdtab_lock(void);
void kt_fdtab_unlock(void);
