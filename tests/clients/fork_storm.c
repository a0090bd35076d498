/* SPDX-License-Identifier: Apache-2.0 */
/* fork_storm CALLS: chat calls over TLS, one connection each, while a timer's handler forks: with fork()
 * where it interrupted libkt.so, else with _Fork(), because libc's own fork() must not interrupt malloc.
 * Prints how many calls were answered with 200, and how many forks of each kind there were. */
#define _GNU_SOURCE
#include <errno.h>
#include <link.h>
#include <netdb.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

static volatile sig_atomic_t forks, inside;
static uintptr_t low, high; /* of libkt.so's code */

static int find_us(struct dl_phdr_info *info, size_t size, void *arg)
{
    (void)size, (void)arg;
    for (int i = 0; strstr(info->dlpi_name, "libkt.so") && i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_LOAD && (info->dlpi_phdr[i].p_flags & PF_X)) {
            low = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
            high = low + info->dlpi_phdr[i].p_memsz;
        }
    return 0;
}

static uintptr_t where(const ucontext_t *u)
{
#if defined(__x86_64__)
    return (uintptr_t)u->uc_mcontext.gregs[REG_RIP];
#else
    return (uintptr_t)u->uc_mcontext.pc;
#endif
}

static volatile sig_atomic_t done;

/* Once, and again from the handler: a fork takes longer than the time between two, and the program must get
 * on. */
static void arm(void)
{
    const struct itimerval soon = {{0, 0}, {0, 60}};
    if (!done)
        setitimer(ITIMER_REAL, &soon, NULL);
}

static void on_alarm(int sig, siginfo_t *info, void *context)
{
    static unsigned round;
    int saved = errno, ours = where(context) - low < high - low;
    (void)sig, (void)info;
    if (!ours && round++ % 64 != 0) {
        arm();
        errno = saved;
        return;
    }
    pid_t pid = ours ? fork() : _Fork();
    inside += ours;
    if (pid == 0)
        syscall(SYS_exit_group, 0);
    if (pid > 0) {
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
            ;
        forks++;
    }
    arm();
    errno = saved;
}

static int dial(void)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *a;
    if (getaddrinfo("api.openai.com", "443", &hints, &a) != 0)
        return -1;
    int fd = socket(a->ai_family, a->ai_socktype, a->ai_protocol);
    int rc = connect(fd, a->ai_addr, a->ai_addrlen);
    freeaddrinfo(a);
    return rc == 0 ? fd : -1;
}

static int call(SSL_CTX *ctx)
{
    static const char request[] =
        "POST /v1/chat/completions HTTP/1.1\r\nHost: api.openai.com\r\nContent-Type: application/json\r\n"
        "Connection: close\r\nContent-Length: 67\r\n\r\n"
        "{\"model\":\"gpt-4o\",\"messages\":[{\"role\":\"user\",\"content\":\"hello !\"}]}";
    char text[8192];
    int all = 0, n, fd = dial();
    SSL *ssl = SSL_new(ctx);
    SSL_set_tlsext_host_name(ssl, "api.openai.com");
    SSL_set_fd(ssl, fd);
    if (fd >= 0 && SSL_connect(ssl) == 1 && SSL_write(ssl, request, sizeof request - 1) > 0)
        while (all < (int)sizeof text - 1 && (n = SSL_read(ssl, text + all, (int)sizeof text - 1 - all)) > 0)
            all += n;
    text[all] = '\0';
    SSL_free(ssl);
    if (fd >= 0)
        close(fd);
    return strncmp(text, "HTTP/1.1 200", 12) == 0;
}

int main(int argc, char **argv)
{
    int want = argc > 1 ? atoi(argv[1]) : 10, good = 0;
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    struct sigaction sa = {.sa_sigaction = on_alarm, .sa_flags = SA_RESTART | SA_SIGINFO};
    dl_iterate_phdr(find_us, NULL);
    sigaction(SIGALRM, &sa, NULL);
    arm();
    for (int i = 0; i < want; i++)
        good += call(ctx);
    done = 1;
    SSL_CTX_free(ctx);
    printf("%d %d %d\n", good, (int)inside, (int)(forks - inside));
    return 0;
}
