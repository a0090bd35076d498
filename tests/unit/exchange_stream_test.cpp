/* SPDX-License-Identifier: Apache-2.0 */
#include "exchange_sse.hpp"

namespace {

using namespace fake;

class Stream : public StreamTest {};

TEST_F(Stream, ChunksPassAsTheyArrive)
{
    Gate first, second;
    const std::string whole =
        kRole + delta("one") + ": note\n\n" + delta("two") + delta("", "\"stop\"", kUsage) + kDone;
    Server up([&](Conn &c, const Request &) {
        c.sse_head();
        c.chunk(kRole + delta("one"));
        bool ok = first.wait();
        c.chunk(": note\n\n" + delta(ok ? "two" : "never"));
        ok = ok && second.wait();
        c.chunk(delta("", "\"stop\"", kUsage) + kDone);
        return c.chunk_end() && ok;
    });
    openai_target(up);
    Client k;
    size_t events_at_done = 99;
    k.at_body = [&] {
        if (k.text().find("[DONE]") != std::string::npos && events_at_done == 99)
            events_at_done = event_lines().size();
    };
    start(k, ask_stream());
    ASSERT_TRUE(k.wait_body("one"));
    EXPECT_EQ(k.status, 200);
    EXPECT_EQ(k.length, -1);
    EXPECT_EQ(k.headers["Content-Type"], "text/event-stream");
    EXPECT_EQ(k.headers["x-kt-target"], "a");
    first.open();
    ASSERT_TRUE(k.wait_body("two"));
    EXPECT_EQ(k.text(), kRole + delta("one") + ": note\n\n" + delta("two"));
    second.open();
    ASSERT_TRUE(k.wait_over());
    on_loop([] {});
    EXPECT_TRUE(k.ended);
    EXPECT_EQ(k.body, whole) << "not a byte is changed";
    EXPECT_EQ(events_at_done, 1u) << "the event is written before [DONE] is seen";
    Json e = event();
    EXPECT_TRUE(cJSON_IsTrue(at(e.get(), "stream")));
    EXPECT_EQ(num(e, "usage.total_tokens"), 6);
    EXPECT_GE(num(e, "ttft_ms"), 0);
    EXPECT_EQ(str(e, "attempts.0.outcome"), "ok");
    EXPECT_EQ(up.requests().at(0).header("accept"), "text/event-stream");
}

TEST_F(Stream, TextOfCompletionsIsContent)
{
    Gate first;
    const std::string one = "data: {\"id\":\"c\",\"object\":\"text_completion\",\"choices\":[{\"index\":0,"
                            "\"text\":\"one\",\"finish_reason\":null}]}\n\n";
    const std::string rest =
        "data: {\"choices\":[{\"index\":0,\"text\":\"\",\"finish_reason\":\"stop\"}]}\n\n" + kDone;
    Server up([&](Conn &c, const Request &) {
        return c.sse_head() && c.chunk(one) && first.wait() && c.chunk(rest) && c.chunk_end();
    });
    one_target(up);
    Client k;
    start(k, post("{\"model\":\"m\",\"prompt\":\"hello\",\"stream\":true}", "", "/v1/completions"));
    EXPECT_TRUE(k.wait_body("one")) << "it must not wait for the finish_reason";
    first.open();
    ASSERT_TRUE(k.wait_over());
    on_loop([] {});
    EXPECT_TRUE(k.ended);
}

TEST_F(Stream, AnySplitGivesTheSameBytes)
{
    const std::string whole = kRole +
                              "data: "
                              "{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"h\xc3\xa9\"},\"finish_"
                              "reason\":\"stop\"}]}\r\n\r\n" +
                              kDone;
    std::atomic<size_t> cut{0};
    Server up([&](Conn &c, const Request &) {
        return c.sse_head() && c.chunk(whole.substr(0, cut)) && c.chunk(whole.substr(cut)) && c.chunk_end();
    });
    openai_target(up);
    for (cut = 1; cut < whole.size(); cut++) {
        Client k;
        ask(k, ask_stream());
        ASSERT_EQ(k.body, whole) << cut;
        ASSERT_TRUE(k.ended);
    }
}

TEST_F(Stream, MistralsShapesBecomeOpenAis)
{
    const std::string chunk = "data: {\"choices\":[{\"index\":0,\"delta\":{";
    const std::string body =
        kRole + chunk +
        "\"content\":[{\"type\":\"thinking\",\"thinking\":[{\"type\":\"text\",\"text\":\"hm\"}]}]},\"finish_"
        "reason\":null}]}\n\n" +
        chunk + "\"content\":[{\"type\":\"text\",\"text\":\"4\"}]},\"finish_reason\":null}]}\n\n" + chunk +
        "\"content\":\"\",\"tool_calls\":[{\"id\":\"a\",\"index\":0,\"function\":{\"name\":\"f\","
        "\"arguments\":\"{}\"}}]},\"finish_reason\":\"model_length\"}]}\n\n" +
        kDone;
    Server up([&](Conn &c, const Request &) { return c.sse_head() && c.chunk(body) && c.chunk_end(); });
    one_target(up);
    Client k;
    ask(k, ask_stream());
    EXPECT_TRUE(k.ended);
    EXPECT_EQ(k.body,
              kRole + chunk + "\"reasoning_content\":\"hm\"},\"finish_reason\":null}]}\n\n" + chunk +
                  "\"content\":\"4\"},\"finish_reason\":null}]}\n\n" + chunk +
                  "\"content\":\"\",\"tool_calls\":[{\"id\":\"a\",\"index\":0,\"function\":{\"name\":"
                  "\"f\",\"arguments\":\"{}\"},\"type\":\"function\"}]},"
                  "\"finish_reason\":null}]}\n\n"
                  "data: {\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"delta\":{},"
                  "\"finish_reason\":\"length\"}]}\n\n" +
                  kDone);
}

TEST_F(Stream, ConnectionServesAgain)
{
    Server up(good);
    one_target(up);
    for (int i = 0; i < 5; i++) {
        Client k;
        ask(k, ask_stream());
        EXPECT_TRUE(k.ended);
        for (int turn = 0; turn < 50; turn++)
            on_loop([] {});
    }
    EXPECT_EQ(up.connections(), 1u);
}

TEST_F(Stream, IncludeUsageIsSynthesised)
{
    Server up([](Conn &c, const Request &) {
        return c.sse_head() && c.chunk(delta("hi") + delta("", "\"stop\"", kUsage)) && c.chunk(kDone) &&
               c.chunk_end();
    });
    one_target(up);
    Client k, plain;
    ask(k, ask_stream(",\"stream_options\":{\"include_usage\":true}"));
    const std::string extra =
        "data: "
        "{\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":7,\"model\":\"m\",\"choices\":[],"
        "\"usage\":{\"prompt_tokens\":4,\"completion_tokens\":2,\"total_tokens\":6}}\n\n";
    EXPECT_EQ(k.body, delta("hi") + delta("", "\"stop\"", kUsage) + extra + kDone);
    ask(plain, ask_stream());
    EXPECT_EQ(plain.body, delta("hi") + delta("", "\"stop\"", kUsage) + kDone);
}

TEST_F(Stream, UsageChunkOfTheProviderIsNotDoubled)
{
    const std::string own = "data: {\"id\":\"c1\",\"choices\":[]" + kUsage + "}\n\n";
    Server up([&](Conn &c, const Request &) {
        return c.sse_head() && c.chunk(delta("hi", "\"stop\"") + own + kDone) && c.chunk_end();
    });
    one_target(up);
    Client k;
    ask(k, ask_stream(",\"stream_options\":{\"include_usage\":true}"));
    std::string finish = delta("hi", "\"stop\"");
    finish.replace(finish.find("{\"content\":\"hi\"}"), 16, "{}");
    EXPECT_EQ(k.body, delta("hi") + finish + own + kDone) << "the text waits for nothing";
}

TEST_F(Stream, EndWithFinishReasonAndWithoutDone)
{
    for (const std::string &tail : {std::string("\n\n"), std::string("\n"), std::string()}) {
        std::string last = delta("", "\"stop\"");
        last.resize(last.size() - 2);
        Server up([&](Conn &c, const Request &) {
            return c.sse_head() && c.chunk(delta("hi") + last + tail) && c.chunk_end();
        });
        one_target(up);
        Client k;
        ask(k, ask_stream());
        EXPECT_TRUE(k.ended);
        EXPECT_EQ(k.body.substr(0, delta("hi").size() + last.size()), delta("hi") + last);
        EXPECT_EQ(k.body.find("error"), std::string::npos) << k.body;
    }
}

/* ---- the client ---- */

TEST_F(Stream, ClientGoneCancelsTheStream)
{
    Gate gone;
    Server up([&](Conn &c, const Request &) {
        c.sse_head();
        c.chunk(delta("a"));
        if (c.peer_gone())
            gone.open();
        return false;
    });
    one_target(up);
    Client k;
    start(k, ask_stream());
    ASSERT_TRUE(k.wait_body("\"a\""));
    on_loop([&] { kt_exchange_client_gone(k.x); });
    EXPECT_TRUE(gone.wait());
    EXPECT_FALSE(k.over()) << "no slot is called any more";
    EXPECT_EQ(str(event(), "error"), "client_gone");
    EXPECT_EQ(num(event(), "status"), 200);
}

// A sink that loses its client inside body().
TEST_F(Stream, ClientGoneInsideTheSink)
{
    Server up(good);
    one_target(up);
    Client k;
    std::atomic<int> bodies{0};
    k.at_body = [&] {
        if (bodies++ == 0)
            kt_exchange_client_gone(k.x);
    };
    start(k, ask_stream());
    ASSERT_TRUE(k.wait_body("data:"));
    for (int i = 0; i < 20; i++)
        on_loop([] {});
    EXPECT_EQ(bodies, 1);
    EXPECT_FALSE(k.over());
    EXPECT_EQ(event_lines().size(), 1u);
}

TEST_F(Stream, SlowClientHoldsTheTargetBack)
{
    const std::string piece = delta(std::string(30000, 'p'));
    const int pieces = 1000;
    std::atomic<int> sent{0};
    Server up([&](Conn &c, const Request &) {
        c.sse_head();
        for (int i = 0; i < pieces; i++) {
            if (!c.chunk(piece))
                return false;
            sent++;
        }
        return c.chunk(delta("", "\"stop\"") + kDone) && c.chunk_end();
    });
    one_target(up);
    Client k;
    std::atomic<bool> stuck{true};
    k.at_body = [&] {
        if (stuck)
            k.backlog = k.text().size();
    };
    start(k, ask_stream());
    ASSERT_TRUE(k.wait([&] { return k.body.size() > (256u << 10); }));
    for (int i = 0; i < 200; i++)
        on_loop([] {});
    EXPECT_LT(k.text().size(), 1u << 20) << "the exchange stopped taking";
    EXPECT_FALSE(k.over());
    on_loop([&] { kt_exchange_writable(k.x); }); // still too much: stays paused
    for (int i = 0; i < 50; i++)
        on_loop([] {});
    EXPECT_LT(k.text().size(), 1u << 20);
    stuck = false;
    k.backlog = 0;
    on_loop([&] { kt_exchange_writable(k.x); });
    ASSERT_TRUE(k.wait_over());
    on_loop([] {});
    EXPECT_EQ(k.body.size(), piece.size() * pieces + delta("", "\"stop\"").size() + kDone.size());
}

TEST_F(Stream, AuditFailureIsAnErrorEvent)
{
    const std::string file = dir + "/audit/current.jsonl";
    Server up([&](Conn &c, const Request &) {
        unlink(file.c_str());
        mkdir(file.c_str(), 0700);
        return c.sse_head() && c.chunk(delta("a")) && c.chunk(delta("", "\"stop\"") + kDone) && c.chunk_end();
    });
    one_target(up);
    Client k;
    ask(k, ask_stream());
    EXPECT_NE(k.body.find("audit_unavailable"), std::string::npos) << k.body;
    EXPECT_EQ(k.body.find("[DONE]"), std::string::npos);
}

/* ---- the origin's stream ---- */

TEST_F(Stream, OriginsStreamPassesUntouched)
{
    Gate first;
    const std::string head = "event: odd\ndata: not json\n\n" + delta("one"),
                      tail = delta("", "\"stop\"", kUsage) + kDone + ": bye\n\nrest";
    Server origin([&](Conn &c, const Request &) {
        c.sse_head();
        c.chunk(head);
        bool ok = first.wait();
        return c.chunk(tail) && c.chunk_end() && ok;
    });
    origin_port = origin.port();
    configure(config(""), nullptr, KT_MODE_OBSERVE);
    Client k;
    size_t events_at_done = 99;
    k.at_body = [&] {
        if (k.text().find("[DONE]") != std::string::npos && events_at_done == 99)
            events_at_done = event_lines().size();
    };
    start(k, ask_stream());
    ASSERT_TRUE(k.wait_body("one"));
    first.open();
    ASSERT_TRUE(k.wait_over());
    on_loop([] {});
    EXPECT_TRUE(k.ended);
    EXPECT_EQ(k.body, head + tail);
    EXPECT_EQ(events_at_done, 1u);
    EXPECT_EQ(num(event(), "usage.total_tokens"), 6);
}

TEST_F(Stream, OriginsCutStaysACut)
{
    Server origin([&](Conn &c, const Request &) {
        return c.sse_head() && c.chunk(delta("one") + "data: {\"to") && false;
    });
    origin_port = origin.port();
    configure(config(""), nullptr, KT_MODE_OBSERVE);
    Client k;
    ask(k, ask_stream());
    EXPECT_TRUE(k.aborted);
    EXPECT_EQ(k.body, delta("one") + "data: {\"to");
    EXPECT_EQ(str(event(), "error"), "stream_interrupted");
}

TEST_F(Stream, OriginsHugeLineIsPassedOn)
{
    const std::string huge = "data: " + std::string(9 << 20, 'h') + "\n\n";
    Server origin([&](Conn &c, const Request &) {
        return c.sse_head() && c.chunk(huge) && c.chunk(kDone) && c.chunk_end();
    });
    origin_port = origin.port();
    configure(config(""), nullptr, KT_MODE_OBSERVE);
    Client k;
    ask(k, ask_stream());
    EXPECT_TRUE(k.ended);
    EXPECT_EQ(k.body, huge + kDone);
}

TEST_F(Stream, TheUsageThatWasAskedForComesWithoutDoneToo)
{
    const std::string stream = kRole + delta("fine") + delta("", "\"stop\"", kUsage) +
                               "data: {\"id\":\"c1\",\"choices\":[],\"usage\":{}}\n\n";
    for (bool again : {false, true}) {
        const std::string sent = again ? stream : stream.substr(0, stream.rfind("data: "));
        Server up([&](Conn &c, const Request &) { return c.sse_head() && c.chunk(sent) && c.chunk_end(); });
        openai_target(up);
        Client k;
        ask(k, ask_stream(",\"stream_options\":{\"include_usage\":true}"));
        EXPECT_EQ(k.body,
                  sent +
                      (again ? ""
                             : "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":7,"
                               "\"model\":\"m\",\"choices\":[]" +
                                   kUsage + "}\n\n") +
                      kDone);
        EXPECT_EQ(num(event(again), "usage.total_tokens"), 6) << "an empty one does not undo it";
    }
}

TEST_F(Stream, APictureOfSixMegabytesPasses)
{
    const std::string picture =
        "data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{\"images\":[{\"image_url\":{"
        "\"url\":\"data:image/png;base64," +
        std::string(6u << 20, 'A') + "\"}}]}}]}\n\n";
    const std::string stream = picture + delta("", "\"stop\"") + kDone;
    Server up([&](Conn &c, const Request &) { return c.sse_head() && c.chunk(stream) && c.chunk_end(); });
    openai_target(up);
    Client k, rewritten;
    ask(k, ask_stream());
    EXPECT_TRUE(k.body == stream) << k.body.size();
    one_target(up); // its chunks are written anew
    ask(rewritten, ask_stream());
    EXPECT_NE(rewritten.body.find("base64,AAAA"), std::string::npos);
    EXPECT_GT(rewritten.body.size(), 6u << 20);
    EXPECT_EQ(str(event(1), "attempts.0.outcome"), "ok");
}

TEST_F(Stream, ACompleteAnswerWithoutDoneGetsIt)
{
    const std::string stream = kRole + delta("fine") + delta("", "\"stop\"", kUsage);
    Server up([&](Conn &c, const Request &) { return c.sse_head() && c.chunk(stream) && c.chunk_end(); });
    openai_target(up);
    Client k;
    ask(k, ask_stream());
    EXPECT_EQ(k.body, stream + kDone);
}

} // namespace
