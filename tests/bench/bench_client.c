/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A keep-alive HTTPS client that times every call: bench_client HOST PORT CAFILE CALLS.
 * Prints one line: first call (connect and handshake included) and the p50 and p99 of the others, in
 * microseconds.
 */
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <openssl/ssl.h>

static const char prompt[] =
    "Summarise the following note in two sentences for a colleague who was not in the meeting: the release "
    "moves "
    "to Thursday, the migration is tested on a copy first, and the old exporter stays on for a week.";

static double now_us(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

static int fail(const char *what)
{
    fprintf(stderr, "bench_client: %s failed\n", what);
    return 1;
}

static int dial(const char *host, const char *port)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
    if (getaddrinfo(host, port, &hints, &list) != 0)
        return -1;
    int fd = -1, one = 1;
    for (struct addrinfo *a = list; a && fd < 0; a = a->ai_next) {
        fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd >= 0 && connect(fd, a->ai_addr, a->ai_addrlen) != 0) {
            close(fd);
            fd = -1;
        }
    }
    freeaddrinfo(list);
    if (fd >= 0)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

/* Reads one answer with Content-Length; returns its status or -1. */
static int read_answer(SSL *ssl)
{
    char buf[16384];
    size_t have = 0, want = 0;
    int status = -1;
    for (;;) {
        int n = SSL_read(ssl, buf + have, (int)(sizeof buf - 1 - have));
        if (n <= 0)
            return -1;
        have += (size_t)n;
        buf[have] = '\0';
        char *end = want ? NULL : strstr(buf, "\r\n\r\n");
        if (end) {
            char *cl = strcasestr(buf, "\r\ncontent-length:");
            if (!cl || cl > end || sscanf(buf, "HTTP/1.1 %d", &status) != 1)
                return -1;
            want = (size_t)(end + 4 - buf) + strtoul(cl + 17, NULL, 10);
        }
        if (want && have >= want)
            return have == want ? status : -1;
    }
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    if (argc != 5)
        return fail("usage: bench_client HOST PORT CAFILE CALLS; it");
    long calls = strtol(argv[4], NULL, 10);
    double *times = calls > 1 ? calloc((size_t)calls, sizeof *times) : NULL;
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    if (!times || !ctx || SSL_CTX_load_verify_locations(ctx, argv[3], NULL) != 1)
        return fail("set-up");
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    char body[1024], request[2048];
    snprintf(body, sizeof body,
             "{\"model\":\"gpt-4o\",\"messages\":[{\"role\":\"user\",\"content\":\"%s\"}]}", prompt);
    int len = snprintf(request, sizeof request,
                       "POST /v1/chat/completions HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\n"
                       "Authorization: Bearer sk-bench\r\nContent-Length: %zu\r\n\r\n%s",
                       argv[1], strlen(body), body);
    double start = now_us();
    int fd = dial(argv[1], argv[2]);
    SSL *ssl = SSL_new(ctx);
    if (fd < 0 || !ssl || !SSL_set_fd(ssl, fd) || !SSL_set_tlsext_host_name(ssl, argv[1]) ||
        !SSL_set1_host(ssl, argv[1]) || SSL_connect(ssl) != 1)
        return fail("connect");
    for (long i = 0; i < calls; i++) {
        if (SSL_write(ssl, request, len) != len || read_answer(ssl) != 200)
            return fail("call");
        double end = now_us();
        times[i] = end - start;
        start = end;
    }
    double first = times[0];
    qsort(times + 1, (size_t)calls - 1, sizeof *times, by_value);
    long n = calls - 1;
    printf("{\"first\": %.1f, \"p50\": %.1f, \"p99\": %.1f}\n", first, times[1 + n / 2],
           times[1 + n * 99 / 100]);
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    close(fd);
    free(times);
    return 0;
}
