/* SPDX-License-Identifier: Apache-2.0 */
/* A program that uses the network in every way that the divert lane must bear. argv[1] names the case; prints
 * what happened. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct sockaddr_storage dest;
static socklen_t dest_len;

static void resolve(const char *host, int family)
{
    struct addrinfo hints = {
        .ai_family = family, .ai_socktype = SOCK_STREAM, .ai_flags = AI_CANONNAME | AI_ADDRCONFIG};
    struct addrinfo *list = NULL;
    int rc = getaddrinfo(host, "443", &hints, &list);
    if (rc != 0) {
        printf("getaddrinfo %d\n", rc);
        exit(3);
    }
    memcpy(&dest, list->ai_addr, list->ai_addrlen);
    dest_len = list->ai_addrlen;
    char text[64];
    getnameinfo(list->ai_addr, list->ai_addrlen, text, sizeof text, NULL, 0, NI_NUMERICHOST);
    printf("addr %s canon %s next %d\n", text, list->ai_canonname, list->ai_next != NULL);
    freeaddrinfo(list);
}

/* Two names in the C library's own threads, one of them for IPv6, and one that is no name. */
static void ask_async(const char *host)
{
    struct addrinfo six = {.ai_family = AF_INET6, .ai_socktype = SOCK_STREAM};
    struct gaicb one = {.ar_name = host, .ar_service = "443"};
    struct gaicb two = {.ar_name = host, .ar_request = &six}, three = {.ar_name = "127.0.0.1"};
    struct gaicb *list[] = {&one, NULL, &two, &three};
    printf("getaddrinfo_a %d\n", getaddrinfo_a(GAI_WAIT, list, 4, NULL));
    for (int i = 0; i < 4; i++) {
        char text[64] = "";
        if (!list[i] || gai_error(list[i]) != 0)
            continue;
        getnameinfo(list[i]->ar_result->ai_addr, list[i]->ar_result->ai_addrlen, text, sizeof text, NULL, 0,
                    NI_NUMERICHOST);
        printf("addr %s\n", text);
        freeaddrinfo(list[i]->ar_result);
    }
}

static void peer_of(int fd)
{
    struct sockaddr_storage ss;
    socklen_t len = sizeof ss;
    char text[64], port[8];
    if (getpeername(fd, (struct sockaddr *)&ss, &len) != 0) {
        printf("peer errno %d\n", errno);
        return;
    }
    getnameinfo((struct sockaddr *)&ss, len, text, sizeof text, port, sizeof port,
                NI_NUMERICHOST | NI_NUMERICSERV);
    printf("peer %s %s len %u\n", text, port, len);
}

/* The peer's address back to its name. */
static void names_of(void)
{
    const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)&dest;
    struct hostent ret, *h = gethostbyaddr(&in->sin_addr, 4, AF_INET);
    char text[64], port[8], buf[512];
    int err = 0, flags = NI_NAMEREQD | NI_NUMERICSERV;
    int rc = getnameinfo((struct sockaddr *)&dest, dest_len, text, sizeof text, port, sizeof port, flags);
    printf("getnameinfo %d %s %s\n", rc, rc == 0 ? text : "-", rc == 0 ? port : "-");
    printf("small %d\n",
           getnameinfo((struct sockaddr *)&dest, dest_len, text, 5, NULL, 0, flags) == EAI_OVERFLOW);
    printf("gethostbyaddr %s\n", h ? h->h_name : "-");
    struct in6_addr six = {.s6_addr = {[10] = 0xff, [11] = 0xff}};
    memcpy(six.s6_addr + 12, &in->sin_addr, 4);
    rc = gethostbyaddr_r(&six, 16, AF_INET6, &ret, buf, sizeof buf, &h, &err);
    printf("gethostbyaddr_r %d %s %d\n", rc, h ? h->h_name : "-", h ? h->h_length : 0);
}

static void echo(int fd, const char *line)
{
    char buf[256];
    size_t used = 0;
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
    if (write(fd, line, strlen(line)) < 0) {
        printf("write errno %d\n", errno);
        return;
    }
    while (used < strlen(line)) {
        ssize_t n = read(fd, buf + used, sizeof buf - 1 - used);
        if (n <= 0)
            break;
        used += (size_t)n;
    }
    buf[used] = '\0';
    printf("got %s", used ? buf : "nothing\n");
}

static int do_connect(int fd)
{
    errno = 4242;
    int rc = connect(fd, (struct sockaddr *)&dest, dest_len);
    printf("connect %d errno %d\n", rc, errno);
    return rc;
}

static void blocking(int family)
{
    int fd = socket(family, SOCK_STREAM, 0);
    if (do_connect(fd) != 0)
        return;
    peer_of(fd);
    echo(fd, "echo hello\n");
    do_connect(fd); /* EISCONN, from the kernel */
    int twin = dup(fd);
    close(fd);
    peer_of(twin);
    echo(twin, "echo twin\n");
}

