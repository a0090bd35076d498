/* SPDX-License-Identifier: Apache-2.0 */
#include "chain_fixture.hpp"

#include "policyengine/config/kt_config.h"

#include <gtest/gtest.h>

using namespace chain_test;

TEST(Chain, RunsInOrderAndMeters)
{
    Chain c(2);
    std::string order;
    c[0].text = [&](const kt_text *, kt_sink *s) {
        order += "0";
        s->match(s, "a");
        s->match(s, "a");
        s->match(s, "b");
        s->score(s, 0.25);
        s->score(s, 0.125);
        return KT_STEP_DONE;
    };
    c[1].text = [&](const kt_text *, kt_sink *) {
        order += "1";
        return KT_STEP_DONE;
    };
    EXPECT_EQ(c.text("hello", 0, true, 0), KT_STEP_DONE);
    EXPECT_EQ(c.text("world!", 0, true, 1), KT_STEP_DONE);
    EXPECT_EQ(kt_chain_run_end(c.run()), KT_STEP_DONE);
    EXPECT_EQ(order, "0101");
    kt_outcome o = c.outcome();
    ASSERT_EQ(o.policy_count, 2u);
    EXPECT_EQ(o.verdict, KT_VERDICT_ALLOW);
    EXPECT_STREQ(o.reason_code, "test.redacted");
    EXPECT_EQ(o.policy, nullptr);
    EXPECT_EQ(o.policies[0].bytes, 11u);
    EXPECT_EQ(o.policies[0].matches, 6u);
    ASSERT_EQ(o.policies[0].labels_used, 2u);
    EXPECT_STREQ(o.policies[0].labels[0], "a");
    EXPECT_EQ(o.policies[0].label_count[0], 4u);
    EXPECT_EQ(o.policies[0].label_count[1], 2u);
    EXPECT_DOUBLE_EQ(o.policies[0].score, 0.25);
    EXPECT_LT(o.policies[1].score, 0);
    EXPECT_GT(o.policies[0].time_ns, 0u);
    EXPECT_EQ(c[0].opened, 1);
}

TEST(Chain, BlockStopsEverythingBehindIt)
{
    Chain c(3);
    c[1].text = [](const kt_text *, kt_sink *s) {
        s->stop(s, KT_VERDICT_BLOCK, "test.blocked", 0.9, "no");
        s->stop(s, KT_VERDICT_ESCALATE, "test.late", 0.1, "late"); /* the first one stands */
        return KT_STEP_DONE;
    };
    EXPECT_EQ(c.text("x"), KT_STEP_DONE);
    EXPECT_TRUE(kt_chain_run_stopped(c.run()));
    EXPECT_EQ(c.text("y", 0, true, 1), KT_STEP_DONE);
    EXPECT_EQ(kt_chain_run_end(c.run()), KT_STEP_DONE);
    EXPECT_EQ(c[0].seen.size(), 1u);
    EXPECT_EQ(c[2].seen.size(), 0u);
    kt_outcome o = c.outcome();
    EXPECT_EQ(o.verdict, KT_VERDICT_BLOCK);
    EXPECT_STREQ(o.policy, "p1");
    EXPECT_STREQ(o.reason_code, "test.blocked");
    EXPECT_STREQ(o.message, "no");
    EXPECT_FALSE(o.policies[0].skipped);
    EXPECT_FALSE(o.policies[1].skipped);
    EXPECT_TRUE(o.policies[2].skipped);
}

TEST(Chain, DryRunChangesAndBlocksNothing)
{
    Chain c(2);
    c[0].text = [](const kt_text *, kt_sink *s) {
        redact(s, 0, 1, "[X]");
        s->stop(s, KT_VERDICT_BLOCK, "test.blocked", -1, "no");
        return KT_STEP_DONE;
    };
    ASSERT_NE(c.run(true), nullptr);
    EXPECT_EQ(c.text("abc"), KT_STEP_DONE);
    EXPECT_FALSE(kt_chain_run_stopped(c.run()));
    EXPECT_EQ(c.text("def", 0, true, 1), KT_STEP_DONE);
    EXPECT_EQ(c[1].seen.size(), 2u) << "later policies still tell what they see";
    EXPECT_EQ(c[0].seen.size(), 1u) << "who has decided is not asked again";
    EXPECT_EQ(c.redactions(), "");
    kt_outcome o = c.outcome();
    EXPECT_EQ(o.verdict, KT_VERDICT_ALLOW);
    EXPECT_EQ(o.would, KT_VERDICT_BLOCK);
    EXPECT_STREQ(o.policy, "p0");
}

