/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A host that is hard to live in: kt_stress HOST PORT CAFILE THREADS SECONDS. Threads make TLS calls on
 * keep-alive connections while others fork (and call from the child), fork and exec, vfork, open and close
 * descriptors, and while timers and other threads interrupt everybody with signals. Prints one line of JSON:
 * calls, failures, children, signals. `kt_stress --once ...` is such a child: one call.
 */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <openssl/ssl.h>

static const char *host, *port, *ca, *self;
static SSL_CTX *ctx;
static atomic_bool stop, stop_forks; /* the forks end first: a thread that ends is inside of OpenSSL, too */
static atomic_ulong signals;

/* Shared with the children. */
static struct counts {
    atomic_ulong calls, failed, children;
} * counts;

/* A child without exec may call only where nobody was inside of OpenSSL when it was made: that would be a
 * fault of the host's own. Children that exec have no such limit. */
static pthread_rwlock_t quiet =
    PTHREAD_RWLOCK_WRITER_NONRECURSIVE_INITIALIZER_NP; /* the forks get their turn */

static void on_signal(int sig)
{
    int saved = errno;
    (void)sig;
    atomic_fetch_add(&signals, 1);
    errno = saved;
}

static int dial(void)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
    if (getaddrinfo(host, port, &hints, &list) != 0)
        return -1;
    int fd = -1;
    for (struct addrinfo *a = list; a && fd < 0; a = a->ai_next) {
        fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        while (fd >= 0 && connect(fd, a->ai_addr, a->ai_addrlen) != 0) {
            if (errno == EINTR || errno == EALREADY)
                continue;
            if (errno == EISCONN)
                break;
            close(fd);
            fd = -1;
        }
    }
    freeaddrinfo(list);
    return fd;
}

static int call(SSL *ssl, unsigned number)
{
    char request[512], body[160], answer[8192];
    int len =
        snprintf(body, sizeof body,
                 "{\"model\":\"gpt-4o\",\"messages\":[{\"role\":\"user\",\"content\":\"call %u of %d\"}]}",
                 number, (int)getpid());
    len = snprintf(request, sizeof request,
                   "POST /v1/chat/completions HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\n"
                   "Content-Length: %d\r\n\r\n%s",
                   host, len, body);
    atomic_fetch_add(&counts->calls, 1);
    if (SSL_write(ssl, request, len) != len)
        return -1;
    size_t have = 0, want = 0;
    while (!want || have < want) {
        int n = SSL_read(ssl, answer + have, (int)(sizeof answer - 1 - have));
        if (n <= 0)
            return -1;
        have += (size_t)n;
        answer[have] = '\0';
        char *end = strstr(answer, "\r\n\r\n"), *cl = strcasestr(answer, "\r\ncontent-length:");
        if (end && cl)
            want = (size_t)(end + 4 - answer) + strtoul(cl + 17, NULL, 10);
    }
    return strncmp(answer, "HTTP/1.1 200", 12) == 0 ? 0 : -1;
}

/* One connection with a few calls. */
static void converse(unsigned calls)
{
    int fd = dial();
    SSL *ssl = fd >= 0 ? SSL_new(ctx) : NULL;
    int bad =
        !ssl || SSL_set_fd(ssl, fd) != 1 || SSL_set_tlsext_host_name(ssl, host) != 1 || SSL_connect(ssl) != 1;
    if (bad)
        atomic_fetch_add(&counts->failed, 1);
    for (unsigned i = 0; !bad && i < calls; i++)
        if ((bad = call(ssl, i)) != 0)
            atomic_fetch_add(&counts->failed, 1);
    if (ssl) {
        SSL_shutdown(ssl);
        SSL_free(ssl);
    }
    if (fd >= 0)
        close(fd);
}

static void *caller(void *arg)
{
    unsigned seed = (unsigned)(size_t)arg;
    while (!atomic_load(&stop)) {
        pthread_rwlock_rdlock(&quiet);
        converse(1 + (unsigned)rand_r(&seed) % 4);
        pthread_rwlock_unlock(&quiet);
    }
    return NULL;
}

static void reap(pid_t pid)
{
    int status = -1;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    if (status != 0)
        atomic_fetch_add(&counts->failed, 1);
    atomic_fetch_add(&counts->children, 1);
}

