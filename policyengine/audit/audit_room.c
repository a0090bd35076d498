/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Room for events that are still to come: a call whose event could not be written must not leave. The log
 * owns a piece of disk behind its end, taken in steps, so that a turn asks the file system for nothing as a
 * rule. Readers do not see it: the length of the file stays.
 */
#include "policyengine/audit/audit_log.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define STEP_BYTES (256u << 10)

static bool within_limit(uint64_t end)
{
    struct rlimit lim;
    if (getrlimit(RLIMIT_FSIZE, &lim) != 0 || lim.rlim_cur == RLIM_INFINITY || end <= lim.rlim_cur)
        return true;
    errno = EFBIG;
    return false;
}

/* A file system that knows no reservation, or a filter that forbids it: all that can be done is to try. */
static bool try_write(const struct audit_turn *t)
{
    char blanks[AUDIT_ROOM_MIN / 4];
    bool good = true;
    memset(blanks, ' ', sizeof blanks);
    for (size_t i = 0; i < 4 && good; i++)
        good = kt_write_all(t->log_fd, blanks, sizeof blanks).code == KT_OK;
    int cause = errno;
    if (ftruncate(t->log_fd, (off_t)t->size) != 0)
        good = false;
    errno = cause;
    return good;
}

static bool reserve(int fd, uint64_t from, uint64_t bytes)
{
    int rc;
    do
        rc = fallocate(fd, FALLOC_FL_KEEP_SIZE, (off_t)from, (off_t)bytes);
    while (rc != 0 && errno == EINTR);
    return rc == 0;
}

static bool cannot_reserve(void)
{
    return errno == EOPNOTSUPP || errno == ENOSYS || errno == EPERM || errno == EINVAL;
}

bool audit_room_limited(uint64_t size)
{
    return !within_limit(size + AUDIT_ROOM_MIN);
}

bool audit_room_make(struct audit_turn *t, bool doubtful)
{
    if (!within_limit(t->size + AUDIT_ROOM_MIN))
        return false;
    if (!doubtful && t->size + AUDIT_ROOM_MIN <= t->room_to)
        return true;
    t->room_to = 0;
    bool head = reserve(t->head_fd, 0, AUDIT_HEAD_SIZE);
    if (head && reserve(t->log_fd, t->size, STEP_BYTES)) {
        t->room_to = t->size + STEP_BYTES;
        return true;
    }
    if (cannot_reserve())
        return !doubtful || try_write(t);
    if (!head || !reserve(t->log_fd, t->size, AUDIT_ROOM_MIN)) /* the last step of a small disk */
        return false;
    t->room_to = t->size + AUDIT_ROOM_MIN;
    return true;
}

void audit_room_give_back(struct audit_turn *t)
{
    t->room_to = 0;
    if (ftruncate(t->log_fd, (off_t)t->size) != 0)
        return; /* it stays with the file */
}
