/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a change of thread costs on this machine, as a floor for what a stream's chunk can: a process sends
 * its clock every PACE_US over loopback TCP, and a reader says how old it is. bench_hop    prints
 * {"direct","hop","work","early"}, microseconds, medians direct: the reader reads it. hop: a thread of the
 * reader's process passes it on by a second connection. work: that thread is busy for WORK_US before. early:
 * as work, and the reader is woken with the thread, to be awake in time.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MESSAGES 2000
#define BYTES 200 /* of a chunk */
#define PACE_US 400
#define WORK_US 12

enum mode { DIRECT, HOP, WORK, EARLY, MODES };

struct hop {
    int in, out;
    double work_us;
};

static double now_us(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

/* ends[0] reads what ends[1] writes, as a client and a server on loopback. */
static bool connection(int ends[2])
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
    ends[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool up = bind(listener, (struct sockaddr *)&at, len) == 0 && listen(listener, 1) == 0 &&
              getsockname(listener, (struct sockaddr *)&at, &len) == 0 &&
              connect(ends[0], (struct sockaddr *)&at, len) == 0;
    ends[1] = up ? accept(listener, NULL, NULL) : -1;
    close(listener);
    for (int i = 0; i < 2 && ends[1] >= 0; i++)
        setsockopt(ends[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return ends[1] >= 0;
}

static void *pass_on(void *arg)
{
    const struct hop *h = arg;
    char message[BYTES];
    int epfd = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event ev = {.events = EPOLLIN};
    epoll_ctl(epfd, EPOLL_CTL_ADD, h->in, &ev);
    while (epoll_wait(epfd, &ev, 1, -1) == 1 && recv(h->in, message, BYTES, MSG_WAITALL) == BYTES) {
        for (double began = now_us(); now_us() - began < h->work_us;)
            ;
        if (send(h->out, message, BYTES, MSG_NOSIGNAL) != BYTES)
            break;
    }
    close(epfd);
    shutdown(h->out, SHUT_WR);
    return NULL;
}

static void feed(int fd)
{
    char message[BYTES] = "";
    for (int i = 0; i < MESSAGES; i++) {
        usleep(PACE_US);
        double now = now_us();
        memcpy(message, &now, sizeof now);
        if (send(fd, message, BYTES, MSG_NOSIGNAL) != BYTES)
            break;
    }
    _exit(0);
}

/* Wakes up with the thread that works, and looks again and again for at most 60 us. */
static void wake_early(int mine, int its)
{
    struct pollfd fds[2] = {{.fd = mine, .events = POLLIN}, {.fd = its, .events = POLLIN}};
    poll(fds, 2, -1);
    for (double began = now_us(); !(fds[0].revents & POLLIN) && now_us() - began < 60;)
        poll(fds, 1, 0);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double read_all(enum mode mode, int fd, int before)
{
    static double ages[MESSAGES];
    char message[BYTES];
    size_t n = 0;
    while (n < MESSAGES) {
        if (mode == EARLY)
            wake_early(fd, before);
        if (recv(fd, message, BYTES, MSG_WAITALL) != BYTES)
            break;
        double sent;
        memcpy(&sent, message, sizeof sent);
        ages[n++] = now_us() - sent;
    }
    qsort(ages, n, sizeof ages[0], by_value);
    return n == MESSAGES ? ages[n / 2] : -1;
}

static double measure(enum mode mode)
{
    int up[2], down[2] = {-1, -1};
    pthread_t thread;
    if (!connection(up) || (mode != DIRECT && !connection(down)))
        return -1;
    pid_t child = fork();
    if (child == 0)
        feed(up[1]);
    close(up[1]);
    struct hop hop = {up[0], down[1], mode == HOP ? 0 : WORK_US};
    bool passed = child > 0 && mode != DIRECT && pthread_create(&thread, NULL, pass_on, &hop) == 0;
    double age = child > 0 ? read_all(mode, mode == DIRECT ? up[0] : down[0], up[0]) : -1;
    if (child > 0)
        waitpid(child, NULL, 0);
    if (passed)
        pthread_join(thread, NULL);
    close(up[0]);
    for (int i = 0; i < 2 && mode != DIRECT; i++)
        close(down[i]);
    return age;
}

int main(void)
{
    static const char *const names[MODES] = {"direct", "hop", "work", "early"};
    signal(SIGPIPE, SIG_IGN);
    for (int m = 0; m < MODES; m++) {
        double age = measure((enum mode)m);
        if (age < 0) {
            fprintf(stderr, "bench_hop: %s failed\n", names[m]);
            return 1;
        }
        printf("%s\"%s\": %.1f", m ? ", " : "{", names[m], age);
    }
    puts("}");
    return 0;
}
