/* SPDX-License-Identifier: Apache-2.0 */
/* The name of a tool may come in pieces: what the firewall forbids and allows is what the client makes of
 * them, and nothing of a call goes on before that is known. */
#include "stream_client.hpp"

namespace {

using namespace stream_client;

std::string firewall(const std::string &options)
{
    return config("agent-firewall, audit-logger", "  agent-firewall: " + options + "\n  audit-logger: {}\n");
}

/* `members` of tool call `index`. */
std::string call(const std::string &members, unsigned index = 0)
{
    return event("{\"tool_calls\":[{\"index\":" + std::to_string(index) + "," + members + "}]}");
}

std::string name(const std::string &n)
{
    return "\"id\":\"a\",\"type\":\"function\",\"function\":{\"name\":\"" + n + "\"}";
}

std::string arguments(const std::string &a)
{
    return "\"function\":{\"arguments\":\"" + a + "\"}";
}

const std::string kBegin = event("{\"role\":\"assistant\",\"content\":null}"),
                  kEnd = event("{}", "\"tool_calls\"") + "data: [DONE]\n\n";

Seen run(Rig &rig, const std::string &inside)
{
    return rig.stream(Kind::Arguments, {kBegin + inside + kEnd});
}

void refused(Rig &rig, const std::string &inside, const std::string &never)
{
    Seen s = run(rig, inside);
    EXPECT_FALSE(s.whole) << s.body;
    EXPECT_EQ(s.body.find(never), std::string::npos) << s.body;
}

TEST(StreamTools, AForbiddenNameInPieces)
{
    Rig rig(firewall("{blocked_tools: [evil, \"rm*\", gogo]}"));
    ASSERT_TRUE(rig.good());
    refused(rig, call(name("ev")) + call("\"function\":{\"name\":\"il\",\"arguments\":\"{}\"}"), "\"ev\"");
    refused(rig, call(name("ev")) + call("\"function\":{\"name\":\"il\"}") + call(arguments("{}")), "\"ev\"");
    refused(rig, call(name("r")) + call(name("m_rf")), "\"r\"");
    refused(rig, call(name("e")) + call(name("v")) + call(name("i")) + call(name("l")), "\"e\"");
    refused(rig, call(name("go")) + call(arguments("{")) + call(name("go")), "nothing");
    refused(rig, call(name("x")) + call(name("evil")) + call(arguments("{}")), "\"evil\"");
    refused(rig,
            event("{\"function_call\":{\"name\":\"ev\"}}") +
                event("{\"function_call\":{\"name\":\"il\",\"arguments\":\"{}\"}}"),
            "\"ev\"");
    /* the second of two calls, whose pieces alternate */
    refused(rig, call(name("ls"), 0) + call(name("ev"), 1) + call(name("il"), 1), "\"ev\"");
}

TEST(StreamTools, AnAllowedNameInPieces)
{
    Rig rig(firewall("{allowed_tools: [get_it]}"));
    ASSERT_TRUE(rig.good());
    Seen s = run(rig, call(name("get")) + call("\"function\":{\"name\":\"_it\",\"arguments\":\"{}\"}"));
    EXPECT_TRUE(s.whole) << s.body;
    EXPECT_EQ(s.text, "{}");
    EXPECT_NE(s.body.find("\"get\""), std::string::npos);
    EXPECT_NE(s.body.find("\"_it\""), std::string::npos);
    EXPECT_LT(s.body.find("\"get\""), s.body.find("\"_it\""));
    /* no arguments at all: the end of the choice tells */
    EXPECT_TRUE(run(rig, call(name("get")) + call(name("_it"))).whole);
    /* an empty name in each later chunk, and a provider that says the whole name again */
    EXPECT_TRUE(run(rig, call(name("get_it")) + call(name("") + ",\"x\":1") + call(arguments("{}"))).whole);
    EXPECT_TRUE(run(rig, call("\"function\":{\"name\":\"get_it\",\"arguments\":\"{\"}") +
                             call("\"function\":{\"name\":\"get_it\",\"arguments\":\"}\"}"))
                    .whole);
    refused(rig, call(name("get")) + call(arguments("{}")), "\"get\"");
    refused(rig, call(name("get_it")) + call(name("s")) + call(arguments("{}")), "\"get_it\"");
}

TEST(StreamTools, PiecesAreOneCall)
{
    Rig rig(firewall("{max_actions_per_session: 1}"));
    ASSERT_TRUE(rig.good());
    EXPECT_TRUE(run(rig, call(name("g")) + call(name("o")) + call(arguments("{}"))).whole);
    EXPECT_FALSE(run(rig, call(name("g")) + call(name("o"), 1) + call(arguments("{}"), 1)).whole);
}

/* Who looks at no names, waits for none. */
TEST(StreamTools, NothingWaitsWithoutAFirewall)
{
    Rig rig(config("pii-detector, audit-logger", "  pii-detector: {}\n  audit-logger: {}\n"));
    ASSERT_TRUE(rig.good());
    EXPECT_TRUE(run(rig, call(name("get")) + call(name("_it")) + call(arguments("{}"))).whole);
}

/* A name without end is looked at, and refused, at its bound. */
TEST(StreamTools, ANameWithoutEnd)
{
    Rig rig(firewall("{blocked_tools: [evil]}"));
    ASSERT_TRUE(rig.good());
    std::string inside;
    for (int i = 0; i < 100; i++)
        inside += call(name(std::string(100, 'a')));
    refused(rig, inside, "\"aaa");
}

} // namespace
