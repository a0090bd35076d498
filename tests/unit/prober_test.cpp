// SPDX-License-Identifier: Apache-2.0
#include "exchange_words.hpp"

#include "interceptor/exchange/kt_prober.h"
#include "interceptor/route/kt_route.h"

#include <csignal>
#include <sys/wait.h>

namespace {

using namespace fake;

class Prober : public ExchangeTest {
  protected:
    void SetUp() override
    {
        ExchangeTest::SetUp();
        ASSERT_TRUE(kt_is_ok(kt_state_open(dir.c_str(), &ctx.state)));
    }
    void TearDown() override
    {
        on_loop([this] { kt_prober_free(prober); });
        ExchangeTest::TearDown();
        kt_state_free(ctx.state);
    }
    void probe(const std::string &targets, int mode = KT_MODE_ENFORCE)
    {
        configure(config(targets), nullptr, mode);
        on_loop([this] { ASSERT_TRUE(kt_is_ok(kt_prober_new(&ctx, &prober))); });
    }
    kt_tstate *state(size_t i = 0)
    {
        return kt_state_target(ctx.state, kt_target_key(&runtime->config->providers.targets[i]), kt_state_now_ms());
    }
    kt_probe result(size_t i = 0) { return kt_probe_get(state(i), kt_state_now_ms()); }
    // The result of the first probe, or of one that is newer than `than_ms` ago.
    kt_probe wait_result(size_t i = 0)
    {
        auto until = std::chrono::steady_clock::now() + kPatience;
        while (!result(i).known && std::chrono::steady_clock::now() < until)
            std::this_thread::sleep_for(std::chrono::milliseconds(5));
        return result(i);
    }
    kt_prober *prober = nullptr;
    const std::string on = "      health_probe: {enabled: true, interval_seconds: 1, timeout_seconds: 1}\n";
};

TEST(ProbeStatus, WhoAnswersIsAlive)
{
    for (int s : {200, 204, 301, 400, 404, 405, 429})
        EXPECT_TRUE(kt_probe_status_ok(s)) << s;
    for (int s : {0, 100, 401, 403, 408, 500, 502, 503, 504, 529})
        EXPECT_FALSE(kt_probe_status_ok(s)) << s;
}

TEST_F(Prober, AsksForTheListOfModelsAgainAndAgain)
{
    Gate second;
    std::atomic<int> n{0};
    Server up([&](Conn &c, const Request &) {
        if (++n == 2)
            second.open();
        return c.reply(200, "application/json", "{\"data\":[]}");
    });
    probe(target("a", up.port(), "KT_TEST_KEY_A", "", on));
    kt_probe p = wait_result();
    EXPECT_TRUE(p.known && p.ok && p.status == 200);
    EXPECT_TRUE(second.wait());
    for (const Request &r : up.requests()) {
        EXPECT_EQ(r.method, "GET");
        EXPECT_EQ(r.target, "/v1/models");
        EXPECT_EQ(r.header("authorization"), "Bearer sk-target-a");
        EXPECT_EQ(r.body, "");
    }
}

TEST_F(Prober, EachKindOfFailureIsOne)
{
    Gate end;
    DeadPort dead;
    Server broken([](Conn &c, const Request &) { return c.reply(503, "text/plain", "no"); });
    Server hangs([&](Conn &, const Request &) { return end.wait() && false; });
    Server big([](Conn &c, const Request &) { return c.reply(200, "text/plain", std::string(3000000, 'x')); });
    probe(target("a", dead.port(), "KT_TEST_KEY_A", "", on) + target("b", broken.port(), "KT_TEST_KEY_B", "", on) +
          target("c", hangs.port(), "KT_TEST_KEY_B", "", on) + target("d", big.port(), "KT_TEST_KEY_B", "", on) +
          target("e", dead.port(), "KT_TEST_MISSING", "", on) + target("f", dead.port(), "KT_TEST_KEY_A"));
    for (size_t i = 0; i < 3; i++) {
        kt_probe p = wait_result(i);
        EXPECT_TRUE(p.known && !p.ok) << i;
        EXPECT_EQ(p.status, i == 1 ? 503 : 0);
    }
    EXPECT_TRUE(wait_result(3).ok) << "the list is not even read";
    EXPECT_FALSE(result(4).known) << "without a key nobody asks";
    EXPECT_FALSE(result(5).known) << "nobody wanted it";
    end.open();
}

TEST_F(Prober, OneProberPerTargetOnTheMachine)
{
    Server up(answer);
    configure(config(target("a", up.port(), "KT_TEST_KEY_A", "", on)));
    kt_tstate *t = state();
    int ready[2];
    ASSERT_EQ(pipe(ready), 0);
    pid_t other = fork();
    if (other == 0) { // another process has the lease, and goes on living
        char taken = kt_lease_take(t, kt_state_now_ms(), 3600000) ? 'y' : 'n';
        if (write(ready[1], &taken, 1) == 1)
            pause();
        _exit(0);
    }
    char taken = 0;
    ASSERT_EQ(read(ready[0], &taken, 1), 1);
    ASSERT_EQ(taken, 'y');
    on_loop([this] { ASSERT_TRUE(kt_is_ok(kt_prober_new(&ctx, &prober))); });
    std::this_thread::sleep_for(std::chrono::milliseconds(2500)); // two turns and a half
    EXPECT_EQ(up.connections(), 0u);
    kill(other, SIGKILL);
    waitpid(other, nullptr, 0);
    EXPECT_TRUE(wait_result().ok) << "its lease died with it";
    close(ready[0]);
    close(ready[1]);
}

TEST_F(Prober, ObserveModeAsksNobody)
{
    Server up(answer);
    probe(target("a", up.port(), "KT_TEST_KEY_A", "", on), KT_MODE_OBSERVE);
    std::this_thread::sleep_for(std::chrono::milliseconds(1500));
    EXPECT_EQ(up.connections(), 0u);
}

TEST_F(Prober, EndsWithAProbeUnderWay)
{
    Gate asked, end;
    Server hangs([&](Conn &, const Request &) {
        asked.open();
        return end.wait() && false;
    });
    probe(target("a", hangs.port(), "KT_TEST_KEY_A", "", "      health_probe: {enabled: true, timeout_seconds: 60}\n"));
    ASSERT_TRUE(asked.wait());
    on_loop([this] {
        kt_prober_free(prober);
        prober = nullptr;
    });
    end.open();
    EXPECT_FALSE(result().known);
}

} // namespace
