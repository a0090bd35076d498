/* SPDX-License-Identifier: Apache-2.0 */
/* What a policy gives to the world outside is the text as the whole chain leaves it. */
#include "chain_fixture.hpp"
#include "yaml_policy.hpp"

#include <gtest/gtest.h>

using yaml_policy::Answer;
using yaml_policy::Policy;
using yaml_policy::Result;

namespace {

yaml_policy::Chain chain(const std::string &kinds, const std::string &pii = "")
{
    return {"policies: {chain: [" + kinds + "]}\npolicy:\n" +
            "  safety-filter: {engine: mistral-moderation}\n  pii-detector: {" + pii +
            "}\n  dlp-filter: {blocked_terms: [Bluebird]}\n"};
}

const char *const orders[] = {"pii-detector, safety-filter, dlp-filter",
                              "safety-filter, pii-detector, dlp-filter",
                              "dlp-filter, pii-detector, safety-filter"};

Answer nothing_found(const std::string &body)
{
    size_t n = 1;
    for (size_t i = body.find("\"input\":["); (i = body.find("\",\"", i)) != std::string::npos; i++)
        n++;
    std::string out = "{\"results\":[";
    for (size_t i = 0; i < n; i++)
        out += std::string(i ? "," : "") + "{\"categories\":{},\"category_scores\":{}}";
    return {200, out + "]}"};
}

bool leaks(const Result &r)
{
    for (const std::string &body : r.asked)
        if (body.find("bob") != std::string::npos || body.find("example.org") != std::string::npos ||
            body.find("luebird") != std::string::npos)
            return true;
    return false;
}

} // namespace

TEST(ChainLeaving, AWholeTextIsAskedAboutAsItLeaves)
{
    for (const char *kinds : orders) {
        Policy p(chain(kinds));
        ASSERT_EQ(p.error(), "");
        p.outside = nothing_found;
        Result r =
            p.many({{"mail bob@example.org Bluebird!"}, {"bob@example.org"}, {"nothing"}}, KT_PHASE_REQUEST);
        EXPECT_EQ(r.verdict, KT_VERDICT_REDACT) << kinds;
        ASSERT_EQ(r.asked.size(), 1u) << kinds;
        EXPECT_NE(r.asked[0].find("[\"mail [EMAIL_1] [TERM_1]!\",\"[EMAIL_1]\",\"nothing\"]"),
                  std::string::npos)
            << kinds << " " << r.asked[0];
    }
}

TEST(ChainLeaving, AStreamIsAskedAboutAsItLeaves)
{
    std::string text = "mail bob@example.org Bluebird, ";
    while (text.size() < 20000)
        text += "a quiet day by the river, bob@example.org. And Bluebird too. ";
    for (const char *kinds : orders)
        for (size_t step : {1, 7, 1000, 4097}) {
            std::vector<std::string> pieces;
            for (size_t at = 0; at < text.size(); at += step)
                pieces.push_back(text.substr(at, step));
            Policy p(chain(kinds));
            p.outside = nothing_found;
            Result r = p.run(pieces, KT_PHASE_RESPONSE);
            EXPECT_EQ(r.step, KT_STEP_DONE);
            EXPECT_EQ(r.left, text) << "every byte was released once";
            EXPECT_GT(r.asked.size(), 2u);
            EXPECT_FALSE(leaks(r)) << kinds << " " << step;
            std::string all;
            for (const std::string &body : r.asked)
                all += body;
            EXPECT_NE(all.find("[EMAIL_1] [TERM_1], a quiet day"), std::string::npos) << all.substr(0, 300);
        }
}

TEST(ChainLeaving, WhatWouldBeBlockedIsNotShownInADryRun)
{
    for (const char *kinds : orders) {
        Policy p(chain(kinds, "action: block"));
        ASSERT_EQ(p.error(), "");
        p.dry = true;
        p.outside = nothing_found;
        Result r = p.whole("mail bob@example.org");
        EXPECT_FALSE(leaks(r)) << kinds;
        p.dry = false;
        EXPECT_TRUE(p.whole("mail bob@example.org").asked.empty()) << kinds;
        Policy q(chain(kinds));
        q.dry = true;
        q.outside = nothing_found;
        r = q.whole("mail bob@example.org");
        ASSERT_EQ(r.asked.size(), 1u) << "a redaction is one in a dry run, too";
        EXPECT_FALSE(leaks(r)) << kinds;
    }
}

TEST(ChainLeaving, RunsBehindAllTextsAndCannotRedact)
{
    chain_test::Chain c(2);
    size_t settled_at = 0;
    kt_buf out = KT_BUF_INIT(1000);
    c[0].leaving = [&](const kt_text *t, size_t settled, kt_sink *s) {
        settled_at = settled;
        EXPECT_EQ(c[1].seen.size(), 1u) << "the last policy has seen the window";
        EXPECT_TRUE(kt_is_ok(s->as_it_leaves(s, t->base, settled, &out)));
        EXPECT_FALSE(kt_is_ok(s->as_it_leaves(s, 0, t->base + t->len + 1, &out)));
        return KT_STEP_DONE;
    };
    c[1].text = [](const kt_text *, kt_sink *s) {
        chain_test::redact(s, 2, 4, "[X]");
        chain_test::redact(s, 6, 9, "[Y]");
        s->hold_from(s, 8);
        return KT_STEP_DONE;
    };
    EXPECT_EQ(c.text("0123456789", 0, false), KT_STEP_DONE);
    EXPECT_EQ(settled_at, 6u) << "not through a redaction";
    EXPECT_EQ(std::string(out.data, out.len), "01[X]45");
    kt_buf_free(&out);
    c[1].text = nullptr;
    c[0].leaving = [](const kt_text *, size_t, kt_sink *s) {
        chain_test::redact(s, 10, 11, "[Z]");
        return KT_STEP_DONE;
    };
    EXPECT_EQ(c.text("6789ab", 6, true), KT_STEP_ERROR);
}

/* fail_mode may let the text leave, of which the caller decides: then it must not leave unasked. */
TEST(ChainLeaving, AlsoWhereAPolicyFailedOnTheTextAndMayLetItPass)
{
    for (int on_error : {KT_ON_ERROR_FAIL_MODE, KT_ON_ERROR_ALLOW, KT_ON_ERROR_BLOCK}) {
        chain_test::Chain c(2);
        int asked = 0;
        c[0].leaving = [&](const kt_text *, size_t, kt_sink *) {
            asked++;
            return KT_STEP_DONE;
        };
        c[1].text = [](const kt_text *, kt_sink *) { return KT_STEP_ERROR; };
        kt_chain_on_error(c.chain(), 1, on_error);
        EXPECT_EQ(c.text("some text"), on_error == KT_ON_ERROR_ALLOW ? KT_STEP_DONE : KT_STEP_ERROR);
        EXPECT_EQ(asked, on_error == KT_ON_ERROR_BLOCK ? 0 : 1);
    }
}
