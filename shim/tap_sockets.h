/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Watched sockets by fd, for the hooks behind read, write and their kin: what plain HTTP says is copied; what
 * begins as TLS is left to the hooks of its library.
 */
#include "interceptor/abi/kt_engine_abi.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/uio.h>

#ifndef KT_TAP_FDS /* a test has few */
#define KT_TAP_FDS 65536
#endif

extern atomic_uchar kt_tap_flags[KT_TAP_FDS];

enum {
    KT_TAP_WATCHED = 1,
    KT_TAP_READ_ALONG = 4, /* TLS that hooks of its library copy; only its end is looked at */
    KT_TAP_LOOK = 2,       /* a bit: something must be decided before anything is written */
    KT_TAP_REFUSED = KT_TAP_LOOK,
    KT_TAP_STRANGER = KT_TAP_LOOK | 4, /* of shim/first_words.h */
    KT_TAP_HEIR = KT_TAP_LOOK | 8,     /* of shim/heir.h */
    KT_TAP_ONE_LOOK = 16,              /* at a stranger; counted in the bits above */
    KT_TAP_LAST_LOOK = KT_TAP_STRANGER | 0xf0
};

/* Of fds above nothing is kept: whatever they say is looked at, as a stranger's first words are. */
static inline unsigned char kt_tap_flag(int fd)
{
    if (__builtin_expect((unsigned)fd < KT_TAP_FDS, 1))
        return atomic_load_explicit(&kt_tap_flags[fd], memory_order_relaxed);
    return fd < 0 ? 0 : KT_TAP_STRANGER;
}

static inline bool kt_tap_is_stranger(int fd)
{
    return (kt_tap_flag(fd) & (KT_TAP_ONE_LOOK - 1)) == KT_TAP_STRANGER;
}

/* Is fd one of them? One load. */
static inline bool kt_tap_is_socket(int fd)
{
    return kt_tap_flag(fd) == KT_TAP_WATCHED;
}

/* `host` is borrowed for ever. */
void kt_tap_socket_add(int fd, const char *host, uint16_t port);
/* For the fds above: `n` bytes went one way; n = 0 and IN: the peer has ended. Keep errno. */
void kt_tap_socket_copy(int fd, enum kt_abi_dir dir, const void *data, size_t n);
void kt_tap_socket_copy_iov(int fd, enum kt_abi_dir dir, const struct iovec *iov, size_t count, size_t n);
/* Bytes went out that are not in memory. */
void kt_tap_socket_unread(int fd, const char *why);
void kt_tap_socket_closed(int fd);
/* `to` is now what `from` is, whatever it was before. */
void kt_tap_socket_dup(int from, int to);
/* From now on nothing leaves by this socket: its handshake was refused while it was under way. */
void kt_tap_socket_refuse(int fd);
bool kt_tap_socket_is_refused(int fd);
/* The socket that fd is now is watched or refused. Keeps errno. */
bool kt_tap_socket_is_known(int fd);

/* Around fork. */
void kt_tap_sockets_lock(void);
void kt_tap_sockets_unlock(void);
void kt_tap_sockets_forked(void);
