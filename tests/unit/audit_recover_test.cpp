// SPDX-License-Identifier: Apache-2.0
// Crashes, full disks, folders that cannot be written.
#include "tests/unit/audit_fixture.h"

#include <sched.h>
#include <sys/mount.h>

namespace {

class AuditRecover : public Audit {};

TEST_F(AuditRecover, KillNineInTheMiddleOfAppends)
{
    std::string big(200000, 'x'); // many pages: a kill can cut the write
    uint64_t last = 0;
    for (int round = 0; round < 25; round++) {
        pid_t pid = fork();
        if (pid == 0) {
            kt_audit *a = open(1u << 20);
            for (;;) {
                kt_event e = event();
                e.capture_request = big.c_str();
                if (kt_audit_append(a, &e, nullptr).code != KT_OK)
                    _exit(1);
            }
        }
        usleep(static_cast<useconds_t>(2000 + round * 377));
        kill(pid, SIGKILL);
        waitpid(pid, nullptr, 0);
        kt_audit *a = open(1u << 20);
        kt_event e = event();
        ASSERT_EQ(kt_audit_append(a, &e, nullptr).code, KT_OK);
        kt_audit_free(a);
        EXPECT_GT(e.seq, last);
        last = e.seq;
        kt_audit_report r = verify();
        ASSERT_TRUE(r.ok) << r.file << ":" << r.line << " " << r.what;
        ASSERT_EQ(r.last_seq, last);
    }
}

TEST_F(AuditRecover, TornTailAtEveryByteIsSetAsideAndReported)
{
    write_events(3);
    const std::string whole = slurp("current.jsonl"), head = slurp("head");
    write_events(1);
    const std::string longer = slurp("current.jsonl");
    for (size_t n = whole.size() + 1; n < longer.size(); n += 7) {
        spill("current.jsonl", longer.substr(0, n));
        spill("head", head);
        ASSERT_EQ(system(("rm -f " + dir + "/torn-*").c_str()), 0);
        expect_broken("current.jsonl", 4, "torn");
        write_events(1);
        auto torn = named("torn-");
        ASSERT_EQ(torn.size(), 1u);
        EXPECT_EQ(slurp(torn[0]), longer.substr(whole.size(), n - whole.size()));
        Lines l = lines();
        ASSERT_EQ(l.size(), 5u);
        EXPECT_NE(l[3].find("\"event_type\":\"audit_torn_line\""), std::string::npos);
        EXPECT_NE(l[3].find(torn[0]), std::string::npos);
        expect_ok(5);
    }
}

TEST_F(AuditRecover, WholeLineBeforeTheHeadWasWrittenIsKept)
{
    write_events(3);
    const std::string head = slurp("head");
    write_events(1);
    spill("head", head); // died between line and head
    expect_ok(4);
    write_events(1);
    expect_ok(5);
    EXPECT_TRUE(named("torn-").empty());
}

TEST_F(AuditRecover, FirstEventEverTorn)
{
    write_events(0);
    spill("current.jsonl", "{\"id\":\"00");
    write_events(1);
    expect_ok(2); // the note and the event
    EXPECT_EQ(named("torn-").size(), 1u);
}

TEST_F(AuditRecover, LostHeadIsRebuiltButNeverForgotten)
{
    for (const char *damage : {"", "kt-audit-head 1 5 zz", "garbage"}) {
        write_events(3);
        uint64_t n = verify().last_seq;
        if (*damage) {
            spill("head", damage);
        } else {
            ASSERT_EQ(unlink(path("head").c_str()), 0);
        }
        kt_audit_report r = verify();
        EXPECT_FALSE(r.ok);
        EXPECT_STREQ(r.file, "head");
        write_events(1);
        EXPECT_EQ(lines().size(), n + 2);
        expect_broken("current.jsonl", n + 1, "head file was lost");
        ASSERT_EQ(system(("rm -rf " + dir).c_str()), 0);
    }
}

TEST_F(AuditRecover, LostHeadBehindRotationGoesOnWithTheNumbers)
{
    write_events(30, 3000);
    ASSERT_EQ(unlink(path("head").c_str()), 0);
    ASSERT_EQ(unlink(path("current.jsonl").c_str()), 0);
    auto files = named("0");
    ASSERT_FALSE(files.empty());
    uint64_t last = std::stoull(files.back().substr(13));
    kt_audit *a = open(3000);
    kt_event e = event();
    ASSERT_EQ(kt_audit_append(a, &e, nullptr).code, KT_OK);
    kt_audit_free(a);
    EXPECT_EQ(e.seq, last + 2); // the note is last + 1
}

TEST_F(AuditRecover, RotationCutShortAtEachStepIsFinished)
{
    for (bool with_checkpoint : {false, true})
        for (bool with_new_file : {false, true}) {
            write_events(5);
            std::string name = "000000000001-000000000005.jsonl", head = slurp("head");
            std::string hash = lines()[4].substr(lines()[4].size() - 66, 64);
            ASSERT_EQ(rename(path("current.jsonl").c_str(), path(name).c_str()), 0);
            if (with_checkpoint)
                spill("checkpoints.jsonl",
                      "{\"file\":\"" + name + "\",\"first_seq\":1,\"last_seq\":5,\"bytes\":" +
                          std::to_string(slurp(name).size()) + ",\"last_hash\":\"" + hash + "\"}\n");
            if (with_new_file)
                spill("current.jsonl", "");
            expect_ok(5);
            write_events(2);
            expect_ok(7);
            EXPECT_EQ(lines("checkpoints.jsonl").size(), 1u);
            ASSERT_EQ(system(("rm -rf " + dir).c_str()), 0);
        }
}

TEST_F(AuditRecover, TornCheckpointIsReplaced)
{
    write_events(40, 4000);
    std::string c = slurp("checkpoints.jsonl");
    spill("checkpoints.jsonl", c + "{\"file\":\"0000");
    write_events(40, 4000);
    expect_ok(80);
}

TEST_F(AuditRecover, FullDiskLeavesNoHalfLine)
{
    write_events(4);
    const std::string before = slurp("current.jsonl"), head = slurp("head");
    for (size_t room : {size_t{0}, size_t{1}, size_t{100}, size_t{250}}) {
        pid_t pid = fork();
        if (pid == 0) {
            kt_audit *a = open();
            signal(SIGXFSZ, SIG_DFL); // the limit must become an error of ours, not the program's death
            rlimit lim = {before.size() + room, before.size() + room};
            setrlimit(RLIMIT_FSIZE, &lim);
            kt_error err = {};
            kt_event e = event();
            kt_result r = kt_audit_append(a, &e, &err);
            bool said = std::string(err.text).find("File too large") != std::string::npos &&
                        std::string(err.text).find(dir) != std::string::npos;
            _exit(r.code == KT_ERR_IO && said && e.seq == 0 ? 0 : 1);
        }
        int status = -1;
        waitpid(pid, &status, 0);
        EXPECT_EQ(status, 0) << room;
        EXPECT_EQ(slurp("current.jsonl"), before);
        EXPECT_EQ(slurp("head"), head);
    }
    expect_ok(4);
    write_events(1);
    expect_ok(5);
}

bool ready(kt_audit *a)
{
    kt_error err = {};
    bool yes = kt_audit_ready(a, &err).code == KT_OK;
    if (!yes && strstr(err.text, "No space left on device") == nullptr)
        _exit(6);
    return yes;
}

// In a child: it ends with 77 where it has no right to mount.
void live_on_a_disk_of_1m(const std::string &folder)
{
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", "", MS_REC | MS_PRIVATE, "") != 0 ||
        mount("none", folder.c_str(), "tmpfs", 0, "size=1m,mode=0700") != 0)
        _exit(77);
}

