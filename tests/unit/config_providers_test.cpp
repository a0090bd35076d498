/* SPDX-License-Identifier: Apache-2.0 */
/* providers: targets, shorthand, auto-detection, strategies and their other spellings, keys. */
#include "policyengine/config/kt_address.h"
#include "policyengine/config/kt_schema.h"
#include "tests/unit/config_fixture.h"

#include <cstring>
#include <set>
#include <sys/stat.h>

using kt::base;
using kt::Lines;
using kt::Loaded;
using kt::Scratch;
using kt::target;

namespace {

const std::string two = "  targets:\n"
                        "    - {id: a, provider: 'mistral:chat:m'}\n"
                        "    - {id: b, provider: openai, model: n}\n";

/* providers: with two targets; `extra` starts on line 9. */
std::string with_two(const std::string &extra)
{
    return base + "providers:\n" + two + extra;
}

TEST(Providers, DefaultsOfATarget)
{
    Loaded l(target);
    ASSERT_EQ(l.code, KT_OK) << l.line();
    EXPECT_EQ(l.all(), Lines{});
    ASSERT_TRUE(l->has_providers);
    EXPECT_EQ(l->providers.strategy, KT_STRATEGY_SINGLE);
    EXPECT_FALSE(l->providers.fallback.enabled);
    ASSERT_EQ(l->providers.target_count, 1u);
    const kt_target &t = l->providers.targets[0];
    EXPECT_STREQ(t.base_url, "https://api.mistral.ai/v1");
    EXPECT_STREQ(t.secret_key_ref.env, "MISTRAL_API_KEY");
    EXPECT_EQ(t.timeout_seconds, 60);
    EXPECT_EQ(t.stream_timeout_seconds, 60);
    EXPECT_EQ(t.connect_timeout_seconds, 10);
    EXPECT_EQ(t.weight, 1.0);
    EXPECT_STREQ(t.format, "openai");
    EXPECT_STREQ(t.api_key_header, "Authorization");
    EXPECT_STREQ(t.api_key_prefix, "Bearer");
    EXPECT_EQ(t.tls.ca_file, nullptr);
}

TEST(Providers, EveryFieldOfATarget)
{
    Scratch s;
    s.write("ca.pem", kt::pem);
    std::string file = s.write(
        "c.yaml",
        target +
            "      base_url: https://llm.example.com:8443/v1///\n"
            "      secret_key_ref: {file: key.txt}\n"
            "      timeout_seconds: 5\n      stream_timeout_seconds: 600\n      connect_timeout_seconds: 2\n"
            "      format: openai\n      description: big one\n      api_key_header: x-api-key\n      "
            "api_key_prefix: ''\n"
            "      tls: {ca_file: ca.pem}\n");
    Loaded l(std::vector<std::string>{file});
    ASSERT_EQ(l.code, KT_OK) << l.line();
    EXPECT_EQ(l.all(), Lines{});
    const kt_target &t = l->providers.targets[0];
    EXPECT_STREQ(t.base_url, "https://llm.example.com:8443/v1");
    EXPECT_EQ(t.secret_key_ref.file, (s.dir / "key.txt").string()) << "beside the config";
    EXPECT_EQ(t.secret_key_ref.env, nullptr) << "the provider's default variable must not compete";
    EXPECT_EQ(t.timeout_seconds, 5);
    EXPECT_EQ(t.stream_timeout_seconds, 600);
    EXPECT_EQ(t.tls.ca_file, (s.dir / "ca.pem").string());
    EXPECT_STREQ(t.api_key_prefix, "");
    EXPECT_STREQ(t.api_key_header, "x-api-key");
}

TEST(Providers, Shorthand)
{
    Loaded l(base + "providers:\n  targets:\n    - {id: a, provider: 'mistral:chat:ft:open-7b:x'}\n");
    ASSERT_EQ(l.code, KT_OK) << l.line();
    EXPECT_STREQ(l->providers.targets[0].provider, "mistral");
    EXPECT_STREQ(l->providers.targets[0].model, "ft:open-7b:x");
    std::string head = base + "providers:\n  targets:\n    - id: a\n      provider: ";
    EXPECT_EQ(Loaded(head + "mistral:large\n").all(), Lines{"E004@8:17 providers.targets[0].provider"});
    EXPECT_EQ(Loaded(head + "'mistral:chat:'\n").all(), Lines{"E004@8:17 providers.targets[0].provider"});
    EXPECT_EQ(Loaded(head + "':chat:m'\n").all(), Lines{"E004@8:17 providers.targets[0].provider"});
    EXPECT_EQ(Loaded(head + "mistral:speech:m\n").all(), Lines{"E004@8:17 providers.targets[0].provider"});
    EXPECT_EQ(Loaded(head + "mistral:embedding:m\n").all(), Lines{"E007@8:17 providers.targets[0].provider"});
    EXPECT_EQ(Loaded(head + "mistral:chat:m\n      model: m\n").code, KT_OK);
    EXPECT_EQ(Loaded(head + "mistral:chat:m\n      model: n\n").all(),
              Lines{"E004@9:14 providers.targets[0].model"});
}

TEST(Providers, MissingFields)
{
    EXPECT_EQ(Loaded(base + "providers:\n").all(), (Lines{"E005@5:1 providers"}));
    EXPECT_EQ(Loaded(base + "providers: {strategy: single}\n").all(), Lines{"E005@5:12 providers.targets"});
    EXPECT_EQ(Loaded(base + "providers: {targets: []}\n").all(), Lines{"E004@5:22 providers.targets"});
    EXPECT_EQ(Loaded(base + "providers: {targets: {id: a}}\n").all(), Lines{"E004@5:22 providers.targets"});
    EXPECT_EQ(Loaded(base + "providers: {targets: [mistral]}\n").all(),
              Lines{"E004@5:23 providers.targets[0]"});
    EXPECT_EQ(Loaded(base + "providers: {targets: [{}]}\n").all(),
              (Lines{"E005@5:23 providers.targets[0].id", "E005@5:23 providers.targets[0].provider"}));
    EXPECT_EQ(Loaded(base + "providers: {targets: [{id: a, provider: mistral}]}\n").all(),
              Lines{"E005@5:23 providers.targets[0].model"});
    Loaded vague(base + "providers: {targets: [{id: a, provider: mistrall, model: m}]}\n");
    EXPECT_EQ(vague.all(), Lines{"E005@5:23 providers.targets[0].base_url"});
    EXPECT_NE(vague.line().find("did you mean 'mistral'?"), std::string::npos);
    EXPECT_EQ(
        Loaded(base +
               "providers: {targets: [{id: a, provider: mistrall, model: m, base_url: 'https://x.org'}]}\n")
            .all(),
        Lines{"W006@5:41 providers.targets[0].provider"});
    Loaded own(base +
               "providers: {targets: [{id: a, provider: vllm, model: m, base_url: 'https://x.org'}]}\n");
    ASSERT_EQ(own.all(), Lines{});
    EXPECT_EQ(own->providers.targets[0].secret_key_ref.env, nullptr) << "self-hosted endpoints need no key";
}

TEST(Providers, SameIdTwice)
{
    EXPECT_EQ(Loaded(base + "providers:\n  targets:\n    - {id: a, provider: 'mistral:chat:m'}\n"
                            "    - {id: a, provider: 'mistral:chat:n'}\n")
                  .all(),
              Lines{"E004@8:12 providers.targets[1].id"});
    EXPECT_EQ(Loaded(base + "providers: {targets: [{id: '', provider: 'mistral:chat:m'}]}\n").all(),
              Lines{"E004@5:28 providers.targets[0].id"});
    EXPECT_EQ(Loaded(base + "providers: {targets: [{id: \"a\\nb\", provider: 'mistral:chat:m'}]}\n").all(),
              Lines{"E004@5:28 providers.targets[0].id"});
}

TEST(Providers, BaseUrls)
{
    for (const char *bad :
         {"api.mistral.ai", "ftp://a.b", "https://", "https://user:pw@a.b/v1", "https://a.b?x=1",
          "https://a.b/#f", "https://a.b:0", "https://a.b:65536", "https://a.b:", "https://a b",
          "https://[::1", "https://[1.2.3.4]", "https://a.b:8o", "https://-a", "https://a.b/\\u00e4"})
        EXPECT_EQ(Loaded(target + "      base_url: \"" + bad + "\"\n").all(),
                  Lines{"E004@10:17 providers.targets[0].base_url"})
            << bad;
    Loaded secret(target + "      base_url: https://user:hunter2@a.b/v1\n");
    EXPECT_EQ(secret.line().find("hunter2"), std::string::npos) << "a password is never shown";
    for (const char *fine : {"http://localhost:1", "http://127.0.0.1:11434/v1", "http://[::1]:80",
                             "http://x.localhost", "https://10.0.0.1", "HTTPS://A.B"})
        EXPECT_EQ(Loaded(target + "      base_url: '" + fine + "'\n").all(), Lines{}) << fine;
    for (const char *clear :
         {"http://10.0.0.1", "http://a.b:80/v1", "http://127.0.0.1.evil.org", "http://localhost.evil.org"})
        EXPECT_EQ(Loaded(target + "      base_url: " + clear + "\n").all(),
                  Lines{"W003@10:17 providers.targets[0].base_url"})
            << clear;
}

TEST(Providers, SecretsAreReferencesAndNeverShown)
{
    const std::string key = "sk-live-0123456789";
    Loaded text(target + "      secret_key_ref: " + key + "\n");
    EXPECT_EQ(text.all(), Lines{"E004@10:23 providers.targets[0].secret_key_ref"});
    EXPECT_NE(text.line().find("never the key"), std::string::npos);
    Loaded literal(target + "      secret_key_ref: {env: " + key + "}\n");
    EXPECT_EQ(literal.all(), Lines{"E004@10:29 providers.targets[0].secret_key_ref.env"});
    Loaded api_key(target + "      api_key: " + key + "\n");
    EXPECT_EQ(api_key.all(), Lines{"E004@10:7 providers.targets[0].api_key"});
    for (const Loaded *l : {&text, &literal, &api_key})
        EXPECT_EQ(l->line().find(key), std::string::npos) << l->line();
    EXPECT_EQ(Loaded(target + "      secret_key_ref: {}\n").all(),
              Lines{"E005@10:23 providers.targets[0].secret_key_ref"});
    EXPECT_EQ(Loaded(target + "      secret_key_ref: {env: A, file: b}\n").all(),
              Lines{"E004@10:23 providers.targets[0].secret_key_ref"});
    EXPECT_EQ(Loaded(target + "      secret_key_ref: {store: x}\n").all(),
              Lines{"E007@10:24 providers.targets[0].secret_key_ref.store"});
    EXPECT_EQ(Loaded(target + "      secret_key_ref: {file: b, command: c}\n").all(),
              Lines{"E004@10:23 providers.targets[0].secret_key_ref"});
    EXPECT_EQ(Loaded(target + "      secret_key_ref: {command: ' '}\n").all(),
              Lines{"E004@10:33 providers.targets[0].secret_key_ref.command"});
}

TEST(Providers, HeadersAndFormat)
{
    EXPECT_EQ(Loaded(target + "      api_key_header: 'x: y'\n").all(),
              Lines{"E004@10:23 providers.targets[0].api_key_header"});
    EXPECT_EQ(Loaded(target + "      api_key_prefix: \"a\\r\\nb\"\n").all(),
              Lines{"E004@10:23 providers.targets[0].api_key_prefix"});
    EXPECT_EQ(Loaded(target + "      format: anthropic\n").all(),
              Lines{"E007@10:15 providers.targets[0].format"});
}

TEST(Providers, E008CaFile)
{
    Scratch s;
    std::string file = s.write("c.yaml", target + "      tls: {ca_file: none.pem}\n");
    Loaded l(std::vector<std::string>{file});
    EXPECT_EQ(l.line(), file + ":10:22: error[E008] providers.targets[0].tls.ca_file: cannot read " +
                            (s.dir / "none.pem").string() +
                            ": No such file or directory (a path from the folder of this config, or an "
                            "absolute one)");
    std::string folder = s.write("d.yaml", target + "      tls: {ca_file: .}\n");
    EXPECT_EQ(Loaded(std::vector<std::string>{folder}).all(),
              Lines{"E008@10:22 providers.targets[0].tls.ca_file"});
}

TEST(Providers, CaFileIsBesideTheLayerThatNamesIt)
{
    Scratch a, b;
    b.write("ca.pem", kt::pem);
    std::string lower = a.write("a.yaml", base);
    std::string upper = b.write(
        "b.yaml", "providers: {targets: [{id: a, provider: 'mistral:chat:m', tls: {ca_file: ca.pem}}]}\n");
    Loaded l({lower, upper});
    ASSERT_EQ(l.code, KT_OK) << l.line();
    EXPECT_EQ(l->providers.targets[0].tls.ca_file, (b.dir / "ca.pem").string());
}

TEST(Providers, SeveralTargetsAreOrdered)
{
    Loaded l(with_two(""));
    ASSERT_EQ(l.all(), Lines{});
    EXPECT_EQ(l->providers.strategy, KT_STRATEGY_ORDERED);
    EXPECT_TRUE(l->providers.fallback.enabled);
    EXPECT_EQ(l->providers.fallback.triggers,
              unsigned(KT_ON_RATE_LIMIT | KT_ON_SERVER_ERROR | KT_ON_TIMEOUT | KT_ON_CONNECTION_ERROR));
    EXPECT_EQ(l->providers.fallback.max_fallback_attempts, 3);
    EXPECT_STREQ(l->providers.targets[1].secret_key_ref.env, "OPENAI_API_KEY");
}

TEST(Providers, StrategySpellings)
{
    for (const char *s :
         {"  strategy: ordered\n", "  strategy: fallback\n", "  routing: {strategy: ordered}\n",
          "  routing: {strategy: fallback}\n", "  strategy: ordered\n  routing: {strategy: fallback}\n"}) {
        Loaded l(with_two(s));
        ASSERT_EQ(l.all(), Lines{}) << s;
        EXPECT_EQ(l->providers.strategy, KT_STRATEGY_ORDERED) << s;
    }
    Loaded single(with_two("  routing: {strategy: single}\n"));
    EXPECT_EQ(single.all(), Lines{"W006@9:23 providers.routing.strategy"});
    EXPECT_EQ(single->providers.strategy, KT_STRATEGY_SINGLE);
    EXPECT_FALSE(single->providers.fallback.enabled);
    EXPECT_EQ(Loaded(with_two("  strategy: single\n  routing: {strategy: ordered}\n")).all(),
              (Lines{"E004@9:13 providers.strategy", "W006@9:13 providers.strategy"}));
    EXPECT_EQ(Loaded(with_two("  strategy: ordred\n")).all(), Lines{"E004@9:13 providers.strategy"});
    EXPECT_EQ(Loaded(with_two("  strategy: ordered\n  routing: {strategy: [x]}\n")).all(),
              Lines{"E004@9:13 providers.strategy"});
}

TEST(Providers, TheStrategyOfALaterLayerWins)
{
    Scratch s;
    std::string a = s.write("a.yaml", with_two("  strategy: single\n"));
    std::string b = s.write("b.yaml", "providers: {routing: {strategy: ordered}}\n");
    Loaded l({a, b});
    ASSERT_EQ(l.code, KT_OK) << l.line();
    EXPECT_EQ(l->providers.strategy, KT_STRATEGY_ORDERED);
}

/* What the router has and what the config can say are the same. */
TEST(Providers, StrategiesAreThoseOfTheRouter)
{
    std::set<std::string> router;
#define KT_STRATEGY(name) router.insert(std::string(#name).substr(strlen("kt_strategy_")));
#include "interceptor/route/strategies.def"
#undef KT_STRATEGY
    std::set<int> ids;
    for (const std::string &s : router) {
        Loaded l(with_two("  strategy: " + s + "\n"));
        ASSERT_EQ(l.code, KT_OK) << l.line();
        ids.insert(l->providers.strategy);
        EXPECT_EQ(l->providers.fallback.enabled, s != "single") << s;
        EXPECT_EQ(l.all(), s == "single" || s == "cost" ? Lines{"W006@9:13 providers.strategy"} : Lines{})
            << s << ": cost needs prices";
    }
    EXPECT_EQ(ids.size(), router.size());
    for (auto [alias, name] : {std::pair<const char *, const char *>{"lowest_latency", "latency"},
                               {"round-robin", "round_robin"},
                               {"fallback", "ordered"},
                               {"lowest_cost", "cost"}})
        EXPECT_EQ(Loaded(with_two(std::string("  strategy: ") + alias + "\n"))->providers.strategy,
                  Loaded(with_two(std::string("  strategy: ") + name + "\n"))->providers.strategy);
}

TEST(Providers, Triggers)
{
    Loaded l(with_two(
        "  fallback:\n    triggers: [rate_limit_exceeded, timeout]\n    max_fallback_attempts: 1\n"));
    ASSERT_EQ(l.all(), Lines{});
    EXPECT_EQ(l->providers.fallback.triggers, unsigned(KT_ON_RATE_LIMIT | KT_ON_TIMEOUT));
    EXPECT_EQ(l->providers.fallback.max_fallback_attempts, 1);
    EXPECT_TRUE(l->providers.fallback.enabled);
    Loaded two_(with_two("  fallback: {triggers: [service_unavailable, connection_error]}\n"));
    EXPECT_EQ(two_->providers.fallback.triggers, unsigned(KT_ON_SERVER_ERROR | KT_ON_CONNECTION_ERROR));
    EXPECT_FALSE(Loaded(with_two("  fallback: {enabled: false}\n"))->providers.fallback.enabled);
    EXPECT_EQ(Loaded(with_two("  fallback: {triggers: [rate_limits]}\n")).all(),
              Lines{"E004@9:25 providers.fallback.triggers[0]"});
    EXPECT_EQ(Loaded(with_two("  fallback: {triggers: timeout}\n")).all(),
              Lines{"E004@9:24 providers.fallback.triggers"});
    EXPECT_EQ(Loaded(with_two("  fallback: {triggers: []}\n")).all(),
              Lines{"W006@9:24 providers.fallback.triggers"});
    EXPECT_EQ(Loaded(target + "  fallback: {enabled: true}\n").all(),
              Lines{"W006@10:23 providers.fallback.enabled"});
}

TEST(Providers, Resilience)
{
    Loaded l(with_two("  circuit_breaker: {failure_threshold: 2, cooldown_seconds: 9}\n"
                      "  retry: {max_attempts: 5, on_status: [429, 503]}\n"
                      "  fallback: {content_policy: fallback, context_window: fallback}\n"
                      "  routing: {window_seconds: 60, min_sample_count: 2}\n"));
    ASSERT_EQ(l.code, KT_OK) << l.line();
    EXPECT_EQ(l.all(), Lines{});
    EXPECT_TRUE(l->providers.circuit_breaker.enabled);
    EXPECT_EQ(l->providers.circuit_breaker.failure_threshold, 2);
    EXPECT_EQ(l->providers.circuit_breaker.recovery_timeout_seconds, 9)
        << "cooldown_seconds is its other name";
    EXPECT_TRUE(l->providers.retry.configured);
    EXPECT_EQ(l->providers.retry.on_status_count, 2u);
    EXPECT_EQ(l->providers.retry.on_status[1], 503);
    EXPECT_EQ(Loaded(with_two("  circuit_breaker: {enabled: false}\n")).all(), Lines{}) << "asks for nothing";
    EXPECT_EQ(
        Loaded(with_two(
                   "  circuit_breaker: {enabled: false, cooldown_seconds: 3, recovery_timeout_seconds: 3}\n"))
            .all(),
        Lines{"E004@9:37 providers.circuit_breaker"});
    EXPECT_EQ(Loaded(target + "      health_probe: {enabled: true}\n").all(), Lines{});
    EXPECT_EQ(Loaded(target + "      health_probe: {enabled: false}\n      provider_type: auto\n").all(),
              Lines{});
}

TEST(Providers, RetryStatuses)
{
    Loaded l(with_two(""));
    EXPECT_EQ(l->providers.retry.on_status_count, 5u);
    EXPECT_FALSE(l->providers.retry.configured);
    std::string list = "400";
    for (int i = 1; i < 17; i++)
        list += ", " + std::to_string(400 + i);
    EXPECT_EQ(Loaded(with_two("  retry: {on_status: [" + list + "]}\n")).all()[0],
              "E004@9:22 providers.retry.on_status");
    EXPECT_EQ(Loaded(with_two("  retry: {on_status: [200]}\n")).all()[0],
              "E004@9:23 providers.retry.on_status[0]");
}

TEST(Providers, TooManyTargets)
{
    std::string text = base + "providers:\n  targets:\n";
    for (int i = 0; i < 65; i++)
        text += "    - {id: t" + std::to_string(i) + ", provider: 'mistral:chat:m'}\n";
    EXPECT_EQ(Loaded(text).all(), Lines{"E004@7:5 providers.targets"});
}

/* ---- keys ---- */

struct Resolved {
    kt_code code;
    std::string value, error;
};

Resolved resolve(const char *env, const char *file)
{
    kt_target t = {};
    t.secret_key_ref.env = const_cast<char *>(env);
    t.secret_key_ref.file = const_cast<char *>(file);
    char *out = nullptr;
    kt_error err = {};
    Resolved r = {kt_secret_resolve(&t, &out, &err).code, out ? out : "", err.text};
    kt_free_secret(out);
    return r;
}

// A program that clears its environment is still asked for what it was started with.
TEST(Secrets, FromTheEnvironmentOfTheStart)
{
    pid_t pid = fork();
    if (pid == 0) {
        if (getenv("KT_TEST_GIVEN")) {
            clearenv();
            Resolved r = resolve("KT_TEST_GIVEN", nullptr), part = resolve("KT_TEST_GIVE", nullptr);
            setenv("KT_TEST_GIVEN", "newer", 1);
            _exit(r.value == "a key" && part.code == KT_ERR_NOTFOUND &&
                          resolve("KT_TEST_GIVEN", nullptr).value == "newer"
                      ? 0
                      : 1);
        }
        setenv("KT_TEST_GIVEN", "a key", 1);
        execl("/proc/self/exe", "t", "--gtest_filter=Secrets.FromTheEnvironmentOfTheStart", "--gtest_brief=1",
              nullptr);
        _exit(2);
    }
    int status = -1;
    waitpid(pid, &status, 0);
    EXPECT_EQ(status, 0);
}

TEST(Secrets, FromTheEnvironment)
{
    unsetenv("KT_TEST_KEY");
    EXPECT_EQ(resolve(nullptr, nullptr).code, KT_OK);
    EXPECT_EQ(resolve("KT_TEST_KEY", nullptr).code, KT_ERR_NOTFOUND);
    EXPECT_NE(resolve("KT_TEST_KEY", nullptr).error.find("KT_TEST_KEY"), std::string::npos);
    setenv("KT_TEST_KEY", " \n", 1);
    EXPECT_EQ(resolve("KT_TEST_KEY", nullptr).code, KT_ERR_NOTFOUND);
    setenv("KT_TEST_KEY", "secret-1 \n", 1);
    EXPECT_EQ(resolve("KT_TEST_KEY", nullptr).value, "secret-1");
    setenv("KT_TEST_KEY", "secret\r\nX-Evil: 1", 1);
    Resolved evil = resolve("KT_TEST_KEY", nullptr);
    EXPECT_EQ(evil.code, KT_ERR_USAGE);
    EXPECT_EQ(evil.value, "");
    EXPECT_EQ(evil.error.find("secret"), std::string::npos) << "an error never quotes the key";
    setenv("KT_TEST_KEY", std::string(17000, 'k').c_str(), 1);
    EXPECT_EQ(resolve("KT_TEST_KEY", nullptr).code, KT_ERR_LIMIT);
    unsetenv("KT_TEST_KEY");
}

TEST(Secrets, FromAFile)
{
    Scratch s;
    EXPECT_EQ(resolve(nullptr, s.write("good", "  abc\n").c_str()).value, "abc");
    EXPECT_EQ(resolve(nullptr, s.write("empty", "").c_str()).code, KT_ERR_NOTFOUND);
    EXPECT_EQ(resolve(nullptr, s.write("lines", "a\nb\n").c_str()).code, KT_ERR_USAGE);
    EXPECT_EQ(resolve(nullptr, s.write("nul", std::string("a\0b", 3)).c_str()).code, KT_ERR_USAGE);
    EXPECT_EQ(resolve(nullptr, s.write("edge", std::string(16384, 'k') + "\n").c_str()).value.size(), 16384u);
    EXPECT_EQ(resolve(nullptr, s.write("big", std::string(17000, 'k')).c_str()).code, KT_ERR_LIMIT);
    Resolved none = resolve(nullptr, (s.dir / "none").c_str());
    EXPECT_EQ(none.code, KT_ERR_NOTFOUND);
    EXPECT_NE(none.error.find("none: No such file"), std::string::npos) << none.error;
    EXPECT_EQ(resolve(nullptr, s.dir.c_str()).code, KT_ERR_NOTFOUND);
    ASSERT_EQ(mkfifo((s.dir / "fifo").c_str(), 0600), 0);
    EXPECT_EQ(resolve(nullptr, (s.dir / "fifo").c_str()).code, KT_ERR_NOTFOUND)
        << "and does not wait for a writer";
}

} // namespace
