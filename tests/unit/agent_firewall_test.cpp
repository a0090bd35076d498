/* SPDX-License-Identifier: Apache-2.0 */
#include "configured_policy.hpp"

#include <gtest/gtest.h>

using policy_test::Configured;

namespace {

struct Told {
    enum kt_verdict verdict;
    std::string reason, message;
};

/* Shows tools in order: "name" is offered, "!name" called. */
Told tools(Configured &c, const std::vector<std::string> &names, enum kt_phase phase = KT_PHASE_REQUEST)
{
    kt_chain_run *r = nullptr;
    if (kt_chain_run_new(c.chain(), phase, false, nullptr, &r).code != KT_OK)
        abort();
    for (const std::string &n : names) {
        bool called = !n.empty() && n[0] == '!';
        std::vector<char> exact(n.begin() + called, n.end());
        exact.reserve(exact.size() + 1);
        kt_tool t{called ? KT_TOOL_CALLED : KT_TOOL_OFFERED, 0, {exact.data(), exact.size()}, false};
        EXPECT_EQ(kt_chain_run_tool(r, &t), KT_STEP_DONE);
    }
    EXPECT_EQ(kt_chain_run_end(r), KT_STEP_DONE);
    kt_outcome o = kt_chain_run_outcome(r);
    Told told{o.verdict, o.reason_code, o.message ? o.message : ""};
    kt_chain_run_free(r);
    return told;
}

} // namespace

TEST(AgentFirewall, NothingIsSaidNothingIsStopped)
{
    Configured c("agent-firewall", "{}");
    EXPECT_EQ(tools(c, {"a", "!b", std::string(100000, 'x'), ""}).verdict, KT_VERDICT_ALLOW);
}

TEST(AgentFirewall, AllowedOnly)
{
    Configured c("agent-firewall", "{allowed_tools: [search, 'code_*', 'get_?']}");
    EXPECT_EQ(tools(c, {"search", "code_run", "code_", "get_x", "!search"}).verdict, KT_VERDICT_ALLOW);
    for (std::string bad : {"Search", "searches", "xsearch", "code", "get_", "get_xy", ""}) {
        Told offered = tools(c, {"search", bad});
        EXPECT_EQ(offered.verdict, KT_VERDICT_BLOCK) << bad;
        EXPECT_EQ(offered.reason, "agent_firewall.tool_blocked");
        EXPECT_NE(offered.message.find("'" + bad + "'"), std::string::npos);
        EXPECT_NE(offered.message.find("offered"), std::string::npos);
        EXPECT_NE(tools(c, {"!" + bad}).message.find("called"), std::string::npos);
        EXPECT_EQ(tools(c, {"!" + bad}, KT_PHASE_RESPONSE).verdict, KT_VERDICT_BLOCK);
    }
}

TEST(AgentFirewall, BlockedWinsInAnyCase)
{
    Configured c("agent-firewall", "{allowed_tools: ['*'], blocked_tools: [delete_file, '*_admin', 'rm*']}");
    EXPECT_EQ(tools(c, {"read_file", "admin_x", "arm"}).verdict, KT_VERDICT_ALLOW);
    for (std::string bad : {"delete_file", "DELETE_File", "user_admin", "rm", "RM_all"})
        EXPECT_EQ(tools(c, {bad}).verdict, KT_VERDICT_BLOCK) << bad;
}

TEST(AgentFirewall, DisguisedNamesAreRead)
{
    Configured c("agent-firewall", "{allowed_tools: ['code_*'], blocked_tools: ['code_exec*']}");
    for (std::string bad : {"code_\u200bexec", "code_ex\u00adec", "code_\uff45xec_now", "c\u043ede_exec"})
        EXPECT_EQ(tools(c, {bad}).verdict, KT_VERDICT_BLOCK) << bad;
    EXPECT_EQ(tools(c, {"code_run"}).verdict, KT_VERDICT_ALLOW);
}

TEST(AgentFirewall, CountsCalls)
{
    Configured c("agent-firewall", "{max_actions_per_session: 2}");
    EXPECT_EQ(tools(c, {"a", "b", "c", "d", "!a", "!a"}).verdict, KT_VERDICT_ALLOW);
    Told told = tools(c, {"!a", "!b", "!c"});
    EXPECT_EQ(told.verdict, KT_VERDICT_BLOCK);
    EXPECT_EQ(told.reason, "agent_firewall.max_actions");
    EXPECT_EQ(tools(c, {"!a", "!b", "!c"}, KT_PHASE_RESPONSE).verdict, KT_VERDICT_BLOCK);
}

TEST(AgentFirewall, Escalates)
{
    Configured c("agent-firewall", "{blocked_tools: [x], action: escalate}");
    EXPECT_EQ(tools(c, {"x"}).verdict, KT_VERDICT_ESCALATE);
}

TEST(AgentFirewall, HostileNames)
{
    Configured c("agent-firewall", "{blocked_tools: ['*a*a*a*a*a*a*a*a*b', 'x*'], allowed_tools: ['*']}");
    EXPECT_EQ(tools(c, {std::string(256, 'a')}).verdict, KT_VERDICT_ALLOW);
    Told huge = tools(c, {std::string(1 << 20, 'a')});
    EXPECT_EQ(huge.verdict, KT_VERDICT_BLOCK);
    EXPECT_LT(huge.message.size(), 200u);
    Told odd = tools(c, {std::string("x'\n\x01\0\xff", 6)});
    EXPECT_NE(odd.message.find("'x\?\?\?\?\?'"), std::string::npos) << odd.message;
}

TEST(AgentFirewall, OptionsAreChecked)
{
    EXPECT_NE(Configured("agent-firewall", "{blocked_tools: ['']}").error().find("blocked_tools[0]"),
              std::string::npos);
    EXPECT_NE(Configured("agent-firewall", "{allowed_tools: [a, '" + std::string(300, 'a') + "']}")
                  .error()
                  .find("allowed_tools[1]"),
              std::string::npos);
    EXPECT_NE(Configured("agent-firewall", "{rate_limits: {x: 1}}").error().find("E007"), std::string::npos);
    EXPECT_NE(Configured("agent-firewall", "{max_actions_per_session: -1}").error(), "");
}
