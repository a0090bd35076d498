/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One thread per connection. A first byte 0x16 is TLS; then HTTP is answered with the way that it came, and a
 * line "echo ..." with the line itself.
 */
#include "tests/shim/fake_engine.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

static struct kt_abi_flow *flows;
static pthread_mutex_t flows_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t flow_ended = PTHREAD_COND_INITIALIZER;

void fake_flows_lock(void)
{
    pthread_mutex_lock(&flows_lock);
}

void fake_flows_unlock(void)
{
    pthread_mutex_unlock(&flows_lock);
}

void fake_flows_forget(void)
{
    for (struct kt_abi_flow *f = flows; f; f = f->next)
        close(f->fd);
    flows = NULL;
}

/* At exit: OpenSSL's own clean-up must find no thread of ours inside it. */
void fake_flows_stop(void)
{
    struct timespec end;
    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += 5;
    fake_flows_lock();
    for (struct kt_abi_flow *f = flows; f; f = f->next)
        shutdown(f->fd, SHUT_RDWR);
    while (flows && pthread_cond_timedwait(&flow_ended, &flows_lock, &end) == 0)
        ;
    fake_flows_unlock();
}

void fake_flow_release(struct kt_abi_flow *f)
{
    fake_flows_lock();
    int left = --f->refs;
    fake_flows_unlock();
    if (left == 0) {
        pthread_mutex_destroy(&f->lock);
        free(f);
    }
}

static void send_all(struct kt_abi_flow *f, const char *data, size_t len)
{
    if (f->ssl) {
        SSL_write(f->ssl, data, (int)len);
        return;
    }
    while (len > 0) {
        ssize_t n = send(f->fd, data, len, MSG_NOSIGNAL);
        if (n <= 0)
            return;
        data += n;
        len -= (size_t)n;
    }
}

static void answer_http(struct kt_abi_flow *f, size_t got, const char *lane)
{
    char body[512], head[256];
    int n = snprintf(body, sizeof body, "{\"origin\":\"%s\",\"port\":%u,\"lane\":\"%s\",\"got\":%zu}",
                     f->host, f->port, lane, got);
    int h = snprintf(head, sizeof head,
                     "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", n);
    char both[sizeof head + sizeof body];
    memcpy(both, head, (size_t)h);
    memcpy(both + h, body, (size_t)n);
    send_all(f, both, (size_t)(h + n));
    fake_log("answer %s %s", f->host, lane);
}

/* Length of the first whole message in f->in, 0 = not there yet. */
static size_t whole(const struct kt_abi_flow *f)
{
    const char *end;
    if (f->used >= 5 && memcmp(f->in, "echo ", 5) == 0) {
        end = memchr(f->in, '\n', f->used);
        return end ? (size_t)(end + 1 - f->in) : 0;
    }
    end = memmem(f->in, f->used, "\r\n\r\n", 4);
    if (!end)
        return 0;
    size_t need = (size_t)(end + 4 - f->in);
    for (const char *p = f->in; p < end; p++)
        if (strncasecmp(p, "\r\ncontent-length:", 17) == 0)
            need += strtoul(p + 17, NULL, 10);
    return f->used >= need ? need : 0;
}

/* Lock held. */
static void answer_all(struct kt_abi_flow *f, const char *lane)
{
    size_t n;
    while ((n = whole(f)) > 0) {
        if (memcmp(f->in, "echo ", 5) == 0)
            send_all(f, f->in, n);
        else
            answer_http(f, n, lane);
        memmove(f->in, f->in + n, f->used - n);
        f->used -= n;
    }
}

static void take(struct kt_abi_flow *f, const void *data, size_t len, const char *lane)
{
    if (len > sizeof f->in - f->used)
        return;
    memcpy(f->in + f->used, data, len);
    f->used += len;
    if (f->open) /* the client ends its handshake first, so its plaintext may come before our own handshake is
                    done */
        answer_all(f, lane);
}

ssize_t fake_flow_write(struct kt_abi_flow *f, const void *data, size_t len)
{
    ssize_t rc = (ssize_t)len;
    pthread_mutex_lock(&f->lock);
    if (f->dead || (len >= 4 && memcmp(data, "die!", 4) == 0)) {
        errno = EPIPE;
        rc = -1;
    } else if (len == 4 && memcmp(data, "usr1", 4) == 0) {
        raise(SIGUSR1); /* here, where a handler that jumps away would keep the lock */
    } else {
        f->handed_off = 1;
        take(f, data, len, "handoff");
    }
    pthread_mutex_unlock(&f->lock);
    return rc;
}

