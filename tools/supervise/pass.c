/* SPDX-License-Identifier: Apache-2.0 */
/* Connects that we complete to where they were meant to go: under --strict those to this machine, and with
 * fail_mode allow what the engine beside the program cannot take, as if we were not there. */
#include "tools/supervise/private.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PASSES_MAX 1024
#define STACK_BYTES (256u << 10)

struct pass {
    struct kt_supervise *s;
    struct seccomp_notif call;
    char host[NAMES_HOST_MAX]; /* "" = to */
    struct target_dest to;
    uint16_t port;
    int fd; /* a copy of the program's socket */
};

static atomic_int running;

/* An attempt to reach us may have left it half open. */
static void disconnect(int fd)
{
    const struct sockaddr none = {.sa_family = AF_UNSPEC};
    (void)!connect(fd, &none, sizeof none);
}

/* As the program itself would: waits where its socket waits. */
static int connect_origin(const struct pass *p)
{
    int family = AF_INET, error = EHOSTUNREACH;
    socklen_t size = sizeof family;
    char service[8];
    getsockopt(p->fd, SOL_SOCKET, SO_DOMAIN, &family, &size);
    struct addrinfo hints = {.ai_family = family, .ai_socktype = SOCK_STREAM}, *list = NULL;
    hints.ai_flags = AI_NUMERICSERV | (family == AF_INET6 ? AI_V4MAPPED | AI_ALL : 0);
    snprintf(service, sizeof service, "%u", p->port);
    if (getaddrinfo(p->host, service, &hints, &list) != 0)
        return error;
    for (const struct addrinfo *a = list; a; a = a->ai_next) {
        disconnect(p->fd);
        error = connect(p->fd, a->ai_addr, a->ai_addrlen) == 0 ? 0 : errno;
        if (error == 0 || error == EINPROGRESS)
            break;
    }
    freeaddrinfo(list);
    return error;
}

static int connect_to(int fd, const struct target_dest *d)
{
    return connect(fd, &d->addr.sa, d->len) == 0 ? 0 : errno;
}

static void *run(void *pass)
{
    struct pass *p = pass;
    int error = p->host[0] ? connect_origin(p) : connect_to(p->fd, &p->to);
    serve_answer(p->s, &p->call, (struct answer){ANSWER_ERROR, error});
    close(p->fd);
    free(p);
    atomic_fetch_sub(&running, 1);
    return NULL;
}

/* A look-up may take seconds: not in the thread that serves everybody. */
static bool start(struct pass *p)
{
    pthread_t t;
    pthread_attr_t a;
    if (atomic_fetch_add(&running, 1) >= PASSES_MAX) {
        atomic_fetch_sub(&running, 1);
        return false;
    }
    pthread_attr_init(&a);
    pthread_attr_setdetachstate(&a, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&a, STACK_BYTES);
    bool ok = pthread_create(&t, &a, run, p) == 0;
    pthread_attr_destroy(&a);
    if (!ok)
        atomic_fetch_sub(&running, 1);
    return ok;
}

/* Takes a copy of `fd`. */
static struct answer begin(struct pass call, int fd)
{
    struct pass *p = malloc(sizeof *p);
    if (!p)
        return (struct answer){ANSWER_ERROR, ENOMEM};
    *p = call;
    p->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (p->fd >= 0 && start(p))
        return (struct answer){ANSWER_SENT, 0};
    if (p->fd >= 0)
        close(p->fd);
    free(p);
    return (struct answer){ANSWER_ERROR, ECONNREFUSED};
}

struct answer pass_on(struct kt_supervise *s, const struct seccomp_notif *n, int fd,
                      const struct target_dest *d)
{
    if (fcntl(fd, F_GETFL) & O_NONBLOCK)
        return (struct answer){ANSWER_ERROR, connect_to(fd, d)};
    return begin((struct pass){.s = s, .call = *n, .to = *d}, fd);
}

struct answer pass_connect(struct kt_supervise *s, const struct seccomp_notif *n, int fd, const char *host,
                           uint16_t port)
{
    struct pass call = {.s = s, .call = *n, .port = port};
    snprintf(call.host, sizeof call.host, "%s", host);
    return begin(call, fd);
}
