/* SPDX-License-Identifier: Apache-2.0 */
/* Who made the call: looked up once per process, since an event must stay cheap. */
#include "policyengine/audit/kt_event.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static char exe[4096], cwd[4096], ci_job[512];

static const char *env(const char *variable)
{
    const char *v = getenv(variable);
    return v ? v : "";
}

/* Set by the runner of each system and by nobody else, so the first that is there decides. */
static void find_ci_job(void)
{
    if (*env("GITHUB_RUN_ID"))
        snprintf(ci_job, sizeof ci_job, "github:%.150s/%.100s/%.150s", env("GITHUB_WORKFLOW"),
                 env("GITHUB_RUN_ID"), env("GITHUB_JOB"));
    else if (*env("CI_JOB_ID"))
        snprintf(ci_job, sizeof ci_job, "gitlab:%.200s/%.200s", env("CI_PIPELINE_ID"), env("CI_JOB_ID"));
    else if (*env("BUILD_TAG"))
        snprintf(ci_job, sizeof ci_job, "jenkins:%.400s", env("BUILD_TAG"));
}

static void look_up(void)
{
    ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
    exe[n > 0 ? n : 0] = '\0';
    if (!getcwd(cwd, sizeof cwd))
        cwd[0] = '\0';
    find_ci_job();
}

void kt_event_fill_app(struct kt_event *e)
{
    pthread_once(&once, look_up);
    e->app.exe = exe[0] ? exe : NULL;
    e->app.cwd = cwd[0] ? cwd : NULL;
    e->app.ci_job = ci_job[0] ? ci_job : NULL;
    e->app.pid = (int)getpid(); /* not cached: a fork keeps the rest */
    e->app.uid = (unsigned)getuid();
}
