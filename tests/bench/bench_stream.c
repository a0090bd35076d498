/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Both ends of a stream over TLS, so that a chunk can carry the moment of its sending:
 *   bench_stream serve PORT CERT KEY            answers every request with CHUNKS events, PACE_US apart
 *   bench_stream call HOST PORT CAFILE CALLS    prints {"ttft","ttft_p99","chunk","chunk_p99"}, microseconds
 * ttft: from the request's write to the first event with text. chunk: from the write of an event to its read.
 */
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <openssl/ssl.h>

#define CHUNKS 24
#define PACE_US 400 /* each event is a read of its own, as from a model */

static const char *const words[] = {"Here,",     " release", " moves", " to",
                                    " Thursday", " after",   " the",   " tests"};

static double now_us(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

static int fail(const char *what)
{
    fprintf(stderr, "bench_stream: %s failed\n", what);
    return 1;
}

/* ---- the far side ---- */

static bool send_chunk(SSL *ssl, const char *data)
{
    char framed[1024];
    int n = snprintf(framed, sizeof framed, "%zx\r\n%s\r\n", strlen(data), data);
    return SSL_write(ssl, framed, n) == n;
}

/* Reads one request; false at the end of the connection. */
static bool read_request(SSL *ssl)
{
    char buf[8192];
    size_t have = 0, want = 0;
    while (!want || have < want) {
        int n = have < sizeof buf - 1 ? SSL_read(ssl, buf + have, (int)(sizeof buf - 1 - have)) : 0;
        if (n <= 0)
            return false;
        have += (size_t)n;
        buf[have] = '\0';
        const char *end = strstr(buf, "\r\n\r\n"), *length = strcasestr(buf, "\r\ncontent-length:");
        if (end && !want)
            want = (size_t)(end + 4 - buf) + (length && length < end ? strtoul(length + 17, NULL, 10) : 0);
    }
    return true;
}

static bool answer(SSL *ssl)
{
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                               "Transfer-Encoding: chunked\r\n\r\n";
    char event[768];
    bool ok = SSL_write(ssl, head, sizeof head - 1) == (int)sizeof head - 1;
    for (int i = 0; ok && i < CHUNKS; i++) {
        bool last = i == CHUNKS - 1;
        snprintf(
            event, sizeof event,
            "data: "
            "{\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"mistral-large-"
            "latest\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"%s\"},\"finish_reason\":%s}],"
            "\"sent_us\":%.1f}\n\n",
            words[i % 8], last ? "\"stop\"" : "null", now_us());
        ok = send_chunk(ssl, event);
        usleep(PACE_US);
    }
    return ok && send_chunk(ssl, "data: [DONE]\n\n") && SSL_write(ssl, "0\r\n\r\n", 5) == 5;
}

static void *serve_one(void *ssl)
{
    if (SSL_accept(ssl) == 1)
        while (read_request(ssl) && answer(ssl))
            ;
    close(SSL_get_fd(ssl));
    SSL_free(ssl);
    return NULL;
}

static int serve(char **argv)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)atoi(argv[0])),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (!ctx || SSL_CTX_use_certificate_chain_file(ctx, argv[1]) != 1 ||
        SSL_CTX_use_PrivateKey_file(ctx, argv[2], SSL_FILETYPE_PEM) != 1 ||
        bind(listener, (struct sockaddr *)&at, sizeof at) != 0 || listen(listener, 16) != 0)
        return fail("serve");
    signal(SIGPIPE, SIG_IGN);
    for (;;) {
        pthread_t thread;
        int fd = accept(listener, NULL, NULL);
        SSL *ssl = fd >= 0 ? SSL_new(ctx) : NULL;
        if (!ssl)
            return fail("accept");
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        SSL_set_fd(ssl, fd);
        if (pthread_create(&thread, NULL, serve_one, ssl) != 0)
            return fail("thread");
        pthread_detach(thread);
    }
}

/* ---- the near side ---- */

