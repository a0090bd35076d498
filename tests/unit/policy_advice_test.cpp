/* SPDX-License-Identifier: Apache-2.0 */
/* Settings that say nothing, contradict each other or cannot work: `kt policy lint` says so, at the setting.
 */
#include "tests/unit/config_fixture.h"

#include <algorithm>
#include <sys/wait.h>

using kt::Scratch;

namespace {

const std::string head = "pack: {name: t, version: 1.0.0}\npolicies: {chain: [";
const std::string target = "providers:\n  targets:\n    - id: a\n      provider: mistral\n      model: m\n";

struct Case {
    const char *kind; /* in the chain; its block, or what follows the chain where the kind is "" */
    std::string block;
    std::string says; /* "line:col: severity[code] path: |part of the text" */
    int status;
};

class Advice : public ::testing::Test {
  protected:
    Advice()
    {
        s.write("text.pem", "hello\n");
        s.write("empty.pem", "");
        s.write("cut.pem", "-----BEGIN CERTIFICATE-----\nMIIDdzCCAl+gAwIBAgIEAgAAuTANBgkqhkiG9w0BAQUFADBa\n"
                           "-----END CERTIFICATE-----\n");
        s.write("key.pem", "-----BEGIN PRIVATE KEY-----\nMAMCAQE=\n-----END PRIVATE KEY-----\n");
        s.write("der.pem", std::string("\x30\x03\x02\x01\x00", 5));
        s.write("good.pem", "# a comment in front\n" + kt::pem);
    }
    std::string lint(const std::string &args, int *status)
    {
        auto bin = std::filesystem::read_symlink("/proc/self/exe").parent_path().parent_path() / "bin" / "kt";
        std::string out, command = "cd '" + s.dir.string() +
                                   "' && env -u KT_POLICY_CONFIG MISTRAL_API_KEY=k '" + bin.string() +
                                   "' policy lint " + args + " 2>&1";
        FILE *p = popen(command.c_str(), "r");
        char piece[4096];
        for (size_t n; p && (n = fread(piece, 1, sizeof piece, p)) > 0;)
            out.append(piece, n);
        int st = p ? pclose(p) : -1;
        *status = WIFEXITED(st) ? WEXITSTATUS(st) : -1;
        return out;
    }
    void check(const Case &c)
    {
        const std::string kind = c.kind;
        s.write("c.yaml",
                head + kind + "]}\n" + (kind.empty() ? "" : "policy:\n  " + kind + ":\n") + c.block);
        int status = 0;
        std::string out = lint("c.yaml", &status), place = c.says.substr(0, c.says.find('|'));
        EXPECT_EQ(status, c.status) << c.block << out;
        EXPECT_EQ(out.find("c.yaml:" + place), 0u) << c.block << out;
        EXPECT_NE(out.find(c.says.substr(c.says.find('|') + 1)), std::string::npos) << c.block << out;
        EXPECT_EQ(std::count(out.begin(), out.end(), '\n'), 2) << "one complaint\n" << out;
    }
    Scratch s;
};

/* Money is counted where prices are known, weights where turns are taken by them. */
TEST_F(Advice, PricesWeightsAndAddressesThatAreMissing)
{
    const std::string b = "    - {id: b, provider: mistral, model: n}\n",
                      price = "pricing: {prompt: 1, completion: 2}";
    const Case cases[] = {
        {"", target + "limits: {budget: {usd: 1}}\n",
         "8:18: warning[W006] limits.budget: |no target has pricing", 0},
        {"", "limits: {budget: {usd: 1}}\n", "3:18: warning[W006] limits.budget: |without providers", 0},
        {"", target + "      " + price + "\n" + b + "limits: {max_cost_per_request: 1}\n",
         "10:32: warning[W006] limits.max_cost_per_request: |the target 'b', which has no pricing", 0},
        {"", target + "      pricing: {completion: 1}\n  routing: {max_price: 1}\n",
         "9:24: warning[W006] providers.routing.max_price: |no target has pricing", 0},
        {"", target + b + "  strategy: cost\n", "9:13: warning[W006] providers.strategy: |no target has", 0},
        {"", target + "      weight: 0.7\n" + b,
         "8:15: warning[W006] providers.targets[0].weight: |weighted_round_robin", 0},
        {"", target + "      base_url: https://api.mistral.ai/\n",
         "8:17: warning[W006] providers.targets[0].base_url: |(https://api.mistral.ai/v1)", 0},
        {"", target + "      base_url: https://API.groq.com/v1\n",
         "8:17: warning[W006] providers.targets[0].base_url: |is at /openai/v1", 0},
        {"safety-filter", "    block_if: [weapons, matur]\n",
         "5:25: warning[W006] policy.safety-filter.block_if[1]: |did you mean 'mature'?", 0},
    };
    for (const Case &c : cases)
        check(c);
    for (const std::string &good :
         {target + "      " + price +
              "\n  routing: {max_price: 1}\nlimits: {max_cost_per_request: 1, budget: {usd: 1}}\n",
          target + "      " + price + "\n" + b + "  strategy: cost\n", target + "      weight: 0.7\n",
          target + b + "      \n  strategy: ordered\n",
          target + "      base_url: https://api.mistral.ai/v1/x\n",
          target + "      base_url: https://api.mistral.ai.example.org\n"}) {
        int status = 0;
        s.write("c.yaml", head + "]}\n" + good);
        EXPECT_NE(lint("c.yaml", &status).find(", 0 warnings\n"), std::string::npos) << good;
    }
}

TEST_F(Advice, SettingsThatNothingHeeds)
{
    const Case cases[] = {
        {"dlp-filter", "    detect_patterns: ['a+', 'x\\\\?', '(?:a|b)?c', '<b>.+?</b>']\n",
         "5:50: warning[W006] policy.dlp-filter.detect_patterns[3]: |lazy repeat", 0},
        {"pii-detector", "    action: block\n    redaction:\n      restore: true\n",
         "7:16: warning[W006] policy.pii-detector.redaction.restore: |action: redact", 0},
        {"pii-detector", "    action: block\n    redaction: {custom_markers: {EMAIL: x}}\n",
         "6:33: warning[W006] policy.pii-detector.redaction.custom_markers: |replaces nothing", 0},
        {"pii-detector", "    redaction: {marker_format: partial, include_metadata: true}\n",
         "5:59: warning[W006] policy.pii-detector.redaction.include_metadata: |marker_format: label", 0},
        {"pii-detector", "    entities: [email, ip]\n    kinds: {ip: off}\n",
         "6:17: warning[W006] policy.pii-detector.kinds.ip: |kinds wins", 0},
        {"pii-detector", "    entities: [email]\n    kinds: {ip: off}\n",
         "6:17: warning[W006] policy.pii-detector.kinds.ip: |entities does not name it", 0},
        {"pii-detector", "    detect_patterns: [passport]\n    kinds: {passport: off}\n",
         "6:23: warning[W006] policy.pii-detector.kinds.passport: |detect_patterns too", 0},
        {"pii-detector", "    kinds: {card: off, credit_card: on}\n",
         "5:19: warning[W006] policy.pii-detector.kinds.card: |'credit_card' below names the same kind and "
         "wins",
         0},
        {"pii-detector", "    entities: [email]\n    pci_mode: true\n",
         "6:15: warning[W006] policy.pii-detector.pci_mode: |beside entities", 0},
        {"language-validator", "    allowed_languages: [en, fr]\n    blocked_languages: [FR]\n",
         "5:29: warning[W006] policy.language-validator.allowed_languages[1]: |blocked_languages too", 0},
        {"agent-firewall", "    allowed_tools: [a, run_cmd]\n    blocked_tools: ['RUN_*']\n",
         "5:24: warning[W006] policy.agent-firewall.allowed_tools[1]: |'run_cmd' is blocked by "
         "blocked_tools[0]",
         0},
        {"agent-firewall", "    blocked_tools: ['^run$']\n",
         "5:21: warning[W006] policy.agent-firewall.blocked_tools[0]: |'^' is in no tool's name", 0},
        {"dlp-filter", "    blocked_terms: [ok, '!!!']\n",
         "5:25: warning[W006] policy.dlp-filter.blocked_terms[1]: |signs only", 0},
        {"dlp-filter", "    blocked_terms: [ok]\n    max_distance: 2\n",
         "6:19: warning[W006] policy.dlp-filter.max_distance: |without fuzzy_matching", 0},
        {"safety-filter", "    moderation_model: m\n",
         "5:23: warning[W006] policy.safety-filter.moderation_model: |engine: mistral-moderation", 0},
        {"prompt-injection", "    action: warn\n    response: {message: no}\n",
         "6:25: warning[W006] policy.prompt-injection.response.message: |no client reads it", 0},
        {"prompt-injection", "    threshold: 0\n",
         "5:16: warning[W006] policy.prompt-injection.threshold: |every text", 0},
        {"quality-scorer",
         "    min_sentences: 2\n    pass_policy:\n      strategy: all\n      threshold: 0.5\n",
         "8:18: warning[W006] policy.quality-scorer.pass_policy.threshold: |with this strategy", 0},
        {"agent-firewall", "    blocked_tools: [x, y, x]\n",
         "5:27: warning[W006] policy.agent-firewall.blocked_tools[2]: |in the list twice", 0},
        {"", "intercept: {exclude: [api.openai.com]}\n",
         "3:23: warning[W006] intercept.exclude[0]: |takes a host away", 0},
        {"", "intercept: {exclude: [www.example.org]}\n",
         "3:23: warning[W006] intercept.exclude[0]: |covers it", 0},
        {"", "model_map: {a: b}\n", "3:12: warning[W006] model_map: |without providers", 0},
        {"", target + "  retry:\n    initial_delay_ms: 5000\n    max_delay_ms: 100\n",
         "10:19: warning[W006] providers.retry.max_delay_ms: |longer than max_delay_ms (100)", 0},
        {"", target + "  retry: {initial_delay: 20s}\n",
         "8:26: warning[W006] providers.retry.initial_delay_ms: |(20000) is longer than max_delay_ms (10000)",
         0},
        {"audit-logger", "    immutable: true\n  quality-scorer:\n    min_sentences: 3\n",
         "6:3: warning[W002] policy.quality-scorer: |does not run", 0},
    };
    for (const Case &c : cases)
        check(c);
}

/* Rules that no target meets end every call in the same way. */
TEST_F(Advice, DataRulesThatNoTargetMeets)
{
    const std::string all[] = {"    require_zero_data_retention: true\n", "    require_no_training: true\n",
                               "    max_retention_days: 7\n"};
    const char *const names[] = {"require_zero_data_retention", "require_no_training", "max_retention_days"};
    const std::string promise =
        target + "      data_policy: {zero_data_retention: true, training_opt_out: true}\n";
    for (size_t i = 0; i < 3; i++) {
        std::string says = "5:" + std::to_string(7 + strlen(names[i])) +
                           ": warning[W006] policy.data-routing-policy." + names[i] +
                           ": |every call is blocked";
        check({"data-routing-policy", all[i], says, 0});
        check({"data-routing-policy", all[i] + target, says, 0});
        int status = 0;
        s.write("c.yaml",
                head + "data-routing-policy]}\npolicy:\n  data-routing-policy:\n" + all[i] + promise);
        std::string out = lint("c.yaml", &status);
        EXPECT_NE(out.find(", 0 warnings\n"), std::string::npos) << out;
    }
    check(
        {"data-routing-policy", all[0] + "    on_no_compliant_provider: warn\n",
         "5:34: warning[W006] policy.data-routing-policy.require_zero_data_retention: |goes out all the same",
         0});
    /* each of them by some target, both by none */
    check({"data-routing-policy",
           all[0] + all[1] + target + "      data_policy: {zero_data_retention: true}\n" +
               "    - {id: b, provider: mistral, model: m, data_policy: {training_opt_out: true}}\n",
           "4:3: warning[W006] policy.data-routing-policy: |all of these rules at once", 0});
}

// These have always loaded: a program must not stop starting for them.
TEST_F(Advice, EmptyWordsAreNoError)
{
    const Case cases[] = {
        {"quality-scorer", "    min_sentences: 1\n    failure_action: {message: ''}\n",
         "6:31: warning[W006] policy.quality-scorer.failure_action.message: |leave it out", 0},
        {"prompt-injection", "    response: {message: ''}\n",
         "5:25: warning[W006] policy.prompt-injection.response.message: |leave it out", 0},
        {"safety-filter", "    moderation_model: ''\n    engine: mistral-moderation\n" + target,
         "5:23: warning[W006] policy.safety-filter.moderation_model: |leave it out", 0},
        {"", "telemetry: {service_name: ''}\n", "3:27: warning[W006] telemetry.service_name: |is empty", 0},
    };
    for (const Case &c : cases)
        check(c);
    int status = 0;
    for (const std::string &block :
         {std::string("telemetry: {otlp_endpoint: ''}\n"), target + "      api_key_prefix: B\xc3\xa4r\n"}) {
        s.write("c.yaml", head + "]}\n" + block);
        std::string out = lint("c.yaml", &status);
        EXPECT_EQ(status, 0) << out;
        EXPECT_EQ(out.find("[W") + out.find("[E"), std::string::npos * 2) << out;
    }
}

TEST_F(Advice, WhatCannotWorkIsAnError)
{
    const std::string ca = "providers.targets[0].tls.ca_file: |", row = target + "      tls: {ca_file: ";
    const Case cases[] = {
        {"", row + "text.pem}\n", ("8:22: error[E008] " + ca + "holds no certificate in PEM"), 2},
        {"", row + "empty.pem}\n", ("8:22: error[E008] " + ca + "is empty"), 2},
        {"", row + "cut.pem}\n", ("8:22: error[E008] " + ca + "damaged or cut"), 2},
        {"", row + "key.pem}\n", ("8:22: error[E008] " + ca + "private key"), 2},
        {"", row + "der.pem}\n", ("8:22: error[E008] " + ca + "openssl x509"), 2},
        {"", row + "none.pem}\n", ("8:22: error[E008] " + ca + "No such file"), 2},
        {"", row + ".}\n", ("8:22: error[E008] " + ca + "directory"), 2},
        {"", row + "''}\n", ("8:22: error[E004] " + ca + "is empty"), 2},
        {"", target + "      api_key_header: \"x\\r\\ny\"\n",
         "8:23: error[E004] providers.targets[0].api_key_header: |HTTP header", 2},
        {"", target + "      api_key_header: 'x y'\n",
         "8:23: error[E004] providers.targets[0].api_key_header: |x-api-key", 2},
        {"", target + "      api_key_prefix: \"Bea\\r\\nrer\"\n",
         "8:23: error[E004] providers.targets[0].api_key_prefix: |line break", 2},
        {"", "user_rate_limit: {max_requests: 1, window_seconds: 1, header_names: [x-a, 'x b']}\n",
         "3:75: error[E004] user_rate_limit.header_names[1]: |HTTP header", 2},
        {"", "token_rate_limit: {max_tokens: 1, window_seconds: 1, scope: team}\n",
         "3:61: error[E004] token_rate_limit.scope: |global or user", 2},
        {"dlp-filter", "    blocked_terms: [ok, \"\\u200b\"]\n",
         "5:25: error[E004] policy.dlp-filter.blocked_terms[1]: |no word in it", 2},
        {"safety-filter", "    block_if: [weapons, '!!!']\n",
         "5:25: error[E004] policy.safety-filter.block_if[1]: |no word in it", 2},
        {"dlp-filter", "    detect_patterns:\n      - ok\n      - x{1001}\n",
         "7:9: error[E004] policy.dlp-filter.detect_patterns[1]: |come to 1001 positions", 2},
        {"prompt-injection",
         "    attack_patterns: [ok]\n    detection: {attack_patterns: [ok1, 'x{1001}']}\n",
         "6:40: error[E004] policy.prompt-injection.detection.attack_patterns[1]: |1001", 2},
        {"quality-scorer",
         "    assertions:\n      - {type: not-empty}\n      - type: regex\n        value: x{1001}\n",
         "7:9: error[E004] policy.quality-scorer.assertions[1]: |repeats", 2},
        {"quality-scorer",
         "    assertions:\n      - {type: not-empty}\n      - name: n\n        type: contains\n",
         "7:9: error[E004] policy.quality-scorer.assertions[1]: |e.g. value: thank you", 2},
        {"quality-scorer", "    assertions:\n      - {type: not-empty}\n      - name: n\n        value: x\n",
         "7:9: error[E005] policy.quality-scorer.assertions[1].type: |is missing", 2},
        {"quality-scorer", "    min_sentences: 1\n    weights:\n      lenght: 2\n",
         "7:7: error[E004] policy.quality-scorer.weights.lenght: |no enabled assertion", 2},
    };
    for (const Case &c : cases)
        check(c);
    int status = 0;
    s.write("c.yaml", head + "]}\n" + row + "good.pem}\n");
    EXPECT_NE(lint("c.yaml", &status).find(", 0 warnings\n"), std::string::npos);
}

/* E005 stands at the mapping that lacks the key, or at the key without a value; W005 at what names the
 * variable. */
TEST_F(Advice, PlacesOfWhatIsMissing)
{
    const Case cases[] = {
        {"", "limits:\n  budget: {window_seconds: 5}\n", "4:11: error[E005] limits.budget.usd: |is missing",
         2},
        {"",
         "providers:\n  targets:\n    - {id: a, provider: mistral, model: m}\n    - id: b\n      model: m\n",
         "6:7: error[E005] providers.targets[1].provider: |e.g. mistral", 2},
        {"", "providers:\n  targets:\n    - id: a\n      provider:\n      model: m\n",
         "6:7: error[E005] providers.targets[0].provider: |is missing", 2},
        {"", target + "      secret_key_ref: {env: KT_NO_SUCH_KEY}\n",
         "8:29: warning[W005] providers.targets[0].secret_key_ref.env: |KT_NO_SUCH_KEY is not set", 0},
        {"", target + "      secret_key_ref:\n        file: /nonexistent/key\n",
         "9:15: warning[W005] providers.targets[0].secret_key_ref.file: |0600", 0},
        {"", "providers:\n  targets: [{id: a, provider: groq, model: m}]\n",
         "4:13: warning[W005] providers.targets[0].secret_key_ref: |GROQ_API_KEY is not set", 0},
    };
    for (const Case &c : cases)
        check(c);
}

/* Layers, as `kt policy explain --effective` shows what came of them. */
TEST_F(Advice, TheValuesThatWinInLayers)
{
    auto effective = [&](const std::string &env, const std::string &files) {
        auto bin = std::filesystem::read_symlink("/proc/self/exe").parent_path().parent_path() / "bin" / "kt";
        std::string out, command = "cd '" + s.dir.string() +
                                   "' && env -u KT_POLICY_CONFIG MISTRAL_API_KEY=k " + env + " '" +
                                   bin.string() + "' policy explain --effective " + files + " 2>&1";
        FILE *p = popen(command.c_str(), "r");
        char piece[4096];
        for (size_t n; p && (n = fread(piece, 1, sizeof piece, p)) > 0;)
            out.append(piece, n);
        EXPECT_EQ(p ? pclose(p) : -1, 0) << out;
        return out;
    };
    s.write("a.yaml",
            head +
                "pii-detector, audit-logger]}\npolicy:\n  pii-detector: {entities: [email, phone], kinds: "
                "{ip: on}, redaction: {marker_format: partial}}\n  audit-logger: {retention_days: "
                "7}\nlimits: {total_seconds: 9, keepalive_seconds: 3}\n" +
                target);
    s.write("b.yaml",
            "policy:\n  pii-detector: {entities: [iban], kinds: {mac: on}}\nlimits: {total_seconds: "
            "8}\nmode: observe\n");
    s.write("c.yaml",
            "policies: {chain: [audit-logger]}\nlimits: {total_seconds: ~}\nmode: ~\nproviders: {targets: "
            "[{id: z, provider: mistral, model: other}]}\n");
    std::string ab = effective("", "a.yaml b.yaml");
    for (const char *want :
         {"mode: observe\n", "total_seconds: 8\n", "keepalive_seconds: 3\n", "- iban\n", "ip: \"on\"\n",
          "mac: \"on\"\n", "marker_format: partial\n", "retention_days: 7\n", "id: a\n"})
        EXPECT_NE(ab.find(want), std::string::npos) << want << ab;
    EXPECT_EQ(ab.find("- email\n"), std::string::npos) << "lists replace" << ab;
    std::string ba = effective("", "b.yaml a.yaml");
    EXPECT_NE(ba.find("total_seconds: 9\n"), std::string::npos) << "the later file wins" << ba;
    EXPECT_NE(ba.find("- phone\n"), std::string::npos) << ba;
    EXPECT_EQ(effective("KT_POLICY_CONFIG=a.yaml:b.yaml", ""), ab);
    EXPECT_EQ(effective("KT_POLICY_CONFIG=:a.yaml::b.yaml:", ""), ab) << "empty parts say nothing";
    std::string abc = effective("KT_POLICY_CONFIG=c.yaml", "a.yaml b.yaml c.yaml");
    for (const char *want :
         {"mode: enforce\n", "total_seconds: 0\n", "keepalive_seconds: 3\n", "id: z\n", "model: other\n"})
        EXPECT_NE(abc.find(want), std::string::npos) << "null gives the default back: " << want << abc;
    EXPECT_EQ(abc.find("id: a\n"), std::string::npos) << "targets are a list: replaced as a whole" << abc;
    EXPECT_EQ(abc.find("- pii-detector\n"), std::string::npos) << abc;
}

/* Of layers, the file that has the last word is named. */
TEST_F(Advice, PlacesInLayers)
{
    int status = 0;
    s.write("a.yaml",
            head + "agent-firewall]}\npolicy: {agent-firewall: {allowed_tools: [a], blocked_tools: [b]}}\n");
    s.write("b.yaml", "policy:\n  agent-firewall:\n    blocked_tools: [a]\n");
    s.write("c.yaml", "policy:\n  agent-firewall:\n    allowed_tools: [c, a]\n");
    EXPECT_EQ(lint("a.yaml b.yaml", &status)
                  .find("a.yaml:3:43: warning[W006] policy.agent-firewall.allowed_tools[0]: "),
              0u);
    EXPECT_EQ(lint("a.yaml b.yaml c.yaml", &status)
                  .find("c.yaml:3:24: warning[W006] policy.agent-firewall.allowed_tools[1]: "),
              0u);
}

} // namespace
