/* SPDX-License-Identifier: Apache-2.0 */
// Connections read along: HTTP/1.1, and what is no HTTP.
#include "tap_fixture.hpp"

#include <future>

namespace {

using namespace fake;

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

TEST_F(TapTest, AMarkStandsForWhatTheLoopHasNotSeen)
{
    ASSERT_TRUE(kt_is_ok(kt_state_open(dir.c_str(), &ctx.state)));
    // The process may be gone before the loop's turn: only the mark tells of its call then.
    std::promise<void> inside, go;
    std::thread busy([&] {
        on_loop([&] {
            inside.set_value();
            go.get_future().wait();
        });
    });
    inside.get_future().wait();
    uint64_t id = open();
    EXPECT_FALSE(kt_marks_any(ctx.state, 0));
    out(id, post_chat());
    EXPECT_TRUE(kt_marks_any(ctx.state, 0));
    go.set_value();
    busy.join();
    in(id, answer(R"({"choices":[]})"));
    close(id);
    EXPECT_FALSE(kt_marks_any(ctx.state, 0));
    kt_state_free(ctx.state);
    ctx.state = nullptr;
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

} // namespace
