/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the log from event 1 on and stops at the first line that does not stand where it was written. */
#include "policyengine/audit/audit_log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct walk {
    struct kt_audit_report *report;
    char dir[4096];
    struct kt_audit_files files;
    struct audit_checkpoint *checkpoints; /* owned */
    size_t checkpoint_count;
    struct audit_head head;
    bool has_head;
    int current_fd;        /* opened under the lock: rotation may rename the file while we read */
    uint64_t current_size; /* the same: later events are not ours to judge */
    /* The line before. */
    uint64_t seq;
    char hash[KT_SHA256_HEX];
    bool chained;
    char file[64];
    uint64_t line;
    char head_hash[KT_SHA256_HEX]; /* of the event that the head names, once seen */
};

static void walk_free(struct walk *w)
{
    kt_audit_files_free(&w->files);
    free(w->checkpoints);
    if (w->current_fd >= 0)
        close(w->current_fd);
}

static void cleanup_lines(struct kt_lines *l)
{
    kt_lines_free(l);
}

/* Names the place; always false, so that callers can return it. */
static bool KT_PRINTF(4, 5) broken(struct walk *w, const char *file, uint64_t line, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    w->report->ok = false;
    w->report->line = line;
    snprintf(w->report->file, sizeof w->report->file, "%s", file);
    vsnprintf(w->report->what, sizeof w->report->what, fmt, ap);
    va_end(ap);
    return false;
}

static const struct audit_checkpoint *checkpoint_from(const struct walk *w, uint64_t first_seq, bool pruned)
{
    for (size_t i = 0; i < w->checkpoint_count; i++)
        if (w->checkpoints[i].first_seq == first_seq && w->checkpoints[i].pruned == pruned)
            return &w->checkpoints[i];
    return NULL;
}

static bool check_place(struct walk *w, const char *file, uint64_t line, const struct audit_line *l)
{
    uint64_t expected = w->seq + 1;
    if (l->seq > expected)
        return broken(w, file, line,
                      "event %" PRIu64 " follows event %" PRIu64 ": %" PRIu64
                      " missing or moved before this line",
                      l->seq, w->seq, l->seq - expected);
    if (l->seq < expected)
        return broken(w, file, line,
                      "event %" PRIu64 " stands behind event %" PRIu64 ": inserted, repeated or moved",
                      l->seq, w->seq);
    if (!l->hash_matches)
        return broken(w, file, line, "event %" PRIu64 " was changed: its hash does not fit its bytes",
                      l->seq);
    if (l->chained && strcmp(l->prev_hash, w->hash) != 0) {
        /* A line before that has no hash of its own can only be judged by this one. */
        if (w->seq > 0 && !w->chained)
            return broken(w, w->file, w->line,
                          "event %" PRIu64 " was changed: event %" PRIu64 " names another hash for it",
                          w->seq, l->seq);
        return broken(w, file, line, "event %" PRIu64 " does not continue the event before it (prev_hash)",
                      l->seq);
    }
    if (strcmp(l->event_type, "audit_head_lost") == 0)
        return broken(w, file, line,
                      "the head file was lost before event %" PRIu64 ": events may be missing there", l->seq);
    return true;
}

static bool check_line(struct walk *w, const char *file, uint64_t number, struct kt_span text)
{
    struct audit_line l;
    if (audit_line_parse(text, &l).code != KT_OK)
        return broken(w, file, number, "this line is no event");
    if (!check_place(w, file, number, &l))
        return false;
    w->seq = l.seq;
    w->chained = l.chained;
    w->line = number;
    memcpy(w->hash, l.hash, sizeof w->hash);
    snprintf(w->file, sizeof w->file, "%s", file);
    if (w->has_head && w->head.seq == l.seq)
        memcpy(w->head_hash, l.hash, sizeof w->head_hash);
    w->report->events++;
    return true;
}

static bool check_lines(struct walk *w, const char *file, int fd, uint64_t size)
{
    KT_CLEANUP(cleanup_lines) struct kt_lines lines;
    struct kt_span text;
    uint64_t number = 0;
    kt_result r;
    kt_lines_init(&lines, fd, 0);
    lines.end = size;
    while ((r = kt_lines_next(&lines, &text)).code == KT_OK)
        if (!check_line(w, file, ++number, text))
            return false;
    if (r.code != KT_ERR_NOTFOUND)
        return broken(w, file, number + 1, "cannot be read: %s", kt_code_name(r.code));
    if (text.len > 0)
        return broken(
            w, file, number + 1,
            "the last line is torn (a writer died in it, or it was cut); the next event sets it aside");
    return true;
}

/* The end of a rotated file against its name and its checkpoint. */
static bool check_end(struct walk *w, const struct kt_audit_file *f)
{
    const struct audit_checkpoint *c = checkpoint_from(w, f->first, false);
    if (w->seq != f->last)
        return broken(w, f->name, w->line + 1, "the tail is cut: events %" PRIu64 "-%" PRIu64 " are missing",
                      w->seq + 1, f->last);
    /* A rotation that a crash cut short has no checkpoint yet; the head still names that file then. */
    if (!c && w->has_head && w->head.first_seq == f->first && w->head.seq == f->last)
        return true;
    if (!c)
        return broken(w, AUDIT_CHECKPOINTS, 0, "has no line for %s", f->name);
    if (c->last_seq != w->seq || strcmp(c->file, f->name) != 0)
        return broken(w, f->name, 0, "its checkpoint speaks of %s", c->file);
    if (strcmp(c->last_hash, w->hash) != 0)
        return broken(w, f->name, w->line, "event %" PRIu64 " was changed: its checkpoint names another hash",
                      w->seq);
    return true;
}

