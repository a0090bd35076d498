// SPDX-License-Identifier: Apache-2.0
#pragma once
// An exchange with everything that processes share.
#include "exchange_words.hpp"

#include "interceptor/route/kt_route.h"

namespace fake {

class Resilience : public ExchangeTest {
  protected:
    void SetUp() override
    {
        ExchangeTest::SetUp();
        ASSERT_TRUE(kt_is_ok(kt_state_open(dir.c_str(), &ctx.state)));
    }
    void TearDown() override
    {
        ExchangeTest::TearDown();
        kt_state_free(ctx.state);
    }
    std::string outcomes(size_t i)
    {
        std::string out;
        Json e = event(i);
        const cJSON *a = nullptr;
        cJSON_ArrayForEach(a, at(e.get(), "attempts"))
        {
            out += (out.empty() ? "" : " ") + std::string(at(a, "target")->valuestring) + ":" +
                   at(a, "outcome")->valuestring;
        }
        return out;
    }
    kt_tstate *state(size_t i)
    {
        return kt_state_target(ctx.state, kt_target_key(&runtime->config->providers.targets[i]),
                               kt_state_now_ms());
    }
    const std::string retry = "  retry: {max_attempts: 3, initial_delay_ms: 20, max_delay_ms: 1000}\n";
    const std::string breaker = "  circuit_breaker: {failure_threshold: 2, recovery_timeout_seconds: 1}\n";
};

inline Handler status(int s, const std::string &extra = "")
{
    return [=](Conn &c, const Request &) { return c.reply(s, "application/json", "{}", extra); };
}

} // namespace fake
