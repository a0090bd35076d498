// SPDX-License-Identifier: Apache-2.0
// `kt events stats` and `kt events export` as a user runs them.
#include "tests/unit/cmd_events_fixture.hpp"
#include "slow.hpp"

#include <dirent.h>
#include <memory>
#include <utility>
#include <sys/resource.h>
#include <sys/stat.h>

namespace {

struct CmdEventsReport : CmdEvents {
    using Json = std::unique_ptr<cJSON, decltype(&cJSON_Delete)>;

    Json stats(std::vector<std::string> args = {})
    {
        args.insert(args.begin(), {"stats", "--json"});
        EXPECT_EQ(run(args), 0) << err;
        Json j(cJSON_Parse(out.c_str()), cJSON_Delete);
        EXPECT_TRUE(j) << out;
        return j;
    }
    static double number(const Json &j, const char *a, const char *b = nullptr)
    {
        cJSON *x = cJSON_GetObjectItem(j.get(), a);
        x = b ? cJSON_GetObjectItem(x, b) : x;
        return cJSON_IsNumber(x) ? x->valuedouble : -1;
    }
    static double in_list(const Json &j, const char *list, const std::string &name,
                          const char *member = "count")
    {
        const cJSON *x;
        cJSON_ArrayForEach(x, cJSON_GetObjectItem(j.get(), list))
        {
            if (name == cJSON_GetObjectItem(x, "name")->valuestring)
                return cJSON_GetObjectItem(x, member)->valuedouble;
        }
        return 0;
    }
    // A log without a writer: no hashes, which only `verify` asks for.
    void forge(const std::string &lines) const
    {
        ASSERT_TRUE(mkdir((state + "/audit").c_str(), 0700) == 0 || errno == EEXIST);
        std::ofstream f(state + "/audit/current.jsonl", std::ios::binary);
        f << lines;
        ASSERT_TRUE(f.good());
    }
    std::vector<std::string> files(const std::string &dir) const
    {
        std::vector<std::string> v;
        DIR *d = opendir(dir.c_str());
        for (dirent *e; (e = readdir(d)) != nullptr;)
            if (e->d_name[0] != '.')
                v.push_back(e->d_name);
        closedir(d);
        return v;
    }
    std::string slurp(const std::string &path) const
    {
        std::ifstream f(path, std::ios::binary);
        return {std::istreambuf_iterator<char>(f), {}};
    }
    // RFC 4180, strictly: the test reads what it says, not what our writer means.
    static std::vector<std::vector<std::string>> csv(const std::string &s)
    {
        std::vector<std::vector<std::string>> rows(1);
        std::string cell;
        bool quoted = false;
        for (size_t i = 0; i < s.size(); i++) {
            if (quoted) {
                if (s[i] != '"')
                    cell += s[i];
                else if (i + 1 < s.size() && s[i + 1] == '"')
                    cell += s[i++];
                else
                    quoted = false;
            } else if (s[i] == '"') {
                EXPECT_EQ(cell, "");
                quoted = true;
            } else if (s[i] == ',') {
                rows.back().push_back(std::exchange(cell, ""));
            } else if (s[i] == '\r') {
                EXPECT_EQ(s[++i], '\n');
                rows.back().push_back(std::exchange(cell, ""));
                rows.emplace_back();
            } else {
                EXPECT_NE(s[i], '\n');
                cell += s[i];
            }
        }
        EXPECT_FALSE(quoted);
        EXPECT_TRUE(rows.back().empty()) << "no end of the last line";
        rows.pop_back();
        return rows;
    }
    static size_t column(const std::vector<std::vector<std::string>> &rows, const char *name)
    {
        auto &h = rows[0];
        return static_cast<size_t>(std::find(h.begin(), h.end(), name) - h.begin());
    }
};

TEST_F(CmdEventsReport, StatsCountOverAllFiles)
{
    add(60, "allow", 4000);
    add(3, "block", 4000, 1767409445000000000ull);
    const kt_event_policy p[] = {{"pii-detector", "request", "redact", -1, 3, nullptr, 0, 1, 1},
                                 {"safety-filter", "request", "allow", -1, 0, nullptr, 0, 1, 1},
                                 {"pii-detector", "response", "allow", -1, 0, nullptr, 0, 1, 1}};
    const kt_event_attempt a[] = {{"eu", "mistral", "m", 503, "server_error", nullptr, 1},
                                  {"us", "mistral", "m", 200, "ok", nullptr, 1}};
    kt_event e = base("redact");
    e.policies = p;
    e.policy_count = 3;
    e.attempts = a;
    e.attempt_count = 2;
    e.target = "us";
    e.reason_code = "pii.detected";
    e.usage = {true, 10, 5, 15, 2};
    e.cost_usd = 0.25;
    e.latency_ms = 2000;
    e.app = {"/usr/bin/curl", 42, 0, "/", nullptr, nullptr, nullptr, nullptr};
    add(e);
    Json j = stats();
    EXPECT_EQ(number(j, "events"), 64);
    EXPECT_EQ(in_list(j, "by_verdict", "allow"), 60);
    EXPECT_EQ(in_list(j, "by_verdict", "block"), 3);
    EXPECT_EQ(in_list(j, "by_verdict", "redact"), 1);
    EXPECT_EQ(in_list(j, "by_reason_code", "pii.detected"), 1);
    EXPECT_EQ(in_list(j, "by_policy", "pii-detector"), 1); // two phases, one event
    EXPECT_EQ(in_list(j, "by_policy", "pii-detector", "acted"), 1);
    EXPECT_EQ(in_list(j, "by_policy", "safety-filter"), 1);
    EXPECT_EQ(in_list(j, "by_policy", "safety-filter", "acted"), 0);
    EXPECT_EQ(in_list(j, "by_model", "gpt-4o"), 64);
    EXPECT_EQ(in_list(j, "by_target", "us"), 1);
    EXPECT_EQ(in_list(j, "by_exe", "/usr/bin/curl"), 1);
    EXPECT_EQ(number(j, "tokens", "total"), 15);
    EXPECT_EQ(number(j, "tokens", "cached"), 2);
    EXPECT_EQ(number(j, "cost_usd"), 0.25);
    EXPECT_EQ(number(j, "attempts", "total"), 2);
    EXPECT_EQ(number(j, "attempts", "retried_events"), 1);
    EXPECT_EQ(number(j, "latency_ms", "max"), 2000);
    EXPECT_NEAR(number(j, "latency_ms", "p50"), 412, 412 * 0.008);
    EXPECT_STREQ(cJSON_GetObjectItem(j.get(), "first")->valuestring, "2026-01-02T03:04:05.000000000Z");
    EXPECT_STREQ(cJSON_GetObjectItem(j.get(), "last")->valuestring, "2026-01-03T03:04:05.000000000Z");
    j = stats({"--since", "2026-01-03"});
    EXPECT_EQ(number(j, "events"), 3);
    j = stats({"--until", "2026-01-03"});
    EXPECT_EQ(number(j, "events"), 61);
    j = stats({"--verdict", "block"});
    EXPECT_EQ(number(j, "events"), 3);
}

TEST_F(CmdEventsReport, PercentilesAreRightToOnePercent)
{
    std::string lines;
    for (int i = 1; i <= 10000; i++) // latencies 1, 4, 9, ... 10^8
        lines += "{\"latency_ms\":" + std::to_string(static_cast<long>(i) * i) + "}\n";
    forge(lines);
    Json j = stats();
    EXPECT_NEAR(number(j, "latency_ms", "p50"), 25e6, 25e6 * 0.008);
    EXPECT_NEAR(number(j, "latency_ms", "p95"), 90.25e6, 90.25e6 * 0.008);
    EXPECT_NEAR(number(j, "latency_ms", "p99"), 98.01e6, 98.01e6 * 0.008);
    EXPECT_EQ(number(j, "latency_ms", "min"), 1);
    EXPECT_EQ(number(j, "latency_ms", "max"), 1e8);
    forge("{\"latency_ms\":7}\n{\"latency_ms\":8}\n{\"latency_ms\":1000000000000000}\n{\"latency_ms\":1e300}"
          "\n");
    j = stats();
    EXPECT_EQ(number(j, "latency_ms", "p50"), 8);
}

TEST_F(CmdEventsReport, ManyNamesStayInBounds)
{
    std::string lines;
    for (int i = 0; i < 5000; i++)
        lines += "{\"model\":\"m" + std::to_string(i) + "\"}\n{\"model\":\"m7\"}\n";
    lines += "{\"model\":\"" + std::string(100000, 'x') + "\"}\n";
    forge(lines);
    Json j = stats();
    EXPECT_EQ(number(j, "events"), 10001);
    EXPECT_EQ(cJSON_GetArraySize(cJSON_GetObjectItem(j.get(), "by_model")), 1001);
    EXPECT_EQ(in_list(j, "by_model", "m7"), 5001);
    EXPECT_EQ(in_list(j, "by_model", "(other)"), 4001);
    EXPECT_EQ(run({"stats"}), 0);
    EXPECT_LT(out.size(), 3000u);
}

TEST_F(CmdEventsReport, ForeignLinesAndTextDoNoHarm)
{
    forge("not json\n[]\n{\"model\":7,\"verdict\":null,\"usage\":[],\"policies\":{\"a\":{\"kind\":1}},"
          "\"attempts\":\"x\",\"latency_ms\":-3,\"cost_usd\":1e300,\"timestamp\":\"soon\"}\n"
          "{\"model\":\"\\u001b[2J\\u202e\"} trailing\n{\"model\":\"\\u001b[2J\"}\n{\"torn");
    EXPECT_EQ(run({"stats"}), 0);
    EXPECT_EQ(out.find('\x1b'), std::string::npos);
    EXPECT_NE(err.find("4 lines are no events"), std::string::npos) << err;
    Json j = stats();
    EXPECT_EQ(number(j, "events"), 2);
    EXPECT_EQ(number(j, "latency_ms", "events"), 0);
    EXPECT_EQ(number(j, "cost_usd"), 0);
    EXPECT_TRUE(cJSON_IsNull(cJSON_GetObjectItem(j.get(), "first")));
    EXPECT_EQ(run({"export", "--format", "json"}), 0);
    cJSON *all = cJSON_Parse(out.c_str());
    EXPECT_EQ(cJSON_GetArraySize(all), 2);
    cJSON_Delete(all);
}

TEST_F(CmdEventsReport, ManyEventsInLittleMemory)
{
    std::string line = "{\"id\":\"0\",\"verdict\":\"allow\",\"model\":\"m\",\"latency_ms\":5,\"pad\":\"" +
                       std::string(900, 'p') + "\"}\n",
                lines;
    const size_t events = slow::fewer(100000);
    for (size_t i = 0; i < events; i++)
        lines += line;
    forge(lines);
    rlimit before, limit;
    ASSERT_EQ(getrlimit(RLIMIT_AS, &before), 0);
    limit = before;
#ifndef __SANITIZE_ADDRESS__ // its shadow alone is more, as are Valgrind's books
    if (!slow::machine())
        limit.rlim_cur = 200u << 20;
#endif
    ASSERT_EQ(setrlimit(RLIMIT_AS, &limit), 0);
    EXPECT_EQ(run({"stats", "--json"}), 0) << err;
    EXPECT_EQ(run({"export", "--format", "csv", "--output", state + "/x.csv"}), 0) << err;
    setrlimit(RLIMIT_AS, &before);
    EXPECT_GT(slurp(state + "/x.csv").size(), events * 40);
}

TEST_F(CmdEventsReport, ExportJsonlIsTheLogAndJsonOneArray)
{
    add(60, "allow", 4000);
    add(4, "block", 4000);
    EXPECT_EQ(run({"tail", "--json", "--limit", "1000"}), 0);
    std::string stored = out;
    EXPECT_EQ(run({"export"}), 0);
    EXPECT_EQ(out, stored);
    EXPECT_EQ(run({"export", "--format=json"}), 0);
    cJSON *all = cJSON_Parse(out.c_str());
    ASSERT_EQ(cJSON_GetArraySize(all), 64);
    EXPECT_EQ(cJSON_GetObjectItem(cJSON_GetArrayItem(all, 63), "seq")->valueint, 64);
    cJSON_Delete(all);
    EXPECT_EQ(run({"export", "--verdict", "block"}), 0);
    EXPECT_EQ(seqs(out), (std::vector<long>{61, 62, 63, 64}));
    EXPECT_EQ(run({"export", "--until", "2025-01-01"}), 0);
    EXPECT_EQ(out, "");
}

TEST_F(CmdEventsReport, CsvIsExactAndNoCellIsAFormula)
{
    kt_event e = base("block");
    const kt_event_policy p[] = {{"pii-detector", "request", "block", -1, 3, nullptr, 0, 1, 1},
                                 {"safety-filter", "response", "allow", -1, 0, nullptr, 0, 1, 1}};
    e.policies = p;
    e.policy_count = 2;
    e.model = "=HYPERLINK(\"http://x\",\"y\")";
    e.target = "+1";
    e.provider = "-1";
    e.path = "@SUM(A1)";
    e.upstream_model = "\t=1";
    e.message = "a \"quoted\", line\r\nand more";
    e.error = "plain =1";
    e.cost_usd = 0.000001234;
    e.stream = true;
    e.usage = {true, 10, 5, 15, 0};
    e.capture_request = "what the user said";
    add(e);
    EXPECT_EQ(run({"export", "--format", "csv"}), 0);
    auto rows = csv(out);
    ASSERT_EQ(rows.size(), 2u);
    ASSERT_EQ(rows[0].size(), 50u);
    ASSERT_EQ(rows[1].size(), 50u);
    auto cell = [&](const char *name) { return rows[1].at(column(rows, name)); };
    EXPECT_EQ(cell("seq"), "1");
    EXPECT_EQ(cell("id"), e.id);
    EXPECT_EQ(cell("model"), std::string("'") + e.model);
    EXPECT_EQ(cell("target"), "'+1");
    EXPECT_EQ(cell("provider"), "'-1");
    EXPECT_EQ(cell("path"), "'@SUM(A1)");
    EXPECT_EQ(cell("upstream_model"), "'\t=1");
    EXPECT_EQ(cell("message"), e.message);
    EXPECT_EQ(cell("error"), "plain =1");
    EXPECT_EQ(cell("cost_usd"), "1.234e-06");
    EXPECT_EQ(cell("stream"), "true");
    EXPECT_EQ(cell("total_tokens"), "15");
    EXPECT_EQ(cell("attempts"), "0");
    EXPECT_EQ(cell("policies"), "pii-detector/request:block:3;safety-filter/response:allow:0");
    EXPECT_EQ(cell("hash").size(), 64u);
    EXPECT_EQ(cell("ttft_ms"), "");
    EXPECT_EQ(out.find(e.capture_request), std::string::npos);
}

TEST_F(CmdEventsReport, NoFormatShowsWhatAReaderCannotSee)
{
    const std::vector<std::string> marks = {"\u202e", "\u2066", "\u2069", "\u200e", "\u200b",     "\u061c", "\ufeff",
                                            "\u00ad", "\u009b", "\x7f",   "\u2028", "\U000e0041"};
    std::string model = "\uff1d1";
    for (auto &m : marks)
        model += "x" + m;
    forge("{\"id\":\"1\",\"event_type\":\"llm_call\",\"timestamp\":\"2026-01-02T03:04:05.123456789Z\",\"verdict\":"
          "\"block\",\"model\":\"" +
          model + "\\u001b\"}\n");
    EXPECT_EQ(run({"export", "--format", "csv"}), 0);
    auto rows = csv(out);
    std::string cell = rows[1].at(column(rows, "model"));
    EXPECT_EQ(cell.substr(0, 8), "'\uff1d1x\xef\xbf");
    std::vector<std::string> texts = {out};
    for (const char *format : {"html", "markdown", "junit", "sarif", "json"}) {
        std::string command = kt_path() + " report --state-dir=" + state + " --" + format + " " + state +
                              "/r." + format + " >/dev/null 2>&1";
        EXPECT_NE(system(command.c_str()), -1);
        texts.push_back(slurp(state + "/r." + format));
        EXPECT_NE(texts.back().find("\uff1d1x"), std::string::npos) << format << texts.back().substr(0, 400);
    }
    for (auto &text : texts)
        for (auto &m : marks)
            EXPECT_EQ(text.find(m), std::string::npos) << text.substr(0, 400);
    for (auto &text : texts)
        EXPECT_EQ(text.find('\x1b'), std::string::npos);
    cJSON *j = cJSON_Parse(texts.back().c_str()); /* the value is kept */
    cJSON *call = cJSON_GetArrayItem(cJSON_GetObjectItem(j, "calls"), 0);
    ASSERT_NE(call, nullptr);
    EXPECT_EQ(cJSON_GetObjectItem(call, "model")->valuestring, model + "\x1b");
    cJSON_Delete(j);
}

TEST_F(CmdEventsReport, AFileAppearsWholeOrNotAtAll)
{
    add(5);
    std::string dir = state + "/out", file = dir + "/events.csv";
    ASSERT_EQ(mkdir(dir.c_str(), 0700), 0);
    EXPECT_EQ(run({"export", "--format", "csv", "--output", file}), 0) << err;
    EXPECT_EQ(csv(slurp(file)).size(), 6u);
    struct stat st;
    ASSERT_EQ(stat(file.c_str(), &st), 0);
    EXPECT_EQ(st.st_mode & 0777, 0600u);
    EXPECT_EQ(files(dir).size(), 1u);
    // A limit on file size is a full disk: the old file stays, nothing else does.
    std::string before = slurp(file);
    rlimit old, tiny = {100, 0};
    getrlimit(RLIMIT_FSIZE, &old);
    tiny.rlim_max = old.rlim_max;
    signal(SIGXFSZ, SIG_IGN);
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &tiny), 0);
    int status = run({"export", "--output", file});
    setrlimit(RLIMIT_FSIZE, &old);
    signal(SIGXFSZ, SIG_DFL);
    EXPECT_EQ(status, 2);
    EXPECT_NE(err.find("cannot write " + file), std::string::npos) << err;
    EXPECT_EQ(slurp(file), before);
    EXPECT_EQ(files(dir).size(), 1u);
    EXPECT_EQ(run({"export", "--output", state + "/no/such/x"}), 2);
    EXPECT_NE(err.find("cannot write"), std::string::npos);
    EXPECT_EQ(run({"export", "--output", dir}), 2); // a folder
    EXPECT_EQ(files(dir).size(), 1u);
    EXPECT_EQ(run({"export", "--output", "-", "--format", "jsonl"}), 0);
    EXPECT_EQ(seqs(out).size(), 5u);
}