/* Steps over files at the beginning that were removed on purpose: checkpoint and mark agree, and the next
 * event must name the hash that both end with. A mark may also stand for a file that a crash left there:
 * `next_there` is the first number of the next file, 0 for current.jsonl or none. */
static void skip_pruned(struct walk *w, uint64_t next_there)
{
    while (w->seq + 1 != next_there) {
        const struct audit_checkpoint *c = checkpoint_from(w, w->seq + 1, false),
                                      *mark = checkpoint_from(w, w->seq + 1, true);
        if (w->report->events > 0 || !c || !mark || mark->last_seq != c->last_seq ||
            strcmp(mark->last_hash, c->last_hash) != 0 || strcmp(mark->file, c->file) != 0)
            return;
        w->report->pruned += c->last_seq - c->first_seq + 1;
        w->seq = c->last_seq;
        memcpy(w->hash, c->last_hash, sizeof w->hash);
        if (w->has_head && w->head.seq == w->seq)
            memcpy(w->head_hash, w->hash, sizeof w->head_hash);
    }
}

/* True also where nothing is known of such a file: then the line that follows shows the gap. */
static bool check_gap(struct walk *w, uint64_t next_there)
{
    skip_pruned(w, next_there);
    const struct audit_checkpoint *c =
        w->seq + 1 == next_there ? NULL : checkpoint_from(w, w->seq + 1, false);
    return c ? broken(w, c->file, 0, "this file is missing: events %" PRIu64 "-%" PRIu64, c->first_seq,
                      c->last_seq)
             : true;
}

static bool check_file(struct walk *w, const struct kt_audit_file *f)
{
    w->report->files++;
    if (f->first != w->seq + 1 && !check_gap(w, f->first))
        return false;
    if (f->first == 0)
        return check_lines(w, f->name, w->current_fd, w->current_size);
    char path[4096 + 80];
    snprintf(path, sizeof path, "%s/%s", w->dir, f->name);
    KT_CLEANUP(kt_cleanup_fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return broken(w, f->name, 0, "cannot be opened: %s", strerror(errno));
    return check_lines(w, f->name, fd, UINT64_MAX) && check_end(w, f);
}

static bool check_head(struct walk *w)
{
    if (!w->has_head)
        return w->seq == 0 ? true
                           : broken(w, AUDIT_HEAD, 0,
                                    "is missing or damaged: whether the tail was cut cannot be told");
    if (w->head.seq > w->seq)
        return broken(w, w->file[0] ? w->file : KT_AUDIT_CURRENT, w->line + 1,
                      "the tail is cut: events %" PRIu64 "-%" PRIu64 " are missing", w->seq + 1, w->head.seq);
    if (w->head.seq > 0 && strcmp(w->head.hash, w->head_hash) != 0)
        return broken(w, w->file, w->line, "event %" PRIu64 " was changed: the head names another hash",
                      w->head.seq);
    return true;
}

static int open_in(const struct walk *w, const char *file)
{
    char path[4096 + 80];
    snprintf(path, sizeof path, "%s/%s", w->dir, file);
    return open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
}

/* One consistent picture, under the lock where there is one that we may open; reading goes on without it. */
static kt_result snapshot(struct walk *w)
{
    struct stat st;
    KT_CLEANUP(kt_cleanup_fd) int lock = kt_audit_read_lock(w->dir);
    (void)lock; /* held to the end of this function */
    KT_GUARD(kt_audit_files_list(w->dir, &w->files));
    KT_GUARD(audit_checkpoints_read(w->dir, &w->checkpoints, &w->checkpoint_count));
    KT_CLEANUP(kt_cleanup_fd) int head = open_in(w, AUDIT_HEAD);
    w->has_head = head >= 0 && audit_head_read(head, &w->head);
    w->current_fd = open_in(w, KT_AUDIT_CURRENT);
    if (w->current_fd >= 0 && fstat(w->current_fd, &st) == 0)
        w->current_size = (uint64_t)st.st_size;
    return kt_ok();
}

kt_result kt_audit_verify(const char *state_dir, struct kt_audit_report *report, struct kt_error *err)
{
    memset(report, 0, sizeof *report);
    KT_CLEANUP(walk_free)
    struct walk w = {.report = report, .current_fd = -1, .hash = AUDIT_NO_HASH, .chained = true};
    int n = snprintf(w.dir, sizeof w.dir, "%s/audit", state_dir);
    if (n < 0 || (size_t)n >= sizeof w.dir)
        return kt_fail(err, KT_ERR_USAGE, "audit: the path of the state folder is too long");
    kt_result r = snapshot(&w);
    if (r.code == KT_ERR_NOTFOUND)
        return kt_fail(err, r.code, "there is no audit log in %s", w.dir);
    if (r.code != KT_OK)
        return kt_fail(err, r.code, "audit: cannot read %s: %s", w.dir, strerror(errno));
    bool ok = true;
    for (size_t i = 0; i < w.files.count && ok; i++)
        ok = check_file(&w, &w.files.items[i]);
    report->ok = ok && check_gap(&w, 0) && check_head(&w);
    report->last_seq = w.seq;
    memcpy(report->last_hash, w.hash, sizeof report->last_hash);
    return kt_ok();
}
