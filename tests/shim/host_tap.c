/* SPDX-License-Identifier: Apache-2.0 */
/* A program whose sockets are watched: 127.0.0.1 is an intercepted host, and its other end is here, too.
 * argv[1] names the case; `server` is not watched, because nobody connected it. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/ssl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

ssize_t __read_chk(int fd, void *buf, size_t n, size_t room);
ssize_t __recv_chk(int fd, void *buf, size_t n, size_t room, int flags);
ssize_t __recvfrom_chk(int fd, void *buf, size_t n, size_t room, int flags, struct sockaddr *sa,
                       socklen_t *len);

static int client, server;

static void must(ssize_t n, const char *what)
{
    if (n < 0) {
        perror(what);
        exit(3);
    }
}

static void open_pair(int type)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    int l = socket(AF_INET, SOCK_STREAM, 0);
    must(bind(l, (struct sockaddr *)&a, len), "bind");
    must(listen(l, 1), "listen");
    must(getsockname(l, (struct sockaddr *)&a, &len), "getsockname");
    client = socket(AF_INET, SOCK_STREAM | type, 0);
    if (connect(client, (struct sockaddr *)&a, len) != 0 && errno != EINPROGRESS)
        must(-1, "connect");
    server = accept(l, NULL, NULL);
    must(server, "accept");
    close(l);
    printf("port %u\n", ntohs(a.sin_port));
    fflush(stdout);
}

static void drain(size_t n)
{
    char buf[256];
    while (n > 0) {
        ssize_t got = read(server, buf, n < sizeof buf ? n : sizeof buf);
        must(got, "drain");
        n -= (size_t)got;
    }
}

static struct iovec piece(const char *text)
{
    return (struct iovec){(void *)(uintptr_t)text, strlen(text)};
}

static void writes(void)
{
    struct iovec two[2] = {piece("wri"), piece("tev")}, three[3] = {piece(""), piece("send"), piece("msg")};
    struct msghdr m = {.msg_iov = three, .msg_iovlen = 3};
    must(write(client, "write", 5), "write");
    must(send(client, "send", 4, 0), "send");
    must(sendto(client, "sendto", 6, 0, NULL, 0), "sendto");
    must(writev(client, two, 2), "writev");
    must(sendmsg(client, &m, 0), "sendmsg");
    drain(5 + 4 + 6 + 6 + 7);
    errno = 0;
    ssize_t n = write(-1, "x", 1);
    printf("bad %zd %d\n", n, errno == EBADF);
}

static void reads(void)
{
    char a[8], b[8];
    struct iovec two[2] = {{a, 2}, {b, 8}};
    struct msghdr m = {.msg_iov = two, .msg_iovlen = 2};
    const char *next[] = {"read", "recv", "recvfrom", "readv", "recvmsg", "_read", "_recv", "_recvfro"};
    for (int i = 0; i < 8; i++) {
        char buf[64];
        must(write(server, next[i], strlen(next[i])), "write");
        must(recv(client, buf, sizeof buf, MSG_PEEK), "peek");
        errno = 0;
        ssize_t n = i == 0   ? read(client, buf, sizeof buf)
                    : i == 1 ? recv(client, buf, sizeof buf, 0)
                    : i == 2 ? recvfrom(client, buf, sizeof buf, 0, NULL, NULL)
                    : i == 3 ? readv(client, two, 2)
                    : i == 4 ? recvmsg(client, &m, 0)
                    : i == 5 ? __read_chk(client, buf, 64, sizeof buf)
                    : i == 6 ? __recv_chk(client, buf, 64, sizeof buf, 0)
                             : __recvfrom_chk(client, buf, 64, sizeof buf, 0, NULL, NULL);
        printf("%zd %d ", n, errno);
    }
    shutdown(server, SHUT_WR);
    char buf[4];
    printf("end %zd\n", read(client, buf, sizeof buf));
}

static void by_rarer_calls(void)
{
    struct iovec out = piece("pwritev2");
    char buf[16];
    struct iovec in = {buf, sizeof buf};
    printf("dprintf %d\n", dprintf(client, "%s-%d", "dprintf", 7));
    must(pwritev2(client, &out, 1, -1, 0), "pwritev2");
    drain(9 + 8);
    must(write(server, "answer", 6), "write");
    printf("preadv2 %zd\n", preadv2(client, &in, 1, -1, 0));
    errno = 0;
    int rc = dprintf(-1, "x");
    printf("bad %d %d\n", rc, errno == EBADF);
}

/* One call over four numbers of one socket, of which the first two go. */
static void duplicated(void)
{
    int twin = fcntl(client, F_DUPFD_CLOEXEC, 60), third = dup2(twin, 77), fourth = dup(third);
    must(write(twin, "twin", 4), "write");
    must(close(client), "close");
    must(write(third, "third", 5), "write");
    must(dup2(server, twin), "dup2");
    must(write(twin, "not seen", 8), "write");
    must(write(fourth, "last", 4), "write");
    drain(4 + 5 + 4);
    must(close(third), "close");
    must(close(fourth), "close");
}

