/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/config/kt_secret_run.h"

#include "policyengine/base/kt_environ.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000ull
#define RETRY_NS (30 * SECOND)
#define SIGNALLED 128 /* $? of a signal is its number more; programs and ssh end with 255 by themselves */
#define SIGNALS 64
enum {
    STATUS_FILENO = STDERR_FILENO + 1,
    STACK_BYTES = 64 * 1024,
    HIGH_FD = 512,
    SLICE_NS = 5 * 1000 * 1000
};

enum phase { IDLE, GOING, DONE };

struct kt_secret_run {
    pthread_mutex_t lock;
    enum phase phase;
    pid_t pid, owner; /* a fork of the program inherits neither child nor result */
    int fd;           /* what it prints */
    int status_fd;    /* how it ended, in digits */
    uint64_t limit_ns;
    uint64_t end_ns; /* GOING: when it is stopped; DONE without a key: when to try again */
    bool ended, is_child;
    int status; /* as a shell has it in $?; -1 = it did not live to say so */
    bool closed, too_long;
    struct kt_buf out;
    char *secret;        /* DONE; NULL = failed */
    struct kt_error err; /* DONE without a key */
};

struct kt_secret_run *kt_secret_run_new(uint64_t limit_ns)
{
    struct kt_secret_run *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    pthread_mutex_init(&r->lock, NULL);
    r->limit_ns = limit_ns;
    r->fd = r->status_fd = -1;
    r->out = (struct kt_buf)KT_BUF_INIT(KT_SECRET_MAX + 2);
    return r;
}

/* ---- start ---- */

static bool is_ours(const char *entry)
{
    return strncmp(entry, "LD_PRELOAD=", 11) == 0 || strncmp(entry, "KT_", 3) == 0;
}

/* new array of borrowed entries. */
static char **child_env(void)
{
    size_t n = 0, used = 0;
    kt_environ_lock();
    while (environ && environ[n])
        n++;
    char **env = calloc(n + 1, sizeof *env);
    for (size_t i = 0; env && i < n && environ[i]; i++)
        if (!is_ours(environ[i]))
            env[used++] = environ[i];
    kt_environ_unlock();
    return env;
}

