/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Removing old files. They are read without the lock, since a rotated file never changes; the lock is held
 * while one goes. Mark first, then unlink: a crash in between leaves a file too many, which stays good.
 */
#include "policyengine/audit/audit_log.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DAY_NS (86400ull * 1000000000u)
#define DAYS_MAX 36500

struct prune {
    struct kt_audit_pruning *p;
    char dir[4096];
    struct kt_audit_files files;
    struct audit_checkpoint *checkpoints; /* owned */
    size_t checkpoint_count;
    struct audit_checkpoint *chosen; /* owned: what goes, oldest first */
    size_t chosen_count;
};

static void prune_free(struct prune *w)
{
    kt_audit_files_free(&w->files);
    free(w->checkpoints);
    free(w->chosen);
}

static void cleanup_lines(struct kt_lines *l)
{
    kt_lines_free(l);
}

/* What one file says of itself. */
struct look {
    char newest[31]; /* timestamp; "" = none */
    int64_t days;    /* highest retention_days; -1 = none */
    struct audit_line last;
    uint64_t bytes;
    bool readable;
};

static bool KT_PRINTF(3, 4) stays(struct prune *w, const char *file, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    snprintf(w->p->stopped_at, sizeof w->p->stopped_at, "%s", file);
    vsnprintf(w->p->why, sizeof w->p->why, fmt, ap);
    va_end(ap);
    return false;
}

static void look_at(struct kt_span line, struct look *l)
{
    cJSON *event = cJSON_ParseWithLength(line.data, line.len);
    const cJSON *when = cJSON_GetObjectItemCaseSensitive(event, "timestamp");
    const cJSON *days = cJSON_GetObjectItemCaseSensitive(event, "retention_days");
    if (cJSON_IsString(when) && strlen(when->valuestring) == sizeof l->newest - 1 &&
        strcmp(when->valuestring, l->newest) > 0)
        memcpy(l->newest, when->valuestring, sizeof l->newest);
    if (cJSON_IsNumber(days) && days->valuedouble > (double)l->days)
        l->days = days->valuedouble < DAYS_MAX ? (int64_t)days->valuedouble : DAYS_MAX;
    cJSON_Delete(event);
}

