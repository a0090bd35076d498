// SPDX-License-Identifier: Apache-2.0
// The audit log under many writers.
#include "slow.hpp"
#include "tests/unit/audit_fixture.h"

namespace {

class AuditWrite : public Audit {};

int open_fds()
{
    int n = 0;
    DIR *d = opendir("/proc/self/fd");
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

std::vector<int> fds_below(const std::string &dir)
{
    std::vector<int> out;
    for (int fd = 3; fd < 1024; fd++) {
        char target[4096];
        ssize_t n = readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), target, sizeof target);
        if (n > 0 && std::string(target, static_cast<size_t>(n)).rfind(dir, 0) == 0)
            out.push_back(fd);
    }
    return out;
}

// Exit status as of waitpid; a child that hangs is killed and fails the test instead of hanging it too.
// Longer than the writer's own 10 s.
int wait_for(pid_t pid)
{
    int status = -1;
    for (int ms = 0; ms < 30000; ms++) {
        if (waitpid(pid, &status, WNOHANG) != 0)
            return status;
        usleep(1000);
    }
    kill(pid, SIGKILL); // an append blocks every other signal
    waitpid(pid, &status, 0);
    return status;
}

TEST_F(AuditWrite, NumbersChainsAndSaysWhereItStands)
{
    kt_audit *a = open();
    for (uint64_t i = 1; i <= 3; i++) {
        kt_event e = event();
        ASSERT_EQ(kt_audit_append(a, &e, nullptr).code, KT_OK);
        EXPECT_EQ(e.seq, i);
    }
    kt_audit_free(a);
    Lines l = lines();
    ASSERT_EQ(l.size(), 3u);
    EXPECT_NE(l[0].find(",\"prev_hash\":\"" + std::string(64, '0') + "\",\"hash\":\""), std::string::npos);
    // The rule of kt_event.h, done by hand.
    for (size_t i = 0; i < l.size(); i++) {
        size_t cut = l[i].find(",\"hash\":\"");
        char hex[KT_SHA256_HEX];
        ASSERT_EQ(kt_sha256_hex(l[i].data(), cut, hex).code, KT_OK);
        EXPECT_EQ(l[i].substr(cut), ",\"hash\":\"" + std::string(hex) + "\"}");
        if (i + 1 < l.size()) {
            EXPECT_NE(l[i + 1].find("\"prev_hash\":\"" + std::string(hex)), std::string::npos);
        }
    }
    expect_ok(3);
    EXPECT_EQ(std::string(verify().last_hash), l[2].substr(l[2].size() - 66, 64));
}

TEST_F(AuditWrite, ManyInOneTurnAreLinesLikeAnyOther)
{
    kt_audit *a = open(4000); // some ten lines: files end in the middle of what is appended together
    std::vector<kt_event> events;
    for (int i = 0; i < 35; i++)
        events.push_back(event("gpt-4o", i % 5 != 4));
    std::vector<kt_audit_item> items;
    for (kt_event &e : events)
        items.push_back({&e, kt_err(KT_ERR_STATE)});
    kt_audit_append_all(a, items.data(), items.size(), nullptr);
    for (size_t i = 0; i < items.size(); i++) {
        EXPECT_EQ(items[i].result.code, KT_OK);
        EXPECT_EQ(events[i].seq, i + 1);
    }
    EXPECT_EQ(append(a).code, KT_OK);
    kt_audit_append_all(a, nullptr, 0, nullptr);
    kt_audit_free(a);
    EXPECT_GE(named("0").size(), 2u);
    expect_ok(36);
}

TEST_F(AuditWrite, FilesArePrivate)
{
    write_events(1);
    struct stat st;
    ASSERT_EQ(stat(dir.c_str(), &st), 0);
    EXPECT_EQ(st.st_mode & 0777, 0700u);
    for (const char *f : {"current.jsonl", "head", "lock"}) {
        ASSERT_EQ(stat(path(f).c_str(), &st), 0);
        EXPECT_EQ(st.st_mode & 0777, 0600u) << f;
    }
}

TEST_F(AuditWrite, MixedChainedAndPlainEvents)
{
    kt_audit *a = open();
    for (int i = 0; i < 12; i++)
        ASSERT_EQ(append(a, i % 3 == 0).code, KT_OK);
    kt_audit_free(a);
    EXPECT_EQ(lines()[1].find("hash"), std::string::npos);
    expect_ok(12);
}

TEST_F(AuditWrite, FiftyProcessesMakeOneChain)
{
    kt_audit *a = open(20000); // rotates many times on the way
    std::vector<pid_t> children;
    for (int i = 0; i < 50; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            for (int k = 0; k < 20; k++)
                if (append(a, (i + k) % 5 != 0).code != KT_OK)
                    _exit(1);
            _exit(0);
        }
        children.push_back(pid);
    }
    for (pid_t pid : children) {
        int status = -1;
        waitpid(pid, &status, 0);
        EXPECT_EQ(status, 0);
    }
    kt_audit_free(a);
    expect_ok(1000);
    EXPECT_GT(verify().files, 5u);
}

