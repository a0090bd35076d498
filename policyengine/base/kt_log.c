/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/base/kt_log.h"

#include "policyengine/base/kt_io.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINES_PER_SECOND 20
#define LINE_MAX_BYTES 1024

unsigned kt_trace_mask;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char log_path[4096];
static char trace_path[4096];
static char trace_words[512];
static int trace_fd = -1;
static void (*log_hook)(const char *line);
static uint64_t window_start;
static unsigned in_window, dropped;

/* A child forked while another thread wrote a line must not wait for that thread for ever. */
static void in_child(void)
{
    pthread_mutex_init(&lock, NULL);
}

void kt_log_open(const char *state_dir)
{
    static atomic_flag registered = ATOMIC_FLAG_INIT;
    if (!atomic_flag_test_and_set(&registered))
        pthread_atfork(NULL, NULL, in_child);
    pthread_mutex_lock(&lock);
    snprintf(log_path, sizeof log_path, "%s/kt.log", state_dir);
    pthread_mutex_unlock(&lock);
}

void kt_log_set_hook(void (*hook)(const char *line))
{
    log_hook = hook;
}

/* Of a program that gave up the right to the usual one: in the folder that its plan is in. -1 = there is
 * none. */
static int open_private(void)
{
    char dir[64], path[80];
    struct stat st;
    snprintf(dir, sizeof dir, "/tmp/ktwrap-%u", (unsigned)geteuid());
    snprintf(path, sizeof path, "%s/kt.log", dir);
    if ((mkdir(dir, 0700) != 0 && errno != EEXIST) || lstat(dir, &st) != 0 || !S_ISDIR(st.st_mode) ||
        st.st_uid != geteuid() || (st.st_mode & 022))
        return -1;
    return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
}

/* Opened for each line: no fd is kept, so the program's close() or fork() cannot hurt us. */
static void append_line(const char *path, const char *line, size_t len)
{
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 && errno == EACCES && path == log_path)
        fd = open_private();
    fd = kt_off_std(fd);
    if (fd < 0)
        return;
    ssize_t n = write(fd, line, len);
    (void)n; /* a log that cannot be written has nowhere to say so */
    close(fd);
}

/* Lock held. True where this line may be written. */
static bool within_rate(void)
{
    uint64_t now = kt_now_mono_ns();
    if (now - window_start >= 1000000000u) {
        window_start = now;
        in_window = 0;
    }
    if (in_window >= LINES_PER_SECOND) {
        dropped++;
        return false;
    }
    in_window++;
    return true;
}

void kt_warn(const char *fmt, ...)
{
    int saved = errno;
    char text[LINE_MAX_BYTES];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (log_hook) {
        log_hook(text);
        errno = saved;
        return;
    }
    pthread_mutex_lock(&lock);
    if (log_path[0] && within_rate()) {
        char line[LINE_MAX_BYTES + 128], when[31];
        kt_rfc3339(kt_now_real_ns(), when);
        int n = snprintf(line, sizeof line, "%s [%d] %s", when, (int)getpid(), text);
        if (dropped > 0 && n > 0 && (size_t)n < sizeof line)
            n += snprintf(line + n, sizeof line - (size_t)n, " (%u lines dropped before this one)", dropped);
        if (n > 0) {
            size_t len = (size_t)n < sizeof line - 1 ? (size_t)n : sizeof line - 2;
            line[len] = '\n';
            append_line(log_path, line, len + 1);
            dropped = 0;
        }
    }
    pthread_mutex_unlock(&lock);
    errno = saved;
}

static unsigned bit_of(const char *word, size_t len)
{
    static const char *const names[] = {"shim",  "flow",     "tls",   "http",  "policy",
                                        "route", "upstream", "audit", "engine"};
    if (len == 3 && memcmp(word, "all", 3) == 0)
        return (1u << KT_COUNT(names)) - 1;
    for (size_t i = 0; i < KT_COUNT(names); i++)
        if (strlen(names[i]) == len && memcmp(names[i], word, len) == 0)
            return 1u << i;
    return 0;
}

void kt_trace_open(const char *value, const char *state_dir)
{
    kt_trace_mask = 0;
    trace_words[0] = '\0';
    if (!value || !*value)
        return;
    const char *place = strchr(value, ':');
    size_t n = place ? (size_t)(place - value) : strlen(value);
    if (n >= sizeof trace_words)
        return;
    memcpy(trace_words, value, n);
    trace_words[n] = '\0';
    if (place && strncmp(place, ":fd:", 4) == 0)
        trace_fd = atoi(place + 4);
    else if (place)
        snprintf(trace_path, sizeof trace_path, "%s", place + 1);
    else
        snprintf(trace_path, sizeof trace_path, "%s/kt.trace", state_dir ? state_dir : "/tmp");
    for (const char *w = trace_words; *w;) {
        size_t len = strcspn(w, ",");
        kt_trace_mask |= bit_of(w, len);
        w += len + (w[len] == ',');
    }
}

struct kt_span kt_trace_unknown(const char *value)
{
    static const char *const switches[] = {"no-handoff", "no-tap"};
    for (const char *w = value; *w && *w != ':';) {
        size_t len = strcspn(w, ",:");
        bool known = len == 0 || bit_of(w, len) != 0;
        for (size_t i = 0; i < KT_COUNT(switches); i++)
            known = known || (strlen(switches[i]) == len && memcmp(w, switches[i], len) == 0);
        if (!known)
            return kt_span(w, len);
        w += len + (w[len] == ',');
    }
    return kt_span("", 0);
}

bool kt_trace_switch(const char *word)
{
    size_t want = strlen(word);
    for (const char *w = trace_words; *w;) {
        size_t len = strcspn(w, ",");
        if (len == want && memcmp(w, word, len) == 0)
            return true;
        w += len + (w[len] == ',');
    }
    return false;
}

void kt_trace_line(const char *component, const char *fmt, ...)
{
    int saved = errno;
    char line[LINE_MAX_BYTES], when[31];
    kt_rfc3339(kt_now_real_ns(), when);
    int n = snprintf(line, sizeof line, "%s [%d] %s: ", when, (int)getpid(), component);
    va_list ap;
    va_start(ap, fmt);
    int m = vsnprintf(line + n, sizeof line - (size_t)n, fmt, ap);
    va_end(ap);
    size_t len = (size_t)n + (m > 0 ? (size_t)m : 0);
    if (len > sizeof line - 2)
        len = sizeof line - 2;
    line[len++] = '\n';
    if (trace_fd >= 0) {
        ssize_t w = write(trace_fd, line, len);
        (void)w;
    } else {
        append_line(trace_path, line, len);
    }
    errno = saved;
}
