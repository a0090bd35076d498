/* SPDX-License-Identifier: Apache-2.0 */
/* OpenSSL clients of the less common kinds. argv: case, host, [ip port]. Verifies the peer, always; prints
 * what happened. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *host;

static int dial(const char *ip, const char *port)
{
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *list = NULL;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (getaddrinfo(ip ? ip : host, port ? port : "443", &hints, &list) != 0 ||
        connect(fd, list->ai_addr, list->ai_addrlen) != 0) {
        printf("no connection, errno %d\n", errno);
        exit(3);
    }
    freeaddrinfo(list);
    return fd;
}

static SSL *client(int sni)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    const char *ca = getenv("TEST_CA");
    if (ca)
        SSL_CTX_load_verify_locations(ctx, ca, NULL);
    SSL *ssl = SSL_new(ctx);
    SSL_CTX_free(ctx);
    if (sni)
        SSL_set_tlsext_host_name(ssl, host);
    SSL_set1_host(ssl, host);
    return ssl;
}

static void say(const char *what, SSL *ssl, int rc)
{
    int err = errno;
    printf("%s %d error %d errno %d verify %ld\n", what, rc, SSL_get_error(ssl, rc), rc > 0 ? 0 : err,
           SSL_get_verify_result(ssl));
}

static const char request[] = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

/* Reads until the JSON is whole; prints its lane. */
static void answer(SSL *ssl)
{
    char buf[4096];
    size_t used = 0, n;
    buf[0] = '\0';
    while (!strchr(buf, '}') && SSL_read_ex(ssl, buf + used, sizeof buf - 1 - used, &n)) {
        used += n;
        buf[used] = '\0';
    }
    const char *body = strchr(buf, '{');
    printf("answer %s\n", body ? body : "none");
}

static void plain(int sni, const char *ip, const char *port, int implicit)
{
    SSL *ssl = client(sni);
    SSL_set_fd(ssl, dial(ip, port));
    errno = 0;
    if (implicit)
        SSL_set_connect_state(ssl);
    else
        say("connect", ssl, SSL_connect(ssl));
    int rc = SSL_write(ssl, request, sizeof request - 1);
    say("write", ssl, rc);
    if (rc > 0)
        answer(ssl);
    size_t done = 0;
    rc = SSL_write_ex(ssl, request, sizeof request - 1, &done);
    printf("write_ex %d %zu\n", rc, done);
    if (rc > 0)
        answer(ssl);
    SSL_free(ssl);
}

/* Non-blocking, handshake inside SSL_write: WANT_READ until it is done, then the full length. */
static void nonblocking(void)
{
    SSL *ssl = client(1);
    int fd = dial(NULL, NULL), rc, wants = 0;
    fcntl(fd, F_SETFL, O_NONBLOCK);
    SSL_set_fd(ssl, fd);
    SSL_set_connect_state(ssl);
    while ((rc = SSL_write(ssl, request, sizeof request - 1)) <= 0) {
        int e = SSL_get_error(ssl, rc);
        if (e != SSL_ERROR_WANT_READ && e != SSL_ERROR_WANT_WRITE) {
            say("write", ssl, rc);
            return;
        }
        struct pollfd p = {fd, e == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT, 0};
        wants++;
        poll(&p, 1, 2000);
    }
    printf("wrote %d wanted %d\n", rc == (int)sizeof request - 1, wants > 0);
    fcntl(fd, F_SETFL, 0);
    answer(ssl);
    SSL_free(ssl);
}

static void pump(SSL *ssl, BIO *in, BIO *out, int fd, int read_too)
{
    char buf[16384];
    int n;
    (void)ssl;
    while ((n = BIO_read(out, buf, sizeof buf)) > 0)
        if (write(fd, buf, (size_t)n) != n)
            return;
    if (read_too && (n = (int)read(fd, buf, sizeof buf)) > 0)
        BIO_write(in, buf, n);
}

