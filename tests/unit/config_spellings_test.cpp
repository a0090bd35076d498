/* SPDX-License-Identifier: Apache-2.0 */
/* The other spellings of the public pages, the settings that are refused with a reason, and the providers
 * that are known by name. */
#include "policyengine/config/kt_effective.h"
#include "tests/unit/config_fixture.h"

using kt::base;
using kt::Lines;
using kt::Loaded;
using kt::Scratch;
using kt::target;

namespace {

const std::string two = "providers:\n  targets:\n    - {id: a, provider: 'mistral:chat:m'}\n"
                        "    - {id: b, provider: openai, model: n}\n";

std::string effective(const std::string &text)
{
    Loaded l(text);
    EXPECT_EQ(l.code, KT_OK) << text << l.line();
    if (l.code != KT_OK)
        return "";
    kt_node *tree = nullptr;
    kt_buf out = KT_BUF_INIT(1 << 20);
    EXPECT_EQ(kt_effective_tree(l.config.get(), &tree).code, KT_OK);
    EXPECT_EQ(kt_node_yaml(tree, &out).code, KT_OK);
    std::string s(out.data, out.len);
    kt_buf_free(&out);
    kt_node_free(tree);
    return s;
}

TEST(Spellings, MeanTheSame)
{
    const struct {
        const char *other, *ours;
    } root[] = {
        {"  routing: {strategy: lowest_latency}\n", "  strategy: latency\n"},
        {"  strategy: round-robin\n", "  strategy: round_robin\n"},
        {"  strategy: weighted\n", "  strategy: weighted_round_robin\n"},
        {"  strategy: priority\n", "  strategy: ordered\n"},
        {"  fallback: {strategy: round-robin}\n", "  strategy: round_robin\n"},
        {"  fallback: {retry_on: [5xx, timeout, rate_limit], max_retries: 2, latency_window: 5m}\n",
         "  fallback: {triggers: [server_error, timeout, rate_limit], max_fallback_attempts: 2}\n"
         "  routing: {window_seconds: 300}\n"},
        {"provider_routing: {strategy: lowest_latency, min_sample_count: 9}\n",
         "  strategy: latency\n  routing: {min_sample_count: 9}\n"},
        {"provider_fallback: {triggers: [rate_limit_exceeded, timeout, service_unavailable], content_policy: "
         "stop}\n",
         "  fallback: {triggers: [rate_limit, server_error, timeout]}\n"},
        {"  circuit_breaker: {recovery_timeout: 45s}\n",
         "  circuit_breaker: {recovery_timeout_seconds: 45}\n"},
        {"  circuit_breaker: {recovery_timeout: 45}\n",
         "  circuit_breaker: {recovery_timeout_seconds: 45}\n"},
        {"  circuit_breaker: {cooldown: 2m}\n", "  circuit_breaker: {cooldown_seconds: 120}\n"},
        {"  retry: {initial_delay: 250ms, max_delay: 10s, backoff_multiplier: 3, retryable_codes: [429]}\n",
         "  retry: {initial_delay_ms: 250, max_delay_ms: 10000, multiplier: 3, on_status: [429]}\n"},
        {"size_limits: {max_body_bytes: 5000, max_response_bytes: 6000}\n",
         "limits: {max_body_bytes: 5000, max_response_bytes: 6000}\n"},
        {"limits: {total_seconds: 3}\nsize_limits: {max_body_bytes: 5000}\n",
         "limits: {total_seconds: 3, max_body_bytes: 5000}\n"},
    };
    for (const auto &s : root)
        EXPECT_EQ(effective(base + two + s.other), effective(base + two + s.ours)) << s.other;
    const struct {
        const char *other, *ours;
    } at_target[] = {
        {"zdr: true", "data_policy: {zero_data_retention: true}"},
        {"data_policy: {zdr: true}", "data_policy: {zero_data_retention: true}"},
        {"data_collection: deny", "data_policy: {training_opt_out: true}"},
        {"data_collection: allow", "data_policy: {training_opt_out: false}"},
        {"data_policy: {retention_days: 3}\n      zdr: true",
         "data_policy: {retention_days: 3, zero_data_retention: true}"},
    };
    for (const auto &s : at_target)
        EXPECT_EQ(effective(target + "      " + s.other + "\n"), effective(target + "      " + s.ours + "\n"))
            << s.other;
}

TEST(Spellings, BadValuesKeepTheirPlace)
{
    EXPECT_EQ(Loaded(base + two + "  circuit_breaker: {recovery_timeout: soon}\n").errors(), 1u);
    EXPECT_EQ(Loaded(base + two + "  circuit_breaker: {recovery_timeout: 500ms}\n").all().back(),
              "E004@9:39 providers.circuit_breaker.recovery_timeout")
        << "half a second is no whole second";
    EXPECT_EQ(Loaded(base + two + "  retry: {max_delay: 9999999999s}\n").errors(), 1u);
    EXPECT_EQ(Loaded(base + "size_limits: {max_body_bytes: 3}\n").all(),
              Lines{"E004@5:31 limits.max_body_bytes"});
    EXPECT_EQ(Loaded(base + "size_limits: {max_bytes: 3}\n").all(), Lines{"E002@5:15 limits.max_bytes"});
    EXPECT_EQ(Loaded(base + "size_limits: 3\n").all(), Lines{"E004@5:14 limits"});
    EXPECT_EQ(Loaded(target + "      data_collection: maybe\n").all(),
              Lines{"E004@10:24 providers.targets[0].data_collection"});
    EXPECT_EQ(Loaded(target + "      zdr: [x]\n").errors(), 1u);
    EXPECT_EQ(Loaded(base + "provider_routing: {strategy: latency}\n").all(),
              (Lines{"E005@5:19 providers.targets"}));
}

TEST(Spellings, TwoForOneSettingMustBeDecidedByTheUser)
{
    EXPECT_EQ(
        Loaded(base + "limits: {max_body_bytes: 5000}\nsize_limits: {max_body_bytes: 6000}\n").line(),
        "t.yaml:6:15: error[E004] size_limits: is another spelling of 'limits.max_body_bytes', which is "
        "set too (keep one of them)");
    EXPECT_EQ(Loaded(base + two + "  retry: {max_delay: 1s, max_delay_ms: 1000}\n").errors(), 1u);
    EXPECT_EQ(Loaded(target + "      zdr: true\n      data_policy: {zero_data_retention: false}\n").all(),
              Lines{"E004@10:7 providers.targets[0].zdr"});
}

TEST(Spellings, TheLaterLayerWinsWhateverItsSpelling)
{
    Scratch s;
    std::string ours = s.write("a.yaml", base + "limits: {max_body_bytes: 5000}\n");
    std::string other = s.write("b.yaml", base + "size_limits: {max_body_bytes: 6000}\n");
    EXPECT_EQ(Loaded({ours, other})->limits.max_body_bytes, 6000);
    EXPECT_EQ(Loaded({other, ours})->limits.max_body_bytes, 5000);
}

TEST(Spellings, KnownButNotToBeHad)
{
    for (const char *key :
         {"callbacks", "loads", "history", "gateway", "failover", "routes", "model_groups", "rate_limits"}) {
        Loaded l(base + key + ": {a: 1}\n");
        EXPECT_EQ(l.all(), Lines{std::string("E007@5:1 ") + key});
        EXPECT_NE(l.line().find(" ("), std::string::npos) << "with a way out: " << l.line();
    }
    EXPECT_EQ(Loaded(base + two + "  ab_test: {enabled: true}\n").all(), Lines{"E007@9:3 providers.ab_test"});
    EXPECT_EQ(Loaded(target + "      azure_deployment: x\n").all(),
              Lines{"E007@10:7 providers.targets[0].azure_deployment"});
    EXPECT_EQ(Loaded(target + "      azure_deployment: x\ncallbacks: {enabled: false}\n").all(),
              Lines{"E007@10:7 providers.targets[0].azure_deployment"})
        << "what is off is no part of the next one's path";
    Loaded key(target + "      api_key: sk-000000000000000000000000\n");
    EXPECT_EQ(key.line(),
              "t.yaml:10:7: error[E004] providers.targets[0].api_key: a key does not belong in this "
              "file (secret_key_ref: {env: NAME_OF_A_VARIABLE})");
}

TEST(Spellings, KindsOfTheCatalogueAreNoTypos)
{
    Loaded l("pack: {name: t, version: 1.0.0}\npolicies:\n  chain: [rbac]\n");
    EXPECT_EQ(l.all(), Lines{"E001@3:11 policies.chain[0]"});
    EXPECT_NE(l.line().find("'rbac' is known, but not available in this version"), std::string::npos);
    EXPECT_EQ(l.line().find("did you mean"), std::string::npos);
    Loaded typo("pack: {name: t, version: 1.0.0}\npolicies:\n  chain: [audit-loger]\n");
    EXPECT_NE(typo.line().find("did you mean 'audit-logger'?"), std::string::npos) << typo.line();
}

TEST(Spellings, ProvidersByName)
{
    const struct {
        const char *name, *url, *env;
    } known[] = {
        {"anthropic", "https://api.anthropic.com/v1", "ANTHROPIC_API_KEY"},
        {"groq", "https://api.groq.com/openai/v1", "GROQ_API_KEY"},
        {"together", "https://api.together.xyz/v1", "TOGETHER_API_KEY"},
        {"openrouter", "https://openrouter.ai/api/v1", "OPENROUTER_API_KEY"},
        {"deepseek", "https://api.deepseek.com/v1", "DEEPSEEK_API_KEY"},
        {"xai", "https://api.x.ai/v1", "XAI_API_KEY"},
        {"ollama", "http://localhost:11434/v1", nullptr},
        {"vllm", "http://localhost:8000/v1", nullptr},
    };
    for (const auto &k : known) {
        Loaded l(base + "providers: {targets: [{id: a, provider: '" + k.name + ":chat:m'}]}\n");
        ASSERT_EQ(l.all(), Lines{}) << k.name;
        EXPECT_STREQ(l->providers.targets[0].base_url, k.url);
        EXPECT_STREQ(l->providers.targets[0].secret_key_ref.env, k.env);
        EXPECT_STREQ(l->providers.targets[0].api_key_header, "Authorization");
    }
    std::string azure = base + "providers: {targets: [{id: a, provider: azure-openai, model: m";
    EXPECT_EQ(Loaded(azure + "}]}\n").all(), Lines{"E005@5:23 providers.targets[0].base_url"});
    Loaded l(azure + ", base_url: 'https://r.openai.azure.com/openai/v1'}]}\n");
    ASSERT_EQ(l.all(), Lines{});
    EXPECT_STREQ(l->providers.targets[0].api_key_header, "api-key");
    EXPECT_STREQ(l->providers.targets[0].api_key_prefix, "");
    Loaded own(azure + ", base_url: 'https://r.openai.azure.com/openai/v1', api_key_header: Authorization, "
                       "api_key_prefix: Bearer}]}\n");
    EXPECT_STREQ(own->providers.targets[0].api_key_header, "Authorization") << "what the user says stands";
}

TEST(Sections, LimitsAndPricesForTheRouter)
{
    Loaded l(base + "limits: {max_cost_per_request: 0.5, budget: {usd: 5, window_seconds: 60}}\n"
                    "global_rate_limit: {max_requests: 7, window_seconds: 60}\n"
                    "token_rate_limit: {max_tokens: 8, window_seconds: 61, scope: user}\n"
                    "user_rate_limit: {max_requests: 9, window_seconds: 62}\n");
    ASSERT_EQ(l.code, KT_OK) << l.line();
    EXPECT_EQ(l.all(), (Lines{"W006@5:32 limits.max_cost_per_request", "W006@5:45 limits.budget"}))
        << "no target has a price";
    EXPECT_DOUBLE_EQ(l->limits.budget.usd, 5);
    EXPECT_EQ(l->limits.budget.window_seconds, 60);
    EXPECT_EQ(l->global_rate_limit.max, 7);
    EXPECT_EQ(l->token_rate_limit.window.max, 8);
    EXPECT_STREQ(l->token_rate_limit.scope, "user");
    EXPECT_EQ(l->user_rate_limit.window.window_seconds, 62);
    ASSERT_EQ(l->user_rate_limit.header_names.count, 1u);
    EXPECT_STREQ(l->user_rate_limit.header_names.items[0], "x-user-id");
    Loaded none(target);
    EXPECT_EQ(none->global_rate_limit.window_seconds, 0);
    EXPECT_LT(none->limits.max_cost_per_request, 0);
    EXPECT_EQ(none->providers.targets[0].data_policy.retention_days, -1) << "not known is not zero";
    EXPECT_LT(none->providers.targets[0].pricing.prompt, 0);
    EXPECT_EQ(Loaded(base + "global_rate_limit: {max_requests: 7}\n").all(),
              (Lines{"E005@5:20 global_rate_limit.window_seconds"}));
    EXPECT_EQ(Loaded(base + "limits: {budget: {window_seconds: 7}}\n").all()[0],
              "E005@5:18 limits.budget.usd");
    EXPECT_EQ(Loaded(target + "      data_policy: {retention_days: -1}\n").all(),
              Lines{"E004@10:37 providers.targets[0].data_policy.retention_days"})
        << "not known is said by not saying it";
}

} // namespace
