/* SPDX-License-Identifier: Apache-2.0 */
extern "C" {
#include "shim/plan_path.h"
}
#include "interceptor/abi/kt_plan_format.h"
#include "interceptor/plan/kt_plan.h"
#include "tests/shim/unit_glue.h"

#include <cstdlib>
#include <ctime>
#include <fcntl.h>
#include <fstream>
#include <gtest/gtest.h>
#include <memory>
#include <random>
#include <string>
#include <sys/file.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace {
using Plan = std::unique_ptr<struct kt_plan_file, decltype(&glue_plan_free)>;

Plan fresh()
{
    return Plan(glue_plan_new(), glue_plan_free);
}

Plan parsed(const std::string &text)
{
    Plan p = fresh();
    glue_plan_text(p.get(), text.data(), text.size());
    return p;
}

const char VALID[] =
    "ktplan 1\nmode enforce\nfail_mode allow\nexpires 1800000000\nca /run/a folder/ca.pem\n"
    "bundle /run/b.pem\nfuture word that nobody knows\nexclude no.example\nexclude *.inner.example\n"
    "host 127.183.0.1 api.openai.com\nhost 127.183.0.2 10.1.2.3\nhost 127.183.0.3 2001:db8::1\n"
    "wild *.openai.azure.com\nname 127.183.128.1 x.openai.azure.com\n";

class Folder : public ::testing::Test {
  protected:
    void SetUp() override
    {
        char name[] = "/tmp/kt-shim-plan-XXXXXX";
        ASSERT_NE(mkdtemp(name), nullptr);
        dir = name;
        std::ofstream(dir + "/ca.pem") << "x";
    }
    void TearDown() override
    {
        for (const char *f : {"/ca.pem", "/plan", "/link", "/new"})
            unlink((dir + f).c_str());
        rmdir(dir.c_str());
    }
    std::string write(const std::string &hosts, long expires = 600, mode_t mode = 0600)
    {
        std::string path = dir + "/plan";
        unlink(path.c_str());
        std::ofstream(path) << "ktplan 1\nexpires " << time(nullptr) + expires << "\nca " << dir
                            << "/ca.pem\n"
                            << hosts;
        chmod(path.c_str(), mode);
        return path;
    }
    std::string dir;
};
} // namespace

