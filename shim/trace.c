/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/trace.h"

#include "shim/env.h"
#include "shim/plan_path.h"
#include "shim/real.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINE_BYTES 512

static bool names_us(const char *words, size_t len)
{
    while (len > 0) {
        size_t n = 0;
        while (n < len && words[n] != ',')
            n++;
        if ((n == 4 && memcmp(words, "shim", 4) == 0) || (n == 3 && memcmp(words, "all", 3) == 0))
            return true;
        words += n < len ? n + 1 : n;
        len -= n < len ? n + 1 : n;
    }
    return false;
}

bool kt_trace_on(void)
{
    static atomic_int known; /* 0 not asked, 1 off, 2 on */
    int k = atomic_load_explicit(&known, memory_order_relaxed);
    if (__builtin_expect(k == 0, 0)) {
        const char *v = kt_env_get("KT_TRACE");
        k = v && names_us(v, strcspn(v, ":")) ? 2 : 1;
        atomic_store_explicit(&known, k, memory_order_relaxed);
    }
    return k == 2;
}

static void write_all(const char *line, size_t len)
{
    const char *v = kt_env_get("KT_TRACE");
    const char *place = v ? strchr(v, ':') : NULL;
    char path[PATH_MAX];
    if (place && strncmp(place, ":fd:", 4) == 0) {
        ssize_t n = write(atoi(place + 4), line, len);
        (void)n;
        return;
    }
    if (place && place[1] && strlen(place + 1) < sizeof path)
        memcpy(path, place + 1, strlen(place + 1) + 1);
    else if (!kt_state_dir(path, sizeof path - 10))
        return;
    else
        memcpy(path + strlen(path), "/kt.trace", 10);
    /* Opened for each line: an fd that stays open could be closed or inherited by the program. */
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return;
    ssize_t n = write(fd, line, len);
    (void)n;
    KT_REAL(close)(fd);
}

void kt_trace_write(const char *fmt, ...)
{
    int saved = errno;
    char line[LINE_BYTES];
    int used = snprintf(line, sizeof line, "shim [%d] ", (int)getpid());
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(line + used, sizeof line - (size_t)used - 1, fmt, ap);
    va_end(ap);
    if (n >= 0) {
        size_t room = sizeof line - (size_t)used - 2;
        size_t len = (size_t)used + ((size_t)n < room ? (size_t)n : room);
        line[len++] = '\n';
        write_all(line, len);
    }
    errno = saved;
}
