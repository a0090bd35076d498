/* SPDX-License-Identifier: Apache-2.0 */
#include "configured_policy.hpp"

#include "policyengine/base/kt_log.h"

#include <gtest/gtest.h>

using policy_test::Configured;

namespace {

kt_target target(bool none_kept, bool no_training, int64_t days)
{
    kt_target t{};
    t.id = const_cast<char *>("t1");
    t.data_policy.zero_data_retention = none_kept;
    t.data_policy.training_opt_out = no_training;
    t.data_policy.retention_days = days;
    return t;
}

std::string admits(Configured &c, const kt_target &t)
{
    const char *reason = "none given";
    return kt_chain_admits(c.chain(), &t, &reason) ? "yes" : reason;
}

std::string last_line;
void keep_line(const char *line)
{
    last_line = line;
}

} // namespace

TEST(DataRouting, DefaultAdmitsAll)
{
    Configured c("data-routing-policy", "{}");
    EXPECT_EQ(admits(c, target(false, false, -1)), "yes");
    EXPECT_EQ(admits(c, target(false, false, 9999)), "yes");
}

TEST(DataRouting, EachDemand)
{
    Configured zero("data-routing-policy", "{require_zero_data_retention: true}");
    EXPECT_EQ(admits(zero, target(true, false, -1)), "yes");
    EXPECT_EQ(admits(zero, target(false, true, 0)), "data_routing.zero_data_retention");
    Configured training("data-routing-policy", "{require_no_training: true}");
    EXPECT_EQ(admits(training, target(false, true, 30)), "yes");
    EXPECT_EQ(admits(training, target(true, false, 0)), "data_routing.training");
    Configured days("data-routing-policy", "{max_retention_days: 30}");
    EXPECT_EQ(admits(days, target(false, false, 30)), "yes");
    EXPECT_EQ(admits(days, target(false, false, 0)), "yes");
    EXPECT_EQ(admits(days, target(false, false, 31)), "data_routing.retention");
    EXPECT_EQ(admits(days, target(false, false, -1)), "data_routing.retention") << "not known";
    EXPECT_EQ(admits(days, target(true, false, -1)), "yes") << "nothing is kept at all";
    EXPECT_EQ(admits(days, target(true, false, 31)), "data_routing.retention") << "the number is believed";
    EXPECT_EQ(admits(zero, target(true, false, 31)), "data_routing.zero_data_retention");
    Configured none("data-routing-policy", "{max_retention_days: 0}");
    EXPECT_EQ(admits(none, target(false, false, 1)), "data_routing.retention");
}

TEST(DataRouting, BlockOrWarn)
{
    Configured block("data-routing-policy", "{require_no_training: true}");
    EXPECT_FALSE(kt_chain_admits_none_warns(block.chain()));
    Configured warn("data-routing-policy", "{require_no_training: true, on_no_compliant_provider: warn}");
    EXPECT_TRUE(kt_chain_admits_none_warns(warn.chain()));
}

TEST(DataRouting, LogsWhereAsked)
{
    kt_log_set_hook(keep_line);
    Configured quiet("data-routing-policy", "{require_no_training: true}");
    admits(quiet, target(false, false, 1));
    EXPECT_EQ(last_line, "");
    Configured loud("data-routing-policy", "{require_no_training: true, log_provider_selection: true}");
    admits(loud, target(false, false, 1));
    EXPECT_NE(last_line.find("'t1' is left out: data_routing.training"), std::string::npos) << last_line;
    admits(loud, target(false, true, 1));
    EXPECT_NE(last_line.find("may get the call"), std::string::npos) << last_line;
    kt_log_set_hook(nullptr);
}

TEST(DataRouting, OptionsAreChecked)
{
    EXPECT_NE(Configured("data-routing-policy", "{max_retention_days: -2}").error(), "");
    EXPECT_NE(Configured("data-routing-policy", "{on_no_compliant_provider: pray}").error(), "");
}
