/* SPDX-License-Identifier: Apache-2.0 */
/* `kt policy lint` as a user runs it: the built program, its output and its exit status. */
#include "policyengine/policies/kt_policy.h"
#include "tests/unit/config_fixture.h"

#include <cjson/cJSON.h>
#include <sys/wait.h>

using kt::Scratch;

namespace {

struct Result {
    int status;
    std::string out;
};

/* bin/kt lies beside the folder of this test program. */
std::string kt_program()
{
    auto bin = std::filesystem::read_symlink("/proc/self/exe").parent_path().parent_path() / "bin" / "kt";
    EXPECT_TRUE(std::filesystem::exists(bin)) << bin << " is not built";
    return bin.string();
}

/* Runs in `dir` with nothing of ours in the environment but `env`; stderr is part of the output. */
Result lint(const Scratch &s, const std::string &args, const std::string &env = "")
{
    std::string command = "cd '" + s.dir.string() + "' && env -u KT_POLICY_CONFIG -u MISTRAL_API_KEY " + env +
                          " '" + kt_program() + "' policy " + args + " 2>&1";
    Result r = {-1, ""};
    FILE *p = popen(command.c_str(), "r");
    if (!p)
        return r;
    char piece[4096];
    for (size_t n; (n = fread(piece, 1, sizeof piece, p)) > 0;)
        r.out.append(piece, n);
    int status = pclose(p);
    r.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    return r;
}

std::string shipped()
{
    return KT_SOURCE_DIR "/configs/policy-config.yaml";
}

struct JsonFree {
    void operator()(cJSON *j) const
    {
        cJSON_Delete(j);
    }
};
using Json = std::unique_ptr<cJSON, JsonFree>;

std::string text_at(const cJSON *o, const char *key)
{
    const char *s = cJSON_GetStringValue(cJSON_GetObjectItem(o, key));
    return s ? s : "(none)";
}

TEST(PolicyLint, TheShippedConfigIsCleanOnceItsKeyIsThere)
{
    Scratch s;
    std::filesystem::copy_file(shipped(), s.dir / "policy-config.yaml");
    Result r = lint(s, "lint", "MISTRAL_API_KEY=k");
    EXPECT_EQ(r.status, 0);
    EXPECT_EQ(r.out,
              "policy-config.yaml: ok, pack mistral-gateway 1.0.0, chain prompt-injection > pii-detector > "
              "safety-filter > audit-logger, 0 warnings\n");
    r = lint(s, "lint");
    EXPECT_EQ(r.status, 0) << "a warning is no error";
    EXPECT_NE(r.out.find("warning[W005] providers.targets[0].secret_key_ref.env: environment variable "
                         "MISTRAL_API_KEY is not set"),
              std::string::npos)
        << r.out;
    EXPECT_NE(r.out.find(", 1 warning\n"), std::string::npos) << r.out;
}

TEST(PolicyLint, ErrorsHavePlaceAndExitTwo)
{
    Scratch s;
    s.write("bad.yaml", kt::base + "fail_mod: allow\n");
    Result r = lint(s, "lint --file bad.yaml");
    EXPECT_EQ(r.status, 2);
    EXPECT_EQ(r.out,
              "bad.yaml:5:1: error[E002] fail_mod: unknown key 'fail_mod' (did you mean 'fail_mode'?)\n"
              "bad.yaml: 1 error, 0 warnings\n");
    r = lint(s, "lint none.yaml");
    EXPECT_EQ(r.status, 2);
    EXPECT_EQ(r.out, "none.yaml: error[E008] cannot be read: No such file or directory (name a YAML file "
                     "that this user may "
                     "read)\nnone.yaml: 1 error, 0 warnings\n");
}

TEST(PolicyLint, JsonOfAGoodConfig)
{
    Scratch s;
    s.write("a.yaml", kt::target);
    Result r = lint(s, "lint --json a.yaml");
    EXPECT_EQ(r.status, 0);
    Json j(cJSON_Parse(r.out.c_str()));
    ASSERT_TRUE(j) << r.out;
    EXPECT_TRUE(cJSON_IsTrue(cJSON_GetObjectItem(j.get(), "valid")));
    EXPECT_EQ(text_at(j.get(), "file"), "a.yaml");
    EXPECT_EQ(text_at(cJSON_GetObjectItem(j.get(), "pack"), "name"), "t");
    EXPECT_EQ(text_at(cJSON_GetObjectItem(j.get(), "pack"), "version"), "1.0.0");
    EXPECT_STREQ(cJSON_GetStringValue(cJSON_GetArrayItem(cJSON_GetObjectItem(j.get(), "chain"), 0)),
                 "audit-logger");
    EXPECT_EQ(cJSON_GetNumberValue(cJSON_GetObjectItem(j.get(), "policy_count")), 1);
    const cJSON *warning = cJSON_GetArrayItem(cJSON_GetObjectItem(j.get(), "warnings"), 0);
    EXPECT_EQ(text_at(warning, "code"), "W005");
    EXPECT_EQ(cJSON_GetObjectItem(j.get(), "errors"), nullptr);
}

TEST(PolicyLint, JsonOfABrokenConfig)
{
    Scratch s;
    s.write("a.yaml", kt::base + "mode: enforced\n");
    Result r = lint(s, "lint --json --file=a.yaml");
    EXPECT_EQ(r.status, 2);
    Json j(cJSON_Parse(r.out.c_str()));
    ASSERT_TRUE(j) << r.out;
    EXPECT_TRUE(cJSON_IsFalse(cJSON_GetObjectItem(j.get(), "valid")));
    const cJSON *errors = cJSON_GetObjectItem(j.get(), "errors");
    ASSERT_EQ(cJSON_GetArraySize(errors), 1);
    const cJSON *e = cJSON_GetArrayItem(errors, 0);
    EXPECT_EQ(text_at(e, "code"), "E004");
    EXPECT_EQ(text_at(e, "path"), "mode");
    EXPECT_EQ(text_at(e, "suggestion"), "did you mean 'enforce'?");
    EXPECT_EQ(cJSON_GetNumberValue(cJSON_GetObjectItem(e, "line")), 5);
    EXPECT_EQ(cJSON_GetNumberValue(cJSON_GetObjectItem(e, "col")), 7);
}

/* Every complaint is an object of the same members, as the public tool prints it, and where it is besides. */
TEST(PolicyLint, JsonHasAllMembersEverywhere)
{
    Scratch s;
    s.write("a.yaml", kt::target + "      data_policy: {zero_data_retention: true, retention_days: "
                                   "3}\nfail_mode: x\nagents: {a: 1}\nmodus: y\n");
    Result r = lint(s, "lint --json a.yaml");
    EXPECT_EQ(r.status, 2);
    Json j(cJSON_Parse(r.out.c_str()));
    ASSERT_TRUE(j) << r.out;
    EXPECT_EQ(cJSON_GetArraySize(cJSON_GetObjectItem(j.get(), "errors")), 2);
    EXPECT_EQ(cJSON_GetArraySize(cJSON_GetObjectItem(j.get(), "warnings")), 2);
    for (const char *list : {"errors", "warnings"}) {
        const cJSON *e;
        cJSON_ArrayForEach(e, cJSON_GetObjectItem(j.get(), list))
        {
            for (const char *key : {"code", "path", "message", "file"})
                EXPECT_NE(text_at(e, key), "(none)") << key << r.out;
            EXPECT_TRUE(cJSON_HasObjectItem(e, "suggestion"));
            EXPECT_EQ(text_at(e, "file"), "a.yaml");
            EXPECT_GT(cJSON_GetNumberValue(cJSON_GetObjectItem(e, "line")), 9);
            EXPECT_GT(cJSON_GetNumberValue(cJSON_GetObjectItem(e, "col")), 0);
        }
    }
}

/* A policy that looks as if it guarded something, and has nothing to do. */
TEST(PolicyLint, APolicyWithNothingToDoIsAWarning)
{
    Scratch s;
    for (const char *policy :
         {"quality-scorer: {}", "quality-scorer: {assertions: [{type: not-empty, enabled: false}]}",
          "agent-firewall: {}", "language-validator: {}", "data-routing-policy: {}",
          "dlp-filter: {secrets: false}", "pii-detector: {entities: [email], kinds: {email: off}}"}) {
        const std::string p = policy;
        s.write("a.yaml", "pack: {name: t, version: 1.0.0}\npolicies: {chain: [" + p.substr(0, p.find(':')) +
                              "]}\npolicy:\n  " + p + "\n");
        Result r = lint(s, "lint a.yaml");
        EXPECT_EQ(r.status, 0) << policy << r.out;
        EXPECT_NE(r.out.find("a.yaml:4:3: warning[W006]"), std::string::npos) << policy << r.out;
        EXPECT_NE(r.out.find("has nothing to do"), std::string::npos) << policy << r.out;
    }
}

TEST(PolicyLint, APatternThatMatchesAnythingIsAnError)
{
    Scratch s;
    for (const char *pattern : {".+", "(?s).+", "^.*x*$", "[\\s\\S]+", "(.+)", "\\S+", "a*"}) {
        s.write("a.yaml",
                "pack: {name: t, version: 1.0.0}\npolicies: {chain: [dlp-filter]}\npolicy:\n  dlp-filter:\n"
                "    detect_patterns: ['EMP-[0-9]+', '" +
                    std::string(pattern) + "']\n");
        Result r = lint(s, "lint a.yaml");
        EXPECT_EQ(r.status, 2) << pattern << r.out;
        EXPECT_NE(r.out.find("policy.dlp-filter.detect_patterns[1]"), std::string::npos) << r.out;
        EXPECT_NE(r.out.find("found everywhere"), std::string::npos) << pattern << r.out;
    }
}

TEST(PolicyLint, AMissingKeyNamesItsTargetsPlace)
{
    Scratch s;
    s.write("a.yaml", kt::target);
    s.write("b.yaml", "mode: observe\n");
    EXPECT_EQ(lint(s, "lint a.yaml b.yaml")
                  .out.rfind("a.yaml:7:7: warning[W005] providers.targets[0].secret_key_ref: ", 0),
              0u);
}

/* Looking at a config must not run what stands in it. */
TEST(PolicyLint, NoCommandIsRun)
{
    Scratch s;
    s.write("a.yaml", kt::target + "      secret_key_ref: {command: 'touch ran; echo key'}\n");
    Result r = lint(s, "lint a.yaml");
    EXPECT_EQ(r.status, 0) << r.out;
    EXPECT_NE(r.out.find(", 0 warnings\n"), std::string::npos) << r.out;
    EXPECT_EQ(lint(s, "explain --effective a.yaml").status, 0);
    EXPECT_FALSE(std::filesystem::exists(s.dir / "ran"));
}

bool has_option(const char *kind, const char *option)
{
    const kt_policy *p = kt_policy_find(kind);
    for (const kt_option *o = p ? p->options : nullptr; o && o->name; o++)
        if (std::string(o->name) == option)
            return true;
    return false;
}

TEST(PolicyLint, WhatAPolicySaysItselfStandsAtItsOption)
{
    if (!has_option("dlp-filter", "detect_patterns"))
        GTEST_SKIP() << "no policy of this build has options that its table alone cannot check";
    Scratch s;
    s.write("a.yaml",
            "pack: {name: t, version: 1.0.0}\npolicies: {chain: [audit-logger, dlp-filter]}\npolicy:\n"
            "  audit-logger: {}\n  dlp-filter:\n    detect_patterns: ['(']\n");
    Result r = lint(s, "lint a.yaml");
    EXPECT_EQ(r.status, 2);
    EXPECT_EQ(r.out.rfind("a.yaml:6:23: error[E004] policy.dlp-filter.detect_patterns[0]: ", 0), 0u) << r.out;

    static const struct {
        const char *kind, *options, *place;
    } cases[] = {
        {"prompt-injection", "attack_patterns: [ok, '(']",
         "5:27: error[E004] policy.prompt-injection.attack_patterns[1]: "},
        {"pii-detector", "kinds: {email: maybe}", "5:20: error[E004] policy.pii-detector.kinds.email: "},
        {"pii-detector", "detect_patterns: [email, 'x(']",
         "5:30: error[E004] policy.pii-detector.detect_patterns[1]: "},
        {"quality-scorer", "assertions: [{type: contains, value: a}, {type: regex, value: '('}]",
         "5:46: error[E004] policy.quality-scorer.assertions[1]: "},
        {"quality-scorer", "assertions: [{type: contians, value: a}]",
         "5:18: error[E004] policy.quality-scorer.assertions[0]: "},
    };
    for (auto &c : cases) {
        std::string kind = c.kind;
        s.write("b.yaml", "pack: {name: t, version: 1.0.0}\npolicies: {chain: [" + kind + "]}\npolicy:\n  " +
                              kind + ":\n    " + c.options + "\n");
        r = lint(s, "lint b.yaml");
        EXPECT_EQ(r.status, 2);
        EXPECT_EQ(r.out.rfind(std::string("b.yaml:") + c.place, 0), 0u) << r.out;
    }
    /* the layer that the option comes from is named */
    s.write("c.yaml", "policy: {pii-detector: {kinds: {email: maybe}}}\n");
    s.write("d.yaml",
            "pack: {name: t, version: 1.0.0}\npolicies: {chain: [pii-detector]}\npolicy: {pii-detector: "
            "{action: block}}\n");
    r = lint(s, "lint d.yaml c.yaml");
    EXPECT_EQ(r.out.rfind("c.yaml:1:40: error[E004] policy.pii-detector.kinds.email: ", 0), 0u) << r.out;
}

TEST(PolicyExplain, TheEffectiveFormLoadsAndIsItself)
{
    Scratch s;
    s.write("a.yaml", kt::target);
    s.write("b.yaml", "mode: observe\nproviders: {retry: {max_delay: 9s}}\n");
    Result once = lint(s, "explain --effective a.yaml --policy-config b.yaml 2>/dev/null; true");
    EXPECT_NE(once.out.find("\nmode: observe\n"), std::string::npos) << once.out;
    EXPECT_NE(once.out.find("    max_delay_ms: 9000\n"), std::string::npos) << once.out;
    s.write("c.yaml", once.out);
    EXPECT_EQ(lint(s, "explain --effective c.yaml 2>/dev/null; true").out, once.out);
    EXPECT_EQ(lint(s, "explain --effective 2>/dev/null; true", "KT_POLICY_CONFIG=a.yaml:b.yaml").out,
              once.out);
}

TEST(PolicyExplain, Json)
{
    Scratch s;
    s.write("a.yaml", kt::target + "      weight: 0.5\npack_: 1\n");
    EXPECT_EQ(lint(s, "explain --effective --json a.yaml").status, 2);
    s.write("a.yaml", kt::target + "      pricing: {prompt: 0.5}\n");
    Result r = lint(s, "explain --effective --json a.yaml");
    EXPECT_EQ(r.status, 0);
    Json j(cJSON_Parse(r.out.c_str()));
    ASSERT_TRUE(j) << r.out;
    const cJSON *t =
        cJSON_GetArrayItem(cJSON_GetObjectItem(cJSON_GetObjectItem(j.get(), "providers"), "targets"), 0);
    EXPECT_EQ(text_at(t, "base_url"), "https://api.mistral.ai/v1");
    EXPECT_EQ(cJSON_GetNumberValue(cJSON_GetObjectItem(cJSON_GetObjectItem(t, "pricing"), "prompt")), 0.5);
    EXPECT_FALSE(cJSON_HasObjectItem(t, "description"));
}

TEST(PolicyLint, LayersFromTheEnvironment)
{
    Scratch s;
    s.write("a.yaml", kt::base);
    s.write("b.yaml", "pack: {version: 2.0.0}\n");
    Result r = lint(s, "lint", "KT_POLICY_CONFIG=a.yaml:b.yaml");
    EXPECT_EQ(r.status, 0);
    EXPECT_EQ(r.out, "a.yaml + b.yaml: ok, pack t 2.0.0, chain audit-logger, 0 warnings\n");
    EXPECT_EQ(lint(s, "lint b.yaml a.yaml").out.find("pack t 1.0.0") != std::string::npos, true);
}

TEST(PolicyLint, WrongUsage)
{
    Scratch s;
    for (const char *args : {"", "explode", "lint --nonsense", "lint --file", "lint ''", "lint",
                             "explain --effective --nonsense", "explain --effective none -f"}) {
        Result r = lint(s, args);
        EXPECT_EQ(r.status, 2) << args;
        EXPECT_NE(r.out.find("Try 'kt policy --help'"), std::string::npos) << args << "\n" << r.out;
    }
    Result help = lint(s, "lint --help");
    EXPECT_EQ(help.status, 0);
    EXPECT_EQ(help.out.rfind("usage: kt policy lint", 0), 0u);
}

} // namespace

