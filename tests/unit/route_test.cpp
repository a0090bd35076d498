/* SPDX-License-Identifier: Apache-2.0 */
#include "interceptor/route/kt_route.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <set>
#include <string>
#include <vector>

namespace {

class Route : public ::testing::Test {
  protected:
    void SetUp() override
    {
        unsetenv("KT_TEST_NO_KEY");
        setenv("KT_TEST_KEY", "sk-1", 1);
        setenv("KT_TEST_EMPTY", "", 1);
    }
    void TearDown() override
    {
        kt_route_free(&route);
        kt_config_free(config);
    }
    // Targets t0, t1, ... whose keys come from these variables; "" = no secret at all.
    void configure(const std::vector<std::string> &env, const std::string &strategy,
                   const std::string &more = "")
    {
        kt_config_free(config);
        config = nullptr;
        std::string yaml =
            "pack:\n  name: t\n  version: 1.0.0\n  enabled: true\npolicies:\n  chain: []\nproviders:\n" +
            strategy + more + "  targets:\n";
        for (size_t i = 0; i < env.size(); i++) {
            yaml += "    - id: t" + std::to_string(i) +
                    "\n      provider: selfhosted\n      model: m\n      base_url: http://127.0.0.1/v1\n";
            if (!env[i].empty())
                yaml += "      secret_key_ref:\n        env: " + env[i] + "\n";
        }
        kt_diags diags = {};
        kt_result r = kt_config_parse("t.yaml", yaml.data(), yaml.size(), &config, &diags);
        for (size_t i = 0; i < diags.count; i++)
            if (diags.items[i].severity == KT_SEV_ERROR)
                ADD_FAILURE() << diags.items[i].path << ": " << diags.items[i].message;
        kt_diags_free(&diags);
        ASSERT_TRUE(kt_is_ok(r));
        kt_route_free(&route);
        kt_route_ask ask = {};
        ask.config = config;
        ASSERT_TRUE(kt_is_ok(kt_route_plan(&ask, &route)));
    }
    std::string ids() const
    {
        std::string out;
        for (size_t i = 0; i < route.count; i++)
            out += std::string(i ? "," : "") + route.steps[i].target->id;
        return out;
    }
    kt_config *config = nullptr;
    kt_route route = {};
};

TEST(Strategies, TableIsSound)
{
    size_t n = 0;
    const kt_strategy *const *all = kt_strategies(&n);
    ASSERT_EQ(n, 8u);
    std::set<int> seen;
    for (size_t i = 0; i < n; i++) {
        EXPECT_TRUE(seen.insert(all[i]->id).second) << all[i]->name;
        EXPECT_TRUE(all[i]->name && all[i]->help && all[i]->order);
        EXPECT_LE(all[i]->id, KT_STRATEGY_RANDOM);
        EXPECT_EQ(kt_strategy_find(all[i]->id), all[i]);
    }
    EXPECT_EQ(kt_strategy_find(static_cast<kt_strategy_id>(77)), nullptr);
}

TEST_F(Route, SingleIsTheFirstAndNoOther)
{
    configure({"KT_TEST_KEY", "KT_TEST_KEY"}, "  strategy: single\n");
    EXPECT_EQ(ids(), "t0");
    EXPECT_EQ(route.max_attempts, 1u);
}

TEST_F(Route, OrderedIsTheFilesOrder)
{
    configure({"KT_TEST_KEY", "KT_TEST_KEY", "KT_TEST_KEY"}, "  strategy: ordered\n");
    EXPECT_EQ(ids(), "t0,t1,t2");
    EXPECT_EQ(route.max_attempts, 4u);
    EXPECT_STREQ(route.steps[2].key, "sk-1");
}

TEST_F(Route, SeveralTargetsWithoutAStrategyAreOrdered)
{
    configure({"KT_TEST_KEY", "KT_TEST_KEY"}, "");
    EXPECT_EQ(ids(), "t0,t1");
    EXPECT_GE(route.max_attempts, 2u);
}

TEST_F(Route, FallbackSettingsBoundTheAttempts)
{
    configure({"KT_TEST_KEY", "KT_TEST_KEY"}, "  strategy: ordered\n", "  fallback:\n    enabled: false\n");
    EXPECT_EQ(route.max_attempts, 1u);
    configure({"KT_TEST_KEY", "KT_TEST_KEY"}, "  strategy: ordered\n",
              "  fallback:\n    enabled: true\n    max_fallback_attempts: 1\n");
    EXPECT_EQ(route.max_attempts, 2u);
}

TEST_F(Route, WithoutAKeyATargetIsUnavailable)
{
    configure({"KT_TEST_NO_KEY", "KT_TEST_KEY", "KT_TEST_EMPTY", ""}, "  strategy: ordered\n");
    ASSERT_EQ(route.count, 4u);
    EXPECT_FALSE(route.steps[0].available);
    EXPECT_NE(std::string(route.steps[0].reason).find("KT_TEST_NO_KEY"), std::string::npos);
    EXPECT_TRUE(route.steps[1].available);
    EXPECT_FALSE(route.steps[2].available) << "an empty variable is no key";
    EXPECT_TRUE(route.steps[3].available) << "a self-hosted endpoint needs none";
    EXPECT_EQ(route.steps[3].key, nullptr);
    for (size_t i = 0; i < route.count; i++)
        EXPECT_EQ(std::string(route.steps[i].reason).find("sk-1"), std::string::npos);
}

// The loader refuses such a config; one that was built by hand must still be served.
TEST_F(Route, StrategyThatIsNotBuiltInServesInOrder)
{
    configure({"KT_TEST_KEY", "KT_TEST_KEY"}, "  strategy: ordered\n");
    config->providers.strategy = 77;
    kt_route_free(&route);
    kt_route_ask ask = {};
    ask.config = config;
    ASSERT_TRUE(kt_is_ok(kt_route_plan(&ask, &route)));
    EXPECT_EQ(ids(), "t0,t1");
    EXPECT_GE(route.max_attempts, 1u);
}

TEST_F(Route, NeverMoreThanTheMaximum)
{
    configure(std::vector<std::string>(KT_ROUTE_MAX + 5, "KT_TEST_KEY"), "  strategy: ordered\n",
              "  fallback:\n    enabled: true\n    max_fallback_attempts: 64\n");
    EXPECT_EQ(route.count, static_cast<size_t>(KT_ROUTE_MAX));
    EXPECT_LE(route.max_attempts, static_cast<size_t>(KT_ROUTE_MAX) + 1);
}

} // namespace
