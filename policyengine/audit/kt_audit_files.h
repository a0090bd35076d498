/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Reading the audit folder: which files there are, in order, and their lines. For verification and for `kt
 * events`. */
#include "policyengine/base/kt_buf.h"

#ifdef __cplusplus
extern "C" {
#endif

#define KT_AUDIT_CURRENT "current.jsonl"
#define KT_AUDIT_LINE_MAX (256u << 20) /* bytes of one event's line */

struct kt_audit_file {
    char name[64];
    uint64_t first, last; /* from the name of a rotated file; 0 for current.jsonl */
};
struct kt_audit_files {
    struct kt_audit_file *items; /* owned */
    size_t count;
};
/* Rotated files by sequence number, then current.jsonl where it exists. `audit_dir` = <state_dir>/audit.
 * KT_ERR_NOTFOUND where there is no such folder. */
kt_result kt_audit_files_list(const char *audit_dir, struct kt_audit_files *out) KT_MUST;
void kt_audit_files_free(struct kt_audit_files *files);
/* Keeps writers away while the caller lists and opens files; close the fd to let them on. Waits 2 s at most,
 * since a writer that was stopped keeps its lock; -1 where there is no lock file to open: reading goes on
 * without. */
int kt_audit_read_lock(const char *audit_dir);

/* Lines of a file that may grow while it is read. The fd stays the caller's. */
struct kt_lines {
    int fd;
    uint64_t offset;   /* of the next line in the file */
    uint64_t end;      /* bytes behind this offset do not count; UINT64_MAX = to the end of the file */
    struct kt_buf buf; /* read ahead; buf.data + skip is at `offset` */
    size_t skip;
};
void kt_lines_init(struct kt_lines *l, int fd, uint64_t offset);
void kt_lines_free(struct kt_lines *l);
/* The next line without its newline, borrowed until the next call. KT_ERR_NOTFOUND at the end; *line then
 * holds what is there of an unfinished line, and a later call tries again. */
kt_result kt_lines_next(struct kt_lines *l, struct kt_span *line) KT_MUST;

#ifdef __cplusplus
}
#endif
