/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/last_thread.h"

#include "shim/engine.h"
#include "shim/fork.h"
#include "shim/guard.h"
#include "shim/real.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MS 1000000L
#define FIRST_MS 5
#define LAST_MS 320

static atomic_int ours;
static atomic_bool main_ends, waits;

static pthread_key_t key;
static bool have_key;

static void has_ended(void *none)
{
    (void)none;
    atomic_fetch_sub(&ours, 1);
}

static void make_key(void)
{
    have_key = pthread_key_create(&key, has_ended) == 0;
}

void kt_last_thread_ours(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_key);
    if (!have_key || pthread_getspecific(key) || pthread_setspecific(key, &key) != 0)
        return; /* it counts as one of theirs, and is waited for */
    atomic_fetch_add(&ours, 1);
}

/* Without an fd, whose number the program might just want: the links of this folder are two, and one for each
 * thread. A main thread that has ended is one to the end. 0: not to be told. */
static int threads(void)
{
    struct stat st;
    return stat("/proc/self/task", &st) == 0 && st.st_nlink > 2 ? (int)st.st_nlink - 2 : 0;
}

bool kt_thread_is_alone(void)
{
    int saved = errno;
    bool alone = threads() - atomic_load(&ours) == 1;
    errno = saved;
    return alone;
}

/* Then it has no memory any more, and so no executable. */
static bool main_has_ended(void)
{
    char c;
    return readlink("/proc/self/exe", &c, 1) < 0 && errno == ENOENT;
}

static bool others_live(void)
{
    int all = threads();
    return all == 0 || !main_has_ended() || all - 2 > atomic_load(&ours);
}

/* What libc does in the last of its threads, which it will not see in us. The atexit handlers run here. */
static void *wait_for_all(void *none)
{
    (void)none;
    long ms = FIRST_MS;
    sigset_t no_signal;
    while (others_live()) {
        nanosleep(&(struct timespec){0, ms * MS}, NULL);
        ms = ms < LAST_MS ? ms * 2 : ms;
    }
    sigemptyset(&no_signal);
    pthread_sigmask(SIG_SETMASK, &no_signal, NULL); /* nobody else is there whom one could reach */
    exit(0);
}

static void begin_to_wait(void)
{
    pthread_t thread;
    pthread_attr_t attr;
    if (atomic_exchange(&waits, true))
        return;
    kt_fork_threads();
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    kt_signals_hold(); /* inherited: until it is alone no handler of the program runs there */
    int rc = KT_REAL(pthread_create)(&thread, &attr, wait_for_all, NULL);
    kt_signals_let_go();
    pthread_attr_destroy(&attr);
    if (rc != 0)
        atomic_store(&waits, false);
}

void kt_last_thread_main_ends(void)
{
    atomic_store(&main_ends, true);
    if (kt_engine_here())
        begin_to_wait();
}

void kt_last_thread_engine(void)
{
    int saved = errno;
    if (atomic_load(&main_ends) || (threads() > 0 && main_has_ended()))
        begin_to_wait();
    errno = saved;
}

void kt_last_thread_forked(void)
{
    atomic_store(&main_ends, false);
    atomic_store(&waits, false);
    atomic_store(&ours, 0);
}
