/* SPDX-License-Identifier: Apache-2.0 */
/* The set of flows: adoption, references, the map of client randoms. */
#include "interceptor/flow/kt_flow_private.h"

#include "interceptor/loop/kt_fds.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static void unref_set(struct kt_flows *fs)
{
    if (atomic_fetch_sub(&fs->refs, 1) != 1)
        return;
    kt_flow_tls_teardown(fs);
    pthread_mutex_destroy(&fs->map_lock);
    free(fs);
}

kt_result kt_flows_new(const struct kt_flows_options *options, struct kt_flows **out)
{
    struct kt_flows *fs = calloc(1, sizeof *fs);
    KT_ENSURE(fs, KT_ERR_MEMORY);
    fs->o = *options;
    fs->loop = options->ctx->loop;
    atomic_init(&fs->refs, 1);
    pthread_mutex_init(&fs->map_lock, NULL);
    kt_result r = kt_flow_tls_setup(fs);
    if (r.code != KT_OK) {
        unref_set(fs);
        return r;
    }
    *out = fs;
    return kt_ok();
}

void kt_flows_free(struct kt_flows *fs)
{
    if (fs)
        unref_set(fs);
}

void kt_flows_close(struct kt_flows *fs)
{
    fs->closing = true;
    while (fs->first)
        kt_flow_close(fs->first);
    kt_flow_hold_close(fs);
}

void kt_flows_forget(struct kt_flows *fs)
{
    atomic_store(&fs->forgotten, true);
}

void kt_flows_drain(struct kt_flows *fs)
{
    atomic_store(&fs->draining, true);
}

size_t kt_flows_count(const struct kt_flows *fs)
{
    return atomic_load(&fs->count);
}

void kt_flow_ref(struct kt_flow *f)
{
    atomic_fetch_add(&f->refs, 1);
}

void kt_flow_release(struct kt_flow *f)
{
    if (!f || atomic_fetch_sub(&f->refs, 1) != 1)
        return;
    kt_http_parser_free(f->parser);
    kt_buf_wipe_free(&f->out);
    kt_buf_wipe_free(&f->ahead);
    pthread_mutex_destroy(&f->in_lock);
    atomic_fetch_sub(&f->fs->count, 1);
    unref_set(f->fs);
    kt_event_program_unref(f->program);
    free(f->host);
    free(f);
}

void kt_flows_link(struct kt_flow *f)
{
    f->next = f->fs->first;
    if (f->next)
        f->next->prev = f;
    f->fs->first = f;
}

void kt_flows_unlink(struct kt_flow *f)
{
    if (f->prev)
        f->prev->next = f->next;
    else if (f->fs->first == f)
        f->fs->first = f->next;
    if (f->next)
        f->next->prev = f->prev;
    f->next = f->prev = NULL;
}

/* new flow, not yet known to the loop. Takes no fd. */
static struct kt_flow *make(struct kt_flows *fs, const char *host, uint16_t port)
{
    struct kt_flow *f = calloc(1, sizeof *f);
    char *name = f ? strdup(host) : NULL;
    if (!name) {
        free(f);
        return NULL;
    }
    atomic_fetch_add(&fs->refs, 1);
    atomic_fetch_add(&fs->count, 1);
    atomic_init(&f->refs, 1);
    pthread_mutex_init(&f->in_lock, NULL);
    f->fs = fs;
    f->host = name;
    f->port = port;
    f->out.max = KT_FLOW_QUEUE_BYTES;
    f->ahead.max = KT_FLOW_AHEAD_BYTES;
    f->watch.fn = kt_flow_ready;
    f->work.fn = kt_flow_work;
    f->in_job.fn = kt_flow_signalled;
    f->watch.arg = f->work.arg = f->in_job.arg = f;
    return f;
}

kt_result kt_flows_adopt(struct kt_flows *fs, int fd, const char *host, uint16_t port)
{
    return kt_flows_adopt_of(fs, fd, host, port, NULL);
}

kt_result kt_flows_adopt_of(struct kt_flows *fs, int fd, const char *host, uint16_t port,
                            struct kt_event_program *program)
{
    int mine = kt_own_fd(fd), one = 1;
    KT_ENSURE(mine >= 0, KT_ERR_IO);
    int flags = fcntl(mine, F_GETFL);
    struct kt_flow *f = NULL;
    if (flags >= 0 && fcntl(mine, F_SETFL, flags | O_NONBLOCK) == 0 && atomic_load(&fs->count) < KT_FLOWS_MAX)
        f = make(fs, host, port);
    if (!f) {
        kt_disown_close(mine);
        return kt_err(KT_ERR_LIMIT);
    }
    setsockopt(mine, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    f->program = kt_event_program_ref(program);
    f->watch.fd = mine;
    f->work_bits = KT_WORK_ADOPT;
    kt_flow_ref(f);
    kt_result r = kt_loop_post_job(fs->loop, &f->work);
    if (r.code != KT_OK) {
        kt_disown_close(mine);
        kt_flow_release(f);
        kt_flow_release(f);
    }
    return r;
}

/* --- the map --- */

static struct kt_flow **bucket(struct kt_flows *fs, const uint8_t random[32])
{
    uint32_t h;
    memcpy(&h, random + 28,
           sizeof h); /* the tail: the head may be a time, the very end of a downgrade mark is the server's */
    return &fs->map[h % KT_FLOW_MAP_BUCKETS];
}

void kt_flows_map(struct kt_flow *f, const uint8_t random[32])
{
    struct kt_flows *fs = f->fs;
    kt_flows_unmap(f); /* a second ClientHello, after HelloRetryRequest */
    pthread_mutex_lock(&fs->map_lock);
    memcpy(f->random, random, sizeof f->random);
    struct kt_flow **b = bucket(fs, random);
    f->map_next = *b;
    *b = f;
    f->mapped = true;
    pthread_mutex_unlock(&fs->map_lock);
}

void kt_flows_unmap(struct kt_flow *f)
{
    struct kt_flows *fs = f->fs;
    pthread_mutex_lock(&fs->map_lock);
    if (f->mapped) {
        struct kt_flow **at = bucket(fs, f->random);
        while (*at != f)
            at = &(*at)->map_next;
        *at = f->map_next;
        f->mapped = false;
    }
    pthread_mutex_unlock(&fs->map_lock);
}

struct kt_flow *kt_flows_by_random(struct kt_flows *fs, const uint8_t random[32])
{
    if (atomic_load(&fs->forgotten))
        return NULL;
    pthread_mutex_lock(&fs->map_lock);
    struct kt_flow *f = *bucket(fs, random);
    while (f && memcmp(f->random, random, sizeof f->random) != 0)
        f = f->map_next;
    if (f)
        kt_flow_ref(f); /* mapped flows still have the loop's reference */
    pthread_mutex_unlock(&fs->map_lock);
    return f;
}