// What is said in front of a call holds behind it: on a disk that others fill up, the room for its event is
// taken.
TEST_F(AuditRecover, FullDiskIsKnownBeforeTheCall)
{
    pid_t pid = fork();
    if (pid == 0) {
        live_on_a_disk_of_1m(state);
        kt_audit *a = open();
        auto fill = [&] {
            int fd = ::open((state + "/other").c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
            char page[4096] = {1};
            while (write(fd, page, sizeof page) == static_cast<ssize_t>(sizeof page))
                ;
            close(fd);
        };
        fill();
        int written = 0;
        while (written < 100000 && ready(a)) {
            if (append(a).code != KT_OK)
                _exit(2); // said yes, and it was no
            written++;
        }
        if (written < 100 || ready(a) ||
            append(a).code != KT_OK) // a last one may still fit; another call must not leave
            _exit(3);
        unlink((state + "/other").c_str());
        if (!ready(a) || append(a).code != KT_OK)
            _exit(4);
        kt_audit_free(a);
        fill();
        a = open();
        _exit(verify().ok ? 0 : 5);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        GTEST_SKIP() << "no right to mount";
    EXPECT_EQ(status, 0);
}

// Somebody cuts the log, or puts another in its place, and fills the disk: what was reserved behind its end
// is gone.
TEST_F(AuditRecover, RoomOfALogThatOthersCutIsNotReliedOn)
{
    pid_t pid = fork();
    if (pid == 0) {
        live_on_a_disk_of_1m(state);
        kt_audit *a = open();
        const std::string log = path("current.jsonl"), other = state + "/other";
        const std::string cuts[] = {": >" + log, "truncate -s -1 " + log,
                                    "cp " + log + " " + log + ".x; mv " + log + ".x " + log,
                                    "mv " + log + " " + state + "/elsewhere; : >" + log};
        int n = 0;
        for (const std::string &cut : cuts) {
            n++;
            if (append(a).code != KT_OK || append(a).code != KT_OK || !ready(a))
                _exit(10 + n);
            const bool kept = n == 4; // alive under another name, with its room
            if (system((cut + (kept ? "" : "; cat /dev/zero >" + other + " 2>/dev/null")).c_str()) < 0 ||
                (ready(a) &&
                 append(a).code != KT_OK)) // a file that was replaced leaves its room to the new one
                _exit(20 + n);
            unlink(other.c_str());
            const std::string moved = slurp("../elsewhere");
            if (!ready(a) || append(a).code != KT_OK || slurp("../elsewhere") != moved ||
                slurp("current.jsonl").empty())
                _exit(30 + n);
        }
        _exit(0);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        GTEST_SKIP() << "no right to mount";
    EXPECT_EQ(status, 0);
}

TEST_F(AuditRecover, RoomThatWasTakenIsGivenBack)
{
    write_events(40, 4000);
    struct stat st;
    kt_audit_files files = {};
    ASSERT_EQ(kt_audit_files_list(dir.c_str(), &files).code, KT_OK);
    for (size_t i = 0; i + 1 < files.count; i++) { // the last is current.jsonl
        ASSERT_EQ(stat((dir + "/" + files.items[i].name).c_str(), &st), 0);
        EXPECT_LE(st.st_blocks, 16) << files.items[i].name;
    }
    kt_audit_files_free(&files);
}

TEST_F(AuditRecover, AlmostFullDiskTakesWhatFits)
{
    write_events(4);
    const size_t line = slurp("current.jsonl").size() / 4,
                 room = slurp("current.jsonl").size() + 2 * line + line / 2;
    pid_t pid = fork();
    if (pid == 0) {
        kt_audit *a = open();
        rlimit lim = {room, room};
        setrlimit(RLIMIT_FSIZE, &lim);
        std::vector<kt_event> events;
        for (const char *model : {"gpt-4o", "gpt-4o", "gpt-4o", "gpt-4o"})
            events.push_back(event(model));
        std::vector<kt_audit_item> items;
        for (kt_event &e : events)
            items.push_back({&e, kt_ok()});
        kt_audit_append_all(a, items.data(), items.size(), nullptr);
        bool right = events[0].seq == 5 && events[1].seq == 6 && events[2].seq == 0 && events[3].seq == 0;
        for (size_t i = 0; i < 4; i++)
            right &= (items[i].result.code == KT_OK) == (i < 2);
        _exit(right ? 0 : 1);
    }
    int status = -1;
    waitpid(pid, &status, 0);
    EXPECT_EQ(status, 0);
    expect_ok(6);
}

TEST_F(AuditRecover, FullDiskDuringRotationKeepsTheOldFile)
{
    write_events(5);
    ASSERT_EQ(mkdir(path("checkpoints.jsonl").c_str(), 0700), 0); // no checkpoint can be written
    write_events(5, 100);
    EXPECT_TRUE(named("0").empty());
    EXPECT_EQ(lines().size(), 10u);
    ASSERT_EQ(rmdir(path("checkpoints.jsonl").c_str()), 0);
    write_events(2, 100);
    expect_ok(12);
    EXPECT_FALSE(named("0").empty());
}

TEST_F(AuditRecover, UnwritableFolderSaysWhatToDo)
{
    pid_t pid = fork();
    if (pid == 0) {
        chmod(state.c_str(), 0500);
        if (geteuid() == 0 &&
            (setgid(65534) != 0 || chown(state.c_str(), 65534, 65534) != 0 || setuid(65534) != 0))
            _exit(2);
        kt_audit *a = nullptr;
        kt_error err = {};
        kt_result r = kt_audit_open(state.c_str(), 0, &a, &err);
        std::string text = err.text;
        bool ok = r.code == KT_ERR_IO && a == nullptr && text.find(dir) != std::string::npos &&
                  text.find("Permission denied") != std::string::npos &&
                  text.find("KT_STATE_DIR") != std::string::npos;
        _exit(ok ? 0 : 1);
    }
    int status = -1;
    waitpid(pid, &status, 0);
    EXPECT_EQ(status, 0);
    std::ofstream(state + "/file") << "x";
    kt_audit *a = nullptr;
    kt_error err = {};
    EXPECT_EQ(kt_audit_open((state + "/file").c_str(), 0, &a, &err).code, KT_ERR_IO);
    EXPECT_NE(std::string(err.text).find("Not a directory"), std::string::npos) << err.text;
}

TEST_F(AuditRecover, SymlinkedLogIsNotFollowed)
{
    write_events(1);
    ASSERT_EQ(unlink(path("current.jsonl").c_str()), 0);
    std::ofstream(state + "/victim") << "";
    ASSERT_EQ(symlink((state + "/victim").c_str(), path("current.jsonl").c_str()), 0);
    kt_audit *a = nullptr;
    EXPECT_EQ(kt_audit_open(state.c_str(), 0, &a, nullptr).code, KT_ERR_IO);
    struct stat st;
    ASSERT_EQ(stat((state + "/victim").c_str(), &st), 0);
    EXPECT_EQ(st.st_size, 0);
}

} // namespace