TEST_F(AuditWrite, ThreadsAndForksInTheMiddle)
{
    kt_audit *a = open(50000);
    std::atomic<bool> stop{false};
    std::atomic<int> written{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; t++)
        threads.emplace_back([&] {
            while (!stop) {
                ASSERT_EQ(append(a).code, KT_OK);
                written++;
            }
        });
    // Children forked while other threads hold the lock must be able to write, and must not keep it.
    int status = 0;
    for (int i = 0; i < 60 && status == 0; i++) {
        pid_t pid = fork();
        if (pid == 0)
            _exit(append(a).code == KT_OK ? 0 : 1);
        status = wait_for(pid);
    }
    stop = true;
    for (auto &t : threads)
        t.join();
    kt_audit_free(a);
    ASSERT_EQ(status, 0);
    expect_ok(static_cast<uint64_t>(written) + 60);
}

// The C library does not free the time zone's lock in a child.
TEST_F(AuditWrite, ForkWhileOthersAskForTheTime)
{
    kt_audit *a = open();
    std::atomic<bool> stop{false};
    std::vector<std::thread> threads;
    for (int t = 0; t < 2; t++)
        threads.emplace_back([&] {
            struct tm tm;
            for (time_t now = 0; !stop; now++)
                gmtime_r(&now, &tm);
        });
    const int all = (int)slow::fewer(100, 5);
    int status = 0, forks = 0;
    for (; forks < all && status == 0; forks++) {
        pid_t pid = fork();
        if (pid == 0)
            _exit(append(a).code == KT_OK ? 0 : 1);
        status = wait_for(pid);
    }
    stop = true;
    for (auto &t : threads)
        t.join();
    kt_audit_free(a);
    ASSERT_EQ(status, 0) << "fork " << forks;
    expect_ok((uint64_t)all);
}

TEST_F(AuditWrite, TimestampsAreThoseOfTheCalendar)
{
    const uint64_t day = 86400, end = UINT64_MAX / 1000000000u;
    kt_event e = event();
    // Every day to 2110, then in strides that meet every month, to the last year there is.
    for (uint64_t s = 0, n = 0; s <= end; n++, s = n * day * (n > 51500 ? 3 : 1) + (n % 2) * (day - 1)) {
        e.timestamp_ns = s * 1000000000u + 7;
        kt_buf line = KT_BUF_INIT(65536);
        ASSERT_EQ(kt_event_canonical(&e, &line).code, KT_OK);
        time_t t = static_cast<time_t>(s);
        struct tm tm;
        char want[64];
        gmtime_r(&t, &tm);
        strftime(want, sizeof want, "\"timestamp\":\"%Y-%m-%dT%H:%M:%S.000000007Z\"", &tm);
        std::string got(line.data, line.len);
        kt_buf_free(&line);
        ASSERT_NE(got.find(want), std::string::npos) << got << want;
    }
}

TEST_F(AuditWrite, KeepsFourFdsAndNoSignalMask)
{
    kt_audit *a = open();
    int before = open_fds();
    sigset_t mask;
    for (int i = 0; i < 20; i++)
        ASSERT_EQ(append(a).code, KT_OK);
    EXPECT_EQ(open_fds(), before);
    pthread_sigmask(SIG_SETMASK, nullptr, &mask);
    EXPECT_EQ(sigismember(&mask, SIGTERM), 0);
    kt_audit_free(a);
    EXPECT_EQ(open_fds(), before - 4); /* folder, lock, head, current.jsonl */
}

// NFS makes both kinds one: a turn that took both of the same file would wait for itself.
TEST_F(AuditWrite, OneKindOfLockIsTakenOfAFileOfOurOwn)
{
    kt_audit *a = open();
    ASSERT_EQ(append(a).code, KT_OK);
    int fd = ::open(path("lock").c_str(), O_RDWR | O_CLOEXEC);
    struct flock other = {};
    other.l_type = F_WRLCK;
    ASSERT_EQ(fcntl(fd, F_OFD_SETLK, &other), 0);
    EXPECT_EQ(append(a).code, KT_OK) << "the other kind is nobody's";
    close(fd);
    kt_audit_free(a);
}