TEST_F(CmdEventsReport, PruneSaysWhatGoesAndVerifyStaysRight)
{
    add(60, "allow", 4000);
    add(3, "block", 0, kt_now_real_ns());
    EXPECT_EQ(run({"prune"}), 0); // nothing says how long
    EXPECT_EQ(out.find("nothing to remove\nkept from 000000000001-"), 0u) << out;
    EXPECT_EQ(run({"prune", "--days", "30", "--dry-run"}), 0);
    std::string dry = out;
    EXPECT_EQ(dry.find("would remove 000000000001-"), 0u);
    EXPECT_EQ(run({"prune", "--days=30"}), 0) << err;
    EXPECT_EQ(out.find("removed 000000000001-"), 0u) << out;
    EXPECT_EQ(std::count(out.begin(), out.end(), '\n'), std::count(dry.begin(), dry.end(), '\n'));
    EXPECT_EQ(run({"verify"}), 0) << out;
    EXPECT_NE(out.find("older events were pruned"), std::string::npos);
    EXPECT_EQ(run({"tail"}), 0);
    EXPECT_NE(out.find("audit_pruned"), std::string::npos);
    EXPECT_EQ(run({"prune", "--days", "30", "--json"}), 0);
    Json j(cJSON_Parse(out.c_str()), cJSON_Delete);
    EXPECT_EQ(number(j, "files"), 0);
}

