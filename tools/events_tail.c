/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/events.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINE_OUT_MAX (1u << 20)
#define WAIT_SECONDS 1 /* also without a word from inotify: network folders never say one */

/* The wanted events of one file, the last `limit` of them. */
struct ring {
    char **items; /* owned lines */
    size_t limit, count, next;
};

struct tail {
    const struct events_options *o;
    struct kt_lines lines; /* of current.jsonl; lines.fd < 0 while there is none */
    uint64_t last_seq;     /* seen, wanted or not */
};

static volatile sig_atomic_t stopped;

static void on_stop(int sig)
{
    (void)sig;
    stopped = 1;
}

/* ---- one event ---- */

static void print_event(const struct events_options *o, struct kt_span line, const cJSON *event)
{
    if (o->json) {
        fwrite(line.data, 1, line.len, stdout);
        putchar('\n');
        return;
    }
    KT_CLEANUP(kt_buf_free) struct kt_buf text = KT_BUF_INIT(LINE_OUT_MAX);
    if (events_format(event, o->colour, &text).code == KT_OK)
        fwrite(text.data, 1, text.len, stdout);
}

static uint64_t seq_of(const cJSON *event)
{
    const cJSON *seq = cJSON_GetObjectItemCaseSensitive(event, "seq");
    return cJSON_IsNumber(seq) && seq->valuedouble > 0 && seq->valuedouble < 9e15 ? (uint64_t)seq->valuedouble
                                                                                  : 0;
}

/* The number of an event as we write them stands at a fixed place: a log of 64 MiB need not be parsed to show
 * its end. */
static uint64_t quick_seq(struct kt_span line)
{
    static const char before[] = "\",\"seq\":";
    const size_t at = strlen("{\"id\":\"") + 32;
    if (line.len < at + sizeof before || memcmp(line.data, "{\"id\":\"", 7) != 0 ||
        memcmp(line.data + at, before, sizeof before - 1) != 0)
        return 0;
    return strtoull(line.data + at + sizeof before - 1, NULL, 10);
}

static void ring_free(struct ring *r)
{
    for (size_t i = 0; r->items && i < r->limit; i++)
        free(r->items[i]);
    free(r->items);
}

static bool ring_add(struct ring *r, struct kt_span line)
{
    if (r->limit == 0)
        return true;
    char *copy = strndup(line.data, line.len);
    if (!copy)
        return false;
    free(r->items[r->next]);
    r->items[r->next] = copy;
    r->next = (r->next + 1) % r->limit;
    r->count += r->count < r->limit;
    return true;
}

static void ring_print(const struct tail *t, const struct ring *r)
{
    for (size_t i = 0; i < r->count; i++) {
        const char *text = r->items[(r->next + r->limit - r->count + i) % r->limit];
        cJSON *event = cJSON_Parse(text);
        if (event) /* else no event: `kt events verify` names such a line */
            print_event(t->o, kt_span(text, strlen(text)), event);
        cJSON_Delete(event);
    }
}

/* ---- what is there already ---- */

/* Reads to the end of what is there. */
static bool fill_ring(struct tail *t, struct kt_lines *lines, struct ring *r)
{
    struct kt_span line;
    r->items = calloc(r->limit ? r->limit : 1, sizeof *r->items);
    if (!r->items)
        return false;
    bool choose = t->o->since[0] || t->o->verdict;
    while (kt_lines_next(lines, &line).code == KT_OK) {
        uint64_t seq = quick_seq(line);
        cJSON *event = choose || seq == 0 ? cJSON_ParseWithLength(line.data, line.len) : NULL;
        bool wanted = event ? cJSON_IsObject(event) && events_wanted(t->o, event) : !choose && seq > 0;
        seq = seq ? seq : seq_of(event);
        cJSON_Delete(event);
        t->last_seq = seq > t->last_seq ? seq : t->last_seq;
        if (wanted && !ring_add(r, line))
            return false;
    }
    return true;
}

static int open_in(const struct events_options *o, const char *name)
{
    char path[4096 + 80];
    snprintf(path, sizeof path, "%s/%s", o->dir, name);
    return open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
}

static bool fill_from(struct tail *t, const struct kt_audit_file *f, struct ring *r)
{
    if (f->first == 0) /* stays open: --follow reads on */
        return t->lines.fd < 0 || fill_ring(t, &t->lines, r);
    int fd = open_in(t->o, f->name);
    if (fd < 0)
        return true;
    struct kt_lines lines;
    kt_lines_init(&lines, fd, 0);
    bool ok = fill_ring(t, &lines, r);
    kt_lines_free(&lines);
    close(fd);
    return ok;
}

/* A consistent picture: rotated files keep their names, and the current one is open before it can get one.
 * Writers wait only for this, not for the reading. */
static kt_result look(const struct tail *t, struct kt_audit_files *files, int *current)
{
    KT_CLEANUP(kt_cleanup_fd) int lock = kt_audit_read_lock(t->o->dir);
    (void)lock; /* held to the end of this function */
    KT_GUARD(kt_audit_files_list(t->o->dir, files));
    *current = open_in(t->o, KT_AUDIT_CURRENT);
    return kt_ok();
}

