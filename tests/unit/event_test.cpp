// SPDX-License-Identifier: Apache-2.0
// The canonical form of an event: byte for byte, and valid JSON whatever it is made of.
#include "policyengine/audit/kt_event.h"

#include <cjson/cJSON.h>
#include <gtest/gtest.h>

#include <clocale>
#include <cstdlib>
#include <cstring>
#include <random>
#include <set>
#include <string>
#include <sys/wait.h>
#include <unistd.h>

namespace {

std::string canonical(const kt_event &e)
{
    kt_buf b = KT_BUF_INIT(16u << 20);
    EXPECT_EQ(kt_event_canonical(&e, &b).code, KT_OK);
    std::string s(b.data, b.len);
    kt_buf_free(&b);
    return s;
}

std::string text(const std::string &in)
{
    kt_buf b = KT_BUF_INIT(1u << 20);
    EXPECT_EQ(kt_event_text(&b, in.data(), in.size()).code, KT_OK);
    std::string s(b.data ? b.data : "", b.len);
    kt_buf_free(&b);
    return s;
}

kt_event minimal()
{
    kt_event e = {};
    strcpy(e.id, "00112233445566778899aabbccddeeff");
    e.event_type = "decision";
    e.cost_usd = -1;
    return e;
}

bool valid_utf8(const std::string &s)
{
    setlocale(LC_CTYPE, "C.UTF-8");
    return mbstowcs(nullptr, s.c_str(), 0) != static_cast<size_t>(-1);
}

TEST(Event, MinimalHoldsOnlyWhatIsAlwaysThere)
{
    EXPECT_EQ(canonical(minimal()),
              "{\"id\":\"00112233445566778899aabbccddeeff\",\"seq\":0,"
              "\"timestamp\":\"1970-01-01T00:00:00.000000000Z\",\"event_type\":\"decision\"");
}

TEST(Event, FullFormByteForByte)
{
    const kt_event_label labels[] = {{"email", 1}, {"card", 2}};
    kt_event_policy policies[2] = {};
    policies[0] = {"prompt-injection", "request", "allow", 0.125, 0, nullptr, 0, 17, 40};
    policies[1] = {"pii-detector", "response", "redact", -1, 3, labels, 2, 21, 40};
    kt_event_attempt attempts[2] = {};
    attempts[0] = {"eu", "mistral", "mistral-small-latest", 0, "timeout", "connect", 2000};
    attempts[1] = {"us", "mistral", "mistral-large-latest", 200, "ok", nullptr, 412};
    kt_event e = minimal();
    e.seq = 7;
    e.timestamp_ns = 1767323045000000006ull;
    e.mode = "enforce";
    e.verdict = "redact";
    e.reason_code = "pii_detected";
    e.policies = policies;
    e.policy_count = 2;
    e.app = {"/usr/bin/curl", 42, 1000, "/srv", "github:ci/1/test", "0a1b", "main", "5e/9f"};
    e.lane = "divert";
    e.origin = "api.openai.com:443";
    e.method = "POST";
    e.path = "/v1/chat/completions";
    e.model = "gpt-4o";
    e.target = "us";
    e.provider = "mistral";
    e.upstream_model = "mistral-large-latest";
    e.attempts = attempts;
    e.attempt_count = 2;
    e.status = 200;
    e.stream = true;
    e.usage = {true, 10, 20, 30, 4};
    e.cost_usd = 0.00012;
    e.latency_ms = 2412;
    e.has_ttft = true;
    e.ttft_ms = 2100;
    e.streamed = {true, 12, 11, 320, 34, 56.5, "cut"};
    e.overhead_us = 88;
    e.config.name = "pack";
    e.config.version = "1.0.0";
    e.config.sha256 = "abc";
    e.trace_id = "t-1";
    e.immutable = true;
    e.prev_hash = "0000";
    EXPECT_EQ(
        canonical(e),
        "{\"id\":\"00112233445566778899aabbccddeeff\",\"seq\":7,\"timestamp\":\"2026-01-02T03:04:05."
        "000000006Z\","
        "\"event_type\":\"decision\",\"mode\":\"enforce\",\"verdict\":\"redact\",\"reason_code\":\"pii_"
        "detected\","
        "\"policies\":[{\"kind\":\"prompt-injection\",\"phase\":\"request\",\"verdict\":\"allow\",\"score\":"
        "0.125,\"matches\":0,"
        "\"time_us\":17,"
        "\"bytes\":40},{\"kind\":\"pii-detector\",\"phase\":\"response\",\"verdict\":\"redact\",\"matches\":"
        "3,\"labels\":{\"email\":"
        "1,\"card\":2},"
        "\"time_us\":21,\"bytes\":40}],\"app\":{\"exe\":\"/usr/bin/curl\",\"pid\":42,\"uid\":1000,\"cwd\":\"/"
        "srv\","
        "\"ci_job\":\"github:ci/1/"
        "test\",\"ci_commit\":\"0a1b\",\"ci_branch\":\"main\",\"run\":\"5e/"
        "9f\"},\"lane\":\"divert\",\"origin\":\"api.openai.com:443\",\"method\":\"POST\","
        "\"path\":\"/v1/chat/completions\",\"model\":\"gpt-4o\",\"target\":\"us\",\"provider\":\"mistral\","
        "\"upstream_model\":\"mistral-large-latest\",\"attempts\":[{\"target\":\"eu\",\"provider\":"
        "\"mistral\","
        "\"model\":\"mistral-small-latest\",\"outcome\":\"timeout\",\"detail\":\"connect\",\"latency_ms\":"
        "2000},"
        "{\"target\":\"us\",\"provider\":\"mistral\",\"model\":\"mistral-large-latest\",\"status\":200,"
        "\"outcome\":\"ok\","
        "\"latency_ms\":412}],\"status\":200,\"stream\":true,\"usage\":{\"prompt_tokens\":10,\"completion_"
        "tokens\":20,"
        "\"total_tokens\":30,\"cached_tokens\":4},\"cost_usd\":0.00012,\"latency_ms\":2412,\"ttft_ms\":2100,"
        "\"chunks\":12,\"delivered_chunks\":11,\"delivered_bytes\":320,\"held_bytes_max\":34,\"tokens_per_"
        "s\":56.5,\"interruption\":\"cut\","
        "\"overhead_us\":88,\"config\":{\"name\":\"pack\",\"version\":\"1.0.0\",\"sha256\":\"abc\"},\"trace_"
        "id\":\"t-1\","
        "\"prev_hash\":\"0000\"");
}

TEST(Event, InvalidUtf8BecomesReplacementCharacters)
{
    const std::string r = "\xEF\xBF\xBD";
    EXPECT_EQ(text("a\xFF"
                   "b"),
              "a" + r + "b");
    EXPECT_EQ(text("\xC0\xAF"), r + r);                 // overlong
    EXPECT_EQ(text("\xED\xA0\x80"), r + r + r);         // surrogate
    EXPECT_EQ(text("\xF4\x90\x80\x80"), r + r + r + r); // above U+10FFFF
    EXPECT_EQ(text("\xE2\x82"), r);                     // cut: one maximal subpart
    EXPECT_EQ(text("\xF0\x9F\x98"
                   "x"),
              r + "x");
    EXPECT_EQ(text("\x80"), r);
    EXPECT_EQ(text("\xE2\x82\xAC\xF0\x9F\x98\x80"), "\xE2\x82\xAC\xF0\x9F\x98\x80");
    EXPECT_EQ(text(std::string("\0\"\\\n\x1b", 5)), "\\u0000\\\"\\\\\\n\\u001b");
    EXPECT_EQ(text(""), "");
}

TEST(Event, EveryTwoBytePairIsValidJson)
{
    for (int a = 0; a < 256; a++)
        for (int b = 0; b < 256; b++) {
            std::string in = {static_cast<char>(a), static_cast<char>(b)};
            std::string json = "\"" + text(in) + "\"";
            cJSON *j = cJSON_ParseWithLength(json.data(), json.size());
            ASSERT_TRUE(cJSON_IsString(j)) << a << " " << b;
            cJSON_Delete(j);
            ASSERT_TRUE(valid_utf8(json)) << a << " " << b;
        }
}

TEST(Event, RandomBytesInEveryStringStayOneLineOfValidJson)
{
    std::mt19937 rng(7);
    for (int round = 0; round < 300; round++) {
        std::string s;
        for (size_t n = rng() % 60; n > 0; n--)
            s += static_cast<char>(1 + rng() % 255);
        const kt_event_label label = {s.c_str(), 1};
        kt_event_policy p = {s.c_str(), s.c_str(), s.c_str(), 2.5, 1, &label, 1, 0, 0};
        kt_event_attempt a = {s.c_str(), s.c_str(), s.c_str(), 1, s.c_str(), s.c_str(), 0};
        kt_event e = minimal();
        e.event_type = e.mode = e.verdict = e.message = e.origin = e.path = e.model = e.error = s.c_str();
        e.app = {s.c_str(), 1, 1, s.c_str(), s.c_str(), s.c_str(), s.c_str(), s.c_str()};
        e.policies = &p;
        e.policy_count = 1;
        e.attempts = &a;
        e.attempt_count = 1;
        e.capture_request = s.c_str();
        std::string line = canonical(e) + "}";
        cJSON *j = cJSON_ParseWithLength(line.data(), line.size());
        ASSERT_NE(j, nullptr) << line;
        cJSON_Delete(j);
        ASSERT_EQ(line.find('\n'), std::string::npos);
        ASSERT_TRUE(valid_utf8(line));
    }
}

TEST(Event, DecimalsAreJsonInEveryLocaleAndForEveryValue)
{
    // A host program may have set a locale that writes 0,5.
    for (const char *name : {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8"})
        if (setlocale(LC_NUMERIC, name))
            break;
    const struct {
        double in;
        const char *out;
    } cases[] = {{0, "\"cost_usd\":0,"},     {0.5, "\"cost_usd\":0.5,"},
                 {1, "\"cost_usd\":1,"},     {123.000000001, "\"cost_usd\":123.000000001,"},
                 {1e-12, "\"cost_usd\":0,"}, {0.9999999999, "\"cost_usd\":1,"}};
    for (const auto &c : cases) {
        kt_event e = minimal();
        e.status = 200;
        e.cost_usd = c.in;
        EXPECT_NE(canonical(e).find(c.out), std::string::npos) << canonical(e);
    }
    for (double bad :
         {-1.0, std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity(), 1e300}) {
        kt_event e = minimal();
        e.status = 200;
        e.cost_usd = bad;
        EXPECT_EQ(canonical(e).find("cost_usd"), std::string::npos);
    }
    setlocale(LC_NUMERIC, "C");
}

TEST(Event, BufferLimitIsAnError)
{
    kt_event e = minimal();
    for (size_t max = 0; max < 60; max++) {
        kt_buf b = KT_BUF_INIT(0);
        b.max = max;
        EXPECT_EQ(kt_event_canonical(&e, &b).code, KT_ERR_LIMIT) << max;
        kt_buf_free(&b);
    }
}

TEST(Event, IdsAreHexAndDiffer)
{
    std::set<std::string> seen;
    for (int i = 0; i < 1000; i++) {
        char id[33];
        ASSERT_EQ(kt_event_new_id(id).code, KT_OK);
        ASSERT_EQ(strspn(id, "0123456789abcdef"), 32u);
        ASSERT_EQ(strlen(id), 32u);
        seen.insert(id);
    }
    EXPECT_EQ(seen.size(), 1000u);
}

TEST(Event, AppIsThisProcessAlsoBehindFork)
{
    kt_event e = minimal();
    kt_event_fill_app(&e);
    char self[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    ASSERT_GT(n, 0);
    self[n] = '\0';
    EXPECT_STREQ(e.app.exe, self);
    EXPECT_EQ(e.app.pid, getpid());
    EXPECT_EQ(e.app.uid, getuid());
    pid_t pid = fork();
    if (pid == 0) {
        kt_event c = minimal();
        kt_event_fill_app(&c);
        _exit(c.app.pid == getpid() && strcmp(c.app.exe, self) == 0 ? 0 : 1);
    }
    int status = -1;
    waitpid(pid, &status, 0);
    EXPECT_EQ(status, 0);
}

// In a process of its own each (the disabled test below): the answer is kept for the life of a process.
std::string ci_job_with(std::initializer_list<std::pair<const char *, const char *>> vars)
{
    int fds[2];
    EXPECT_EQ(pipe(fds), 0);
    std::string self = "/proc/self/exe";
    pid_t pid = fork();
    if (pid == 0) {
        for (const char *v :
             {"GITHUB_RUN_ID", "GITHUB_WORKFLOW", "GITHUB_JOB", "GITHUB_SHA", "GITHUB_HEAD_REF",
              "GITHUB_REF_NAME", "CI_JOB_ID", "CI_PIPELINE_ID", "CI_COMMIT_SHA", "CI_COMMIT_REF_NAME",
              "BUILD_TAG", "GIT_COMMIT", "GIT_BRANCH", "KT_RUN"})
            unsetenv(v);
        for (const auto &v : vars)
            setenv(v.first, v.second, 1);
        dup2(fds[1], 1);
        execl(self.c_str(), "event_test", "--gtest_filter=EventChild.*", "--gtest_also_run_disabled_tests",
              static_cast<char *>(nullptr));
        _exit(99);
    }
    close(fds[1]);
    std::string out;
    char buf[512];
    for (ssize_t n; (n = read(fds[0], buf, sizeof buf)) > 0;)
        out.append(buf, static_cast<size_t>(n));
    close(fds[0]);
    waitpid(pid, nullptr, 0);
    size_t a = out.find('<'), b = out.find('>');
    return a == std::string::npos || b == std::string::npos ? out : out.substr(a + 1, b - a - 1);
}

TEST(EventChild, DISABLED_PrintsItsJob)
{
    kt_event e = minimal();
    kt_event_fill_app(&e);
    std::string text = e.app.ci_job ? e.app.ci_job : "";
    for (const char *more : {e.app.ci_commit, e.app.ci_branch, e.app.run})
        if (more)
            text += std::string(" ") + more;
    dprintf(1, "<%s>", text.c_str());
}

TEST(Event, CiJobOfEachSystem)
{
    EXPECT_EQ(ci_job_with({}), "");
    EXPECT_EQ(ci_job_with({{"GITHUB_RUN_ID", "77"}, {"GITHUB_WORKFLOW", "ci"}, {"GITHUB_JOB", "test"}}),
              "github:ci/77/test");
    EXPECT_EQ(ci_job_with({{"GITHUB_RUN_ID", "77"},
                           {"GITHUB_SHA", "c0ffee"},
                           {"GITHUB_REF_NAME", "12/merge"},
                           {"GITHUB_HEAD_REF", "topic"}}),
              "github:/77/ c0ffee topic");
    EXPECT_EQ(ci_job_with({{"GITHUB_RUN_ID", "77"}, {"GITHUB_SHA", "c0ffee"}, {"GITHUB_REF_NAME", "main"}}),
              "github:/77/ c0ffee main");
    EXPECT_EQ(ci_job_with({{"CI_JOB_ID", "5"}, {"CI_COMMIT_SHA", "aa"}, {"CI_COMMIT_REF_NAME", "dev"}}),
              "gitlab:/5 aa dev");
    EXPECT_EQ(ci_job_with({{"BUILD_TAG", "b"}, {"GIT_COMMIT", "aa"}, {"GIT_BRANCH", "dev"}}),
              "jenkins:b aa dev");
    EXPECT_EQ(ci_job_with({{"KT_RUN", "1f/2e"}}), " 1f/2e");
    EXPECT_EQ(ci_job_with({{"CI_JOB_ID", "5"}, {"CI_PIPELINE_ID", "9"}}), "gitlab:9/5");
    EXPECT_EQ(ci_job_with({{"BUILD_TAG", "jenkins-a-1"}}), "jenkins:jenkins-a-1");
    EXPECT_EQ(ci_job_with({{"GITHUB_RUN_ID", std::string(9000, 'x').c_str()}}).size(),
              100u + strlen("github://"));
}

} // namespace
