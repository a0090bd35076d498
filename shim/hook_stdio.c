/* SPDX-License-Identifier: Apache-2.0 */
/* The C library's streams and dprintf write behind our hooks. On a socket of the tap lane dprintf is made of
 * write; a stream over one cannot be read along, which is said. */
#include "shim/guard.h"
#include "shim/real.h"
#include "shim/tap_sockets.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define FORMAT(text, values) __attribute__((format(printf, text, values)))
int __dprintf_chk(int fd, int flag, const char *format, ...) FORMAT(3, 4);
int __vdprintf_chk(int fd, int flag, const char *format, va_list args) FORMAT(3, 0);

KT_HOOK FILE *fdopen(int fd, const char *mode)
{
    FILE *f = KT_REAL(fdopen)(fd, mode);
    if (f && kt_tap_is_socket(fd) && !kt_bypass())
        kt_tap_socket_unread(fd, "a stream of the C library over a socket (fdopen)");
    return f;
}

/* The text in one piece. False: no memory for it; the real one does with little. */
FORMAT(2, 0)
static bool put_text(int fd, const char *format, va_list args, int *rc)
{
    char *text = NULL;
    int len = vasprintf(&text, format, args);
    if (len < 0)
        return false;
    int done = 0;
    while (done < len) {
        ssize_t n = write(fd, text + done, (size_t)(len - done)); /* the hook */
        if (n <= 0)
            break;
        done += (int)n;
    }
    int saved = errno;
    free(text);
    errno = saved;
    *rc = done == len ? len : -1;
    return true;
}

FORMAT(2, 0)
static bool written(int fd, const char *format, va_list args, int *rc)
{
    if (!kt_tap_is_socket(fd) || kt_bypass())
        return false;
    va_list twin;
    va_copy(twin, args);
    bool ok = put_text(fd, format, twin, rc);
    va_end(twin);
    return ok;
}

KT_HOOK int vdprintf(int fd, const char *restrict format, va_list args)
{
    int rc;
    return written(fd, format, args, &rc) ? rc : KT_REAL(vdprintf)(fd, format, args);
}

KT_HOOK int __vdprintf_chk(int fd, int flag, const char *format, va_list args)
{
    int rc;
    return written(fd, format, args, &rc) ? rc : KT_REAL(__vdprintf_chk)(fd, flag, format, args);
}

KT_HOOK int dprintf(int fd, const char *restrict format, ...)
{
    va_list args;
    va_start(args, format);
    int rc = vdprintf(fd, format, args);
    va_end(args);
    return rc;
}

KT_HOOK int __dprintf_chk(int fd, int flag, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int rc = __vdprintf_chk(fd, flag, format, args);
    va_end(args);
    return rc;
}
