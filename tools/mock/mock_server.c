/* SPDX-License-Identifier: Apache-2.0 */
#include "interceptor/tls/kt_ca.h"
#include "tools/mock/mock.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/pem.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define STACK_BYTES (512u << 10)

enum slot_state { SLOT_FREE, SLOT_RUNNING, SLOT_DONE };

struct slot {
    struct mock_server *server;
    pthread_t thread;
    _Atomic int state; /* enum slot_state; only the accepting thread leaves FREE or DONE */
    int fd;
    unsigned number;
};

struct mock_server {
    struct mock_options *o;
    int listen_fd, stop_fd, free_fd, record_fd;
    int port;
    char host[256], url[320];
    struct kt_ca *ca;
    SSL_CTX *tls; /* borrowed from the CA: the leaf for clients that name no host */
    pthread_mutex_t lock;
    struct slot slots[MOCK_MAX_CONNECTIONS];
    unsigned connections;
    _Atomic unsigned answered;
};

/* ---- start ---- */

static kt_result split_listen(const char *text, char *host, size_t size, const char **port,
                              struct kt_error *err)
{
    const char *colon = strrchr(text, ':');
    size_t n = colon ? (size_t)(colon - text) : 0;
    if (n > 1 && text[0] == '[' && text[n - 1] == ']') {
        text++;
        n -= 2;
    }
    if (n == 0 || n >= size || !colon[1])
        return kt_fail(err, KT_ERR_USAGE, "--listen wants host:port, not '%s'", text);
    size_t digits = strspn(colon + 1, "0123456789"); /* getaddrinfo takes 70000 for 4464 */
    if (!colon[1 + digits] && (digits > 9 || strtoul(colon + 1, NULL, 10) > 65535))
        return kt_fail(err, KT_ERR_USAGE, "--listen: the port is a number from 0 to 65535, not '%s'",
                       colon + 1);
    memcpy(host, text, n);
    host[n] = '\0';
    *port = colon + 1;
    return kt_ok();
}

static kt_result bind_to(struct mock_server *s, const struct addrinfo *a, struct kt_error *err)
{
    const int on = 1;
    s->listen_fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct sockaddr_storage bound;
    socklen_t len = sizeof bound;
    if (s->listen_fd < 0 || setsockopt(s->listen_fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        bind(s->listen_fd, a->ai_addr, a->ai_addrlen) != 0 || listen(s->listen_fd, 1024) != 0 ||
        getsockname(s->listen_fd, (struct sockaddr *)&bound, &len) != 0)
        return kt_fail(err, KT_ERR_IO, "cannot listen on %s: %s", s->o->listen ? s->o->listen : s->host,
                       strerror(errno));
    s->port = ntohs(bound.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&bound)->sin6_port
                                                : ((struct sockaddr_in *)&bound)->sin_port);
    snprintf(s->url, sizeof s->url, bound.ss_family == AF_INET6 ? "%s://[%s]:%d" : "%s://%s:%d",
             s->o->tls ? "https" : "http", s->host, s->port);
    return kt_ok();
}

static kt_result start_listening(struct mock_server *s, struct kt_error *err)
{
    const struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM};
    const char *port = NULL;
    struct addrinfo *list = NULL;
    KT_GUARD(split_listen(s->o->listen ? s->o->listen : "127.0.0.1:0", s->host, sizeof s->host, &port, err));
    int failed = getaddrinfo(s->host, port, &hints, &list);
    if (failed)
        return kt_fail(err, KT_ERR_USAGE, "cannot listen on %s:%s: %s", s->host, port, gai_strerror(failed));
    kt_result r = bind_to(s, list, err);
    freeaddrinfo(list);
    return r;
}

/* By its name, so that a leaf is only made for hosts that the CA stands for. */
static int choose_leaf(SSL *ssl, int *alert, void *arg)
{
    struct mock_server *s = arg;
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    SSL_CTX *ctx;
    if (!name)
        return SSL_TLSEXT_ERR_OK;
    if (kt_ca_server_ctx(s->ca, name, &ctx).code != KT_OK) {
        *alert = SSL_AD_UNRECOGNIZED_NAME;
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    }
    SSL_set_SSL_CTX(ssl, ctx);
    return SSL_TLSEXT_ERR_OK;
}