/* Every signal as a fresh program finds it, whatever the host and our own threads did. */
static int set_attributes(posix_spawnattr_t *attr)
{
    sigset_t all, none;
    sigfillset(&all);
    sigdelset(&all, SIGKILL);
    sigdelset(&all, SIGSTOP);
    sigemptyset(&none);
    int rc = posix_spawnattr_setsigdefault(attr, &all);
    rc = rc ? rc : posix_spawnattr_setsigmask(attr, &none);
    return rc ? rc
              : posix_spawnattr_setflags(attr,
                                         POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
}

static int set_files(posix_spawn_file_actions_t *files, int out, int status)
{
    int rc = posix_spawn_file_actions_addopen(files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    rc = rc ? rc : posix_spawn_file_actions_adddup2(files, out, STDOUT_FILENO);
    rc = rc ? rc : posix_spawn_file_actions_addopen(files, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    rc = rc ? rc : posix_spawn_file_actions_adddup2(files, status, STATUS_FILENO);
    return rc ? rc : posix_spawn_file_actions_addclosefrom_np(files, STATUS_FILENO + 1);
}

/* Our child would be one of the program: its SIGCHLD, a result of its wait(). So it is that of a process
 * between the two, which ends at once, sends no signal at its end and is seen by those only who ask for such
 * (__WCLONE).
 */
struct spawning {
    pid_t pid;
    bool is_child; /* of ours */
    int rc;
    const posix_spawn_file_actions_t *files;
    const posix_spawnattr_t *attr;
    char **argv, **env;
};

/* In the memory of our thread, which stands still meanwhile. */
static int between(void *arg)
{
    struct spawning *s = arg;
    s->rc = posix_spawn(&s->pid, "/bin/sh", s->files, s->attr, s->argv, s->env);
    syscall(SYS_exit, 0);
    return 0;
}

static int say_shared(void *arg)
{
    *(volatile bool *)arg = true;
    syscall(SYS_exit, 0);
    return 0;
}

static bool run_apart(int (*fn)(void *), char *stack, void *arg)
{
    pid_t pid = clone(fn, stack + STACK_BYTES, CLONE_VM | CLONE_VFORK, arg);
    while (pid > 0 && waitpid(pid, NULL, __WALL) < 0 && errno == EINTR)
        ;
    return pid > 0;
}

/* ThreadSanitizer, which may be the program's, takes such a clone for a fork and dies of it. */
extern void __tsan_init(void) __attribute__((weak));

/* Where the clone is refused (a filter of the program's), or made without the memory (Valgrind), the shell is
 * a child like any other. */
static void spawn_apart(struct spawning *s)
{
    KT_CLEANUP(kt_cleanup_free) char *stack = &__tsan_init ? NULL : malloc(STACK_BYTES);
    bool shared = false;
    s->is_child =
        !stack || !run_apart(say_shared, stack, &shared) || !shared || !run_apart(between, stack, s);
    if (s->is_child)
        s->rc = posix_spawn(&s->pid, "/bin/sh", s->files, s->attr, s->argv, s->env);
}

/* Nobody can wait for it, so a shell around it tells how it ended. */
static int spawn(struct kt_secret_run *r, const char *command, int out, int status)
{
    static const char around[] = "/bin/sh -c \"$1\" 3>&-; echo $? >&3";
    KT_CLEANUP(kt_cleanup_free) char **env = child_env();
    KT_CLEANUP(kt_cleanup_free) char *script = strdup(around), *copy = strdup(command);
    char *argv[] = {(char[]){"sh"}, (char[]){"-c"}, script, (char[]){"sh"}, copy, NULL};
    posix_spawnattr_t attr;
    posix_spawn_file_actions_t files;
    struct spawning s = {.files = &files, .attr = &attr, .argv = argv, .env = env};
    if (!env || !script || !copy)
        return ENOMEM;
    posix_spawnattr_init(&attr);
    posix_spawn_file_actions_init(&files);
    s.rc = set_attributes(&attr);
    s.rc = s.rc ? s.rc : set_files(&files, out, status);
    if (s.rc == 0)
        spawn_apart(&s);
    r->pid = s.pid;
    r->is_child = s.is_child;
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attr);
    return s.rc;
}

/* Low numbers belong to the program, which may close them in a loop. */
static int high(int fd)
{
    int moved = fcntl(fd, F_DUPFD_CLOEXEC, HIGH_FD);
    if (moved < 0)
        return fd;
    close(fd);
    return moved;
}

static void drop_fds(struct kt_secret_run *r)
{
    if (r->fd >= 0)
        close(r->fd);
    if (r->status_fd >= 0)
        close(r->status_fd);
    r->fd = r->status_fd = -1;
}

/* It has said that it ends, or was killed. */
static void drop_output(struct kt_secret_run *r)
{
    drop_fds(r);
    while (r->is_child && r->pid > 0 && waitpid(r->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    r->pid = 0;
    kt_buf_wipe_free(&r->out);
}

static void failed(struct kt_secret_run *r, enum kt_code code, const char *what)
{
    kt_fail(&r->err, code, "secret_key_ref.command %s", what);
    r->phase = DONE;
    r->end_ns = kt_now_mono_ns() + RETRY_NS;
}

/* Our end only reads without waiting. */
static bool open_pipe(int ends[2], int *ours)
{
    if (pipe2(ends, O_CLOEXEC) != 0) {
        ends[1] = -1;
        return false;
    }
    *ours = high(ends[0]);
    fcntl(*ours, F_SETFL, O_NONBLOCK);
    /* Not one of those that the shell's own are put upon. */
    ends[1] = high(ends[1]);
    return true;
}

static void start(struct kt_secret_run *r, const char *command)
{
    int out[2] = {-1, -1}, status[2] = {-1, -1}, rc = EMFILE;
    /* Once at its full size: growing would leave copies of the key behind in freed memory. */
    bool ready = kt_is_ok(kt_buf_reserve(&r->out, KT_SECRET_MAX + 2)) && open_pipe(out, &r->fd) &&
                 open_pipe(status, &r->status_fd);
    if (ready)
        rc = spawn(r, command, out[1], status[1]);
    if (out[1] >= 0)
        close(out[1]);
    if (status[1] >= 0)
        close(status[1]);
    r->owner = getpid();
    r->ended = r->closed = r->too_long = false;
    r->status = -1;
    r->end_ns = kt_now_mono_ns() + r->limit_ns;
    r->phase = GOING;
    if (rc == 0)
        return;
    drop_output(r);
    failed(r, KT_ERR_NOTFOUND,
           ready ? "cannot be started: /bin/sh cannot be run"
                 : "cannot be started: no memory or no file descriptor is left");
}

/* ---- on the way ---- */

static void take_output(struct kt_secret_run *r)
{
    while (!r->closed && !r->too_long) {
        char piece[1024];
        ssize_t n = read(r->fd, piece, sizeof piece);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return;
        r->closed = n <= 0;
        if (n > 0 && !kt_is_ok(kt_buf_append(&r->out, piece, (size_t)n)))
            r->too_long = true;
        kt_wipe(piece, sizeof piece);
    }
}

/* One line; without it somebody killed the shell. Never waits. */
static void take_status(struct kt_secret_run *r)
{
    char line[16];
    if (r->ended)
        return;
    ssize_t n = read(r->status_fd, line, sizeof line - 1);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
        return;
    line[n > 0 ? n : 0] = '\0';
    r->ended = true;
    if (n > 0)
        r->status = (int)strtol(line, NULL, 10);
}

/* Its session: what it started goes too. */
static void kill_it(struct kt_secret_run *r)
{
    if (!r->ended && r->pid > 1) /* 0 and 1 would be others */
        kill(-r->pid, SIGKILL);
    r->ended = true;
}

static void conclude(struct kt_secret_run *r)
{
    char *secret = NULL;
    r->phase = DONE;
    if (r->status != 0) {
        char what[64] = "was ended by a signal";
        if (r->status > 0 && (r->status <= SIGNALLED || r->status > SIGNALLED + SIGNALS)) {
            struct kt_error text = {KT_OK, ""};
            kt_fail(&text, KT_OK, "exited with status %d", r->status);
            memcpy(what, text.text, sizeof what - 1);
        }
        failed(r, KT_ERR_NOTFOUND, what);
    } else if (!kt_is_ok(kt_secret_accept(r->out.len ? r->out.data : "", r->out.len, "the output of",
                                          "secret_key_ref.command", &secret, &r->err))) {
        r->end_ns = kt_now_mono_ns() + RETRY_NS;
    }
    r->secret = secret;
    drop_output(r);
}

/* A copy of the program: the child and its output belong to the original. The descriptors are not closed,
 * their numbers may be somebody else's by now. */
static void forget_parents_run(struct kt_secret_run *r)
{
    r->fd = r->status_fd = -1;
    kt_buf_wipe_free(&r->out);
    r->phase = IDLE;
}

/* True while under way; `again`: a failure may be tried anew. The lock is held. */
static bool step(struct kt_secret_run *r, const char *command, bool again)
{
    if (r->phase == GOING && r->owner != getpid())
        forget_parents_run(r);
    if (r->phase == IDLE || (again && r->phase == DONE && !r->secret && kt_now_mono_ns() >= r->end_ns))
        start(r, command);
    if (r->phase != GOING)
        return false;
    take_status(r); /* before the output, so that nothing printed before its end is missed */
    take_output(r);
    bool late = kt_now_mono_ns() >= r->end_ns;
    if (r->too_long || (late && !r->ended)) {
        kill_it(r);
        drop_output(r);
        failed(r, r->too_long ? KT_ERR_LIMIT : KT_ERR_NOTFOUND,
               r->too_long ? "prints more than 16 KiB" : "takes too long (10 seconds are allowed)");
        return false;
    }
    if (!r->ended)
        return true;
    conclude(r);
    return false;
}

static bool locked_step(struct kt_secret_run *r, const char *command, bool again)
{
    pthread_mutex_lock(&r->lock);
    bool going = step(r, command, again);
    pthread_mutex_unlock(&r->lock);
    return going;
}

bool kt_secret_run_step(struct kt_secret_run *r, const char *command)
{
    return locked_step(r, command, true);
}

static kt_result result(struct kt_secret_run *r, char **out, struct kt_error *err)
{
    if (!r->secret) {
        if (err)
            *err = r->err;
        return kt_err(r->err.code ? r->err.code : KT_ERR_NOTFOUND);
    }
    *out = strdup(r->secret);
    return *out ? kt_ok() : kt_fail(err, KT_ERR_MEMORY, "out of memory");
}

kt_result kt_secret_run_get(struct kt_secret_run *r, const char *command, char **out, struct kt_error *err)
{
    const struct timespec slice = {0, SLICE_NS};
    while (locked_step(r, command, false))
        nanosleep(&slice, NULL);
    pthread_mutex_lock(&r->lock);
    kt_result got = result(r, out, err);
    pthread_mutex_unlock(&r->lock);
    return got;
}

void kt_secret_run_free(struct kt_secret_run *r)
{
    if (!r)
        return;
    if (r->phase == GOING && r->owner == getpid()) {
        kill_it(r);
        drop_output(r);
    }
    kt_buf_wipe_free(&r->out);
    kt_free_secret(r->secret);
    pthread_mutex_destroy(&r->lock);
    free(r);
}