static void read_file(const struct prune *w, const char *name, struct look *l)
{
    char path[4096 + 80];
    snprintf(path, sizeof path, "%s/%s", w->dir, name);
    memset(l, 0, sizeof *l);
    l->days = -1;
    KT_CLEANUP(kt_cleanup_fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return;
    KT_CLEANUP(cleanup_lines) struct kt_lines lines;
    struct kt_span line;
    kt_result r;
    kt_lines_init(&lines, fd, 0);
    while ((r = kt_lines_next(&lines, &line)).code == KT_OK) {
        look_at(line, l);
        l->readable = audit_line_parse(line, &l->last).code == KT_OK;
    }
    l->readable = l->readable && r.code == KT_ERR_NOTFOUND && line.len == 0;
    l->bytes = lines.offset;
}

static const struct audit_checkpoint *checkpoint_of(const struct prune *w, const char *file)
{
    for (size_t i = 0; i < w->checkpoint_count; i++)
        if (!w->checkpoints[i].pruned && strcmp(w->checkpoints[i].file, file) == 0)
            return &w->checkpoints[i];
    return NULL;
}

/* What was changed is evidence, however old. */
static bool fits(struct prune *w, const struct kt_audit_file *f, const struct look *l,
                 const struct audit_checkpoint *c)
{
    if (!c)
        return stays(w, f->name, "it has no checkpoint");
    if (!l->readable || l->last.seq != c->last_seq || l->bytes != c->bytes ||
        strcmp(l->last.hash, c->last_hash) != 0 || f->first != c->first_seq)
        return stays(w, f->name, "it does not end as its checkpoint says: see 'kt events verify'");
    return true;
}

static bool old_enough(struct prune *w, const struct kt_audit_file *f, const struct look *l)
{
    int64_t days = w->p->days >= 0 ? w->p->days : l->days;
    uint64_t now = kt_now_real_ns(), age;
    char limit[31];
    if (days < 0)
        return stays(w, f->name, "none of its events says how long to keep it (audit-logger.retention_days)");
    age = (uint64_t)(days < DAYS_MAX ? days : DAYS_MAX) * DAY_NS;
    kt_rfc3339(age < now ? now - age : 0, limit);
    if (!l->newest[0] || strcmp(l->newest, limit) >= 0)
        return stays(w, f->name, "its newest event is younger than %" PRId64 " days", days);
    return true;
}

static kt_result choose(struct prune *w)
{
    w->chosen = calloc(w->files.count + 1, sizeof *w->chosen);
    KT_ENSURE(w->chosen, KT_ERR_MEMORY);
    for (size_t i = 0; i < w->files.count && w->files.items[i].first != 0; i++) {
        const struct kt_audit_file *f = &w->files.items[i];
        const struct audit_checkpoint *c = checkpoint_of(w, f->name);
        struct look l;
        read_file(w, f->name, &l);
        if (!fits(w, f, &l, c) || !old_enough(w, f, &l))
            return kt_ok();
        w->chosen[w->chosen_count++] = *c;
    }
    return kt_ok();
}

static void report(struct prune *w, const struct audit_checkpoint *c)
{
    uint64_t events = c->last_seq - c->first_seq + 1;
    w->p->files++;
    w->p->events += events;
    w->p->bytes += c->bytes;
    if (w->p->removed)
        w->p->removed(w->p->arg, c->file, events, c->bytes);
}

/* One turn each: a writer waits for one file at most. */
static kt_result remove_one(struct prune *w, const struct audit_checkpoint *c, struct kt_error *err)
{
    struct audit_turn turn;
    audit_turn_init(&turn);
    kt_result r = audit_turn_begin(&turn, w->dir, err);
    if (r.code == KT_OK && turn.note_type)
        r = kt_fail(err, KT_ERR_STATE, "audit: a writer died just now; try again");
    if (r.code == KT_OK && audit_prune_mark(&turn, c).code != KT_OK)
        r = kt_fail(err, KT_ERR_IO, "audit: cannot write %s/" AUDIT_CHECKPOINTS ": %s", w->dir,
                    strerror(errno));
    if (r.code == KT_OK && unlinkat(turn.dir_fd, c->file, 0) != 0 && errno != ENOENT)
        r = kt_fail(err, KT_ERR_IO, "audit: cannot remove %s/%s: %s", w->dir, c->file, strerror(errno));
    audit_turn_end(&turn, false);
    if (r.code == KT_OK)
        report(w, c);
    return r;
}

/* In order, and no further than the first that resists: only a beginning may be missing. */
static kt_result remove_chosen(struct prune *w, struct kt_error *err)
{
    for (size_t i = 0; i < w->chosen_count; i++)
        KT_GUARD(remove_one(w, &w->chosen[i], err));
    return kt_ok();
}

/* The log itself says what went, in its chain. */
static kt_result record(const struct prune *w, struct kt_audit *audit, struct kt_error *err)
{
    char text[256];
    struct kt_event e = {0};
    KT_GUARD(kt_event_new_id(e.id));
    snprintf(text, sizeof text,
             "%" PRIu64 " files with events %" PRIu64 "-%" PRIu64 " were removed for their age", w->p->files,
             w->chosen[0].first_seq, w->chosen[w->p->files - 1].last_seq);
    e.timestamp_ns = kt_now_real_ns();
    e.event_type = "audit_pruned";
    e.message = text;
    e.cost_usd = -1;
    e.immutable = true;
    kt_event_fill_app(&e);
    return kt_audit_append(audit, &e, err);
}

static kt_result remove_and_record(struct prune *w, const char *state_dir, struct kt_error *err)
{
    struct kt_audit *audit = NULL;
    KT_GUARD(kt_audit_open(state_dir, 0, &audit, err)); /* repairs what a crash left */
    kt_result r = remove_chosen(w, err);
    struct kt_error second = {KT_OK, ""};
    kt_result recorded = w->p->files ? record(w, audit, &second) : kt_ok();
    kt_audit_free(audit);
    if (r.code == KT_OK && recorded.code != KT_OK)
        return kt_fail(err, recorded.code, "%s", second.text);
    return r;
}

kt_result kt_audit_prune(const char *state_dir, struct kt_audit_pruning *p, struct kt_error *err)
{
    KT_CLEANUP(prune_free) struct prune w = {.p = p};
    int n = snprintf(w.dir, sizeof w.dir, "%s/audit", state_dir);
    if (n < 0 || (size_t)n >= sizeof w.dir)
        return kt_fail(err, KT_ERR_USAGE, "audit: the path of the state folder is too long");
    kt_result r = kt_audit_files_list(w.dir, &w.files);
    if (r.code == KT_ERR_NOTFOUND)
        return kt_fail(err, r.code, "there is no audit log in %s", w.dir);
    if (r.code == KT_OK)
        r = audit_checkpoints_read(w.dir, &w.checkpoints, &w.checkpoint_count);
    if (r.code == KT_OK)
        r = choose(&w);
    if (r.code != KT_OK)
        return kt_fail(err, r.code, "audit: cannot read %s: %s", w.dir,
                       r.code == KT_ERR_IO ? strerror(errno) : kt_code_name(r.code));
    if (!p->dry_run && w.chosen_count)
        return remove_and_record(&w, state_dir, err);
    for (size_t i = 0; i < w.chosen_count; i++)
        report(&w, &w.chosen[i]);
    return kt_ok();
}
