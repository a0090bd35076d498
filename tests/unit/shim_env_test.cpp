/* SPDX-License-Identifier: Apache-2.0 */
/* The snapshot and what children get. The test program is started again with the environment that the case
 * needs. */
extern "C" {
#include "shim/env.h"
#include "shim/self.h"
}
#include "tests/shim/unit_glue.h"

#include <gtest/gtest.h>
#include <string>
#include <unistd.h>
#include <vector>

TEST(ShimEnv, preload_entries_are_told_by_file_name)
{
    for (const char *v : {"libkt.so", "/x/libkt.so", "a.so:/x/libkt.so", "a.so /x/libkt.so b.so",
                          "./libkt.so:", " :libkt.so"})
        EXPECT_TRUE(kt_preload_has_us(v, false)) << v;
    for (const char *v : {"", ":", "/x/libkt.so.1", "xlibkt.so", "/libkt.so/other.so", "libkt", "a.so:b.so"})
        EXPECT_FALSE(kt_preload_has_us(v, false)) << v;
}

TEST(ShimEnv, names_are_compared_whole)
{
    EXPECT_TRUE(kt_env_same_name("KT_A=1", "KT_A"));
    EXPECT_TRUE(kt_env_same_name("KT_A=1", "KT_A=2"));
    EXPECT_FALSE(kt_env_same_name("KT_A=1", "KT_AB"));
    EXPECT_FALSE(kt_env_same_name("KT_AB=1", "KT_A"));
    EXPECT_FALSE(kt_env_same_name("KT_A", "KT_A")) << "an entry without = sets nothing";
    EXPECT_FALSE(kt_env_same_name("", ""));
}

TEST(ShimEnv, scan_finds_whole_names_only)
{
    char a[] = "KT_AB=1", b[] = "KT_A=2", odd[] = "KT_C";
    char *env[] = {a, odd, b, nullptr};
    EXPECT_STREQ(kt_env_scan(env, "KT_A"), "2");
    EXPECT_EQ(kt_env_scan(env, "KT_C"), nullptr);
    EXPECT_EQ(kt_env_scan(nullptr, "KT_A"), nullptr);
}

TEST(ShimEnv, self_path_is_this_program)
{
    char exe[4096];
    ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
    ASSERT_GT(n, 0);
    EXPECT_EQ(std::string(exe, (size_t)n), kt_self_path());
}

/* Runs in a process that was started with KT_FIRST=1, KT_EMPTY=, KT_TRACE=all and our name in LD_PRELOAD. */
TEST(ShimEnvChild, DISABLED_in_child)
{
    unsetenv("KT_FIRST");
    EXPECT_STREQ(kt_env_get("KT_FIRST"), "1") << "the value at start";
    setenv("KT_FIRST", "2", 1);
    EXPECT_STREQ(kt_env_get("KT_FIRST"), "2") << "the value now";
    setenv("KT_FIRST", "", 1);
    EXPECT_STREQ(kt_env_get("KT_FIRST"), "1") << "an empty one says nothing";
    EXPECT_STREQ(kt_env_get("KT_EMPTY"), "");
    EXPECT_EQ(kt_env_get("KT_NONE"), nullptr);
    char mine[] = "KT_FIRST=mine", other[] = "PATH=/bin", preload[] = "LD_PRELOAD=/x/other.so";
    char *caller[] = {other, mine, preload, nullptr};
    char **env = glue_child_env(caller);
    std::vector<std::string> got;
    for (char **e = env; *e; e++)
        got.push_back(*e);
    glue_env_free(env);
    EXPECT_EQ(got, (std::vector<std::string>{"PATH=/bin", "KT_FIRST=mine",
                                             "LD_PRELOAD=" + std::string(kt_self_path()) + ":/x/other.so",
                                             "KT_EMPTY=", "KT_TRACE=all"}));
    EXPECT_STREQ(caller[2], "LD_PRELOAD=/x/other.so") << "the caller's array and strings are not touched";
    char empty[] = "KT_FIRST=", traced[] = "KT_TRACE=";
    char *blank[] = {empty, traced, nullptr};
    env = glue_child_env(blank);
    EXPECT_STREQ(env[0], "KT_FIRST=1");
    EXPECT_STREQ(env[1], "KT_TRACE=") << "that may be switched off";
    glue_env_free(env);
    env = glue_child_env(nullptr);
    size_t n = 0;
    while (env[n])
        n++;
    EXPECT_EQ(n, 4u);
    glue_env_free(env);
}

TEST(ShimEnv, a_child_process)
{
    std::string self = kt_self_path();
    /* A name in LD_PRELOAD that does not exist is only warned about by the loader. */
    std::string run = "env -i KT_FIRST=1 KT_EMPTY= KT_TRACE=all LD_PRELOAD=/nonexistent/libkt.so '" + self +
                      "' --gtest_also_run_disabled_tests --gtest_filter='ShimEnvChild.*' 2>/dev/null | grep "
                      "-q 'PASSED.*1 test'";
    EXPECT_EQ(system(run.c_str()), 0);
}
