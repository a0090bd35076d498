/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The program's side of a flow: plain or TLS, blocking. */
#include "flow_fixture.hpp"

struct Tcp {
    int client = -1, server = -1;
};

inline Tcp connect_pair()
{
    Tcp t;
    int l = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in a{};
    a.sin_family = AF_INET;
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t n = sizeof a;
    EXPECT_EQ(bind(l, reinterpret_cast<sockaddr *>(&a), n), 0);
    EXPECT_EQ(listen(l, 1), 0);
    getsockname(l, reinterpret_cast<sockaddr *>(&a), &n);
    t.client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT_EQ(connect(t.client, reinterpret_cast<sockaddr *>(&a), n), 0);
    t.server = accept4(l, nullptr, nullptr, SOCK_CLOEXEC);
    close(l);
    timeval tv{10, 0};
    setsockopt(t.client, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
    int one = 1;
    setsockopt(t.client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return t;
}

struct Answer {
    int status = 0;
    std::string head, body;
    bool closed = false; /* the connection ended before the answer was whole */
    bool has(const char *text) const
    {
        return strcasestr(head.c_str(), text) != nullptr;
    }
};

struct Client {
    int fd = -1;
    SSL *ssl = nullptr;
    std::string in;
    int last_errno = 0;
    bool orderly = false; /* TLS: close_notify came */

    explicit Client(Harness &h, const char *host = "api.test", uint16_t port = 443)
    {
        Tcp t = connect_pair();
        fd = t.client;
        EXPECT_TRUE(kt_is_ok(kt_flows_adopt(h.flows, t.server, host, port)));
    }
    Client(const Client &) = delete;
    ~Client()
    {
        SSL_free(ssl);
        if (fd >= 0)
            close(fd);
    }
    /* 1 = success, as SSL_connect. */
    int tls(Harness &h, const char *sni, bool trust = true, int version = 0)
    {
        SSL_CTX *c = SSL_CTX_new(TLS_client_method());
        if (trust) {
            struct kt_span der = kt_ca_der(h.ca);
            auto *p = reinterpret_cast<const unsigned char *>(der.data);
            X509 *ca = d2i_X509(nullptr, &p, static_cast<long>(der.len));
            X509_STORE_add_cert(SSL_CTX_get_cert_store(c), ca);
            X509_free(ca);
        }
        SSL_CTX_set_verify(c, SSL_VERIFY_PEER, nullptr);
        if (version) {
            SSL_CTX_set_min_proto_version(c, version);
            SSL_CTX_set_max_proto_version(c, version);
        }
        static const unsigned char alpn[] = "\x02h2\x08http/1.1";
        SSL_CTX_set_alpn_protos(c, alpn, sizeof alpn - 1);
        ssl = SSL_new(c);
        SSL_CTX_free(c);
        SSL_set_fd(ssl, fd);
        if (sni)
            SSL_set_tlsext_host_name(ssl, sni);
        ERR_clear_error();
        return SSL_connect(ssl);
    }
    std::string peer_name()
    {
        X509 *x = SSL_get1_peer_certificate(ssl);
        std::string out;
        for (const char *n : {"api.test", "other.test", "a.wild.test"})
            if (X509_check_host(x, n, 0, 0, nullptr) == 1)
                out += n;
        X509_free(x);
        return out;
    }
    bool send(const std::string &s)
    {
        if (ssl)
            return SSL_write(ssl, s.data(), static_cast<int>(s.size())) == static_cast<int>(s.size());
        size_t at = 0;
        while (at < s.size()) {
            ssize_t n = ::send(fd, s.data() + at, s.size() - at, MSG_NOSIGNAL);
            if (n <= 0)
                return false;
            at += static_cast<size_t>(n);
        }
        return true;
    }
    /* False at the end of the connection. */
    bool fill()
    {
        char b[16384];
        ssize_t n;
        if (ssl) {
            n = SSL_read(ssl, b, sizeof b);
            if (n <= 0)
                orderly = SSL_get_error(ssl, static_cast<int>(n)) == SSL_ERROR_ZERO_RETURN;
        } else {
            n = recv(fd, b, sizeof b, 0);
        }
        last_errno = n < 0 ? errno : 0;
        if (n > 0)
            in.append(b, static_cast<size_t>(n));
        return n > 0;
    }
    std::string rest()
    {
        while (fill()) {
        }
        return std::move(in);
    }
    bool ends()
    {
        return rest().empty();
    }
    std::string take(size_t n)
    {
        while (in.size() < n && fill()) {
        }
        n = std::min(n, in.size());
        std::string s = in.substr(0, n);
        in.erase(0, n);
        return s;
    }
    std::string take_line()
    {
        size_t at;
        while ((at = in.find("\r\n")) == std::string::npos)
            if (!fill())
                return {};
        return take(at + 2);
    }
    Answer answer(bool head_only = false)
    {
        Answer a;
        size_t at;
        while ((at = in.find("\r\n\r\n")) == std::string::npos) {
            if (!fill()) {
                a.closed = true;
                return a;
            }
        }
        a.head = take(at + 4);
        a.status = atoi(a.head.c_str() + 9);
        const char *cl = strcasestr(a.head.c_str(), "\r\ncontent-length:");
        if (head_only || a.status == 204 || a.status == 304 || a.status == 100)
            return a;
        if (cl) {
            size_t n = strtoul(cl + 17, nullptr, 10);
            a.body = take(n);
            a.closed = a.body.size() < n;
        } else if (a.has("transfer-encoding: chunked")) {
            for (;;) {
                std::string line = take_line();
                if (line.empty()) {
                    a.closed = true;
                    return a;
                }
                size_t n = strtoul(line.c_str(), nullptr, 16);
                a.body += take(n);
                EXPECT_EQ(take(2), "\r\n");
                if (n == 0)
                    return a;
            }
        } else {
            a.body = rest();
        }
        return a;
    }
};

inline std::string post(const std::string &body, const std::string &extra = "")
{
    return "POST /v1/x HTTP/1.1\r\nHost: api.test\r\n" + extra +
           "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

inline const std::string GET = "GET /v1/models HTTP/1.1\r\nHost: api.test\r\n\r\n";

inline std::array<uint8_t, 32> random_of(SSL *ssl)
{
    std::array<uint8_t, 32> r;
    EXPECT_EQ(SSL_get_client_random(ssl, r.data(), r.size()), r.size());
    return r;
}
