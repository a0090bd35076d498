/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/supervise/filter.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#else
#error "the supervise lane knows x86-64 and aarch64"
#endif

/* Linux 5.19: a signal does not interrupt a call that we are serving. */
#define FLAG_WAIT_KILLABLE (1u << 5)

#define NR offsetof(struct seccomp_data, nr)
#define LOW(i) (offsetof(struct seccomp_data, args) + 8u * (i))
#define HIGH(i) (LOW(i) + 4)
#define IP_LOW offsetof(struct seccomp_data, instruction_pointer)
#define IP_HIGH (IP_LOW + 4)

/* A constant path lies near the code that opens it: further away than this only in huge images. */
#define NEAR (8u << 20)

static void op(struct filter *f, unsigned code, uint32_t k, unsigned jt, unsigned jf)
{
    if (f->len < FILTER_MAX)
        f->op[f->len++] = (struct sock_filter){(uint16_t)code, (uint8_t)jt, (uint8_t)jf, k};
}

static void load(struct filter *f, size_t at)
{
    op(f, BPF_LD | BPF_W | BPF_ABS, (uint32_t)at, 0, 0);
}

static void ret(struct filter *f, uint32_t what)
{
    op(f, BPF_RET | BPF_K, what, 0, 0);
}

static void allow_if(struct filter *f, unsigned jump, uint32_t k)
{
    op(f, BPF_JMP | jump | BPF_K, k, 0, 1);
    ret(f, SECCOMP_RET_ALLOW);
}

/* Begins a block that runs only for one system call; the accumulator holds its number, in and out. */
static unsigned begin(struct filter *f, int nr)
{
    op(f, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)nr, 0, 0);
    return f->len - 1u;
}

static void end(struct filter *f, unsigned at)
{
    f->op[at].jf = (uint8_t)(f->len - at - 1u);
}

static void notify(struct filter *f, int nr)
{
    unsigned b = begin(f, nr);
    ret(f, SECCOMP_RET_USER_NOTIF);
    end(f, b);
}

static void on_sendto(struct filter *f)
{
    unsigned b = begin(f, SYS_sendto);
    load(f, LOW(4));
    op(f, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0);
    ret(f, SECCOMP_RET_USER_NOTIF);
    load(f, HIGH(4));
    allow_if(f, BPF_JEQ, 0);
    ret(f, SECCOMP_RET_USER_NOTIF);
    end(f, b);
}

/* A connect inside a send: the address lies in memory, but only this flag makes it one. */
static void on_fast_open(struct filter *f, int nr, unsigned flags)
{
    unsigned b = begin(f, nr);
    load(f, LOW(flags));
    op(f, BPF_JMP | BPF_JSET | BPF_K, MSG_FASTOPEN, 1, 0);
    ret(f, SECCOMP_RET_ALLOW);
    ret(f, SECCOMP_RET_USER_NOTIF);
    end(f, b);
}

/* Libraries and programs with an interpreter lie in the area of mmap, whose top is the same for all processes
 * but for its random part. */
uint32_t filter_mmap_area(void)
{
    return (uint32_t)((uint64_t)(uintptr_t)&strerror >> 32) - 0x200;
}

/* /etc/hosts is a constant in whatever opens it, and so lies near the code that makes the call: few other
 * paths do. Static programs lie below the area of mmap, all but those with a random place. */
static void on_open(struct filter *f, int nr, unsigned path, unsigned flags)
{
    unsigned b = begin(f, nr);
    load(f, LOW(flags));
    op(f, BPF_ALU | BPF_AND | BPF_K, O_ACCMODE | O_CREAT | O_DIRECTORY | O_PATH, 0, 0);
    op(f, BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0);
    ret(f, SECCOMP_RET_ALLOW);
    load(f, IP_HIGH);
    op(f, BPF_JMP | BPF_JGE | BPF_K, filter_mmap_area(), 1, 0);
    ret(f, SECCOMP_RET_USER_NOTIF);
    op(f, BPF_MISC | BPF_TAX, 0, 0, 0);
    load(f, HIGH(path));
    op(f, BPF_JMP | BPF_JEQ | BPF_X, 0, 1, 0);
    ret(f, SECCOMP_RET_ALLOW);
    load(f, IP_LOW);
    op(f, BPF_MISC | BPF_TAX, 0, 0, 0);
    load(f, LOW(path));
    op(f, BPF_ALU | BPF_SUB | BPF_X, 0, 0, 0);
    op(f, BPF_ALU | BPF_ADD | BPF_K, NEAR, 0, 0);
    allow_if(f, BPF_JGE, 2 * NEAR);
    ret(f, SECCOMP_RET_USER_NOTIF);
    end(f, b);
}

/* 32-bit programs: their own numbers, and socketcall hides its arguments. */
static void on_foreign(struct filter *f, bool strict)
{
    load(f, NR);
#if defined(__x86_64__)
    if (strict) {
        notify(f, 102); /* socketcall */
        notify(f, 362); /* connect */
        notify(f, 369); /* sendto */
        notify(f, 345); /* sendmmsg */
        notify(f, 370); /* sendmsg */
        notify(f, 425); /* io_uring_setup */
    }
#else
    (void)strict;
#endif
    ret(f, SECCOMP_RET_ALLOW);
}

void filter_build(bool strict, struct filter *f)
{
    f->len = 0;
    load(f, offsetof(struct seccomp_data, arch));
    op(f, BPF_JMP | BPF_JEQ | BPF_K, ARCH, 0, 0);
    unsigned native = f->len - 1u;
    on_foreign(f, strict);
    f->op[native].jt = (uint8_t)(f->len - native - 1u);
    load(f, NR);
#if defined(__x86_64__)
    if (strict) { /* x32: the same calls by other numbers */
        op(f, BPF_JMP | BPF_JGE | BPF_K, 0x40000000u, 0, 1);
        ret(f, SECCOMP_RET_ERRNO | ENOSYS);
    }
    on_open(f, SYS_open, 0, 1);
#endif
    notify(f, SYS_connect); /* also those with the length of a Unix address: it proves nothing */
    on_sendto(f);
    on_open(f, SYS_openat, 1, 2);
    if (strict) {
        notify(f, SYS_sendmsg);
        notify(f, SYS_sendmmsg);
        notify(f, SYS_io_uring_setup);
    } else {
        on_fast_open(f, SYS_sendmsg, 2);
        on_fast_open(f, SYS_sendmmsg, 3);
    }
    ret(f, SECCOMP_RET_ALLOW);
}

static int install(const struct sock_fprog *p)
{
    unsigned flags = SECCOMP_FILTER_FLAG_NEW_LISTENER;
    long fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags | FLAG_WAIT_KILLABLE, p);
    if (fd < 0 && errno == EINVAL)
        fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, p);
    return (int)fd;
}

int filter_install(const struct filter *f)
{
    struct sock_fprog p = {f->len, (struct sock_filter *)(uintptr_t)f->op};
    int fd = install(&p);
    if (fd >= 0 || errno != EACCES)
        return fd;
    /* Not privileged: the kernel wants our word that nothing below us will be. */
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return -1;
    return install(&p);
}
