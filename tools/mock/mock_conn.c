/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/base/kt_base.h"
#include "tools/mock/mock.h"

#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#define READ_BYTES (64u << 10)
#define FINISH_NS 1000000000u

long mock_read(struct mock_conn *c, char *data, size_t len)
{
    if (c->ssl) {
        int n = SSL_read(c->ssl, data, len > INT_MAX ? INT_MAX : (int)len);
        ERR_clear_error();
        return n > 0 ? n : 0;
    }
    ssize_t n;
    do
        n = recv(c->fd, data, len, 0);
    while (n < 0 && errno == EINTR);
    return n;
}

bool mock_write(struct mock_conn *c, const void *data, size_t len)
{
    const char *p = data;
    while (len > 0) {
        ssize_t n;
        if (c->ssl) {
            n = SSL_write(c->ssl, p, len > INT_MAX ? INT_MAX : (int)len);
            ERR_clear_error();
        } else {
            n = send(c->fd, p, len, MSG_NOSIGNAL);
        }
        if (n < 0 && !c->ssl && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        p += n;
        len -= (size_t)n;
    }
    return true;
}

bool mock_pause(struct mock_conn *c, int ms)
{
    uint64_t end = kt_now_mono_ns() + (uint64_t)(ms > 0 ? ms : 0) * 1000000u;
    for (;;) {
        uint64_t now = kt_now_mono_ns();
        if (ms >= 0 && now >= end)
            return true;
        /* A client may close its sending half and still wait for the answer; only one that waits for ever may
         * go by that. */
        struct pollfd p = {c->fd, (short)(ms < 0 ? POLLRDHUP : 0), 0};
        int wait = ms < 0 ? -1 : (int)((end - now + 999999u) / 1000000u);
        if (poll(&p, 1, wait) > 0)
            return false;
    }
}

void mock_finish(struct mock_conn *c)
{
    char rest[4096];
    uint64_t end = kt_now_mono_ns() + FINISH_NS;
    if (c->cut)
        return;
    if (c->ssl)
        SSL_shutdown(c->ssl);
    ERR_clear_error();
    shutdown(c->fd, SHUT_WR);
    for (uint64_t now = kt_now_mono_ns(); now < end; now = kt_now_mono_ns()) {
        struct pollfd p = {c->fd, POLLIN, 0};
        if (poll(&p, 1, (int)((end - now) / 1000000u) + 1) <= 0 ||
            recv(c->fd, rest, sizeof rest, MSG_DONTWAIT) <= 0)
            return;
    }
}

/* The parser has given up: say why, as a server would, and end. */
static void refuse(struct mock_conn *c, const struct kt_http_parser *p)
{
    static const struct kt_request none = {.minor = 1};
    const char *text = "";
    int status = kt_http_error(p, &text);
    KT_CLEANUP(kt_buf_free) struct kt_buf body = KT_BUF_INIT(4096);
    if (mock_error_body(c->o->dialect, status, text, "invalid_request_error", NULL, &body).code == KT_OK)
        mock_send(c, &none, status, "application/json", "", kt_buf_span(&body));
}

/* False where the connection must end. */
static bool answer_one(struct mock_conn *c, struct kt_http_parser *p)
{
    KT_CLEANUP(kt_request_free) struct kt_request r;
    kt_http_take(p, &r);
    mock_server_record(c->server, c, &r);
    bool on = mock_answer(c, &r) && r.keep_alive;
    mock_server_answered(c->server);
    return on;
}

static bool feed(struct mock_conn *c, struct kt_http_parser *p, const char *data, size_t len)
{
    static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
    size_t at = 0;
    do {
        size_t used = 0;
        enum kt_http_state state = kt_http_feed(p, data + at, len - at, &used);
        at += used;
        if (state == KT_HTTP_ERROR)
            refuse(c, p);
        if (state == KT_HTTP_ERROR ||
            (state == KT_HTTP_CONTINUE && !mock_write(c, go_on, sizeof go_on - 1)) ||
            (state == KT_HTTP_COMPLETE && !answer_one(c, p)))
            return false;
    } while (at < len);
    return true;
}

void mock_conn_serve(struct mock_conn *c)
{
    struct kt_http_parser *p;
    if (kt_http_parser_new(MOCK_MAX_BODY, &p).code != KT_OK)
        return;
    KT_CLEANUP(kt_buf_free) struct kt_buf in = KT_BUF_INIT(READ_BYTES);
    long n = kt_buf_reserve(&in, READ_BYTES).code == KT_OK ? 1 : 0;
    while (n > 0) {
        n = mock_read(c, in.data, READ_BYTES);
        if (n > 0 && !feed(c, p, in.data, (size_t)n))
            break;
    }
    kt_http_parser_free(p);
    mock_finish(c);
}
