/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/plan_fixture.h"

using namespace kt_test;

namespace {

TEST_F(Plan, SharedIsReusedUniqueIsNot)
{
    kt_plan_made a = made(), b = made(), u = made(true), v = made(true);
    EXPECT_STREQ(a.path, b.path);
    EXPECT_STREQ(a.ca_pem, b.ca_pem);
    EXPECT_STREQ(a.truststore_p12, b.truststore_p12);
    EXPECT_STRNE(u.path, v.path);
    EXPECT_STRNE(u.ca_dir, v.ca_dir);
    EXPECT_STRNE(u.ca_dir, a.ca_dir);
    EXPECT_EQ(entries(paths.runtime_dir).size(), 3u);
    kt_plan_remove(&u);
    EXPECT_FALSE(exists(u.path));
    EXPECT_FALSE(exists(u.ca_dir));
    EXPECT_TRUE(exists(v.path) && exists(v.ca_key) && exists(a.path) && exists(a.ca_key));
    kt_plan_remove(&u); /* twice does no harm */
}

TEST_F(Plan, WhatIsNotCurrentIsMadeAnew)
{
    struct Damage {
        const char *what;
        std::function<void(const kt_plan_made &)> fn;
    };
    auto edit = [](const char *path, const std::string &from, const std::string &to) {
        std::string t = slurp(path);
        size_t at = t.find(from);
        ASSERT_NE(at, std::string::npos);
        spill(path, t.replace(at, from.size(), to));
    };
    std::vector<Damage> rows = {
        {"no CA", [](const kt_plan_made &m) { unlink(m.ca_pem); }},
        {"no key", [](const kt_plan_made &m) { unlink(m.ca_key); }},
        {"no bundle", [](const kt_plan_made &m) { unlink(m.bundle_pem); }},
        {"empty", [](const kt_plan_made &m) { spill(m.path, ""); }},
        {"torn", [](const kt_plan_made &m) { spill(m.path, slurp(m.path).substr(0, 20)); }},
        {"other version", [&](const kt_plan_made &m) { edit(m.path, "ktplan 1", "ktplan 2"); }},
        {"expired", [&](const kt_plan_made &m) { edit(m.path, "expires 1", "expires 0"); }},
        {"expires in words", [&](const kt_plan_made &m) { edit(m.path, "expires 1", "expires x"); }},
        {"relative CA", [&](const kt_plan_made &m) { edit(m.path, "\nca /", "\nca "); }},
        {"writable by others", [](const kt_plan_made &m) { chmod(m.path, 0666); }},
        {"a link",
         [](const kt_plan_made &m) {
             std::string real = std::string(m.path) + ".real";
             ASSERT_EQ(rename(m.path, real.c_str()), 0);
             ASSERT_EQ(symlink(real.c_str(), m.path), 0);
         }},
        {"huge",
         [](const kt_plan_made &m) { spill(m.path, slurp(m.path) + std::string(KT_PLAN_MAX_BYTES, '#')); }},
    };
    for (const Damage &d : rows) {
        kt_plan_made before = made();
        d.fn(before);
        kt_plan_made after = made();
        EXPECT_STREQ(before.path, after.path) << d.what;
        EXPECT_STRNE(before.ca_pem, after.ca_pem) << d.what;
        char ca[4096];
        EXPECT_TRUE(kt_is_ok(kt_plan_read_ca(after.path, ca, sizeof ca))) << d.what;
        EXPECT_TRUE(exists(ca)) << d.what;
        EXPECT_EQ(mode_of(after.path), 0600u) << d.what;
        struct stat st;
        ASSERT_EQ(lstat(after.path, &st), 0);
        EXPECT_TRUE(S_ISREG(st.st_mode)) << d.what;
    }
}

/* Every reader of every moment sees a whole plan or none, and all makers agree in the end. */
TEST_F(Plan, TwentyProcessesRace)
{
    int go[2], result[2];
    ASSERT_EQ(pipe(go), 0);
    ASSERT_EQ(pipe(result), 0);
    std::vector<pid_t> pids;
    for (int i = 0; i < 20; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            char byte;
            close(go[1]);
            ssize_t n = read(go[0], &byte, 1); /* ends for all at once */
            kt_plan_made m;
            kt_error err = {};
            kt_ca *ca = nullptr;
            bool fine = n == 0 && kt_is_ok(make(false, &m, &err)) &&
                        kt_is_ok(kt_ca_load(m.ca_pem, m.ca_key, &ca, &err)) && exists(m.bundle_pem);
            kt_ca_free(ca);
            char line[256] = {0};
            snprintf(line, sizeof line, "%.255s", fine ? m.ca_dir : "failed");
            _exit(write(result[1], line, sizeof line) == (ssize_t)sizeof line ? 0 : 1);
        }
        pids.push_back(pid);
    }
    close(go[0]);
    close(go[1]);
    std::set<std::string> seen;
    for (size_t i = 0; i < pids.size(); i++) {
        char line[256];
        ASSERT_EQ(read(result[0], line, sizeof line), (ssize_t)sizeof line);
        seen.insert(line);
    }
    for (pid_t pid : pids) {
        int status = 1;
        waitpid(pid, &status, 0);
        EXPECT_EQ(status, 0);
    }
    close(result[0]);
    close(result[1]);
    EXPECT_EQ(seen.size(), 1u) << "one maker, nineteen users";
    EXPECT_EQ(seen.count("failed"), 0u);
    EXPECT_EQ(entries(plan_dir()).size(), 1u);
    EXPECT_EQ(entries(paths.runtime_dir).size(), 1u);
}

