// SPDX-License-Identifier: Apache-2.0
#pragma once
// A state folder of its own, and processes that work on it.
#include "interceptor/state/kt_state.h"

#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace state {

constexpr uint64_t kNow = 1000000000; // 11 days after the boot

class StateTest : public ::testing::Test {
  protected:
    void SetUp() override
    {
        char name[] = "/tmp/kt-state-XXXXXX";
        ASSERT_NE(mkdtemp(name), nullptr);
        dir = name;
    }
    void TearDown() override
    {
        for (kt_state *s : all)
            kt_state_free(s);
        std::filesystem::permissions(dir, std::filesystem::perms::owner_all);
        std::filesystem::remove_all(dir);
    }
    kt_state *open(const std::string &where = "")
    {
        kt_state *s = nullptr;
        EXPECT_TRUE(kt_is_ok(kt_state_open(where.empty() ? dir.c_str() : where.c_str(), &s)));
        all.push_back(s);
        return s;
    }
    std::string file() const
    {
        for (const auto &e : std::filesystem::directory_iterator(dir + "/state"))
            if (e.path().extension() == ".seg")
                return e.path();
        return "";
    }
    static kt_breaker_rules rules(int64_t threshold = 3, int64_t recovery_ms = 1000, int64_t trials = 1)
    {
        return {true, threshold, recovery_ms, trials, 5000};
    }
    std::string dir;
    std::vector<kt_state *> all;
};

// Runs `fn` in `n` children at once; true where all of them returned true.
inline bool in_children(int n, const std::function<bool(int)> &fn)
{
    std::vector<pid_t> pids;
    int go[2];
    if (pipe(go) != 0)
        return false;
    for (int i = 0; i < n; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            char c;
            close(go[1]);
            bool fine = read(go[0], &c, 1) == 0 && fn(i); // all begin when the parent closes the pipe
            _exit(fine ? 0 : 1);
        }
        pids.push_back(pid);
    }
    close(go[0]);
    close(go[1]);
    bool fine = true;
    for (pid_t pid : pids) {
        int status = 0;
        fine = waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0 && fine;
    }
    return fine;
}

} // namespace state