namespace {

Result checked(const std::string &verb, const std::string &pack, const std::string &kinds,
               const std::string &rest = "")
{
    Scratch s;
    s.write("c.yaml",
            "pack: {name: " + pack + ", version: 1.0.0}\npolicies: {chain: [" + kinds + "]}\n" + rest);
    return lint(s, verb + " c.yaml");
}

} // namespace

TEST(PolicyLint, PointsAtTheKeyThatIsWrong)
{
    Result r = checked("lint", "t", "pii-detector",
                       "policy:\n  pii-detector:\n    kinds:\n      email: on\n      emial: off\n");
    EXPECT_EQ(r.status, 2);
    EXPECT_EQ(r.out.find("c.yaml:7:7: error[E004] policy.pii-detector.kinds.emial: "), 0u) << r.out;
    r = checked("lint", "t", "quality-scorer",
                "policy: {quality-scorer: {thresholds: {min_agregate: .5}}}\n");
    EXPECT_NE(r.out.find("did you mean 'min_aggregate'"), std::string::npos) << r.out;
}

TEST(PolicyLint, WhatWouldBreakOrDeceiveIsAnError)
{
    for (const char *name : {"''", "\"a\\eb\"", "\"a\\nb\""}) {
        Result r = checked("lint", name, "");
        EXPECT_EQ(r.status, 2) << name;
        EXPECT_NE(r.out.find("pack.name"), std::string::npos) << r.out;
        EXPECT_EQ(r.out.find('\x1b'), std::string::npos) << "no control character on a terminal";
    }
    const char target[] =
        "providers: {targets: [{id: a, provider: mistral, model: m, secret_key_ref: {env: PATH}";
    Result r = checked("lint", "t", "", std::string(target) + ", api_key_header: Host}]}\n");
    EXPECT_EQ(r.status, 2);
    EXPECT_NE(r.out.find("api_key_header"), std::string::npos) << r.out;
    r = checked("lint", "t", "",
                std::string(target) + ", data_policy: {zero_data_retention: true, retention_days: 10}}]}\n");
    EXPECT_EQ(r.status, 0);
    EXPECT_NE(r.out.find("W006"), std::string::npos) << r.out;
    const char check[] = "policy: {safety-filter: {engine: mistral-moderation, moderation_target: aa}}\n";
    EXPECT_NE(checked("lint", "t", "safety-filter", check).out.find("engine: mistral-moderation asks"),
              std::string::npos);
    r = checked("lint", "t", "safety-filter", std::string(check) + target + "}]}\n");
    EXPECT_EQ(r.status, 2);
    EXPECT_NE(r.out.find("policy.safety-filter.moderation_target: "), std::string::npos) << r.out;
}