/* Where locks do not help (a hung holder), every plan that is ever visible must still be a whole one. */
TEST_F(Plan, RaceWithoutTheLockIsStillWhole)
{
    kt_plan_made first = made();
    unlink(first.path);
    std::vector<pid_t> pids;
    for (int i = 0; i < 6; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            for (int k = 0; k < 10; k++) {
                kt_plan_made m;
                if (!kt_is_ok(make(false, &m)))
                    _exit(1);
                unlink(m.ca_key); /* so that the next one must make it again */
            }
            _exit(0);
        }
        pids.push_back(pid);
    }
    size_t seen = 0;
    while (!pids.empty()) {
        std::string text = slurp(first.path);
        if (!text.empty()) {
            seen++;
            EXPECT_EQ(text.compare(0, 9, "ktplan 1\n"), 0);
            EXPECT_EQ(lines_with(text, "host").size(), 2u);
        }
        int status = 0;
        pid_t done = waitpid(-1, &status, WNOHANG);
        if (done > 0) {
            EXPECT_EQ(status, 0);
            pids.pop_back();
        }
    }
    EXPECT_GT(seen, 0u);
}

TEST_F(Plan, AHungLockHolderStopsNobody)
{
    made();
    int fd = open((plan_dir() + "/.lock").c_str(), O_RDWR);
    ASSERT_GE(fd, 0);
    ASSERT_EQ(flock(fd, LOCK_EX), 0);
    kt_plan_made current = made(); /* needs no lock */
    unlink(current.ca_key);
    kt_plan_made m = made();
    EXPECT_STRNE(m.ca_dir, current.ca_dir);
    EXPECT_TRUE(exists(m.ca_key));
    close(fd);
}

TEST_F(Plan, FullDiskLeavesNothing)
{
    kt_plan_made m;
    kt_error err = {};
    struct rlimit old, tiny;
    ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &old), 0);
    signal(SIGXFSZ, SIG_IGN);
    tiny = old;
    for (rlim_t limit : {0, 100, 300, 700, 1000}) {
        tiny.rlim_cur = limit;
        ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &tiny), 0);
        kt_result r = make(false, &m, &err);
        ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &old), 0);
        EXPECT_EQ(r.code, KT_ERR_IO) << limit;
        EXPECT_TRUE(entries(paths.runtime_dir).empty()) << limit;
        EXPECT_TRUE(entries(plan_dir()).empty()) << limit;
    }
}

TEST_F(Plan, ExpiredThingsGo)
{
    kt_plan_made old = made(), old_unique = made(true), young = made(true);
    auto age = [](const std::string &path, long seconds) {
        struct timespec t[2] = {{time(nullptr) - seconds, 0}, {time(nullptr) - seconds, 0}};
        ASSERT_EQ(utimensat(AT_FDCWD, path.c_str(), t, 0), 0);
    };
    auto expire = [&](const char *path) {
        std::string t = slurp(path);
        spill(path, t.replace(t.find("expires ") + 8, 1, "0"));
        age(path, 8 * 24 * 3600);
    };
    expire(old.path);
    expire(old_unique.path);
    age(old.ca_dir, 8 * 24 * 3600);
    age(old_unique.ca_dir, 8 * 24 * 3600);
    std::string run = paths.runtime_dir, unfinished = run + "/ca-0123456789abcdef",
                foreign = run + "/ca-mine", busy = run + "/ca-1123456789abcdef";
    std::string temp = plan_dir() + "/.tmp-0123456789abcdef", note = plan_dir() + "/README";
    for (const std::string &d : {unfinished, foreign, busy})
        mkdir(d.c_str(), 0700);
    spill(unfinished + "/ca.key", "k");
    age(unfinished, 7200);
    age(foreign, 90 * 24 * 3600);
    spill(temp, "x");
    age(temp, 7200);
    spill(note, "x");
    age(note, 90 * 24 * 3600);
    made(true);
    for (const std::string &gone :
         {std::string(old.path), std::string(old_unique.path), std::string(old.ca_dir),
          std::string(old_unique.ca_dir), unfinished, temp})
        EXPECT_FALSE(exists(gone)) << gone;
    for (const std::string &kept : {std::string(young.path), std::string(young.ca_key), foreign, busy, note})
        EXPECT_TRUE(exists(kept)) << kept;
}

TEST_F(Plan, RemoveTakesOnlyItsOwnFiles)
{
    kt_plan_made m = made(true);
    std::string mine = std::string(m.ca_dir) + "/notes.txt";
    spill(mine, "x");
    kt_plan_remove(&m);
    EXPECT_TRUE(exists(mine));
    EXPECT_FALSE(exists(m.ca_key));
    EXPECT_FALSE(exists(m.path));
}

} // namespace
