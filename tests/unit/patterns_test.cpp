// SPDX-License-Identifier: Apache-2.0
// Regular expressions of the user's own (kt_pattern_cache.h): characters, not bytes, and matches of any
// length.
extern "C" {
#include "policyengine/detect/kt_pattern_cache.h"
#include "policyengine/detect/kt_pattern_later.h"
}

#include <gtest/gtest.h>
#include <string>
#include <sys/wait.h>
#include <unistd.h>
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

TEST(Patterns, CountedRepeatsAreAddedUp)
{
    const struct {
        const char *expression;
        uint64_t repeats;
    } cases[] = {
        {"a{5}", 5},
        {"ab{3,7}c", 7},
        {"a{4,}", 4},
        {"[a-z]{200}?", 200},
        {"(ab){10}", 20},
        {"((ab){1,10}c){3}", 63},
        {"a{0}b{,3}c{x}{", 0},
        {"a{2}{3}", 6},
        {"\\Qa{5}\\E{3}", 3},
        {"\\{5}", 0},
        {"\\\\{5}", 5},
        {"[]{9}]{2}", 2},
        {"[[:alpha:]]{3}", 3},
        {"(?#a{99})a|b{2}", 2},
        {"\\p{L}{11}", 330},
        {"[x\\p{L}]{11}", 330},
        {"a{4294967297}", 100000000},
        {"(((a{9999}){9999}){9999}){9999}", 100000000},
        {"(a))){3}", 0},
        {"(((a{3}", 3},
        {"[a{3}", 0},
        {"a\\", 0},
        {"", 0},
    };
    for (const auto &c : cases)
        EXPECT_EQ(kt_pattern_repeats(c.expression), c.repeats) << c.expression;
    EXPECT_LT(kt_pattern_repeats((std::string(64, '(') + "a" + std::string(64, ')')).c_str()), UINT64_MAX);
    EXPECT_EQ(kt_pattern_repeats((std::string(65, '(') + "a" + std::string(65, ')')).c_str()), UINT64_MAX);
}

TEST(Patterns, WhatTakesMinutesToCompileIsRefused)
{
    auto why = [](std::vector<std::string> all) {
        std::vector<char *> list;
        for (auto &s : all)
            list.push_back(s.data());
        kt_patterns *p = nullptr;
        kt_error err{};
        kt_result r = kt_patterns_new(list.data(), list.size(), &p, &err);
        kt_patterns_free(p);
        return r.code == KT_ERR_USAGE ? std::string(err.text) : "";
    };
    EXPECT_NE(
        why({"ok", "(a|b|c)*x{1000}y{1000}z{900}"}).find("[1] has repeats like {n,m} that come to 2900 "),
        std::string::npos);
    EXPECT_NE(why({"((ab){1,30}c){1,30}"}).find("[0] has repeats"), std::string::npos);
    EXPECT_NE(why({"x\\p{L}{100}y"}).find("each \\p counts 30"), std::string::npos);
    EXPECT_NE(why({std::string(65, '(') + "a" + std::string(65, ')')}).find("64 deep"), std::string::npos);
    EXPECT_NE(why(std::vector<std::string>(60, "x{900}")).find("[55]: up to here"), std::string::npos);
    EXPECT_EQ(why({"x{1000}"}), "");
    EXPECT_NE(why({"x{1001}"}).find("[0] has repeats like {n,m} that come to 1001 "), std::string::npos);
}

namespace {

/* As the look at a changed config does it. */
kt_code later(const char *expression, bool *waits)
{
    kt_patterns *p = nullptr;
    kt_error err{};
    char *one[] = {const_cast<char *>(expression)};
    kt_pattern_later_begin();
    kt_result r = kt_patterns_new(one, 1, &p, &err);
    *waits = kt_pattern_later_end();
    kt_patterns_free(p);
    return r.code;
}

kt_code until_there(const char *expression)
{
    bool waits = true;
    kt_code code = KT_OK;
    for (int i = 0; waits && i < 10000; i++) {
        while (kt_pattern_later_busy())
            usleep(1000);
        code = later(expression, &waits);
    }
    return code;
}

} // namespace

TEST(Patterns, CanBeCompiledBesideTheCallsAndOverAFork)
{
    bool waits = false;
    EXPECT_EQ(later("x\\p{L}{6}y", &waits),
              KT_ERR_STATE); /* there is no cache: nothing but the thread has it */
    EXPECT_TRUE(waits);
    pid_t child = fork();        /* while it compiles */
#if defined(__SANITIZE_THREAD__) /* TSan allows no thread in such a child */
    if (child == 0)
        _exit(kt_pattern_later_busy());
#else
    if (child == 0)
        _exit(!kt_pattern_later_busy() && later("x\\p{L}{6}y", &waits) == KT_ERR_STATE && waits &&
                      until_there("x\\p{L}{6}y") == KT_OK
                  ? 0
                  : 1);
#endif
    EXPECT_EQ(later("other", &waits), KT_ERR_STATE); /* one at a time */
    EXPECT_EQ(until_there("x\\p{L}{6}y"), KT_OK);
    EXPECT_EQ(until_there("other("), KT_ERR_USAGE);
    int status = -1;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
}
