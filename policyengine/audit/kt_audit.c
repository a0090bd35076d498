/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/audit/audit_log.h"
#include "policyengine/base/kt_log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define DEFAULT_FILE_BYTES (64u << 20)

struct kt_audit {
    char *dir; /* absolute: the program may chdir */
    uint64_t max_bytes;
    atomic_bool doubtful;  /* the last turn failed, or found no room for another event */
    _Atomic uint64_t size; /* of the log as last seen */
    _Atomic int log_fd;    /* what `room` was reserved in; -1 = a file system that reserves nothing */
    _Atomic uint64_t log_ino;
};

/* One writer per process at a time, with one set of fds. A fork may copy us in the middle of a turn of
 * another thread: the child lets go of the fds (with the lock's it would keep the lock alive) and of the
 * mutex. Nothing is taken before the fork: the engine parks its thread there, and that thread may be waiting
 * for this mutex. */
static pthread_mutex_t process_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct audit_turn turn = {.dir_fd = -1, .lock_fd = -1, .head_fd = -1, .log_fd = -1};

static void in_child(void)
{
    static const pthread_mutex_t unlocked = PTHREAD_MUTEX_INITIALIZER;
    audit_turn_forget(&turn);
    memcpy(&process_lock, &unlocked, sizeof unlocked);
}

void kt_audit_forget_fds(void)
{
    pthread_mutex_lock(&process_lock);
    audit_turn_forget(&turn);
    pthread_mutex_unlock(&process_lock);
}

static void prepare(void)
{
    pthread_atfork(NULL, NULL, in_child);
    kt_sha256_prepare();
}

/* The caller may be a thread of the program: a handler that never returns, a cancellation or SIGXFSZ must not
 * strike while we hold the lock. */
struct quiet {
    sigset_t signals;
    int cancel;
    bool file_size_pending;
};

static bool file_size_pending(void)
{
    sigset_t pending;
    return sigpending(&pending) == 0 && sigismember(&pending, SIGXFSZ) == 1;
}

static void quiet_enter(struct quiet *q)
{
    sigset_t all;
    sigfillset(&all);
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &q->cancel);
    pthread_sigmask(SIG_SETMASK, &all, &q->signals);
    pthread_mutex_lock(&process_lock);
    q->file_size_pending = file_size_pending();
}

static void quiet_leave(struct quiet *q, bool failed)
{
    pthread_mutex_unlock(&process_lock);
    if (failed && !q->file_size_pending && file_size_pending()) {
        sigset_t one;
        struct timespec now = {0, 0};
        sigemptyset(&one);
        sigaddset(&one, SIGXFSZ);
        (void)sigtimedwait(&one, NULL, &now); /* ours: the limit on file size became an error, not a death */
    }
    pthread_sigmask(SIG_SETMASK, &q->signals, NULL);
    pthread_setcancelstate(q->cancel, NULL);
}

static char *audit_dir(const char *state_dir)
{
    char *dir = NULL, here[4096];
    if (state_dir[0] == '/')
        return asprintf(&dir, "%s/audit", state_dir) < 0 ? NULL : dir;
    if (!getcwd(here, sizeof here))
        return NULL;
    return asprintf(&dir, "%s/%s/audit", here, state_dir) < 0 ? NULL : dir;
}

/* What had to be repaired goes into the log itself, in front of the event that found it. */
static kt_result write_note(const struct kt_audit *a, struct audit_turn *t, struct kt_error *err)
{
    struct kt_event note = {0};
    KT_GUARD(kt_event_new_id(note.id));
    note.timestamp_ns = kt_now_real_ns();
    note.event_type = t->note_type;
    note.message = t->note;
    note.cost_usd = -1;
    note.immutable = true;
    kt_event_fill_app(&note);
    struct kt_audit_item one = {.event = &note};
    return audit_write(t, a->max_bytes, &one, 1, err);
}

static kt_result begin(const struct kt_audit *a, struct kt_error *err)
{
    KT_GUARD(audit_turn_begin(&turn, a->dir, err));
    return turn.note_type ? write_note(a, &turn, err) : kt_ok();
}

/* At the end of a turn. */
static kt_result look_for_room(struct kt_audit *a, bool doubtful, struct kt_error *err)
{
    bool room = audit_room_make(&turn, doubtful);
    atomic_store(&a->doubtful, !room);
    atomic_store(&a->size, turn.size);
    atomic_store(&a->log_ino, (uint64_t)turn.log_st.st_ino);
    atomic_store(&a->log_fd, turn.room_to ? turn.log_fd : -1);
    return room ? kt_ok()
                : kt_fail(err, KT_ERR_IO, "audit: no room for an event in %s/" KT_AUDIT_CURRENT ": %s",
                          a->dir, strerror(errno));
}

