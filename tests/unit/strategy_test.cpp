// SPDX-License-Identifier: Apache-2.0
// The strategies, and what the plan leaves out, over a shared state.
#include "interceptor/route/kt_route.h"

extern "C" {
#include "interceptor/route/kt_rank.h"
}

#include "state_fixture.hpp"

#include <atomic>
#include <map>
#include <set>

#include <sys/mman.h>

namespace {

using namespace state;

class Strategy : public StateTest {
  protected:
    void SetUp() override
    {
        StateTest::SetUp();
        setenv("KT_TEST_KEY", "sk-1", 1);
        unsetenv("KT_TEST_NO_KEY");
        ask.state = open();
        ask.now_ms = kNow;
    }
    void TearDown() override
    {
        kt_config_free(config);
        StateTest::TearDown();
    }
    // One target per entry: extra lines of YAML, each "key: value".
    void configure(kt_strategy_id id, const std::vector<std::string> &targets, const std::string &more = "")
    {
        std::string yaml = "pack:\n  name: t\n  version: 1.0.0\n  enabled: true\npolicies:\n  chain: []\nproviders:\n" +
                           more + "  targets:\n";
        for (size_t i = 0; i < targets.size(); i++)
            yaml += "    - id: t" + std::to_string(i) +
                    "\n      provider: selfhosted\n      model: m\n      base_url: http://127.0.0.1/v1\n" +
                    (targets[i].empty() ? "" : "      " + targets[i] + "\n");
        kt_diags diags = {};
        kt_config_free(config);
        config = nullptr;
        kt_result r = kt_config_parse("t.yaml", yaml.data(), yaml.size(), &config, &diags);
        for (size_t i = 0; i < diags.count; i++)
            if (diags.items[i].severity == KT_SEV_ERROR)
                ADD_FAILURE() << diags.items[i].path << ": " << diags.items[i].message;
        kt_diags_free(&diags);
        ASSERT_TRUE(kt_is_ok(r));
        config->providers.strategy = id;
        config->providers.fallback.enabled = true;
        ask.config = config;
    }
    // The plan as "t1,t0,-t2": a minus in front of what is left out.
    std::string plan()
    {
        kt_route route = {};
        if (!kt_is_ok(kt_route_plan(&ask, &route)))
            return "no plan";
        std::string out;
        reasons.clear();
        for (size_t i = 0; i < route.count; i++) {
            out += std::string(i ? "," : "") + (route.steps[i].available ? "" : "-") + route.steps[i].target->id;
            reasons.push_back(route.steps[i].reason);
        }
        available = route.available;
        kt_route_free(&route);
        return out;
    }
    std::string first() { return plan().substr(0, 2); }
    kt_tstate *target(size_t i)
    {
        return kt_state_target(ask.state, kt_target_key(&config->providers.targets[i]), ask.now_ms);
    }
    void samples(size_t i, kt_sample_kind kind, int n, double value)
    {
        for (int k = 0; k < n; k++)
            kt_samples_add(target(i), kind, value, ask.now_ms);
    }
    kt_config *config = nullptr;
    kt_route_ask ask = {};
    std::vector<std::string> reasons;
    size_t available = 0;
};

TEST_F(Strategy, KeysAreTheIdentityOfATarget)
{
    configure(KT_STRATEGY_ORDERED, {"weight: 1", "weight: 1"});
    const kt_target *a = &config->providers.targets[0];
    EXPECT_NE(kt_target_key(a), kt_target_key(a + 1));
    kt_target other = *a;
    other.weight = 9;
    EXPECT_EQ(kt_target_key(a), kt_target_key(&other)) << "a setting is no identity";
    char model[] = "m2";
    other.model = model;
    EXPECT_NE(kt_target_key(a), kt_target_key(&other));
}

TEST_F(Strategy, RoundRobinGoesRoundOverProcesses)
{
    configure(KT_STRATEGY_ROUND_ROBIN, {"", "", ""});
    EXPECT_EQ(plan(), "t0,t1,t2");
    EXPECT_TRUE(in_children(1, [&](int) { return plan() == "t1,t2,t0"; }));
    EXPECT_EQ(plan(), "t2,t0,t1");
    EXPECT_EQ(plan(), "t0,t1,t2");
}

TEST_F(Strategy, WeightsAreExactInEveryCycle)
{
    const std::vector<std::vector<double>> cases = {{80, 20}, {4, 1}, {0.8, 0.2}, {1, 1, 1}, {5, 3, 2}, {7, 0, 3},
                                                    {0, 0}, {1, 99}, {0.5, 0.25, 0.25}, {3, 3, 3, 1}};
    for (const auto &weights : cases) {
        std::vector<std::string> yaml;
        double sum = 0;
        for (double w : weights) {
            yaml.push_back("weight: " + std::to_string(w));
            sum += w;
        }
        configure(KT_STRATEGY_WEIGHTED_ROUND_ROBIN, yaml);
        size_t cycle = sum == 0 ? weights.size() : 100;
        std::string turns;
        for (size_t i = 0; i < 3 * cycle; i++)
            turns += first().substr(1);
        for (size_t from = 0; from <= 2 * cycle; from++) { // any window of a cycle, wherever it begins
            std::map<char, double> got;
            for (size_t i = 0; i < cycle; i++)
                got[turns[from + i]]++;
            for (size_t k = 0; k < weights.size(); k++) {
                double share = sum == 0 ? 1.0 / static_cast<double>(weights.size()) : weights[k] / sum;
                // Where the cycle does not divide 100 the window may be one turn off.
                EXPECT_NEAR(got[static_cast<char>('0' + k)], share * static_cast<double>(cycle), 1.01)
                    << testing::PrintToString(weights) << " from " << from;
                if (weights[k] == 0 && sum > 0) {
                    EXPECT_EQ(got[static_cast<char>('0' + k)], 0);
                }
            }
        }
        std::map<char, int> whole;
        for (size_t i = 0; i < cycle; i++)
            whole[turns[i]]++;
        if (weights == std::vector<double>{80, 20}) {
            EXPECT_EQ(whole['0'], 80);
            EXPECT_EQ(turns.find("11"), std::string::npos) << "smooth: " << turns;
            EXPECT_EQ(turns.substr(0, 10), "0010000100");
        }
    }
}

TEST_F(Strategy, EveryTurnIsSomebodysOnce)
{
    std::vector<std::vector<uint64_t>> cases = {{1}, {1, 1}, {4, 1}, {7, 5, 3, 2, 1}, {1000, 1, 333}, {0, 5}, {99999, 1}};
    std::vector<uint64_t> many(KT_ROUTE_MAX, 13);
    cases.push_back(many);
    for (const auto &w : cases) {
        uint64_t cycle = 0;
        for (uint64_t x : w)
            cycle += x;
        std::vector<uint64_t> got(w.size(), 0);
        for (uint64_t t = 0; t < cycle; t++)
            got[kt_weighted_turn(w.data(), w.size(), t)]++;
        EXPECT_EQ(got, w);
    }
    uint64_t none[2] = {0, 0};
    EXPECT_EQ(kt_weighted_turn(none, 2, 5), 0u);
}

TEST_F(Strategy, FiftyProcessesShareTheWeightsExactly)
{
    configure(KT_STRATEGY_WEIGHTED_ROUND_ROBIN, {"weight: 80", "weight: 20"});
    auto *hits = static_cast<std::atomic<int> *>(
        mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    std::string where = dir;
    EXPECT_TRUE(in_children(50, [&](int) {
        kt_state *mine = nullptr;
        if (!kt_is_ok(kt_state_open(where.c_str(), &mine)) || !kt_state_is_shared(mine))
            return false;
        ask.state = mine;
        for (int i = 0; i < 20; i++)
            hits[first() == "t0" ? 0 : 1]++;
        return true;
    }));
    EXPECT_EQ(hits[0], 800);
    EXPECT_EQ(hits[1], 200);
    munmap(hits, 4096);
}

TEST_F(Strategy, WeightsStayExactAmongThoseThatAreLeft)
{
    configure(KT_STRATEGY_WEIGHTED_ROUND_ROBIN, {"weight: 2", "weight: 1", "weight: 1"},
              "  circuit_breaker:\n    failure_threshold: 1\n");
    kt_breaker_rules r = kt_breaker_rules_of(config, &config->providers.targets[0]);
    kt_breaker_failure(target(0), &r, KT_PERMIT_YES, ask.now_ms, -1);
    std::string turns;
    for (int i = 0; i < 6; i++)
        turns += plan() + " ";
    EXPECT_EQ(turns, "-t0,t1,t2 -t0,t2,t1 -t0,t1,t2 -t0,t2,t1 -t0,t1,t2 -t0,t2,t1 ");
}

TEST_F(Strategy, LatencyLearnsThenRanksThenExplores)
{
    configure(KT_STRATEGY_LATENCY, {"", "", ""}, "  routing:\n    min_sample_count: 2\n");
    EXPECT_EQ(plan(), "t0,t1,t2") << "nothing is known";
    samples(0, KT_SAMPLE_TTFB, 2, 300);
    samples(1, KT_SAMPLE_TTFB, 2, 100);
    std::map<std::string, int> firsts;
    for (int i = 0; i < 100; i++)
        firsts[first()]++;
    EXPECT_EQ(firsts["t2"], 50) << "measured too rarely: every second call";
    EXPECT_EQ(firsts["t1"], 50) << "the fastest that is known";
    samples(2, KT_SAMPLE_TTFB, 2, 200);
    firsts.clear();
    for (int i = 0; i < 160; i++)
        firsts[first()]++;
    EXPECT_GE(firsts["t1"], 150);
    EXPECT_GE(firsts["t0"] + firsts["t2"] + firsts["t1"], 160);
    ask.now_ms += 20000; // the slowest was measured longest ago: it gets the calls that explore
    samples(1, KT_SAMPLE_TTFB, 1, 100);
    samples(2, KT_SAMPLE_TTFB, 1, 200);
    firsts.clear();
    for (int i = 0; i < 160; i++)
        firsts[first()]++;
    EXPECT_EQ(firsts["t0"], 10);
    EXPECT_EQ(firsts["t1"], 150);
    for (int i = 0; plan() != "t1,t2,t0" && i < 20; i++)
        ;
    EXPECT_EQ(plan(), "t1,t2,t0");
    ask.now_ms += 400000; // all samples are older than the window: learning begins again
    firsts.clear();
    for (int i = 0; i < 100; i++)
        firsts[first()]++;
    EXPECT_GT(firsts["t0"], 40);
}

TEST_F(Strategy, WhoFailsNowIsNotFirstHoweverFast)
{
    configure(KT_STRATEGY_LATENCY, {"", ""}, "  routing:\n    min_sample_count: 1\n");
    samples(0, KT_SAMPLE_TTFB, 5, 10);
    samples(1, KT_SAMPLE_TTFB, 5, 900);
    kt_breaker_rules r = kt_breaker_rules_of(config, &config->providers.targets[0]);
    EXPECT_EQ(first(), "t0");
    kt_breaker_failure(target(0), &r, KT_PERMIT_YES, ask.now_ms, -1);
    for (int i = 0; i < 40; i++)
        EXPECT_EQ(plan(), "t1,t0");
    ask.now_ms += 10001;
    for (int i = 0; i < 2 && first() != "t0"; i++)
        ;
    EXPECT_EQ(first(), "t0");
}

TEST_F(Strategy, ThroughputPrefersTheMostTokensPerSecond)
{
    configure(KT_STRATEGY_HIGHEST_THROUGHPUT, {"", ""}, "  routing:\n    min_sample_count: 1\n");
    samples(0, KT_SAMPLE_SPEED, 3, 20);
    samples(1, KT_SAMPLE_SPEED, 3, 90);
    std::map<std::string, int> plans;
    for (int i = 0; i < 32; i++)
        plans[plan()]++;
    EXPECT_GE(plans["t1,t0"], 30);
}

TEST_F(Strategy, CostDependsOnTheSizeOfTheCall)
{
    configure(KT_STRATEGY_COST, {"pricing: {prompt: 1, completion: 10}", "pricing: {prompt: 4, completion: 4}"});
    ask.prompt_tokens = 1000;
    ask.completion_tokens = 10;
    EXPECT_EQ(plan(), "t0,t1");
    ask.completion_tokens = 5000;
    EXPECT_EQ(plan(), "t1,t0");
    ask.prompt_tokens = ask.completion_tokens = 0;
    EXPECT_EQ(plan(), "t1,t0") << "half and half where nothing is known";
    config->providers.targets[1].pricing.prompt = -1;
    EXPECT_EQ(plan(), "t0,t1") << "without a price: last";
}

TEST_F(Strategy, RandomIsFairAndRepeatable)
{
    configure(KT_STRATEGY_RANDOM, {"", "", ""});
    std::map<std::string, int> seen;
    for (uint64_t i = 1; i <= 6000; i++) {
        ask.seed = i;
        std::string p = plan();
        EXPECT_EQ(plan(), p);
        seen[p]++;
    }
    ASSERT_EQ(seen.size(), 6u);
    for (const auto &[p, n] : seen)
        EXPECT_NEAR(n, 1000, 150) << p;
    ask.seed = 0;
    std::set<std::string> chance;
    for (int i = 0; i < 200; i++)
        chance.insert(plan());
    EXPECT_EQ(chance.size(), 6u);
}

/* ---- what is left out ---- */

bool not_t1(void *, const kt_target *t, const char **reason)
{
    *reason = "data_routing.retention";
    return std::string(t->id) != "t1";
}

TEST_F(Strategy, EachReasonIsNamed)
{
    configure(KT_STRATEGY_ORDERED,
              {"secret_key_ref: {env: KT_TEST_NO_KEY}", "", "max_context_tokens: 100", "", "health_probe: {enabled: true}", ""},
              "  circuit_breaker:\n    failure_threshold: 1\n");
    ask.admits = not_t1;
    ask.prompt_tokens = 90;
    ask.completion_tokens = 20;
    kt_breaker_rules r = kt_breaker_rules_of(config, &config->providers.targets[3]);
    kt_breaker_failure(target(3), &r, KT_PERMIT_YES, ask.now_ms, -1);
    kt_probe_set(target(4), false, 503, ask.now_ms);
    EXPECT_EQ(plan(), "-t0,-t1,-t2,-t3,-t4,t5");
    EXPECT_EQ(available, 1u);
    const char *const begins[] = {"no_key: ", "policy_excluded: data_routing.retention", "context_too_small: ",
                                  "breaker_open: open, 30000 ms left", "probe_failed: status 503", ""};
    for (size_t i = 0; i < 6; i++)
        EXPECT_EQ(reasons[i].rfind(begins[i], 0), 0u) << reasons[i];
    EXPECT_EQ(reasons[5], "");
    ask.now_ms += 30000; // the breaker lets a trial through
    EXPECT_EQ(plan(), "-t0,-t1,-t2,t3,-t4,t5");
    ask.now_ms += 100000; // and a probe of long ago says nothing
    EXPECT_EQ(plan(), "-t0,-t1,-t2,t3,t4,t5");
    ask.completion_tokens = 10;
    EXPECT_EQ(plan(), "-t0,-t1,t2,t3,t4,t5");
}

TEST_F(Strategy, PricesThatAreTooHighAreLeftOut)
{
    configure(KT_STRATEGY_ORDERED, {"pricing: {prompt: 5, completion: 5}", "pricing: {prompt: 1, completion: 100}", ""},
              "  routing:\n    max_price: 4\n");
    EXPECT_EQ(plan(), "-t0,t1,t2");
    EXPECT_EQ(reasons[0].rfind("too_expensive: 5 USD", 0), 0u);
    ask.prompt_tokens = 1000;
    ask.completion_tokens = 10000;
    config->limits.max_cost_per_request = 0.5;
    EXPECT_EQ(plan(), "-t0,-t1,t2") << "1.001 USD; and a target without a price is not known to be too dear";
    ask.completion_tokens = 0;
    EXPECT_EQ(plan(), "-t0,t1,t2") << "a usual answer costs 0.03";
}

TEST_F(Strategy, SlowTargetsComeLast)
{
    configure(KT_STRATEGY_ORDERED, {"", "secret_key_ref: {env: KT_TEST_NO_KEY}", ""}, "  routing:\n    max_latency_ms: 500\n");
    samples(0, KT_SAMPLE_TTFB, 3, 900);
    samples(2, KT_SAMPLE_TTFB, 3, 100);
    EXPECT_EQ(plan(), "-t1,t2,t0");
    ask.now_ms += 301000;
    EXPECT_EQ(plan(), "t0,-t1,t2") << "long ago";
}

TEST_F(Strategy, TheMonitorProbesWhoHasNoProbeOfHisOwn)
{
    configure(KT_STRATEGY_ORDERED, {"health_probe: {enabled: true, interval_seconds: 7}", ""});
    config->health_monitor.enabled = true;
    config->health_monitor.interval_seconds = 20;
    config->health_monitor.timeout_seconds = 3;
    kt_probe_rules own = kt_probe_rules_of(config, &config->providers.targets[0]);
    kt_probe_rules all_ = kt_probe_rules_of(config, &config->providers.targets[1]);
    EXPECT_TRUE(own.enabled && own.interval_ms == 7000 && own.timeout_ms == 5000);
    EXPECT_TRUE(all_.enabled && all_.interval_ms == 20000 && all_.timeout_ms == 3000);
    kt_probe_set(target(1), false, 500, ask.now_ms);
    EXPECT_EQ(plan(), "t0,-t1");
}

TEST_F(Strategy, AFailedProbeIsOnlyAHint)
{
    configure(KT_STRATEGY_ORDERED, {"health_probe: {enabled: true}", "health_probe: {enabled: true}", "secret_key_ref: {env: KT_TEST_NO_KEY}"});
    kt_probe_set(target(0), false, 0, ask.now_ms);
    EXPECT_EQ(plan(), "-t0,t1,-t2");
    kt_probe_set(target(1), false, 0, ask.now_ms);
    EXPECT_EQ(plan(), "t0,t1,-t2") << "nothing else is left";
    EXPECT_EQ(available, 2u);
}

TEST_F(Strategy, SingleLooksAtNoOtherTarget)
{
    configure(KT_STRATEGY_SINGLE, {"secret_key_ref: {env: KT_TEST_NO_KEY}", ""});
    EXPECT_EQ(plan(), "-t0");
    EXPECT_EQ(available, 0u);
}

TEST_F(Strategy, SkippedTargetsStandInFrontOfARankedList)
{
    configure(KT_STRATEGY_COST, {"pricing: {prompt: 9, completion: 9}", "secret_key_ref: {env: KT_TEST_NO_KEY}", "pricing: {prompt: 1, completion: 1}"});
    EXPECT_EQ(plan(), "-t1,t2,t0");
}

} // namespace
