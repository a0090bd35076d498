/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The audit log: JSON Lines in <state_dir>/audit/, shared by many processes.
 *
 * audit/current.jsonl is appended under flock of audit/lock; audit/head holds seq and hash of the last event,
 * rewritten in place under the same lock, so that an append is O(1) whatever the file's size. When they
 * disagree (crash), the tail of the file is read again: a torn last line moves to audit/torn-<time>.jsonl and
 * is reported. Rotation at max_file_bytes renames to audit/<first seq>-<last seq>.jsonl and adds one line to
 * audit/checkpoints.jsonl.
 */
#include "policyengine/audit/kt_event.h"

#ifdef __cplusplus
extern "C" {
#endif

struct kt_audit;

/* Whose fds the log keeps open between events. `keep` takes the fd and returns the one to use, or -1 with
 * errno; `close` gives it back. In a fork child the owner closes them. */
struct kt_audit_fds {
    int (*keep)(int fd);
    void (*close)(int fd);
    /* Where a file may not be opened any more: one from before. 0 the folder, 1 its lock, 2 its head, 3 its
     * log; borrowed, -1 = none. NULL = never. */
    int (*before)(unsigned which);
};
/* Before the first kt_audit_open; without it the fds are plain ones of this process. */
void kt_audit_set_fds(const struct kt_audit_fds *fds);
/* The fds that are kept between events were closed. */
void kt_audit_forget_fds(void);

/* new. Makes <state_dir>/audit (0700). KT_ERR_IO with `err` where it cannot be written. Cheap; safe to keep
 * over fork (no lock is held between calls; a child opens its own files). `max_file_bytes` 0 = 64 MiB. */
kt_result kt_audit_open(const char *state_dir, uint64_t max_file_bytes, struct kt_audit **out,
                        struct kt_error *err) KT_MUST;
void kt_audit_free(struct kt_audit *a);
/* Appends one event durably in order (write, no fsync); sets e->seq. Any thread. KT_ERR_IO: nothing was
 * written. Waits at most 10 s for other writers (a stopped process may hold the lock). All signals are
 * blocked meanwhile. */
kt_result kt_audit_append(struct kt_audit *a, struct kt_event *e, struct kt_error *err) KT_MUST;
/* Would an event wait for another writer now? For threads that may not: the answer is old when it comes. Some
 * system calls, none of which waits. Any thread; signals are blocked meanwhile. */
bool kt_audit_busy(struct kt_audit *a);
/* Can another event be written? Costs one system call as a rule; takes a turn, with its waits, where the last
 * one failed or left too little room on the disk for an event of usual size (32 KiB). KT_ERR_IO: no. */
kt_result kt_audit_ready(struct kt_audit *a, struct kt_error *err) KT_MUST;

struct kt_audit_item {
    struct kt_event *event; /* borrowed; its seq is set */
    kt_result result;       /* filled */
};
/* The same for many, in their order: one lock and, as a rule, one write for all. Where the write of many
 * fails each is tried by itself. `err` holds the last failure. */
void kt_audit_append_all(struct kt_audit *a, struct kt_audit_item *items, size_t count, struct kt_error *err);

struct kt_audit_report {
    uint64_t events, files;
    bool ok;
    char file[256];
    uint64_t line;                 /* of the first broken line */
    char what[256];                /* in words */
    uint64_t last_seq;             /* of the last good event */
    char last_hash[KT_SHA256_HEX]; /* its hash */
    uint64_t pruned;               /* events in front of them that were removed on purpose */
};
/* Walks every file: sequence numbers, chain, checkpoints, head. KT_OK also for a broken log (report->ok
 * tells). Changes nothing; writers may go on meanwhile. KT_ERR_NOTFOUND where there is no audit folder. */
kt_result kt_audit_verify(const char *state_dir, struct kt_audit_report *report,
                          struct kt_error *err) KT_MUST;

struct kt_audit_pruning {
    int64_t days; /* age of what goes; -1 = the highest retention_days that a file's own events carry */
    bool dry_run; /* look only */
    void (*removed)(void *arg, const char *file, uint64_t events, uint64_t bytes); /* of each; may be NULL */
    void *arg;
    /* Filled. */
    uint64_t files, events, bytes; /* what went, or would go */
    char stopped_at[64];           /* the first file that stays; "" = only current.jsonl is left */
    char why[160];                 /* in words */
};
/* Removes whole rotated files from the beginning, up to the first that is too young, or that does not end as
 * its checkpoint says. Each gets a mark in checkpoints.jsonl first, by which kt_audit_verify knows it; an
 * event "audit_pruned" then says what went. KT_ERR_NOTFOUND where there is no audit folder; KT_ERR_IO. */
kt_result kt_audit_prune(const char *state_dir, struct kt_audit_pruning *p, struct kt_error *err) KT_MUST;

#ifdef __cplusplus
}
#endif