static kt_result write_ca(const struct mock_server *s, struct kt_error *err)
{
    struct kt_span der = kt_ca_der(s->ca);
    const unsigned char *p = (const unsigned char *)der.data;
    X509 *cert = d2i_X509(NULL, &p, (long)der.len);
    FILE *f = cert ? fopen(s->o->ca_out, "we") : NULL;
    bool ok = f && PEM_write_X509(f, cert) == 1;
    int cause = errno;
    if (f && fclose(f) != 0)
        ok = false;
    X509_free(cert);
    return ok ? kt_ok() : kt_fail(err, KT_ERR_IO, "cannot write %s: %s", s->o->ca_out, strerror(cause));
}

static kt_result start_tls(struct mock_server *s, struct kt_error *err)
{
    struct kt_strings hosts = {NULL, 0};
    kt_result r = kt_strings_add(&hosts, "localhost");
    const char *fixed[] = {"127.0.0.1", "::1", s->host};
    bool any = strcmp(s->host, "0.0.0.0") == 0 || strcmp(s->host, "::") == 0;
    for (size_t i = 0; i < KT_COUNT(fixed) - any && r.code == KT_OK; i++)
        r = kt_strings_add(&hosts, fixed[i]);
    for (size_t i = 0; i < s->o->names.count && r.code == KT_OK; i++)
        r = kt_strings_add(&hosts, s->o->names.items[i]);
    if (r.code == KT_OK)
        r = kt_ca_new(&hosts, &s->ca, err);
    kt_strings_free(&hosts);
    KT_GUARD(r);
    if (kt_ca_server_ctx(s->ca, any ? "127.0.0.1" : s->host, &s->tls).code != KT_OK)
        return kt_fail(err, KT_ERR_CRYPTO, "cannot make a certificate for %s", s->host);
    SSL_CTX_set_tlsext_servername_callback(s->tls, choose_leaf);
    SSL_CTX_set_tlsext_servername_arg(s->tls, s);
    return s->o->ca_out ? write_ca(s, err) : kt_ok();
}