TEST(Chain, RedactVerdictNamesTheFirstPolicyThatRedacted)
{
    Chain c(2);
    c[1].text = [](const kt_text *, kt_sink *s) {
        redact(s, 0, 2, "[X]", "x");
        return KT_STEP_DONE;
    };
    EXPECT_EQ(c.text("abc"), KT_STEP_DONE);
    kt_outcome o = c.outcome();
    EXPECT_EQ(o.verdict, KT_VERDICT_REDACT);
    EXPECT_STREQ(o.policy, "p1");
    EXPECT_STREQ(o.reason_code, "test.redacted");
    EXPECT_EQ(o.policies[1].matches, 1u);
    EXPECT_STREQ(o.policies[1].labels[0], "x");
}

TEST(Chain, PhasesAreKeptApart)
{
    Chain c(0);
    c.add(scripted("request-only", KT_PHASE_REQUEST));
    c.add(scripted("response-only", KT_PHASE_RESPONSE));
    EXPECT_TRUE(kt_chain_has_phase(c.chain(), KT_PHASE_REQUEST));
    ASSERT_NE(c.run(false, KT_PHASE_RESPONSE), nullptr);
    EXPECT_EQ(c.text("x"), KT_STEP_DONE);
    EXPECT_EQ(c[0].opened, 0);
    EXPECT_EQ(c[1].seen.size(), 1u);
    kt_outcome o = c.outcome();
    ASSERT_EQ(o.policy_count, 1u);
    EXPECT_STREQ(o.policies[0].kind, "response-only");
}

TEST(Chain, EmptyChainAllows)
{
    Chain c(0);
    EXPECT_FALSE(kt_chain_has_phase(c.chain(), KT_PHASE_REQUEST));
    EXPECT_EQ(c.text("x"), KT_STEP_DONE);
    EXPECT_EQ(kt_chain_run_end(c.run()), KT_STEP_DONE);
    EXPECT_EQ(c.outcome().verdict, KT_VERDICT_ALLOW);
    EXPECT_EQ(kt_chain_run_hold_from(c.run(), 0), 1u);
    EXPECT_TRUE(c.outcome().log_all_access);
    EXPECT_FALSE(c.outcome().immutable);
}

TEST(Chain, AnErrorIsReportedOnceAndTheOthersGoOn)
{
    Chain c(2);
    c[0].text = [](const kt_text *, kt_sink *) { return KT_STEP_ERROR; };
    c[1].text = [](const kt_text *, kt_sink *s) {
        s->stop(s, KT_VERDICT_BLOCK, "test.blocked", -1, "no");
        return KT_STEP_DONE;
    };
    EXPECT_EQ(c.text("x"), KT_STEP_ERROR);
    EXPECT_TRUE(c.outcome().internal_error);
    EXPECT_EQ(c.outcome().verdict, KT_VERDICT_BLOCK);
    EXPECT_EQ(kt_chain_run_end(c.run()), KT_STEP_DONE);
}

TEST(Chain, ContractBreaksCountAsErrors)
{
    struct Case {
        const char *name;
        std::function<void(kt_sink *)> does;
    } cases[] = {
        {"behind the window", [](kt_sink *s) { redact(s, 1, 99, "x"); }},
        {"backwards", [](kt_sink *s) { redact(s, 3, 1, "x"); }},
        {"stop with allow", [](kt_sink *s) { s->stop(s, KT_VERDICT_ALLOW, "x", -1, "x"); }},
    };
    for (auto &k : cases) {
        Chain c(1);
        c[0].text = [&](const kt_text *, kt_sink *s) {
            k.does(s);
            return KT_STEP_DONE;
        };
        EXPECT_EQ(c.text("hello"), KT_STEP_ERROR) << k.name;
        EXPECT_TRUE(c.outcome().internal_error) << k.name;
        EXPECT_EQ(c.redactions(), "") << k.name;
    }
    Chain c(1);
    c[0].end = [](kt_sink *s) {
        redact(s, 0, 1, "x");
        return KT_STEP_DONE;
    };
    EXPECT_EQ(c.text("hello"), KT_STEP_DONE);
    EXPECT_EQ(kt_chain_run_end(c.run()), KT_STEP_ERROR) << "a redaction needs a segment";
}

