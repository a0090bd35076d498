/* SPDX-License-Identifier: Apache-2.0 */
/* Answers that come packed: whole ones are read, one that ends in the middle is never taken for whole. */
#include "exchange_sse.hpp"
#include "exchange_words.hpp"
#include "gzip.hpp"

namespace {

using namespace fake;

class StreamCoding : public StreamTest {};

std::string packed_head(const std::string &coding, const std::string &type = "text/event-stream")
{
    return "HTTP/1.1 200 OK\r\nContent-Type: " + type + "\r\nContent-Encoding: " + coding +
           "\r\nTransfer-Encoding: chunked\r\n\r\n";
}

TEST_F(StreamCoding, AStreamInGzipIsRead)
{
    const std::string parts[] = {kRole, delta("packed") + delta("", "\"stop\"", kUsage), kDone};
    const std::string whole = parts[0] + parts[1] + parts[2];
    const std::string packed = gzip(parts[0]) + gzip(parts[1]) + gzip("") + gzip(parts[2]);
    std::atomic<size_t> cut{0};
    Server up([&](Conn &c, const Request &) {
        return c.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Encoding: gzip\r\n"
                      "Transfer-Encoding: chunked\r\n\r\n") &&
               c.chunk(packed.substr(0, cut)) && c.chunk(packed.substr(cut)) && c.chunk_end();
    });
    one_target(up);
    for (cut = 1; cut < packed.size(); cut += 7) {
        Client k;
        ask(k, ask_stream());
        ASSERT_TRUE(k.ended);
        ASSERT_EQ(k.body, whole) << "in the clear, whatever the cut: " << cut;
        ASSERT_EQ(k.headers.count("Content-Encoding") + k.headers.count("content-encoding"), 0u);
    }
}

// The framing of HTTP is whole in all of them.
TEST_F(StreamCoding, OneThatEndsInTheMiddleFallsBackOrIsAnErrorEvent)
{
    const std::string text = kRole + delta("begun") + delta("", "\"stop\"", kUsage);
    Server second(good);
    size_t n = 0;
    for (const auto &[coding, window] : std::map<std::string, int>{{"gzip", 15 + 16}, {"deflate", 15}}) {
        const std::string role = packed(kRole, window), all = packed(text, window);
        Text sent{""};
        Server up([&, c = coding](Conn &k, const Request &) {
            return k.send(packed_head(c)) && k.chunk(sent) && k.chunk_end();
        });
        two_targets(up.port(), second.port());
        sent = role.substr(0, role.size() - 3);
        Client before;
        ask(before, ask_stream());
        EXPECT_EQ(before.headers["x-kt-target"], "b") << coding;
        EXPECT_EQ(str(event(n++), "attempts.0.outcome"), "connection_error") << coding;
        sent = all.substr(0, all.size() - 3);
        Client behind;
        ask(behind, ask_stream());
        EXPECT_EQ(behind.headers["x-kt-target"], "a") << coding;
        EXPECT_EQ(behind.body.substr(0, kRole.size()), kRole);
        EXPECT_EQ(behind.body.find("[DONE]"), std::string::npos);
        const std::string last = behind.body.substr(behind.body.rfind("data: ") + 6);
        EXPECT_EQ(str(parse(last), "error.code"), "stream_interrupted") << behind.body;
        EXPECT_NE(last.find("the " + coding + " data of the answer end in the middle"), std::string::npos);
        EXPECT_EQ(str(event(n++), "interruption"), "cut");
        sent = all + "garbage";
        Client garbage;
        ask(garbage, ask_stream());
        EXPECT_EQ(garbage.body, text + kDone) << "behind the end anything may stand";
        n++;
    }
}

TEST_F(StreamCoding, AWholeAnswerThatEndsInTheMiddleIsNoAnswer)
{
    Server second(answer);
    for (const auto &[coding, window] : std::map<std::string, int>{{"gzip", 15 + 16}, {"deflate", 15}}) {
        const std::string all = packed(kAnswer, window);
        Server up([&, c = coding](Conn &k, const Request &) {
            return k.send(packed_head(c, "application/json")) && k.chunk(all.substr(0, all.size() - 1)) &&
                   k.chunk_end();
        });
        two_targets(up.port(), second.port());
        Client k;
        ask(k, post(chat("hello")));
        EXPECT_EQ(k.headers["x-kt-target"], "b") << coding;
        EXPECT_EQ(k.body, kAnswer);
        one_target(up);
        Client alone;
        ask(alone, post(chat("hello")));
        EXPECT_EQ(alone.status, 502);
        EXPECT_NE(str(parse(alone.body), "error.message")
                      .find("the " + coding + " data of the answer end in the middle"),
                  std::string::npos)
            << alone.body;
    }
}

} // namespace
