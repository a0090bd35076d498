/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that come in memory, from the program's threads. */
#include "flow_client.hpp"

namespace {

TEST(FlowHandoff, ByRandomInTheCallersThread)
{
    Harness h;
    std::atomic<bool> mine{false};
    auto self = std::this_thread::get_id();
    h.script = [&](kt_exchange *x) {
        mine = x->prepared_in == self;
        EXPECT_TRUE(x->tls);
        EXPECT_EQ(x->host, "api.test");
        echo(x);
    };
    Client c(h);
    ASSERT_EQ(c.tls(h, "api.test"), 1);
    auto r = random_of(c.ssl);
    kt_flow *f = kt_flows_by_random(h.flows, r.data());
    ASSERT_NE(f, nullptr);
    r[31] ^= 1;
    EXPECT_EQ(kt_flows_by_random(h.flows, r.data()), nullptr);
    for (int i = 0; i < 20; i++) {
        std::string req = post("in memory " + std::to_string(i));
        size_t cut = static_cast<size_t>(i) * 7 % req.size();
        ASSERT_EQ(kt_flow_write(f, req.data(), cut), static_cast<ssize_t>(cut));
        ASSERT_EQ(kt_flow_write(f, req.data() + cut, req.size() - cut),
                  static_cast<ssize_t>(req.size() - cut));
        ASSERT_EQ(c.answer().body, "in memory " + std::to_string(i));
        ASSERT_TRUE(mine);
    }
    EXPECT_EQ(h.requests()[0], "handoff POST /v1/x");
    ASSERT_TRUE(c.send(post("by wire"))); /* the lanes may change from request to request */
    EXPECT_EQ(c.answer().body, "by wire");
    EXPECT_EQ(h.requests().back(), "divert POST /v1/x");
    close(c.fd);
    c.fd = -1;
    EXPECT_TRUE(h.wait([&] {
        errno = 0;
        return kt_flow_write(f, "x", 1) == -1 && errno == EPIPE;
    }));
    kt_flow_release(f);
    EXPECT_TRUE(h.wait([&] { return kt_flows_count(h.flows) == 0; }));
}

/* Where the loop sleeps, the caller's thread sends the request on; never the first one, and never where
 * errors of the program lie in OpenSSL's queue. */
TEST(FlowHandoff, StartedByTheCallerWhereTheLoopSleeps)
{
    Harness h;
    std::atomic<bool> mine{false};
    auto self = std::this_thread::get_id();
    h.script = [&](kt_exchange *x) {
        mine = std::this_thread::get_id() == self;
        echo(x);
    };
    Client c(h);
    ASSERT_EQ(c.tls(h, "api.test"), 1);
    kt_flow *f = kt_flows_by_random(h.flows, random_of(c.ssl).data());
    ASSERT_NE(f, nullptr);
    auto call = [&](const std::string &body) {
        std::string req = post(body);
        EXPECT_EQ(kt_flow_write(f, req.data(), req.size()), static_cast<ssize_t>(req.size()));
        EXPECT_EQ(c.answer().body, body);
        return mine.load();
    };
    EXPECT_FALSE(call("the first"));
    EXPECT_TRUE(h.wait([&] { return call("again"); }));
    ERR_raise(ERR_LIB_USER, 7);
    std::this_thread::sleep_for(std::chrono::milliseconds(20)); /* it sleeps */
    std::string req = post("with an error");
    EXPECT_EQ(kt_flow_write(f, req.data(), req.size()), static_cast<ssize_t>(req.size()));
    EXPECT_EQ(ERR_GET_REASON(ERR_get_error()), 7);
    EXPECT_EQ(c.answer().body, "with an error");
    EXPECT_FALSE(mine);
    kt_flow_release(f);
}

TEST(FlowHandoff, ContinuePipeliningAndErrors)
{
    Harness h;
    std::atomic<kt_exchange *> held{nullptr};
    h.script = [&](kt_exchange *x) { held = x; };
    Client c(h);
    ASSERT_EQ(c.tls(h, "api.test"), 1);
    kt_flow *f = kt_flows_by_random(h.flows, random_of(c.ssl).data());
    ASSERT_NE(f, nullptr);
    std::string head = "POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n";
    ASSERT_EQ(kt_flow_write(f, head.data(), head.size()), static_cast<ssize_t>(head.size()));
    EXPECT_EQ(c.answer().status, 100);
    ASSERT_EQ(kt_flow_write(f, "body", 4), 4);
    ASSERT_TRUE(h.wait([&] { return held != nullptr; }));
    ASSERT_EQ(kt_flow_write(f, GET.data(), GET.size()), static_cast<ssize_t>(GET.size())); /* it waits */
    kt_exchange *first = held.exchange(nullptr);
    h.post([&] { echo(first); });
    Answer a = c.answer();
    EXPECT_EQ(a.body, "body");
    EXPECT_FALSE(a.has("connection: close"));
    ASSERT_TRUE(h.wait([&] { return held != nullptr; }));
    std::string more = post(std::string(300000, 'x')); /* too long to wait: refused, in full */
    ASSERT_EQ(kt_flow_write(f, more.data(), more.size()), static_cast<ssize_t>(more.size()));
    h.post([&] { echo(held); });
    EXPECT_TRUE(c.answer().has("connection: close"));
    EXPECT_TRUE(c.ends());
    EXPECT_TRUE(c.orderly);
    EXPECT_EQ(kt_flow_write(f, "more", 4), 4); /* the connection lingers: still swallowed */
    kt_flow_release(f);

    Client bad(h);
    ASSERT_EQ(bad.tls(h, "api.test"), 1);
    f = kt_flows_by_random(h.flows, random_of(bad.ssl).data());
    ASSERT_NE(f, nullptr);
    ASSERT_EQ(kt_flow_write(f, "BROKEN\r\n\r\n", 10), 10);
    EXPECT_EQ(bad.answer().status, 400);
    kt_flow_release(f);
}

// Threads that write while the answers of others leave: nothing is lost, nothing changes places.
TEST(FlowHandoff, PipelinedByAnyThread)
{
    Harness h;
    Client c(h);
    ASSERT_EQ(c.tls(h, "api.test"), 1);
    kt_flow *f = kt_flows_by_random(h.flows, random_of(c.ssl).data());
    ASSERT_NE(f, nullptr);
    for (int round = 0; round < 20; round++) {
        std::thread writer([&] {
            for (int i = 0; i < 50; i++) {
                std::string req = post(std::to_string(i));
                size_t half = req.size() / 2;
                EXPECT_EQ(kt_flow_write(f, req.data(), half), static_cast<ssize_t>(half));
                EXPECT_EQ(kt_flow_write(f, req.data() + half, req.size() - half),
                          static_cast<ssize_t>(req.size() - half));
            }
        });
        for (int i = 0; i < 50; i++)
            EXPECT_EQ(c.answer().body, std::to_string(i));
        writer.join();
    }
    kt_flow_release(f);
}

TEST(FlowHandoff, ManyThreads)
{
    Harness h;
    std::vector<std::thread> ts;
    for (int t = 0; t < 6; t++) {
        ts.emplace_back([&, t] {
            for (int round = 0; round < 4; round++) {
                Client c(h);
                ASSERT_EQ(c.tls(h, "api.test"), 1);
                kt_flow *f = kt_flows_by_random(h.flows, random_of(c.ssl).data());
                ASSERT_NE(f, nullptr);
                for (int i = 0; i < 25; i++) {
                    std::string body = std::to_string(t * 1000 + i), req = post(body);
                    ASSERT_EQ(kt_flow_write(f, req.data(), req.size()), static_cast<ssize_t>(req.size()));
                    ASSERT_EQ(c.answer().body, body);
                }
                if (round % 2) { /* leave with a request under way */
                    kt_flow_write(f, GET.data(), GET.size());
                }
                kt_flow_release(f);
            }
        });
    }
    for (auto &t : ts)
        t.join();
    EXPECT_TRUE(h.wait([&] { return kt_flows_count(h.flows) == 0; }));
    EXPECT_TRUE(h.wait([&] { return h.live == 0; }));
}

TEST(FlowHandoff, WritersOutliveTheSet)
{
    kt_flow *f;
    {
        Harness h;
        h.script = [](kt_exchange *) {};
        Client c(h);
        ASSERT_EQ(c.tls(h, "api.test"), 1);
        f = kt_flows_by_random(h.flows, random_of(c.ssl).data());
        ASSERT_NE(f, nullptr);
        ASSERT_EQ(kt_flow_write(f, GET.data(), GET.size()), static_cast<ssize_t>(GET.size()));
        h.stop();
        EXPECT_EQ(h.gone, 1);
    }
    errno = 0;
    EXPECT_EQ(kt_flow_write(f, "x", 1), -1);
    EXPECT_EQ(errno, EPIPE);
    kt_flow_release(f);
}

TEST(FlowHandoff, ForgottenFlowsAreDeadAtOnce)
{
    Harness h;
    Client c(h);
    ASSERT_EQ(c.tls(h, "api.test"), 1);
    auto r = random_of(c.ssl);
    kt_flow *f = kt_flows_by_random(h.flows, r.data());
    ASSERT_NE(f, nullptr);
    kt_flows_forget(h.flows);
    EXPECT_EQ(kt_flows_by_random(h.flows, r.data()), nullptr);
    errno = 0;
    EXPECT_EQ(kt_flow_write(f, GET.data(), GET.size()), -1);
    EXPECT_EQ(errno, EPIPE);
    kt_flow_release(f);
}

} // namespace
