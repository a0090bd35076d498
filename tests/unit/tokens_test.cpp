// SPDX-License-Identifier: Apache-2.0
#include "interceptor/route/kt_tokens.h"
#include "slow.hpp"

#include <gtest/gtest.h>

#include <ctime>
#include <string>

namespace {

int64_t of(const std::string &s)
{
    return kt_tokens_estimate(s.data(), s.size());
}

// What Tekken makes of these texts, counted once with it.
TEST(Tokens, PlausibleForLanguagesAndCode)
{
    struct {
        const char *text;
        int64_t tekken;
        double off; // as a share of it
    } cases[] = {
        {"The meeting that was planned for Thursday has been moved to the following Monday, because several "
         "colleagues had not yet received the figures for the third quarter.",
         29, 0.2},
        {"La réunion de jeudi a été repoussée au lundi suivant, parce que plusieurs collègues n'avaient pas "
         "encore "
         "reçu les chiffres du troisième trimestre.",
         30, 0.25},
        {"Die für Donnerstag angesetzte Besprechung wurde auf den folgenden Montag verschoben, weil mehrere "
         "Kolleginnen und Kollegen die Zahlen des dritten Quartals noch nicht erhalten hatten.",
         36, 0.25},
        {"for (size_t i = 0; i < n; i++) {\n        if (all[i]->id == id)\n            return all[i];\n    "
         "}\n    return NULL;\n",
         37, 0.35},
        {"原定于星期四举行的会议推迟到下星期一，因为有几位同事还没有收到第三季度的数据。", 34, 0.35},
    };
    for (const auto &c : cases) {
        double n = static_cast<double>(of(c.text));
        EXPECT_NEAR(n, static_cast<double>(c.tekken), c.off * static_cast<double>(c.tekken)) << c.text;
    }
}

TEST(Tokens, EdgesAreSound)
{
    EXPECT_EQ(of(""), 0);
    EXPECT_EQ(of("a"), 1);
    EXPECT_EQ(of(" "), 1);
    EXPECT_EQ(of("\n"), 1);
    EXPECT_EQ(of(std::string(1, '\0')), 1);
    EXPECT_GE(of("\xff\xfe\xc3\xe2\x82"), 1) << "no UTF-8";
    EXPECT_GT(of("camelCaseWordsCount"), of("camelcase"));
    EXPECT_NEAR(static_cast<double>(of(std::string(1000, '7'))), 880, 5);
    for (std::string s : {"h\xc3\xa9", "\xe6\x97\xa5\xe6\x9c\xac", "\xf0\x9f\x98\x80"})
        for (size_t n = 0; n <= s.size(); n++) // cut at every byte: no read past the end
            EXPECT_LE(of(std::string(s.data(), n)), 8);
}

TEST(Tokens, MoreTextIsNotFewerTokens)
{
    std::string text = "Hello, World! été 日本 12345 camelCase \n\t  x_y->z(); 😀";
    int64_t last = 0;
    for (int i = 1; i <= 100; i++) {
        std::string all;
        for (int k = 0; k < i; k++)
            all += text;
        int64_t n = of(all);
        EXPECT_GT(n, last);
        last = n;
    }
}

TEST(Tokens, LinearInTheLength)
{
    for (const char *unit : {"a", " ", "9", "\xf0\x9f\x98\x80", "aB", "\xff", "{\"", "\n"}) {
        std::string one, ten;
        while (one.size() < slow::fewer(400000))
            one += unit;
        for (int i = 0; i < 10; i++)
            ten += one;
        /* Processor time, which a busy machine does not change: ten times the text is about ten times the
         * work. */
        auto time = [](const std::string &s) {
            double best = 1e9;
            for (int i = 0; i < 3; i++) {
                timespec t0, t1;
                clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t0);
                of(s);
                clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t1);
                best = std::min(best, static_cast<double>(t1.tv_sec - t0.tv_sec) +
                                          1e-9 * static_cast<double>(t1.tv_nsec - t0.tv_nsec));
            }
            return best;
        };
        EXPECT_LT(time(ten), 40 * time(one)) << unit;
    }
}

} // namespace
