/* SPDX-License-Identifier: Apache-2.0 */
/* Tools, targets, and what a policy's own failure means. */
#include "chain_fixture.hpp"

#include "policyengine/config/kt_config.h"

#include <gtest/gtest.h>

using namespace chain_test;

namespace {

kt_policy with_tool(const char *kind)
{
    kt_policy p = scripted(kind);
    p.tool = scripted_tool;
    return p;
}

} // namespace

TEST(ChainTool, IsShownToPoliciesThatLookAtTools)
{
    Chain c(0);
    c.add(scripted("texts"));
    c.add(with_tool("tools"));
    EXPECT_EQ(c.tool("read_file"), KT_STEP_DONE);
    EXPECT_EQ(c[0].seen.size(), 0u);
    ASSERT_EQ(c[1].seen.size(), 1u);
    EXPECT_EQ(c[1].seen[0], "tool:read_file");
    kt_outcome o = c.outcome();
    EXPECT_TRUE(o.policies[0].skipped) << "it saw nothing yet";
    EXPECT_FALSE(o.policies[1].skipped);
    EXPECT_GT(o.policies[1].time_ns, 0u);
    EXPECT_EQ(o.policies[1].bytes, 0u);
}

TEST(ChainTool, MayStopTheChainButNotRedact)
{
    Chain c(0);
    c.add(with_tool("a"));
    c.add(with_tool("b"));
    c[0].tool = [](const kt_tool *t, kt_sink *s) {
        if (kt_span_eq(t->name, "rm"))
            s->stop(s, KT_VERDICT_BLOCK, "agent.blocked_tool", -1, "no");
        if (kt_span_eq(t->name, "redact"))
            redact(s, 0, 1, "[X]");
        return KT_STEP_DONE;
    };
    EXPECT_EQ(c.tool("ls"), KT_STEP_DONE);
    EXPECT_EQ(c.tool("rm"), KT_STEP_DONE);
    EXPECT_TRUE(kt_chain_run_stopped(c.run()));
    EXPECT_EQ(c.tool("mv"), KT_STEP_DONE);
    EXPECT_EQ(c[0].seen.size(), 2u);
    EXPECT_EQ(c[1].seen.size(), 1u);
    EXPECT_STREQ(c.outcome().reason_code, "agent.blocked_tool");

    Chain d(0);
    d.add(with_tool("a"));
    d[0].tool = [](const kt_tool *, kt_sink *s) {
        redact(s, 0, 1, "[X]");
        return KT_STEP_DONE;
    };
    EXPECT_EQ(d.tool("redact"), KT_STEP_ERROR) << "a name is no text";
    EXPECT_TRUE(d.outcome().internal_error);
    EXPECT_EQ(d.redactions(), "");
}

TEST(ChainTool, MayBePending)
{
    Chain c(0);
    c.add(with_tool("a"));
    c.add(with_tool("b"));
    c[0].tool = [&](const kt_tool *, kt_sink *s) {
        s->external = &c[0].external;
        return KT_STEP_PENDING;
    };
    c[0].resume = [](int status, struct kt_span, kt_sink *) {
        EXPECT_EQ(status, 200);
        return KT_STEP_DONE;
    };
    EXPECT_EQ(c.tool("x"), KT_STEP_PENDING);
    EXPECT_EQ(kt_chain_run_external(c.run()), &c[0].external);
    kt_tool other{KT_TOOL_CALLED, 0, kt_span("y", 1), false};
    EXPECT_EQ(kt_chain_run_tool(c.run(), &other), KT_STEP_ERROR) << "one call at a time";
    EXPECT_EQ(c[1].seen.size(), 0u);
    EXPECT_EQ(kt_chain_run_resume(c.run(), 200, kt_span("", 0)), KT_STEP_DONE);
    ASSERT_EQ(c[1].seen.size(), 1u);
    EXPECT_EQ(c[1].seen[0], "tool:x");
}

TEST(ChainTool, APolicyOfToolsOnlyHoldsNoText)
{
    Chain c(0);
    kt_policy p = with_tool("tools");
    p.text = nullptr;
    c.add(p);
    EXPECT_TRUE(kt_chain_has_phase(c.chain(), KT_PHASE_RESPONSE));
    EXPECT_EQ(c.text("some words", 0, false), KT_STEP_DONE);
    EXPECT_EQ(kt_chain_run_hold_from(c.run(), 0), 10u);
}

