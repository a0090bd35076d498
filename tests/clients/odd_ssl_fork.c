/* SPDX-License-Identifier: Apache-2.0 */
/* Fork handlers that were registered before the first call of all, as a library's pool has them. */
#define _GNU_SOURCE
#include "odd_ssl.h"

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

static SSL *pooled;
static int calls_too, answered;

static void work(void)
{
    SSL_free(SSL_new(ctx));
    if (calls_too)
        answered += plain() == 200;
}

/* The connection is the parent's, and that one closes it as well. */
static void throw_away(void)
{
    if (pooled)
        done(pooled);
    pooled = NULL;
    work();
}

static int forked(int calls)
{
    int how = -1;
    calls_too = calls;
    pthread_atfork(work, throw_away, throw_away);
    pooled = dial_ssl();
    if (exchange(pooled, NULL, 10, 1 << 20) != 200)
        return -1;
    alarm(20);
    pid_t pid = fork();
    if (pid == 0) {
        alarm(20);
        _exit(answered + (plain() == 200));
    }
    waitpid(pid, &how, 0);
    alarm(0);
    return WIFEXITED(how) && WEXITSTATUS(how) == 1 + 2 * calls ? plain() + answered : -how - 2;
}

static int frees(void)
{
    return forked(0);
}

static int calls(void)
{
    return forked(1);
}

const struct step odd_forks[] = {
    {"fork-frees", frees}, /* by each of the three: 3 calls */
    {"fork-calls", calls}, /* and a call of its own: 6, of which 2 by handlers of the parent */
    {NULL, NULL},
};