struct samples {
    double *ttft, *chunk;
    size_t ttfts, chunks;
};

/* Reads one streamed answer. Events are found by their stamp, whatever the records and the framing. */
static bool read_stream(SSL *ssl, double asked, struct samples *s)
{
    char buf[65536];
    size_t have = 0, at = 0, events = 0;
    for (;;) {
        int n = have < sizeof buf - 1 ? SSL_read(ssl, buf + have, (int)(sizeof buf - 1 - have)) : 0;
        double now = now_us();
        if (n <= 0)
            return false;
        have += (size_t)n;
        buf[have] = '\0';
        for (char *p; (p = strstr(buf + at, "\"sent_us\":")) && strchr(p, '}'); at = (size_t)(p + 10 - buf)) {
            if (events++ == 0)
                s->ttft[s->ttfts++] = now - asked;
            else
                s->chunk[s->chunks++] = now - strtod(p + 10, NULL);
        }
        if (have >= 5 && memcmp(buf + have - 5, "0\r\n\r\n", 5) == 0)
            return events == CHUNKS && strncmp(buf, "HTTP/1.1 200", 12) == 0;
    }
}

static SSL *dial(const char *host, const char *port, const char *ca)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_family = AF_INET}, *list = NULL;
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL *ssl = ctx && SSL_CTX_load_verify_locations(ctx, ca, NULL) == 1 ? SSL_new(ctx) : NULL;
    if (!ssl || getaddrinfo(host, port, &hints, &list) != 0)
        return NULL;
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
    bool up = connect(fd, list->ai_addr, list->ai_addrlen) == 0;
    freeaddrinfo(list);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    bool ready = up && SSL_set_fd(ssl, fd) && SSL_set_tlsext_host_name(ssl, host) && SSL_set1_host(ssl, host);
    return ready && SSL_connect(ssl) == 1 ? ssl : NULL;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int call(char **argv)
{
    static const char body[] =
        "{\"model\":\"gpt-4o\",\"stream\":true,\"messages\":[{\"role\":\"user\",\"content\":"
        "\"Summarise the note for a colleague who was not in the meeting.\"}]}";
    char request[1024];
    size_t calls = strtoul(argv[3], NULL, 10);
    struct samples s = {calloc(calls + 1, sizeof(double)), calloc((calls + 1) * CHUNKS, sizeof(double)), 0,
                        0};
    SSL *ssl = dial(argv[0], argv[1], argv[2]);
    if (!ssl || !s.ttft || !s.chunk || calls < 2)
        return fail("connect");
    int len = snprintf(request, sizeof request,
                       "POST /v1/chat/completions HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\n"
                       "Authorization: Bearer sk-bench\r\nContent-Length: %zu\r\n\r\n%s",
                       argv[0], sizeof body - 1, body);
    for (size_t i = 0; i <= calls; i++) {
        double asked = now_us();
        if (SSL_write(ssl, request, len) != len || !read_stream(ssl, asked, &s))
            return fail("call");
        if (i == 0) /* it pays for the connection and whatever is loaded */
            s.ttfts = s.chunks = 0;
    }
    qsort(s.ttft, s.ttfts, sizeof(double), by_value);
    qsort(s.chunk, s.chunks, sizeof(double), by_value);
    printf("{\"ttft\": %.1f, \"ttft_p99\": %.1f, \"chunk\": %.1f, \"chunk_p99\": %.1f}\n",
           s.ttft[s.ttfts / 2], s.ttft[s.ttfts * 99 / 100], s.chunk[s.chunks / 2],
           s.chunk[s.chunks * 99 / 100]);
    free(s.ttft);
    free(s.chunk);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 5 && strcmp(argv[1], "serve") == 0)
        return serve(argv + 2);
    if (argc == 6 && strcmp(argv[1], "call") == 0)
        return call(argv + 2);
    return fail("usage: bench_stream serve PORT CERT KEY | call HOST PORT CAFILE CALLS; it");
}
