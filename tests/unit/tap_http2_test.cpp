/* SPDX-License-Identifier: Apache-2.0 */
// HTTP/2 read along.
#include "h2_wire.hpp"
#include "tap_fixture.hpp"

namespace {

using namespace fake;

class TapHttp2 : public TapTest {};

struct H2Call {
    h2::Side c, s;
    std::string request(uint32_t id, const std::string &body)
    {
        std::string out = c.headers(id, h2::post());
        return out + h2::data(id, body.substr(0, 10)) + h2::data(id, body.substr(10), true);
    }
    std::string answer(uint32_t id, const std::string &body, const std::string &coding = "")
    {
        h2::Fields f = {{":status", "200"}, {"content-type", "application/json"}};
        if (!coding.empty())
            f.emplace_back("content-encoding", coding);
        std::string out = s.headers(id, f);
        return out + h2::data(id, body.substr(0, 20)) + h2::data(id, body.substr(20), true);
    }
};

TEST_F(TapHttp2, ReadsHttp2OneByteAtATime)
{
    H2Call k;
    uint64_t id = open();
    for (char c : h2::kPreface + h2::settings(3, 100) + k.request(1, chat("hello"))) {
        out(id, std::string(1, c));
        settle();
    }
    for (char c : h2::settings(3, 100) + k.answer(1, kAnswer)) {
        in(id, std::string(1, c));
        settle();
    }
    ASSERT_EQ(event_lines().size(), 1u);
    expect_whole(event());
    EXPECT_EQ(str(event(), "path"), "/v1/chat/completions");
    EXPECT_EQ(str(event(), "model"), "gpt-4o");
    close(id);
}

TEST_F(TapHttp2, AServerMaySpeakFirst)
{
    H2Call k;
    uint64_t id = open();
    in(id, h2::settings(3, 100));
    out(id, h2::kPreface + k.request(1, chat("hello")));
    in(id, k.answer(1, kAnswer));
    close(id);
    ASSERT_EQ(event_lines().size(), 1u);
    expect_whole(event());
}

TEST_F(TapHttp2, InterleavedStreamsAreCallsOfTheirOwn)
{
    H2Call k;
    uint64_t id = open();
    const std::string body = chat("hello");
    std::string heads = h2::kPreface;
    for (uint32_t n : {1u, 3u, 5u})
        heads += k.c.headers(n, h2::post());
    out(id, heads + h2::data(5, body, true) + h2::data(1, body.substr(0, 5)) + h2::data(3, body, true) +
                h2::data(1, body.substr(5), true));
    in(id, k.answer(3, kAnswer));
    in(id, k.answer(1, gzip(kAnswer), "gzip"));
    in(id, k.answer(5, kAnswer));
    close(id);
    ASSERT_EQ(event_lines().size(), 3u);
    for (size_t i = 0; i < 3; i++)
        expect_whole(event(i));
}

TEST_F(TapHttp2, SaysWhatBecameOfAStream)
{
    H2Call k;
    uint64_t id = open();
    out(id, h2::kPreface + k.request(1, chat("a")));
    out(id, k.request(3, chat("b")));
    out(id, k.request(5, chat("c")));
    in(id, k.s.headers(1, {{":status", "103"}}));
    in(id, k.s.headers(1, {{":status", "200"}}));
    in(id, h2::frame(h2::kReset, 0, 1, h2::be32(2)));
    in(id, h2::frame(h2::kGoaway, 0, 0, h2::be32(3) + h2::be32(0)));
    out(id, h2::frame(h2::kReset, 0, 3, h2::be32(8)));
    close(id);
    ASSERT_EQ(event_lines().size(), 3u);
    EXPECT_EQ(str(event(0), "error"), "stream_interrupted");
    EXPECT_EQ(str(event(1), "error"), "not_processed");
    EXPECT_EQ(str(event(2), "error"), "client_gone");
}

// Clients that know the length need not read the end of the stream.
TEST_F(TapHttp2, ALengthEndsAnAnswerOfHttp2)
{
    H2Call k;
    uint64_t id = open();
    out(id, h2::kPreface + k.request(1, chat("a")));
    const std::string size = std::to_string(sizeof kAnswer - 1);
    in(id,
       k.s.headers(1, {{":status", "200"}, {"content-type", "application/json"}, {"content-length", size}}) +
           h2::data(1, kAnswer));
    close(id);
    ASSERT_EQ(event_lines().size(), 1u);
    expect_whole(event());
}

TEST_F(TapHttp2, HeadersCannotForgeARequest)
{
    H2Call k;
    uint64_t id = open();
    const std::string body = chat("Mail alice.jones@example.org");
    h2::Fields f = h2::post();
    f.emplace_back("x-evil", "a\r\ncontent-length: 2\r\n\r\n{}");
    f.emplace_back("transfer-encoding", "chunked");
    f.emplace_back("content-length", "1");
    out(id, h2::kPreface + k.c.headers(1, f) + h2::data(1, body, true));
    in(id, k.answer(1, kAnswer));
    close(id);
    ASSERT_EQ(event_lines().size(), 1u);
    expect_whole(event());
    EXPECT_EQ(str(event(), "model"), "gpt-4o");
}

TEST_F(TapHttp2, DamageInHttp2EndsEveryCall)
{
    H2Call k;
    uint64_t id = open();
    out(id, h2::kPreface + k.request(1, chat("a")));
    in(id, h2::frame(h2::kHeaders, h2::kEndHeaders, 1, "\xff\xff\xff\xff\xff\xff"));
    in(id, k.answer(1, kAnswer));
    close(id);
    ASSERT_EQ(event_lines().size(), 1u);
    EXPECT_EQ(str(event(), "error"), "unreadable_answer");
    EXPECT_EQ(said.size(), 1u);
}

TEST_F(TapHttp2, SaysThatAnHttp2RequestIsTooLarge)
{
    H2Call k;
    uint64_t id = open();
    out(id, h2::kPreface + k.c.headers(1, h2::post()));
    for (int i = 0; i < 30; i++)
        out(id, h2::data(1, std::string(10000, ' '), i == 29));
    out(id, k.request(3, chat("small")));
    in(id, k.answer(1, kAnswer));
    in(id, k.answer(3, kAnswer));
    close(id);
    ASSERT_EQ(said.size(), 1u);
    EXPECT_NE(said[0].find("max_body_bytes"), std::string::npos);
    ASSERT_EQ(event_lines().size(), 1u);
    expect_whole(event());
}

// RFC 8441: what goes on in the stream is no request, and another stream beside it is read as ever.
TEST_F(TapHttp2, SaysThatAWebSocketIsNotLookedAt)
{
    H2Call k;
    uint64_t id = open();
    const h2::Fields upgrade = {{":method", "CONNECT"},
                                {":protocol", "websocket"},
                                {":scheme", "https"},
                                {":path", "/v1/realtime"},
                                {":authority", "api.openai.com"}};
    out(id, h2::kPreface + k.c.headers(1, upgrade));
    in(id, k.s.headers(1, {{":status", "200"}}));
    out(id, h2::data(1, "\x81\x05hello"));
    in(id, h2::data(1, "\x81\x05hello"));
    out(id, k.request(3, chat("small")));
    in(id, k.answer(3, kAnswer));
    close(id);
    ASSERT_EQ(said.size(), 1u);
    EXPECT_NE(said[0].find("WebSocket"), std::string::npos) << said[0];
    ASSERT_EQ(event_lines().size(), 1u);
    expect_whole(event());
}

TEST_F(TapHttp2, BoundsTheStreamsOfAConnection)
{
    H2Call k;
    uint64_t id = open();
    out(id, h2::kPreface);
    for (uint32_t n = 1; n < 2000; n += 2)
        out(id, k.c.headers(n, h2::post()));
    close(id);
    ASSERT_EQ(said.size(), 1u);
    EXPECT_NE(said[0].find("streams"), std::string::npos);
}

} // namespace
