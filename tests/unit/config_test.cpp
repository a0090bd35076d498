/* SPDX-License-Identifier: Apache-2.0 */
/* policy-config.yaml: every complaint with its place, layering, defaults. Providers and hostile YAML have
 * their own files. */
#include "policyengine/policies/kt_policy.h"
#include "tests/unit/config_fixture.h"

#include <cstring>
#include <sstream>

using kt::base;
using kt::Lines;
using kt::Loaded;
using kt::Scratch;

namespace {

std::string default_config()
{
    std::ifstream in(KT_SOURCE_DIR "/configs/policy-config.yaml");
    EXPECT_TRUE(in.good());
    std::stringstream text;
    text << in.rdbuf();
    return text.str();
}

TEST(Config, TheDefaultFileHasNoComplaint)
{
    Loaded l(default_config());
    ASSERT_EQ(l.code, KT_OK) << l.line();
    EXPECT_EQ(l.all(), Lines{});
    EXPECT_STREQ(l->pack.name, "mistral-gateway");
    ASSERT_EQ(l->chain_count, 4u);
    const char *kinds[] = {"prompt-injection", "pii-detector", "safety-filter", "audit-logger"};
    for (size_t i = 0; i < 4; i++)
        EXPECT_STREQ(l->chain[i].policy->kind, kinds[i]);
    ASSERT_EQ(l->providers.target_count, 1u);
    const kt_target &t = l->providers.targets[0];
    EXPECT_STREQ(t.model, "mistral-large-latest");
    EXPECT_STREQ(t.base_url, "https://api.mistral.ai/v1");
    EXPECT_STREQ(t.secret_key_ref.env, "MISTRAL_API_KEY");
}

TEST(Config, TheDefaultFileCutAtEveryByte)
{
    std::string text = default_config();
    for (size_t n = 0; n < text.size(); n++)
        Loaded l(text.substr(0, n)); /* the fixture checks that result, config and complaints agree */
}

TEST(Config, DefaultsOfTheWholeStruct)
{
    Loaded l(base);
    ASSERT_EQ(l.code, KT_OK) << l.line();
    EXPECT_EQ(l.all(), Lines{});
    EXPECT_TRUE(l->pack.enabled);
    EXPECT_EQ(l->mode, KT_MODE_ENFORCE);
    EXPECT_EQ(l->fail_mode, KT_FAIL_BLOCK);
    EXPECT_EQ(l->intercept.unknown_endpoints, KT_UNKNOWN_BLOCK);
    EXPECT_EQ(l->limits.max_body_bytes, 64 << 20);
    EXPECT_EQ(l->limits.max_response_bytes, 64 << 20);
    EXPECT_EQ(l->limits.total_seconds, 0);
    EXPECT_EQ(l->audit.capture, 0);
    EXPECT_EQ(l->audit.max_file_bytes, 64 << 20);
    EXPECT_EQ(l->block_status, 409);
    EXPECT_FALSE(l->has_providers);
    ASSERT_EQ(l->intercept.hosts.count, 3u);
    for (size_t i = 0; i < 3; i++)
        EXPECT_STREQ(l->intercept.hosts.items[i], kt_default_hosts[i]);
    EXPECT_EQ(kt_default_hosts[3], nullptr);
    ASSERT_EQ(l->files.count, 1u);
    EXPECT_STREQ(l->files.items[0], "t.yaml");
}

TEST(Config, BuiltInConfigNeedsNoFile)
{
    kt_config *c = nullptr;
    ASSERT_EQ(kt_config_default(&c).code, KT_OK);
    EXPECT_TRUE(c->pack.enabled);
    EXPECT_STREQ(c->pack.name, "built-in");
    EXPECT_EQ(c->chain_count, 0u);
    EXPECT_FALSE(c->has_providers);
    EXPECT_EQ(c->intercept.hosts.count, 3u);
    EXPECT_EQ(c->block_status, 409);
    EXPECT_EQ(strlen(c->sha256), 64u);
    kt_config_free(c);
    kt_config_free(nullptr);
}

TEST(Config, E001UnknownKind)
{
    Loaded l("pack: {name: t, version: 1.0.0}\npolicies:\n  chain:\n    - audit-loger\npolicy:\n  "
             "pii-detektor: {}\n");
    EXPECT_EQ(l.all(), (Lines{"E001@4:7 policies.chain[0]", "E001@6:3 policy.pii-detektor"}));
    EXPECT_NE(l.line().find("unknown policy kind 'audit-loger' (did you mean 'audit-logger'?)"),
              std::string::npos);
    EXPECT_NE(l.line().find("(did you mean 'pii-detector'?)"), std::string::npos);
    Loaded far("pack: {name: t, version: 1.0.0}\npolicies: {chain: [bot-detector]}\n");
    EXPECT_NE(far.line().find("(this version has: prompt-injection, "), std::string::npos) << far.line();
}

TEST(Config, E002UnknownKey)
{
    EXPECT_EQ(Loaded(base + "fail_mod: allow\n").line(),
              "t.yaml:5:1: error[E002] fail_mod: unknown key 'fail_mod' (did you mean 'fail_mode'?)");
    EXPECT_EQ(Loaded(base + "limits:\n  max_body_byte: 5000\n").all(),
              Lines{"E002@6:3 limits.max_body_byte"});
    EXPECT_EQ(Loaded("pack: {name: t, version: 1.0.0}\npolicies:\n  chain: [audit-logger]\n  order: x\n"
                     "policy: {audit-logger: {retention_day: 3}}\n")
                  .all(),
              (Lines{"E002@4:3 policies.order", "E002@5:25 policy.audit-logger.retention_day"}));
    EXPECT_NE(Loaded(base + "<<: {a: b}\n").line().find("merge keys are not supported"), std::string::npos);
}

TEST(Config, LostIndentationIsRecognised)
{
    Loaded l("pack:\nname: t\npolicies: {chain: []}\n");
    EXPECT_EQ(l.all(), (Lines{"E005@1:1 pack", "E002@2:1 name"}));
    EXPECT_NE(l.line().find("it belongs below 'pack:', check the indentation"), std::string::npos)
        << l.line();
}

TEST(Config, E003AndW002AreWarnings)
{
    Loaded l("pack: {name: t, version: 1.0.0}\npolicies:\n  chain:\n    - audit-logger\npolicy:\n  "
             "pii-detector: {}\n");
    ASSERT_EQ(l.code, KT_OK);
    EXPECT_EQ(l.all(), (Lines{"E003@4:7 policies.chain[0]", "W002@6:3 policy.pii-detector"}));
    EXPECT_EQ(l.line().rfind("t.yaml:4:7: warning[E003] policies.chain[0]: ", 0), 0u) << l.line();
    EXPECT_EQ(l->chain_count, 1u);
    ASSERT_NE(l->chain[0].opts, nullptr) << "with its defaults";
    EXPECT_EQ(Loaded(base + "model_map:\n").all(), Lines{}) << "an empty section is no section";
}

TEST(Config, ABlockOutsideTheChainIsCheckedToo)
{
    Loaded l("pack: {name: t, version: 1.0.0}\npolicies: {chain: []}\npolicy:\n  audit-logger:\n    "
             "retention_days: 0\n");
    EXPECT_EQ(l.all(),
              (Lines{"W002@4:3 policy.audit-logger", "E004@5:21 policy.audit-logger.retention_days"}));
}

TEST(Config, E004BadValues)
{
    EXPECT_EQ(Loaded(base + "mode: enforced\n").line(),
              "t.yaml:5:7: error[E004] mode: must be one of enforce, observe, is 'enforced' (did you mean "
              "'enforce'?)");
    EXPECT_EQ(Loaded(base + "mode: [enforce]\n").line(),
              "t.yaml:5:7: error[E004] mode: must be one of enforce, observe, is a list (observe: "
              "nothing is changed or blocked)");
    EXPECT_EQ(Loaded(base + "block_status: 200\n").line(),
              "t.yaml:5:15: error[E004] block_status: must be between 400 and 599, is 200 (e.g. 409)");
    EXPECT_EQ(
        Loaded(base + "block_status: \"409\"\n").line(),
        "t.yaml:5:15: error[E004] block_status: must be a whole number, is '409' (leave out the quotes)");
    EXPECT_EQ(Loaded(base + "block_status: 99999999999999999999\n").all(), Lines{"E004@5:15 block_status"});
    EXPECT_EQ(Loaded(base + "limits: big\n").all(), Lines{"E004@5:9 limits"});
    EXPECT_EQ(Loaded(base + "intercept: {hosts: api.openai.com}\n").all(),
              Lines{"E004@5:20 intercept.hosts"});
    EXPECT_EQ(Loaded(base + "intercept: {hosts: [[x]]}\n").all(), Lines{"E004@5:21 intercept.hosts[0]"});
    EXPECT_EQ(Loaded(base + "policy_:\n").all(), Lines{"E002@5:1 policy_"});
    EXPECT_EQ(Loaded("pack: {name: t, version: 1.0.0, enabled: yes}\npolicies: {chain: []}\n").line(),
              "t.yaml:1:42: error[E004] pack.enabled: must be true or false, is 'yes' (write true or false)");
    EXPECT_EQ(Loaded("pack: {name: t, version: one}\npolicies: {chain: []}\n").all(),
              Lines{"E004@1:26 pack.version"});
    EXPECT_EQ(Loaded("pack: {name: {a: b}, version: 1.0.0}\npolicies: {chain: []}\n").all(),
              Lines{"E004@1:14 pack.name"});
}

TEST(Config, E004InTheChain)
{
    std::string head = "pack: {name: t, version: 1.0.0}\npolicies:\n  chain: ";
    EXPECT_EQ(Loaded(head + "audit-logger\n").all(), Lines{"E004@3:10 policies.chain"});
    EXPECT_EQ(Loaded(head + "[{audit-logger: {}}]\n").all(), Lines{"E004@3:11 policies.chain[0]"});
    EXPECT_EQ(Loaded(head + "[audit-logger, audit-logger]\npolicy: {audit-logger: }\n").all(),
              Lines{"E004@3:25 policies.chain[1]"});
    EXPECT_EQ(Loaded(head + "[]\npolicy: nothing\n").all(), Lines{"E004@4:9 policy"});
    EXPECT_EQ(Loaded(head + "[]\npolicy: {audit-logger: 5}\n").all(),
              (Lines{"W002@4:10 policy.audit-logger", "E004@4:24 policy.audit-logger"}));
}

TEST(Config, E005Missing)
{
    EXPECT_EQ(Loaded("mode: observe\n").all(), (Lines{"E005@1:1 pack", "E005@1:1 policies"}));
    EXPECT_EQ(Loaded("pack:\n  name: t\npolicies:\n").all(),
              (Lines{"E005@2:3 pack.version", "E005@3:1 policies"}));
    EXPECT_EQ(Loaded("pack: {name: t, version: 1.0.0}\npolicies:\n  chain:\n").all(),
              Lines{"E005@3:3 policies.chain"});
}

TEST(Config, Versions)
{
    for (const char *good : {"0.0.1", "1.2.3-rc.1", "1.2.3+build.5"})
        EXPECT_EQ(Loaded("pack: {name: t, version: " + std::string(good) + "}\npolicies: {chain: []}\n").code,
                  KT_OK);
    for (const char *bad : {"1", "1.0", "v1.0.0", "1.0.0-", "1..0", "1.0.0 beta", "''"})
        EXPECT_EQ(Loaded("pack: {name: t, version: " + std::string(bad) + "}\npolicies: {chain: []}\n").all(),
                  Lines{"E004@1:26 pack.version"})
            << bad;
}

TEST(Config, W001WhatIsNotActedOn)
{
    Loaded l(base + "agents: {a: 1}\ntesting: {suites: [{name: x}]}\n");
    EXPECT_EQ(l.all(), Lines{"W001@5:9 agents"});
    EXPECT_STREQ(l->agents, "{\"a\":1}");
    EXPECT_STREQ(l->testing, "{\"suites\":[{\"name\":\"x\"}]}");
    EXPECT_EQ(Loaded(base + "audit: {capture: full}\nagents:\n").all(), Lines{}) << "asks for nothing";
}

TEST(Config, W004APackThatIsSwitchedOff)
{
    Loaded l("pack: {name: t, version: 1.0.0, enabled: false}\npolicies: {chain: [audit-logger]}\n"
             "policy: {audit-logger: {}}\nproviders: {targets: [{id: a, provider: mistral, model: m}]}\n");
    ASSERT_EQ(l.code, KT_OK) << l.line();
    EXPECT_EQ(l.all(), Lines{"W004@1:42 pack.enabled"});
    EXPECT_EQ(l->chain_count, 0u);
    EXPECT_FALSE(l->has_providers);
    EXPECT_EQ(l->providers.target_count, 0u);
}

TEST(Config, Hosts)
{
    Loaded l(base + "intercept:\n  hosts: [API.OpenAI.com, '*.azure.com', 10.0.0.7, '::1', '2001:db8::7']\n"
                    "  exclude: [x.azure.com]\n  unknown_endpoints: pass\n");
    ASSERT_EQ(l.code, KT_OK) << l.line();
    ASSERT_EQ(l->intercept.hosts.count, 5u);
    EXPECT_STREQ(l->intercept.hosts.items[0], "api.openai.com");
    EXPECT_STREQ(l->intercept.exclude.items[0], "x.azure.com");
    EXPECT_EQ(l->intercept.unknown_endpoints, KT_UNKNOWN_PASS);
    for (const char *bad : {"https://api.openai.com", "api.openai.com:443", "*", "*.", "a*.com", "-a.com",
                            "a..com", "256.1.1.1", "1.2.3", "*.1.2.3.4", "a b", "[::1]", ":::", "1::2::3",
                            "12345::", "::1:", "1:2:3:4:5:6:7:8:9", "a.com."})
        EXPECT_EQ(Loaded(base + "intercept:\n  hosts: [ok.com, '" + bad + "']\n").all(),
                  Lines{"E004@6:19 intercept.hosts[1]"})
            << bad;
    EXPECT_EQ(Loaded(base + "intercept: {exclude: ['']}\n").all(), Lines{"E004@5:23 intercept.exclude[0]"});
    EXPECT_EQ(Loaded(base + "intercept: {hosts: []}\n").all(), Lines{"W006@5:20 intercept.hosts"});
}

TEST(Config, ModelMap)
{
    Loaded l(base + "model_map:\n  gpt-4o: mistral-large-latest\n  gpt-4o-mini: mistral-small-latest\n");
    ASSERT_EQ(l.code, KT_OK) << l.line();
    ASSERT_EQ(l->model_map_count, 2u);
    EXPECT_STREQ(l->model_map[1].from, "gpt-4o-mini");
    EXPECT_STREQ(l->model_map[1].to, "mistral-small-latest");
    EXPECT_EQ(Loaded(base + "model_map: [a]\nfail_mode: x\n").all(),
              (Lines{"E004@5:12 model_map", "E004@6:12 fail_mode"}));
    EXPECT_EQ(Loaded(base + "model_map: {a: [b], c: , '': d}\n").all(),
              (Lines{"E004@5:16 model_map.a", "E004@5:24 model_map.c", "E004@5:30 model_map."}));
}

TEST(Config, LayersMergeMappingsAndReplaceLists)
{
    Scratch s;
    std::string a =
        s.write("a.yaml", base + "mode: observe\nlimits: {max_body_bytes: 5000, total_seconds: 9}\n"
                                 "intercept: {hosts: [a.com, b.com]}\nmodel_map: {x: y}\n");
    std::string b =
        s.write("b.yaml", "limits: {total_seconds: 7}\nintercept: {hosts: [c.com]}\nmodel_map: {p: q}\n"
                          "pack: {description: layered}\n");
    Loaded l({a, b});
    ASSERT_EQ(l.code, KT_OK) << l.line();
    EXPECT_EQ(l->mode, KT_MODE_OBSERVE);
    EXPECT_EQ(l->limits.max_body_bytes, 5000);
    EXPECT_EQ(l->limits.total_seconds, 7);
    ASSERT_EQ(l->intercept.hosts.count, 1u);
    EXPECT_STREQ(l->intercept.hosts.items[0], "c.com");
    EXPECT_EQ(l->model_map_count, 2u);
    EXPECT_STREQ(l->pack.name, "t");
    EXPECT_STREQ(l->pack.description, "layered");
    ASSERT_EQ(l->files.count, 2u);
    EXPECT_EQ(l->files.items[1], b);
    Loaded other({b, a});
    ASSERT_EQ(other.code, KT_OK);
    EXPECT_EQ(other->limits.total_seconds, 9) << "the later file wins";
    EXPECT_STRNE(l->sha256, other->sha256);
}

TEST(Config, LayersKeepTheirFileInComplaints)
{
    Scratch s;
    std::string a = s.write("a.yaml", base), b = s.write("b.yaml", "\nmode: dry\n"),
                c = s.write("c.yaml", "x: [\n");
    EXPECT_EQ(Loaded({a, b}).line().rfind(b + ":2:7: error[E004] mode: ", 0), 0u);
    EXPECT_EQ(Loaded({a, c, s.write("d.yaml", "{{")}).errors(), 2u) << "all broken files at once";
    Loaded reset(
        {a, s.write("e.yaml", "mode: observe\n"), s.write("f.yaml", "mode:\n"), s.write("g.yaml", "")});
    ASSERT_EQ(reset.code, KT_OK) << reset.line();
    EXPECT_EQ(reset->mode, KT_MODE_ENFORCE)
        << "null in a later layer goes back to the default; an empty file changes nothing";
}

TEST(Config, FilesThatCannotBeRead)
{
    Scratch s;
    Loaded none(std::vector<std::string>{(s.dir / "none.yaml").string()});
    EXPECT_EQ(none.code, KT_ERR_IO);
    EXPECT_EQ(none.line(), (s.dir / "none.yaml").string() +
                               ": error[E008] cannot be read: No such file or directory "
                               "(name a YAML file that this user may read)");
    Loaded folder(std::vector<std::string>{s.dir.string()});
    EXPECT_EQ(folder.code, KT_ERR_IO);
    Loaded device(std::vector<std::string>{"/dev/zero"});
    EXPECT_EQ(device.code, KT_ERR_IO);
    std::string big = s.write("big.yaml", std::string((1 << 20) + 1, '#'));
    Loaded huge(std::vector<std::string>{big});
    EXPECT_EQ(huge.code, KT_ERR_USAGE);
    EXPECT_EQ(huge.line(), big + ": error[E006] larger than 1 MiB (split it into layers: several files)");
    Loaded many(std::vector<std::string>(33, big));
    EXPECT_EQ(many.code, KT_ERR_USAGE);
}

TEST(Config, HashIsOverTheBytes)
{
    EXPECT_STREQ(Loaded(base)->sha256, Loaded(base)->sha256);
    EXPECT_STRNE(Loaded(base)->sha256, Loaded(base + "#\n")->sha256);
    char hex[KT_SHA256_HEX];
    ASSERT_EQ(kt_sha256_hex(base.data(), base.size(), hex).code, KT_OK);
    EXPECT_STREQ(Loaded(base)->sha256, hex);
}

TEST(Config, SplitPaths)
{
    kt_strings s = {};
    ASSERT_EQ(kt_config_split_paths(":/a/b.yaml::c.yaml:", &s).code, KT_OK);
    ASSERT_EQ(s.count, 2u);
    EXPECT_STREQ(s.items[0], "/a/b.yaml");
    EXPECT_STREQ(s.items[1], "c.yaml");
    kt_strings_free(&s);
    ASSERT_EQ(kt_config_split_paths("", &s).code, KT_OK);
    EXPECT_EQ(s.count, 0u);
}

} // namespace