TEST(PolicyLint, EffectiveRefusesWhatLintRefuses)
{
    const char policy[] = "policy: {prompt-injection: {attack_patterns: ['a(b']}}\n";
    EXPECT_EQ(checked("lint", "t", "prompt-injection", policy).status, 2);
    Result r = checked("explain --effective", "t", "prompt-injection", policy);
    EXPECT_EQ(r.status, 2);
    EXPECT_NE(r.out.find("attack_patterns"), std::string::npos) << r.out;
    EXPECT_EQ(r.out.find("policies:"), std::string::npos) << "nothing is printed as if it were fine";
}

TEST(PolicyLint, AKeyFileThatOthersCanReadIsAWarning)
{
    Scratch s;
    s.write("key", "k-123");
    s.write("c.yaml",
            "pack: {name: t, version: 1.0.0}\npolicies: {chain: []}\nproviders: {targets: [{id: a, provider: "
            "mistral, model: m, secret_key_ref: {file: '" +
                (s.dir / "key").string() + "'}}]}\n");
    for (bool open : {true, false}) {
        std::filesystem::permissions(s.dir / "key", std::filesystem::perms(open ? 0644 : 0600));
        Result r = lint(s, "lint c.yaml");
        EXPECT_EQ(r.status, 0);
        EXPECT_EQ(r.out.find("has mode 0644") != std::string::npos, open) << r.out;
        EXPECT_EQ(r.out.find("k-123"), std::string::npos);
    }
}