struct kt_abi_flow *fake_flow_by_random(const uint8_t random[32])
{
    fake_flows_lock();
    struct kt_abi_flow *f = flows;
    while (f && !(f->has_random && memcmp(f->random, random, 32) == 0))
        f = f->next;
    if (f)
        f->refs++;
    fake_flows_unlock();
    return f;
}

static int on_hello(SSL *ssl, int *alert, void *arg)
{
    (void)alert;
    (void)arg;
    struct kt_abi_flow *f = SSL_get_app_data(ssl);
    const unsigned char *r, *ext;
    size_t len;
    char name[256];
    memcpy(name, f->host, sizeof name);
    if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &ext, &len) && len > 5 &&
        len - 5 < sizeof name) {
        memcpy(name, ext + 5, len - 5);
        name[len - 5] = '\0';
    }
    SSL_CTX *ctx = fake_ca_server(name);
    SSL_set_SSL_CTX(ssl, ctx);
    SSL_CTX_free(ctx);
    if (SSL_client_hello_get0_random(ssl, &r) == 32) {
        fake_flows_lock();
        memcpy(f->random, r, 32);
        f->has_random = 1;
        fake_flows_unlock();
    }
    return SSL_CLIENT_HELLO_SUCCESS;
}

static int start_tls(struct kt_abi_flow *f)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    SSL_CTX_set_client_hello_cb(ctx, on_hello, NULL);
    f->ssl = SSL_new(ctx);
    SSL_CTX_free(ctx);
    SSL_set_app_data(f->ssl, f);
    SSL_set_fd(f->ssl, f->fd);
    return SSL_accept(f->ssl) == 1 ? 0 : -1;
}

/* One readable event; 0 = the end. */
static int read_some(struct kt_abi_flow *f)
{
    char buf[16384];
    pthread_mutex_lock(&f->lock);
    int n = f->ssl ? SSL_read(f->ssl, buf, sizeof buf) : (int)recv(f->fd, buf, sizeof buf, 0);
    if (n > 0 && f->handed_off)
        fake_log("mixed %s", f->host); /* TLS after handoff: a bug of the shim */
    if (n > 0)
        take(f, buf, (size_t)n, f->ssl ? "tls" : "plain");
    f->dead = n <= 0;
    pthread_mutex_unlock(&f->lock);
    return n > 0;
}

static void unlink_flow(struct kt_abi_flow *f)
{
    fake_flows_lock();
    struct kt_abi_flow **l = &flows;
    while (*l && *l != f)
        l = &(*l)->next;
    if (*l)
        *l = f->next;
    pthread_cond_broadcast(&flow_ended);
    fake_flows_unlock();
}

static void *serve(void *arg)
{
    struct kt_abi_flow *f = arg;
    unsigned char first;
    sigset_t all; /* OpenSSL writes without MSG_NOSIGNAL */
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
    fake_host->guard_thread();
    fcntl(f->fd, F_SETFL, fcntl(f->fd, F_GETFL) & ~O_NONBLOCK);
    if (recv(f->fd, &first, 1, MSG_PEEK) == 1 && (first != 0x16 || start_tls(f) == 0)) {
        pthread_mutex_lock(&f->lock);
        f->open = 1;
        answer_all(f, "handoff");
        pthread_mutex_unlock(&f->lock);
        struct pollfd p = {f->fd, POLLIN, 0};
        while ((f->ssl && SSL_has_pending(f->ssl)) || poll(&p, 1, -1) > 0)
            if (!read_some(f))
                break;
    } else {
        fake_log("no conversation %s", f->host);
    }
    pthread_mutex_lock(&f->lock);
    f->dead = 1;
    SSL_free(f->ssl);
    f->ssl = NULL;
    pthread_mutex_unlock(&f->lock);
    OPENSSL_thread_stop(); /* now, not when the thread ends: that may be after OpenSSL's clean-up at exit */
    unlink_flow(f);
    fake_host->own_fd(f->fd, 0);
    close(f->fd);
    fake_flow_release(f);
    return NULL;
}

int fake_adopt(int fd, const struct kt_abi_origin *origin)
{
    pthread_t t;
    struct kt_abi_flow *f = calloc(1, sizeof *f);
    f->fd = fd;
    f->refs = 1;
    f->port = origin->port;
    snprintf(f->host, sizeof f->host, "%s", origin->host);
    pthread_mutex_init(&f->lock, NULL);
    fake_log("adopt %s %u fd %d", f->host, f->port, fd);
    fake_flows_lock();
    f->next = flows;
    flows = f;
    fake_flows_unlock();
    if (pthread_create(&t, NULL, serve, f) != 0)
        return -1;
    pthread_detach(t);
    return 0;
}
