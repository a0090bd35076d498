/* SPDX-License-Identifier: Apache-2.0 */
/* One chat call over plain HTTP by a program that the shim does not see: lost_chat MODE, built in several
 * ways. libc   getaddrinfo and connect raw    connect as a raw system call nb     as raw, on a socket that
 * does not block exec   starts itself again as `libc` by a raw execve, without LD_PRELOAD ip A   to the
 * numeric address A, raw long  as ip, with an address as long as a Unix one With HIDDEN in the environment it
 * is not dumpable. Prints {"status": N}. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char body[] =
    "{\"model\":\"gpt-4o\",\"messages\":[{\"role\":\"user\",\"content\":\"Mail alice.jones@example.org\"}]}";

static int fail(const char *what)
{
    perror(what);
    return 1;
}

static int open_connection(const char *mode, const struct addrinfo *a)
{
    int fd = socket(a->ai_family, a->ai_socktype, a->ai_protocol), nb = strcmp(mode, "nb") == 0;
    if (nb)
        fcntl(fd, F_SETFL, O_NONBLOCK);
    char room[110] = ""; /* as long as a Unix address */
    if (strcmp(mode, "long") == 0) {
        memcpy(room, a->ai_addr, a->ai_addrlen);
        return syscall(SYS_connect, fd, room, sizeof room) == 0 ? fd : -1;
    }
    long rc = strcmp(mode, "libc") == 0 ? connect(fd, a->ai_addr, a->ai_addrlen)
                                        : syscall(SYS_connect, fd, a->ai_addr, a->ai_addrlen);
    if (nb && rc != 0 && errno == EINPROGRESS) {
        struct pollfd p = {fd, POLLOUT, 0};
        int error = 0;
        socklen_t len = sizeof error;
        poll(&p, 1, 10000);
        getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len);
        rc = error ? -1 : 0;
        errno = error;
        fcntl(fd, F_SETFL, 0);
    }
    return rc == 0 ? fd : -1;
}

int main(int argc, char **argv)
{
    if (getenv("HIDDEN"))
        prctl(PR_SET_DUMPABLE, 0);
    const char *mode = argc > 1 ? argv[1] : "libc", *host = argc > 2 ? argv[2] : "api.openai.com";
    const char *port = argc > 3 ? argv[3] : "80";
    if (strcmp(mode, "exec") == 0) {
        char *again[] = {argv[0], "libc", NULL}, *env[] = {"PATH=/usr/bin:/bin", NULL};
        syscall(SYS_execve, "/proc/self/exe", again, env);
        return fail("execve");
    }
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *a;
    int rc = getaddrinfo(host, port, &hints, &a), fd;
    if (rc != 0) {
        fprintf(stderr, "getaddrinfo: %s\n", gai_strerror(rc));
        return 1;
    }
    if ((fd = open_connection(mode, a)) < 0)
        return fail("connect");
    if (argc > 4)
        host = argv[4];
    char text[1024];
    int n = snprintf(
        text, sizeof text,
        "POST /v1/chat/completions HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer sk-program-key-0001\r\n"
        "Content-Type: application/json\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n%s",
        host, sizeof body - 1, body);
    if (write(fd, text, (size_t)n) != n)
        return fail("write");
    ssize_t got, all = 0;
    while (all < (ssize_t)sizeof text - 1 && (got = read(fd, text + all, sizeof text - 1 - (size_t)all)) > 0)
        all += got;
    text[all > 0 ? all : 0] = '\0';
    if (strncmp(text, "HTTP/1.1 ", 9) != 0)
        return fail("no answer");
    printf("{\"status\": %d}\n", atoi(text + 9));
    return 0;
}