/* As asyncio and Node do: no fd at the SSL. */
static void memory(const char *ip, const char *port)
{
    SSL *ssl = client(1);
    BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
    int fd = dial(ip, port), rc;
    SSL_set_bio(ssl, in, out);
    SSL_set_connect_state(ssl);
    while ((rc = SSL_do_handshake(ssl)) <= 0 && SSL_get_error(ssl, rc) == SSL_ERROR_WANT_READ)
        pump(ssl, in, out, fd, 1);
    pump(ssl, in, out, fd, 0);
    say("handshake", ssl, rc);
    if (rc <= 0)
        return;
    rc = SSL_write(ssl, request, sizeof request - 1);
    say("write", ssl, rc);
    pump(ssl, in, out, fd, 0);
    char buf[4096];
    while (rc > 0 && (rc = SSL_read(ssl, buf, sizeof buf - 1)) <= 0 &&
           SSL_get_error(ssl, rc) == SSL_ERROR_WANT_READ)
        pump(ssl, in, out, fd, rc = 1);
    buf[rc > 0 ? rc : 0] = '\0';
    printf("answer %s\n", strchr(buf, '{') ? strchr(buf, '{') : "none");
    SSL_free(ssl);
}

static int log_ends[2];

static void log_state(const SSL *ssl, int where, int rc)
{
    (void)ssl, (void)where, (void)rc;
    (void)!write(log_ends[1], ".", 1);
}

/* The SSL gets a BIO that connects by itself, when the handshake first writes. `noisy`: somebody else writes
 * before that; `implicit`: nobody asks for the handshake. */
static void by_bio(int sni, int noisy, int implicit, const char *ip, const char *port)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    const char *ca = getenv("TEST_CA");
    SSL *ssl = NULL;
    char buf[4096];
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    if (ca)
        SSL_CTX_load_verify_locations(ctx, ca, NULL);
    BIO *bio = BIO_new_ssl_connect(ctx);
    BIO_get_ssl(bio, &ssl);
    if (sni)
        SSL_set_tlsext_host_name(ssl, host);
    BIO_set_conn_hostname(bio, ip ? ip : host);
    BIO_set_conn_port(bio, port ? port : "443");
    if (noisy && pipe(log_ends) == 0)
        SSL_set_info_callback(ssl, log_state);
    if (!implicit)
        printf("connect %ld\n", BIO_do_connect(bio));
    int rc =
        implicit ? SSL_write(ssl, request, sizeof request - 1) : BIO_write(bio, request, sizeof request - 1);
    printf("write %d\n", rc > 0);
    if (rc > 0)
        rc = BIO_read(bio, buf, sizeof buf - 1);
    buf[rc > 0 ? rc : 0] = '\0';
    printf("answer %s\n", strchr(buf, '{') ? strchr(buf, '{') : "none");
    BIO_free_all(bio);
    SSL_CTX_free(ctx);
}

/* A BIO of the program's own over a socket, as curl has: no fd at the SSL. */
static int own_write(BIO *b, const char *data, int n)
{
    return (int)send((int)(intptr_t)BIO_get_data(b), data, (size_t)n, 0);
}

static int own_read(BIO *b, char *data, int n)
{
    return (int)recv((int)(intptr_t)BIO_get_data(b), data, (size_t)n, 0);
}

static long own_ctrl(BIO *b, int cmd, long n, void *p)
{
    (void)b, (void)n, (void)p;
    return cmd == BIO_CTRL_FLUSH;
}

static void own_bio(int sni, const char *ip, const char *port)
{
    BIO_METHOD *m = BIO_meth_new(BIO_TYPE_MEM, "own");
    BIO_meth_set_write(m, own_write);
    BIO_meth_set_read(m, own_read);
    BIO_meth_set_ctrl(m, own_ctrl);
    BIO *b = BIO_new(m);
    SSL *ssl = client(sni);
    BIO_set_data(b, (void *)(intptr_t)dial(ip, port));
    BIO_set_init(b, 1);
    SSL_set_bio(ssl, b, b);
    say("connect", ssl, SSL_connect(ssl));
    int rc = SSL_write(ssl, request, sizeof request - 1);
    if (rc > 0)
        answer(ssl);
    SSL_free(ssl);
    BIO_meth_free(m);
}

