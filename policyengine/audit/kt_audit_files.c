/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/audit/kt_audit_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#define READ_AHEAD (64u << 10)
#define FILES_MAX 1000000u /* 64 TB of events at the default file size */

/* "<first>-<last>.jsonl", and only in the very spelling that rotation gives. */
static bool rotated_name(const char *name, struct kt_audit_file *f)
{
    char again[64];
    if (sscanf(name, "%20" SCNu64 "-%20" SCNu64, &f->first, &f->last) != 2)
        return false;
    snprintf(again, sizeof again, "%012" PRIu64 "-%012" PRIu64 ".jsonl", f->first, f->last);
    return strcmp(name, again) == 0;
}

static int by_sequence(const void *a, const void *b)
{
    const struct kt_audit_file *x = a, *y = b;
    if (x->first != y->first)
        return x->first < y->first ? -1 : 1;
    return x->last < y->last ? -1 : x->last > y->last;
}

static kt_result add(struct kt_audit_files *files, size_t *room, const struct kt_audit_file *f)
{
    if (files->count == *room) {
        KT_ENSURE(*room < FILES_MAX, KT_ERR_LIMIT);
        size_t more = *room ? *room * 2 : 16;
        struct kt_audit_file *items = realloc(files->items, more * sizeof *items);
        KT_ENSURE(items, KT_ERR_MEMORY);
        files->items = items;
        *room = more;
    }
    files->items[files->count++] = *f;
    return kt_ok();
}

static kt_result collect(DIR *dir, struct kt_audit_files *out)
{
    size_t room = 0;
    bool current = false;
    for (struct dirent *d; (d = readdir(dir)) != NULL;) {
        struct kt_audit_file f = {{0}, 0, 0};
        if (strcmp(d->d_name, KT_AUDIT_CURRENT) == 0)
            current = true;
        if (strlen(d->d_name) >= sizeof f.name || !rotated_name(d->d_name, &f))
            continue;
        memcpy(f.name, d->d_name, strlen(d->d_name) + 1);
        KT_GUARD(add(out, &room, &f));
    }
    if (out->count > 1)
        qsort(out->items, out->count, sizeof *out->items, by_sequence);
    struct kt_audit_file last = {KT_AUDIT_CURRENT, 0, 0};
    return current ? add(out, &room, &last) : kt_ok();
}

kt_result kt_audit_files_list(const char *audit_dir, struct kt_audit_files *out)
{
    memset(out, 0, sizeof *out);
    DIR *dir = opendir(audit_dir);
    if (!dir)
        return kt_err(errno == ENOENT || errno == ENOTDIR ? KT_ERR_NOTFOUND : KT_ERR_IO);
    kt_result r = collect(dir, out);
    closedir(dir);
    if (r.code != KT_OK)
        kt_audit_files_free(out);
    return r;
}

void kt_audit_files_free(struct kt_audit_files *files)
{
    free(files->items);
    files->items = NULL;
    files->count = 0;
}

int kt_audit_read_lock(const char *audit_dir)
{
    char path[4096 + 16];
    const struct timespec pause = {0, 250000};
    int n = snprintf(path, sizeof path, "%s/lock", audit_dir);
    int fd = n > 0 && (size_t)n < sizeof path ? open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW) : -1;
    for (int tries = 0; fd >= 0 && tries < 8000 && flock(fd, LOCK_SH | LOCK_NB) != 0; tries++)
        nanosleep(&pause, NULL);
    return fd;
}

void kt_lines_init(struct kt_lines *l, int fd, uint64_t offset)
{
    memset(l, 0, sizeof *l);
    l->fd = fd;
    l->offset = offset;
    l->end = UINT64_MAX;
    l->buf.max = KT_AUDIT_LINE_MAX + READ_AHEAD;
}

void kt_lines_free(struct kt_lines *l)
{
    kt_buf_free(&l->buf);
}

/* Reads on behind what is buffered; *got = 0 at the end. */
static kt_result read_on(struct kt_lines *l, size_t *got)
{
    kt_buf_consume(&l->buf, l->skip);
    l->skip = 0;
    uint64_t at = l->offset + l->buf.len;
    size_t want = READ_AHEAD;
    *got = 0;
    if (at >= l->end)
        return kt_ok();
    if (l->end - at < want)
        want = (size_t)(l->end - at);
    KT_GUARD(kt_buf_reserve(&l->buf, want));
    ssize_t n;
    do
        n = pread(l->fd, l->buf.data + l->buf.len, want, (off_t)at);
    while (n < 0 && errno == EINTR);
    KT_ENSURE(n >= 0, KT_ERR_IO);
    l->buf.len += (size_t)n;
    l->buf.data[l->buf.len] = '\0';
    *got = (size_t)n;
    return kt_ok();
}

kt_result kt_lines_next(struct kt_lines *l, struct kt_span *line)
{
    size_t seen = 0; /* of this line, known to hold no newline */
    for (;;) {
        const char *begin = l->buf.data ? l->buf.data + l->skip : "";
        size_t have = l->buf.len - l->skip;
        const char *nl = have > seen ? memchr(begin + seen, '\n', have - seen) : NULL;
        if (nl) {
            *line = kt_span(begin, (size_t)(nl - begin));
            l->skip += line->len + 1;
            l->offset += line->len + 1;
            return kt_ok();
        }
        seen = have;
        size_t got;
        KT_GUARD(read_on(l, &got));
        if (got == 0) {
            *line = kt_span(l->buf.data ? l->buf.data : "", l->buf.len);
            return kt_err(KT_ERR_NOTFOUND);
        }
    }
}
