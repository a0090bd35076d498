// SPDX-License-Identifier: Apache-2.0
#include "tools/supervise/names.h"

#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <unistd.h>

namespace {

const char *const kPlan = "ktplan 1\nmode enforce\nca /x/ca dir/ca.pem\nroots_from "
                          "/etc/ssl/roots.pem\nexclude internal.example.com\n"
                          "host 127.183.0.1 api.openai.com\nhost 127.183.0.2 203.0.113.7\nhost 10.0.0.1 "
                          "not.synthetic\nwild *.example.com\n";

class Names : public testing::Test {
  protected:
    void SetUp() override
    {
        path = testing::TempDir() + "names-" + std::to_string(getpid());
        write(kPlan);
        names_init(&n, path.c_str());
    }
    void TearDown() override
    {
        names_free(&n);
        unlink(path.c_str());
    }
    void write(const std::string &text)
    {
        std::ofstream(path, std::ios::app) << text;
    }
    std::string hosts(const std::string &own)
    {
        struct kt_buf out = KT_BUF_INIT(1u << 20);
        EXPECT_EQ(names_hosts_file(&n, kt_span(own.data(), own.size()), &out).code, KT_OK);
        std::string text(out.data ? out.data : "", out.len);
        kt_buf_free(&out);
        return text;
    }
    std::string path;
    struct names n;
    char host[NAMES_HOST_MAX];
};

TEST_F(Names, AddressesAndLiterals)
{
    EXPECT_TRUE(names_by_addr(&n, 0x7fb70001, host));
    EXPECT_STREQ(host, "api.openai.com");
    EXPECT_FALSE(names_by_addr(&n, 0x0a000001, host));
    const uint8_t ip[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 203, 0, 113, 7};
    EXPECT_TRUE(names_by_ip(&n, ip, host));
    EXPECT_STREQ(host, "203.0.113.7");
}

// Once, whatever its case; the next one gets the next address, also behind half a line of a writer that died.
TEST_F(Names, WildcardNamesOfTheHostsFileGetAnAddress)
{
    const std::string own =
        "10.1.1.1 A.example.com other.test # b.example.com\n10.1.1.2 example.com internal.example.com\n";
    const std::string want = "127.183.128.1 a.example.com\n::ffff:127.183.128.1 a.example.com\n";
    for (int i = 0; i < 2; i++) {
        const std::string text = hosts(own);
        EXPECT_NE(text.find(want), std::string::npos) << text;
        EXPECT_NE(text.find("10.1.1.1 other.test\n"), std::string::npos) << text;
        EXPECT_NE(text.find("10.1.1.2 example.com internal.example.com\n"), std::string::npos) << text;
        EXPECT_EQ(text.find("b.example.com"), std::string::npos) << text;
    }
    EXPECT_TRUE(names_by_addr(&n, 0x7fb78001, host));
    EXPECT_STREQ(host, "a.example.com");
    write("name 127.183.128.");
    hosts("10.1.1.3 c.example.com.\n");
    EXPECT_TRUE(names_by_addr(&n, 0x7fb78002, host));
    EXPECT_STREQ(host, "c.example.com");
    EXPECT_FALSE(names_by_addr(&n, 0x7fb78003, host));
}

TEST_F(Names, NamesThatWildcardsGetLater)
{
    EXPECT_FALSE(names_by_addr(&n, 0x7fb78001, host));
    write("name 127.183.128.1 a.example.c");
    EXPECT_FALSE(names_by_addr(&n, 0x7fb78001, host)) << "half a line is still being written";
    write("om\n");
    EXPECT_TRUE(names_by_addr(&n, 0x7fb78001, host));
    EXPECT_STREQ(host, "a.example.com");
}

TEST_F(Names, WhatIsIntercepted)
{
    for (const char *yes : {"api.openai.com", "API.OpenAI.com.", "x.example.com", "a.b.example.com"})
        EXPECT_TRUE(names_has(&n, yes)) << yes;
    for (const char *no : {"", ".", "openai.com", "example.com", ".example.com", "internal.example.com",
                           "api.openai.com.evil.org"})
        EXPECT_FALSE(names_has(&n, no)) << no;
}

TEST_F(Names, HostsFileHasOurNamesAtOurAddressesOnly)
{
    EXPECT_EQ(hosts("127.0.0.1 localhost # home\n1.2.3.4 api.openai.com mine\n5.6.7.8\tAPI.openai.com\n\n# "
                    "9.9.9.9 x\n9.9.9.9 last"),
              "127.183.0.1 api.openai.com\n::ffff:127.183.0.1 api.openai.com\n127.0.0.1 localhost\n1.2.3.4 "
              "mine\n9.9.9.9 last\n");
}

TEST_F(Names, Words)
{
    struct kt_span w = names_word(&n, "ca");
    EXPECT_EQ(std::string(w.data, w.len), "/x/ca dir/ca.pem");
    EXPECT_EQ(names_word(&n, "bundle").len, 0u);
}

TEST_F(Names, MissingPlan)
{
    unlink(path.c_str());
    EXPECT_FALSE(names_by_addr(&n, 0x7fb70001, host));
    EXPECT_FALSE(names_has(&n, "api.openai.com"));
}

} // namespace
