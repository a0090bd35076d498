/* SPDX-License-Identifier: Apache-2.0 */
#include "interceptor/telemetry/kt_metrics.h"

#include <gtest/gtest.h>
#include <string>
#include <thread>
#include <vector>

namespace {

struct Metrics : ::testing::Test {
    kt_metrics *m = nullptr;
    kt_event e{};
    kt_seen s{};
    void SetUp() override
    {
        ASSERT_TRUE(kt_is_ok(kt_metrics_new(&m)));
        e.verdict = "allow";
        e.target = "up";
        e.upstream_model = "large";
        e.status = 200;
        e.cost_usd = -1;
        s.event = &e;
        s.written = true;
    }
    void TearDown() override
    {
        kt_metrics_free(m);
    }
    std::string text()
    {
        kt_buf b = KT_BUF_INIT(KT_METRICS_BYTES);
        EXPECT_TRUE(kt_is_ok(kt_metrics_write(m, &b)));
        std::string t(b.data ? b.data : "", b.len);
        kt_buf_free(&b);
        return t;
    }
    bool has(const std::string &line)
    {
        return ("\n" + text()).find("\n" + line + "\n") != std::string::npos;
    }
};

TEST_F(Metrics, CountsAnExchange)
{
    kt_event_attempt tries[2] = {};
    tries[0].target = "down";
    tries[0].outcome = "timeout";
    tries[1].target = "up";
    tries[1].outcome = "ok";
    e.attempts = tries;
    e.attempt_count = 2;
    e.usage.known = true;
    e.usage.prompt_tokens = 10;
    e.usage.completion_tokens = 3;
    e.cost_usd = 0.5;
    s.latency_ns = 30000000;
    s.ttft_ns = 7000000;
    kt_metrics_exchange(m, &s);
    kt_metrics_exchange(m, &s);
    EXPECT_TRUE(has("kt_requests_total{target=\"up\",model=\"large\",status=\"200\",verdict=\"allow\"} 2"))
        << text();
    EXPECT_TRUE(has("kt_tokens_total{target=\"up\",type=\"input\"} 20"));
    EXPECT_TRUE(has("kt_cost_usd_total{target=\"up\"} 1"));
    EXPECT_TRUE(has("kt_attempts_total{target=\"down\",outcome=\"failed\"} 2"));
    EXPECT_TRUE(has("kt_request_duration_seconds_bucket{target=\"up\",le=\"0.025\"} 0"));
    EXPECT_TRUE(has("kt_request_duration_seconds_bucket{target=\"up\",le=\"0.05\"} 2"));
    EXPECT_TRUE(has("kt_request_duration_seconds_bucket{target=\"up\",le=\"+Inf\"} 2"));
    EXPECT_TRUE(has("kt_time_to_first_token_seconds_bucket{target=\"up\",le=\"0.01\"} 2"));
    EXPECT_TRUE(has("kt_events_total{result=\"written\"} 2"));
    EXPECT_EQ(text().find("kt_request_duration_seconds_count{target=\"down\"}"), std::string::npos);
}

TEST_F(Metrics, LabelsAreEscapedAndCut)
{
    std::string name = "a\"b\\c\nd" + std::string(500, 'x');
    e.target = name.c_str();
    kt_metrics_exchange(m, &s);
    kt_metrics_exchange(m, &s);
    std::string t = text();
    EXPECT_NE(t.find("target=\"a\\\"b\\\\c\\ndxxx"), std::string::npos);
    EXPECT_NE(t.find("verdict=\"allow\"} 2\n"), std::string::npos) << "a cut label is found again";
    EXPECT_LT(t.size(), 20000u);
}

TEST_F(Metrics, CombinationsAreBounded)
{
    std::vector<std::string> names;
    for (int i = 0; i < 2000; i++) {
        std::string name = "t" + std::to_string(i);
        e.target = name.c_str();
        e.status = 200 + i % 300;
        kt_metrics_exchange(m, &s);
    }
    std::string t = text();
    size_t lines = 0, sum = 0;
    for (size_t at = 0; (at = t.find("\nkt_requests_total{", at)) != std::string::npos; at++, lines++)
        sum += std::stoul(t.substr(t.find("} ", at) + 2));
    EXPECT_EQ(lines, static_cast<size_t>(KT_METRICS_MAX_REQUESTS));
    EXPECT_EQ(sum, 2000u) << "nothing is lost";
    EXPECT_NE(t.find("target=\"other\""), std::string::npos);
    EXPECT_LT(t.size(), static_cast<size_t>(KT_METRICS_BYTES) / 4);
}

TEST_F(Metrics, ManyThreads)
{
    std::vector<std::thread> ts;
    for (int i = 0; i < 4; i++)
        ts.emplace_back([this] {
            for (int n = 0; n < 2000; n++)
                kt_metrics_exchange(m, &s);
        });
    for (auto &t : ts)
        t.join();
    EXPECT_TRUE(has("kt_events_total{result=\"written\"} 8000"));
}

} // namespace