TEST(ShimPlan, every_word_is_understood)
{
    Plan p = parsed(VALID);
    ASSERT_TRUE(glue_plan_magic(p.get()));
    EXPECT_TRUE(glue_plan_fail_allow(p.get()));
    EXPECT_STREQ(glue_plan_ca(p.get()), "/run/a folder/ca.pem");
    EXPECT_EQ(glue_plan_addr(p.get(), "api.openai.com"), 0x7fb70001u);
    EXPECT_STREQ(glue_plan_name(p.get(), 0x7fb78001u), "x.openai.azure.com");
    EXPECT_TRUE(glue_plan_excludes(p.get(), "no.example"));
    EXPECT_TRUE(glue_plan_excludes(p.get(), "a.inner.example"));
    EXPECT_FALSE(glue_plan_excludes(p.get(), "inner.example"));
    EXPECT_TRUE(glue_plan_wild(p.get(), "y.openai.azure.com"));
    const uint8_t v4[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 1, 2, 3};
    const uint8_t v6[16] = {0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
    EXPECT_STREQ(glue_plan_by_ip(p.get(), v4), "10.1.2.3");
    EXPECT_STREQ(glue_plan_by_ip(p.get(), v6), "2001:db8::1");
    EXPECT_EQ(glue_plan_count(p.get()), 4u);
}

TEST(ShimPlan, cut_at_every_byte_gives_whole_lines_only)
{
    const std::string text = VALID;
    for (size_t n = 0; n <= text.size(); n++) {
        Plan p = parsed(text.substr(0, n));
        unsigned lines = 0;
        for (size_t i = 0; i < n; i++)
            if (text[i] == '\n') {
                size_t from = text.rfind('\n', i ? i - 1 : 0);
                const std::string line = text.substr(from == std::string::npos ? 0 : from + 1, 5);
                lines += line == "host " || line == "name ";
            }
        EXPECT_EQ(glue_plan_count(p.get()), lines) << n;
    }
}

TEST(ShimPlan, lines_that_make_no_sense_are_skipped)
{
    Plan p = parsed("ktplan 1\nhost\nhost 127.183.0.1\nhost 127.183.0.1 \nhost 8.8.8.8 outside.example\nhost "
                    "127.184.0.1 near.example\n"
                    "host 127.183.0.256 bad.example\nhost 127.183.0.5 one.example\nhost 127.183.0.5 "
                    "twin-address.example\n"
                    "host 127.183.0.6 one.example\nhost  127.183.0.7   spaces.example  \n\n\n \nhost "
                    "127.183.0.8 UPPER.Example.\n" +
                    ("host 127.183.0.9 " + std::string(300, 'a')) + "\n");
    EXPECT_EQ(glue_plan_count(p.get()), 3u);
    EXPECT_EQ(glue_plan_addr(p.get(), "one.example"), 0x7fb70005u);
    EXPECT_EQ(glue_plan_addr(p.get(), "spaces.example"), 0x7fb70007u);
    EXPECT_EQ(glue_plan_addr(p.get(), "upper.example"), 0x7fb70008u);
}

TEST(ShimPlan, another_first_line_is_no_plan)
{
    for (const char *head : {"", "\n", "ktplan 2\n", "ktplan 10\n", " ktplan 1\n",
                             "host 127.183.0.1 a\nktplan 1\n", "ktplan 1 \n"}) {
        Plan p = parsed(std::string(head) + "host 127.183.0.1 api.openai.com\n");
        EXPECT_EQ(glue_plan_count(p.get()), 0u) << head;
    }
}

TEST(ShimPlan, random_bytes_and_floods_stay_inside)
{
    std::mt19937 rng(7);
    const char alphabet[] = "host name wild exclude ca 127.183.0.1 \n\n\0 *.x";
    for (int round = 0; round < 300; round++) {
        std::string s = "ktplan 1\n";
        for (int i = 0; i < 2000; i++)
            s += round % 2 ? alphabet[rng() % sizeof alphabet] : (char)rng();
        parsed(s);
    }
    std::string flood = "ktplan 1\n";
    for (int i = 0; flood.size() < 2 * KT_PLAN_MAX_BYTES; i++)
        flood += (i % 3 ? "wild *.a" : "exclude a") + std::to_string(i) + "\nhost 127.183." +
                 std::to_string(i / 250) + "." + std::to_string(i % 250 + 1) + " " + std::to_string(i) +
                 ".1.1.1\n";
    Plan p = parsed(flood);
    EXPECT_LE(glue_plan_count(p.get()), 4096u);
    EXPECT_GT(glue_plan_count(p.get()), 500u);
}

TEST(ShimPlan, local_names_end_when_addresses_or_room_do)
{
    Plan p = parsed("ktplan 1\nname 127.183.255.252 a.example\nwild *.example\n");
    EXPECT_EQ(glue_plan_add(p.get(), "b.example"), 0x7fb7fffdu);
    EXPECT_EQ(glue_plan_add(p.get(), "c.example"), 0x7fb7fffeu);
    EXPECT_EQ(glue_plan_add(p.get(), "d.example"), 0u);
    EXPECT_EQ(glue_plan_add(p.get(), "b.example"), 0x7fb7fffdu) << "known names stay";
    Plan q = parsed("ktplan 1\n");
    std::string pad(240, 'x');
    unsigned given = 0;
    while (given < 5000 && glue_plan_add(q.get(), (pad + std::to_string(given)).c_str()))
        given++;
    EXPECT_GT(given, 200u);
    EXPECT_LT(given, 4097u);
}

TEST(ShimPlan, built_in_hosts)
{
    Plan p = fresh();
    glue_plan_builtin(p.get(), 0);
    for (const char *h : {"api.openai.com", "api.mistral.ai", "codestral.mistral.ai"})
        EXPECT_NE(glue_plan_addr(p.get(), h), 0u) << h;
    EXPECT_FALSE(glue_plan_fail_allow(p.get()));
    EXPECT_EQ(glue_plan_ca(p.get()), nullptr);
    glue_plan_builtin(p.get(), 1);
    EXPECT_TRUE(glue_plan_fail_allow(p.get()));
}

TEST_F(Folder, only_a_current_file_of_ours_is_loaded)
{
    Plan p = fresh();
    EXPECT_TRUE(glue_plan_load(p.get(), write("host 127.183.0.1 a.example\n").c_str()));
    EXPECT_FALSE(glue_plan_load(p.get(), write("", -1).c_str()));
    EXPECT_EQ(glue_plan_count(p.get()), 0u) << "nothing of a refused plan stays";
    EXPECT_FALSE(glue_plan_load(p.get(), write("", 600, 0660).c_str()));
    EXPECT_FALSE(glue_plan_load(p.get(), write("", 600, 0602).c_str()));
    EXPECT_FALSE(glue_plan_load(p.get(), write(std::string(KT_PLAN_MAX_BYTES, '\n')).c_str()));
    EXPECT_FALSE(glue_plan_load(p.get(), dir.c_str()));
    std::string path = write("");
    ASSERT_EQ(symlink(path.c_str(), (dir + "/link").c_str()), 0);
    EXPECT_FALSE(glue_plan_load(p.get(), (dir + "/link").c_str()));
    if (geteuid() == 0) {
        ASSERT_EQ(chown(path.c_str(), 4242, 4242), 0);
        EXPECT_FALSE(glue_plan_load(p.get(), path.c_str()));
    }
    unlink((dir + "/ca.pem").c_str());
    EXPECT_FALSE(glue_plan_load(p.get(), write("").c_str()));
}

TEST_F(Folder, names_are_shared_through_the_file)
{
    std::string path = write("wild *.example\n");
    Plan a = fresh(), b = fresh();
    ASSERT_TRUE(glue_plan_load(a.get(), path.c_str()));
    ASSERT_TRUE(glue_plan_load(b.get(), path.c_str()));
    uint32_t one = glue_plan_add(a.get(), "one.example"), two = glue_plan_add(b.get(), "two.example");
    EXPECT_EQ(one, KT_SYNTH_WILD + 1);
    EXPECT_EQ(two, KT_SYNTH_WILD + 2);
    EXPECT_EQ(glue_plan_add(a.get(), "two.example"), two);
    EXPECT_EQ(glue_plan_add(b.get(), "one.example"), one);
    EXPECT_EQ(glue_plan_name(a.get(), two) ? std::string(glue_plan_name(a.get(), two)) : "-", "two.example");
    Plan c = fresh();
    ASSERT_TRUE(glue_plan_load(c.get(), path.c_str()));
    EXPECT_EQ(glue_plan_addr(c.get(), "two.example"), two);
}

TEST_F(Folder, many_writers_never_give_one_address_twice)
{
    std::string path = write("wild *.example\n");
    std::vector<std::thread> threads;
    std::vector<std::vector<uint32_t>> got(6);
    for (int t = 0; t < 6; t++)
        threads.emplace_back([&, t] {
            Plan p = fresh();
            ASSERT_TRUE(glue_plan_load(p.get(), path.c_str()));
            for (int i = 0; i < 40; i++)
                got[t].push_back(
                    glue_plan_add(p.get(), (std::to_string((i * (t + 1)) % 40) + ".example").c_str()));
            EXPECT_FALSE(glue_plan_detached(p.get()));
        });
    for (auto &t : threads)
        t.join();
    Plan p = fresh();
    ASSERT_TRUE(glue_plan_load(p.get(), path.c_str()));
    EXPECT_EQ(glue_plan_count(p.get()), 40u);
    for (int t = 0; t < 6; t++)
        for (int i = 0; i < 40; i++)
            EXPECT_EQ(got[t][i],
                      glue_plan_addr(p.get(), (std::to_string((i * (t + 1)) % 40) + ".example").c_str()));
}

TEST_F(Folder, appended_lines_change_nothing_but_names)
{
    std::string path = write("wild *.example\n");
    Plan p = fresh();
    ASSERT_TRUE(glue_plan_load(p.get(), path.c_str()));
    std::ofstream(path, std::ios::app)
        << "host 127.183.0.9 late.host\nexclude x.example\nfail_mode allow\nname 127.183.128.7 x.example\n";
    glue_plan_refresh(p.get());
    EXPECT_EQ(glue_plan_addr(p.get(), "late.host"), 0u);
    EXPECT_FALSE(glue_plan_excludes(p.get(), "x.example"));
    EXPECT_FALSE(glue_plan_fail_allow(p.get()));
    EXPECT_EQ(glue_plan_addr(p.get(), "x.example"), KT_SYNTH_WILD + 7);
    EXPECT_EQ(glue_plan_add(p.get(), "y.example"), KT_SYNTH_WILD + 8);
}

TEST_F(Folder, a_file_that_is_gone_or_another_means_names_of_our_own)
{
    std::string path = write("wild *.example\n");
    Plan gone = fresh(), other = fresh();
    ASSERT_TRUE(glue_plan_load(gone.get(), path.c_str()));
    ASSERT_TRUE(glue_plan_load(other.get(), path.c_str()));
    std::ofstream(dir + "/new") << "ktplan 1\n";
    ASSERT_EQ(rename((dir + "/new").c_str(), path.c_str()), 0);
    EXPECT_NE(glue_plan_add(other.get(), "a.example"), 0u);
    EXPECT_TRUE(glue_plan_detached(other.get()));
    std::string text((std::istreambuf_iterator<char>(*std::make_unique<std::ifstream>(path))), {});
    EXPECT_EQ(text, "ktplan 1\n") << "the other plan is not written to";
    unlink(path.c_str());
    EXPECT_NE(glue_plan_add(gone.get(), "a.example"), 0u);
}

TEST_F(Folder, a_writer_that_hangs_stops_nobody_for_long)
{
    std::string path = write("wild *.example\n");
    Plan p = fresh();
    ASSERT_TRUE(glue_plan_load(p.get(), path.c_str()));
    int fd = open(path.c_str(), O_RDWR | O_CLOEXEC);
    ASSERT_EQ(flock(fd, LOCK_EX), 0);
    EXPECT_NE(glue_plan_add(p.get(), "a.example"), 0u);
    close(fd);
}

TEST_F(Folder, places_are_those_that_the_engine_writes_to)
{
    setenv("KT_STATE_DIR", dir.c_str(), 1);
    setenv("KT_PLAN", "/a/plan", 1);
    setenv("XDG_RUNTIME_DIR", "relative", 1);
    char at[4096];
    ASSERT_TRUE(kt_plan_candidate(0, at, sizeof at));
    EXPECT_STREQ(at, "/a/plan");
    ASSERT_TRUE(kt_plan_candidate(1, at, sizeof at));
    EXPECT_EQ(std::string(at).rfind(dir + "/plan/", 0), 0u);
    ASSERT_TRUE(kt_plan_candidate(2, at, sizeof at));
    EXPECT_STREQ(at, "");
    ASSERT_TRUE(kt_plan_candidate(3, at, sizeof at));
    EXPECT_EQ(std::string(at).rfind("/tmp/ktwrap-" + std::to_string(geteuid()) + "/", 0), 0u);
    EXPECT_FALSE(kt_plan_candidate(4, at, sizeof at));
    char tiny[8];
    ASSERT_TRUE(kt_plan_candidate(1, tiny, sizeof tiny));
    EXPECT_STREQ(tiny, "") << "what does not fit is no place";
    for (const char *v : {"KT_STATE_DIR", "KT_PLAN", "XDG_RUNTIME_DIR"})
        unsetenv(v);
}
