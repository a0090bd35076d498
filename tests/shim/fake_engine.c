/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small engine behind the same ABI: it answers HTTP itself and says in the answer by which way the request
 * came. KT_FAKE_FAIL=start, =plan or =usable makes it fail there.
 */
#include "tests/shim/fake_engine.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

const struct kt_shim_host *fake_host;

void fake_log(const char *fmt, ...)
{
    char line[1024];
    const char *path = fake_host ? fake_host->env("KT_FAKE_LOG") : getenv("KT_FAKE_LOG");
    int saved = errno;
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(line, sizeof line - 1, fmt, ap);
    va_end(ap);
    int fd = path ? open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600) : -1;
    if (fd >= 0 && n > 0) {
        line[n] = '\n';
        ssize_t done = write(fd, line, (size_t)n + 1);
        (void)done;
        close(fd);
    }
    errno = saved;
}

static int fails(const char *where)
{
    const char *v = fake_host->env("KT_FAKE_FAIL");
    return v && strcmp(v, where) == 0;
}

static const char *state_dir(void)
{
    return fake_host->env("KT_STATE_DIR");
}

static int start(const struct kt_shim_host *host)
{
    char dir[4096];
    fake_host = host;
    fake_log("start");
    errno = EILSEQ; /* the shim must keep the program's errno */
    snprintf(dir, sizeof dir, "%s/ca", state_dir());
    mkdir(dir, 0700);
    OPENSSL_init_ssl(0, NULL); /* its handler at exit is registered before ours, and so runs after it */
    atexit(fake_flows_stop);
    return fails("start") ? -1 : fake_ca_open(dir);
}

/* The plan is what the test put into $KT_STATE_DIR/plan.in, with the CA added. */
static int make_plan(char *path, size_t size)
{
    char in[65536], name[4096];
    fake_log("make_plan");
    if (fails("plan"))
        return -1;
    snprintf(name, sizeof name, "%s/plan.in", state_dir());
    int from = open(name, O_RDONLY | O_CLOEXEC);
    ssize_t n = from < 0 ? -1 : read(from, in, sizeof in);
    if (from >= 0)
        close(from);
    snprintf(path, size, "%s/made-plan", state_dir());
    int to = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (n < 0 || to < 0)
        return -1;
    dprintf(to, "ktplan 1\nexpires %lld\nca %s/ca/ca.pem\n", (long long)time(NULL) + 3600, state_dir());
    ssize_t done = write(to, in, (size_t)n);
    close(to);
    return done == n ? 0 : -1;
}

static int usable(void)
{
    return !fails("usable");
}

static int handoff_enabled(void)
{
    const char *v = fake_host->env("KT_TRACE");
    return !v || !strstr(v, "no-handoff");
}

static int tap_enabled(void)
{
    return fake_host->env("KT_FAKE_TAP") != NULL;
}

static uint64_t tap_open(const struct kt_abi_origin *origin, int tls)
{
    static uint64_t last;
    fake_log("tap_open %s %u %d", origin->host, origin->port, tls);
    return ++last;
}

static void tap_data(uint64_t tap, enum kt_abi_dir dir, const void *data, size_t len)
{
    int n = len < 200 ? (int)len : 200;
    fake_log("tap_data %u %d %zu %.*s", (unsigned)tap, (int)dir, len, n, (const char *)data);
    errno = EILSEQ; /* the shim must keep the program's errno */
}

static void tap_close(uint64_t tap)
{
    fake_log("tap_close %u", (unsigned)tap);
}

static void settle(enum kt_abi_leave how)
{
    fake_log("settle %d", (int)how);
}

static int shares_fds(void)
{
    return 1;
}

static void report(enum kt_abi_event what, const char *host, const char *detail)
{
    fake_log("report %d %s %s", (int)what, host, detail);
}

static int flow_wait(struct kt_abi_flow *flow, enum kt_abi_wait how, uint64_t taken, void *buf, size_t *len)
{
    (void)flow, (void)how, (void)taken, (void)buf;
    *len = 0;
    errno = EILSEQ; /* the shim must keep the program's errno */
    return -1;
}

static int fork_prepare(void)
{
    fake_flows_lock();
    fake_log("fork_prepare");
    return 0;
}

static void fork_parent(void)
{
    fake_log("fork_parent");
    fake_flows_unlock();
}

static void note_unseen(const char *host, uint16_t port)
{
    fake_log("note_unseen %s %u", host, port);
}

static int split(void)
{
    fake_log("split");
    return 0;
}

static void fork_child(void)
{
    fake_log("fork_child");
    fake_flows_forget();
    fake_flows_unlock();
}

const struct kt_engine_abi *kt_engine_abi(void);

__attribute__((visibility("default"))) const struct kt_engine_abi *kt_engine_abi(void)
{
    static const struct kt_engine_abi abi = {
        .version = KT_ABI_VERSION,
        .size = sizeof abi,
        .start = start,
        .make_plan = make_plan,
        .usable = usable,
        .adopt = fake_adopt,
        .ca_der = fake_ca_der,
        .flow_by_random = fake_flow_by_random,
        .flow_write = fake_flow_write,
        .flow_wait = flow_wait,
        .flow_release = fake_flow_release,
        .handoff_enabled = handoff_enabled,
        .tap_enabled = tap_enabled,
        .tap_open = tap_open,
        .tap_data = tap_data,
        .tap_close = tap_close,
        .settle = settle,
        .report = report,
        .shares_fds = shares_fds,
        .note_unseen = note_unseen,
        .split = split,
        .fork_prepare = fork_prepare,
        .fork_parent = fork_parent,
        .fork_child = fork_child,
    };
    return &abi;
}
