/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Flows with a scripted exchange behind them, and real sockets and OpenSSL clients in front. */
#include "interceptor/flow/kt_flow.h"
#include "interceptor/loop/kt_fds.h"

#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <functional>
#include <malloc.h>
#include <memory>
#include <mutex>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <string>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <vector>

struct Harness;

/* What the flow believes to be an exchange. */
struct kt_exchange {
    Harness *h;
    std::string method, target, body, lane, host;
    bool tls = false;
    std::thread::id prepared_in;
    kt_reply_sink sink{};
    size_t sent = 0;
    std::function<void(kt_exchange *)> writable;
    kt_loop_watch *waits_for = nullptr;

    void head(int status, int64_t length, std::vector<kt_header> headers = {})
    {
        sink.head(sink.flow, status, headers.data(), headers.size(), length);
    }
    void write(const std::string &s)
    {
        sink.body(sink.flow, s.data(), s.size());
    }
    void end();
    void abort();
};

struct Event {
    std::string type, host, message;
    int status;
};

struct Harness {
    kt_loop *loop = nullptr;
    kt_flows *flows = nullptr;
    kt_ca *ca = nullptr;
    kt_engine_ctx ctx{};
    size_t max_body = 64u << 20;
    std::function<void(kt_exchange *)> script;
    std::mutex m;
    std::condition_variable cv;
    std::vector<Event> events;
    std::vector<std::string> seen; /* "lane METHOD target" */
    /* Copies, under the lock. */
    std::vector<std::string> requests()
    {
        std::lock_guard<std::mutex> g(m);
        return seen;
    }
    std::vector<Event> reports()
    {
        std::lock_guard<std::mutex> g(m);
        return events;
    }
    std::atomic<int> gone{0}, ended{0}, dropped{0}, live{0};

    explicit Harness(const kt_flow_door *door = nullptr);
    ~Harness();
    void stop();
    void post(std::function<void()> f);
    template <class P> bool wait(P p)
    {
        for (int i = 0; i < 5000; i++) {
            if (p())
                return true;
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
        return false;
    }
};

inline void kt_exchange::end()
{
    Harness *hh = h;
    kt_reply_sink s = sink;
    hh->ended++;
    hh->live--;
    delete this;
    s.end(s.flow);
}

inline void kt_exchange::abort()
{
    Harness *hh = h;
    kt_reply_sink s = sink;
    hh->live--;
    delete this;
    s.abort(s.flow);
}

inline std::string str(struct kt_span s)
{
    return {s.data, s.len};
}

inline kt_header field(const char *n, const char *v)
{
    return {{n, strlen(n)}, {v, strlen(v)}};
}

/* 200 with the request's body, or its target where there is none. */
inline void echo(kt_exchange *x)
{
    std::string out = x->body.empty() ? x->target : x->body;
    x->head(200, static_cast<int64_t>(out.size()), {field("content-type", "text/plain")});
    x->write(out);
    x->end();
}

inline kt_result x_open(kt_engine_ctx *ctx, kt_request *r, const kt_exchange_origin *o, kt_exchange **out)
{
    auto *h = static_cast<Harness *>(ctx->owner);
    auto *x = new kt_exchange;
    x->h = h;
    x->method = str(r->method);
    x->target = str(r->target);
    x->body = str(kt_buf_span(&r->body));
    x->lane = o->lane;
    x->host = o->host;
    x->tls = o->tls;
    kt_request_free(r);
    h->live++;
    *out = x;
    return kt_ok();
}

inline void x_prepare(kt_exchange *x)
{
    x->prepared_in = std::this_thread::get_id();
    std::lock_guard<std::mutex> g(x->h->m);
    x->h->seen.push_back(x->lane + " " + x->method + " " + x->target);
}

inline void x_start(kt_exchange *x, const kt_reply_sink *sink)
{
    x->sink = *sink;
    x->h->script(x);
}

inline void x_gone(kt_exchange *x)
{
    x->h->gone++;
    x->h->live--;
    delete x;
}

inline void x_drop(kt_exchange *x)
{
    x->h->dropped++;
    x->h->live--;
    delete x;
}

inline void x_writable(kt_exchange *x)
{
    if (x->writable)
        x->writable(x);
}

inline kt_loop_watch *x_waits_for(const kt_exchange *x)
{
    return x->waits_for;
}

inline const kt_flow_service service = {x_open,     x_prepare, x_start,     x_gone,
                                        x_writable, x_drop,    x_waits_for, nullptr};

inline Harness::Harness(const kt_flow_door *door)
{
    script = echo;
    EXPECT_TRUE(kt_is_ok(kt_loop_new(&loop)));
    kt_strings hosts{};
    for (const char *n : {"api.test", "other.test", "*.wild.test"})
        EXPECT_TRUE(kt_is_ok(kt_strings_add(&hosts, n)));
    kt_error err{};
    EXPECT_TRUE(kt_is_ok(kt_ca_new(&hosts, &ca, &err))) << err.text;
    kt_strings_free(&hosts);
    ctx.loop = loop;
    ctx.owner = this;
    kt_flows_options o{};
    o.door = door;
    o.ctx = &ctx;
    o.service = &service;
    o.owner = this;
    o.ca = [](void *a) { return static_cast<Harness *>(a)->ca; };
    o.max_body = [](void *a) { return static_cast<Harness *>(a)->max_body; };
    o.event = [](void *a, const char *type, const char *host, uint16_t, int status, const char *message) {
        auto *h = static_cast<Harness *>(a);
        std::lock_guard<std::mutex> g(h->m);
        h->events.push_back({type, host, message, status});
    };
    EXPECT_TRUE(kt_is_ok(kt_flows_new(&o, &flows)));
    EXPECT_TRUE(kt_is_ok(kt_loop_start(loop, nullptr)));
}

inline void Harness::post(std::function<void()> f)
{
    auto *p = new std::function<void()>(std::move(f));
    EXPECT_TRUE(kt_is_ok(kt_loop_post(
        loop,
        [](void *a) {
            auto *q = static_cast<std::function<void()> *>(a);
            (*q)();
            delete q;
        },
        p)));
}

inline void Harness::stop()
{
    if (!loop)
        return;
    post([this] { kt_flows_close(flows); });
    EXPECT_TRUE(kt_loop_stop(loop, 10000));
    EXPECT_EQ(live, 0);
    kt_flows_free(flows);
    kt_loop_free(loop);
    loop = nullptr;
}

inline Harness::~Harness()
{
    stop();
    kt_ca_free(ca);
    EXPECT_EQ(kt_fds_count(), 0u);
}
