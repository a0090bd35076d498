/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
// Tap flows against real exchanges: what was said both ways in, audit events out.
#include "interceptor/tap/kt_tap.h"

#include "exchange_fixture.hpp"
#include "gzip.hpp"

namespace fake {

class TapTest : public ExchangeTest {
  protected:
    void SetUp() override
    {
        ExchangeTest::SetUp();
        configure(config(""), nullptr, KT_MODE_OBSERVE);
        kt_tap_options o = {};
        o.ctx = &ctx;
        o.owner = this;
        o.max_body = [](void *) { return size_t{100000}; };
        o.event = [](void *owner, const char *type, const char *host, uint16_t port, int,
                     const char *message) {
            static_cast<TapTest *>(owner)->said.push_back(std::string(type) + " " + host + ":" +
                                                          std::to_string(port) + " " + message);
        };
        ASSERT_TRUE(kt_is_ok(kt_taps_new(&o, &taps)));
    }
    void TearDown() override
    {
        on_loop([this] { kt_taps_end(taps); });
        EXPECT_EQ(kt_taps_count(taps), 0u);
        ExchangeTest::TearDown();
        kt_taps_free(taps);
    }
    uint64_t open()
    {
        return kt_tap_open(taps, "api.openai.com", 443, true);
    }
    void out(uint64_t id, const std::string &bytes)
    {
        kt_tap_data(taps, id, KT_TAP_OUT, bytes.data(), bytes.size());
    }
    void in(uint64_t id, const std::string &bytes)
    {
        kt_tap_data(taps, id, KT_TAP_IN, bytes.data(), bytes.size());
    }
    void close(uint64_t id)
    {
        kt_tap_close(taps, id);
        settle();
    }
    void settle()
    {
        kt_taps_flush(taps, 10000);
    }
    static std::string answer(const std::string &body, const std::string &extra = "")
    {
        return "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n" + extra +
               "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
    }
    static std::string post_chat()
    {
        return post(chat("hello"));
    }
    // Both ways at once, one event expected.
    Json only_event(const std::string &request, const std::string &response)
    {
        uint64_t id = open();
        out(id, request);
        in(id, response);
        close(id);
        EXPECT_EQ(event_lines().size(), 1u);
        return event();
    }
    kt_taps *taps = nullptr;
    std::vector<std::string> said; // by the loop thread, read after settle()
};

inline void expect_whole(const Json &e)
{
    EXPECT_EQ(str(e, "event_type"), "decision");
    EXPECT_EQ(str(e, "lane"), "tap");
    EXPECT_EQ(str(e, "mode"), "observe");
    EXPECT_EQ(str(e, "verdict"), "allow");
    EXPECT_EQ(str(e, "would_verdict"), "allow");
    EXPECT_EQ(str(e, "origin"), "api.openai.com:443");
    EXPECT_EQ(num(e, "status"), 200);
    EXPECT_EQ(num(e, "usage.total_tokens"), 5);
    EXPECT_EQ(str(e, "error"), "");
}

} // namespace fake