/* ---- what a failure means ---- */

TEST(ChainError, FollowsThePolicysOwnSetting)
{
    const struct {
        int on_error;
        bool internal, blocks;
        kt_step step;
    } rows[] = {
        {KT_ON_ERROR_FAIL_MODE, true, false, KT_STEP_ERROR},
        {KT_ON_ERROR_BLOCK, false, true, KT_STEP_ERROR},
        {KT_ON_ERROR_ALLOW, false, false, KT_STEP_DONE},
    };
    for (const auto &row : rows) {
        Chain c(2);
        kt_chain_on_error(c.chain(), 0, row.on_error);
        c[0].text = [](const kt_text *, kt_sink *) { return KT_STEP_ERROR; };
        c[1].text = [](const kt_text *, kt_sink *s) {
            s->match(s, "seen");
            return KT_STEP_DONE;
        };
        EXPECT_EQ(c.text("abc"), row.step) << row.on_error;
        EXPECT_EQ(c.text("def", 0, true, 1), KT_STEP_DONE) << "the failed policy is out";
        EXPECT_EQ(c[0].seen.size(), 1u);
        kt_outcome o = c.outcome();
        EXPECT_EQ(o.internal_error, row.internal) << row.on_error;
        EXPECT_EQ(o.error_blocks, row.blocks) << row.on_error;
        EXPECT_TRUE(o.policies[0].failed);
        EXPECT_FALSE(o.policies[1].failed);
        EXPECT_EQ(o.policies[1].matches, 2u) << "the others go on";
    }
}

/* No policy saw the text: neither did the one that must not miss any. */
TEST(ChainError, TheChainsOwnFailureIsOneOfEveryPolicy)
{
    for (int on_error : {KT_ON_ERROR_FAIL_MODE, KT_ON_ERROR_BLOCK, KT_ON_ERROR_ALLOW}) {
        Chain c(2);
        kt_chain_on_error(c.chain(), 1, on_error);
        EXPECT_EQ(kt_chain_error_blocks(c.chain(), KT_PHASE_REQUEST), on_error == KT_ON_ERROR_BLOCK);
        EXPECT_EQ(c.text("one segment too many", 0, true, 4u << 20), KT_STEP_ERROR);
        kt_outcome o = c.outcome();
        EXPECT_TRUE(o.internal_error);
        EXPECT_EQ(o.error_blocks, on_error == KT_ON_ERROR_BLOCK);
        EXPECT_FALSE(o.failed_open);
        EXPECT_EQ(o.failed, nullptr);
        EXPECT_EQ(c[0].seen.size(), 0u);
    }
}

TEST(ChainError, TheStrictestOfThoseThatFailedIsNamed)
{
    const struct {
        int on_error[3];
        const char *named;
    } rows[] = {{{KT_ON_ERROR_ALLOW, KT_ON_ERROR_FAIL_MODE, KT_ON_ERROR_BLOCK}, "p2"},
                {{KT_ON_ERROR_ALLOW, KT_ON_ERROR_FAIL_MODE, KT_ON_ERROR_FAIL_MODE}, "p1"},
                {{KT_ON_ERROR_ALLOW, KT_ON_ERROR_ALLOW, KT_ON_ERROR_ALLOW}, "p0"}};
    for (const auto &row : rows) {
        Chain c(3);
        for (size_t i = 0; i < 3; i++) {
            kt_chain_on_error(c.chain(), i, row.on_error[i]);
            c[i].text = [](const kt_text *, kt_sink *) { return KT_STEP_ERROR; };
        }
        (void)c.text("x");
        EXPECT_STREQ(c.outcome().failed, row.named);
    }
}

TEST(ChainError, APolicyThatIsGivenUpHasFailed)
{
    Chain c(2);
    c[0].text = [&](const kt_text *, kt_sink *s) {
        s->external = &c[0].external;
        return KT_STEP_PENDING;
    };
    EXPECT_EQ(c.text("x"), KT_STEP_PENDING);
    EXPECT_EQ(kt_chain_run_give_up(c.run()), KT_STEP_ERROR);
    EXPECT_TRUE(c.outcome().policies[0].failed);
    EXPECT_EQ(c[1].seen.size(), 1u) << "the others go on";
    EXPECT_EQ(kt_chain_run_give_up(c.run()), KT_STEP_ERROR) << "nobody asks";
    EXPECT_EQ(kt_chain_run_pass_over(c.run()), KT_STEP_ERROR) << "nobody asks";
}

