/* SPDX-License-Identifier: Apache-2.0 */
/* Files for programs without the shim: /etc/hosts, which they read before they ask a name server, and the
 * system's roots. */
#include "tools/supervise/private.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define HOSTS "/etc/hosts"
#define PATH_SEEN 128 /* longer ones are not what we serve */
#define HOSTS_MAX (1u << 20)

/* The file as the process would see it: it may live in a folder or a mount namespace of its own. */
static void read_hosts(pid_t tid, struct kt_buf *out)
{
    char path[64], chunk[4096];
    ssize_t n;
    snprintf(path, sizeof path, "/proc/%d/root" HOSTS, (int)tid);
    KT_CLEANUP(kt_cleanup_fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    while (fd >= 0 && (n = read(fd, chunk, sizeof chunk)) > 0)
        if (!kt_is_ok(kt_buf_append(out, chunk, (size_t)n)))
            return;
}

/* In memory, or where that is forbidden (filters of containers) beside the plan, without a name; -1. */
static int nameless_file(const char *plan)
{
    char folder[PATH_MAX];
    int fd = memfd_create("hosts", MFD_CLOEXEC);
    const char *slash = fd < 0 && plan ? strrchr(plan, '/') : NULL;
    if (!slash || snprintf(folder, sizeof folder, "%.*s", (int)(slash - plan), plan) >= (int)sizeof folder)
        return fd;
    return open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0400);
}

/* A read-only file of nobody else; -1. */
static int make_file(const struct kt_supervise *s, struct kt_span text)
{
    char path[64];
    KT_CLEANUP(kt_cleanup_fd) int fd = nameless_file(s->o.plan);
    if (fd < 0)
        return -1;
    for (size_t at = 0; at < text.len;) {
        ssize_t n = write(fd, text.data + at, text.len - at);
        if (n <= 0)
            return -1;
        at += (size_t)n;
    }
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return open(path, O_RDONLY | O_CLOEXEC);
}

static bool give(const struct kt_supervise *s, const struct seccomp_notif *n, int fd, unsigned flags)
{
    struct seccomp_notif_addfd a = {.id = n->id,
                                    .flags = SECCOMP_ADDFD_FLAG_SEND,
                                    .srcfd = (uint32_t)fd,
                                    .newfd_flags = flags & O_CLOEXEC};
    return ioctl(s->listener, SECCOMP_IOCTL_NOTIF_ADDFD, &a) >= 0;
}

/* The hosts as this process must see them; -1. */
static int hosts_for(struct kt_supervise *s, pid_t tid)
{
    KT_CLEANUP(kt_buf_free) struct kt_buf real = KT_BUF_INIT(HOSTS_MAX), text = KT_BUF_INIT(2 * HOSTS_MAX);
    read_hosts(tid, &real);
    pthread_mutex_lock(&s->lock);
    kt_result made = names_hosts_file(&s->names, kt_buf_span(&real), &text);
    pthread_mutex_unlock(&s->lock);
    return made.code == KT_OK ? make_file(s, kt_buf_span(&text)) : -1;
}

/* The system's roots and our CA, where `path` is the file of those roots; -1. */
static int roots_for(struct kt_supervise *s, const char *path)
{
    char bundle[PATH_MAX] = "";
    pthread_mutex_lock(&s->lock);
    if (kt_span_eq(names_word(&s->names, "roots_from"), path)) {
        struct kt_span b = names_word(&s->names, "bundle");
        snprintf(bundle, sizeof bundle, "%.*s", (int)b.len, b.data);
    }
    pthread_mutex_unlock(&s->lock);
    return bundle[0] ? open(bundle, O_RDONLY | O_CLOEXEC) : -1;
}

/* The shim answers for its process, and its engine must find the real files; it calls through libc. */
static bool is_the_shims(const struct seccomp_notif *n)
{
    bool known;
    if (n->data.instruction_pointer >> 32 < filter_mmap_area())
        return false;
    return target_has_shim((pid_t)n->pid, &known) || !known;
}

static void say_unseen(struct kt_supervise *s, const struct seccomp_notif *n)
{
    static const char detail[] =
        "a program looks names up by itself, and no /etc/hosts with ours can be made for "
        "it: its calls are not seen";
    if (answer_is_news(s, n, detail))
        supervise_report_of(s, (pid_t)n->pid, true, NULL, detail);
}

struct answer answer_open(struct kt_supervise *s, const struct seccomp_notif *n, unsigned path,
                          unsigned flags)
{
    const struct answer go_on = {ANSWER_CONTINUE, 0};
    char name[PATH_SEEN];
    pid_t tid = (pid_t)n->pid;
    size_t got = target_read(tid, n->data.args[path], name, sizeof name);
    if (got == 0 || !memchr(name, '\0', got) || strncmp(name, "/etc/", 5) != 0 || is_the_shims(n))
        return go_on;
    bool hosts = strcmp(name, HOSTS) == 0;
    KT_CLEANUP(kt_cleanup_fd) int fd = hosts ? hosts_for(s, tid) : roots_for(s, name);
    if (fd < 0 && hosts && !s->o.strict) /* strict looks at every connect */
        say_unseen(s, n);
    if (fd < 0 || !give(s, n, fd, (unsigned)n->data.args[flags]))
        return go_on;
    return (struct answer){ANSWER_SENT, 0};
}
