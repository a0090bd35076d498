/* SPDX-License-Identifier: Apache-2.0 */
#include "interceptor/plan/kt_plan_file.h"

#include "policyengine/base/kt_io.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LOCK_WAIT_NS 1000000000ull /* a maker needs some 20 ms */
#define LOCK_NAP_NS 2000000l

kt_result kt_path_format(char *out, size_t size, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(out, size, fmt, ap);
    va_end(ap);
    KT_ENSURE(n >= 0 && (size_t)n < size, KT_ERR_LIMIT);
    return kt_ok();
}

static bool trustworthy(const struct stat *st)
{
    return (st->st_uid == geteuid() || st->st_uid == 0) && (st->st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

kt_result kt_plan_file_read(const char *path, bool ours, struct kt_buf *out)
{
    struct stat st;
    /* O_NONBLOCK: a FIFO in the file's place must not hang us. */
    KT_CLEANUP(kt_cleanup_fd)
    int fd = kt_off_std(open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | (ours ? O_NOFOLLOW : 0)));
    KT_ENSURE(fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode), KT_ERR_IO);
    KT_ENSURE(!ours || trustworthy(&st), KT_ERR_IO);
    KT_ENSURE(st.st_size >= 0 && (uint64_t)st.st_size <= out->max - out->len, KT_ERR_LIMIT);
    KT_GUARD(kt_buf_reserve(out, (size_t)st.st_size));
    return kt_read_to_end(fd, out);
}

/* errno tells why not. */
static bool write_temp(const char *temp, struct kt_span data, mode_t mode, bool durable)
{
    int fd = kt_off_std(open(temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode));
    if (fd < 0)
        return false;
    bool fine = fchmod(fd, mode) == 0 && kt_is_ok(kt_write_all(fd, data.data, data.len)) &&
                (!durable || fdatasync(fd) == 0);
    int why = errno;
    fine = close(fd) == 0 && fine;
    errno = why;
    return fine;
}

kt_result kt_file_write(const char *dir, const char *name, struct kt_span data, mode_t mode, bool durable,
                        struct kt_error *err)
{
    char path[4096], temp[4096];
    uint64_t random = 0;
    KT_GUARD(kt_random(&random, sizeof random));
    KT_GUARD(kt_path_format(path, sizeof path, "%s/%s", dir, name));
    KT_GUARD(kt_path_format(temp, sizeof temp, "%s/" KT_FILE_TEMP_PREFIX "%016llx", dir,
                            (unsigned long long)random));
    if (write_temp(temp, data, mode, durable) && rename(temp, path) == 0)
        return kt_ok();
    int why = errno;
    unlink(temp);
    errno = why;
    return kt_fail(err, KT_ERR_IO, "cannot write %.300s: %s", path,
                   why == EFBIG ? "the limit on file sizes (ulimit -f) is too small for it" : strerror(why));
}

int kt_file_lock(const char *dir)
{
    char path[4096];
    if (!kt_is_ok(kt_path_format(path, sizeof path, "%s/.lock", dir)))
        return -1;
    int fd = kt_off_std(open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (fd < 0)
        return -1;
    /* Not a blocking flock: a stopped holder must not stop a wrapped program for ever. */
    uint64_t deadline = kt_now_mono_ns() + LOCK_WAIT_NS;
    while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        const struct timespec nap = {0, LOCK_NAP_NS};
        if ((errno != EWOULDBLOCK && errno != EINTR) || kt_now_mono_ns() > deadline) {
            close(fd);
            return -1;
        }
        nanosleep(&nap, NULL);
    }
    return fd;
}

void kt_file_unlock(const int *fd)
{
    if (*fd < 0)
        return;
    flock(*fd, LOCK_UN); /* closing alone would not do where a fork elsewhere has copied the fd */
    close(*fd);
}
