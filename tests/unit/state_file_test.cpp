// SPDX-License-Identifier: Apache-2.0
// The file under attack: whatever lies in its place, a program goes on, and never with numbers that are not ours.
#include "state_fixture.hpp"

#include <cstring>
#include <random>

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>

namespace {

using namespace state;
namespace fs = std::filesystem;

class StateFile : public StateTest {
  protected:
    // Opens, marks, closes; then `attack` changes the file. True where the mark is gone and the new file is good.
    bool resets_after(const std::function<void(const std::string &)> &attack)
    {
        mark();
        attack(file());
        kt_state *s = open();
        return kt_state_is_shared(s) && !marked(s) && good();
    }
    void mark()
    {
        kt_breaker_rules r = rules(1);
        kt_breaker_failure(kt_state_target(open(), 7, kt_state_now_ms()), &r, KT_PERMIT_YES, kt_state_now_ms(), -1);
        ASSERT_TRUE(marked(all.back()));
    }
    static bool marked(kt_state *s)
    {
        return kt_target_failing_ms(kt_state_target(s, 7, kt_state_now_ms()), kt_state_now_ms()) != UINT64_MAX;
    }
    bool good()
    {
        struct stat st;
        EXPECT_EQ(stat((dir + "/state").c_str(), &st), 0);
        EXPECT_EQ(st.st_mode & 0777, 0700u);
        EXPECT_EQ(lstat(file().c_str(), &st), 0);
        EXPECT_TRUE(S_ISREG(st.st_mode));
        EXPECT_EQ(st.st_mode & 0777, 0600u);
        EXPECT_GE(st.st_blocks * 512, st.st_size) << "a block that is not there would kill the host";
        for (const auto &e : fs::directory_iterator(dir + "/state"))
            EXPECT_NE(e.path().filename().string().rfind(".new-", 0), 0u) << "left behind: " << e.path();
        return true;
    }
    static void poke(const std::string &path, off_t at, const void *data, size_t n)
    {
        int fd = ::open(path.c_str(), O_WRONLY);
        EXPECT_EQ(pwrite(fd, data, n, at), static_cast<ssize_t>(n));
        close(fd);
    }
    // In a child without rights: what it returns.
    static bool unprivileged(const std::function<bool()> &fn)
    {
        return in_children(1, [&](int) { return (geteuid() != 0 || (setgid(65534) == 0 && setuid(65534) == 0)) && fn(); });
    }
};

TEST_F(StateFile, IsMadeOnceAndFoundAgain)
{
    mark();
    EXPECT_TRUE(marked(open()));
    EXPECT_TRUE(good());
    EXPECT_STREQ(kt_state_problem(all[0]), "");
}

TEST_F(StateFile, EveryByteOfTheHeaderCounts)
{
    mark();
    std::string path = file();
    for (off_t at = 0; at < 96; at++) {
        unsigned char old = 0;
        int fd = ::open(path.c_str(), O_RDONLY);
        ASSERT_EQ(pread(fd, &old, 1, at), 1);
        close(fd);
        unsigned char other = old ^ 0x41;
        kt_state *before = open();
        bool was = marked(before);
        poke(path, at, &other, 1);
        kt_state *after = open();
        ASSERT_TRUE(kt_state_is_shared(after)) << at;
        EXPECT_TRUE(was) << at;
        EXPECT_FALSE(marked(after)) << "byte " << at;
        kt_breaker_rules r = rules(1);
        uint64_t now = kt_state_now_ms();
        kt_breaker_failure(kt_state_target(after, 7, now), &r, KT_PERMIT_YES, now, -1);
        for (kt_state *s : all)
            kt_state_free(s);
        all.clear();
    }
}

TEST_F(StateFile, AnotherSizeIsNotOurs)
{
    for (off_t size : {0, 1, 4095, 4096, 100000, 10000000})
        EXPECT_TRUE(resets_after([&](const std::string &f) {
            fs::remove(f);
            std::ofstream(f).close();
            chmod(f.c_str(), 0600);
            EXPECT_EQ(truncate(f.c_str(), size), 0);
        })) << size;
}

TEST_F(StateFile, GarbageIsNotOurs)
{
    std::mt19937 random(1);
    for (int i = 0; i < 20; i++)
        EXPECT_TRUE(resets_after([&](const std::string &f) {
            std::string bytes(fs::file_size(f), '\0');
            for (char &c : bytes)
                c = static_cast<char>(random());
            fs::remove(f);
            std::ofstream(f) << bytes;
            chmod(f.c_str(), 0600);
        }));
}

TEST_F(StateFile, GarbageBehindAGoodHeaderDoesNoHarm)
{
    mark();
    std::mt19937_64 random(2);
    std::string path = file();
    for (int round = 0; round < 30; round++) {
        std::string bytes(fs::file_size(path) - 4096, '\0');
        for (size_t i = 0; i + 8 <= bytes.size(); i += 8) {
            uint64_t word = round % 3 == 0 ? UINT64_MAX : random();
            memcpy(&bytes[i], &word, 8);
        }
        poke(path, 4096, bytes.data(), bytes.size());
        kt_state *s = open();
        ASSERT_TRUE(kt_state_is_shared(s));
        uint64_t now = kt_state_now_ms();
        kt_breaker_rules r = rules(3, 1000, 2);
        for (uint64_t key = 1; key < 50; key++) {
            kt_tstate *t = kt_state_target(s, key * 0x9e3779b97f4a7c15ull, now);
            int64_t wait = 0;
            kt_breaker_enter(t, &r, now, &wait);
            EXPECT_LE(wait, 25 * 3600000) << "nothing may be closed off for ever";
            EXPECT_NE(kt_breaker_enter(t, &r, now + 26ull * 3600000, &wait), KT_PERMIT_NO);
            kt_samples m = kt_samples_read(t, KT_SAMPLE_TTFB, 300000, now);
            EXPECT_TRUE(m.mean >= 0 && m.count <= KT_SAMPLES_MAX);
            kt_probe_get(t, now);
            kt_lease_take(t, now, 1000);
            EXPECT_TRUE(kt_lease_take(t, now + 100000000, 1000));
            kt_window w = {KT_WINDOW_RATE, key, 1000};
            EXPECT_TRUE(kt_window_take(s, &w, now, 1, 1).used >= 0);
            kt_sequence_next(s, key, now);
        }
    }
}

TEST_F(StateFile, WhatIsNoFileMakesRoom)
{
    EXPECT_TRUE(resets_after([](const std::string &f) {
        fs::remove(f);
        fs::create_directory(f);
    }));
    EXPECT_TRUE(resets_after([](const std::string &f) {
        fs::remove(f);
        ASSERT_EQ(mkfifo(f.c_str(), 0600), 0);
    }));
    EXPECT_TRUE(resets_after([&](const std::string &f) {
        fs::rename(f, dir + "/elsewhere");
        fs::create_symlink(dir + "/elsewhere", f);
    })) << "a link is not followed";
    EXPECT_TRUE(resets_after([&](const std::string &f) { fs::create_hard_link(f, dir + "/second"); }));
    // A folder with something in it cannot be removed by us: alone, then.
    std::string path = file();
    fs::remove(path);
    fs::create_directories(path + "/full");
    kt_state *s = open();
    EXPECT_FALSE(kt_state_is_shared(s));
    EXPECT_STRNE(kt_state_problem(s), "");
}

TEST_F(StateFile, WrongModeOrOwnerIsNotOurs)
{
    for (mode_t mode : {0644, 0660, 0400, 0000})
        EXPECT_TRUE(resets_after([&](const std::string &f) { EXPECT_EQ(chmod(f.c_str(), mode), 0); })) << mode;
    if (geteuid() == 0) {
        EXPECT_TRUE(resets_after([](const std::string &f) { EXPECT_EQ(chown(f.c_str(), 65534, 65534), 0); }));
    }
    mark();
    EXPECT_EQ(chmod((dir + "/state").c_str(), 0777), 0);
    EXPECT_TRUE(kt_state_is_shared(open()));
    EXPECT_TRUE(good()) << "the folder is closed again";
    if (geteuid() == 0) {
        EXPECT_EQ(chown((dir + "/state").c_str(), 65534, 65534), 0);
        kt_state *s = open();
        EXPECT_FALSE(kt_state_is_shared(s)) << "in somebody else's folder nothing is safe";
        EXPECT_NE(std::string(kt_state_problem(s)).find("belongs to the user 65534"), std::string::npos);
    }
}

TEST_F(StateFile, AFolderThatCannotBeWrittenDegrades)
{
    ASSERT_EQ(chmod(dir.c_str(), 0755), 0); // root's: an unprivileged process makes nothing in it
    std::string where = dir;
    EXPECT_TRUE(unprivileged([&] {
        kt_state *s = nullptr;
        if (!kt_is_ok(kt_state_open(where.c_str(), &s)) || kt_state_is_shared(s) || !*kt_state_problem(s))
            return geteuid() != 65534; // not run as root: the folder is ours
        kt_breaker_rules r = rules(1);
        int64_t wait = 0;
        kt_breaker_failure(kt_state_target(s, 7, kNow), &r, KT_PERMIT_YES, kNow, -1);
        bool works = kt_breaker_enter(kt_state_target(s, 7, kNow), &r, kNow, &wait) == KT_PERMIT_NO;
        works = works && in_children(1, [&](int) { // fork children see it
                    return kt_breaker_enter(kt_state_target(s, 7, kNow), &r, kNow, &wait) == KT_PERMIT_NO;
                });
        kt_state_free(s);
        return works;
    }));
    EXPECT_FALSE(kt_state_is_shared(open("/proc/no/such/place")));
    EXPECT_FALSE(kt_state_is_shared(open("/dev/null")));
    EXPECT_FALSE(kt_state_is_shared(open(std::string(5000, 'x'))));
    kt_state *none = nullptr;
    ASSERT_TRUE(kt_is_ok(kt_state_open(nullptr, &none)));
    EXPECT_FALSE(kt_state_is_shared(none));
    kt_state_free(none);
}

// A child whose mounts nobody else sees; exit status 77 = no right to that.
int apart(const std::function<bool()> &fn)
{
    pid_t pid = fork();
    if (pid == 0) {
        bool alone = unshare(CLONE_NEWNS) == 0 && mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
        _exit(!alone ? 77 : fn() ? 0 : 1);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

TEST_F(StateFile, AFullDiskDegrades)
{
    int result = apart([&] {
        if (mount("none", dir.c_str(), "tmpfs", 0, "size=200k,mode=0700") != 0)
            return false;
        kt_state *s = open();
        return !kt_state_is_shared(s) && strstr(kt_state_problem(s), "No space") && kt_sequence_next(s, 1, kNow) == 0 &&
               file().empty();
    });
    if (result == 77)
        GTEST_SKIP() << "no right to mount";
    EXPECT_EQ(result, 0);
}

TEST_F(StateFile, ARemovedFileIsFollowed)
{
    mark();
    kt_state *a = all[0], *b = open();
    uint64_t now = kt_state_now_ms();
    fs::remove(file());
    kt_state_check(a, now);
    kt_state_check(b, now);
    EXPECT_FALSE(marked(a));
    kt_breaker_rules r = rules(1);
    kt_breaker_failure(kt_state_target(a, 7, now), &r, KT_PERMIT_YES, now, -1);
    EXPECT_TRUE(marked(b)) << "both are on the new file";
    fs::remove(file());
    kt_state_check(a, now + 10);
    EXPECT_TRUE(marked(a)) << "one look per second";
    for (int i = 0; i < 40; i++) { // nobody can fill our address space by removing it again and again
        fs::remove(file());
        kt_state_check(a, now + 2000 + static_cast<uint64_t>(i) * 2000);
        if (file().empty())
            break;
    }
    EXPECT_EQ(file(), "");
    EXPECT_EQ(kt_sequence_next(a, 3, now), 0u);
}

TEST_F(StateFile, MoneyOutlivesTheBootAndNothingElseDoes)
{
    mark();
    kt_window w = {KT_WINDOW_SPEND, 5, 86400000};
    uint64_t real = kt_state_real_ms();
    EXPECT_TRUE(kt_window_take(all[0], &w, real, 70, 100).ok);
    int result = apart([&] {
        if (mount("none", "/proc/sys/kernel/random", "tmpfs", 0, "") != 0)
            return false;
        std::ofstream("/proc/sys/kernel/random/boot_id") << "00000000-1111-2222-3333-444444444444\n";
        kt_state *s = open();
        return kt_state_is_shared(s) && !marked(s) && kt_window_take(s, &w, real, 0, 100).used == 70 &&
               !kt_window_take(s, &w, real, 31, 100).ok;
    });
    if (result == 77)
        GTEST_SKIP() << "no right to mount";
    EXPECT_EQ(result, 0);
}

} // namespace
