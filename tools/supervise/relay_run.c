/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/supervise/relay.h"

#include "tools/supervise/first_bytes.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define CHUNK 16384
/* How long the rest of a first line may take, where it is of no method that we know. */
#define LINE_MS 1000

struct way { /* one direction */
    int from, to;
    size_t at, end; /* of what was read and not yet written */
    bool eof, shut, urgent;
    char room[CHUNK];
};

static void reset(int fd)
{
    struct linger now = {1, 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

static bool wants_read(const struct way *w)
{
    return !w->eof && w->at == w->end;
}

/* False where an end has failed. */
static bool move(struct way *w)
{
    if (wants_read(w)) {
        w->urgent = sockatmark(w->from) == 1;
        ssize_t n = recv(w->from, w->room, w->urgent ? 1 : sizeof w->room, MSG_DONTWAIT);
        if (n < 0)
            return errno == EAGAIN || errno == EINTR;
        w->eof = n == 0;
        w->at = 0;
        w->end = (size_t)n;
    }
    while (w->at < w->end) {
        ssize_t n = send(w->to, w->room + w->at, w->end - w->at,
                         MSG_DONTWAIT | MSG_NOSIGNAL | (w->urgent ? MSG_OOB : 0));
        if (n < 0)
            return errno == EAGAIN || errno == EINTR;
        w->at += (size_t)n;
    }
    if (w->eof && !w->shut) {
        w->shut = true;
        shutdown(w->to, SHUT_WR);
    }
    return true;
}

static short events_for(const struct way *in, const struct way *out)
{
    return (short)((wants_read(in) ? POLLIN : 0) | (out->at < out->end ? POLLOUT : 0));
}

static void copy_both(struct way *out, struct way *in)
{
    while (!out->shut || !in->shut) {
        struct pollfd p[2] = {{out->from, events_for(out, in), 0}, {in->from, events_for(in, out), 0}};
        /* An end that is done must not wake us with its hang-up for ever. */
        for (int i = 0; i < 2; i++)
            if (p[i].events == 0)
                p[i].fd = -1;
        if (poll(p, 2, -1) < 0 && errno != EINTR)
            return;
        if (!move(out) || !move(in)) {
            reset(out->from);
            reset(in->from);
            return;
        }
    }
}

static bool is_intercepted(struct relay *r, const char *host)
{
    pthread_mutex_lock(&r->s->lock);
    bool yes = host[0] && names_has(&r->s->names, host);
    pthread_mutex_unlock(&r->s->lock);
    return yes;
}

/* Urgent data (MSG_OOB) stays what it is: with SO_OOBINLINE a read stops in front of it, and behind it. */
static void keep_urgent(int fd, int on)
{
    setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &on, sizeof on);
}

enum fate { FATE_WAIT, FATE_HURRY, FATE_COPY, FATE_ENGINE, FATE_REFUSE };

/* To whom does it really speak? Browsers send such a hello to everybody. */
static enum fate judge_front(struct relay *r, struct kt_span seen, char host[FIRST_HOST_MAX])
{
    static atomic_flag told = ATOMIC_FLAG_INIT;
    if (relay_is_strange(r, seen, host)) {
        supervise_report(r->s, r->program, false, host[0] ? host : NULL,
                         "a TLS handshake with an intercepted host's address whose server name is encrypted "
                         "(ECH): refused under --strict");
        return FATE_REFUSE;
    }
    if (!atomic_flag_test_and_set(&told))
        supervise_report(r->s, r->program, true, NULL,
                         "a TLS handshake whose server name is encrypted (ECH), with an address that no "
                         "intercepted host has: let through; said once");
    return FATE_COPY;
}

/* `late`: no more will come soon. */
static enum fate judge(struct relay *r, struct kt_span seen, bool late, char host[FIRST_HOST_MAX])
{
    enum first_kind kind = first_look(seen, host);
    if (kind == FIRST_MORE)
        return FATE_WAIT;
    if (r->host[0]) {
        snprintf(host, FIRST_HOST_MAX, "%s", r->host);
        return FATE_ENGINE;
    }
    if (kind == FIRST_UNREADABLE) {
        supervise_report(r->s, r->program, false, NULL,
                         "the first bytes of a connection could not be read: refused under --strict");
        return FATE_REFUSE;
    }
    if (kind == FIRST_MAYBE && !late)
        return FATE_HURRY;
    if (kind == FIRST_FRONT && !is_intercepted(r, host))
        return judge_front(r, seen, host);
    if (kind == FIRST_OTHER || kind == FIRST_MAYBE || !host[0]) {
        if (!relay_is_strange(r, seen, host))
            return FATE_COPY;
        supervise_report(
            r->s, r->program, false, host[0] ? host : NULL,
            "a connection to an intercepted host whose first bytes are no TLS or HTTP/1 with a name: "
            "refused under --strict");
        return FATE_REFUSE;
    }
    if (!is_intercepted(r, host))
        return FATE_COPY;
    if (kind != FIRST_CONNECT)
        return FATE_ENGINE;
    supervise_report(r->s, r->program, false, host, "a tunnel through a proxy: refused under --strict");
    return FATE_REFUSE;
}

/* What the server says first (mail, databases) goes on meanwhile. */
static enum fate look(struct relay *r, struct way *in, char host[FIRST_HOST_MAX])
{
    char seen[FIRST_BYTES_MAX];
    int mark = 1, timeout_ms = -1;
    for (;;) {
        struct pollfd p[2] = {{r->app, POLLIN, 0}, {in->from, events_for(in, in), 0}};
        p[1].fd = in->shut ? -1 : p[1].fd;
        int ready = poll(p, 2, timeout_ms);
        if (ready < 0 && errno != EINTR)
            return FATE_REFUSE;
        if (ready > 0 && p[1].revents && !move(in))
            return FATE_REFUSE;
        if (ready < 0 || (ready > 0 && !p[0].revents))
            continue;
        ssize_t n = recv(r->app, seen, sizeof seen, MSG_PEEK | MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            continue;
        if (n <= 0)
            return n == 0 ? FATE_COPY : FATE_REFUSE;
        bool ended = p[0].revents & (POLLHUP | POLLERR);
        enum fate f = judge(r, kt_span(seen, (size_t)n), ready == 0 || ended, host);
        if (f > FATE_HURRY || ended)
            return f <= FATE_HURRY ? FATE_REFUSE : f;
        if (n < mark && ready > 0) /* half closed: no more will come */
            return FATE_REFUSE;
        timeout_ms = f == FATE_HURRY ? LINE_MS : -1;
        mark = (int)n + 1;
        setsockopt(r->app, SOL_SOCKET, SO_RCVLOWAT, &mark, sizeof mark);
    }
}

void relay_run(struct relay *r)
{
    struct way in = {.from = r->up, .to = r->app}, out = {.from = r->app, .to = r->up};
    char host[FIRST_HOST_MAX] = "";
    int mark = 1;
    keep_urgent(r->app, 1);
    keep_urgent(r->up, 1);
    enum fate f = look(r, &in, host);
    setsockopt(r->app, SOL_SOCKET, SO_RCVLOWAT, &mark, sizeof mark);
    if (f == FATE_ENGINE) {
        struct kt_engine *e = supervise_engine(r->s);
        close(r->up);
        keep_urgent(r->app, 0);
        if (!e) {
            reset(r->app);
            close(r->app);
        } else if (!kt_is_ok(kt_engine_adopt_of(e, r->app, host, r->port, r->program))) {
            supervise_report(r->s, r->program, false, host, "the engine could not take the connection");
        }
        return;
    }
    if (f == FATE_COPY)
        copy_both(&out, &in);
    else
        reset(r->app);
    close(r->app);
    close(r->up);
}
