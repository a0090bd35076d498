/* SPDX-License-Identifier: Apache-2.0 */
/* Programs at the edge of what POSIX lets them do, around their calls: edge_host STEP..., in that order; each
 * prints what it found. The table at the end has the steps. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char body[] = "{\"model\":\"gpt-4o\",\"messages\":[{\"role\":\"user\",\"content\":\"hello\"}]}";
static const char *self;

static void say(const char *what, long value)
{
    char line[64];
    int n = snprintf(line, sizeof line, "%s %ld\n", what, value);
    if (write(1, line, (size_t)n) != n)
        _exit(9);
}

/* A connected socket, or -errno. */
static int open_call(void)
{
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *a;
    if (getaddrinfo("api.openai.com", "80", &hints, &a) != 0)
        return -1;
    int fd = socket(a->ai_family, a->ai_socktype, 0), rc = connect(fd, a->ai_addr, a->ai_addrlen),
        why = errno;
    freeaddrinfo(a);
    if (rc == 0)
        return fd;
    close(fd);
    return -why;
}

static long call_on(int fd)
{
    char text[2048];
    long status = 0;
    int n = snprintf(text, sizeof text,
                     "POST /v1/chat/completions HTTP/1.1\r\nHost: api.openai.com\r\nContent-Type: "
                     "application/json\r\nContent-Length: %zu\r\n\r\n%s",
                     sizeof body - 1, body);
    if (write(fd, text, (size_t)n) != n || (n = (int)read(fd, text, sizeof text - 1)) <= 0)
        return -2;
    text[n] = '\0';
    sscanf(text, "HTTP/1.1 %ld", &status);
    return status;
}

static long call(void)
{
    int fd = open_call();
    if (fd < 0)
        return fd;
    long status = call_on(fd);
    close(fd);
    return status;
}

static void step_call(void)
{
    say("call", call());
}

static void leave(int sig)
{
    (void)sig;
    _exit(7);
}

static void step_exit_in_malloc(void)
{
    const struct itimerval soon = {{0, 0}, {0, 3000 + getpid() % 3000}};
    int fd = open_call();
    say("call", call_on(fd));
    signal(SIGALRM, leave);
    setitimer(ITIMER_REAL, &soon, NULL);
    for (void *p[64];;) {
        for (int i = 0; i < 64; i++)
            p[i] = malloc(2000 + (size_t)i * 700);
        for (int i = 0; i < 64; i++)
            free(p[i]);
    }
}

static atomic_int calls, over;

static void *many_calls(void *arg)
{
    int fd = open_call();
    for (calls = 0; calls < 2000 && call_on(fd) == 200; calls++)
        ;
    close(fd);
    over = 1;
    return arg;
}

/* Its threads read no environment. */
static void step_environ(void)
{
    pthread_t t;
    pthread_create(&t, NULL, many_calls, NULL);
    while (calls < 3 && !over)
        usleep(1000);
    for (long i = 0; !over;) {
        for (int j = 0; j < 400 && !over; j++) {
            char name[32];
            snprintf(name, sizeof name, "V%ld", i++);
            setenv(name, "x", 1);
            void *p = malloc(4000 + (size_t)j * 16);
            memset(p, 0x5a, 4000 + (size_t)j * 16);
            free(p);
        }
        clearenv();
        setenv("PATH", "/bin", 1);
    }
    pthread_join(t, NULL);
    say("environ", calls);
}

static void step_bad_address(void)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    say("bad-address", connect(fd, (const struct sockaddr *)16, 16) == 0 ? 0 : -errno);
    close(fd);
}

static int port;

static void *call_by_address(void *arg)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    to.sin_addr.s_addr = inet_addr("127.183.0.1");
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    *(long *)arg = connect(fd, (const struct sockaddr *)&to, sizeof to) == 0 ? call_on(fd) : -errno;
    close(fd);
    return NULL;
}

/* The very first call of the process, by a thread with the least stack there is. */
static void step_small_stack(void)
{
    pthread_t t;
    pthread_attr_t a;
    long status = -3;
    port = 80;
    pthread_attr_init(&a);
    pthread_attr_setstacksize(&a, 20u << 10);
    pthread_create(&t, &a, call_by_address, &status);
    pthread_join(t, NULL);
    say("small-stack", status);
}

static int how;

static void start_helper(int sig)
{
    char *const argv[] = {"true", NULL};
    pid_t pid = -1;
    int status = -1;
    (void)sig;
    if (how == 0)
        posix_spawn(&pid, "/bin/true", NULL, NULL, argv, environ);
    else if ((pid = fork()) == 0) {
        if (how == 1)
            execl("/bin/true", "true", (char *)NULL);
        execlp("true", "true", (char *)NULL);
        _exit(9);
    }
    waitpid(pid, &status, 0);
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 100 + WTERMSIG(status));
}

