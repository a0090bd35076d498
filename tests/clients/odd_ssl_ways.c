/* SPDX-License-Identifier: Apache-2.0 */
/* Ways to wait, to write and to carry. */
#define _GNU_SOURCE
#include "odd_ssl.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <unistd.h>

static void by_poll(int fd, int want_write)
{
    struct pollfd p = {fd, (short)((want_write ? POLLOUT : POLLIN) | POLLRDHUP), 0};
    if (poll(&p, 1, 20000) != 1)
        exit(printf("poll: nothing comes\n"));
}

static int the_epoll = -1;
static unsigned epoll_flags;

static void by_epoll(int fd, int want_write)
{
    struct epoll_event e = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | epoll_flags};
    if (the_epoll < 0 || (epoll_flags & EPOLLONESHOT)) {
        int first = the_epoll < 0;
        the_epoll = first ? epoll_create1(EPOLL_CLOEXEC) : the_epoll;
        if (epoll_flags & EPOLLONESHOT)
            e.events = (want_write ? EPOLLOUT : EPOLLIN) | EPOLLONESHOT;
        epoll_ctl(the_epoll, first ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, &e);
    }
    if (epoll_wait(the_epoll, &e, 1, 20000) != 1)
        exit(printf("epoll: nothing comes\n"));
}

static void by_select(int fd, int want_write)
{
    unsigned long set[4096 / 8 / sizeof(long)] = {0};
    struct timeval limit = {20, 0};
    set[fd / 64] |= 1ul << fd % 64;
    fd_set *one = (fd_set *)set;
    if (select(fd + 1, want_write ? NULL : one, want_write ? one : NULL, NULL, &limit) != 1)
        exit(printf("select: nothing comes\n"));
}

static int non_blocking(wait_fn wait, size_t size, size_t piece, long mode)
{
    SSL *s = new_ssl();
    SSL_set_mode(s, mode);
    SSL_set_fd(s, dial(SOCK_NONBLOCK));
    if (the_epoll >= 0)
        close(the_epoll);
    the_epoll = -1;
    if (wait == by_epoll)
        by_epoll(SSL_get_fd(s), 1);
    int rc = exchange(s, wait, size, piece);
    done(s);
    return rc;
}

static int et(void)
{
    epoll_flags = EPOLLET;
    return non_blocking(by_epoll, 10, 1 << 20, 0);
}

static int oneshot(void)
{
    epoll_flags = EPOLLONESHOT;
    return non_blocking(by_epoll, 10, 1 << 20, 0);
}

static int rdhup(void)
{
    return non_blocking(by_poll, 10, 1 << 20, 0);
}

static int high_select(void)
{
    struct rlimit many = {4096, 4096};
    setrlimit(RLIMIT_NOFILE, &many);
    SSL *s = new_ssl();
    int low = dial(SOCK_NONBLOCK), fd = fcntl(low, F_DUPFD_CLOEXEC, 1500);
    close(low);
    SSL_set_fd(s, fd);
    int rc = exchange(s, by_select, 10, 1 << 20);
    done(s);
    return rc;
}

static int large_pieces(void)
{
    return non_blocking(by_poll, 5 << 20, 7001,
                        SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
}

static int large_at_once(void)
{
    return non_blocking(by_poll, 5 << 20, 64 << 20,
                        SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
}

static int no_retry(void)
{
    SSL *s = dial_ssl();
    SSL_clear_mode(s, SSL_MODE_AUTO_RETRY);
    int rc = exchange(s, NULL, 10, 1 << 20);
    done(s);
    return rc;
}

static int two_fds(void)
{
    SSL *s = new_ssl();
    int fd = dial(0), other = dup(fd);
    SSL_set_rfd(s, fd);
    SSL_set_wfd(s, other);
    int rc = exchange(s, NULL, 10, 1 << 20);
    SSL_free(s);
    close(fd);
    close(other);
    return rc;
}

/* Over memory: what `s` wants is carried by hand. */
static int carried(SSL *s, BIO *out, BIO *in, int fd)
{
    char piece[16384];
    size_t len, got = 0;
    int rc, n, wrote = 0;
    char *all = request(10, &len);
    for (;;) {
        rc = !SSL_is_init_finished(s) ? SSL_do_handshake(s)
             : !wrote                 ? SSL_write(s, all, (int)len)
                                      : SSL_read(s, answer + got, (int)(sizeof answer - 1 - got));
        int error = SSL_get_error(s, rc);
        if (rc > 0 && SSL_is_init_finished(s) && wrote)
            got += (size_t)rc;
        if (rc == (int)len && !wrote)
            wrote = 1;
        while ((n = BIO_read(out, piece, sizeof piece)) > 0)
            if (write(fd, piece, (size_t)n) != n)
                return -1;
        if (wrote && whole(got))
            return free(all), status();
        if (rc > 0 || error == SSL_ERROR_WANT_WRITE)
            continue;
        if (error != SSL_ERROR_WANT_READ)
            return -4000 - error;
        n = (int)read(fd, piece, sizeof piece);
        if (n <= 0 || BIO_write(in, piece, n) != n)
            return -5000 - n;
    }
}

static int memory(void)
{
    SSL *s = new_ssl();
    BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
    SSL_set_bio(s, in, out);
    int fd = dial(0), rc = carried(s, out, in, fd);
    SSL_free(s);
    close(fd);
    return rc;
}

static int pair(void)
{
    SSL *s = new_ssl();
    BIO *inner, *outer;
    BIO_new_bio_pair(&inner, 1 << 17, &outer, 1 << 17);
    SSL_set_bio(s, inner, inner);
    int fd = dial(0), rc = carried(s, outer, outer, fd);
    SSL_free(s);
    BIO_free(outer);
    close(fd);
    return rc;
}

static int bio_connect(void)
{
    SSL *s;
    size_t len, got = 0;
    char *all = request(10, &len);
    BIO *b = BIO_new_ssl_connect(ctx);
    BIO_get_ssl(b, &s);
    SSL_set_tlsext_host_name(s, HOST);
    BIO_set_conn_hostname(b, HOST ":443");
    if (BIO_do_connect(b) != 1 || BIO_do_handshake(b) != 1)
        return -1;
    if (BIO_write(b, all, (int)len) != (int)len)
        return -2;
    for (int n; !whole(got); got += (size_t)n)
        if ((n = BIO_read(b, answer + got, (int)(sizeof answer - 1 - got))) <= 0)
            return -3;
    BIO_free_all(b);
    free(all);
    return status();
}

const struct step odd_ways[] = {
    {"et", et},                       /* edge-triggered epoll */
    {"oneshot", oneshot},             /* EPOLLONESHOT */
    {"rdhup", rdhup},                 /* poll with POLLRDHUP */
    {"high-select", high_select},     /* select on an fd over 1024 */
    {"large-pieces", large_pieces},   /* 5 MB in pieces from moving buffers, without blocking */
    {"large-at-once", large_at_once}, /* 5 MB by partial writes */
    {"no-retry", no_retry},           /* without SSL_MODE_AUTO_RETRY */
    {"two-fds", two_fds},             /* one to read from, one to write to */
    {"memory", memory},               /* BIO_s_mem */
    {"pair", pair},                   /* BIO_s_bio */
    {"bio-connect", bio_connect},     /* BIO_s_connect under BIO_f_ssl */
    {NULL, NULL},
};
