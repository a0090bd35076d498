/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/audit/audit_log.h"
#include "policyengine/base/kt_log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define DEFAULT_FILE_BYTES (64u << 20)
#define LINE_USUAL 2040u /* bytes of most lines, with the buffer's own end a round number */

struct kt_audit {
    char *dir; /* absolute: the program may chdir */
    uint64_t max_bytes;
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

/* The whole line with its newline; `next` receives number and hash. */
static kt_result build_line(struct kt_event *e, struct kt_buf *line, struct audit_head *next)
{
    KT_GUARD(kt_buf_reserve(line, LINE_USUAL)); /* it grows once, not four times */
    KT_GUARD(kt_event_canonical(e, line));
    KT_GUARD(kt_sha256_hex(line->data, line->len, next->hash));
    next->seq = e->seq;
    if (e->immutable)
        KT_GUARD(kt_buf_printf(line, ",\"hash\":\"%s\"", next->hash));
    return kt_buf_puts(line, "}\n");
}

/* Line and head, or neither. */
static kt_result store(struct audit_turn *t, const struct kt_buf *line, const struct audit_head *next,
                       struct kt_error *err)
{
    kt_result r = kt_write_all(t->log_fd, line->data, line->len);
    if (r.code == KT_OK)
        r = audit_head_write(t->head_fd, next);
    if (r.code == KT_OK) {
        t->head = *next;
        t->size = next->bytes;
        return r;
    }
    int cause = errno;
    if (ftruncate(t->log_fd, (off_t)t->size) != 0)
        kt_warn("audit: %s: half a line could not be taken back: %s", t->dir, strerror(errno));
    return kt_fail(err, KT_ERR_IO, "audit: cannot append to %s/" KT_AUDIT_CURRENT ": %s", t->dir,
                   strerror(cause));
}

static kt_result write_event(const struct kt_audit *a, struct audit_turn *t, struct kt_event *e,
                             struct kt_error *err)
{
    KT_CLEANUP(kt_buf_free) struct kt_buf line = KT_BUF_INIT(KT_AUDIT_LINE_MAX);
    struct audit_head next = t->head;
    struct kt_event numbered = *e;
    numbered.seq = t->head.seq + 1;
    numbered.prev_hash = t->head.hash;
    kt_result r = build_line(&numbered, &line, &next);
    if (r.code != KT_OK)
        return kt_fail(err, r.code, "audit: cannot form the event: %s", kt_code_name(r.code));
    if (t->size > 0 && t->size + line.len > a->max_bytes) {
        if (audit_rotate(t).code != KT_OK)
            kt_warn("audit: %s: no new file could be started (%s); the old one grows on", t->dir,
                    strerror(errno));
        next.first_seq = t->head.first_seq;
    }
    next.bytes = t->size + line.len;
    KT_GUARD(store(t, &line, &next, err));
    e->seq = numbered.seq;
    return kt_ok();
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
    return write_event(a, t, &note, err);
}

/* One turn; without `e` only the repair and its note. */
static kt_result take_turn(const struct kt_audit *a, struct kt_event *e, struct kt_error *err)
{
    struct quiet q;
    quiet_enter(&q);
    kt_result r = audit_turn_begin(&turn, a->dir, err);
    if (r.code == KT_OK && turn.note_type)
        r = write_note(a, &turn, err);
    if (r.code == KT_OK && e)
        r = write_event(a, &turn, e, err);
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
    kt_result r =
        a->dir ? take_turn(a, NULL, err) : kt_fail(err, KT_ERR_IO, "audit: no path for %s/audit", state_dir);
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
    kt_result r = take_turn(a, e, err);
    KT_TRACE(AUDIT, "event %.32s: %s, seq %llu", e->id, kt_code_name(r.code), (unsigned long long)e->seq);
    return r;
}
