/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of a thread that sleeps in SSL_read, or has left it, and of sessions between two calls. */
#define _GNU_SOURCE
#include "odd_ssl.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static void nothing(int sig)
{
    (void)sig;
}

static int ask(SSL *s)
{
    size_t len;
    char *all = request(10, &len);
    int n = SSL_write(s, all, (int)len);
    free(all);
    return n == (int)len;
}

/* The status, and one more for each read that a handler ended. */
static int rest(SSL *s)
{
    size_t got = 0;
    int interrupted = 0;
    for (answer[0] = '\0'; !whole(got);) {
        errno = 0;
        int n = SSL_read(s, answer + got, (int)(sizeof answer - 1 - got));
        if (n <= 0 && errno != EINTR)
            return -3000 - SSL_get_error(s, n);
        if (n > 0)
            got += (size_t)n;
        else
            interrupted++;
    }
    return status() + interrupted;
}

static void handle(int sig, int flags)
{
    struct sigaction sa = {.sa_handler = nothing, .sa_flags = flags};
    sigaction(sig, &sa, NULL);
}

static void block(int how)
{
    sigset_t alarm;
    sigemptyset(&alarm);
    sigaddset(&alarm, SIGALRM);
    sigprocmask(how, &alarm, NULL);
}

static void unblock(void)
{
    block(SIG_UNBLOCK);
}

static void interrupt(void)
{
    siginterrupt(SIGALRM, 1);
}

static void set(void)
{
    sigset(SIGALRM, nothing);
}

/* A time limit of old, by an alarm whose handler has no SA_RESTART while another one has: what makes it so
 * comes when the thread has slept in reads before. */
static int late(void (*change)(void))
{
    handle(SIGCHLD, SA_RESTART);
    SSL *s = dial_ssl();
    int first = exchange(s, NULL, 10, 1 << 20);
    first = first == 200 ? exchange(s, NULL, 10, 1 << 20) : first;
    change();
    if (first != 200 || !ask(s))
        return -1;
    ualarm(100000, 0);
    int rc = rest(s);
    done(s);
    signal(SIGALRM, SIG_DFL);
    return rc;
}

static int late_mask(void)
{
    handle(SIGALRM, 0);
    block(SIG_BLOCK);
    return late(unblock);
}

static int late_interrupt(void)
{
    handle(SIGALRM, SA_RESTART);
    return late(interrupt);
}

static int late_sigset(void)
{
    return late(set);
}

/* Somebody else waits for the answer of a read that was left: 200 where it comes when it is there. */
static int poll_for(SSL *s)
{
    struct timespec a, b;
    struct pollfd p = {SSL_get_fd(s), POLLIN, 0};
    clock_gettime(CLOCK_MONOTONIC, &a);
    int n = poll(&p, 1, 9000);
    clock_gettime(CLOCK_MONOTONIC, &b);
    long ms = (b.tv_sec - a.tv_sec) * 1000 + (b.tv_nsec - a.tv_nsec) / 1000000;
    int rc = n == 1 && ms < 1700 ? rest(s) : (int)-ms;
    done(s);
    return rc;
}

static sigjmp_buf back;

static void jump(int sig)
{
    (void)sig;
    siglongjmp(back, 1);
}

static int jumped_poll(void)
{
    SSL *s = dial_ssl();
    int rc = exchange(s, NULL, 10, 1 << 20);
    signal(SIGALRM, jump);
    if (rc != 200 || !ask(s))
        return -1;
    if (sigsetjmp(back, 1) == 0) {
        ualarm(100000, 0);
        return -1000 - SSL_read(s, answer, 1);
    }
    signal(SIGALRM, SIG_DFL);
    return poll_for(s);
}

static void *read_it(void *s)
{
    static char mine[4096];
    return (void *)(long)SSL_read(s, mine, sizeof mine);
}

static int cancelled_poll(void)
{
    pthread_t t;
    SSL *s = dial_ssl();
    if (exchange(s, NULL, 10, 1 << 20) != 200 || !ask(s) || pthread_create(&t, NULL, read_it, s) != 0)
        return -1;
    usleep(100000);
    pthread_cancel(t);
    pthread_join(t, NULL);
    return poll_for(s);
}

/* As programs do that have sent so many bytes, or so many requests. */
static int new_keys(void)
{
    SSL *s = dial_ssl();
    int rc = exchange(s, NULL, 10, 1 << 20);
    for (int i = 0; i < 4 && rc == 200; i++)
        rc = SSL_key_update(s, i % 2 ? SSL_KEY_UPDATE_REQUESTED : SSL_KEY_UPDATE_NOT_REQUESTED) == 1
                 ? exchange(s, NULL, 10, 1 << 20)
                 : -i - 1;
    done(s);
    return rc;
}

/* Nothing is sent behind a farewell: the error of the first that is not refused as OpenSSL does it. */
static int farewells(void)
{
    for (int i = 0; i < 8; i++) {
        SSL *s = dial_ssl();
        int rc = exchange(s, NULL, 10, 1 << 20);
        SSL_shutdown(s);
        ERR_clear_error();
        int sent = ask(s), error = SSL_get_error(s, -1);
        done(s);
        if (rc != 200 || sent || error != SSL_ERROR_SSL)
            return -i * 100 - error;
    }
    ERR_clear_error();
    return 200;
}

const struct step odd_sleeps[] = {
    {"late-mask", late_mask},           /* the alarm is no longer blocked: 3 calls, and one interruption */
    {"late-interrupt", late_interrupt}, /* its handler is made to interrupt: the same */
    {"late-sigset", late_sigset},       /* it gets one by sigset: the same */
    {"jumped-poll", jumped_poll},       /* siglongjmp out of SSL_read, then poll: 2 calls */
    {"cancelled-poll", cancelled_poll}, /* pthread_cancel in SSL_read, then poll: 2 calls */
    {"new-keys", new_keys},             /* SSL_key_update between 5 calls */
    {"farewells", farewells},           /* SSL_write behind SSL_shutdown, behind 8 calls */
    {NULL, NULL},
};
