/* SPDX-License-Identifier: Apache-2.0 */
/* A key that a command prints: exchanges wait for it, the loop does not. */
#include "exchange_fixture.hpp"

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

} // namespace
