/* SPDX-License-Identifier: Apache-2.0 */
// Tap flows against real exchanges: what was said both ways in, audit events out.
#include "interceptor/tap/kt_tap.h"

#include "exchange_fixture.hpp"
#include "h2_wire.hpp"

#include <zlib.h>

namespace {

using namespace fake;

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

void expect_whole(const Json &e)
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

TEST_F(TapTest, PairsARequestWithItsAnswer)
{
    expect_whole(only_event(post_chat(), answer(kAnswer)));
}

TEST_F(TapTest, BytesMayBeCutAnywhere)
{
    const std::string request = post_chat(), response = answer(kAnswer);
    size_t n = 0;
    for (size_t cut = 1; cut < std::max(request.size(), response.size()); cut++, n++) {
        uint64_t id = open();
        out(id, request.substr(0, cut));
        if (cut < request.size())
            out(id, request.substr(cut));
        in(id, response.substr(0, cut));
        settle(); // else the pieces would be one again
        if (cut < response.size())
            in(id, response.substr(cut));
        close(id);
    }
    auto lines = event_lines();
    ASSERT_EQ(lines.size(), n);
    for (size_t i = 0; i < n; i++)
        expect_whole(event(i));
}

TEST_F(TapTest, OneByteAtATime)
{
    uint64_t id = open();
    for (char c : post_chat()) {
        out(id, std::string(1, c));
        settle();
    }
    for (char c : answer(kAnswer)) {
        in(id, std::string(1, c));
        settle();
    }
    ASSERT_EQ(event_lines().size(), 1u) << "the event does not wait for the connection's end";
    expect_whole(event());
    close(id);
    EXPECT_EQ(event_lines().size(), 1u);
}

TEST_F(TapTest, PipelinedRequestsKeepTheirOrder)
{
    uint64_t id = open();
    out(id, post(chat("one")) + post(chat("two"), "", "/v1/nowhere") +
                "HEAD /v1/models HTTP/1.1\r\nHost: a\r\n\r\n" + post(chat("three")));
    in(id, answer(kAnswer) + "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}" +
               "HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n" + answer(kAnswer));
    close(id);
    ASSERT_EQ(event_lines().size(), 4u);
    expect_whole(event(0));
    EXPECT_EQ(num(event(1), "status"), 404);
    EXPECT_EQ(str(event(1), "event_type"), "unseen");
    EXPECT_EQ(str(event(2), "method"), "HEAD");
    expect_whole(event(3));
}

TEST_F(TapTest, StepsOverInformationalAnswers)
{
    const std::string raw = post(chat("hello"), "Expect: 100-continue\r\n");
    uint64_t id = open();
    out(id, raw.substr(0, raw.find("\r\n\r\n") + 4));
    in(id, "HTTP/1.1 100 Continue\r\n\r\n");
    settle();
    out(id, raw.substr(raw.find("\r\n\r\n") + 4));
    in(id, "HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n" + answer(kAnswer));
    close(id);
    ASSERT_EQ(event_lines().size(), 1u);
    expect_whole(event());
}

TEST_F(TapTest, AnAnswerMayComeBeforeItsRequestIsWhole)
{
    const std::string raw = post_chat();
    uint64_t id = open();
    out(id, raw.substr(0, raw.size() - 3));
    in(id, answer(kAnswer));
    settle();
    EXPECT_EQ(event_lines().size(), 0u);
    out(id, raw.substr(raw.size() - 3));
    close(id);
    ASSERT_EQ(event_lines().size(), 1u);
    expect_whole(event());
}

TEST_F(TapTest, AnswersWithoutABody)
{
    uint64_t id = open();
    out(id, post_chat() + post_chat() + post_chat());
    in(id, "HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n" +
               answer(kAnswer));
    close(id);
    ASSERT_EQ(event_lines().size(), 3u);
    EXPECT_EQ(num(event(0), "status"), 204);
    EXPECT_EQ(num(event(1), "status"), 304);
    expect_whole(event(2));
}

std::string chunked(const std::string &body, size_t piece)
{
    std::string text;
    for (size_t at = 0; at < body.size(); at += piece) {
        char size[32];
        snprintf(size, sizeof size, "%zx;ext=1\r\n", std::min(piece, body.size() - at));
        text += size + body.substr(at, piece) + "\r\n";
    }
    return text + "0\r\nTrailer: x\r\n\r\n";
}

std::string gzip(const std::string &text)
{
    z_stream z = {};
    EXPECT_EQ(deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    std::string packed(compressBound(text.size()) + 64, '\0');
    z.next_in = reinterpret_cast<Bytef *>(const_cast<char *>(text.data()));
    z.avail_in = static_cast<uInt>(text.size());
    z.next_out = reinterpret_cast<Bytef *>(&packed[0]);
    z.avail_out = static_cast<uInt>(packed.size());
    EXPECT_EQ(deflate(&z, Z_FINISH), Z_STREAM_END);
    packed.resize(z.total_out);
    deflateEnd(&z);
    return packed;
}

const char kHead[] = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";

TEST_F(TapTest, ReadsChunkedAndCompressedAnswers)
{
    uint64_t id = open();
    out(id, post_chat() + post_chat() + post_chat());
    in(id, kHead + std::string("Transfer-Encoding: chunked\r\n\r\n") + chunked(kAnswer, 7));
    in(id, kHead + std::string("Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n") +
               chunked(gzip(kAnswer), 5));
    in(id, answer(gzip(kAnswer), "Content-Encoding: gzip\r\n"));
    close(id);
    ASSERT_EQ(event_lines().size(), 3u);
    for (size_t i = 0; i < 3; i++)
        expect_whole(event(i));
}

TEST_F(TapTest, AnAnswerMayEndWithTheConnection)
{
    expect_whole(only_event(post_chat(), kHead + std::string("\r\n") + kAnswer));
}

TEST_F(TapTest, SaysWhatItCannotDecode)
{
    Json e = only_event(post_chat(), answer("\x0b\x02\x80", "Content-Encoding: br\r\n"));
    EXPECT_EQ(str(e, "event_type"), "decision");
    EXPECT_EQ(str(e, "error"), "undecoded");
    EXPECT_NE(str(e, "message").find("br"), std::string::npos);
    EXPECT_EQ(num(e, "status"), 200);
}

TEST_F(TapTest, SaysThatACompressedBodyIsDamaged)
{
    std::string packed = gzip(kAnswer);
    packed[packed.size() / 2] ^= 0x55;
    EXPECT_EQ(str(only_event(post_chat(), answer(packed, "Content-Encoding: gzip\r\n")), "error"),
              "undecoded");
}

// 64 MiB and more out of 70 KB: bounded, and said.
TEST_F(TapTest, DoesNotUnpackABomb)
{
    const std::string packed = gzip(std::string(KT_TAP_DECODED_BYTES + 100000, ' '));
    EXPECT_EQ(str(only_event(post_chat(), answer(packed, "Content-Encoding: gzip\r\n")), "error"),
              "truncated");
}

TEST_F(TapTest, SaysThatAnAnswerIsCut)
{
    Json e = only_event(post_chat(), answer(kAnswer).substr(0, 120));
    EXPECT_EQ(str(e, "error"), "connection_closed");
    EXPECT_EQ(num(e, "status"), 200);
}

TEST_F(TapTest, ACallWithoutAnAnswerHasItsEvent)
{
    Json e = only_event(post_chat(), "");
    EXPECT_EQ(str(e, "error"), "connection_closed");
    EXPECT_EQ(str(e, "event_type"), "decision");
}

TEST_F(TapTest, FollowsAStreamToItsDone)
{
    const std::string sse =
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"}}]}\n\n"
        "data: "
        "{\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":3,"
        "\"completion_tokens\":2,\"total_tokens\":5}}\n\ndata: [DONE]\n\n";
    uint64_t id = open();
    out(id, post(chat("hello", ",\"stream\":true")));
    in(id, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n" +
               chunked(sse, 11));
    settle();
    ASSERT_EQ(event_lines().size(), 1u);
    expect_whole(event());
    EXPECT_TRUE(cJSON_IsTrue(at(event().get(), "stream")));
    close(id);
}

TEST_F(TapTest, SaysThatAConnectionChangesItsProtocol)
{
    uint64_t id = open();
    out(id, "GET /v1/realtime HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    in(id,
       "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n\x81\x05hello");
    out(id, "\x81\x85 anything but HTTP");
    close(id);
    ASSERT_EQ(event_lines().size(), 1u);
    EXPECT_EQ(str(event(), "event_type"), "unseen");
    EXPECT_EQ(str(event(), "reason_code"), "websocket");
    EXPECT_EQ(num(event(), "status"), 101);
    EXPECT_TRUE(said.empty());
}

TEST_F(TapTest, SaysOnceThatAConnectionIsNoHttp)
{
    uint64_t id = open();
    out(id, "\x16\x03\x01 this is TLS in TLS\r\n\r\n");
    out(id, "and more\r\n");
    in(id, "nothing known\r\n\r\n");
    close(id);
    ASSERT_EQ(said.size(), 1u);
    EXPECT_EQ(said[0].rfind("unseen api.openai.com:443 ", 0), 0u) << said[0];
    EXPECT_EQ(event_lines().size(), 0u);
}

TEST_F(TapTest, AnAnswerThatIsNoHttpEndsItsCall)
{
    Json e = only_event(post_chat(), "SSH-2.0-OpenSSH_9.2\r\n");
    EXPECT_EQ(str(e, "error"), "unreadable_answer");
    EXPECT_EQ(said.size(), 1u);
}

TEST_F(TapTest, SaysThatARequestIsTooLarge)
{
    uint64_t id = open();
    out(id, post(chat(std::string(200000, 'a'))));
    in(id, answer(kAnswer));
    close(id);
    ASSERT_EQ(said.size(), 1u);
    EXPECT_NE(said[0].find("too large"), std::string::npos);
}

TEST_F(TapTest, SaysThatARequestWasNotSentWhole)
{
    uint64_t id = open();
    out(id, post_chat().substr(0, 150));
    close(id);
    ASSERT_EQ(said.size(), 1u);
    EXPECT_NE(said[0].find("not sent whole"), std::string::npos);
}

TEST_F(TapTest, ALaggingLoopLosesAFlowAndSaysSo)
{
    uint64_t id = open();
    on_loop([&] { // the loop is busy: nothing is taken off the queue
        out(id, post_chat());
        for (size_t n = 0; n <= KT_TAP_QUEUE_BYTES; n += 1u << 20)
            in(id, std::string(1u << 20, 'x'));
        in(id, answer(kAnswer));
    });
    settle();
    EXPECT_EQ(said.size(), 1u);
    ASSERT_EQ(event_lines().size(), 1u);
    EXPECT_NE(str(event(), "error"), "");
    close(id);
    uint64_t other = open();
    out(other, post_chat());
    in(other, answer(kAnswer));
    close(other);
    ASSERT_EQ(event_lines().size(), 2u);
    expect_whole(event(1));
}

TEST_F(TapTest, UnknownIdsDoNothing)
{
    uint64_t id = open();
    close(id);
    out(id, post_chat());
    close(id);
    out(0, post_chat());
    out(~0ull, post_chat());
    close(~0ull);
    EXPECT_EQ(event_lines().size(), 0u);
    EXPECT_EQ(kt_taps_count(taps), 0u);
}

TEST_F(TapTest, RunsTheChainDry)
{
    configure("pack:\n  name: test\n  version: 1.2.3\n  enabled: true\npolicies:\n  chain: "
              "[pii-detector]\npolicy:\n  pii-detector:\n"
              "    action: block\n",
              nullptr,
              KT_MODE_ENFORCE); // whatever the config says by now: what is tapped has happened already
    Json e = only_event(post(chat("Mail alice.jones@example.org")), answer(kAnswer));
    EXPECT_EQ(str(e, "mode"), "observe");
    EXPECT_EQ(str(e, "verdict"), "allow");
    EXPECT_EQ(str(e, "would_verdict"), "block");
}

TEST_F(TapTest, ABrokenConfigIsAnUnseenCall)
{
    break_config(KT_FAIL_BLOCK);
    Json e = only_event(post_chat(), answer(kAnswer));
    EXPECT_EQ(str(e, "event_type"), "unseen");
    EXPECT_EQ(str(e, "reason_code"), "config_unusable");
    EXPECT_EQ(num(e, "status"), 200);
}

// ---- HTTP/2 ----

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

TEST_F(TapTest, ReadsHttp2OneByteAtATime)
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

TEST_F(TapTest, AServerMaySpeakFirst)
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

TEST_F(TapTest, InterleavedStreamsAreCallsOfTheirOwn)
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

TEST_F(TapTest, SaysWhatBecameOfAStream)
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
TEST_F(TapTest, ALengthEndsAnAnswerOfHttp2)
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

TEST_F(TapTest, HeadersCannotForgeARequest)
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

TEST_F(TapTest, DamageInHttp2EndsEveryCall)
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

TEST_F(TapTest, SaysThatAnHttp2RequestIsTooLarge)
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

TEST_F(TapTest, BoundsTheStreamsOfAConnection)
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
