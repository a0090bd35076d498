// SPDX-License-Identifier: Apache-2.0
// Regular expressions of the user's own (kt_pattern_cache.h): characters, not bytes, and matches of any
// length.
extern "C" {
#include "policyengine/detect/kt_pattern_cache.h"
}

#include <gtest/gtest.h>
#include <string>
#include <vector>

namespace {

using hits = std::vector<std::string>;

hits find(const char *expression, const std::string &text, bool final = true)
{
    kt_patterns *p = nullptr;
    kt_error err{};
    char *one[] = {const_cast<char *>(expression)};
    EXPECT_TRUE(kt_is_ok(kt_patterns_new(one, 1, &p, &err))) << expression << ": " << err.text;
    struct call {
        const std::string *text;
        hits found;
    } c{&text, {}};
    if (p) {
        auto hit = [](void *ctx, size_t, size_t start, size_t end) {
            auto *call = static_cast<struct call *>(ctx);
            call->found.push_back(call->text->substr(start, end - start));
        };
        EXPECT_TRUE(kt_is_ok(kt_patterns_scan(p, text.data(), text.size(), 0, text.size(), final, hit, &c)));
    }
    kt_patterns_free(p);
    return c.found;
}

} // namespace

TEST(Patterns, WorkOnCharacters)
{
    EXPECT_EQ(find("[é]", "à é ö é"), (hits{"é", "é"}));
    EXPECT_EQ(find("a.b", "aéb a😀b ab"), (hits{"aéb", "a😀b"}));
    EXPECT_EQ(find("caf.$", "le café"), hits{"café"});
    EXPECT_EQ(find("(?i)größe", "GRÖßE Größe"), (hits{"GRÖßE", "Größe"}));
    EXPECT_EQ(find("name: .{4}", "name: Jörgäß"), hits{"name: Jörg"});
    EXPECT_EQ(find("\\b\\w+@\\w+", "an jan@home heute"), hits{"jan@home"});
    EXPECT_EQ(find("[0-9]{4}", "1234 ١٢٣٤"), hits{"1234"});
}

TEST(Patterns, BytesThatAreNoTextMatchNothingOfIt)
{
    EXPECT_EQ(find("a.b", "a\xffz a\xffz a\xff"
                          "b \xc3"),
              hits{"a\xff"
                   "b"});
    EXPECT_EQ(find("[^x]y", "\xed\xa0\x80y \xf5y \xc3\xa9y"), (hits{"\x80y", "\xf5y", "\xc3\xa9y"}));
    EXPECT_EQ(find("é", std::string("\xa9 \xc3") + "\xc3\xa9\xc3"), hits{"é"});
}

TEST(Patterns, AreFoundAtAnyLengthInAWholeText)
{
    const std::string a(600, 'a'), long_one = "BEGIN " + std::string(100000, 'x') + " END";
    EXPECT_EQ(find("token=[a-z0-9]+", "x token=" + a + " y"), hits{"token=" + a});
    EXPECT_EQ(find("BEGIN[a-z ]*END", "so: " + long_one + "."), hits{long_one});
    EXPECT_EQ(find("A.{600}B", "A" + a + "B"), hits{"A" + a + "B"});
}

TEST(Patterns, OfATextThatGoesOnAreBounded)
{
    const std::string a(600, 'a');
    EXPECT_EQ(find("BEGIN[a-z ]*END", "BEGIN" + a + "END", false), hits{});
    EXPECT_EQ(find("ab+", "x abbb y", false), hits{"abbb"});
}
