/* SPDX-License-Identifier: Apache-2.0 */
/* A program that sleeps in SSL_read, where odd things happen to it. Each word of the command line is a step,
 * with a connection of its own; it prints what the read came to. */
#define _GNU_SOURCE
#include <errno.h>
#include <netdb.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static const char body[] = "{\"model\":\"gpt-4o\",\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}]}";

static SSL *dial(void)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *at = NULL;
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    if (!ctx || getaddrinfo("api.openai.com", "443", &hints, &at) != 0)
        exit(3);
    int fd = socket(at->ai_family, SOCK_STREAM, 0);
    SSL_CTX_set_default_verify_paths(ctx);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    SSL *s = SSL_new(ctx);
    if (fd < 0 || connect(fd, at->ai_addr, at->ai_addrlen) != 0 || !s || SSL_set_fd(s, fd) != 1 ||
        SSL_set_tlsext_host_name(s, "api.openai.com") != 1 || SSL_connect(s) != 1)
        exit(3);
    freeaddrinfo(at);
    return s;
}

static void ask(SSL *s)
{
    char request[512];
    int n = snprintf(request, sizeof request,
                     "POST /v1/chat/completions HTTP/1.1\r\nHost: api.openai.com\r\n"
                     "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                     strlen(body), body);
    if (SSL_write(s, request, n) != n)
        exit(4);
}

static long length_of(const char *head)
{
    const char *end = strstr(head, "\r\n\r\n"), *length = strcasestr(head, "content-length:");
    return end && length ? end + 4 - head + atol(length + strlen("content-length:")) : -1;
}

/* The status of a whole answer, or minus the errno. */
static int answer(SSL *s)
{
    static __thread char text[8192];
    size_t got = 0;
    long want = -1;
    while (want < 0 || got < (size_t)want) {
        errno = 0;
        int n = SSL_read(s, text + got, (int)(sizeof text - 1 - got)), error = errno;
        if (n <= 0)
            return -error;
        got += (size_t)n;
        text[got] = 0;
        want = length_of(text);
    }
    int status = 0;
    return sscanf(text, "HTTP/1.1 %d", &status) == 1 ? status : 0;
}

static void *read_of(void *s)
{
    return (void *)(long)answer(s);
}

static void *call_of(void *s)
{
    ask(s);
    return read_of(s);
}

/* Of a thread with 32 KiB. */
static int on_little(void *(*fn)(void *), SSL *s)
{
    pthread_attr_t attr;
    pthread_t thread;
    void *result = NULL;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, 32 * 1024);
    if (pthread_create(&thread, &attr, fn, s) != 0 || pthread_join(thread, &result) != 0)
        return -1;
    return (int)(long)result;
}

static void nothing(int sig)
{
    (void)sig;
}

/* A handler for one time: when the read is looked at, it is gone. */
static int once(SSL *s)
{
    struct sigaction sa = {.sa_handler = nothing, .sa_flags = (int)SA_RESETHAND};
    sigaction(SIGALRM, &sa, NULL);
    ask(s);
    ualarm(200000, 0);
    return answer(s);
}

/* The same, set when the thread has read before; by itself, or by another one while it sleeps in its read. */
static int once_later(SSL *s)
{
    ask(s);
    return answer(s) == 200 ? once(s) : -1;
}

static void *set_once(void *none)
{
    struct sigaction sa = {.sa_handler = nothing, .sa_flags = (int)SA_RESETHAND};
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
    usleep(100000);
    sigaction(SIGALRM, &sa, NULL);
    ualarm(200000, 0);
    return NULL;
}

static int once_meanwhile(SSL *s)
{
    pthread_t t;
    ask(s);
    if (answer(s) != 200)
        return -1;
    ask(s);
    pthread_create(&t, NULL, set_once, NULL);
    int status = answer(s);
    pthread_join(t, NULL);
    return status;
}

/* A child that no handler of ours sees reads on; its parent's answer is its parent's. Behind a first call:
 * till then the peer's session tickets are there to be read, by one or the other. */
static int child(SSL *s)
{
    ask(s);
    if (answer(s) != 200)
        return -1;
    ask(s);
    pid_t pid = _Fork();
    if (pid == 0) {
        _exit(answer(s) > 0);
    }
    int status = answer(s);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    return status;
}

static int blocked = -1;

static void note_mask(void *none)
{
    (void)none;
    sigset_t now;
    pthread_sigmask(SIG_SETMASK, NULL, &now);
    blocked = sigismember(&now, SIGTERM);
}

static void *call_till_cancelled(void *s)
{
    pthread_cleanup_push(note_mask, NULL);
    call_of(s);
    pthread_cleanup_pop(0);
    return NULL;
}

/* Whether SIGTERM is blocked where a thread that was cancelled in its read cleans up. */
static int cancelled(SSL *s)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, call_till_cancelled, s) != 0)
        return -1;
    usleep(200000);
    pthread_cancel(thread);
    pthread_join(thread, NULL);
    return blocked;
}

/* libc tells all threads by a signal of its own. */
static int groups(SSL *s)
{
    pthread_t thread;
    void *result = NULL;
    if (pthread_create(&thread, NULL, call_of, s) != 0)
        return -1;
    for (int i = 0; i < 10; i++) {
        usleep(50000);
        if (setgid(getgid()) != 0)
            return -2;
    }
    pthread_join(thread, &result);
    return (int)(long)result;
}

static int step(const char *name)
{
    SSL *s = dial();
    if (strcmp(name, "little-call") == 0)
        return on_little(call_of, s);
    if (strcmp(name, "little-more") == 0) {
        ask(s);
        return answer(s) == 200 ? on_little(call_of, s) : -1;
    }
    if (strcmp(name, "cancelled") == 0)
        return cancelled(s);
    if (strcmp(name, "groups") == 0)
        return groups(s);
    if (strcmp(name, "once") == 0)
        return once(s);
    if (strcmp(name, "once-later") == 0)
        return once_later(s);
    if (strcmp(name, "once-meanwhile") == 0)
        return once_meanwhile(s);
    if (strcmp(name, "_Fork") == 0)
        return child(s);
    ask(s);
    return strcmp(name, "little-read") == 0 ? on_little(read_of, s) : answer(s);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        printf("%s %d\n", argv[i], step(argv[i]));
    return 0;
}