TEST(ChainError, ABrokenContractIsAFailureOfThatPolicy)
{
    Chain c(1);
    kt_chain_on_error(c.chain(), 0, KT_ON_ERROR_BLOCK);
    c[0].text = [](const kt_text *, kt_sink *s) {
        redact(s, 2, 99, "[X]");
        return KT_STEP_DONE;
    };
    EXPECT_EQ(c.text("abc"), KT_STEP_ERROR);
    EXPECT_TRUE(c.outcome().error_blocks);
}

TEST(ChainError, ComesFromTheConfig)
{
    kt_policy p = scripted("p0");
    Script s;
    s.text = [](const kt_text *, kt_sink *) { return KT_STEP_ERROR; };
    kt_chain_entry entry{};
    entry.policy = &p;
    entry.opts = &s;
    entry.on_internal_error = KT_ON_ERROR_ALLOW;
    kt_config config{};
    config.chain = &entry;
    config.chain_count = 1;
    kt_chain *chain = nullptr;
    kt_chain_run *run = nullptr;
    ASSERT_EQ(kt_chain_new(&config, &chain, nullptr).code, KT_OK);
    ASSERT_EQ(kt_chain_run_new(chain, KT_PHASE_REQUEST, false, nullptr, &run).code, KT_OK);
    kt_text t{0, KT_FROM_USER, "x", 1, 0, true, false, false};
    EXPECT_EQ(kt_chain_run_text(run, &t), KT_STEP_DONE);
    EXPECT_FALSE(kt_chain_run_outcome(run).internal_error);
    kt_chain_run_free(run);
    kt_chain_free(chain);
}

/* ---- targets ---- */

namespace {

bool no_training(const void *, void *, const kt_target *t, const char **reason)
{
    *reason = "routing.training";
    return t->data_policy.training_opt_out;
}

bool short_memory(const void *, void *, const kt_target *t, const char **reason)
{
    *reason = "routing.retention";
    return t->data_policy.retention_days == 0;
}

bool yes(const void *)
{
    return true;
}

bool no(const void *)
{
    return false;
}

} // namespace

TEST(ChainTargets, TheFirstPolicyThatRefusesIsNamed)
{
    Chain c(1);
    kt_policy a = scripted("a"), b = scripted("b");
    a.admits = no_training;
    b.admits = short_memory;
    c.add(a);
    c.add(b);
    kt_target t{};
    const char *reason = "untouched";
    EXPECT_FALSE(kt_chain_admits(c.chain(), &t, &reason));
    EXPECT_STREQ(reason, "routing.training");
    EXPECT_STREQ(kt_chain_refuser(c.chain(), &t, nullptr), "a");
    t.data_policy.training_opt_out = true;
    EXPECT_TRUE(kt_chain_admits(c.chain(), &t, &reason));
    t.data_policy.retention_days = 30;
    EXPECT_STREQ(kt_chain_refuser(c.chain(), &t, &reason), "b");
    EXPECT_STREQ(reason, "routing.retention");
}

TEST(ChainTargets, NoneLeftWarnsOnlyWhereAllThatRefuseWantIt)
{
    const struct {
        bool (*a)(const void *), (*b)(const void *);
        bool warns;
    } rows[] = {{yes, yes, true}, {yes, no, false}, {no, yes, false}, {nullptr, yes, false}};
    for (const auto &row : rows) {
        Chain c(1);
        kt_policy a = scripted("a"), b = scripted("b");
        a.admits = no_training;
        a.admits_none_warns = row.a;
        b.admits = short_memory;
        b.admits_none_warns = row.b;
        c.add(a);
        c.add(b);
        EXPECT_EQ(kt_chain_admits_none_warns(c.chain()), row.warns);
    }
    Chain none(1);
    EXPECT_FALSE(kt_chain_admits_none_warns(none.chain()));
}