static void fork_and_call(void)
{
    pthread_rwlock_wrlock(&quiet);
    pid_t pid = fork();
    if (pid == 0) {
        unsigned long before = atomic_load(&counts->failed);
        converse(2);
        _exit(atomic_load(&counts->failed) == before ? 0 : 1);
    }
    pthread_rwlock_unlock(&quiet);
    reap(pid);
}

static void fork_and_exec(void)
{
    extern char **environ;
    pid_t pid = fork();
    if (pid == 0) {
        char *const argv[] = {(char *)self, (char *)"--once", (char *)host, (char *)port, (char *)ca, NULL};
        execve(self, argv, environ);
        _exit(127);
    }
    reap(pid);
}

static void vfork_true(void)
{
    pid_t pid = vfork();
    if (pid == 0) {
        execl("/bin/true", "true", (char *)NULL);
        _exit(127);
    }
    reap(pid);
}

static void *breeder(void *arg)
{
    unsigned seed = 77 + (unsigned)(size_t)arg;
    while (!atomic_load(&stop_forks)) {
        switch (rand_r(&seed) % 4) {
        case 0:
            fork_and_call();
            break;
        case 1:
            fork_and_exec();
            break;
        case 2:
            vfork_true();
            break;
        default:
            usleep(2000);
        }
    }
    return NULL;
}

/* Low descriptors come, go and are replaced all the time. */
static void *juggler(void *arg)
{
    (void)arg;
    while (!atomic_load(&stop)) {
        int a = open("/dev/null", O_RDONLY | O_CLOEXEC), b = dup(a);
        if (a >= 0 && b >= 0)
            dup3(a, b, O_CLOEXEC);
        close(a);
        close(b);
        usleep(100);
    }
    return NULL;
}

static bool set_up(void)
{
    ctx = SSL_CTX_new(TLS_client_method());
    if (!ctx || SSL_CTX_load_verify_locations(ctx, ca, NULL) != 1)
        return false;
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    counts = mmap(NULL, sizeof *counts, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return counts != MAP_FAILED;
}

static void storm(long threads, long seconds)
{
    struct sigaction act = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigaction(SIGALRM, &act, NULL);
    sigaction(SIGUSR1, &act, NULL);
    struct itimerval often = {{0, 3000}, {0, 3000}};
    pthread_t all[66], breeding;
    size_t n = 0;
    bool breeds = pthread_create(&breeding, NULL, breeder, NULL) == 0;
    for (long i = 0; i < threads && i < 64; i++)
        n += pthread_create(&all[n], NULL, caller, (void *)(size_t)(i + 1)) == 0;
    n += pthread_create(&all[n], NULL, juggler, NULL) == 0;
    setitimer(ITIMER_REAL, &often, NULL);
    time_t end = time(NULL) + seconds;
    for (unsigned i = 0; time(NULL) < end; i++) {
        usleep(1500);
        pthread_kill(breeds && i % (n + 1) == n ? breeding : all[i % n], SIGUSR1);
    }
    atomic_store(&stop_forks, true);
    if (breeds)
        pthread_join(breeding, NULL);
    atomic_store(&stop, true);
    for (size_t i = 0; i < n; i++)
        pthread_join(all[i], NULL);
    struct itimerval never = {{0, 0}, {0, 0}};
    setitimer(ITIMER_REAL, &never, NULL);
}

int main(int argc, char **argv)
{
    self = argv[0];
    bool once = argc == 5 && strcmp(argv[1], "--once") == 0;
    if (!once && argc != 6) {
        fputs("usage: kt_stress HOST PORT CAFILE THREADS SECONDS\n", stderr);
        return 2;
    }
    host = argv[once ? 2 : 1];
    port = argv[once ? 3 : 2];
    ca = argv[once ? 4 : 3];
    if (!set_up())
        return 3;
    if (once)
        converse(1);
    else
        storm(strtol(argv[4], NULL, 10), strtol(argv[5], NULL, 10));
    if (!once)
        printf("{\"calls\":%lu,\"failed\":%lu,\"children\":%lu,\"signals\":%lu}\n",
               atomic_load(&counts->calls), atomic_load(&counts->failed), atomic_load(&counts->children),
               atomic_load(&signals));
    SSL_CTX_free(ctx);
    return once && atomic_load(&counts->failed) ? 1 : 0;
}