TEST(Chain, StatesCloseWithTheRun)
{
    Chain c(1);
    kt_chain_run *r = nullptr;
    ASSERT_EQ(kt_chain_run_new(c.chain(), KT_PHASE_REQUEST, false, nullptr, &r).code, KT_OK);
    kt_chain_run_free(r);
    EXPECT_EQ(c[0].opened, 1);
    EXPECT_EQ(c[0].closed, 1);
}

TEST(Chain, APolicyThatCannotStartHasFailed)
{
    Chain c(1);
    kt_policy bad = scripted("bad");
    bad.open = [](const void *, void *, enum kt_phase, void **) { return kt_err(KT_ERR_MEMORY); };
    c.add(bad);
    const struct {
        int on_error;
        kt_step first;
        bool internal, blocks, open;
    } rows[] = {{KT_ON_ERROR_FAIL_MODE, KT_STEP_ERROR, true, false, false},
                {KT_ON_ERROR_BLOCK, KT_STEP_ERROR, false, true, false},
                {KT_ON_ERROR_ALLOW, KT_STEP_DONE, false, false, true}};
    for (const auto &row : rows) {
        kt_chain_on_error(c.chain(), 1, row.on_error);
        c[0].closed = 0;
        kt_chain_run *r = nullptr;
        ASSERT_EQ(kt_chain_run_new(c.chain(), KT_PHASE_REQUEST, false, nullptr, &r).code, KT_OK);
        kt_text t{0, KT_FROM_USER, "x", 1, 0, true, false, false};
        EXPECT_EQ(kt_chain_run_text(r, &t), row.first) << "whoever lets text go must hear it at once";
        EXPECT_EQ(kt_chain_run_text(r, &t), KT_STEP_DONE);
        kt_outcome o = kt_chain_run_outcome(r);
        EXPECT_EQ(o.internal_error, row.internal);
        EXPECT_EQ(o.error_blocks, row.blocks);
        EXPECT_EQ(o.failed_open, row.open);
        EXPECT_STREQ(o.failed, "bad");
        EXPECT_STREQ(kt_policy_result_word(&o.policies[1]), "error");
        kt_chain_run_free(r);
        EXPECT_EQ(c[0].closed, 1);
    }
    EXPECT_EQ(c[1].seen.size(), 0u);
}

TEST(Chain, FailingInitRunsFiniOfThoseBefore)
{
    static int fini;
    fini = 0;
    kt_policy good = scripted("good"), bad = scripted("bad");
    good.fini = [](void *) { fini++; };
    bad.init = [](const void *, void **, kt_error *err) { return kt_fail(err, KT_ERR_USAGE, "no good"); };
    const kt_policy *both[] = {&good, &bad};
    kt_chain *chain = nullptr;
    kt_error err{};
    EXPECT_EQ(kt_chain_new_from(both, nullptr, 2, &chain, &err).code, KT_ERR_USAGE);
    EXPECT_EQ(chain, nullptr);
    EXPECT_STREQ(err.text, "no good");
    EXPECT_EQ(fini, 1);
}

/* --- PENDING --- */

