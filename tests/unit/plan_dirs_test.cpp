/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/plan_fixture.h"

using namespace kt_test;

namespace {

TEST_F(Plan, PathsFollowTheEnvironment)
{
    kt_paths p;
    std::string uid = std::to_string(geteuid());
    auto resolve = [&](const char *given = nullptr) {
        kt_error err = {};
        EXPECT_TRUE(kt_is_ok(kt_paths_resolve(given, &p, &err))) << err.text;
        return std::string(p.state_dir);
    };
    EXPECT_EQ(resolve(), "/tmp/kt-" + uid);
    EXPECT_EQ(std::string(p.runtime_dir), "/tmp/ktwrap-" + uid);
    setenv("HOME", "/home/u", 1);
    EXPECT_EQ(resolve(), "/home/u/.local/state/kt");
    setenv("XDG_STATE_HOME", "relative", 1);
    EXPECT_EQ(resolve(), "/home/u/.local/state/kt") << "the XDG specification says to ignore it";
    setenv("XDG_STATE_HOME", "/xdg", 1);
    EXPECT_EQ(resolve(), "/xdg/kt");
    setenv("KT_STATE_DIR", "/kt", 1);
    EXPECT_EQ(resolve(), "/kt");
    EXPECT_EQ(resolve("/given"), "/given");
    char cwd[4096];
    ASSERT_NE(getcwd(cwd, sizeof cwd), nullptr);
    EXPECT_EQ(resolve("rel/x"), std::string(cwd) + "/rel/x");
    setenv("KT_STATE_DIR", "", 1);
    EXPECT_EQ(resolve(), "/xdg/kt") << "empty is not set";

    setenv("XDG_RUNTIME_DIR", dir.c_str(), 1);
    resolve();
    EXPECT_EQ(std::string(p.runtime_dir), dir + "/ktwrap");
    for (const char *bad : {"/no/such/folder", "relative", ""}) {
        setenv("XDG_RUNTIME_DIR", bad, 1);
        resolve();
        EXPECT_EQ(std::string(p.runtime_dir), "/tmp/ktwrap-" + uid) << bad;
    }
    std::string longest = "/" + std::string(5000, 'a');
    kt_error err = {};
    EXPECT_EQ(kt_paths_resolve(longest.c_str(), &p, &err).code, KT_ERR_USAGE);
    EXPECT_FALSE(exists("/given") || exists("/xdg")) << "resolving creates nothing";
}

TEST_F(Plan, RuntimeDirOfAnotherUserIsIgnored)
{
    if (geteuid() != 0)
        GTEST_SKIP() << "needs root to give a folder away";
    std::string theirs = dir + "/theirs";
    mkdir(theirs.c_str(), 0777);
    ASSERT_EQ(chown(theirs.c_str(), 12345, 12345), 0);
    setenv("XDG_RUNTIME_DIR", theirs.c_str(), 1);
    kt_paths p;
    ASSERT_TRUE(kt_is_ok(kt_paths_resolve("/x", &p, nullptr)));
    EXPECT_EQ(std::string(p.runtime_dir), "/tmp/ktwrap-0");
}

/* In /tmp anybody may make it first, and nobody can take it from him. */
TEST_F(Plan, RuntimeDirThatSomebodyElseMadeIsLeftToHim)
{
    if (geteuid() != 0)
        GTEST_SKIP() << "needs root to be two users";
    const uid_t us = 54321; /* has no folder of its own */
    std::string usual = "/tmp/ktwrap-" + std::to_string(us), state = dir + "/state";
    chmod(dir.c_str(), 0777);
    for (bool theirs : {true, false}) {
        ASSERT_EQ(mkdir(usual.c_str(), 0700), 0);
        ASSERT_EQ(chown(usual.c_str(), theirs ? 12345 : us, 0), 0);
        kt_paths p;
        ASSERT_EQ(seteuid(us), 0);
        EXPECT_TRUE(kt_is_ok(kt_paths_resolve(state.c_str(), &p, nullptr)));
        EXPECT_EQ(std::string(p.runtime_dir), theirs ? state + "/run" : usual);
        ASSERT_EQ(seteuid(0), 0);
        rmdir(usual.c_str());
    }
}

TEST_F(Plan, PrivateDirIsMadePrivate)
{
    mode_t old = umask(0);
    std::string deep = dir + "/a/b//c/";
    EXPECT_TRUE(kt_is_ok(kt_make_private_dir(deep.c_str(), nullptr)));
    umask(0777);
    std::string odd = dir + "/odd/umask";
    EXPECT_TRUE(kt_is_ok(kt_make_private_dir(odd.c_str(), nullptr)));
    umask(old);
    for (const std::string &d : {dir + "/a", dir + "/a/b", dir + "/a/b/c", odd})
        EXPECT_EQ(mode_of(d), 0700u) << d;
    EXPECT_TRUE(kt_is_ok(kt_make_private_dir(deep.c_str(), nullptr))) << "again";
    chmod((dir + "/a/b/c").c_str(), 0755);
    EXPECT_TRUE(kt_is_ok(kt_make_private_dir(deep.c_str(), nullptr))) << "others may read it";
    EXPECT_EQ(mode_of(dir + "/a/b/c"), 0755u) << "and a folder of the user's stays as it is";
}

TEST_F(Plan, HostileDirsAreRefused)
{
    kt_error err = {};
    auto refused = [&](const std::string &d, const char *why) {
        err.text[0] = '\0';
        EXPECT_EQ(kt_make_private_dir(d.c_str(), &err).code, KT_ERR_IO) << d;
        EXPECT_NE(strstr(err.text, why), nullptr) << err.text;
    };
    std::string d = dir + "/d";
    mkdir(d.c_str(), 0700);
    for (mode_t m : {0720, 0702, 0777, 01777}) {
        chmod(d.c_str(), m);
        refused(d, "others may write");
    }
    std::string open = dir + "/open";
    mkdir(open.c_str(), 0700);
    chmod(open.c_str(), 0777);
    refused(open + "/in", "everybody may replace");
    chmod(open.c_str(), 01777);
    EXPECT_TRUE(kt_is_ok(kt_make_private_dir((open + "/in").c_str(), nullptr))) << "as in /tmp";

    std::string file = dir + "/file";
    spill(file, "x");
    refused(file, "not a folder");
    refused(file + "/below", "Not a directory");
    refused("", "empty");
    refused("/proc/kt-no-such", "No such file");
    refused("/" + std::string(5000, 'a'), "too long");

    std::string link = dir + "/link";
    ASSERT_EQ(symlink((open + "/in").c_str(), link.c_str()), 0);
    EXPECT_TRUE(kt_is_ok(kt_make_private_dir(link.c_str(), nullptr))) << "the user's own link";
    unlink(link.c_str());
    ASSERT_EQ(symlink("/no/such/place", link.c_str()), 0);
    refused(link, "No such file");
    if (geteuid() != 0)
        return;
    std::string theirs = open + "/theirs", hook = open + "/hook";
    mkdir(theirs.c_str(), 0700);
    ASSERT_EQ(chown(theirs.c_str(), 12345, 12345), 0);
    refused(theirs, "another user");
    ASSERT_EQ(symlink((open + "/in").c_str(), hook.c_str()), 0);
    ASSERT_EQ(lchown(hook.c_str(), 12345, 12345), 0);
    refused(hook, "symbolic link of another user");
}

TEST_F(Plan, ReadOnlyStateFallsToTheRuntimeDir)
{
    std::string file = dir + "/file";
    spill(file, "x");
    snprintf(paths.state_dir, sizeof paths.state_dir, "%s/below", file.c_str());
    kt_plan_made m = made();
    char key[17];
    kt_plan_key(yaml.c_str(), "enforce", "block", key);
    EXPECT_EQ(std::string(m.path), std::string(paths.runtime_dir) + "/" + key);
    EXPECT_STREQ(made().ca_dir, m.ca_dir) << "and is shared there";
    kt_plan_made u = made(true);
    EXPECT_EQ(std::string(u.path).find(paths.runtime_dir), 0u);
    kt_plan_remove(&u);
    EXPECT_FALSE(exists(u.path));
}

TEST_F(Plan, ReadOnlyStateOfAnOrdinaryUser)
{
    chmod(dir.c_str(), 0755);
    std::string home = dir + "/home";
    mkdir(home.c_str(), 0755); /* not the user's, or not writable */
    chmod(home.c_str(), 0555);
    std::string run = dir + "/run";
    mkdir(run.c_str(), 0700);
    chmod(run.c_str(), 01777);
    snprintf(paths.state_dir, sizeof paths.state_dir, "%s/state", home.c_str());
    EXPECT_TRUE(as_nobody([&] {
        kt_plan_made m;
        return kt_is_ok(make(false, &m)) && std::string(m.path).find(paths.runtime_dir) == 0 &&
               exists(m.ca_key);
    }));
    EXPECT_FALSE(exists(home + "/state"));
}

/* The sticky-/tmp attack: somebody makes our folder first and waits for our key, or plants his own plan and
 * CA. */
TEST_F(Plan, PrecreatedRuntimeDirIsRefused)
{
    std::string run = dir + "/run";
    mkdir(run.c_str(), 0700);
    chmod(run.c_str(), 01777);
    chmod(dir.c_str(), 0755);
    kt_plan_made m;
    kt_error err = {};
    mkdir(paths.runtime_dir, 0700);
    chmod(paths.runtime_dir, 0777);
    EXPECT_EQ(make(false, &m, &err).code, KT_ERR_IO);
    EXPECT_TRUE(entries(paths.runtime_dir).empty());
    if (geteuid() != 0)
        return;
    chmod(paths.runtime_dir, 0755); /* root made it; nobody runs */
    EXPECT_TRUE(as_nobody(
        [&] { return make(false, &m, &err).code == KT_ERR_IO && strstr(err.text, "another user"); }));
    rmdir(paths.runtime_dir);
    std::string trap = dir + "/trap";
    mkdir(trap.c_str(), 0700);
    ASSERT_EQ(chown(trap.c_str(), 12345, 12345), 0);
    ASSERT_EQ(symlink(trap.c_str(), paths.runtime_dir), 0);
    ASSERT_EQ(lchown(paths.runtime_dir, 12345, 12345), 0);
    EXPECT_EQ(make(false, &m, &err).code, KT_ERR_IO);
    EXPECT_TRUE(entries(trap).empty());
}

} // namespace
