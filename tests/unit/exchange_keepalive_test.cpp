/* SPDX-License-Identifier: Apache-2.0 */
/* A client that waits long: comments in front of the first content, and what follows from an early head. */
#include "exchange_sse.hpp"

namespace {

using namespace fake;

class KeepAlive : public StreamTest {};

/* Every target has one try. */
std::string once(const std::string &targets, const std::string &more)
{
    std::string text = config(targets, more);
    text.insert(text.find("  strategy:"), "  retry: {max_attempts: 1}\n");
    return text;
}

TEST_F(KeepAlive, CommentsKeepAWaitingClient)
{
    Gate go, more;
    Server up([&](Conn &c, const Request &) {
        bool ok = go.wait() && c.sse_head() && c.chunk(kRole + delta("one"));
        return ok && more.wait() && c.chunk(delta("", "\"stop\"") + kDone) && c.chunk_end();
    });
    configure(config(target("a", up.port(), "KT_TEST_KEY_A"),
                     "limits: {first_keepalive_seconds: 1, keepalive_seconds: 1}\n"));
    Client k;
    start(k, ask_stream());
    ASSERT_TRUE(k.wait_body(": keep-alive\n\n"));
    EXPECT_EQ(k.status, 200);
    EXPECT_EQ(k.headers["content-type"], "text/event-stream; charset=utf-8");
    EXPECT_EQ(k.headers.count("x-kt-target"), 0u) << "nobody has answered yet";
    go.open();
    ASSERT_TRUE(k.wait_body("one\"},\"finish_reason\":null}]}\n\n: keep-alive\n\n"));
    more.open();
    ASSERT_TRUE(k.wait_over());
    on_loop([] {});
    EXPECT_TRUE(k.ended);
    std::string body = k.body, note = ": keep-alive\n\n";
    for (size_t i; (i = body.find(note)) != std::string::npos;)
        body.erase(i, note.size());
    EXPECT_EQ(body, kRole + delta("one") + delta("", "\"stop\"") + kDone);
}

TEST_F(KeepAlive, BehindAnEarlyHeadTargetsAreTriedAndAFailureIsAnEvent)
{
    Gate go;
    Server slow([&](Conn &c, const Request &) {
        go.wait();
        return c.reply(500, "application/json", "{\n\"error\":\n{}}");
    });
    Server refuses([&](Conn &c, const Request &) {
        return c.reply(422, "application/json", "{\"object\":\"error\",\n\"message\":\"no\"}");
    });
    Server second(good);
    const std::string limits = "limits: {first_keepalive_seconds: 1, keepalive_seconds: 0}\n";
    configure(once(target("a", slow.port(), "KT_TEST_KEY_A") + target("b", second.port(), "KT_TEST_KEY_B"),
                   limits));
    Client k;
    start(k, ask_stream());
    ASSERT_TRUE(k.wait_body(": keep-alive"));
    go.open();
    ASSERT_TRUE(k.wait_over());
    on_loop([] {});
    EXPECT_EQ(k.body, ": keep-alive\n\n" + kRole + delta("fine") + delta("", "\"stop\"", kUsage) + kDone);
    EXPECT_EQ(str(event(), "target"), "b");
    EXPECT_EQ(str(event(), "interruption"), "");
    go.close();
    configure(once(target("a", slow.port(), "KT_TEST_KEY_A") + target("b", refuses.port(), "KT_TEST_KEY_B"),
                   limits));
    Client bad;
    start(bad, ask_stream());
    ASSERT_TRUE(bad.wait_body(": keep-alive"));
    go.open();
    ASSERT_TRUE(bad.wait_over());
    on_loop([] {});
    EXPECT_TRUE(bad.ended);
    const size_t at = bad.body.find("data: ");
    ASSERT_NE(at, std::string::npos);
    EXPECT_EQ(bad.body.find('\n', at), bad.body.size() - 2) << "one event of one line: " << bad.body;
    EXPECT_EQ(str(parse(bad.body.substr(at + 6)), "error.message"), "no") << bad.body;
    EXPECT_EQ(num(event(1), "status"), 200);
    EXPECT_EQ(str(event(1), "interruption"), "no_answer");
    EXPECT_EQ(num(event(1), "chunks"), 0);
}

TEST_F(KeepAlive, NoEarlyHeadForWhoeverDoesNotStream)
{
    Gate go;
    Server slow([&](Conn &c, const Request &) {
        go.wait();
        return c.reply(500, "application/json", "{}");
    });
    configure(once(target("a", slow.port(), "KT_TEST_KEY_A", "", "      timeout_seconds: 2\n"),
                   "limits: {first_keepalive_seconds: 1, keepalive_seconds: 1}\n"));
    Client k, stream;
    ask(k, post(chat("hello")));
    EXPECT_EQ(k.status, 502) << "the status is known still";
    go.open();
}

} // namespace
