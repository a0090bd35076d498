/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/audit/audit_log.h"
#include "policyengine/base/kt_log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void audit_rotated_name(uint64_t first, uint64_t last, char out[64])
{
    snprintf(out, 64, "%012" PRIu64 "-%012" PRIu64 ".jsonl", first, last);
}

static void cleanup_lines(struct kt_lines *l)
{
    kt_lines_free(l);
}

/* Where the last whole line ends (a crash may have torn the one behind it), and whether `file` has a line
 * already. */
static kt_result look(int fd, const char *file, uint64_t *end, bool *there)
{
    KT_CLEANUP(cleanup_lines) struct kt_lines lines;
    struct kt_span text;
    kt_lines_init(&lines, fd, 0);
    lines.end = AUDIT_CHECKPOINTS_MAX;
    *there = false;
    kt_result r;
    while ((r = kt_lines_next(&lines, &text)).code == KT_OK) {
        struct audit_checkpoint c;
        if (audit_checkpoint_parse(text, &c) && strcmp(c.file, file) == 0)
            *there = true;
    }
    *end = lines.offset;
    return r.code == KT_ERR_NOTFOUND ? kt_ok() : r;
}

kt_result audit_checkpoint(struct audit_turn *t, const char *file, const struct audit_head *end)
{
    KT_CLEANUP(kt_cleanup_fd)
    int fd = openat(t->dir_fd, AUDIT_CHECKPOINTS, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    KT_ENSURE(fd >= 0, KT_ERR_IO);
    uint64_t at;
    bool there;
    KT_GUARD(look(fd, file, &at, &there));
    if (there)
        return kt_ok();
    KT_ENSURE(at < AUDIT_CHECKPOINTS_MAX - 512, KT_ERR_LIMIT);
    char line[512], when[31];
    kt_rfc3339(kt_now_real_ns(), when);
    int n = snprintf(line, sizeof line,
                     "{\"file\":\"%s\",\"first_seq\":%" PRIu64 ",\"last_seq\":%" PRIu64 ",\"bytes\":%" PRIu64
                     ",\"last_hash\":\"%s\",\"closed\":\"%s\"}\n",
                     file, end->first_seq, end->seq, end->bytes, end->hash, when);
    KT_ENSURE(n > 0 && (size_t)n < sizeof line && ftruncate(fd, (off_t)at) == 0, KT_ERR_IO);
    kt_result r = audit_write_all(fd, line, (size_t)n);
    if (r.code != KT_OK && ftruncate(fd, (off_t)at) != 0)
        kt_warn("audit: %s/" AUDIT_CHECKPOINTS " ends in half a line",
                t->dir); /* the next checkpoint cuts it off */
    return r;
}

/* Rename, new file, checkpoint, head. A crash behind any of them is finished by the next writer
 * (audit_recover). */
kt_result audit_rotate(struct audit_turn *t)
{
    char name[64];
    struct stat st;
    audit_rotated_name(t->head.first_seq, t->head.seq, name);
    /* Under the lock nobody of ours makes that name; a file of that name is not ours to overwrite. */
    KT_ENSURE(fstatat(t->dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0, KT_ERR_STATE);
    KT_ENSURE(renameat(t->dir_fd, KT_AUDIT_CURRENT, t->dir_fd, name) == 0, KT_ERR_IO);
    int fd = openat(t->dir_fd, KT_AUDIT_CURRENT,
                    O_RDWR | O_APPEND | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 || audit_checkpoint(t, name, &t->head).code != KT_OK) {
        int cause = errno;
        if (fd >= 0)
            close(fd);
        if (renameat(t->dir_fd, name, t->dir_fd, KT_AUDIT_CURRENT) != 0)
            kt_warn("audit: %s/%s cannot get its old name back: %s", t->dir, name, strerror(errno));
        errno = cause;
        return kt_err(KT_ERR_IO);
    }
    KT_GUARD(audit_turn_new_log(t, fd));
    t->size = 0;
    t->head.first_seq = t->head.seq + 1;
    t->head.bytes = 0;
    return audit_head_write(t->head_fd, &t->head);
}
