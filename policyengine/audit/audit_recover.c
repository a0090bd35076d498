/* SPDX-License-Identifier: Apache-2.0 */
/* What a crash, a full disk or a foreign hand left behind: make head and current.jsonl agree, lose nothing,
 * hide nothing. */
#include "policyengine/audit/audit_log.h"
#include "policyengine/base/kt_log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void cleanup_lines(struct kt_lines *l)
{
    kt_lines_free(l);
}

static kt_result copy_range(int from, uint64_t at, uint64_t end, int to)
{
    char block[16384];
    while (at < end) {
        size_t want = end - at < sizeof block ? (size_t)(end - at) : sizeof block;
        ssize_t n = pread(from, block, want, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        KT_ENSURE(n > 0, KT_ERR_IO);
        KT_GUARD(kt_write_all(to, block, (size_t)n));
        at += (uint64_t)n;
    }
    return kt_ok();
}

/* Moves the bytes from `at` to the end into a file of their own. They leave the log only when the copy is
 * whole. */
static kt_result set_aside(struct audit_turn *t, uint64_t at, struct kt_error *err)
{
    char when[31], name[64];
    kt_rfc3339(kt_now_real_ns(), when);
    snprintf(name, sizeof name, "torn-%s.jsonl", when);
    KT_CLEANUP(kt_cleanup_fd)
    int fd = openat(t->dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 || copy_range(t->log_fd, at, t->size, fd).code != KT_OK ||
        ftruncate(t->log_fd, (off_t)at) != 0) {
        int cause = errno;
        if (fd >= 0)
            unlinkat(t->dir_fd, name, 0);
        return kt_fail(err, KT_ERR_IO, "audit: cannot set a torn line aside in %s/%s: %s", t->dir, name,
                       strerror(cause));
    }
    snprintf(t->note, sizeof t->note,
             "%" PRIu64 " bytes behind event %" PRIu64
             " were no whole event (a writer died in the middle, or they are foreign); they are in %s",
             t->size - at, t->head.seq, name);
    t->note_type = "audit_torn_line";
    t->size = at;
    return kt_ok();
}

/* Follows whole lines that continue the head; what comes behind them is torn. */
static kt_result follow(struct audit_turn *t, struct kt_error *err)
{
    KT_CLEANUP(cleanup_lines) struct kt_lines lines;
    kt_lines_init(&lines, t->log_fd, t->head.bytes);
    lines.end = t->size;
    struct kt_span text;
    kt_result r;
    while ((r = kt_lines_next(&lines, &text)).code == KT_OK) {
        struct audit_line line;
        if (audit_line_parse(text, &line).code != KT_OK || line.seq != t->head.seq + 1 ||
            !line.hash_matches || (line.chained && strcmp(line.prev_hash, t->head.hash) != 0))
            break;
        t->head.seq = line.seq;
        memcpy(t->head.hash, line.hash, sizeof t->head.hash);
        t->head.bytes = lines.offset;
    }
    if (r.code != KT_OK && r.code != KT_ERR_NOTFOUND)
        return kt_fail(err, r.code, "audit: cannot read %s/" KT_AUDIT_CURRENT ": %s", t->dir,
                       strerror(errno));
    return t->head.bytes < t->size ? set_aside(t, t->head.bytes, err) : kt_ok();
}

/* Rotation renames first: the file that the head speaks of may lie there under its new name, with or without
 * its checkpoint. */
static bool rotation_cut_short(const struct audit_turn *t, char name[64])
{
    struct stat st;
    audit_rotated_name(t->head.first_seq, t->head.seq, name);
    return t->size == 0 && t->head.seq > 0 && fstatat(t->dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
           (uint64_t)st.st_size == t->head.bytes;
}

static kt_result finish_rotation(struct audit_turn *t, const char *name, struct kt_error *err)
{
    if (audit_checkpoint(t, name, &t->head).code != KT_OK)
        return kt_fail(err, KT_ERR_IO, "audit: cannot write %s/" AUDIT_CHECKPOINTS ": %s", t->dir,
                       strerror(errno));
    t->head.first_seq = t->head.seq + 1;
    t->head.bytes = 0;
    return kt_ok();
}

/* Shorter than it was. Numbers go on where the head stood, so that the gap stays in sight for good. */
static kt_result shortened(struct audit_turn *t, struct kt_error *err)
{
    char last = '\n';
    uint64_t missing = t->head.bytes - t->size;
    if (t->size > 0 && pread(t->log_fd, &last, 1, (off_t)t->size - 1) == 1 && last != '\n') {
        KT_CLEANUP(cleanup_lines) struct kt_lines lines;
        struct kt_span text;
        kt_lines_init(&lines, t->log_fd, 0);
        lines.end = t->size;
        kt_result r;
        while ((r = kt_lines_next(&lines, &text)).code == KT_OK)
            continue;
        if (r.code != KT_ERR_NOTFOUND)
            return kt_fail(err, r.code, "audit: cannot read %s/" KT_AUDIT_CURRENT, t->dir);
        KT_GUARD(set_aside(t, lines.offset, err));
    }
    t->head.bytes = t->size;
    if (t->size == 0)
        t->head.first_seq = t->head.seq + 1;
    t->note_type = "audit_cut";
    snprintf(t->note, sizeof t->note,
             KT_AUDIT_CURRENT " was %" PRIu64 " bytes shorter than its last recorded length", missing);
    return kt_ok();
}

/* Takes over the last event of one file, as a new head would have recorded it. */
static kt_result adopt(struct audit_turn *t, const struct kt_audit_file *f)
{
    KT_CLEANUP(kt_cleanup_fd) int fd = openat(t->dir_fd, f->name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    KT_ENSURE(fd >= 0, KT_ERR_IO);
    KT_CLEANUP(cleanup_lines) struct kt_lines lines;
    struct kt_span text;
    kt_lines_init(&lines, fd, 0);
    kt_result r;
    while ((r = kt_lines_next(&lines, &text)).code == KT_OK) {
        struct audit_line line;
        if (audit_line_parse(text, &line).code != KT_OK)
            continue; /* stays in the file, for verification to name */
        if (f->first == 0 && t->head.bytes == 0)
            t->head.first_seq = line.seq;
        t->head.seq = line.seq;
        memcpy(t->head.hash, line.hash, sizeof t->head.hash);
        if (f->first == 0)
            t->head.bytes = lines.offset;
    }
    if (f->first == 0)
        t->head.bytes = lines.offset;
    return r.code == KT_ERR_NOTFOUND ? kt_ok() : r;
}

static void cleanup_files(struct kt_audit_files *files)
{
    kt_audit_files_free(files);
}

/* No head: the newest rotated file and current.jsonl tell where to go on, but not whether lines behind the
 * last one are gone. */
static kt_result rebuild(struct audit_turn *t, struct kt_error *err)
{
    KT_CLEANUP(cleanup_files) struct kt_audit_files files;
    struct stat st;
    kt_result r = kt_audit_files_list(t->dir, &files);
    if (r.code != KT_OK)
        return kt_fail(err, r.code, "audit: cannot read the folder %s: %s", t->dir, strerror(errno));
    bool fresh = t->size == 0 && files.count <= 1 &&
                 fstatat(t->dir_fd, AUDIT_CHECKPOINTS, &st, AT_SYMLINK_NOFOLLOW) != 0;
    t->head.first_seq = 1;
    if (fresh)
        return kt_ok();
    for (size_t i = files.count > 2 ? files.count - 2 : 0; i < files.count && r.code == KT_OK; i++) {
        t->head.first_seq = t->head.seq + 1;
        r = adopt(t, &files.items[i]);
    }
    if (t->head.bytes == 0)
        t->head.first_seq = t->head.seq + 1;
    if (r.code != KT_OK)
        return kt_fail(err, r.code, "audit: cannot read the files in %s: %s", t->dir, strerror(errno));
    if (t->head.bytes < t->size)
        KT_GUARD(set_aside(t, t->head.bytes, err));
    t->note_type = "audit_head_lost";
    snprintf(t->note, sizeof t->note,
             "the head file was missing or damaged: lines behind event %" PRIu64 " may be gone", t->head.seq);
    return kt_ok();
}

kt_result audit_recover(struct audit_turn *t, bool head_valid, struct kt_error *err)
{
    char name[64];
    if (!head_valid)
        KT_GUARD(rebuild(t, err));
    else if (t->size > t->head.bytes)
        KT_GUARD(follow(t, err));
    else if (rotation_cut_short(t, name))
        KT_GUARD(finish_rotation(t, name, err));
    else
        KT_GUARD(shortened(t, err));
    if (t->note_type) {
        kt_warn("audit: %s: %s", t->dir, t->note);
        return kt_ok();
    }
    if (audit_head_write(t->head_fd, &t->head).code != KT_OK)
        return kt_fail(err, KT_ERR_IO, "audit: cannot write %s/" AUDIT_HEAD ": %s", t->dir, strerror(errno));
    return kt_ok();
}
