/* SPDX-License-Identifier: Apache-2.0 */
/* Broken configs, one fault each: every one gets the right code at the right place, and nothing else. */
#include "tests/unit/config_fixture.h"

#include <set>

using kt::Lines;
using kt::Loaded;

namespace {

/* A good config; each fault replaces one part of it. */
const std::string good = "pack:\n"                              /* 1 */
                         "  name: good\n"                       /* 2 */
                         "  version: 1.0.0\n"                   /* 3 */
                         "policies:\n"                          /* 4 */
                         "  chain:\n"                           /* 5 */
                         "    - pii-detector\n"                 /* 6 */
                         "    - audit-logger\n"                 /* 7 */
                         "policy:\n"                            /* 8 */
                         "  pii-detector:\n"                    /* 9 */
                         "    action: redact\n"                 /* 10 */
                         "  audit-logger:\n"                    /* 11 */
                         "    retention_days: 365\n"            /* 12 */
                         "providers:\n"                         /* 13 */
                         "  strategy: ordered\n"                /* 14 */
                         "  fallback:\n"                        /* 15 */
                         "    triggers: [timeout]\n"            /* 16 */
                         "  targets:\n"                         /* 17 */
                         "    - id: one\n"                      /* 18 */
                         "      provider: mistral\n"            /* 19 */
                         "      model: m\n"                     /* 20 */
                         "      timeout_seconds: 60\n"          /* 21 */
                         "    - id: two\n"                      /* 22 */
                         "      provider: openai\n"             /* 23 */
                         "      model: n\n"                     /* 24 */
                         "mode: enforce\n"                      /* 25 */
                         "limits: {max_body_bytes: 1048576}\n"; /* 26 */

struct Fault {
    const char *name;       /* what is wrong */
    const char *from, *to;  /* in `good`; from "" = the whole file is `to` */
    const char *place;      /* "CODE@line:col path" of the only complaint */
    const char *in_message; /* part of the line that a user reads */
};

const Fault faults[] = {
    /* syntax and limits of YAML */
    {"tab as indentation", "  name: good", "\tname: good", "E006@2:1 ",
     "a tab: YAML is indented with spaces"},
    {"flow list never closed", "[timeout]", "[timeout", "E006@17:10 ", "',' or ']'"},
    {"flow map never closed", "{max_body_bytes: 1048576}", "{max_body_bytes: 1048576", "E006@27:1 ",
     "',' or '}'"},
    {"quote never closed", "mode: enforce", "mode: \"enforce", "E006@27:1 ", "that begins on line 25"},
    {"two colons on a line", "mode: enforce", "mode: enforce: x", "E006@25:14 ", "mapping values"},
    {"key twice", "mode: enforce\n", "mode: enforce\nmode: observe\n", "E006@26:1 ",
     "duplicate key 'mode', first on line 25"},
    {"alias to nothing", "good", "*good", "E006@2:9 ", "without an anchor"},
    {"alias inside of itself", "[timeout]", "&a [*a]", "E006@16:19 ", "without an anchor"},
    {"unknown tag", "name: good", "name: !!python/name:os.system good", "E006@2:9 ", "tag"},
    {"second document", "mode: enforce\n", "---\nmode: enforce\n", "E006@25:1 ",
     "more than one YAML document"},
    {"key that is a list", "mode: enforce", "[a, b]: enforce", "E006@25:1 ", "a key must be a plain word"},
    {"escaped NUL", "name: good", "name: \"go\\0od\"", "E006@2:9 ", "NUL"},
    {"byte that is no UTF-8", "name: good", "name: go\xff", "E006@2:11 ", "UTF-8"},
    {"overlong UTF-8", "name: good", "name: \xc0\xaf", "E006@2:9 ", "UTF-8"},
    {"half a surrogate", "name: good", "name: \xed\xa0\x80", "E006@2:9 ", "UTF-8"},
    {"control character", "name: good", "name: \x1b[2J", "E006@2:9 ", "control characters are not allowed"},
    {"UTF-16", "", "\xff\xfep", "E006@1:1 ", "UTF-8"},
    {"a list at the top", "", "- pack\n", "E004@1:1 ", "must be a mapping, is a list"},
    {"merge key", "    action: redact", "    <<: {action: redact}", "E002@10:5 policy.pii-detector.<<",
     "merge keys are not supported"},
    /* kinds */
    {"typo in a kind", "    - audit-logger", "    - audit-loger\n    - audit-logger",
     "E001@7:7 policies.chain[1]", "did you mean 'audit-logger'?"},
    {"kind of the catalogue", "    - audit-logger", "    - cjis-mode\n    - audit-logger",
     "E001@7:7 policies.chain[1]", "known, but not available"},
    {"block of an unknown kind", "  audit-logger:\n", "  audit-log: {}\n  audit-logger:\n",
     "E001@11:3 policy.audit-log", "did you mean 'audit-logger'?"},
    {"kind twice", "    - audit-logger", "    - audit-logger\n    - audit-logger",
     "E004@8:7 policies.chain[2]", "in the chain twice"},
    {"chain that is text", "chain:\n    - pii-detector\n    - audit-logger", "chain: both",
     "E004@5:10 policies.chain", "must be a list"},
    /* keys */
    {"typo in a root key", "mode: enforce", "mod: enforce", "E002@25:1 mod", "did you mean 'mode'?"},
    {"typo in a target", "timeout_seconds", "timeout_second", "E002@21:7 providers.targets[0].timeout_second",
     "did you mean 'timeout_seconds'?"},
    {"typo in a policy option", "action: redact", "actions: redact", "E002@10:5 policy.pii-detector.actions",
     "did you mean 'action'?"},
    {"lost indentation", "      timeout_seconds: 60", "      max_fallback_attempts: 1",
     "E002@21:7 providers.targets[0].max_fallback_attempts", "unknown key"},
    {"setting of the gateway", "mode: enforce", "routes: []", "E007@25:1 routes", "model_map"},
    /* values */
    {"collector without a scheme", "mode: enforce", "telemetry: {otlp_endpoint: '127.0.0.1:4318'}",
     "E004@25:28 telemetry.otlp_endpoint", "must start with https:// or http://"},
    {"collector at a port that is none", "mode: enforce", "telemetry: {otlp_endpoint: 'http://h:70000'}",
     "E004@25:28 telemetry.otlp_endpoint", "port"},
    {"collector with the path of a signal", "mode: enforce",
     "telemetry: {otlp_endpoint: 'http://h:4318/v1/traces'}", "E004@25:28 telemetry.otlp_endpoint",
     "are added to it"},
    {"collector with a password", "mode: enforce", "telemetry: {otlp_endpoint: 'http://u:p@h:4318'}",
     "E004@25:28 telemetry.otlp_endpoint", "user or password"},
    {"word out of no list", "mode: enforce", "mode: enforced", "E004@25:7 mode", "did you mean 'enforce'?"},
    {"number in quotes", "365", "\"365\"", "E004@12:21 policy.audit-logger.retention_days",
     "leave out the quotes"},
    {"word in quotes for a number", "365", "\"5xx\"", "E004@12:21 policy.audit-logger.retention_days",
     "(e.g. "},
    {"number out of range", "1048576", "3", "E004@26:26 limits.max_body_bytes",
     "between 1024 and 1073741824"},
    {"number past all bounds", "1048576", "99999999999999999999", "E004@26:26 limits.max_body_bytes",
     "must be a whole number"},
    {"yes for true", "  version: 1.0.0", "  version: 1.0.0\n  enabled: yes", "E004@4:12 pack.enabled",
     "must be true or false"},
    {"list for text", "model: m", "model: [m]", "E004@20:14 providers.targets[0].model",
     "must be text, is a list"},
    {"text for a list", "[timeout]", "timeout", "E004@16:15 providers.fallback.triggers", "must be a list"},
    {"unknown trigger", "[timeout]", "[timeouts]", "E004@16:16 providers.fallback.triggers[0]",
     "did you mean 'timeout'?"},
    {"unknown strategy", "strategy: ordered", "strategy: orderd", "E004@14:13 providers.strategy",
     "did you mean 'ordered'?"},
    {"version that is none", "1.0.0", "one", "E004@3:12 pack.version", "semantic version"},
    {"id twice", "id: two", "id: one", "E004@22:11 providers.targets[1].id", "providers.targets[0]"},
    {"url without a scheme", "      model: m", "      model: m\n      base_url: api.mistral.ai",
     "E004@21:17 providers.targets[0].base_url", "must start with https://"},
    {"password in a url", "      model: m", "      model: m\n      base_url: https://u:hunter2@a.b",
     "E004@21:17 providers.targets[0].base_url", "user or password"},
    {"key in the file", "      model: m", "      model: m\n      api_key: sk-hunter2",
     "E004@21:7 providers.targets[0].api_key", "secret_key_ref"},
    {"key for the name of a variable", "      model: m",
     "      model: m\n      secret_key_ref: {env: sk-hunter2}",
     "E004@21:29 providers.targets[0].secret_key_ref.env", "NAME of the variable"},
    {"two sources of a key", "      model: m", "      model: m\n      secret_key_ref: {env: A, file: b}",
     "E004@21:23 providers.targets[0].secret_key_ref", "more than one of"},
    {"a store of keys", "      model: m", "      model: m\n      secret_key_ref: {store: vault}",
     "E007@21:24 providers.targets[0].secret_key_ref.store", "{command: ...}"},
    {"header that is none", "      model: m", "      model: m\n      api_key_header: 'x y'",
     "E004@21:23 providers.targets[0].api_key_header", "x-api-key"},
    {"host with a scheme", "mode: enforce", "intercept: {hosts: ['https://a.b']}",
     "E004@25:21 intercept.hosts[0]", "without https://"},
    {"other wire format", "      model: m", "      model: m\n      format: anthropic",
     "E007@21:15 providers.targets[0].format", "use 'openai'"},
    {"kind of shorthand", "provider: openai", "provider: openai:embedding:e",
     "E007@23:17 providers.targets[1].provider", "use the kind 'chat'"},
    /* missing */
    {"no pack", "pack:\n  name: good\n  version: 1.0.0\n", "", "E005@1:1 pack", "is missing"},
    {"no version", "  version: 1.0.0\n", "", "E005@2:3 pack.version", "1.0.0"},
    {"no id", "    - id: two\n      provider: openai", "    - provider: openai",
     "E005@22:7 providers.targets[1].id", "is missing"},
    {"no model", "      model: n\n", "", "E005@22:7 providers.targets[1].model", "mistral-large-latest"},
    {"no address", "provider: openai", "provider: acme", "E005@22:7 providers.targets[1].base_url",
     "https://host/v1"},
    {"no source of a key", "      model: m", "      model: m\n      secret_key_ref: {}",
     "E005@21:23 providers.targets[0].secret_key_ref", "env nor file"},
    {"no such CA file", "      model: m", "      model: m\n      tls: {ca_file: /nonexistent/ca.pem}",
     "E008@21:22 providers.targets[0].tls.ca_file", "No such file"},
};

std::string broken(const Fault &f)
{
    std::string text = good, from = f.from;
    if (from.empty())
        return f.to;
    size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << f.name;
    return text.replace(at, from.size(), f.to);
}

TEST(Faults, TheConfigWithoutFaultIsGood)
{
    EXPECT_EQ(Loaded(good).all(), Lines{});
}

TEST(Faults, EachHasItsCodeAndItsPlace)
{
    for (const Fault &f : faults) {
        Loaded l(broken(f));
        EXPECT_EQ(l.all(), Lines{f.place}) << f.name << "\n" << l.line();
        EXPECT_NE(l.line().find(f.in_message), std::string::npos) << f.name << "\n" << l.line();
        EXPECT_EQ(l.line().find("hunter2"), std::string::npos) << f.name << ": a secret is never shown";
        EXPECT_EQ(l.config, nullptr);
    }
}

TEST(Faults, AreManyAndAllDifferent)
{
    std::set<std::string> names, texts;
    for (const Fault &f : faults) {
        names.insert(f.name);
        texts.insert(broken(f));
    }
    EXPECT_GE(names.size(), 40u);
    EXPECT_EQ(names.size(), std::size(faults));
    EXPECT_EQ(texts.size(), std::size(faults));
}

/* Two faults at once: both are told, in the order of the file. */
TEST(Faults, AddUp)
{
    std::string text = good;
    text.replace(text.find("mode: enforce"), 4, "modus");
    text.replace(text.find("365"), 3, "0");
    EXPECT_EQ(Loaded(text).all(),
              (Lines{"E004@12:21 policy.audit-logger.retention_days", "E002@25:1 modus"}));
}

} // namespace