/* One turn for all; without any only the repair and its note. The last failure, if there was one. */
static kt_result take_turn(struct kt_audit *a, struct kt_audit_item *items, size_t count,
                           struct kt_error *err)
{
    struct quiet q;
    struct kt_error ignored = {KT_OK, ""};
    quiet_enter(&q);
    kt_result r = begin(a, err);
    for (size_t i = 0; r.code != KT_OK && i < count; i++)
        items[i].result = r;
    if (r.code == KT_OK && count)
        r = audit_write(&turn, a->max_bytes, items, count, err);
    atomic_store(&a->doubtful, true);
    if (r.code == KT_OK && !kt_is_ok(look_for_room(a, false, &ignored)))
        KT_TRACE(AUDIT, "%s", ignored.text);
    audit_turn_end(&turn, r.code == KT_OK);
    quiet_leave(&q, r.code != KT_OK);
    return r;
}

/* Others write to it too, and may have taken the room, or cut the file and what was reserved behind it. The
 * fd is only looked at: should it be another file's by now, the inode tells. */
static bool room_is_left(struct kt_audit *a)
{
    struct stat st;
    int fd = atomic_load(&a->log_fd);
    if (fd < 0)
        return true;
    return fstat(fd, &st) == 0 && (uint64_t)st.st_ino == atomic_load(&a->log_ino) && st.st_nlink > 0 &&
           (uint64_t)st.st_blocks * 512 >= (uint64_t)st.st_size + AUDIT_ROOM_MIN;
}

kt_result kt_audit_ready(struct kt_audit *a, struct kt_error *err)
{
    struct quiet q;
    if (!atomic_load(&a->doubtful) && !audit_room_limited(atomic_load(&a->size)) && room_is_left(a))
        return kt_ok();
    quiet_enter(&q);
    kt_result r = begin(a, err);
    if (r.code == KT_OK)
        r = look_for_room(a, true, err);
    audit_turn_end(&turn, r.code == KT_OK);
    quiet_leave(&q, r.code != KT_OK);
    return r;
}

void kt_audit_set_fds(const struct kt_audit_fds *fds)
{
    audit_turn_set_owner(fds);
}

kt_result kt_audit_open(const char *state_dir, uint64_t max_file_bytes, struct kt_audit **out,
                        struct kt_error *err)
{
    *out = NULL;
    struct kt_audit *a = calloc(1, sizeof *a);
    if (!a)
        return kt_fail(err, KT_ERR_MEMORY, "audit: out of memory");
    pthread_once(&once, prepare);
    a->max_bytes = max_file_bytes ? max_file_bytes : DEFAULT_FILE_BYTES;
    a->dir = audit_dir(state_dir);
    /* A turn without an event says now, not at the first call, that the folder cannot be written. */
    kt_result r = a->dir ? take_turn(a, NULL, 0, err)
                         : kt_fail(err, KT_ERR_IO, "audit: no path for %s/audit", state_dir);
    if (r.code != KT_OK)
        kt_audit_free(a);
    else
        *out = a;
    return r;
}

void kt_audit_free(struct kt_audit *a)
{
    if (!a)
        return;
    pthread_mutex_lock(&process_lock);
    if (turn.dir == a->dir) {
        audit_turn_drop(&turn);
        turn.dir = NULL;
    }
    pthread_mutex_unlock(&process_lock);
    free(a->dir);
    free(a);
}

kt_result kt_audit_append(struct kt_audit *a, struct kt_event *e, struct kt_error *err)
{
    struct kt_audit_item one = {.event = e};
    kt_audit_append_all(a, &one, 1, err);
    return one.result;
}

void kt_audit_append_all(struct kt_audit *a, struct kt_audit_item *items, size_t count, struct kt_error *err)
{
    (void)!kt_is_ok(take_turn(a, items, count, err)); /* each item has its own */
    for (size_t i = 0; i < count; i++)
        KT_TRACE(AUDIT, "event %.32s: %s, seq %llu", items[i].event->id, kt_code_name(items[i].result.code),
                 (unsigned long long)items[i].event->seq);
}

bool kt_audit_busy(struct kt_audit *a)
{
    sigset_t all, old;
    bool busy = true;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    if (pthread_mutex_trylock(&process_lock) == 0) {
        busy = turn.dir == a->dir && audit_turn_busy(&turn);
        pthread_mutex_unlock(&process_lock);
    }
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return busy;
}
