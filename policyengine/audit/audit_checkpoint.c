/* SPDX-License-Identifier: Apache-2.0 */
/* checkpoints.jsonl: one line per file that was closed, a second one when it is removed. */
#include "policyengine/audit/audit_log.h"
#include "policyengine/base/kt_log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void cleanup_lines(struct kt_lines *l)
{
    kt_lines_free(l);
}

/* Where the last whole line ends (a crash may have torn the one behind it), and whether `file` has such a
 * line already. */
static kt_result look(int fd, const char *file, bool pruned, uint64_t *end, bool *there)
{
    KT_CLEANUP(cleanup_lines) struct kt_lines lines;
    struct kt_span text;
    kt_lines_init(&lines, fd, 0);
    lines.end = AUDIT_CHECKPOINTS_MAX;
    *there = false;
    kt_result r;
    while ((r = kt_lines_next(&lines, &text)).code == KT_OK) {
        struct audit_checkpoint c;
        if (audit_checkpoint_parse(text, &c) && c.pruned == pruned && strcmp(c.file, file) == 0)
            *there = true;
    }
    *end = lines.offset;
    return r.code == KT_ERR_NOTFOUND ? kt_ok() : r;
}

static kt_result append(struct audit_turn *t, const struct audit_checkpoint *c)
{
    KT_CLEANUP(kt_cleanup_fd)
    int fd = openat(t->dir_fd, AUDIT_CHECKPOINTS, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    KT_ENSURE(fd >= 0, KT_ERR_IO);
    uint64_t at;
    bool there;
    KT_GUARD(look(fd, c->file, c->pruned, &at, &there));
    if (there)
        return kt_ok();
    KT_ENSURE(at < AUDIT_CHECKPOINTS_MAX - 512, KT_ERR_LIMIT);
    char line[512], when[31];
    kt_rfc3339(kt_now_real_ns(), when);
    int n = snprintf(line, sizeof line,
                     "{\"file\":\"%s\",\"first_seq\":%" PRIu64 ",\"last_seq\":%" PRIu64 ",\"bytes\":%" PRIu64
                     ",\"last_hash\":\"%s\",\"%s\":\"%s\"}\n",
                     c->file, c->first_seq, c->last_seq, c->bytes, c->last_hash,
                     c->pruned ? "pruned" : "closed", when);
    KT_ENSURE(n > 0 && (size_t)n < sizeof line && ftruncate(fd, (off_t)at) == 0, KT_ERR_IO);
    kt_result r = kt_write_all(fd, line, (size_t)n);
    if (r.code != KT_OK && ftruncate(fd, (off_t)at) != 0)
        kt_warn("audit: %s/" AUDIT_CHECKPOINTS " ends in half a line",
                t->dir); /* the next checkpoint cuts it off */
    return r;
}

kt_result audit_checkpoint(struct audit_turn *t, const char *file, const struct audit_head *end)
{
    struct audit_checkpoint c = {.first_seq = end->first_seq, .last_seq = end->seq, .bytes = end->bytes};
    snprintf(c.file, sizeof c.file, "%s", file);
    memcpy(c.last_hash, end->hash, sizeof c.last_hash);
    return append(t, &c);
}

kt_result audit_prune_mark(struct audit_turn *t, const struct audit_checkpoint *c)
{
    struct audit_checkpoint mark = *c;
    mark.pruned = true;
    return append(t, &mark);
}

static kt_result collect(struct kt_lines *lines, struct audit_checkpoint **items, size_t *count)
{
    struct audit_checkpoint c;
    struct kt_span text;
    size_t room = 0;
    kt_result r;
    while ((r = kt_lines_next(lines, &text)).code == KT_OK) {
        if (!audit_checkpoint_parse(text, &c))
            continue; /* the file that it stood for has none then, and is named for that */
        if (*count == room) {
            room = room ? room * 2 : 16;
            struct audit_checkpoint *more = realloc(*items, room * sizeof *more);
            KT_ENSURE(more, KT_ERR_MEMORY);
            *items = more;
        }
        (*items)[(*count)++] = c;
    }
    return r.code == KT_ERR_NOTFOUND ? kt_ok() : r;
}

kt_result audit_checkpoints_read(const char *dir, struct audit_checkpoint **items, size_t *count)
{
    char path[4096 + 80];
    *items = NULL;
    *count = 0;
    snprintf(path, sizeof path, "%s/" AUDIT_CHECKPOINTS, dir);
    KT_CLEANUP(kt_cleanup_fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return errno == ENOENT ? kt_ok() : kt_err(KT_ERR_IO);
    KT_CLEANUP(cleanup_lines) struct kt_lines lines;
    kt_lines_init(&lines, fd, 0);
    lines.end = AUDIT_CHECKPOINTS_MAX;
    return collect(&lines, items, count);
}
