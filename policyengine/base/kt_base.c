/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/base/kt_base.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

const char *kt_code_name(enum kt_code code)
{
    static const char *const names[] = {"ok",    "memory",    "limit", "io",     "syntax",
                                        "usage", "not found", "state", "crypto", "internal"};
    return (size_t)code < KT_COUNT(names) ? names[code] : "unknown";
}

kt_result kt_fail(struct kt_error *err, enum kt_code code, const char *fmt, ...)
{
    if (err) {
        va_list ap;
        va_start(ap, fmt);
        err->code = code;
        vsnprintf(err->text, sizeof err->text, fmt, ap);
        va_end(ap);
    }
    return kt_err(code);
}

bool kt_span_eq(struct kt_span s, const char *text)
{
    return strlen(text) == s.len && memcmp(s.data, text, s.len) == 0;
}

bool kt_span_ieq(struct kt_span s, const char *text)
{
    return strlen(text) == s.len && strncasecmp(s.data, text, s.len) == 0;
}

void kt_wipe(void *p, size_t n)
{
    explicit_bzero(p, n);
}

void kt_free_secret(char *s)
{
    if (s)
        kt_wipe(s, strlen(s));
    free(s);
}

void kt_cleanup_free(void *pointer_to_pointer)
{
    void **p = pointer_to_pointer;
    free(*p);
    *p = NULL;
}

void kt_cleanup_fd(const int *fd)
{
    if (*fd >= 0) {
        int saved = errno;
        close(*fd);
        errno = saved;
    }
}

static uint64_t clock_ns(clockid_t id)
{
    struct timespec ts;
    clock_gettime(id, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

uint64_t kt_now_mono_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

uint64_t kt_now_real_ns(void)
{
    return clock_ns(CLOCK_REALTIME);
}

kt_result kt_random(void *out, size_t len)
{
    unsigned char *p = out;
    KT_CLEANUP(kt_cleanup_fd) int fd = -1;
    while (len > 0) {
        ssize_t n = fd < 0 ? getrandom(p, len, 0) : read(fd, p, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && fd < 0) { /* a seccomp filter of the program's own denies it */
            fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
            KT_ENSURE(fd >= 0, KT_ERR_IO);
            continue;
        }
        KT_ENSURE(n > 0, KT_ERR_IO);
        p += n;
        len -= (size_t)n;
    }
    return kt_ok();
}