TEST_F(CmdEventsReport, NoLogIsNoEvents)
{
    EXPECT_EQ(run({"stats"}), 0);
    EXPECT_EQ(out, "events    0\n");
    Json j = stats();
    EXPECT_EQ(number(j, "events"), 0);
    EXPECT_EQ(run({"export", "--format", "json"}), 0);
    EXPECT_EQ(out, "[\n]\n");
    EXPECT_NE(err.find("no events in"), std::string::npos);
    EXPECT_EQ(run({"prune", "--days", "1"}), 2);
    EXPECT_NE(err.find("no audit log in"), std::string::npos);
}

TEST_F(CmdEventsReport, WrongOptionsAreNamed)
{
    const std::vector<std::vector<std::string>> bad = {
        {"stats", "--follow"},          {"stats", "--format", "csv"},  {"stats", "--until", "then"},
        {"stats", "--limit", "3"},      {"export", "--format", "xml"}, {"export", "--output", ""},
        {"export", "--json"},           {"export", "--until"},         {"tail", "--output", "x"},
        {"verify", "--since", "1d"},    {"prune", "--days", "-1"},     {"prune", "--days", "x"},
        {"prune", "--verdict", "allow"}};
    for (const auto &args : bad) {
        EXPECT_EQ(run(args), 2) << args[0] << args[1];
        EXPECT_EQ(out, "");
        EXPECT_NE(err.find("kt events --help"), std::string::npos);
    }
    for (const char *sub : {"stats", "export", "prune"}) {
        EXPECT_EQ(run({sub, "--help"}), 0);
        EXPECT_NE(out.find(std::string("kt events ") + sub), std::string::npos);
    }
}

} // namespace
