/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
// One kt_upstream on a real loop, and what its calls report.
#include "interceptor/loop/kt_fds.h"
#include "interceptor/tls/kt_ca.h"
#include "interceptor/upstream/kt_upstream.h"

#include "fake_server.hpp"

#include <gtest/gtest.h>
#include <zlib.h>

#include <cstdlib>
#include <future>

namespace fake {

// What one call reported; written on the loop thread, read by the test.
struct Seen {
    std::mutex m;
    std::condition_variable c;
    int status = 0, heads = 0, dones = 0;
    std::map<std::string, std::string> headers;
    std::string body, detail;
    kt_call_outcome outcome = KT_CALL_ABORTED;
    kt_call *call = nullptr;
    std::function<void(Seen &)> at_head, at_data; // run inside the slot, without the lock

    bool wait(std::function<bool()> ready)
    {
        std::unique_lock<std::mutex> l(m);
        return c.wait_for(l, fake::kPatience, ready);
    }
    bool wait_done()
    {
        return wait([this] { return dones > 0; });
    }
    bool wait_body(size_t n)
    {
        return wait([this, n] { return body.size() >= n; });
    }
};

inline void on_head(void *arg, const kt_call_head *h)
{
    auto *s = static_cast<Seen *>(arg);
    {
        std::lock_guard<std::mutex> l(s->m);
        s->heads++;
        s->status = h->status;
        for (size_t i = 0; i < h->count; i++)
            s->headers[h->headers[i].name] = h->headers[i].value;
        s->c.notify_all();
    }
    if (s->at_head)
        s->at_head(*s);
}

inline void on_data(void *arg, const char *data, size_t len)
{
    auto *s = static_cast<Seen *>(arg);
    {
        std::lock_guard<std::mutex> l(s->m);
        s->body.append(data, len);
        s->c.notify_all();
    }
    if (s->at_data)
        s->at_data(*s);
}

inline void on_done(void *arg, kt_call_outcome outcome, const char *detail)
{
    auto *s = static_cast<Seen *>(arg);
    std::lock_guard<std::mutex> l(s->m);
    s->dones++;
    s->outcome = outcome;
    s->detail = detail;
    s->call = nullptr;
    s->c.notify_all();
}

struct Ask {
    std::string method = "POST", url, body, ca;
    std::vector<std::pair<std::string, std::string>> headers;
    int64_t connect_ms = 10000, first_ms = 0, idle_ms = 0, total_ms = 20000;
    bool stream = false;
};

class UpstreamTest : public ::testing::Test {
  protected:
    void SetUp() override
    {
        for (const char *name :
             {"http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY",
              "SSL_CERT_FILE", "KT_UPSTREAM_CA_FILE", "KT_UPSTREAM_NO_PROXY"})
            unsetenv(name);
        start();
    }
    void TearDown() override
    {
        stop();
        EXPECT_EQ(kt_fds_count(), 0u) << "fds that nobody gave back";
    }
    void start()
    {
        ASSERT_TRUE(kt_is_ok(kt_loop_new(&loop)));
        ASSERT_TRUE(kt_is_ok(kt_upstream_new(loop, &up)));
        ASSERT_TRUE(kt_is_ok(kt_loop_start(loop, nullptr)));
    }
    void stop()
    {
        if (!loop)
            return;
        on_loop([this] { kt_upstream_free(up); });
        ASSERT_TRUE(kt_loop_stop(loop, 10000));
        kt_loop_free(loop);
        loop = nullptr;
    }
    void on_loop(std::function<void()> fn)
    {
        std::promise<void> done;
        struct Job {
            std::function<void()> fn;
            std::promise<void> *done;
        } job = {std::move(fn), &done};
        auto run = [](void *arg) {
            auto *j = static_cast<Job *>(arg);
            j->fn();
            j->done->set_value();
        };
        ASSERT_TRUE(kt_is_ok(kt_loop_post(loop, run, &job)));
        ASSERT_EQ(done.get_future().wait_for(fake::kPatience), std::future_status::ready);
    }
    // Loop thread.
    kt_result begin(const Ask &a, Seen &s)
    {
        std::vector<kt_call_header> h;
        for (const auto &p : a.headers)
            h.push_back({p.first.c_str(), p.second.c_str()});
        kt_call_request q = {};
        q.method = a.method.c_str();
        q.url = a.url.c_str();
        q.headers = h.data();
        q.header_count = h.size();
        q.body = {a.body.data(), a.body.size()};
        q.ca_file = a.ca.empty() ? nullptr : a.ca.c_str();
        q.connect_ms = a.connect_ms;
        q.first_byte_ms = a.first_ms;
        q.idle_ms = a.idle_ms;
        q.total_ms = a.total_ms;
        q.stream = a.stream;
        kt_call_handler handler = {on_head, on_data, on_done, &s};
        return kt_upstream_call(up, &q, &handler, &s.call);
    }
    void call(const Ask &a, Seen &s)
    {
        on_loop([&] { ASSERT_TRUE(kt_is_ok(begin(a, s))); });
    }
    kt_loop *loop = nullptr;
    kt_upstream *up = nullptr;
};

inline bool hello(Conn &c, const Request &)
{
    return c.reply(200, "text/plain", "hello", "X-One: 1\r\n");
}

} // namespace fake
