/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/hello_parts.h"

#include "shim/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>

#define PLACES 32
#define ROOM 8192 /* of one hello: with the keys of post-quantum ciphers it has 2 KiB */

struct place { /* pages that are never touched cost nothing */
    ino_t ino; /* of the socket; 0 = free */
    unsigned turn;
    size_t said, saying; /* bytes that have left, and behind them those that are about to */
    uint8_t bytes[ROOM];
};

static struct place places[PLACES];
static atomic_uint used;
static unsigned turn;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void kt_hello_parts_lock(void)
{
    kt_lock(&lock);
}

void kt_hello_parts_unlock(void)
{
    kt_unlock(&lock);
}

static ino_t socket_of(int fd)
{
    struct stat st;
    return fstatat(fd, "", &st, AT_EMPTY_PATH) == 0 && S_ISSOCK(st.st_mode) ? st.st_ino : 0;
}

bool kt_hello_parts_any(void)
{
    return atomic_load_explicit(&used, memory_order_relaxed) > 0;
}

/* Lock held, as below. */
static struct place *find(ino_t ino)
{
    for (unsigned i = 0; i < PLACES; i++)
        if (places[i].ino == ino)
            return &places[i];
    return NULL;
}

static void let_go(struct place *p)
{
    p->ino = 0;
    p->said = p->saying = 0;
    atomic_fetch_sub(&used, 1);
}

static struct place *take(ino_t ino)
{
    struct place *p = find(0);
    for (unsigned i = 0; i < PLACES && (!p || p->ino); i++)
        if (!p || (int)(places[i].turn - p->turn) < 0)
            p = &places[i];
    if (p->ino)
        let_go(p);
    p->ino = ino;
    atomic_fetch_add(&used, 1);
    return p;
}

static void say(struct place *p, const struct iovec *iov, size_t count)
{
    size_t at = p->said;
    for (size_t i = 0; i < count && at < ROOM; i++) {
        size_t part = iov[i].iov_len < ROOM - at ? iov[i].iov_len : ROOM - at;
        memcpy(p->bytes + at, iov[i].iov_base, part);
        at += part;
    }
    p->saying = at - p->said;
    p->turn = ++turn;
}

static enum kt_hello read_kept(ino_t ino, const struct iovec *iov, size_t count, struct kt_client_hello *out)
{
    kt_lock(&lock);
    struct place *p = find(ino);
    p = p ? p : take(ino);
    say(p, iov, count);
    enum kt_hello kind = kt_client_hello_read(p->bytes, p->said + p->saying, out);
    if (kind == KT_HELLO_MORE && p->said + p->saying == ROOM) /* longer than any that is known */
        kind = out->host[0] ? KT_HELLO_WHOLE : KT_HELLO_NONE;
    if (kind != KT_HELLO_MORE)
        let_go(p);
    kt_unlock(&lock);
    return kind;
}

enum kt_hello kt_hello_parts_read(int fd, const struct iovec *iov, size_t count, struct kt_client_hello *out)
{
    int saved = errno;
    enum kt_hello kind = KT_HELLO_MORE;
    ino_t ino = 0;
    if (count == 1 && !kt_hello_parts_any()) /* as nearly all do */
        kind = kt_client_hello_read(iov->iov_base, iov->iov_len, out);
    if (kind == KT_HELLO_MORE && (ino = socket_of(fd)))
        kind = read_kept(ino, iov, count, out);
    errno = saved;
    return kind;
}

bool kt_hello_parts_has(int fd)
{
    int saved = errno;
    ino_t ino = kt_hello_parts_any() ? socket_of(fd) : 0;
    if (!ino)
        return false;
    kt_lock(&lock);
    bool has = find(ino) != NULL;
    kt_unlock(&lock);
    errno = saved;
    return has;
}

static void settle(int fd, ssize_t n, bool drop)
{
    int saved = errno;
    ino_t ino = kt_hello_parts_any() ? socket_of(fd) : 0;
    if (!ino)
        return;
    kt_lock(&lock);
    struct place *p = find(ino);
    if (p && n > 0)
        p->said += (size_t)n < p->saying ? (size_t)n : p->saying;
    if (p)
        p->saying = 0;
    if (p && (drop || p->said == 0))
        let_go(p);
    kt_unlock(&lock);
    errno = saved;
}

void kt_hello_parts_drop(int fd)
{
    settle(fd, -1, true);
}

void kt_hello_parts_said(int fd, ssize_t n)
{
    settle(fd, n, false);
}