TEST_F(AuditWrite, AProgramThatTakesOurFdsGetsNothingWrittenIntoItsFiles)
{
    kt_audit *a = open();
    ASSERT_EQ(append(a).code, KT_OK);
    std::vector<int> ours = fds_below(dir);
    ASSERT_EQ(ours.size(), 4u);
    int theirs = ::open((state + "/theirs").c_str(), O_RDWR | O_CREAT, 0600);
    ASSERT_EQ(write(theirs, "data", 4), 4);
    for (int fd : ours)
        ASSERT_EQ(dup2(theirs, fd), fd);
    ASSERT_EQ(append(a).code, KT_OK);
    struct stat st;
    ASSERT_EQ(fstat(theirs, &st), 0);
    EXPECT_EQ(st.st_size, 4);
    EXPECT_TRUE(verify().ok);
    EXPECT_EQ(verify().events, 2u);
    for (int fd : ours)
        EXPECT_EQ(fcntl(fd, F_GETFD), 0) << "the program's fd was closed";
    close(theirs);
    kt_audit_free(a);
}

TEST_F(AuditWrite, FdsThatWereClosedAreOpenedAgain)
{
    kt_audit *a = open();
    for (int i = 0; i < 4; i++) {
        std::vector<int> ours = fds_below(dir);
        ASSERT_EQ(ours.size(), 4u);
        close(ours[static_cast<size_t>(i)]);
        ASSERT_EQ(append(a).code, KT_OK);
    }
    EXPECT_EQ(verify().events, 4u);
    kt_audit_free(a);
}

TEST_F(AuditWrite, FilesThatAreRemovedBetweenTwoEventsAreMadeAgain)
{
    kt_audit *a = open();
    for (const char *name : {"lock", "head", "current.jsonl"}) {
        ASSERT_EQ(append(a).code, KT_OK);
        ASSERT_EQ(unlink(path(name).c_str()), 0);
        ASSERT_EQ(append(a).code, KT_OK);
        EXPECT_EQ(access(path(name).c_str(), F_OK), 0) << name;
        if (std::string(name) == "lock") // the others are losses, which the log itself reports
            expect_ok(2);
    }
    kt_audit_free(a);
}

TEST_F(AuditWrite, RelativeStateDirSurvivesChdir)
{
    char here[4096];
    ASSERT_NE(getcwd(here, sizeof here), nullptr);
    ASSERT_EQ(chdir(state.c_str()), 0);
    kt_audit *a = nullptr;
    ASSERT_EQ(kt_audit_open("deep/er", 0, &a, nullptr).code, KT_OK);
    ASSERT_EQ(chdir("/"), 0);
    EXPECT_EQ(append(a).code, KT_OK);
    ASSERT_EQ(chdir(here), 0);
    kt_audit_free(a);
    EXPECT_EQ(access((state + "/deep/er/audit/current.jsonl").c_str(), F_OK), 0);
}

TEST_F(AuditWrite, FolderRemovedUnderARunningProgram)
{
    kt_audit *a = open();
    ASSERT_EQ(append(a).code, KT_OK);
    ASSERT_EQ(system(("rm -rf " + dir).c_str()), 0);
    EXPECT_EQ(append(a).code, KT_OK);
    kt_audit_free(a);
    EXPECT_EQ(lines().size(), 1u);
}

TEST_F(AuditWrite, RotationKeepsTheChain)
{
    write_events(100, 4000);
    expect_ok(100);
    auto files = named("0");
    EXPECT_GT(files.size(), 5u);
    EXPECT_EQ(lines("checkpoints.jsonl").size(), files.size());
    for (const auto &f : files)
        EXPECT_LE(slurp(f).size(), 4000u);
}

TEST_F(AuditWrite, LineReaderAtEveryChunkBorder)
{
    std::string text;
    for (size_t n :
         {size_t{0}, size_t{1}, size_t{65535}, size_t{65536}, size_t{65537}, size_t{200000}, size_t{3}})
        text += std::string(n, 'a') + "\n";
    text += "rest";
    ASSERT_EQ(mkdir(dir.c_str(), 0700), 0);
    spill("x", text);
    int fd = ::open(path("x").c_str(), O_RDWR);
    kt_lines l;
    kt_lines_init(&l, fd, 0);
    struct kt_span s;
    for (size_t n :
         {size_t{0}, size_t{1}, size_t{65535}, size_t{65536}, size_t{65537}, size_t{200000}, size_t{3}}) {
        ASSERT_EQ(kt_lines_next(&l, &s).code, KT_OK);
        ASSERT_EQ(s.len, n);
    }
    ASSERT_EQ(kt_lines_next(&l, &s).code, KT_ERR_NOTFOUND);
    EXPECT_EQ(std::string(s.data, s.len), "rest");
    ASSERT_EQ(pwrite(fd, "!\n", 2, static_cast<off_t>(text.size())), 2); // it grows
    ASSERT_EQ(kt_lines_next(&l, &s).code, KT_OK);
    EXPECT_EQ(std::string(s.data, s.len), "rest!");
    kt_lines_free(&l);
    close(fd);
}

} // namespace
