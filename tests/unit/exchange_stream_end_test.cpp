/* SPDX-License-Identifier: Apache-2.0 */
#include "exchange_sse.hpp"

namespace {

using namespace fake;

class StreamEnd : public StreamTest {};

TEST_F(StreamEnd, AnErrorEventIsAFailureWhateverFollows)
{
    const std::string error = "data: {\"error\":{\"message\":\"gone\",\"code\":\"x\"}}\n\n";
    Server up([&](Conn &c, const Request &) {
        return c.sse_head() && c.chunk(delta("a") + error + delta("", "\"stop\"") + kDone) && c.chunk_end();
    });
    for (size_t n = 0; n < 2; n++) {
        n ? openai_target(up) : one_target(up);
        Client k;
        ask(k, ask_stream());
        EXPECT_EQ(k.body.substr(0, delta("a").size() + error.size()), delta("a") + error);
        EXPECT_EQ(k.body.find("[DONE]"), std::string::npos);
        EXPECT_EQ(str(event(n), "attempts.0.outcome"), "server_error");
        EXPECT_EQ(str(event(n), "attempts.0.detail"), "an error event in the answer");
        EXPECT_EQ(str(event(n), "interruption"), "provider_error");
    }
}

TEST_F(StreamEnd, WhatIsNoErrorEndsNothing)
{
    const std::string one = delta("a") +
                            "data: {\"error\":null,\"choices\":[]}\n\ndata: "
                            "{\"error\":\"\",\"choices\":[]}\n\n" +
                            "event: ping\ndata: {\"type\":\"ping\"}\n\n" + delta("b", "\"stop\"") +
                            "data: [DONE] \n\n";
    const std::string usage =
        "data: {\"id\":\"c1\",\"choices\":[],\"usage\":{\"total_tokens\":1}}\n\n" + kDone;
    const std::string streams[] = {one, usage};
    std::atomic<size_t> n{0};
    Server up([&](Conn &c, const Request &) { return c.sse_head() && c.chunk(streams[n]) && c.chunk_end(); });
    openai_target(up);
    for (const std::string &s : streams) {
        Client k;
        ask(k, ask_stream());
        EXPECT_EQ(k.body, s) << "as it came";
        EXPECT_EQ(str(event(n++), "attempts.0.outcome"), "ok");
    }
}

TEST_F(StreamEnd, UsageOfATextCompletion)
{
    Server up([](Conn &c, const Request &) {
        return c.sse_head() && c.chunk(delta("x = 1") + delta("", "\"stop\"", kUsage) + kDone) &&
               c.chunk_end();
    });
    one_target(up);
    Client k;
    ask(k, post("{\"prompt\":\"p\",\"stream\":true,\"stream_options\":{\"include_usage\":true}}", "",
                "/v1/completions"));
    EXPECT_NE(k.body.find("\"object\":\"text_completion\",\"created\":7,\"model\":\"m\",\"choices\":[],"),
              std::string::npos);
    EXPECT_EQ(k.body.find("chat.completion"), std::string::npos) << k.body;
}

TEST_F(StreamEnd, UsageOnSeveralLinesIsGivenOnOne)
{
    Server up([](Conn &c, const Request &) {
        return c.sse_head() &&
               c.chunk(delta("hi") +
                       "data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":"
                       "\"stop\"}],\ndata: \"usage\":{\ndata: \"total_tokens\": 6}}\n\n" +
                       kDone) &&
               c.chunk_end();
    });
    one_target(up);
    Client k;
    ask(k, ask_stream(",\"stream_options\":{\"include_usage\":true}"));
    EXPECT_NE(k.body.find("\"choices\":[],\"usage\":{ \"total_tokens\": 6}}\n\n" + kDone), std::string::npos)
        << k.body;
}

} // namespace
