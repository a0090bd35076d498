/* SPDX-License-Identifier: Apache-2.0 */
/* What happens to an SSL, its fd and its thread in the life of a connection. */
#define _GNU_SOURCE
#include "odd_ssl.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int after_fork(void)
{
    int fd = dial(0), how = -1;
    pid_t pid = fork();
    if (pid == 0) {
        SSL *s = new_ssl();
        SSL_set_fd(s, fd);
        _exit(exchange(s, NULL, 10, 1 << 20) == 200 ? 7 : 8);
    }
    waitpid(pid, &how, 0);
    close(fd);
    return WIFEXITED(how) ? WEXITSTATUS(how) : -WTERMSIG(how);
}

static SSL_SESSION *kept;

static int keep(SSL *s, SSL_SESSION *one)
{
    (void)s;
    SSL_SESSION_free(kept);
    kept = one;
    return 1;
}

static int resumed(void)
{
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ctx, keep);
    if (plain() != 200)
        return -1;
    SSL *s = dial_ssl();
    if (kept)
        SSL_set_session(s, kept);
    int rc = exchange(s, NULL, 10, 1 << 20);
    done(s);
    return rc;
}

/* 0-RTT where the session allows it; else as a program must go on. */
static int early(void)
{
    size_t len, n = 0;
    char *all = request(10, &len);
    if (resumed() != 200)
        return -1;
    SSL *s = dial_ssl();
    SSL_set_session(s, kept);
    unsigned most = kept ? SSL_SESSION_get_max_early_data(kept) : 0;
    int rc = SSL_write_early_data(s, all, most < len ? 0 : len, &n);
    free(all);
    if (rc == 1 && n > 0)
        return -2; /* neither we nor the mock take any */
    ERR_clear_error();
    done(s);
    return plain();
}

static int keylog_lines;

static void keylog(const SSL *s, const char *line)
{
    (void)s;
    keylog_lines += strstr(line, "TRAFFIC_SECRET") != NULL;
}

static int keylogged(void)
{
    SSL_CTX_set_keylog_callback(ctx, keylog);
    int rc = plain();
    return keylog_lines >= 4 ? rc : -keylog_lines - 1;
}

static int alpn(void)
{
    const unsigned char *chosen;
    unsigned len;
    SSL *s = dial_ssl();
    SSL_set_alpn_protos(s, (const unsigned char *)"\x02h2\x08http/1.1", 12);
    int rc = exchange(s, NULL, 10, 1 << 20);
    SSL_get0_alpn_selected(s, &chosen, &len);
    printf("alpn: %.*s\n", (int)len, len ? (const char *)chosen : "");
    done(s);
    return rc;
}

static int verified(X509_STORE_CTX *store, void *arg)
{
    ++*(int *)arg;
    return X509_verify_cert(store);
}

static int own_verify(void)
{
    int asked = 0;
    SSL_CTX_set_cert_verify_callback(ctx, verified, &asked);
    int rc = plain();
    return asked > 0 ? rc : -1;
}

static int peer(void)
{
    SSL *s = dial_ssl();
    int rc = exchange(s, NULL, 10, 1 << 20);
    X509 *cert = SSL_get1_peer_certificate(s);
    int good = cert && X509_check_host(cert, HOST, 0, 0, NULL) == 1 && SSL_get_verify_result(s) == X509_V_OK;
    STACK_OF(X509) *chain = SSL_get_peer_cert_chain(s);
    good = good && sk_X509_num(chain) > 0;
    X509_free(cert);
    done(s);
    return good ? rc : -1;
}

static int shut_twice(void)
{
    SSL *s = dial_ssl();
    int rc = exchange(s, NULL, 10, 1 << 20), first = SSL_shutdown(s), second = SSL_shutdown(s);
    char c;
    int behind = SSL_read(s, &c, 1), error = SSL_get_error(s, behind);
    done(s);
    printf("shutdown: %d %d, then read %d %d\n", first, second, behind, error);
    return rc;
}

/* Goes in the middle of the answer; the next call is another one. */
static int freed(void)
{
    char c[20];
    size_t len;
    char *all = request(10, &len);
    for (int i = 0; i < 20; i++) {
        SSL *s = dial_ssl();
        if (SSL_connect(s) != 1 || SSL_write(s, all, (int)len) != (int)len || SSL_read(s, c, sizeof c) <= 0)
            return -1;
        done(s);
    }
    free(all);
    return plain();
}

static int closed_early(void)
{
    SSL *s = new_ssl();
    int fd = dial(0), other = dup(fd);
    SSL_set_fd(s, other);
    close(fd);
    int null = open("/dev/null", O_RDONLY); /* has its number now */
    int rc = exchange(s, NULL, 10, 1 << 20);
    done(s);
    close(null);
    return rc;
}

static void *reuse(void *arg)
{
    long n = (long)arg;
    for (int i = 0; i < 12; i++)
        n += plain() == 200;
    return (void *)n;
}

static void *plain_of(void *none)
{
    (void)none;
    return (void *)(long)plain();
}

/* The first call of the process by a thread with so many KiB: env LITTLE. */
static int little(void)
{
    const char *size = getenv("LITTLE");
    pthread_attr_t attr;
    pthread_t t;
    void *how = NULL;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, (size_t)(size ? atoi(size) : 64) * 1024);
    if (pthread_create(&t, &attr, plain_of, NULL) != 0 || pthread_join(t, &how) != 0)
        return -1;
    return (int)(long)how;
}

