/* SPDX-License-Identifier: Apache-2.0 */
/* Who made the call: looked up once per process, since an event must stay cheap. */
#include "policyengine/audit/kt_event.h"

#include "policyengine/base/kt_environ.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static char exe[4096], cwd[4096], ci_job[512], ci_commit[128], ci_branch[256], run[256];

static const char *env(const char *variable)
{
    const char *v = getenv(variable);
    return v ? v : "";
}

static void keep_text(char *to, size_t size, const char *value)
{
    snprintf(to, size, "%s", value);
}

/* Set by the runner of each system and by nobody else, so the first that is there decides. */
static void find_ci_job(void)
{
    if (*env("GITHUB_RUN_ID")) {
        snprintf(ci_job, sizeof ci_job, "github:%.150s/%.100s/%.150s", env("GITHUB_WORKFLOW"),
                 env("GITHUB_RUN_ID"), env("GITHUB_JOB"));
        keep_text(ci_commit, sizeof ci_commit, env("GITHUB_SHA"));
        /* In a pull request the ref is a merge that nobody made; the head is the branch. */
        const char *head = env("GITHUB_HEAD_REF");
        keep_text(ci_branch, sizeof ci_branch, *head ? head : env("GITHUB_REF_NAME"));
    } else if (*env("CI_JOB_ID")) {
        snprintf(ci_job, sizeof ci_job, "gitlab:%.200s/%.200s", env("CI_PIPELINE_ID"), env("CI_JOB_ID"));
        keep_text(ci_commit, sizeof ci_commit, env("CI_COMMIT_SHA"));
        keep_text(ci_branch, sizeof ci_branch, env("CI_COMMIT_REF_NAME"));
    } else if (*env("BUILD_TAG")) {
        snprintf(ci_job, sizeof ci_job, "jenkins:%.400s", env("BUILD_TAG"));
        keep_text(ci_commit, sizeof ci_commit, env("GIT_COMMIT"));
        keep_text(ci_branch, sizeof ci_branch, env("GIT_BRANCH"));
    }
}

static void look_up(void)
{
    ssize_t n = readlink("/proc/thread-self/exe", exe, sizeof exe - 1);
    exe[n > 0 ? n : 0] = '\0';
    if (!getcwd(cwd, sizeof cwd))
        cwd[0] = '\0';
    kt_environ_lock();
    find_ci_job();
    if (!run[0])
        keep_text(run, sizeof run, env("KT_RUN"));
    kt_environ_unlock();
}

void kt_event_set_run(const char *value)
{
    if (!run[0] && value)
        keep_text(run, sizeof run, value);
}

static const char *known(const char *text)
{
    return text[0] ? text : NULL;
}

struct kt_event_program {
    atomic_uint refs;
    int pid;
    unsigned uid;
    char exe[4096], cwd[4096];
};

static void read_link(int pid, const char *name, char *out, size_t size)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
    ssize_t n = readlink(path, out, size - 1);
    out[n > 0 ? n : 0] = '\0';
}

/* The owner of /proc/PID is root where the process may not be dumped. */
static unsigned read_uid(int pid)
{
    char path[64], line[256];
    unsigned uid = (unsigned)getuid();
    snprintf(path, sizeof path, "/proc/%d/status", pid);
    FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "Uid: %u", &uid) == 1)
            break;
    if (f)
        fclose(f);
    return uid;
}

kt_result kt_event_program_new(int pid, struct kt_event_program **out)
{
    struct kt_event_program *p = malloc(sizeof *p);
    *out = p;
    KT_ENSURE(p, KT_ERR_MEMORY);
    atomic_init(&p->refs, 1);
    p->pid = pid;
    p->uid = read_uid(pid);
    read_link(pid, "exe", p->exe, sizeof p->exe);
    read_link(pid, "cwd", p->cwd, sizeof p->cwd);
    return kt_ok();
}

struct kt_event_program *kt_event_program_ref(struct kt_event_program *p)
{
    if (p)
        atomic_fetch_add(&p->refs, 1);
    return p;
}

void kt_event_program_unref(struct kt_event_program *p)
{
    if (p && atomic_fetch_sub(&p->refs, 1) == 1)
        free(p);
}

void kt_event_fill_program(struct kt_event *e, const struct kt_event_program *p)
{
    if (!p)
        return;
    e->app.exe = known(p->exe);
    e->app.cwd = known(p->cwd);
    e->app.pid = p->pid;
    e->app.uid = p->uid;
}

void kt_event_fill_app(struct kt_event *e)
{
    pthread_once(&once, look_up);
    e->app.exe = known(exe);
    e->app.cwd = known(cwd);
    e->app.ci_job = known(ci_job);
    e->app.ci_commit = known(ci_commit);
    e->app.ci_branch = known(ci_branch);
    e->app.run = known(run);
    e->app.pid = (int)getpid(); /* not cached: a fork keeps the rest */
    e->app.uid = (unsigned)getuid();
}
