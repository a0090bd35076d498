/* SPDX-License-Identifier: Apache-2.0 */
/* Every setting that the public pages name is known here: it is acted on, or the lint says what to write
 * instead (E007), or that it has no effect (W001). None is an unknown key. */
#include "tests/unit/config_fixture.h"

using kt::Lines;
using kt::Loaded;

namespace {

std::string policy(const std::string &kind, const std::string &body)
{
    return "pack: {name: t, version: 1.0.0}\npolicies: {chain: [" + kind + "]}\npolicy: {" + kind + ": {" +
           body + "}}\n";
}

std::string code_of(const Loaded &l)
{
    return l.all().empty() ? "" : l.all()[0].substr(0, 4);
}

struct Policy {
    const char *kind;
    std::vector<const char *> acted, refused;
};

const char asserts[] = "assertions: [{type: contains, value: x}], ";

const Policy policies[] = {
    {"prompt-injection",
     {"embedding_threshold: 0.75", "threshold: 0.8", "backend: local", "attack_patterns: [xyz]",
      "detection: {attack_patterns: [xyz]}",
      "encoding: {decode_base64: true, normalize_unicode: true, detect_homoglyphs: true}",
      "boundaries: {enforce_delimiters: true, reject_fake_boundaries: true}",
      "response: {action: block, message: hi, log_level: warn}", "action: block"},
     {"streaming_mode: realtime"}},
    {"pii-detector",
     {"action: block", "healthcare_mode: true", "pci_mode: false", "detect_patterns: [passport]",
      "entities: [email]",
      "redaction: {marker_format: label, include_metadata: true, preserve_length: false, custom_markers: "
      "{}}"},
     {"categories: [email]", "streaming_mode: buffered"}},
    {"safety-filter",
     {"mode: critical_infrastructure", "mode: automotive", "mode: education", "mode: law_enforcement",
      "mode: strict", "block_if: [x]", "action: escalate", "fuzzy_matching: true", "max_distance: 1",
      "max_age: 0"},
     {"streaming_mode: buffered"}},
    {"audit-logger",
     {"immutable: true", "retention_days: 365", "hipaa_audit_controls: false", "log_all_access: true"},
     {"hipaa_audit_controls: true"}},
    {"dlp-filter",
     {"detect_patterns: [abc]", "blocked_terms: [x]", "action: block", "fuzzy_matching: true",
      "max_distance: 2", "sensitivity_level: restricted"},
     {"streaming_mode: buffered"}},
    {"agent-firewall",
     {"allowed_tools: [a]", "blocked_tools: [a]", "max_actions_per_session: 3"},
     {"tools: {roles: {a: [b]}}", "rate_limits: {a: 1}", "transaction_limits: {a: 1}", "kill_switches: [a]",
      "monitoring: {a: true}"}},
    {"data-routing-policy",
     {"require_zero_data_retention: true", "require_no_training: true", "max_retention_days: 3",
      "on_no_compliant_provider: warn", "log_provider_selection: true"},
     {}},
};

TEST(Published, SettingsOfPolicies)
{
    for (const Policy &p : policies) {
        for (const char *body : p.acted)
            EXPECT_EQ(Loaded(policy(p.kind, body)).line(), "") << p.kind << ": " << body;
        for (const char *body : p.refused) {
            Loaded l(policy(p.kind, body));
            EXPECT_EQ(code_of(l), "E007") << p.kind << ": " << body << l.line();
            EXPECT_EQ(l.all().size(), 1u) << l.line();
            EXPECT_NE(l.line().find(" ("), std::string::npos) << "says what to do: " << l.line();
        }
    }
}

TEST(Published, SettingsOfQualityScorer)
{
    for (const char *body :
         {"min_output_chars: 3", "min_sentences: 1", "thresholds: {min_aggregate: 0.5}",
          "weights: {contains: 1}", "pass_policy: {strategy: weighted_average, threshold: 0.5}",
          "failure_action: {action: block}", "mock_scoring: false"})
        EXPECT_EQ(Loaded(policy("quality-scorer", asserts + std::string(body))).line(), "") << body;
    for (const char *body :
         {"industry: finance", "mock_scoring: true", "providers: [x]", "benchmarks: {a: 1}"})
        EXPECT_EQ(code_of(Loaded(policy("quality-scorer", asserts + std::string(body)))), "E007") << body;
    for (const char *entry : {"name: n", "threshold: 0.5", "weight: 1.0", "enabled: true", "mode: audit",
                              "mode: shadow", "severity: critical", "negate: false", "case_sensitive: true"})
        EXPECT_EQ(Loaded(policy("quality-scorer",
                                "assertions: [{type: contains, value: x, " + std::string(entry) + "}]"))
                      .line(),
                  "")
            << entry;
    for (const char *entry : {"provider: x", "pack: y"})
        EXPECT_EQ(Loaded(policy("quality-scorer",
                                "assertions: [{type: contains, value: x, " + std::string(entry) + "}]"))
                      .all()[0]
                      .substr(0, 4),
                  "E007")
            << entry;
}

TEST(Published, KeysOfTheRoot)
{
    for (const char *key :
         {"health_monitor: {enabled: true}", "global_rate_limit: {max_requests: 1, window_seconds: 2}",
          "user_rate_limit: {max_requests: 1, window_seconds: 2, header_names: [x-user-id]}",
          "token_rate_limit: {max_tokens: 3, window_seconds: 3, scope: global}",
          "size_limits: {max_body_bytes: 10000, max_response_bytes: 20000}", "mirror: {enabled: false}",
          "testing: {suites: [{name: a, description: b, target: c, assertions: [], cases: []}]}"})
        EXPECT_EQ(Loaded(kt::base + key + "\n").line(), "") << key;
    for (const char *key :
         {"agents: {a: {}}", "ip_rate_limit: {max_requests: 1, window_seconds: 2, trust_proxy_depth: 0}",
          "testing: {default_threshold: 0.5, suites: []}"})
        EXPECT_EQ(code_of(Loaded(kt::base + key + "\n")), "W001") << key;
    for (const char *key :
         {"callbacks: {}", "loads: {}", "history: {}", "version: '1'", "includes: [x]", "gateway: {}",
          "failover: {}", "routes: []", "rate_limits: {}", "model_groups: []", "cache: {}", "redis: {}",
          "streaming_mode: realtime", "retry: {}", "model_mapping: {}", "mirror: {enabled: true}",
          "testing: {plugins: [x]}", "testing: {strategies: [x]}",
          "global_rate_limit: {max_requests: 1, window_seconds: 2, redis: x}"}) {
        Loaded l(kt::base + key + "\n");
        EXPECT_EQ(code_of(l), "E007") << key << l.line();
        EXPECT_NE(l.line().find(" ("), std::string::npos) << l.line();
    }
    Loaded single("policy: {name: x, version: 1.0.0, enabled: true}\n");
    EXPECT_NE(single.line().find("a document of a single policy is not read"), std::string::npos);
    EXPECT_EQ(single.line().find("E002"), std::string::npos) << single.line();
}

TEST(Published, KeysOfProviders)
{
    for (const char *key :
         {"routing: {strategy: ordered}",
          "routing: {strategy: latency, window_seconds: 3, min_sample_count: 5}",
          "fallback: {strategy: ordered, max_retries: 2, retry_on: [5xx, timeout, rate_limit], "
          "latency_window: 5m}",
          "circuit_breaker: {failure_threshold: 5, recovery_timeout_seconds: 3}",
          "circuit_breaker: {cooldown_seconds: 3}", "circuit_breaker: {half_open_max_requests: 3}",
          "retry: {max_attempts: 3, initial_delay: 500ms, max_delay: 10s, backoff_multiplier: 2.0, jitter: "
          "true, "
          "retryable_codes: [429]}",
          "ab_test: {enabled: false}"})
        EXPECT_EQ(Loaded(kt::target + "  " + key + "\n").line(), "") << key;
    for (const char *key :
         {"ab_test: {enabled: true}", "mirror: {enabled: true}", "model_groups: []",
          "fallback: {max_cost_per_1k_tokens: 2}", "circuit_breaker: {success_threshold: 3}",
          "retry: {timeout_seconds: 30}", "failover: {enabled: true}"})
        EXPECT_EQ(code_of(Loaded(kt::target + "  " + key + "\n")), "E007") << key;
}

TEST(Published, KeysOfTargets)
{
    for (const char *key :
         {"base_url: https://x/v1", "secret_key_ref: {env: A}", "timeout_seconds: 3",
          "stream_timeout_seconds: 3", "max_context_tokens: 3000", "format: openai", "provider_type: auto",
          "provider_type: openai", "description: x", "weight: 1.5", "pricing: {prompt: 1, completion: 2}",
          "health_probe: {enabled: true, interval_seconds: 3, timeout_seconds: 3}",
          "api_key_header: x-api-key", "api_key_prefix: ''",
          "data_policy: {zero_data_retention: false, training_opt_out: false, retention_days: 3}",
          "zdr: true", "data_collection: deny"})
        EXPECT_EQ(Loaded(kt::target + "      " + key + "\n").line(), "") << key;
    for (const char *key : {"secret_key_ref: {store: A}", "escalation_routing: {}", "azure_api_version: 3",
                            "azure_deployment: d", "path_template: x", "priority: 1", "max_price: 3",
                            "health_check: {interval_seconds: 3}", "streaming_mode: buffered"})
        EXPECT_EQ(code_of(Loaded(kt::target + "      " + key + "\n")), "E007") << key;
    EXPECT_EQ(code_of(Loaded(kt::target + "      provider_type: carrier-pigeon\n")), "E004");
}

/* ---- what is written, and does nothing or cannot be meant ---- */

TEST(Published, SlipsBelowTesting)
{
    EXPECT_EQ(Loaded(kt::base + "testing:\n  suits: []\n").all(), Lines{"E002@6:3 testing.suits"});
    EXPECT_EQ(Loaded(kt::base + "testing:\n  suites:\n    - nam: x\n      cases: []\n").all(),
              Lines{"E002@7:7 testing.suites[0].nam"});
    const std::string one = kt::base + "testing:\n  suites:\n    - name: x\n      cases:\n        - ";
    EXPECT_EQ(Loaded(one + "{name: a, inptu: {}}\n").all(),
              Lines{"E002@9:21 testing.suites[0].cases[0].inptu"});
    EXPECT_EQ(Loaded(one + "{name: a, input: {message: []}}\n").all(),
              Lines{"E002@9:29 testing.suites[0].cases[0].input.message"});
    EXPECT_EQ(Loaded(one + "{name: a, expected: {verdikt: block}}\n").all(),
              Lines{"E002@9:32 testing.suites[0].cases[0].expected.verdikt"});
    EXPECT_EQ(Loaded(one + "{name: a, expected: {verdict: blocked}}\n").all(),
              Lines{"E004@9:41 testing.suites[0].cases[0].expected.verdict"});
    EXPECT_EQ(Loaded(kt::base + "testing: {suites: {a: 1}}\n").all(), Lines{"E004@5:19 testing.suites"});
}

TEST(Published, BaseUrlsThatEndInAnEndpoint)
{
    for (const char *url : {"https://x/v1/chat/completions", "https://x/v1/chat/completions/",
                            "https://x/v1/v1", "https://x/v1/embeddings"})
        EXPECT_EQ(Loaded(kt::target + "      base_url: " + url + "\n").all(),
                  Lines{"E004@10:17 providers.targets[0].base_url"})
            << url;
}

TEST(Published, TargetsThatNoCallReaches)
{
    const std::string two = kt::base + "providers:\n  strategy: %s\n%s  targets:\n"
                                       "    - {id: a, provider: 'mistral:chat:m', weight: 0}\n"
                                       "    - {id: b, provider: 'mistral:chat:n', weight: 0}\n";
    auto with = [&](const std::string &strategy, const std::string &more) {
        std::string s = two;
        s.replace(s.find("%s"), 2, strategy);
        s.replace(s.find("%s"), 2, more);
        return s;
    };
    EXPECT_EQ(Loaded(with("weighted_round_robin", "")).all(), Lines{"E004@8:5 providers"});
    const std::string weight = " providers.targets[0].weight"; /* has no effect in order */
    EXPECT_EQ(Loaded(with("ordered", "")).all(), Lines{"W006@8:51" + weight});
    EXPECT_EQ(Loaded(with("ordered", "  fallback: {enabled: false}\n")).all(),
              (Lines{"W006@9:51" + weight, "W006@10:7 providers.targets[1]"}));
    EXPECT_EQ(Loaded(with("ordered", "  fallback: {max_fallback_attempts: 1}\n") +
                     "    - {id: c, provider: 'mistral:chat:o'}\n")
                  .all(),
              (Lines{"W006@9:51" + weight, "W006@11:7 providers.targets[2]"}));
}

/* ---- layers ---- */

TEST(Published, TheLaterLayerWinsInEverySpelling)
{
    kt::Scratch s;
    const struct {
        const char *first, *second, *effect;
    } pairs[] = {
        {"policy: {prompt-injection: {action: block}}\n",
         "policy: {prompt-injection: {response: {action: escalate}}}\n", "action: escalate"},
        {"policy: {prompt-injection: {response: {action: escalate}}}\n",
         "policy: {prompt-injection: {action: block}}\n", ""},
        {"policy: {prompt-injection: {threshold: 0.5}}\n",
         "policy: {prompt-injection: {embedding_threshold: 0.75}}\n", ""},
        {"policy: {prompt-injection: {}}\nlimits: {max_body_bytes: 5000}\n",
         "size_limits: {max_body_bytes: 6000}\n", ""},
        {"policy: {prompt-injection: {}}\nproviders: {strategy: latency, targets: [{id: a, provider: "
         "'mistral:chat:m'}]}\n",
         "provider_routing: {strategy: ordered}\n", ""},
        {"policy: {prompt-injection: {}}\nproviders: {circuit_breaker: {cooldown_seconds: 3}, targets: [{id: "
         "a, provider: "
         "'mistral:chat:m'}]}\n",
         "providers: {circuit_breaker: {recovery_timeout: 30s}}\n", ""},
        {"policy: {prompt-injection: {}}\nproviders: {retry: {initial_delay_ms: 3}, targets: [{id: a, "
         "provider: "
         "'mistral:chat:m'}]}\n",
         "providers: {retry: {initial_delay: 30ms}}\n", ""},
        {"policy: {prompt-injection: {}}\nproviders: {fallback: {triggers: [timeout]}, targets: [{id: a, "
         "provider: "
         "'mistral:chat:m'}]}\n",
         "provider_fallback: {retry_on: [5xx]}\n", ""},
    };
    for (const auto &p : pairs) {
        const std::string a = s.write("a.yaml",
                                      std::string("pack: {name: t, version: 1.0.0}\npolicies: {chain: "
                                                  "[prompt-injection]}\n") +
                                          p.first),
                          b = s.write("b.yaml", p.second);
        Loaded l(std::vector<std::string>{a, b});
        EXPECT_EQ(l.errors(), 0u) << p.first << p.second << l.line();
    }
    Loaded within(policy("prompt-injection", "action: block, response: {action: escalate}"));
    EXPECT_EQ(code_of(within), "E004") << "in one file they contradict";
}

} // namespace
