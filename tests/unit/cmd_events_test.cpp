// SPDX-License-Identifier: Apache-2.0
// `kt events` as a user runs it: the program, its output, its exit status.
#include "tests/unit/cmd_events_fixture.hpp"

namespace {

TEST_F(CmdEvents, OneLinePerEvent)
{
    const kt_event_label labels[] = {{"email", 1}, {"card", 2}};
    kt_event_policy p[2] = {};
    p[0] = {"prompt-injection", "request", "allow", 0.1, 0, nullptr, 0, 1, 1};
    p[1] = {"pii-detector", "request", "redact", -1, 3, labels, 2, 1, 1};
    kt_event_attempt a[2] = {};
    a[0] = {"eu", "mistral", "m", 503, "server_error", nullptr, 1};
    a[1] = {"us", "mistral", "m", 200, "ok", nullptr, 1};
    kt_event e = base("redact");
    e.policies = p;
    e.policy_count = 2;
    e.attempts = a;
    e.attempt_count = 2;
    e.target = "us";
    e.upstream_model = "mistral-large-latest";
    e.reason_code = "pii_detected";
    e.app = {"/usr/bin/curl", 42, 0, "/", nullptr, nullptr, nullptr, nullptr};
    add(e);
    EXPECT_EQ(run({"tail"}), 0);
    EXPECT_EQ(out, "2026-01-02T03:04:05.123Z  redact    200  gpt-4o -> us/mistral-large-latest  "
                   "api.openai.com:443/v1/chat/completions  pii-detector:redact(email 1, card 2)  412ms  "
                   "curl[42]  attempts=2  "
                   "reason=pii_detected\n");
    EXPECT_EQ(err, "");
}

TEST_F(CmdEvents, NoTextSteersTheTerminal)
{
    kt_event e = base("allow");
    e.model = "\x1b[2J\x1b]0;x\x07\r\nforged line \xC2\x9B"
              "31m \xE2\x80\xAE"
              "evil\x7f\xff \xE2\x80\xA8";
    e.error = "a\nb";
    add(e);
    EXPECT_EQ(run({"tail"}), 0);
    EXPECT_EQ(std::count(out.begin(), out.end(), '\n'), 1);
    for (unsigned char c : out)
        EXPECT_TRUE((c >= 0x20 && c != 0x7F) || c == '\n') << static_cast<int>(c);
    EXPECT_EQ(out.find("\xC2\x9B"), std::string::npos);
    EXPECT_EQ(out.find("\xE2\x80\xAE"), std::string::npos);
    EXPECT_NE(out.find("\\u001b[2J"), std::string::npos);
}

TEST_F(CmdEvents, LimitReachesBackThroughRotatedFiles)
{
    add(100, "allow", 4000);
    EXPECT_EQ(run({"tail", "--json"}), 0);
    auto s = seqs(out);
    ASSERT_EQ(s.size(), 50u);
    for (size_t i = 0; i < s.size(); i++)
        EXPECT_EQ(s[i], static_cast<long>(51 + i));
    EXPECT_EQ(run({"tail", "--json", "--limit", "3"}), 0);
    EXPECT_EQ(seqs(out), (std::vector<long>{98, 99, 100}));
    EXPECT_EQ(run({"tail", "--json", "--limit=1000000"}), 0);
    EXPECT_EQ(seqs(out).size(), 100u);
    EXPECT_EQ(run({"tail", "--limit", "0"}), 0);
    EXPECT_EQ(out, "");
}

TEST_F(CmdEvents, JsonIsTheStoredLine)
{
    add(1);
    EXPECT_EQ(run({"tail", "--json"}), 0);
    std::ifstream f(state + "/audit/current.jsonl");
    std::string line;
    std::getline(f, line);
    EXPECT_EQ(out, line + "\n");
}

TEST_F(CmdEvents, VerdictAndSince)
{
    add(3, "allow");
    add(2, "block", 0, 1767409445000000000ull); // a day later
    add(1, "block", 0, kt_now_real_ns());
    EXPECT_EQ(run({"tail", "--json", "--verdict", "block"}), 0);
    EXPECT_EQ(seqs(out), (std::vector<long>{4, 5, 6}));
    EXPECT_EQ(run({"tail", "--json", "--verdict", "block", "--limit", "1"}), 0);
    EXPECT_EQ(seqs(out), (std::vector<long>{6}));
    for (const char *t : {"2026-01-03", "2026-01-03T03:04:05Z", "2026-01-03T05:04:05+02:00",
                          "2026-01-02T03:04:05.000000001Z"}) {
        EXPECT_EQ(run({"tail", "--json", "--since", t}), 0);
        EXPECT_EQ(seqs(out), (std::vector<long>{4, 5, 6})) << t;
    }
    for (const char *t : {"1h", "60m", "900s", "1d"}) {
        EXPECT_EQ(run({"tail", "--json", "--since", t}), 0);
        EXPECT_EQ(seqs(out), (std::vector<long>{6})) << t;
    }
    kt_event observed = base("allow");
    observed.would_verdict = "block";
    add(observed);
    EXPECT_EQ(run({"tail", "--json", "--verdict", "block", "--limit", "2"}), 0);
    EXPECT_EQ(seqs(out), (std::vector<long>{6, 7})) << "what would have been blocked, too";
    EXPECT_EQ(run({"tail", "--json", "--verdict", "redact"}), 0);
    EXPECT_EQ(out, "");
}

TEST_F(CmdEvents, UsageErrors)
{
    const std::vector<std::vector<std::string>> bad = {{},
                                                       {"bogus"},
                                                       {"tail", "--bogus"},
                                                       {"tail", "extra"},
                                                       {"tail", "--limit", "-1"},
                                                       {"tail", "--limit", "x"},
                                                       {"tail", "--limit", "99999999"},
                                                       {"tail", "--since", "yesterday"},
                                                       {"tail", "--since", "5"},
                                                       {"tail", "--since", "2026-13-40"},
                                                       {"tail", "--since", "2026-02-30"},
                                                       {"tail", "--since", "2026-04-31T00:00:00Z"},
                                                       {"tail", "--verdict", "maybe"},
                                                       {"verify", "--limit", "3"},
                                                       {"verify", "--follow"},
                                                       {"tail", "--state-dir", ""}};
    for (const auto &args : bad) {
        Process p(args);
        EXPECT_EQ(p.finish(), 2) << (args.empty() ? "" : args.back());
        EXPECT_EQ(p.text, "");
        EXPECT_NE(p.errors.find("kt events: "), std::string::npos);
        EXPECT_NE(p.errors.find("kt events --help"), std::string::npos);
    }
    Process missing({"tail", "--limit"});
    EXPECT_EQ(missing.finish(), 2);
    EXPECT_NE(missing.errors.find("--limit needs a value"), std::string::npos);
}

TEST_F(CmdEvents, NothingThere)
{
    EXPECT_EQ(run({"tail"}), 0);
    EXPECT_EQ(out, "");
    EXPECT_NE(err.find("no events in " + state + "/audit"), std::string::npos);
    EXPECT_EQ(run({"verify"}), 2);
    EXPECT_NE(err.find("no audit log in " + state + "/audit"), std::string::npos);
    add(0);
    EXPECT_EQ(run({"verify"}), 0);
    EXPECT_EQ(out.find("ok: 0 events"), 0u);
}

TEST_F(CmdEvents, VerifyProvesOrNames)
{
    add(5);
    EXPECT_EQ(run({"verify"}), 0);
    EXPECT_EQ(out.find("ok: 5 events in 1 file"), 0u) << out;
    EXPECT_EQ(run({"verify", "--json"}), 0);
    cJSON *j = cJSON_Parse(out.c_str());
    EXPECT_TRUE(cJSON_IsTrue(cJSON_GetObjectItem(j, "ok")));
    EXPECT_EQ(cJSON_GetObjectItem(j, "last_seq")->valueint, 5);
    EXPECT_EQ(strlen(cJSON_GetObjectItem(j, "last_hash")->valuestring), 64u);
    cJSON_Delete(j);
    std::string path = state + "/audit/current.jsonl";
    EXPECT_EQ(system(("sed -i '3s/gpt-4o/gpt-4x/' " + path).c_str()), 0);
    EXPECT_EQ(run({"verify"}), 1);
    EXPECT_EQ(out.find("broken: " + path + ":3: event 3 was changed"), 0u) << out;
    EXPECT_EQ(run({"verify", "--json"}), 1);
    j = cJSON_Parse(out.c_str());
    EXPECT_TRUE(cJSON_IsFalse(cJSON_GetObjectItem(j, "ok")));
    EXPECT_EQ(cJSON_GetObjectItem(j, "line")->valueint, 3);
    EXPECT_STREQ(cJSON_GetObjectItem(j, "file")->valuestring, "current.jsonl");
    cJSON_Delete(j);
}

TEST_F(CmdEvents, FollowShowsNewEventsAcrossRotationsAndEndsOnInterrupt)
{
    add(5);
    Process p({"tail", "--follow", "--json", "--limit", "2", "--state-dir", state});
    ASSERT_TRUE(p.lines(2)) << p.text;
    add(40, "allow", 3000); // several rotations at once
    ASSERT_TRUE(p.lines(42)) << p.text.size();
    add(1, "block");
    ASSERT_TRUE(p.lines(43));
    kill(p.pid, SIGINT);
    EXPECT_EQ(p.finish(), 0) << p.errors;
    auto s = seqs(p.text);
    ASSERT_EQ(s.size(), 43u);
    for (size_t i = 0; i < s.size(); i++)
        EXPECT_EQ(s[i], static_cast<long>(4 + i));
}

TEST_F(CmdEvents, FollowWaitsForAFolderThatIsNotThereYet)
{
    Process p({"tail", "-f", "--verdict", "block", "--state-dir", state + "/later"});
    pollfd ready = {p.err, POLLIN, 0};
    ASSERT_EQ(poll(&ready, 1, 15000), 1); // "waiting for the first"
    state += "/later";
    add(2, "allow");
    add(1, "block");
    EXPECT_TRUE(p.lines(1)) << p.text;
    kill(p.pid, SIGTERM);
    EXPECT_EQ(p.finish(), 0);
    EXPECT_NE(p.errors.find("waiting"), std::string::npos);
    state.resize(state.size() - strlen("/later"));
}

TEST_F(CmdEvents, FollowSurvivesATornLineThatIsSetAside)
{
    add(2);
    Process p({"tail", "--follow", "--json", "--state-dir", state});
    ASSERT_TRUE(p.lines(2));
    {
        std::ofstream f(state + "/audit/current.jsonl", std::ios::app);
        f << "{\"id\":\"half of a li";
    }
    add(1); // the note, and the event
    EXPECT_TRUE(p.lines(4)) << p.text;
    EXPECT_EQ(seqs(p.text), (std::vector<long>{1, 2, 3, 4}));
    kill(p.pid, SIGINT);
    EXPECT_EQ(p.finish(), 0);
}

TEST_F(CmdEvents, ColoursOnATerminalOnly)
{
    add(1, "block");
    auto on_terminal = [&](const char *variable) {
        std::string cmd = std::string("env -u NO_COLOR ") + variable + " TERM=xterm script -qec '" +
                          kt_path() + " events tail --state-dir " + state + "' /dev/null < /dev/null";
        FILE *f = popen(cmd.c_str(), "r");
        std::string s;
        for (int c; (c = fgetc(f)) != EOF;)
            s += static_cast<char>(c);
        pclose(f);
        return s;
    };
    EXPECT_NE(on_terminal("A=b").find("\x1b[31mblock"), std::string::npos);
    std::string plain = on_terminal("NO_COLOR=1");
    EXPECT_EQ(plain.find('\x1b'), std::string::npos);
    EXPECT_NE(plain.find("block"), std::string::npos);
    EXPECT_EQ(run({"tail"}), 0);
    EXPECT_EQ(out.find('\x1b'), std::string::npos);
}

} // namespace
