/* SPDX-License-Identifier: Apache-2.0 */
/* Calls through a whole engine; config, audit, end. */
#include "engine_fixture.hpp"

#include <optional>

namespace {

TEST(Engine, TheWholeWayOverTlsAndPlain)
{
    fake::Server up(ok_handler);
    Env v;
    v.write_target(up.url("/v1"));
    v.start();
    for (bool tls : {true, false}) {
        Client c(v.e);
        ASSERT_TRUE(c.adopted);
        if (tls) {
            ASSERT_TRUE(c.tls(v.e)) << ERR_reason_error_string(ERR_peek_error());
        }
        for (int i = 0; i < 3; i++) {
            std::string a = c.call(post(chat("my mail is jane.doe@example.com, write to it")));
            ASSERT_TRUE(is(a, 200)) << a;
            EXPECT_NE(a.find("hello"), std::string::npos);
        }
    }
    auto rs = up.requests();
    ASSERT_EQ(rs.size(), 6u);
    for (auto &r : rs) {
        EXPECT_EQ(r.header("authorization"), "Bearer key-of-the-target");
        EXPECT_EQ(r.head.find("sk-of-the-program"), std::string::npos);
        EXPECT_EQ(r.body.find("jane.doe"), std::string::npos) << r.body;
        EXPECT_NE(r.body.find("[EMAIL_1]"), std::string::npos) << r.body;
        EXPECT_NE(r.body.find("mistral-large-latest"), std::string::npos) << r.body;
    }
    EXPECT_LE(up.connections(), 1u); /* kept alive over flows */
    EXPECT_EQ(v.count("\"event_type\":\"decision\""), 6u);
    EXPECT_EQ(v.count("\"verdict\":\"redact\""), 6u * 2); /* the event's and the policy's */
    EXPECT_EQ(v.count("\"lane\":\"divert\""), 6u);
    EXPECT_EQ(v.events().find("jane.doe"), std::string::npos);
    v.verify();
}

TEST(Engine, HandoffByRandom)
{
    fake::Server up(ok_handler);
    Env v;
    v.write_target(up.url("/v1"));
    v.start();
    Client c(v.e);
    ASSERT_TRUE(c.tls(v.e));
    uint8_t random[32];
    ASSERT_EQ(SSL_get_client_random(c.ssl, random, 32), 32u);
    kt_flow *f = kt_engine_flow_by_random(v.e, random);
    ASSERT_NE(f, nullptr);
    for (int i = 0; i < 3; i++) {
        std::string r = post(chat("card 4111 1111 1111 1111"));
        ASSERT_EQ(kt_engine_flow_write(v.e, f, r.data(), r.size()), static_cast<ssize_t>(r.size()));
        ASSERT_TRUE(is(c.answer(), 200));
    }
    kt_flow_release(f);
    EXPECT_EQ(v.count("\"lane\":\"handoff\""), 3u);
    EXPECT_EQ(up.requests()[0].body.find("4111"), std::string::npos);
}

TEST(Engine, FdsAndFlowsDoNotGrow)
{
    fake::Server up(ok_handler);
    Env v;
    v.write_target(up.url("/v1"));
    v.start();
    auto rounds = [&](int n) {
        for (int i = 0; i < n; i++) {
            Client c(v.e);
            ASSERT_TRUE(c.tls(v.e));
            ASSERT_TRUE(is(c.call(post(chat("x"))), 200));
        }
        ASSERT_TRUE(v.wait([&] { return kt_engine_flow_count(v.e) == 0; }));
    };
    rounds(5);
    size_t fds = kt_fds_count();
    rounds(60);
    EXPECT_EQ(kt_fds_count(), fds);
}

TEST(Engine, ABrokenConfigRefusesAndSaysWhy)
{
    Env v;
    v.write_config("pack: {name: t, version: 1.0.0, enabled: true}\nno_such_key: 1\npolicies: {chain: []}\n");
    v.start();
    kt_runtime *rt = kt_engine_runtime(v.e);
    ASSERT_NE(rt->broken, nullptr);
    EXPECT_NE(std::string(rt->broken).find("policy-config.yaml:2:"), std::string::npos) << rt->broken;
    EXPECT_EQ(rt->fail_mode, KT_FAIL_BLOCK);
    kt_runtime_unref(rt);
    EXPECT_EQ(v.count("\"event_type\":\"config_error\""), 1u);
    EXPECT_NE(slurp(v.dir / "state" / "kt.log").find("no_such_key"), std::string::npos);
    Client c(v.e);
    ASSERT_TRUE(c.tls(v.e)); /* the built-in hosts have a CA all the same */
    std::string a = c.call(post(chat("x")));
    EXPECT_TRUE(is(a, 503)) << a;
    EXPECT_NE(a.find("policy-config.yaml:2:"), std::string::npos);
    EXPECT_EQ(v.count("\"event_type\":\"config_error\""), 2u) << "of the exchange itself" << v.events();
}

TEST(Engine, TheEnvironmentStandsOverTheConfig)
{
    Env v;
    v.write_target("http://127.0.0.1:1");
    v.o.mode = "observe";
    v.o.fail_mode = "allow";
    v.start();
    kt_runtime *rt = kt_engine_runtime(v.e);
    EXPECT_EQ(rt->broken, nullptr);
    EXPECT_EQ(rt->mode, KT_MODE_OBSERVE);
    EXPECT_EQ(rt->fail_mode, KT_FAIL_ALLOW);
    kt_runtime_unref(rt);
    kt_engine_free(v.e);
    v.e = nullptr;
    v.o.mode = "watch";
    v.start();
    rt = kt_engine_runtime(v.e);
    ASSERT_NE(rt->broken, nullptr);
    EXPECT_NE(std::string(rt->broken).find("KT_MODE is 'watch'"), std::string::npos) << rt->broken;
    EXPECT_EQ(rt->fail_mode, KT_FAIL_ALLOW);
    kt_runtime_unref(rt);
}

/* An engine that looks at its config before every call, and a connection to it. */
class EngineReload : public ::testing::Test {
  protected:
    void SetUp() override
    {
        v.o.config_check_ns = 1;
        v.write_target(up.url("/v1"), "mistral-small-latest");
        v.start();
        ASSERT_TRUE(c.emplace(v.e).tls(v.e));
    }
    fake::Server up{ok_handler};
    Env v;
    std::optional<Client> c;
};

TEST_F(EngineReload, AChangedConfigTakesEffectAndABrokenOneDoesNot)
{
    ASSERT_TRUE(is(c->call(post(chat("x"))), 200));
    v.write_target(up.url("/v1"), "mistral-large-latest");
    ASSERT_TRUE(is(c->call(post(chat("x"))), 200));
    v.write_config("providers: [");
    ASSERT_TRUE(is(c->call(post(chat("x"))), 200));
    ASSERT_TRUE(is(c->call(post(chat("x"))), 200));
    EXPECT_EQ(v.count("\"event_type\":\"config_error\""), 1u); /* once for that state of the file */
    fs::remove(v.config);
    ASSERT_TRUE(is(c->call(post(chat("x"))), 200));
    EXPECT_EQ(v.count("\"event_type\":\"config_error\""), 2u);
    v.write_target(up.url("/v1"), "mistral-medium-latest");
    ASSERT_TRUE(is(c->call(post(chat("x"))), 200));
    auto rs = up.requests();
    ASSERT_EQ(rs.size(), 6u);
    const char *want[] = {"small", "large", "large", "large", "large", "medium"};
    for (size_t i = 0; i < 6; i++)
        EXPECT_NE(rs[i].body.find(want[i]), std::string::npos) << i << rs[i].body;
    v.verify();
}

/* kt.log and the event say what `kt policy lint` says: where, what, how to mend it. */
TEST_F(EngineReload, ABrokenReloadSaysWhatLintSays)
{
    const std::string pack =
        "pack: {name: t, version: 1.0.0}\npolicies: {chain: [dlp-filter, pii-detector]}\n";
    const std::pair<std::string, std::string> cases[] = {
        {"pack: {name: t, version: 1.0.0}\npolicies: {chain: []}\nfail_mod: allow\n",
         ":3:1: error[E002] fail_mod: unknown key 'fail_mod' (did you mean 'fail_mode'?)"},
        {pack + "policy:\n  dlp-filter:\n    blocked_terms: [ok, \"\\u200b\"]\n  pii-detector: {}\n",
         ":5:25: error[E004] policy.dlp-filter.blocked_terms[1]: has no word in it (letters, digits or signs "
         "are "
         "wanted)"},
        {pack + "policy:\n  dlp-filter: {}\n  pii-detector: {kinds: {emial: on}, pci_mode: maybe}\n",
         ":5:48: error[E004] policy.pii-detector.pci_mode: must be true or false, is 'maybe' (write true or "
         "false)"},
    };
    for (size_t i = 0; i < 3; i++) {
        v.write_config(cases[i].first);
        ASSERT_TRUE(is(c->call(post(chat("x"))), 200)) << "the earlier config goes on";
        std::string log = slurp(v.dir / "state" / "kt.log"), want = v.config + cases[i].second;
        size_t at = log.find("the policy config cannot be used: " + want);
        ASSERT_NE(at, std::string::npos) << log;
        EXPECT_NE(log.find("; calls go on by the earlier config\n", at), std::string::npos) << log;
        EXPECT_EQ(v.count("\"event_type\":\"config_error\""), i + 1);
    }
    v.verify();
}

/* Compiling takes seconds, and this is the thread that serves all calls. */
TEST_F(EngineReload, PatternsOfAChangedConfigAreCompiledBesideTheCalls)
{
    auto with = [&](const std::string &dlp, const std::string &attack) {
        v.write_config("pack: {name: t, version: 1.0.0, enabled: true}\n"
                       "policies:\n  chain: [dlp-filter, prompt-injection]\n"
                       "policy:\n  dlp-filter: {detect_patterns: ['" +
                       dlp + "']}\n  prompt-injection: {attack_patterns: ['" + attack +
                       "']}\n"
                       "providers:\n  targets:\n    - id: one\n      provider: mistral\n      model: m\n"
                       "      base_url: " +
                       up.url("/v1") + "\n      secret_key_ref: {env: KT_TEST_KEY}\n");
    };
    auto sent = [&] { /* what the provider got of a call that the dlp pattern is about */
                      EXPECT_TRUE(is(c->call(post(chat("xabcdefghy"))), 200));
                      return up.requests().back().body;
    };
    with("x\\p{L}{8}y", "zork\\p{L}{4}oo");
    EXPECT_NE(sent().find("xabcdefghy"), std::string::npos); /* by the earlier config, and not refused */
    EXPECT_TRUE(v.wait([&] { return sent().find("[PATTERN_1]") != std::string::npos; }));
    const std::string log = slurp(v.dir / "state" / "kt.log"), line = "calls go by the earlier config";
    ASSERT_NE(log.find(line), std::string::npos) << log;
    EXPECT_EQ(log.find(line), log.rfind(line)) << log; /* once, for both policies */
    EXPECT_EQ(log.find("inside of this program"), std::string::npos) << log;
    with("x(", "zork"); /* found wrong beside the calls, too: the config of before stays */
    EXPECT_TRUE(v.wait([&] {
        return sent().find("[PATTERN_1]") != std::string::npos &&
               v.count("\"event_type\":\"config_error\"") > 0;
    }));
    EXPECT_NE(sent().find("[PATTERN_1]"), std::string::npos);
    EXPECT_EQ(v.count("\"event_type\":\"config_error\""), 1u);
    v.verify();
}

TEST(Engine, WithoutAnAuditLogFailModeDecides)
{
    fake::Server up(ok_handler);
    for (const char *fail : {"block", "allow"}) {
        Env v;
        v.write_target(up.url("/v1"));
        std::ofstream(v.state) << "a file where the folder should be";
        v.o.fail_mode = fail;
        v.start();
        Client c(v.e);
        ASSERT_TRUE(c.tls(v.e));
        std::string a = c.call(post(chat("x")));
        EXPECT_TRUE(is(a, strcmp(fail, "allow") == 0 ? 200 : 503)) << fail << a;
    }
}

TEST(Engine, ReportsAreWrittenAtOnceAndDistrustOncePerMinute)
{
    Env v;
    v.write_target("http://127.0.0.1:1");
    v.start();
    kt_engine_report(v.e, KT_ABI_UNSEEN, "api.openai.com", "a proxy");
    kt_engine_report(v.e, KT_ABI_TRUST_FAILED, "api.openai.com", "no store");
    EXPECT_EQ(v.count("\"event_type\":\"unseen\""), 1u);
    EXPECT_EQ(v.count("\"event_type\":\"trust_failed\""), 1u);
    EXPECT_EQ(v.count("\"verdict\":\"block\""), 1u); /* fail_mode: the shim refused it */
    for (int i = 0; i < 3; i++) {
        Client c(v.e);
        EXPECT_FALSE(c.tls(v.e, false));
    }
    ASSERT_TRUE(v.wait([&] { return kt_engine_flow_count(v.e) == 0; }));
    EXPECT_EQ(v.count("\"event_type\":\"client_distrusts\""), 1u);
    EXPECT_EQ(v.count("api.openai.com:443"), 1u);
    {
        Client c(v.e, "api.mistral.ai");
        EXPECT_FALSE(c.tls(v.e, false));
    }
    EXPECT_TRUE(v.wait([&] { return v.count("\"event_type\":\"client_distrusts\"") == 2; }));
    Client c(v.e);
    EXPECT_TRUE(
        is(c.call("GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"), 426));
    EXPECT_EQ(v.count("\"event_type\":\"request_refused\""), 1u);
    EXPECT_EQ(v.count("\"reason_code\":\"websocket_not_supported\""), 1u);
    v.verify();
}

TEST(Engine, WhatWasCountedIsToldWhereAnotherHostTakesItsPlace)
{
    Env v;
    v.write_target("http://127.0.0.1:1");
    v.start();
    for (int i = 0; i < 4; i++)
        kt_engine_report(v.e, KT_ABI_REFUSED, "first.example", "a proxy");
    EXPECT_EQ(v.count("first.example"), 1u);
    for (int i = 0; i < 40; i++)
        kt_engine_report(v.e, KT_ABI_REFUSED, ("host" + std::to_string(i)).c_str(), "a proxy");
    EXPECT_EQ(v.count("first.example"), 2u);
    EXPECT_EQ(v.count("3 more like the last of this host"), 1u);
    v.verify();
}

TEST(Engine, StopTellsExchangesUnderWay)
{
    fake::Gate gate;
    fake::Server up(
        [&](fake::Conn &c, const fake::Request &) { return gate.wait() && c.reply(200, "x/y", "{}"); });
    Env v;
    v.write_target(up.url("/v1"));
    v.start();
    Client c(v.e), idle(v.e);
    ASSERT_TRUE(c.tls(v.e));
    c.send(post(chat("x")));
    ASSERT_TRUE(up.wait_requests(1));
    EXPECT_TRUE(kt_engine_stop(v.e, 5000));
    EXPECT_EQ(v.count("\"error\":\"client_gone\""), 1u);
    EXPECT_EQ(c.answer(), "");
    Client late(v.e);
    EXPECT_FALSE(late.adopted);
    EXPECT_FALSE(late.fill());
    gate.open();
}

} // namespace
