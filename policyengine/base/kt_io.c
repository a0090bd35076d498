/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/base/kt_io.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

int kt_off_std(int fd)
{
    if (fd < 0 || fd > STDERR_FILENO)
        return fd;
    int saved = errno, higher = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    if (higher >= 0)
        close(fd);
    errno = saved;
    return higher >= 0 ? higher : fd;
}

kt_result kt_write_all(int fd, const void *data, size_t len)
{
    for (const char *at = data; len > 0;) {
        ssize_t n = write(fd, at, len);
        if (n < 0 && errno == EINTR)
            continue;
        KT_ENSURE(n > 0, KT_ERR_IO);
        at += n;
        len -= (size_t)n;
    }
    return kt_ok();
}

kt_result kt_read_exact(int fd, void *to, size_t len)
{
    for (char *at = to; len > 0;) {
        ssize_t n = read(fd, at, len);
        if (n < 0 && errno == EINTR)
            continue;
        KT_ENSURE(n > 0, KT_ERR_IO);
        at += n;
        len -= (size_t)n;
    }
    return kt_ok();
}

kt_result kt_read_to_end(int fd, struct kt_buf *out)
{
    char piece[16384];
    for (;;) {
        ssize_t n = read(fd, piece, sizeof piece);
        if (n < 0 && errno == EINTR)
            continue;
        KT_ENSURE(n >= 0, KT_ERR_IO);
        if (n == 0)
            return kt_ok();
        kt_result r = kt_buf_append(out, piece, (size_t)n);
        kt_wipe(piece, (size_t)n);
        KT_GUARD(r);
    }
}