/* Threads that all close and open: each number is another's at once. */
static int reused(void)
{
    pthread_t t[6];
    long sum = 0;
    void *one;
    for (int i = 0; i < 6; i++)
        pthread_create(&t[i], NULL, reuse, NULL);
    for (int i = 0; i < 6; i++) {
        pthread_join(t[i], &one);
        sum += (long)one;
    }
    return (int)sum;
}

static int sendfile_(void)
{
    SSL *s = dial_ssl();
    int fd = open("/etc/passwd", O_RDONLY);
    if (SSL_connect(s) != 1)
        return -1;
    errno = 0;
    long n = SSL_sendfile(s, fd, 0, 10, 0);
    int error = SSL_get_error(s, (int)n);
    ERR_clear_error();
    close(fd);
    printf("sendfile: %ld %d\n", n, error);
    done(s);
    return plain();
}

/* ---- while it sleeps ---- */

static sigjmp_buf back;

static void jump(int sig)
{
    (void)sig;
    siglongjmp(back, 1);
}

static void nothing(int sig)
{
    (void)sig;
}

/* A read that ends by the socket's time limit goes on; so does a write with one. */
static int time_limits(void)
{
    char c;
    struct timeval little = {0, 100000}, none = {0, 0};
    SSL *s = dial_ssl();
    size_t len, got = 0;
    char *all = request(2 << 20, &len);
    int fd = SSL_get_fd(s), late = 0, n;
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &little, sizeof little);
    if (SSL_connect(s) != 1 || SSL_write(s, all, (int)len) != (int)len)
        return -1;
    free(all);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &little, sizeof little);
    errno = 0;
    n = SSL_read(s, &c, 1);
    late = n == -1 && errno == EAGAIN && SSL_get_error(s, n) == SSL_ERROR_WANT_READ;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &none, sizeof none);
    for (; !whole(got); got += (size_t)n)
        if ((n = SSL_read(s, answer + got, (int)(sizeof(answer) - 1 - got))) <= 0)
            return -2;
    done(s);
    return late ? status() : -3;
}

static void *answer_of(void *s)
{
    static char mine[4096];
    return (void *)(long)SSL_read(s, mine, sizeof mine);
}

static SSL *asked(void)
{
    size_t len;
    char *all = request(10, &len);
    SSL *s = dial_ssl();
    if (SSL_connect(s) != 1 || SSL_write(s, all, (int)len) != (int)len)
        exit(4);
    free(all);
    return s;
}

static int jumped_read(void)
{
    char c;
    SSL *s = asked();
    signal(SIGALRM, jump);
    if (sigsetjmp(back, 1) == 0) {
        ualarm(150000, 0);
        return -1000 - SSL_read(s, &c, 1);
    }
    signal(SIGALRM, SIG_DFL);
    return plain();
}

/* Legal anywhere in here: nothing but system calls. */
static int jumped_connect(void)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *at = NULL;
    if (getaddrinfo(HOST, "443", &hints, &at) != 0)
        return -1;
    signal(SIGALRM, jump);
    for (volatile int i = 0; i < 100; i++)
        if (sigsetjmp(back, 1) == 0) {
            ualarm((unsigned)(100 + i * 17), 0);
            for (;;) {
                int fd = socket(at->ai_family, SOCK_STREAM, 0);
                connect(fd, at->ai_addr, at->ai_addrlen);
                close(fd);
            }
        }
    signal(SIGALRM, SIG_DFL);
    freeaddrinfo(at);
    return plain();
}

static int cancelled(void)
{
    pthread_t t;
    void *how;
    SSL *s = asked();
    pthread_create(&t, NULL, answer_of, s);
    usleep(100000);
    pthread_cancel(t);
    pthread_join(t, &how);
    return how == PTHREAD_CANCELED ? plain() : -1;
}

static int killed(void)
{
    pthread_t t;
    void *how;
    struct sigaction sa = {.sa_handler = nothing, .sa_flags = SA_RESTART};
    sigaction(SIGUSR1, &sa, NULL);
    SSL *s = asked();
    pthread_create(&t, NULL, answer_of, s);
    for (int i = 0; i < 20; i++) {
        usleep(10000);
        pthread_kill(t, SIGUSR1);
    }
    pthread_join(t, &how);
    return (long)how > 0 ? 200 : (int)(long)how;
}

const struct step odd_lives[] = {
    {"after-fork", after_fork}, /* connected by the parent; 7 = the child's call came back */
    {"resumed", resumed},       /* with the session of the call before */
    {"early", early},           /* SSL_write_early_data */
    {"keylogged", keylogged},
    {"alpn", alpn},
    {"own-verify", own_verify}, /* SSL_CTX_set_cert_verify_callback */
    {"peer", peer},             /* looks at the certificate */
    {"shut-twice", shut_twice},
    {"freed", freed},               /* in the middle of an answer */
    {"closed-early", closed_early}, /* the fd that was connected; another one goes on */
    {"reused", reused},             /* numbers of fds, by six threads: 72 calls */
    {"little", little},
    {"sendfile", sendfile_},      /* SSL_sendfile, which needs kTLS */
    {"jumped-read", jumped_read}, /* siglongjmp out of SSL_read */
    {"jumped-connect", jumped_connect},
    {"time-limits", time_limits}, /* SO_RCVTIMEO, SO_SNDTIMEO */
    {"cancelled", cancelled},     /* pthread_cancel in SSL_read */
    {"killed", killed},           /* pthread_kill in SSL_read */
    {NULL, NULL},
};
