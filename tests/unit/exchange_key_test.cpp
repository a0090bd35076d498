/* SPDX-License-Identifier: Apache-2.0 */
/* A key that a command prints: exchanges wait for it, the loop does not. */
#include "exchange_filter.hpp"

using namespace fake;

namespace {

class ExchangeKey : public ExchangeTest {
  protected:
    /* Prints the key once the gate is there, and leaves a line for every run. */
    std::string command() const
    {
        return "echo ran >>" + dir + "/runs; until [ -e " + dir +
               "/gate ]; do sleep 0.01; done; echo sk-command";
    }
    void open_gate() const
    {
        std::ofstream(dir + "/gate") << "x";
    }
    std::string runs() const
    {
        std::ifstream in(dir + "/runs");
        return std::string(std::istreambuf_iterator<char>(in), {});
    }
    void one_target(const Server &up)
    {
        std::string text = config(target("a", up.port(), "KT_TEST_KEY_A"));
        std::string ref = "env: KT_TEST_KEY_A";
        configure(text.replace(text.find(ref), ref.size(), "command: '" + command() + "'"));
    }
};

TEST_F(ExchangeKey, TheLoopGoesOnWhileTheCommandRuns)
{
    Server up([](Conn &c, const Request &) { return c.reply(200, "application/json", kAnswer); });
    one_target(up);
    Client first, second;
    start(first, post(chat("x")));
    start(second, post(chat("y")));
    for (int i = 0; i < 20; i++)
        on_loop([] {}); /* every one of them comes through */
    EXPECT_FALSE(first.over() || second.over());
    EXPECT_EQ(up.requests().size(), 0u);
    open_gate();
    ASSERT_TRUE(first.wait_over() && second.wait_over());
    EXPECT_EQ(first.status, 200);
    EXPECT_EQ(second.status, 200);
    Client third;
    ask(third, post(chat("z")));
    EXPECT_EQ(third.status, 200);
    EXPECT_EQ(runs(), "ran\n") << "once for all of them";
    for (const Request &r : up.requests())
        EXPECT_EQ(r.header("authorization"), "Bearer sk-command");
}

TEST_F(ExchangeKey, ClientGoneWhileTheCommandRuns)
{
    Server up([](Conn &c, const Request &) { return c.reply(200, "application/json", kAnswer); });
    one_target(up);
    Client k;
    start(k, post(chat("x")));
    on_loop([&] { kt_exchange_client_gone(k.x); });
    EXPECT_EQ(str(event(), "error"), "client_gone");
    open_gate();
    Client after;
    ask(after, post(chat("y")));
    EXPECT_EQ(after.status, 200);
    EXPECT_FALSE(k.over()) << "no slot is called any more";
    EXPECT_EQ(up.requests().size(), 1u);
}

TEST_F(ExchangeKey, ACommandThatFailsIsAMissingKey)
{
    Server up([](Conn &c, const Request &) { return c.reply(200, "application/json", kAnswer); });
    std::string text =
        config(target("a", up.port(), "KT_TEST_KEY_A") + target("b", up.port(), "KT_TEST_KEY_B"));
    std::string ref = "env: KT_TEST_KEY_A";
    configure(text.replace(text.find(ref), ref.size(), "command: 'exit 3'"));
    Client k;
    ask(k, post(chat("x")));
    EXPECT_EQ(k.status, 200);
    ASSERT_EQ(up.requests().size(), 1u);
    EXPECT_EQ(up.requests()[0].header("authorization"), "Bearer sk-target-b");
}

/* ---- a provider that quotes the key ---- */

class QuotedKey : public StreamTest {
  protected:
    static std::string error(const std::string &key)
    {
        return R"({"error":{"message":"Incorrect API key provided: )" + key +
               R"(.","type":"invalid_request_error","code":"invalid_api_key"}})";
    }
    // Nothing of it is in what the client got, nor in the log.
    void expect_no_key(const Client &k)
    {
        for (const std::string part : {"sk-target", "target-a", "get\\u002d", "%2dtarget"}) {
            EXPECT_EQ(k.body.find(part), std::string::npos) << part << ": " << k.body;
            for (const std::string &line : event_lines())
                EXPECT_EQ(line.find(part), std::string::npos) << line;
        }
        for (const auto &[name, value] : k.headers)
            EXPECT_EQ(value.find("sk-target"), std::string::npos) << name;
    }
};

TEST_F(QuotedKey, IsStarsInARefusalHoweverItIsSpelled)
{
    for (const std::string key : {"sk-target-a", "Bearer sk-target-a", "\\u0073k-t\\u0061rget\\u002da",
                                  "sk%2dtarget%2Da", "sk-\\u002dsk-target-a", "sk-tarsk-target-a"}) {
        Server up([&](Conn &c, const Request &) {
            return c.reply(401, "application/json", error(key), "X-Request-Id: r-sk-target-a\r\n");
        });
        one_target(up);
        Client k;
        ask(k, post(chat("x")));
        EXPECT_EQ(k.status, 401);
        expect_no_key(k);
        EXPECT_EQ(str(parse(k.body), "error.code"), "invalid_api_key");
        EXPECT_NE(str(parse(k.body), "error.message").find("Incorrect API key provided: "),
                  std::string::npos);
        EXPECT_NE(k.body.find("***********"), std::string::npos) << k.body;
    }
}

TEST_F(QuotedKey, OfAnotherTargetOrTooShortToBeOneStays)
{
    setenv("KT_TEST_KEY_A", "EMPTY", 1);
    Server up([&](Conn &c, const Request &) {
        return c.reply(401, "application/json", error("EMPTY sk-target-b"));
    });
    one_target(up);
    Client k;
    ask(k, post(chat("x")));
    EXPECT_EQ(str(parse(k.body), "error.message"), "Incorrect API key provided: EMPTY sk-target-b.");
}

TEST_F(QuotedKey, IsStarsInAnErrorEvent)
{
    std::string stream = kRole + delta("so far") + "data: " + error("sk-target-a") + "\n\n";
    Server up(
        [&](Conn &c, const Request &) { return c.sse_head() && c.chunk(stream + kDone) && c.chunk_end(); });
    std::string expected = stream;
    expected.replace(expected.find("sk-target-a"), 11, "***********");
    openai_target(up); /* bytes as they came */
    Client raw, written;
    ask(raw, ask_stream());
    EXPECT_EQ(raw.body, expected);
    expect_no_key(raw);
    configure(config(target("a", up.port(), "KT_TEST_KEY_A", "m")), guard());
    ask(written, ask_stream());
    EXPECT_NE(written.body.find("provided: ***********."), std::string::npos) << written.body;
    expect_no_key(written);
}

} // namespace