static kt_result start(struct mock_server *s, struct kt_error *err)
{
    s->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    s->free_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (s->stop_fd < 0 || s->free_fd < 0)
        return kt_fail(err, KT_ERR_IO, "eventfd: %s", strerror(errno));
    if (s->o->record) {
        s->record_fd = open(s->o->record, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        if (s->record_fd < 0)
            return kt_fail(err, KT_ERR_IO, "cannot write %s: %s", s->o->record, strerror(errno));
    }
    KT_GUARD(start_listening(s, err));
    return s->o->tls ? start_tls(s, err) : kt_ok();
}

kt_result mock_server_new(struct mock_options *o, struct mock_server **out, struct kt_error *err)
{
    struct mock_server *s = calloc(1, sizeof *s);
    if (!s)
        return kt_fail(err, KT_ERR_MEMORY, "out of memory");
    s->o = o;
    s->listen_fd = s->stop_fd = s->free_fd = s->record_fd = -1;
    pthread_mutex_init(&s->lock, NULL);
    kt_result r = start(s, err);
    if (r.code != KT_OK)
        mock_server_free(s);
    else
        *out = s;
    return r;
}

void mock_server_free(struct mock_server *s)
{
    if (!s)
        return;
    const int fds[] = {s->listen_fd, s->stop_fd, s->free_fd, s->record_fd};
    for (size_t i = 0; i < KT_COUNT(fds); i++)
        if (fds[i] >= 0)
            close(fds[i]);
    kt_ca_free(s->ca);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

int mock_server_port(const struct mock_server *s)
{
    return s->port;
}

const char *mock_server_url(const struct mock_server *s)
{
    return s->url;
}

/* ---- what connections share ---- */

static void ring(int event_fd)
{
    const uint64_t one = 1;
    ssize_t n = write(event_fd, &one, sizeof one);
    (void)n; /* only a full counter fails, and that rings too */
}

void mock_server_stop(struct mock_server *s)
{
    int saved = errno;
    ring(s->stop_fd);
    errno = saved;
}

bool mock_server_fault(struct mock_server *s, struct mock_fault *out)
{
    pthread_mutex_lock(&s->lock);
    bool meets = mock_script_next(&s->o->script, out);
    pthread_mutex_unlock(&s->lock);
    return meets;
}

struct mock_gather *mock_server_gathers(struct mock_server *s)
{
    return s->o->gather;
}

void mock_server_answered(struct mock_server *s)
{
    if (atomic_fetch_add(&s->answered, 1) + 1 == s->o->exit_after)
        mock_server_stop(s);
}

void mock_server_record(struct mock_server *s, const struct mock_conn *c, const struct kt_request *r)
{
    if (s->record_fd < 0)
        return;
    KT_CLEANUP(kt_buf_free) struct kt_buf b = KT_BUF_INIT(8ull * MOCK_MAX_BODY);
    if (mock_record_line(c, r, &b).code != KT_OK)
        return;
    pthread_mutex_lock(&s->lock);
    for (size_t done = 0; done < b.len;) {
        ssize_t n = write(s->record_fd, b.data + done, b.len - done);
        if (n < 0 && errno != EINTR)
            break;
        done += n > 0 ? (size_t)n : 0;
    }
    pthread_mutex_unlock(&s->lock);
}

/* ---- connections ---- */

static void *serve(void *arg)
{
    struct slot *slot = arg;
    struct mock_server *s = slot->server;
    struct mock_conn c = {.server = s, .o = s->o, .fd = slot->fd, .number = slot->number};
    c.ssl = s->tls ? SSL_new(s->tls) : NULL;
    if (!s->tls || (c.ssl && SSL_set_fd(c.ssl, c.fd) == 1 && SSL_accept(c.ssl) == 1))
        mock_conn_serve(&c);
    SSL_free(c.ssl);
    pthread_mutex_lock(&s->lock);
    close(slot->fd); /* under the lock: nobody may shut down a number that is another's already */
    slot->fd = -1;
    slot->state = SLOT_DONE;
    pthread_mutex_unlock(&s->lock);
    ring(s->free_fd);
    return NULL;
}

static struct slot *free_slot(struct mock_server *s)
{
    for (size_t i = 0; i < MOCK_MAX_CONNECTIONS; i++) {
        struct slot *slot = &s->slots[i];
        int state = slot->state;
        if (state == SLOT_DONE) {
            pthread_join(slot->thread, NULL);
            slot->state = SLOT_FREE;
        }
        if (state != SLOT_RUNNING)
            return slot;
    }
    return NULL;
}

static void begin(struct mock_server *s, struct slot *slot, int fd)
{
    const int on = 1;
    pthread_attr_t attr;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    slot->server = s;
    slot->fd = fd;
    slot->number = ++s->connections;
    slot->state = SLOT_RUNNING;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    if (pthread_create(&slot->thread, &attr, serve, slot) != 0) {
        slot->state = SLOT_FREE;
        close(fd);
    }
    pthread_attr_destroy(&attr);
}

/* All that wait; false where there was no room for them. */
static bool accept_all(struct mock_server *s)
{
    for (;;) {
        struct slot *slot = free_slot(s);
        if (!slot)
            return false;
        int fd = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0) /* out of fds counts as no room, or we would spin */
            return errno != EMFILE && errno != ENFILE && errno != ENOBUFS && errno != ENOMEM;
        begin(s, slot, fd);
    }
}

static void end_all(struct mock_server *s)
{
    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < MOCK_MAX_CONNECTIONS; i++)
        if (s->slots[i].state == SLOT_RUNNING && s->slots[i].fd >= 0)
            shutdown(s->slots[i].fd, SHUT_RDWR);
    pthread_mutex_unlock(&s->lock);
    for (size_t i = 0; i < MOCK_MAX_CONNECTIONS; i++)
        if (s->slots[i].state != SLOT_FREE) {
            pthread_join(s->slots[i].thread, NULL);
            s->slots[i].state = SLOT_FREE;
        }
}

void mock_server_run(struct mock_server *s)
{
    uint64_t drain;
    bool room = true;
    for (;;) {
        /* Without room the backlog waits; free_fd rings when a connection ends. */
        struct pollfd p[] = {
            {s->stop_fd, POLLIN, 0}, {s->free_fd, POLLIN, 0}, {room ? s->listen_fd : -1, POLLIN, 0}};
        if (poll(p, KT_COUNT(p), -1) < 0 && errno != EINTR)
            break;
        if (p[0].revents)
            break;
        if (p[1].revents && read(s->free_fd, &drain, sizeof drain) > 0)
            room = true;
        if (p[2].revents || p[1].revents)
            room = accept_all(s);
    }
    end_all(s);
}
