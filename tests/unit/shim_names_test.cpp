/* SPDX-License-Identifier: Apache-2.0 */
extern "C" {
#include "shim/names.h"
}

#include <gtest/gtest.h>
#include <string>

TEST(ShimNames, numeric_forms_ask_nobody)
{
    for (const char *n : {"127.0.0.1", "127.1", "2130706433", "0x7f000001", "0x7f.1", "017700000001", "::1",
                          "fe80::1%eth0", "::ffff:127.183.0.1", "1.2.3.4.", "1.2.3.4.5", "api.openai.com.1"})
        EXPECT_FALSE(kt_name_is_remote(n)) << n;
}

TEST(ShimNames, local_names_ask_nobody)
{
    for (const char *n : {"localhost", "LOCALHOST", "localhost.", "api.localhost", "a.b.LocalHost."})
        EXPECT_FALSE(kt_name_is_remote(n)) << n;
    EXPECT_FALSE(kt_name_is_remote(nullptr));
    EXPECT_FALSE(kt_name_is_remote(""));
    EXPECT_FALSE(kt_name_is_remote("."));
    EXPECT_FALSE(kt_name_is_remote(std::string(300, 'a').c_str()));
}

TEST(ShimNames, names_are_remote)
{
    for (const char *n : {"api.openai.com", "db", "mylocalhost", "localhost.example", "1e100.net", "0x.org",
                          "4chan", "a.0x7g", "host-1", "x.1a"})
        EXPECT_TRUE(kt_name_is_remote(n)) << n;
}

TEST(ShimNames, normalised_is_lower_case_without_last_dot)
{
    char out[KT_NAME_MAX];
    ASSERT_TRUE(kt_name_normalise("API.OpenAI.Com.", out));
    EXPECT_STREQ(out, "api.openai.com");
    EXPECT_TRUE(kt_name_normalise(std::string(253, 'X').c_str(), out));
    EXPECT_TRUE(kt_name_normalise((std::string(253, 'X') + ".").c_str(), out));
    EXPECT_FALSE(kt_name_normalise(std::string(254, 'X').c_str(), out));
    EXPECT_FALSE(kt_name_normalise("", out));
    EXPECT_FALSE(kt_name_normalise(".", out));
}

TEST(ShimNames, a_star_is_one_or_more_labels)
{
    EXPECT_TRUE(kt_name_matches("a.openai.azure.com", "*.openai.azure.com"));
    EXPECT_TRUE(kt_name_matches("a.b.openai.azure.com", "*.openai.azure.com"));
    EXPECT_FALSE(kt_name_matches("openai.azure.com", "*.openai.azure.com"));
    EXPECT_FALSE(kt_name_matches(".openai.azure.com", "*.openai.azure.com"));
    EXPECT_FALSE(kt_name_matches("xopenai.azure.com", "*.openai.azure.com"));
    EXPECT_FALSE(kt_name_matches("a.openai.azure.com.evil", "*.openai.azure.com"));
    EXPECT_FALSE(kt_name_matches("anything", "*."));
    EXPECT_FALSE(kt_name_matches("anything", "*"));
    EXPECT_TRUE(kt_name_matches("api.openai.com", "api.openai.com"));
    EXPECT_FALSE(kt_name_matches("api.openai.co", "api.openai.com"));
}
