// SPDX-License-Identifier: Apache-2.0
#pragma once
// The program `kt events` on a log of its own.
#include "policyengine/audit/kt_audit.h"

#include <cjson/cJSON.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <poll.h>
#include <string>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

// build/<preset>/tests/cmd_events_test -> build/<preset>/bin/kt
inline std::string kt_path()
{
    const char *given = getenv("KT_TEST_BIN");
    if (given)
        return given;
    char self[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    std::string s(self, n > 0 ? static_cast<size_t>(n) : 0);
    s.resize(s.rfind('/'));
    s.resize(s.rfind('/'));
    return s + "/bin/kt";
}

struct Process {
    pid_t pid = -1;
    int out = -1, err = -1;
    std::string text, errors;

    explicit Process(std::vector<std::string> args)
    {
        int o[2], e[2];
        EXPECT_EQ(pipe2(o, O_CLOEXEC), 0);
        EXPECT_EQ(pipe2(e, O_CLOEXEC), 0);
        pid = fork();
        if (pid == 0) {
            dup2(o[1], 1);
            dup2(e[1], 2);
            std::string path = kt_path();
            std::vector<char *> argv{const_cast<char *>("kt"), const_cast<char *>("events")};
            for (auto &a : args)
                argv.push_back(const_cast<char *>(a.c_str()));
            argv.push_back(nullptr);
            execv(path.c_str(), argv.data());
            _exit(127);
        }
        close(o[1]);
        close(e[1]);
        out = o[0];
        err = e[0];
    }
    Process(const Process &) = delete;
    ~Process()
    {
        if (pid > 0) {
            kill(pid, SIGKILL);
            waitpid(pid, nullptr, 0);
        }
        close(out);
        close(err);
    }
    static bool read_some(int fd, std::string &into)
    {
        char b[65536];
        ssize_t n = read(fd, b, sizeof b);
        if (n > 0)
            into.append(b, static_cast<size_t>(n));
        return n > 0;
    }
    // Until stdout holds so many lines, or 15 s have gone.
    bool lines(size_t want)
    {
        auto count = [this] { return static_cast<size_t>(std::count(text.begin(), text.end(), '\n')); };
        while (count() < want) {
            pollfd p = {out, POLLIN, 0};
            if (poll(&p, 1, 15000) <= 0 || !read_some(out, text))
                return false;
        }
        return count() == want;
    }
    int finish()
    {
        while (read_some(out, text))
            continue;
        while (read_some(err, errors))
            continue;
        int status = -1;
        waitpid(pid, &status, 0);
        pid = -1;
        return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
    }
};

class CmdEvents : public ::testing::Test {
  protected:
    void SetUp() override
    {
        ASSERT_EQ(access(kt_path().c_str(), X_OK), 0) << kt_path();
        char t[] = "/tmp/kt-cmdevents-XXXXXX";
        ASSERT_NE(mkdtemp(t), nullptr);
        state = t;
    }
    void TearDown() override
    {
        ASSERT_EQ(system(("rm -rf " + state).c_str()), 0);
    }

    void add(int n, const char *verdict = "allow", uint64_t max = 0, uint64_t when = 1767323045000000000ull)
    {
        kt_audit *a = nullptr;
        ASSERT_EQ(kt_audit_open(state.c_str(), max, &a, nullptr).code, KT_OK);
        for (int i = 0; i < n; i++) {
            kt_event e = base(verdict);
            e.timestamp_ns = when;
            ASSERT_EQ(kt_audit_append(a, &e, nullptr).code, KT_OK);
        }
        kt_audit_free(a);
    }
    static kt_event base(const char *verdict)
    {
        kt_event e = {};
        EXPECT_EQ(kt_event_new_id(e.id).code, KT_OK);
        e.timestamp_ns = 1767323045123456789ull;
        e.event_type = "decision";
        e.verdict = verdict;
        e.model = "gpt-4o";
        e.origin = "api.openai.com:443";
        e.path = "/v1/chat/completions";
        e.status = 200;
        e.latency_ms = 412;
        e.cost_usd = -1;
        e.immutable = true;
        return e;
    }
    void add(kt_event &e)
    {
        kt_audit *a = nullptr;
        ASSERT_EQ(kt_audit_open(state.c_str(), 0, &a, nullptr).code, KT_OK);
        ASSERT_EQ(kt_audit_append(a, &e, nullptr).code, KT_OK);
        kt_audit_free(a);
    }
    int run(std::vector<std::string> args)
    {
        args.push_back("--state-dir=" + state);
        Process p(args);
        int status = p.finish();
        out = p.text;
        err = p.errors;
        return status;
    }
    static std::vector<long> seqs(const std::string &jsonl)
    {
        std::vector<long> v;
        for (size_t at = 0; (at = jsonl.find("\"seq\":", at)) != std::string::npos; at++)
            v.push_back(strtol(jsonl.c_str() + at + 6, nullptr, 10));
        return v;
    }

    std::string state, out, err;
};
