/* SPDX-License-Identifier: Apache-2.0 */
/* The tap lane's way into the engine: when it is open, what a fork leaves of it, and the end of a process. */
#include "engine_fixture.hpp"

namespace {

const char kObserve[] = "pack: {name: t, version: 1.0.0, enabled: true}\nmode: observe\n"
                        "policies:\n  chain: [pii-detector, audit-logger]\n"
                        "policy:\n  pii-detector: {action: redact}\n  audit-logger: {immutable: true}\n";

std::string answer_text()
{
    const std::string body = answer_json("hello");
    return "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: " +
           std::to_string(body.size()) + "\r\n\r\n" + body;
}

void say(kt_engine *e, uint64_t id, const std::string &request)
{
    const std::string response = answer_text();
    kt_engine_tap_data(e, id, KT_TAP_OUT, request.data(), request.size());
    kt_engine_tap_data(e, id, KT_TAP_IN, response.data(), response.size());
}

uint64_t open_tap(kt_engine *e)
{
    return kt_engine_tap_open(e, "api.openai.com", 443, true);
}

TEST(EngineTap, IsOpenInObserveModeOnlyAndFollowsTheConfig)
{
    Env v;
    v.o.config_check_ns = 1;
    v.write_config(kObserve);
    v.start();
    EXPECT_TRUE(kt_engine_taps(v.e));
    std::string enforce = kObserve;
    enforce.replace(enforce.find("mode: observe"), 13, "mode: enforce");
    v.write_config(enforce);
    EXPECT_FALSE(kt_engine_taps(v.e));
    v.write_config(kObserve);
    EXPECT_TRUE(kt_engine_taps(v.e));
}

TEST(EngineTap, ABrokenConfigAltersNothing)
{
    for (const char *fail : {"block", "allow"}) {
        Env v;
        v.o.mode = "observe";
        v.o.fail_mode = fail;
        v.write_config("mdoe: observe\n");
        v.start();
        EXPECT_TRUE(kt_engine_taps(v.e)) << fail;
    }
}

TEST(EngineTap, WithoutAnAuditLogNothingIsAltered)
{
    for (const char *fail : {"block", "allow"}) {
        Env v;
        v.write_config(kObserve);
        v.o.fail_mode = fail;
        std::ofstream(v.state) << "no folder can be made here";
        v.start();
        EXPECT_TRUE(kt_engine_taps(v.e)) << fail;
    }
}

TEST(EngineTap, SettlingWritesWhatIsDue)
{
    Env v;
    v.write_config(kObserve);
    v.start();
    kt_engine_settle(v.e, KT_ABI_EXEC); /* nothing was tapped: nothing to wait for */
    uint64_t id = open_tap(v.e);
    ASSERT_NE(id, 0u);
    say(v.e, id, post(chat("Mail alice.jones@example.org")));
    kt_engine_settle(v.e, KT_ABI_EXEC);
    EXPECT_EQ(v.count("\"would_verdict\":\"redact\""), 1u);
    say(v.e, id, post(chat("again")));
    kt_engine_settle(v.e, KT_ABI_EXIT);
    EXPECT_EQ(v.count("\"lane\":\"tap\""), 2u);
    EXPECT_EQ(open_tap(v.e), 0u) << "the engine has ended";
    say(v.e, id, post(chat("too late")));
    kt_engine_tap_close(v.e, id);
    v.verify();
}

TEST(EngineTap, TheEndOfAnEngineIsTheEndOfItsCalls)
{
    Env v;
    v.write_config(kObserve);
    v.start();
    uint64_t id = open_tap(v.e);
    const std::string request = post(chat("hello")), half = answer_text().substr(0, 100);
    kt_engine_tap_data(v.e, id, KT_TAP_OUT, request.data(), request.size());
    kt_engine_tap_data(v.e, id, KT_TAP_IN, half.data(), half.size());
    ASSERT_TRUE(kt_engine_stop(v.e, 5000));
    EXPECT_EQ(v.count("\"error\":\"connection_closed\""), 1u);
    v.verify();
}

TEST(EngineTap, ManyThreadsAndFlows)
{
    Env v;
    v.write_config(kObserve);
    v.start();
    std::vector<std::thread> all;
    for (int n = 0; n < 8; n++)
        all.emplace_back([&] {
            for (int i = 0; i < 25; i++) {
                uint64_t id = open_tap(v.e);
                say(v.e, id, post(chat("hello")));
                kt_engine_tap_close(v.e, id);
            }
        });
    for (auto &t : all)
        t.join();
    ASSERT_TRUE(kt_engine_stop(v.e, 10000));
    EXPECT_EQ(v.count("\"lane\":\"tap\""), 200u);
    EXPECT_EQ(v.count("\"error\""), 0u);
    v.verify();
}

#ifndef __SANITIZE_THREAD__ /* does not let a child of threads start one */
TEST(EngineTap, AForkChildHasFlowsOfItsOwn)
{
    Env v;
    v.write_config(kObserve);
    v.start();
    uint64_t id = open_tap(v.e);
    say(v.e, id, post(chat("parent")));
    EXPECT_TRUE(kt_engine_fork_prepare(v.e));
    pid_t pid = fork();
    if (pid == 0) {
        kt_engine_fork_child(v.e);
        say(v.e, id, post(chat("the parent's flow: nothing happens")));
        kt_engine_tap_close(v.e, id);
        uint64_t own = open_tap(v.e);
        say(v.e, own, post(chat("child")));
        kt_engine_settle(v.e, KT_ABI_EXIT);
        _exit(own != 0 && own != id ? 0 : 1);
    }
    int status = -1;
    waitpid(pid, &status, 0);
    kt_engine_fork_parent(v.e);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
    say(v.e, id, post(chat("parent again")));
    ASSERT_TRUE(kt_engine_stop(v.e, 5000));
    EXPECT_EQ(v.count("\"lane\":\"tap\""), 3u);
    v.verify();
}
#endif

} // namespace