static void by_stream(void)
{
    FILE *f = fdopen(client, "r+");
    must(fputs("stream", f), "fputs");
    fflush(f);
    drain(6);
    fclose(f);
}

static void as_standard_input(void)
{
    must(dup2(client, STDIN_FILENO), "dup2");
    must(write(client, "not seen", 8), "write");
    drain(8);
}

static void tls_like(void)
{
    must(write(client, "\x16\x03\x01 a handshake that no library of ours began", 20), "write");
    must(write(client, "more", 4), "write");
    drain(24);
}

static void by_sendfile(void)
{
    FILE *f = tmpfile();
    must(write(client, "POST", 4), "write");
    must(write(fileno(f), "0123456789", 10), "write");
    off_t from = 0;
    must(sendfile(client, fileno(f), &from, 10), "sendfile");
    must(write(client, "not seen", 8), "write");
    drain(22);
    fclose(f);
}

static void by_many(void)
{
    char a[8], b[8], one[] = "one ", two[] = "two ", three[] = "three";
    struct iovec out[3] = {{one, 4}, {two, 4}, {three, 5}}, in[2] = {{a, 6}, {b, 7}};
    struct mmsghdr put[2] = {{.msg_hdr = {.msg_iov = out, .msg_iovlen = 2}},
                             {.msg_hdr = {.msg_iov = out + 2, .msg_iovlen = 1}}};
    struct mmsghdr got[2] = {{.msg_hdr = {.msg_iov = in, .msg_iovlen = 1}},
                             {.msg_hdr = {.msg_iov = in + 1, .msg_iovlen = 1}}};
    must(sendmmsg(client, put, 2, 0), "sendmmsg");
    if (put[0].msg_len != 8 || put[1].msg_len != 5)
        must(-1, "lengths");
    drain(13);
    must(write(server, "answer, whole", 13), "write");
    int n = recvmmsg(client, got, 2, MSG_WAITFORONE, NULL);
    must(n == 2 && got[0].msg_len == 6 && got[1].msg_len == 7 ? 0 : -1, "recvmmsg");
}

static void by_splice(void)
{
    int p[2];
    must(pipe(p), "pipe");
    must(write(client, "POST", 4), "write");
    must(write(p[1], "0123456789", 10), "write");
    must(splice(p[0], NULL, client, NULL, 10, 0), "splice");
    must(write(client, "not seen", 8), "write");
    drain(22);
}

/* The number is taken by a socket that nobody watches. */
static void reused(void)
{
    int pair[2];
    must(write(client, "first", 5), "write");
    drain(5);
    must(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), "socketpair");
    must(dup2(pair[0], client), "dup2");
    must(write(client, "another", 7), "write");
    must(close(client), "close");
    printf("reused\n");
}

static void forked(void)
{
    must(write(client, "parent", 6), "write");
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        must(write(client, "child", 5), "write");
        _exit(7);
    }
    int status = 0;
    waitpid(child, &status, 0);
    drain(11);
    printf("child %d\n", WEXITSTATUS(status));
}

static void vforked(void)
{
    must(write(client, "parent", 6), "write");
    fflush(stdout);
    pid_t child = vfork();
    if (child == 0) {
        close(client); /* its own */
        _exit(7);
    }
    int status = 0;
    waitpid(child, &status, 0);
    must(write(client, "more", 4), "write");
    drain(10);
    printf("child %d\n", WEXITSTATUS(status));
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*fn)(void);
    } cases[] = {{"writes", writes},
                 {"reads", reads},
                 {"tls", tls_like},
                 {"sendfile", by_sendfile},
                 {"many", by_many},
                 {"splice", by_splice},
                 {"reused", reused},
                 {"forked", forked},
                 {"vforked", vforked},
                 {"rarer", by_rarer_calls},
                 {"duplicated", duplicated},
                 {"stream", by_stream},
                 {"standard", as_standard_input}};
    if (argc < 2 ||
        !OPENSSL_init_ssl(0, NULL)) /* linked, so that the process counts as one that can be read */
        return 2;
    open_pair(strcmp(argv[1], "writes") == 0 ? SOCK_NONBLOCK : 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (strcmp(cases[i].name, argv[1]) == 0)
            cases[i].fn();
    if (strcmp(argv[1], "exec") == 0) {
        must(write(client, "before", 6), "write");
        execl("/bin/true", "true", (char *)NULL);
    }
    fflush(stdout);
    if (argc > 2)
        _exit(5);
    return 0;
}
