/* SPDX-License-Identifier: Apache-2.0 */
/* The canonical form: what it shows, what it leaves out, and that loading it gives itself. */
#include "policyengine/config/kt_effective.h"
#include "policyengine/config/kt_read.h"
#include "tests/unit/config_fixture.h"

#include <clocale>
#include <random>

using kt::base;
using kt::Lines;
using kt::Loaded;
using kt::Scratch;
using kt::target;

namespace {

std::string yaml_of(const kt_node *n)
{
    kt_buf text = KT_BUF_INIT(4 << 20);
    EXPECT_EQ(kt_node_yaml(n, &text).code, KT_OK);
    std::string out(text.data ? text.data : "", text.len);
    kt_buf_free(&text);
    return out;
}

std::string effective(const kt_config *c)
{
    kt_node *tree = nullptr;
    EXPECT_EQ(kt_effective_tree(c, &tree).code, KT_OK);
    std::string out = tree ? yaml_of(tree) : "";
    kt_node_free(tree);
    return out;
}

/* The effective form of a text, checked to be its own. */
std::string of(const std::string &text)
{
    Loaded l(text);
    EXPECT_EQ(l.code, KT_OK) << l.line();
    if (l.code != KT_OK)
        return "";
    std::string once = effective(l.config.get());
    Loaded again(once);
    EXPECT_EQ(again.code, KT_OK) << again.line() << "\n" << once;
    EXPECT_EQ(again.code == KT_OK ? effective(again.config.get()) : "", once);
    return once;
}

bool has(const std::string &text, const std::string &part)
{
    return text.find(part) != std::string::npos;
}

TEST(Effective, UnsetOptionsAreLeftOut)
{
    std::string text = of(target);
    for (const char *absent :
         {"null", "description", "pricing", "retention_days: -1", "tls", "global_rate_limit",
          "user_rate_limit", "token_rate_limit", "max_cost_per_request", "budget", "max_price",
          "max_latency_ms", "retry:", "testing", "agents", "model_map", "secret_key_ref:\n        file"})
        EXPECT_FALSE(has(text, absent)) << absent << "\n" << text;
    EXPECT_TRUE(has(text, "    secret_key_ref:\n        env: MISTRAL_API_KEY\n")) << text;
    EXPECT_TRUE(has(text, "policy:\n  audit-logger:\n    immutable: true\n"));
    EXPECT_TRUE(has(text, "      stream_timeout_seconds: 60\n")) << "resolved";
    EXPECT_FALSE(has(of(base), "providers")) << "passing through is no providers at all";
    EXPECT_FALSE(has(of("pack: {name: t, version: 1.0.0}\npolicies: {chain: []}\n"), "policy:"));
}

TEST(Effective, EverythingAtOnce)
{
    std::string text = of(
        base +
        "providers:\n  strategy: cost\n  routing: {window_seconds: 60, max_latency_ms: 900, max_price: 2.5}\n"
        "  fallback: {triggers: [5xx], max_fallback_attempts: 1}\n"
        "  circuit_breaker: {cooldown_seconds: 9}\n  retry: {on_status: [429], multiplier: 1.25}\n"
        "  targets:\n    - {id: a, provider: 'mistral:chat:m', weight: 0.1, pricing: {prompt: 0, "
        "cached_prompt: 1e-3},\n"
        "       data_policy: {retention_days: 0}, secret_key_ref: {command: \"printf '%s' k\"}}\n"
        "mode: observe\nmodel_map: {'gpt: 4': m, 'true': n}\n"
        "limits: {max_cost_per_request: 0.25, budget: {usd: 5}}\n"
        "global_rate_limit: {max_requests: 9, window_seconds: 60}\n"
        "user_rate_limit: {max_requests: 9, window_seconds: 60, header_names: [x-a, x-b]}\n"
        "ip_rate_limit: {max_requests: 9, window_seconds: 60, trust_proxy_depth: 1}\n"
        "token_rate_limit: {max_tokens: 9000, window_seconds: 60}\n"
        "health_monitor: {enabled: true}\nagents: {a: [1, two, ~]}\n"
        "testing: {default_threshold: 0.5, suites: [{name: 'x: y', cases: []}]}\n");
    for (const char *part :
         {"  strategy: cost\n", "    max_latency_ms: 900\n    max_price: 2.5\n",
          "    triggers:\n      - server_error\n", "    recovery_timeout_seconds: 9\n",
          "    on_status:\n      - 429\n", "    multiplier: 1.25\n", "      weight: 0.1\n",
          "      pricing:\n        prompt: 0\n        cached_prompt: 0.001\n", "        retention_days: 0\n",
          "        command: \"printf '%s' k\"\n", "\"gpt: 4\": m\n", "\"true\": \"n\"\n",
          "  max_cost_per_request: 0.25\n  budget:\n    usd: 5\n    window_seconds: 86400\n",
          "global_rate_limit:\n  max_requests: 9\n  window_seconds: 60\n", "    - x-b\n",
          "  trust_proxy_depth: 1\n", "  max_tokens: 9000\n  window_seconds: 60\n  scope: global\n",
          "agents:\n  a:\n    - 1\n    - two\n    - null\n", "    - name: \"x: y\"\n      cases: []\n"})
        EXPECT_TRUE(has(text, part)) << part << "\n" << text;
    EXPECT_FALSE(has(text, "completion: ")) << "a price that is not known";
}

TEST(Effective, AKeyIsNeverShown)
{
    Scratch s;
    std::string key = s.write("key.txt", "not-a-real-key-0123\n");
    setenv("KT_TEST_EFFECTIVE_KEY", "not-a-real-key-0123", 1);
    for (const char *ref : {"{env: KT_TEST_EFFECTIVE_KEY}", "{file: key.txt}"}) {
        std::string file = s.write("c.yaml", target + "      secret_key_ref: " + std::string(ref) + "\n");
        Loaded l(std::vector<std::string>{file});
        ASSERT_EQ(l.code, KT_OK) << l.line();
        std::string text = effective(l.config.get());
        EXPECT_FALSE(has(text, "not-a-real-key")) << text;
        EXPECT_TRUE(has(text, "KT_TEST_EFFECTIVE_KEY") || has(text, key)) << "where it comes from, absolute";
    }
    unsetenv("KT_TEST_EFFECTIVE_KEY");
}

TEST(Effective, EveryPolicyTakesOnInternalError)
{
    std::string head =
        "pack: {name: t, version: 1.0.0}\npolicies: {chain: [audit-logger]}\nfail_mode: allow\n";
    Loaded plain(head + "policy: {audit-logger: {}}\n");
    EXPECT_EQ(plain->chain[0].on_internal_error, KT_ON_ERROR_FAIL_MODE);
    Loaded said(head + "policy: {audit-logger: {on_internal_error: block}}\n");
    EXPECT_EQ(said->chain[0].on_internal_error, KT_ON_ERROR_BLOCK);
    EXPECT_STREQ(said->chain[0].file, "t.yaml");
    EXPECT_EQ(said->chain[0].line, 4u);
    EXPECT_EQ(said->chain[0].col, 10u);
    EXPECT_TRUE(has(of(head + "policy: {audit-logger: {on_internal_error: allow}}\n"),
                    "    on_internal_error: allow\n"));
    EXPECT_EQ(Loaded(head + "policy: {audit-logger: {on_internal_error: x}}\n").all(),
              Lines{"E004@4:44 policy.audit-logger.on_internal_error"});
    EXPECT_NE(Loaded(head + "policy: {audit-logger: {on_internal_eror: x}}\n")
                  .line()
                  .find("did you mean 'on_internal_error'?"),
              std::string::npos);
}

TEST(Effective, APackThatIsOffHasNothing)
{
    std::string text =
        of("pack: {name: t, version: 1.0.0, enabled: false}\npolicies: {chain: [audit-logger]}\n"
           "policy: {audit-logger: {}}\nproviders: {targets: [{id: a, provider: 'mistral:chat:m'}]}\n");
    EXPECT_TRUE(has(text, "  enabled: false\npolicies:\n  chain: []\nmode: enforce\n")) << text;
}

/* Texts that a YAML reader could take for something else, and all bytes that a value may hold. */
TEST(Effective, EveryTextComesBackAsItWas)
{
    std::vector<std::string> texts = {"",
                                      " ",
                                      "a ",
                                      " a",
                                      "true",
                                      "False",
                                      "NO",
                                      "on",
                                      "y",
                                      "null",
                                      "~",
                                      "1",
                                      "-1",
                                      "+1",
                                      "0x10",
                                      "1e3",
                                      ".5",
                                      "1_000",
                                      "1:30",
                                      "-",
                                      "- a",
                                      "? a",
                                      ": a",
                                      "a: b",
                                      "a:",
                                      "a #b",
                                      "#a",
                                      "&a",
                                      "*a",
                                      "!a",
                                      "|",
                                      ">",
                                      "%a",
                                      "@a",
                                      "`a",
                                      "'a'",
                                      "\"a\"",
                                      "[a]",
                                      "{a}",
                                      "a,b",
                                      "a\nb",
                                      "\ta",
                                      "a\\b",
                                      "---",
                                      "...",
                                      "https://a.b:8/c",
                                      "1.0.0",
                                      "127.0.0.1",
                                      "2026-01-02",
                                      "=",
                                      "<<",
                                      "\x7f",
                                      "\x01",
                                      "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80",
                                      "\xe2\x80\xa8",
                                      "\xef\xbb\xbf",
                                      "a\xc2\x85z",
                                      "\xc2\x9f",
                                      "\xc2\xa0",
                                      "\xef\xbf\xbf",
                                      "\xe2\x80\xa9",
                                      "$HOME",
                                      "/a/b",
                                      "a'b",
                                      "~/x"};
    std::mt19937 random(7);
    const std::string alphabet = " \t\n:#-?,[]{}&*!|>'\"%@`\\~=<ab1.+_\x01\x1f";
    for (int i = 0; i < 3000; i++) {
        std::string s;
        for (unsigned n = random() % 8; n > 0; n--)
            s += alphabet[random() % alphabet.size()];
        texts.push_back(s);
    }
    for (const auto &text : texts) {
        kt_node *list = kt_node_list(), *back = nullptr;
        ASSERT_EQ(kt_node_add_item(list, kt_node_scalar(text.c_str(), false)).code, KT_OK);
        std::string yaml = yaml_of(list);
        kt_diags diags = {};
        kt_source src = {"t", 0, yaml.data(), yaml.size()};
        EXPECT_EQ(kt_yaml_parse(&src, &diags, &back).code, KT_OK) << "'" << text << "' as " << yaml;
        if (back && back->count == 1 && back->items[0]->kind == KT_NODE_SCALAR)
            EXPECT_EQ(back->items[0]->text, text) << yaml;
        else
            ADD_FAILURE() << "'" << text << "' as " << yaml;
        kt_diags_free(&diags);
        kt_node_free(back);
        kt_node_free(list);
    }
}

TEST(Effective, NumbersAreShortAndExactInEveryLocale)
{
    struct Back {
        ~Back()
        {
            setlocale(LC_ALL, "C");
        }
    } back;
    for (const char *locale : {"C", "de_DE.UTF-8", "fr_FR.UTF-8", "ps_AF.UTF-8"}) {
        setlocale(LC_ALL, locale); /* where it is installed */
        char text[32];
        for (auto [value, want] : {std::pair<double, const char *>{0.8, "0.8"},
                                   {2, "2"},
                                   {1e-6, "1e-06"},
                                   {0.1 + 0.2, "0.30000000000000004"},
                                   {1e15, "1e+15"},
                                   {-0.25, "-0.25"},
                                   {123456789.125, "123456789.125"}}) {
            double again = 0;
            kt_format_float(value, text);
            EXPECT_STREQ(text, want) << locale;
            ASSERT_TRUE(kt_parse_float(text, &again)) << text;
            EXPECT_EQ(again, value);
        }
    }
}

TEST(Effective, LayersGiveOneForm)
{
    Scratch s;
    std::string a = s.write("a.yaml", target),
                b = s.write("b.yaml", "mode: observe\npack: {version: 2.0.0}\n");
    Loaded l({a, b});
    ASSERT_EQ(l.code, KT_OK) << l.line();
    std::string once = effective(l.config.get());
    EXPECT_EQ(of(once), once);
    EXPECT_TRUE(has(once, "  version: 2.0.0\n") && has(once, "\nmode: observe\n"));
}

TEST(Effective, APartThatIsTooLargeForOneFileIsRefused)
{
    Scratch s;
    std::string head = "testing: {suites: [", many;
    for (int i = 0; i < 15000; i++)
        many += "a,";
    std::string one = s.write("a.yaml", base), two = s.write("b.yaml", "agents: {x: [" + many + "]}\n"),
                three = s.write("c.yaml", "agents: {y: [" + many + "]}\n");
    Loaded l({one, two, three});
    ASSERT_EQ(l.code, KT_OK) << l.line();
    kt_node *tree = nullptr;
    EXPECT_EQ(kt_effective_tree(l.config.get(), &tree).code, KT_ERR_LIMIT);
    EXPECT_EQ(tree, nullptr);
}

} // namespace
