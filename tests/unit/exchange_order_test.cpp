// SPDX-License-Identifier: Apache-2.0
// Which target is asked, by what is known of all of them.
#include "exchange_resilience.hpp"

namespace {

using namespace fake;

class Order : public Resilience {};

TEST_F(Order, AnswersTeachSpeed)
{
    Server slow([](Conn &c, const Request &r) {
        std::this_thread::sleep_for(std::chrono::milliseconds(60));
        return answer(c, r);
    });
    Server fast(answer);
    configure(config(target("a", slow.port(), "KT_TEST_KEY_A") + target("b", fast.port(), "KT_TEST_KEY_B") +
                     "  routing: {min_sample_count: 2}\n"));
    runtime->config->providers.strategy = KT_STRATEGY_LATENCY;
    std::string went;
    for (int i = 0; i < 14; i++) {
        Client k;
        ask(k, post(chat("x")));
        went += k.headers["x-kt-target"];
    }
    EXPECT_GE(std::count(went.begin(), went.end(), 'a'), 2);
    EXPECT_EQ(went.substr(went.size() - 4), "bbbb") << went;
    kt_samples s = kt_samples_read(state(0), KT_SAMPLE_TTFB, 300000, kt_state_now_ms());
    EXPECT_GE(s.mean, 55);
    EXPECT_LT(s.mean, 5000);
    s = kt_samples_read(state(1), KT_SAMPLE_SPEED, 300000, kt_state_now_ms());
    EXPECT_GT(s.mean, 0);
}

TEST_F(Order, WeightsShareCalls)
{
    Server one(answer), two(answer);
    configure(config(target("a", one.port(), "KT_TEST_KEY_A", "", "      weight: 80\n") +
                     target("b", two.port(), "KT_TEST_KEY_B", "", "      weight: 20\n")));
    runtime->config->providers.strategy = KT_STRATEGY_WEIGHTED_ROUND_ROBIN;
    for (int i = 0; i < 20; i++) {
        Client k;
        ask(k, post(chat("x")));
    }
    EXPECT_EQ(one.requests().size(), 16u);
    EXPECT_EQ(two.requests().size(), 4u);
}

TEST_F(Order, AFullListOfAttemptsStillReachesEveryTarget)
{
    std::vector<std::unique_ptr<Server>> all;
    std::string targets;
    for (int i = 0; i < 20; i++) {
        all.push_back(std::make_unique<Server>(status(503)));
        targets += target("t" + std::to_string(i), all.back()->port(), "KT_TEST_KEY_A");
    }
    configure(config(targets + "  fallback: {enabled: true, max_fallback_attempts: 64}\n" +
                     "  retry: {max_attempts: 20, initial_delay_ms: 0, max_delay_ms: 0}\n"));
    Client k;
    ask(k, post(chat("x")));
    EXPECT_EQ(k.status, 502);
    for (auto &s : all)
        EXPECT_GE(s->requests().size(), 1u);
}

TEST_F(Order, ModelMapIsThatOfTheFilesFirstProviderInAnyOrder)
{
    Server mistral(answer), openai(answer);
    std::string other =
        target("b", openai.port(), "KT_TEST_KEY_B", "own", "      pricing: {prompt: 1, completion: 1}\n");
    other.replace(other.find("mistral"), 7, "openai");
    configure(config(
        target("a", mistral.port(), "KT_TEST_KEY_A", "", "      pricing: {prompt: 9, completion: 9}\n") +
            other,
        "model_map: {gpt-4o: mapped}\n"));
    runtime->config->providers.strategy = KT_STRATEGY_COST;
    Client k;
    ask(k, post(chat("x")));
    EXPECT_EQ(str(parse(openai.requests().at(0).body), "model"), "own");
    runtime->config->providers.targets[1].pricing.completion = 99;
    Client second;
    ask(second, post(chat("x")));
    EXPECT_EQ(str(parse(mistral.requests().at(0).body), "model"), "mapped");
}

} // namespace