TEST(ChainPending, GoesOnBehindThePolicyThatAsked)
{
    Chain c(3);
    c[1].text = [&](const kt_text *, kt_sink *s) {
        s->external = &c[1].external;
        return KT_STEP_PENDING;
    };
    int answers = 0;
    c[1].resume = [&](int status, struct kt_span body, kt_sink *s) {
        EXPECT_EQ(status, 200);
        EXPECT_EQ(std::string(body.data, body.len), "{}");
        if (++answers == 1)
            return KT_STEP_PENDING;
        redact(s, 0, 5, "[X]");
        return KT_STEP_DONE;
    };
    EXPECT_EQ(kt_chain_run_external(c.run()), nullptr);
    EXPECT_EQ(c.text("hello"), KT_STEP_PENDING);
    EXPECT_EQ(kt_chain_run_external(c.run()), &c[1].external);
    EXPECT_EQ(c[2].seen.size(), 0u);
    EXPECT_EQ(kt_chain_run_hold_from(c.run(), 0), 0u) << "nothing leaves while the answer is open";
    EXPECT_EQ(kt_chain_run_resume(c.run(), 200, kt_span("{}", 2)), KT_STEP_PENDING);
    EXPECT_EQ(kt_chain_run_resume(c.run(), 200, kt_span("{}", 2)), KT_STEP_DONE);
    ASSERT_EQ(c[2].seen.size(), 1u);
    EXPECT_EQ(c[2].seen[0], "hello");
    EXPECT_EQ(c[0].seen.size(), 1u) << "not asked twice";
    EXPECT_EQ(c.redactions(), "0:0-5=[X] ");
    EXPECT_EQ(kt_chain_run_hold_from(c.run(), 0), 5u);
}

TEST(ChainPending, InEndAndWithAStop)
{
    Chain c(2);
    c[0].end = [&](kt_sink *s) {
        s->external = &c[0].external;
        return KT_STEP_PENDING;
    };
    c[0].resume = [](int, struct kt_span, kt_sink *s) {
        s->stop(s, KT_VERDICT_BLOCK, "test.blocked", -1, "no");
        return KT_STEP_DONE;
    };
    bool second = false;
    c[1].end = [&](kt_sink *) {
        second = true;
        return KT_STEP_DONE;
    };
    EXPECT_EQ(c.text("a"), KT_STEP_DONE);
    EXPECT_EQ(kt_chain_run_end(c.run()), KT_STEP_PENDING);
    EXPECT_EQ(kt_chain_run_resume(c.run(), 0, kt_span("", 0)), KT_STEP_DONE);
    EXPECT_FALSE(second);
    EXPECT_EQ(c.outcome().verdict, KT_VERDICT_BLOCK);
}

TEST(ChainPending, WrongCallsAreErrorsNotCrashes)
{
    Chain c(1);
    EXPECT_EQ(kt_chain_run_resume(c.run(), 200, kt_span("", 0)), KT_STEP_ERROR);
    c[0].text = [&](const kt_text *, kt_sink *s) {
        s->external = &c[0].external;
        return KT_STEP_PENDING;
    };
    EXPECT_EQ(c.text("a"), KT_STEP_PENDING);
    kt_text t{1, KT_FROM_USER, "b", 1, 0, true, false, false};
    EXPECT_EQ(kt_chain_run_text(c.run(), &t), KT_STEP_ERROR);
    EXPECT_EQ(kt_chain_run_end(c.run()), KT_STEP_ERROR);
    EXPECT_TRUE(c.outcome().internal_error);
}

TEST(ChainPending, APolicyThatCannotResumeFails)
{
    Chain c(0);
    kt_policy p = scripted("asks");
    p.resume = nullptr;
    c.add(p);
    c[0].text = [&](const kt_text *, kt_sink *s) {
        s->external = &c[0].external;
        return KT_STEP_PENDING;
    };
    EXPECT_EQ(c.text("a"), KT_STEP_PENDING);
    EXPECT_EQ(kt_chain_run_resume(c.run(), 200, kt_span("", 0)), KT_STEP_ERROR);
    EXPECT_TRUE(c.outcome().internal_error);
}

TEST(Chain, AFindingThatPassesIsNoPass)
{
    Chain c(2);
    c[1].text = [](const kt_text *, kt_sink *s) {
        s->match(s, "something");
        return KT_STEP_DONE;
    };
    EXPECT_EQ(c.text("x"), KT_STEP_DONE);
    kt_outcome o = c.outcome();
    EXPECT_EQ(o.verdict, KT_VERDICT_ALLOW);
    EXPECT_TRUE(o.warned);
    EXPECT_STREQ(o.reason_code, "test.redacted");
    EXPECT_STREQ(kt_policy_result_word(&o.policies[0]), "allow");
    EXPECT_STREQ(kt_policy_result_word(&o.policies[1]), "warn");
}