/* Registered with epoll before connect: the open file description must stay the same. */
static void nonblocking(int family)
{
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK, 0), ep = epoll_create1(0), err = -1;
    struct epoll_event ev = {.events = EPOLLOUT, .data.fd = fd}, got;
    socklen_t len = sizeof err;
    int first = do_connect(fd);
    epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev);
    int n = epoll_wait(ep, &got, 1, 3000);
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len);
    printf("epoll %d fd %d so_error %d\n", n, n == 1 && got.data.fd == fd, err);
    if (first != 0)
        do_connect(fd); /* Ruby and PHP ask again: 0, then EISCONN */
    do_connect(fd);
    peer_of(fd);
    echo(fd, "echo again\n");
}

/* Bound to a device that is not loopback; `drop`: without the right to undo that. Runs as the root of a
 * network of its own. */
static void on_device(const char *dev, int drop)
{
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct none[2] = {{0, 0, 0}, {0, 0, 0}};
    struct timespec from, to;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    printf("bound %d\n", setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, dev, (socklen_t)strlen(dev)));
    if (drop)
        syscall(SYS_capset, &head, none);
    clock_gettime(CLOCK_MONOTONIC, &from);
    int rc = connect(fd, (struct sockaddr *)&dest, dest_len);
    clock_gettime(CLOCK_MONOTONIC, &to);
    printf("connect %d blocked %d\n", rc == 0 || errno == EINPROGRESS, to.tv_sec - from.tv_sec > 1);
    struct pollfd p = {fd, POLLOUT, 0};
    poll(&p, 1, 3000);
    echo(fd, "echo device\n");
}

static void epoll_before(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), ep = epoll_create1(0);
    struct epoll_event ev = {.events = EPOLLOUT | EPOLLET, .data.fd = fd}, got;
    epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev);
    epoll_wait(ep, &got, 1, 100);
    do_connect(fd);
    printf("epoll %d\n", epoll_wait(ep, &got, 1, 3000));
    echo(fd, "echo early\n");
}

static void v6only(void)
{
    int on = 1, fd = socket(AF_INET6, SOCK_STREAM, 0);
    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    do_connect(fd);
    struct sockaddr_in6 here;
    socklen_t len = sizeof here;
    char text[64];
    getsockname(fd, (struct sockaddr *)&here, &len);
    printf("local %s\n", inet_ntop(AF_INET6, &here.sin6_addr, text, sizeof text));
    peer_of(fd);
    echo(fd, "echo six\n");
}

/* TCP Fast Open: the SYN would wait for the first write, and nothing could be accepted. */
static void fast_open(void)
{
    int on = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &on, sizeof on);
    do_connect(fd);
    echo(fd, "echo fast\n");
}

/* The same inside a send: 0 by sendto, 1 by sendmsg, 2 by sendmmsg. */
static void fast_send(int by, int type)
{
    char text[] = "echo fast\n", buf[64];
    struct iovec iov = {text, sizeof text - 1};
    struct msghdr m = {.msg_name = &dest, .msg_namelen = dest_len, .msg_iov = &iov, .msg_iovlen = 1};
    int fd = socket(AF_INET, SOCK_STREAM | type, 0);
    for (int i = 0; i < 2; i++) { /* the second one: connected by now, or asked again behind EINPROGRESS */
        errno = 4242;
        struct mmsghdr one = {.msg_hdr = m};
        ssize_t n = by == 2 ? (sendmmsg(fd, &one, 1, MSG_FASTOPEN) == 1 ? (ssize_t)one.msg_len : -1)
                    : by == 1
                        ? sendmsg(fd, &m, MSG_FASTOPEN)
                        : sendto(fd, text, sizeof text - 1, MSG_FASTOPEN, (struct sockaddr *)&dest, dest_len);
        printf("sent %zd errno %d\n", n, errno);
        struct pollfd p = {fd, POLLOUT, 0};
        poll(&p, 1, 2000);
    }
    peer_of(fd);
    fcntl(fd, F_SETFL, 0);
    ssize_t n = recv(fd, buf, sizeof text - 1, MSG_WAITALL);
    buf[n > 0 ? n : 0] = '\0';
    printf("got %s", buf);
}

static void literal(const char *ip, const char *port, int type)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
    inet_pton(AF_INET, ip, &in.sin_addr);
    memcpy(&dest, &in, sizeof in);
    dest_len = sizeof in;
    int fd = socket(AF_INET, type, 0);
    if (do_connect(fd) == 0 && type == SOCK_STREAM) {
        peer_of(fd);
        echo(fd, "echo literal\n");
    } else if (type == SOCK_DGRAM) {
        send(fd, "x", 1, 0);
        poll(NULL, 0, 50);
        ssize_t n = send(fd, "x", 1, 0);
        printf("udp send %zd errno %d\n", n, errno);
    }
}

