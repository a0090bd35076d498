/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/config/kt_secret_run.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000ull
#define RETRY_NS (30 * SECOND)
enum { HIGH_FD = 512, SLICE_NS = 5 * 1000 * 1000 };

enum phase { IDLE, GOING, DONE };

struct kt_secret_run {
    pthread_mutex_t lock;
    enum phase phase;
    pid_t pid, owner; /* a fork of the program inherits neither child nor result */
    int fd;           /* what it prints */
    uint64_t limit_ns;
    uint64_t end_ns; /* GOING: when it is stopped; DONE without a key: when to try again */
    bool ended;      /* collected, or collected by somebody else */
    int status;      /* of waitpid; -1 = not known */
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
    r->fd = -1;
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
    while (environ && environ[n])
        n++;
    char **env = calloc(n + 1, sizeof *env);
    for (size_t i = 0; env && i < n && environ[i]; i++)
        if (!is_ours(environ[i]))
            env[used++] = environ[i];
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

static int set_files(posix_spawn_file_actions_t *files, int out)
{
    int rc = posix_spawn_file_actions_addopen(files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    rc = rc ? rc : posix_spawn_file_actions_adddup2(files, out, STDOUT_FILENO);
    rc = rc ? rc : posix_spawn_file_actions_addopen(files, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    return rc ? rc : posix_spawn_file_actions_addclosefrom_np(files, STDERR_FILENO + 1);
}

static int spawn(struct kt_secret_run *r, const char *command, int out)
{
    char *argv[] = {(char[]){"sh"}, (char[]){"-c"}, NULL, NULL};
    KT_CLEANUP(kt_cleanup_free) char **env = child_env();
    KT_CLEANUP(kt_cleanup_free) char *copy = strdup(command);
    posix_spawnattr_t attr;
    posix_spawn_file_actions_t files;
    if (!env || !copy)
        return ENOMEM;
    argv[2] = copy;
    posix_spawnattr_init(&attr);
    posix_spawn_file_actions_init(&files);
    int rc = set_attributes(&attr);
    rc = rc ? rc : set_files(&files, out);
    rc = rc ? rc : posix_spawn(&r->pid, "/bin/sh", &files, &attr, argv, env);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attr);
    return rc;
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

static void drop_output(struct kt_secret_run *r)
{
    if (r->fd >= 0)
        close(r->fd);
    r->fd = -1;
    kt_buf_wipe_free(&r->out);
}

static void failed(struct kt_secret_run *r, enum kt_code code, const char *what)
{
    kt_fail(&r->err, code, "secret_key_ref.command %s", what);
    r->phase = DONE;
    r->end_ns = kt_now_mono_ns() + RETRY_NS;
}

static void start(struct kt_secret_run *r, const char *command)
{
    int ends[2];
    /* Once at its full size: growing would leave copies of the key behind in freed memory. */
    if (!kt_is_ok(kt_buf_reserve(&r->out, KT_SECRET_MAX + 2)) || pipe2(ends, O_CLOEXEC) != 0) {
        failed(r, KT_ERR_NOTFOUND, "cannot be started: no memory or no file descriptor is left");
        return;
    }
    r->fd = high(ends[0]);
    fcntl(r->fd, F_SETFL, O_NONBLOCK); /* our end only */
    int rc = spawn(r, command, ends[1]);
    close(ends[1]);
    r->owner = getpid();
    r->ended = r->closed = r->too_long = false;
    r->status = -1;
    r->end_ns = kt_now_mono_ns() + r->limit_ns;
    r->phase = GOING;
    if (rc == 0)
        return;
    drop_output(r);
    failed(r, KT_ERR_NOTFOUND, "cannot be started: /bin/sh cannot be run");
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

/* Never any other child than ours, never waiting. */
static void take_status(struct kt_secret_run *r)
{
    int status = 0;
    if (r->ended)
        return;
    pid_t got = waitpid(r->pid, &status, WNOHANG);
    if (got == r->pid) {
        r->ended = true;
        r->status = status;
    } else if (got < 0 && errno == ECHILD) {
        r->ended = true; /* the program collects all children, or ignores SIGCHLD */
    }
}

static void kill_it(struct kt_secret_run *r)
{
    if (r->ended)
        return;
    kill(-r->pid, SIGKILL); /* its session: what it started goes too */
    while (waitpid(r->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    r->ended = true;
}

static void conclude(struct kt_secret_run *r)
{
    char *secret = NULL;
    r->phase = DONE;
    if (r->status != -1 && !(WIFEXITED(r->status) && WEXITSTATUS(r->status) == 0)) {
        char what[64] = "was ended by a signal";
        if (WIFEXITED(r->status)) {
            struct kt_error text = {KT_OK, ""};
            kt_fail(&text, KT_OK, "exited with status %d", WEXITSTATUS(r->status));
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

/* A copy of the program: the child and its output belong to the original. The descriptor is not closed, its
 * number may be somebody else's by now. */
static void forget_parents_run(struct kt_secret_run *r)
{
    r->fd = -1;
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