/* As crash reporters do it: on a stack of the size that POSIX calls enough. */
static void step_crash_handlers(void)
{
    for (how = 0; how < 3; how++) {
        pid_t pid = fork();
        if (pid == 0) {
            char *m = mmap(NULL, 4096 + 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            const stack_t st = {.ss_sp = m + 4096, .ss_size = 8192};
            const struct sigaction sa = {.sa_handler = start_helper, .sa_flags = SA_ONSTACK};
            mprotect(m, 4096, PROT_NONE);
            sigaltstack(&st, NULL);
            sigaction(SIGUSR1, &sa, NULL);
            raise(SIGUSR1);
        }
        int status = -1;
        waitpid(pid, &status, 0);
        say("helper", WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status));
    }
}

static long cpu_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* By the system call alone; prints a 1 where somebody then used the processor in vain. */
static void step_raw_close(void)
{
    long before = cpu_ms();
    syscall(SYS_close_range, 3, ~0u, 0);
    usleep(300000);
    say("raw-close", cpu_ms() - before > 150);
}

static atomic_int children;

static void child_ended(int sig)
{
    (void)sig;
    children++;
}

static void step_catch(void)
{
    signal(SIGCHLD, child_ended);
}

static void step_wait(void)
{
    say("wait", waitpid(-1, NULL, WNOHANG) == -1 ? -errno : 0);
    say("children", children);
}

static int listener(struct sockaddr_in *at)
{
    socklen_t len = sizeof *at;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    *at = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    bind(fd, (const struct sockaddr *)at, len);
    listen(fd, 0);
    getsockname(fd, (struct sockaddr *)at, &len);
    return fd;
}

static void step_reconnect(void)
{
    struct sockaddr_in at, peer;
    socklen_t len = sizeof peer;
    const struct sockaddr nobody = {.sa_family = AF_UNSPEC};
    int l = listener(&at), fd = open_call();
    connect(fd, &nobody, sizeof nobody);
    connect(fd, (const struct sockaddr *)&at, sizeof at);
    getpeername(fd, (struct sockaddr *)&peer, &len);
    say("reconnect", peer.sin_port == at.sin_port);
    close(fd);
    close(l);
}

static sigjmp_buf out;

static void jump(int sig)
{
    (void)sig;
    siglongjmp(out, 1);
}

/* As clients do that give a handshake so many seconds. Nobody answers the SYN. */
static void connect_for_ever(void)
{
    char to[64];
    struct sockaddr_in at;
    SSL *ssl;
    listener(&at);
    for (int i = 0; i < 3; i++)
        connect(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), (const struct sockaddr *)&at, sizeof at);
    BIO *bio = BIO_new_ssl_connect(SSL_CTX_new(TLS_client_method()));
    BIO_get_ssl(bio, &ssl);
    snprintf(to, sizeof to, "127.0.0.1:%d", ntohs(at.sin_port));
    BIO_set_conn_hostname(bio, to);
    SSL_connect(ssl);
}

static void overwrite(void)
{
    volatile char x[8192];
    memset((void *)x, 0x41, sizeof x);
}

static void step_jump(void)
{
    const struct itimerval soon = {{0, 0}, {0, 100000}};
    signal(SIGALRM, jump);
    if (!sigsetjmp(out, 1)) {
        setitimer(ITIMER_REAL, &soon, NULL);
        connect_for_ever();
    }
    overwrite();
    say("jump", 0);
}

/* A library whose constructor and destructor wait for threads of theirs (edge_plugin.c). */
static void step_plugin(void)
{
    char path[4096];
    snprintf(path, sizeof path, "%.*s/edge_plugin", (int)(strrchr(self, '/') - self), self);
    void *plugin = dlopen(path, RTLD_NOW);
    say("plugin", plugin ? dlclose(plugin) : -1);
}

static void call_at_exit(void)
{
    say("at-exit", call());
}

static void step_at_exit(void)
{
    atexit(call_at_exit);
}

static const struct {
    const char *name;
    void (*fn)(void);
} steps[] = {
    {"call", step_call},                     /* over plain HTTP: the status, or the errno of connect */
    {"exit-in-malloc", step_exit_in_malloc}, /* _exit by a handler that interrupts malloc, behind a call */
    {"environ", step_environ},               /* 2000 calls of a thread, and setenv all the while */
    {"bad-address", step_bad_address},       /* connect to an address that cannot be read */
    {"small-stack", step_small_stack},       /* a call by a thread of 20 KiB */
    {"crash-handlers", step_crash_handlers}, /* programs started on an alternate stack of 8 KiB */
    {"raw-close", step_raw_close},           /* every fd but three closed */
    {"catch", step_catch},                   /* counts SIGCHLD from here on */
    {"wait", step_wait},                     /* is there any child, and how many ended */
    {"reconnect", step_reconnect}, /* a socket to the host, disconnected, to another: the peer is right */
    {"jump", step_jump},           /* out of a handshake, by a signal handler */
    {"plugin", step_plugin},       /* dlopen and dlclose */
    {"at-exit", step_at_exit},     /* a call by a handler of exit */
};

int main(int argc, char **argv)
{
    self = argv[0];
    for (int i = 1; i < argc; i++)
        for (size_t s = 0; s < sizeof steps / sizeof steps[0]; s++)
            if (strcmp(argv[i], steps[s].name) == 0)
                steps[s].fn();
    return 0;
}
