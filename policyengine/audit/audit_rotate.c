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
    audit_room_give_back(t);
    KT_GUARD(audit_turn_new_log(t, fd));
    t->size = 0;
    t->head.first_seq = t->head.seq + 1;
    t->head.bytes = 0;
    return audit_head_write(t->head_fd, &t->head);
}