/* Newest file first, as far back as the limit asks; printed oldest first. */
static kt_result show_past(struct tail *t)
{
    struct kt_audit_files files;
    KT_GUARD(look(t, &files, &t->lines.fd));
    struct ring *rings = calloc(files.count + 1, sizeof *rings);
    size_t have = 0, oldest = files.count;
    bool ok = rings != NULL;
    while (ok && oldest > 0 && (have < t->o->limit || oldest == files.count)) {
        oldest--;
        rings[oldest].limit = t->o->limit - have;
        ok = fill_from(t, &files.items[oldest], &rings[oldest]);
        have += rings[oldest].count;
    }
    for (size_t i = oldest; rings && i < files.count; i++) {
        if (ok)
            ring_print(t, &rings[i]);
        ring_free(&rings[i]);
    }
    free(rings);
    kt_audit_files_free(&files);
    return ok ? kt_ok() : kt_err(KT_ERR_MEMORY);
}

/* ---- what comes ---- */

static void show_new(struct tail *t, struct kt_lines *lines)
{
    struct kt_span line;
    while (!stopped && kt_lines_next(lines, &line).code == KT_OK) {
        cJSON *event = cJSON_ParseWithLength(line.data, line.len);
        uint64_t seq = seq_of(event);
        if (seq > t->last_seq) {
            t->last_seq = seq;
            if (events_wanted(t->o, event))
                print_event(t->o, line, event);
        }
        cJSON_Delete(event);
    }
    /* What was read of an unfinished line may be taken back by its writer (full disk, repair). */
    int fd = lines->fd;
    uint64_t offset = lines->offset;
    struct stat st;
    if (fd >= 0 && fstat(fd, &st) == 0 && (uint64_t)st.st_size < offset)
        offset = (uint64_t)st.st_size;
    kt_lines_free(lines);
    kt_lines_init(lines, fd, offset);
}

static bool still_current(const struct tail *t)
{
    struct stat mine, now;
    char path[4096 + 80];
    snprintf(path, sizeof path, "%s/" KT_AUDIT_CURRENT, t->o->dir);
    if (stat(path, &now) != 0)
        return true; /* between two files: wait */
    return t->lines.fd >= 0 && fstat(t->lines.fd, &mine) == 0 && mine.st_ino == now.st_ino &&
           mine.st_dev == now.st_dev;
}

static void show_rotated(struct tail *t, const struct kt_audit_file *f)
{
    struct kt_lines lines;
    KT_CLEANUP(kt_cleanup_fd) int fd = open_in(t->o, f->name);
    if (fd < 0)
        return;
    kt_lines_init(&lines, fd, 0);
    show_new(t, &lines);
    kt_lines_free(&lines);
}

/* One or more rotations went by: finish the old file, read those in between, go on with the new one. */
static void change_file(struct tail *t)
{
    struct kt_audit_files files;
    int current = -1;
    if (look(t, &files, &current).code != KT_OK)
        return;
    if (t->lines.fd >= 0) {
        show_new(t, &t->lines);
        close(t->lines.fd);
    }
    for (size_t i = 0; i < files.count; i++)
        if (files.items[i].first != 0 && files.items[i].last > t->last_seq)
            show_rotated(t, &files.items[i]);
    kt_audit_files_free(&files);
    kt_lines_free(&t->lines);
    kt_lines_init(&t->lines, current, 0);
    if (current >= 0)
        show_new(t, &t->lines);
}

/* inotify only wakes us up; what to read is always asked of the files. */
static void wait_for_more(const struct tail *t, int *notify, const sigset_t *open_mask)
{
    const struct timespec pause = {WAIT_SECONDS, 0};
    char drain[4096];
    if (*notify < 0) {
        *notify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
        if (*notify >= 0 && inotify_add_watch(*notify, t->o->dir, IN_MODIFY | IN_CREATE | IN_MOVED_TO) < 0) {
            close(*notify); /* no folder yet */
            *notify = -1;
        }
    }
    struct pollfd p = {*notify, POLLIN, 0};
    if (ppoll(&p, 1, &pause, open_mask) > 0)
        while (read(*notify, drain, sizeof drain) > 0)
            continue;
}

static void follow(struct tail *t)
{
    struct sigaction sa = {.sa_handler = on_stop};
    sigset_t block, open_mask;
    int notify = -1;
    sigemptyset(&block);
    sigaddset(&block, SIGINT);
    sigaddset(&block, SIGTERM);
    sigprocmask(SIG_BLOCK, &block, &open_mask);
    sigdelset(&open_mask, SIGINT);
    sigdelset(&open_mask, SIGTERM);
    sigaction(SIGINT, &sa, NULL);
    sigaction(SIGTERM, &sa, NULL);
    while (!stopped && !ferror(stdout)) {
        if (t->lines.fd >= 0)
            show_new(t, &t->lines);
        if (!still_current(t))
            change_file(t);
        fflush(stdout);
        wait_for_more(t, &notify, &open_mask);
    }
    if (notify >= 0)
        close(notify);
}

int events_tail(const struct events_options *o)
{
    struct tail t = {.o = o};
    kt_lines_init(&t.lines, -1, 0);
    kt_result r = show_past(&t);
    fflush(stdout);
    if (r.code == KT_ERR_NOTFOUND || (r.code == KT_OK && t.last_seq == 0))
        fprintf(stderr, "kt events: no events in %s%s\n", o->dir,
                o->follow ? "; waiting for the first" : " yet");
    else if (r.code != KT_OK)
        fprintf(stderr, "kt events: cannot read %s: %s\n", o->dir,
                r.code == KT_ERR_IO ? strerror(errno) : kt_code_name(r.code));
    bool failed = r.code != KT_OK && r.code != KT_ERR_NOTFOUND;
    if (o->follow && !failed)
        follow(&t);
    kt_lines_free(&t.lines);
    if (t.lines.fd >= 0)
        close(t.lines.fd);
    return failed ? KT_EXIT_USAGE : KT_EXIT_OK; /* what could not be written is seen at the end of kt */
}
