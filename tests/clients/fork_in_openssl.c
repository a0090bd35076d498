/* SPDX-License-Identifier: Apache-2.0 */
/* fork_in_openssl first|not [tls]: a chat call in a fork child, and one in the parent, while another thread
 * is inside of OpenSSL for as long as the test wants: it ends, and one of its handlers takes long. OpenSSL
 * then holds the lock that each thread needs at its first use; in the child it is held for ever. `first`: the
 * parent has made a call before. Prints the status of each call, -1 = refused; "hung" where the child took 15
 * s. Built with -DC11 it makes that thread by thrd_create. */
#define _GNU_SOURCE
#include <netdb.h>
#include <openssl/core_dispatch.h>
#include <openssl/crypto.h>
#include <openssl/provider.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

static sem_t inside, leave;

/* --- a thread that stays inside of OpenSSL --- */

static void at_thread_end(void *arg)
{
    (void)arg;
    sem_post(&inside);
    while (sem_wait(&leave) != 0)
        ;
}

static int provider(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *core, const OSSL_DISPATCH **own,
                    void **context)
{
    static const OSSL_DISPATCH nothing[] = {{0, NULL}};
    static int any;
    *own = nothing;
    *context = &any;
    for (; core->function_id; core++)
        if (core->function_id == OSSL_FUNC_CORE_THREAD_START)
            return OSSL_FUNC_core_thread_start(core)(handle, at_thread_end, NULL);
    return 0;
}

static void *slow_to_end(void *arg)
{
    OSSL_LIB_CTX *lib = OSSL_LIB_CTX_new();
    (void)arg;
    if (!lib || OSSL_PROVIDER_add_builtin(lib, "slow", provider) != 1 || !OSSL_PROVIDER_load(lib, "slow"))
        exit(3);
    return NULL;
}

/* --- one call --- */

static int exchange(int fd, SSL *ssl)
{
    static const char request[] =
        "POST /v1/chat/completions HTTP/1.1\r\nHost: api.openai.com\r\nContent-Type: application/json\r\n"
        "Connection: close\r\nContent-Length: 67\r\n\r\n"
        "{\"model\":\"gpt-4o\",\"messages\":[{\"role\":\"user\",\"content\":\"hello !\"}]}";
    char text[8192];
    ssize_t all = 0, n,
            sent = ssl ? SSL_write(ssl, request, sizeof request - 1) : write(fd, request, sizeof request - 1);
    while (sent > 0 && all < (ssize_t)sizeof text - 1) {
        size_t room = sizeof text - 1 - (size_t)all;
        n = ssl ? SSL_read(ssl, text + all, (int)room) : read(fd, text + all, room);
        if (n <= 0)
            break;
        all += n;
    }
    text[all] = '\0';
    return strncmp(text, "HTTP/1.1 ", 9) == 0 ? atoi(text + 9) : -1;
}

static int call(SSL *ssl)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *a;
    if (getaddrinfo("api.openai.com", ssl ? "443" : "80", &hints, &a) != 0)
        return -1;
    int fd = socket(a->ai_family, a->ai_socktype, a->ai_protocol), status = -1;
    if (connect(fd, a->ai_addr, a->ai_addrlen) == 0) {
        if (ssl)
            SSL_set_fd(ssl, fd);
        if (!ssl || SSL_connect(ssl) == 1)
            status = exchange(fd, ssl);
    }
    freeaddrinfo(a);
    close(fd);
    return status;
}

/* --- the child --- */

static char child[16];
static int status;

static void *in_child(void *arg)
{
    SSL *ssl = arg;
    int out[2];
    if (pipe(out) != 0)
        exit(4);
    pid_t pid = fork();
    if (pid == 0) {
        dprintf(out[1], "%d", call(ssl));
        _exit(0);
    }
    close(out[1]);
    struct pollfd p = {out[0], POLLIN, 0};
    if (poll(&p, 1, 15000) == 1) {
        ssize_t n = read(out[0], child, sizeof child - 1);
        child[n > 0 ? n : 0] = '\0';
    } else {
        strcpy(child, "hung");
        if (!getenv("KEEP_HUNG"))
            kill(pid, SIGKILL);
    }
    close(out[0]);
    waitpid(pid, &status, 0);
    return NULL;
}

static SSL *ssl_new(SSL_CTX *ctx)
{
    SSL *ssl = SSL_new(ctx);
    SSL_set_tlsext_host_name(ssl, "api.openai.com");
    return ssl;
}

#ifdef C11
static int slow_c11(void *arg)
{
    slow_to_end(arg);
    return 0;
}

/* glibc's thrd_t is its pthread_t; libc makes the thread without a call that a hook of pthread_create sees.
 */
static int slow_thread(pthread_t *t)
{
    return thrd_create(t, slow_c11, NULL) == thrd_success ? 0 : -1;
}
#else
static int slow_thread(pthread_t *t)
{
    return pthread_create(t, NULL, slow_to_end, NULL);
}
#endif

int main(int argc, char **argv)
{
    pthread_t slow, other;
    int before = 0, tls = argc > 2 && strcmp(argv[2], "tls") == 0;
    /* All that the child wants of OpenSSL itself is made here. */
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    SSL *ssl[3] = {ssl_new(ctx), ssl_new(ctx), ssl_new(ctx)};
    sem_init(&inside, 0, 0);
    sem_init(&leave, 0, 0);
    if (argc > 1 && strcmp(argv[1], "first") == 0)
        before = call(ssl[0]);
    if (slow_thread(&slow) != 0)
        return 2;
    while (sem_wait(&inside) != 0)
        ;
    if (tls) /* this thread need not be entered any more */
        in_child(ssl[1]);
    else if (pthread_create(&other, NULL, in_child, NULL) == 0)
        pthread_join(other, NULL);
    sem_post(&leave);
    pthread_join(slow, NULL);
    printf("before %d, child %s, its end %d, parent %d\n", before, child, status, call(ssl[2]));
    for (int i = 0; i < 3; i++)
        SSL_free(ssl[i]);
    SSL_CTX_free(ctx);
    return 0;
}
