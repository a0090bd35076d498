/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside of the audit log: what a writer works on while it holds the lock. Nothing outside this folder
 * includes it. */
#include "policyengine/audit/kt_audit.h"
#include "policyengine/audit/kt_audit_files.h"
#include "policyengine/base/kt_io.h"

#include <sys/stat.h>

#define AUDIT_LOCK "lock"
#define AUDIT_HEAD "head"
#define AUDIT_CHECKPOINTS "checkpoints.jsonl"
#define AUDIT_CHECKPOINTS_MAX (64u << 20) /* bytes; some 300,000 rotations */
#define AUDIT_HEAD_SIZE 160 /* fixed, so that it is rewritten in place and needs no room on a full disk */
#define AUDIT_NO_HASH "0000000000000000000000000000000000000000000000000000000000000000"

enum audit_file { AUDIT_FILE_DIR, AUDIT_FILE_LOCK, AUDIT_FILE_HEAD, AUDIT_FILE_LOG };

/* The file `head`: where the next event goes on. */
struct audit_head {
    uint64_t seq;             /* of the last event; 0 = none yet */
    char hash[KT_SHA256_HEX]; /* of the last event */
    uint64_t first_seq; /* of the first event in current.jsonl, or of the next one while that is empty */
    uint64_t bytes;     /* length of current.jsonl behind the last event */
};

/* The turns of this process's writers, one after the other; the fds stay open in between. */
struct audit_turn {
    const char *dir; /* borrowed from the audit log of the turn; NULL before the first */
    int dir_fd, lock_fd, head_fd, log_fd;
    bool locked, old_files;                       /* old: opened before the program gave up its rights */
    struct stat dir_st, lock_st, head_st, log_st; /* as opened: the fd may be another file's by now */
    struct stat root_st;                          /* "/" when the folder was opened */
    struct audit_head head;
    uint64_t size;         /* of current.jsonl as found */
    uint64_t room_to;      /* the disk is known to have room up to this offset of it; 0 = not known */
    const char *note_type; /* an event of our own that must come first; NULL = none */
    char note[320];
};

/* No fd yet. */
void audit_turn_init(struct audit_turn *t);
/* Takes the lock, opens the files where the kept ones do not do, repairs what a crash left. The caller ends
 * the turn also on failure. `dir` is borrowed until the next turn begins. */
kt_result audit_turn_begin(struct audit_turn *t, const char *dir, struct kt_error *err) KT_MUST;
/* Outside of a turn: has another process the lock just now? False where that cannot be told. */
bool audit_turn_busy(struct audit_turn *t);
/* Releases the lock; closes the fds unless `keep`. */
void audit_turn_end(struct audit_turn *t, bool keep);
/* Closes everything. */
void audit_turn_drop(struct audit_turn *t);
/* In a fork child: the fds are the parent's. Closes the copies unless their owner does, and leaves the lock
 * alone. */
void audit_turn_forget(struct audit_turn *t);
/* `fd` becomes the log's. Takes it. */
kt_result audit_turn_new_log(struct audit_turn *t, int fd) KT_MUST;
#define AUDIT_ROOM_MIN (32u << 10) /* bytes of an event, where it is not of the largest */
/* Within a turn: true where current.jsonl has room for another event; false with errno. `doubtful`: do not
 * rely on what was known. */
bool audit_room_make(struct audit_turn *t, bool doubtful);
/* Outside of a turn: the process may not make the file longer. */
bool audit_room_limited(uint64_t size);
/* Before the file is closed for good. */
void audit_room_give_back(struct audit_turn *t);
void audit_turn_set_owner(const struct kt_audit_fds *fds);

/* False where the file is missing or does not hold a head. */
bool audit_head_read(int head_fd, struct audit_head *head);
kt_result audit_head_write(int head_fd, const struct audit_head *head) KT_MUST;

/* Appends all within this turn; each item gets its result, the return value is the last failure. */
kt_result audit_write(struct audit_turn *t, uint64_t max_bytes, struct kt_audit_item *items, size_t count,
                      struct kt_error *err) KT_MUST;

/* Makes head and current.jsonl agree again. Where that leaves a note, the head on disk waits for it: a note
 * that cannot be written is found again by the next writer. */
kt_result audit_recover(struct audit_turn *t, bool head_valid, struct kt_error *err) KT_MUST;
/* Starts a new current.jsonl. On failure the old one goes on. */
kt_result audit_rotate(struct audit_turn *t) KT_MUST;
/* Adds the line for a file that was closed, unless it is there. */
kt_result audit_checkpoint(struct audit_turn *t, const char *file, const struct audit_head *end) KT_MUST;

struct audit_checkpoint;
/* Adds the mark for a file that is about to be removed. */
kt_result audit_prune_mark(struct audit_turn *t, const struct audit_checkpoint *c) KT_MUST;
/* new: all checkpoints of a log, marks among them; bad lines are passed over. *items is NULL where there are
 * none. */
kt_result audit_checkpoints_read(const char *dir, struct audit_checkpoint **items, size_t *count) KT_MUST;

/* One checkpoint as read back. */
struct audit_checkpoint {
    bool pruned; /* a second line for the same file: it was removed on purpose */
    char file[64];
    uint64_t first_seq, last_seq, bytes;
    char last_hash[KT_SHA256_HEX];
};
/* False where the line is not a checkpoint. */
bool audit_checkpoint_parse(struct kt_span line, struct audit_checkpoint *c);

/* What one line says about its place in the log. */
struct audit_line {
    uint64_t seq;
    char event_type[64];
    bool chained;
    char prev_hash[KT_SHA256_HEX]; /* where chained */
    char hash[KT_SHA256_HEX];      /* over the bytes, not as written */
    bool hash_matches;             /* chained: what is written equals it */
};
/* KT_ERR_SYNTAX where it is no event. */
kt_result audit_line_parse(struct kt_span line, struct audit_line *out) KT_MUST;

void audit_rotated_name(uint64_t first, uint64_t last, char out[64]);
