/* SPDX-License-Identifier: Apache-2.0 */
/* All events of the log, one at a time. */
#include "tools/events.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct walk {
    const struct events_options *o;
    events_visit *each;
    void *arg;
    uint64_t skipped;
    bool stopped;
};

const char *events_text(const cJSON *object, const char *member)
{
    const cJSON *j = cJSON_GetObjectItemCaseSensitive(object, member);
    return cJSON_IsString(j) ? j->valuestring : NULL;
}

double events_number(const cJSON *object, const char *member)
{
    const cJSON *j = cJSON_GetObjectItemCaseSensitive(object, member);
    return cJSON_IsNumber(j) ? j->valuedouble : -1;
}

static int open_in(const struct events_options *o, const char *name)
{
    char path[4096 + 80];
    snprintf(path, sizeof path, "%s/%s", o->dir, name);
    return open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
}

static void visit(struct walk *w, struct kt_span line)
{
    const char *end = NULL;
    cJSON *event = cJSON_ParseWithLengthOpts(line.data, line.len, &end, false);
    if (!cJSON_IsObject(event) || end != line.data + line.len)
        w->skipped++;
    else if (events_wanted(w->o, event))
        w->stopped = !w->each(w->arg, line, event);
    cJSON_Delete(event);
}

static kt_result walk_fd(struct walk *w, int fd, uint64_t size)
{
    struct kt_lines lines;
    struct kt_span line;
    kt_result r = kt_ok();
    kt_lines_init(&lines, fd, 0);
    lines.end = size;
    while (!w->stopped && (r = kt_lines_next(&lines, &line)).code == KT_OK)
        visit(w, line);
    if (r.code == KT_ERR_NOTFOUND) {
        w->skipped += line.len > 0; /* torn */
        r = kt_ok();
    }
    int cause = errno;
    kt_lines_free(&lines);
    errno = cause;
    return r;
}

static kt_result walk_rotated(struct walk *w, const char *name)
{
    KT_CLEANUP(kt_cleanup_fd) int fd = open_in(w->o, name);
    if (fd < 0) /* pruned since it was listed */
        return errno == ENOENT ? kt_ok() : kt_err(KT_ERR_IO);
    return walk_fd(w, fd, UINT64_MAX);
}

/* Rotated files keep their names, and the current one is open before it can get one. Writers wait only for
 * this, not for the reading. */
static kt_result look(const struct events_options *o, struct kt_audit_files *files, int *current,
                      uint64_t *size)
{
    struct stat st;
    KT_CLEANUP(kt_cleanup_fd) int lock = kt_audit_read_lock(o->dir);
    (void)lock; /* held to the end of this function */
    KT_GUARD(kt_audit_files_list(o->dir, files));
    *current = open_in(o, KT_AUDIT_CURRENT);
    *size = *current >= 0 && fstat(*current, &st) == 0 ? (uint64_t)st.st_size : 0;
    return kt_ok();
}

kt_result events_walk(const struct events_options *o, events_visit *each, void *arg, uint64_t *skipped)
{
    struct walk w = {o, each, arg, 0, false};
    struct kt_audit_files files;
    uint64_t size = 0;
    KT_CLEANUP(kt_cleanup_fd) int current = -1;
    *skipped = 0;
    KT_GUARD(look(o, &files, &current, &size));
    kt_result r = kt_ok();
    for (size_t i = 0; i < files.count && r.code == KT_OK && !w.stopped; i++) {
        if (files.items[i].first != 0)
            r = walk_rotated(&w, files.items[i].name);
        else if (current >= 0)
            r = walk_fd(&w, current, size);
    }
    kt_audit_files_free(&files);
    *skipped = w.skipped;
    return r;
}

int events_walk_failed(const struct events_options *o, kt_result r)
{
    if (r.code == KT_ERR_NOTFOUND) {
        fprintf(stderr, "kt events: no events in %s yet\n", o->dir);
        return KT_EXIT_OK;
    }
    fprintf(stderr, "kt events: cannot read %s: %s\n", o->dir,
            r.code == KT_ERR_IO ? strerror(errno) : kt_code_name(r.code));
    return KT_EXIT_USAGE;
}