static void forked(void)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    do_connect(fd);
    echo(fd, "echo before\n");
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        int other = socket(AF_INET, SOCK_STREAM, 0);
        printf("child: ");
        do_connect(other);
        echo(other, "echo child\n");
        fflush(stdout);
        _exit(0);
    }
    int status;
    waitpid(pid, &status, 0);
    echo(fd, "echo parent\n");
    printf("child status %d\n", status);
}

static void by_name(const char *host)
{
    struct hostent *h = gethostbyname(host), in, *out = NULL;
    char text[64], buf[1024];
    int herr = 0;
    printf("gethostbyname %s %s\n", h ? h->h_name : "-", h ? inet_ntoa(*(struct in_addr *)h->h_addr) : "-");
    h = gethostbyname2(host, AF_INET6);
    printf("gethostbyname2 %s %s\n", h ? h->h_name : "-",
           h ? inet_ntop(AF_INET6, h->h_addr, text, sizeof text) : "-");
    int rc = gethostbyname_r(host, &in, buf, sizeof buf, &out, &herr);
    printf("gethostbyname_r %d %s %s\n", rc, out ? out->h_name : "-",
           out ? inet_ntoa(*(struct in_addr *)out->h_addr) : "-");
    rc = gethostbyname2_r(host, AF_INET, &in, buf, sizeof buf, &out, &herr);
    printf("gethostbyname2_r %d %s\n", rc, out ? out->h_name : "-");
    rc = gethostbyname_r(host, &in, buf, 8, &out, &herr);
    printf("small buffer %d\n", rc == ERANGE);
}

static void tell(const char *how, long rc)
{
    printf("%s %ld %d\n", how, rc, rc < 0 ? errno : 0);
}

/* As runtimes do that count on EFAULT. */
static void unreadable(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    int server = socket(AF_INET, SOCK_STREAM, 0), fd = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(server, (struct sockaddr *)&at, len) != 0 || listen(server, 1) != 0 ||
        getsockname(server, (struct sockaddr *)&at, &len) != 0 ||
        connect(fd, (struct sockaddr *)&at, len) != 0)
        return;
    void *bad = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct iovec one = {bad, 1}, two[2] = {{(char[]){"\x16"}, 1}, {bad, 1}};
    struct msghdr m = {.msg_iov = &one, .msg_iovlen = 1};
    tell("write", write(fd, bad, 9));
    tell("send", send(fd, bad, 9, 0));
    tell("writev", writev(fd, bad, 1));
    tell("pieces", writev(fd, &one, 1));
    tell("sendmsg", sendmsg(fd, &m, 0));
    tell("message", sendmsg(fd, bad, 0));
    tell("sendmmsg", sendmmsg(fd, bad, 2, 0));
    tell("recvmsg", recvmsg(fd, bad, MSG_DONTWAIT));
    tell("fastopen", sendto(socket(AF_INET, SOCK_STREAM, 0), "x", 1, MSG_FASTOPEN, bad, 16));
    tell("getpeername", getpeername(fd, (struct sockaddr *)&at, bad));
    tell("empty", write(fd, bad, 0));
    tell("rest", writev(fd, two, 2));
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "unreadable") == 0) {
        unreadable();
        return 0;
    }
    const char *what = argc > 1 ? argv[1] : "", *host = argc > 2 ? argv[2] : "api.openai.com";
    if (strcmp(what, "literal") == 0) {
        literal(host, argv[3], SOCK_STREAM);
        return 0;
    }
    if (strcmp(what, "udp") == 0) {
        literal(host, argv[3], SOCK_DGRAM);
        return 0;
    }
    if (strcmp(what, "async") == 0) {
        ask_async(host);
        return 0;
    }
    if (strcmp(what, "names") == 0) {
        by_name(host);
        return 0;
    }
    int family = strstr(what, "6") ? AF_INET6 : AF_INET;
    resolve(host, strcmp(what, "resolve") == 0 ? AF_UNSPEC : family);
    if (strncmp(what, "blocking", 8) == 0)
        blocking(family);
    else if (strncmp(what, "nonblocking", 11) == 0)
        nonblocking(family);
    else if (strcmp(what, "epoll") == 0)
        epoll_before();
    else if (strcmp(what, "v6only") == 0)
        v6only();
    else if (strcmp(what, "fastopen") == 0)
        fast_open();
    else if (strncmp(what, "fastsend", 8) == 0)
        fast_send(strstr(what, "mmsg") ? 2 : strstr(what, "msg") != NULL,
                  strstr(what, "nb") ? SOCK_NONBLOCK : 0);
    else if (strcmp(what, "fork") == 0)
        forked();
    else if (strcmp(what, "back") == 0)
        names_of();
    else if (strcmp(what, "device") == 0)
        on_device("kt0", argc > 3);
    return 0;
}