/* The flow ends while the program writes: an error that says so, although the read before wanted more. */
static void dies(void)
{
    SSL *ssl = client(1);
    int fd = dial(NULL, NULL);
    char c;
    SSL_set_fd(ssl, fd);
    SSL_connect(ssl);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    int rc = SSL_read(ssl, &c, 1);
    printf("read %d error %d\n", rc, SSL_get_error(ssl, rc));
    rc = SSL_write(ssl, "die!", 4);
    say("write", ssl, rc);
    SSL_free(ssl);
}

static sigjmp_buf away;

static void jump(int sig)
{
    (void)sig;
    siglongjmp(away, 1);
}

/* A signal handler that never returns, while the engine takes a write: the next call is captured all the
 * same. */
static void jumps(void)
{
    SSL *ssl = client(1);
    SSL_set_fd(ssl, dial(NULL, NULL));
    SSL_connect(ssl);
    signal(SIGUSR1, jump);
    if (sigsetjmp(away, 1) == 0)
        printf("write %d\n", SSL_write(ssl, "usr1", 4));
    else
        puts("jumped");
    plain(1, NULL, NULL, 0);
    SSL_free(ssl);
}

static void forked(void)
{
    SSL *ssl = client(1);
    SSL_set_fd(ssl, dial(NULL, NULL));
    SSL_connect(ssl);
    SSL_write(ssl, request, sizeof request - 1);
    answer(ssl);
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        SSL *own = client(1);
        SSL_set_fd(own, dial(NULL, NULL));
        say("child connect", own, SSL_connect(own));
        SSL_write(own, request, sizeof request - 1);
        answer(own);
        fflush(stdout);
        _exit(0);
    }
    int status;
    waitpid(pid, &status, 0);
    SSL_write(ssl, request, sizeof request - 1);
    answer(ssl);
}

/* An SSL is used again after SSL_clear, and others take its address after SSL_free. */
static void reuse(void)
{
    for (int i = 0; i < 20; i++) {
        SSL *ssl = client(1);
        SSL_set_fd(ssl, dial(NULL, NULL));
        if (SSL_connect(ssl) != 1 || SSL_write(ssl, request, sizeof request - 1) <= 0)
            printf("round %d failed\n", i);
        if (i % 2) {
            SSL_clear(ssl);
            SSL_set_fd(ssl, dial(NULL, NULL));
            if (SSL_connect(ssl) != 1 || SSL_write(ssl, request, sizeof request - 1) <= 0)
                printf("round %d failed after clear\n", i);
        }
        answer(ssl);
        SSL_free(ssl);
    }
}

int main(int argc, char **argv)
{
    const char *what = argv[1], *ip = argc > 4 ? argv[3] : NULL, *port = argc > 4 ? argv[4] : NULL;
    host = argv[2];
    if (strcmp(what, "connect") == 0)
        plain(1, ip, port, 0);
    else if (strcmp(what, "implicit") == 0)
        plain(1, ip, port, 1);
    else if (strcmp(what, "nosni") == 0)
        plain(0, ip, port, 0);
    else if (strcmp(what, "nonblocking") == 0)
        nonblocking();
    else if (strcmp(what, "memory") == 0)
        memory(ip, port);
    else if (strncmp(what, "bio", 3) == 0)
        by_bio(!strstr(what, "-nosni"), strstr(what, "-noisy") != NULL, strstr(what, "-write") != NULL, ip,
               port);
    else if (strcmp(what, "own-bio") == 0)
        own_bio(1, ip, port);
    else if (strcmp(what, "own-bio-nosni") == 0)
        own_bio(0, ip, port);
    else if (strcmp(what, "dies") == 0)
        dies();
    else if (strcmp(what, "jumps") == 0)
        jumps();
    else if (strcmp(what, "fork") == 0)
        forked();
    else if (strcmp(what, "reuse") == 0)
        reuse();
    return 0;
}
