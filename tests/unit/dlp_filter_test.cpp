/* SPDX-License-Identifier: Apache-2.0 */
#include "configured_policy.hpp"
#include "secret_texts.hpp"

#include "policyengine/base/kt_log.h"
#include "policyengine/detect/kt_pattern_cache.h"
#include "slow.hpp"

#include <chrono>
#include <dirent.h>
#include <fstream>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

using policy_test::Configured;
using policy_test::Result;

namespace {

std::mt19937 random_bytes(1);
std::string token()
{
    return std::string("gh") + "p_" + secret_texts::fill("\\a{36}", random_bytes);
}

std::vector<std::string> bytes(const std::string &text)
{
    std::vector<std::string> out;
    for (char c : text)
        out.emplace_back(1, c);
    out.emplace_back("");
    return out;
}

void same_at_every_cut(Configured &c, const std::string &text, enum kt_origin_class from = KT_FROM_USER)
{
    Result whole = c->whole(text, from);
    EXPECT_EQ(whole.step, KT_STEP_DONE);
    for (size_t at = 0; at <= text.size(); at += slow::stride()) {
        Result cut = c->run({text.substr(0, at), text.substr(at)}, from);
        ASSERT_EQ(cut.text, whole.text) << "cut at " << at << " of " << text;
        ASSERT_EQ(cut.labels, whole.labels) << "cut at " << at << " of " << text;
        ASSERT_EQ(cut.step, KT_STEP_DONE);
    }
    ASSERT_EQ(c->run(bytes(text), from).text, whole.text) << text;
}

} // namespace

TEST(Dlp, SecretsByDefault)
{
    Configured c("dlp-filter", "{}");
    std::string t = token();
    Result r = c->whole("clone with " + t + " or " + t + ", password = \"Tr0ub4dor&31\"");
    EXPECT_EQ(r.text, "clone with [SECRET_1] or [SECRET_1], password = \"[SECRET_2]\"");
    EXPECT_EQ(r.labels, "github-token:2 password:1 ");
    EXPECT_EQ(r.verdict, KT_VERDICT_REDACT);
    EXPECT_EQ(r.reason, "dlp.detected");
    EXPECT_GT(r.score, 0.9);
    Configured off("dlp-filter", "{secrets: false}");
    EXPECT_EQ(off->whole(t).verdict, KT_VERDICT_ALLOW);
}

TEST(Dlp, TermsPatternsAndMarks)
{
    Configured c(
        "dlp-filter",
        "{blocked_terms: [Project Falcon, Müller AG], detect_patterns: ['EMP-\\d{5}', '(?i)ticket [a-z]+'], "
        "sensitivity_level: high}");
    ASSERT_EQ(c.error(), "");
    Result r = c->whole("TOP SECRET: project  falcon by MULLER ag, EMP-12345 and Ticket abc");
    EXPECT_EQ(r.text, "[CLASSIFICATION_1]: [TERM_1] by [TERM_2], [PATTERN_1] and [PATTERN_2]");
    EXPECT_EQ(r.labels, "classification:1 term:2 pattern:2 ");
    EXPECT_EQ(c->whole("EMP-1234 confidential").text, "EMP-1234 confidential");
    Configured restricted("dlp-filter", "{sensitivity_level: restricted}");
    EXPECT_EQ(restricted->whole("Confidential. STRENG VERTRAULICH!").text,
              "[CLASSIFICATION_1]. [CLASSIFICATION_2]!");
    Configured standard("dlp-filter", "{}");
    EXPECT_EQ(standard->whole("TOP SECRET").text, "TOP SECRET");
}

TEST(Dlp, Fuzzy)
{
    Configured c("dlp-filter", "{blocked_terms: [falconheavy], fuzzy_matching: true, max_distance: 2}");
    EXPECT_EQ(c->whole("the falconhaevy and falconheavy and falcon").text,
              "the [TERM_1] and [TERM_2] and falcon");
}

TEST(Dlp, Block)
{
    Configured c("dlp-filter", "{blocked_terms: [falcon], action: block}");
    Result r = c->whole("a falcon");
    EXPECT_EQ(r.verdict, KT_VERDICT_BLOCK);
    EXPECT_EQ(r.reason, "dlp.detected");
    EXPECT_EQ(r.message.find("alcon"), std::string::npos) << "a message never quotes";
    EXPECT_EQ(c->whole("a bird").verdict, KT_VERDICT_ALLOW);
    EXPECT_EQ(c->whole(token()).verdict, KT_VERDICT_BLOCK);
}

TEST(Dlp, OverlapsAreOneRedaction)
{
    Configured c("dlp-filter",
                 "{blocked_terms: [alpha beta, beta gamma], detect_patterns: ['beta gamma delta', 'alp']}");
    EXPECT_EQ(c->whole("x alpha beta gamma delta y").text, "x [TERM_1][PATTERN_1] y");
    same_at_every_cut(c, "x alpha beta gamma delta y");
}

TEST(DlpStream, EverySplitPoint)
{
    Configured c("dlp-filter", "{blocked_terms: [Project Falcon, sk, Tür], detect_patterns: ['EMP-\\d{3,5}', "
                               "'\\bid=\\w+', '^start', "
                               "'end$'], sensitivity_level: restricted}");
    ASSERT_EQ(c.error(), "");
    same_at_every_cut(
        c, "start EMP-123 EMP-1234567 xid=5 id=abc_9 Project\nFalcon sk- türe Tür strictly confidential end");
    same_at_every_cut(c, "password=Gh7kkq9x, EMP-999" + token() + " EMP-12end");
    same_at_every_cut(c, "no start, no end.");
    same_at_every_cut(c, "{\"id\": \"id=77\", \"n\": 1, \"p\": \"say \\\"Project Falcon\\\"\"}",
                      KT_FROM_TOOL_CALL);
}

TEST(DlpStream, DisguisedSecretsAreFoundAtEverySplitPoint)
{
    Configured c("dlp-filter", "{}");
    std::string t = token(), wide, escaped, bold, spaced;
    for (char ch : t) {
        uint32_t cp = 0xff00u + (uint32_t)ch - 0x20;
        wide += {(char)(0xe0 | cp >> 12), (char)(0x80 | (cp >> 6 & 63)), (char)(0x80 | (cp & 63))};
        char text[8];
        snprintf(text, sizeof text, "\\u%04x", (unsigned)ch);
        escaped += text;
        uint32_t m = ch >= 'a' && ch <= 'z'   ? 0x1d41au + (uint32_t)(ch - 'a')
                     : ch >= 'A' && ch <= 'Z' ? 0x1d400u + (uint32_t)(ch - 'A')
                     : ch != '_'              ? 0x1d7ceu + (uint32_t)(ch - '0')
                                              : 0;
        bold += m ? std::string{(char)0xf0, (char)(0x80 | (m >> 12 & 63)), (char)(0x80 | (m >> 6 & 63)),
                                (char)(0x80 | (m & 63))}
                  : "_";
        spaced += std::string(1, ch) + "\u200b";
    }
    std::vector<std::string> made = {wide, escaped, bold};
    for (const char *mark : {"\u200b", "\u00ad", "\u2060", "\ufeff", "\U000e0041", "\\u200b", "\\u00ad"})
        for (size_t at : {1u, 3u, 4u, 20u, 39u})
            made.push_back(t.substr(0, at) + mark + t.substr(at));
    for (auto &one : made) {
        EXPECT_EQ(c->whole("use " + one + " now").text, "use [SECRET_1] now") << one;
        same_at_every_cut(c, "\u00fc \u2014 use " + one + ", " + t + "\u200b.");
    }
    EXPECT_EQ(c->whole(spaced + " x").text, "[SECRET_1]\u200b x");
    same_at_every_cut(c, "a\u200bb " + spaced + " pass\u200bword = \"Tr0ub4dor&31\" \\");
}

TEST(Dlp, WhatOnlyLooksLikeADisguiseChangesNothing)
{
    Configured c("dlp-filter", "{}");
    std::string t = token();
    EXPECT_EQ(c->whole(t + "\u200bbehind").text, "[SECRET_1]\u200bbehind"); /* the plain look's find stays */
    EXPECT_EQ(c->whole(t + "\u2014which").text, "[SECRET_1]\u2014which");
    for (const char *text : {"\U0001f469\u200d\U0001f4bb family \u2764\ufe0f", "\xe2\x80", "C:\\users\\u12",
                             "\uff0c\u4f60\u597d\uff1a\u5bc6\u7801\uff01", "\\ud83d\\ude00 \\u", "\xef\xbc"})
        same_at_every_cut(c, text);
}

namespace {

std::string base64(const std::string &in)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string out;
    for (size_t i = 0; i < in.size(); i += 3) {
        unsigned w = 0, n = (unsigned)std::min<size_t>(3, in.size() - i);
        for (unsigned k = 0; k < 3; k++)
            w = w << 8 | (k < n ? (unsigned char)in[i + k] : 0);
        for (unsigned k = 0; k < 4; k++)
            out += k <= n ? letters[w >> (18 - 6 * k) & 63] : '=';
    }
    return out;
}

std::string hex(const std::string &in)
{
    std::string out;
    for (char c : in) {
        out += "0123456789abcdef"[(unsigned char)c >> 4];
        out += "0123456789abcdef"[c & 15];
    }
    return out;
}

} // namespace

TEST(Dlp, EscapesOfSourceAreNoHidingPlace)
{
    Configured c("dlp-filter", "{}");
    std::string t = token();
    for (const char *e : {R"(\n)", R"(\t)", R"(\r)", R"(\b)", R"(\f)", R"(\/)", R"(\")", R"(\\n)", R"(\\\")",
                          R"(\\\\t)", R"(\x0a)", R"(\u0022)"})
        for (const std::string &text : {"key" + (e + t) + " x", "{\"a\": \"key" + (e + t) + e + "more\"}"}) {
            Result r = c->whole(text);
            EXPECT_NE(r.text.find(std::string("key") + e + "[SECRET_1]"), std::string::npos)
                << text << r.text;
            same_at_every_cut(c, text);
        }
    const std::pair<const char *, const char *> rows[] = {
        {R"(postgres:\/\/bob:hunT3r2Xq9@db.internal\/x)", R"(postgres:\/\/bob:[SECRET_1]@db.internal\/x)"},
        {R"({\\\"password\\\": \\\"hunT3r2Xq9\\\"})", R"({\\\"password\\\": \\\"[SECRET_1]\\\"})"},
        {R"(a\npassword =\t'hunT3r2Xq9'\n)", R"(a\npassword =\t'[SECRET_1]'\n)"},
        {R"(C:\temp\new\build.log "\n" \\\\ \)", R"(C:\temp\new\build.log "\n" \\\\ \)"}};
    for (const auto &row : rows) {
        EXPECT_EQ(c->whole(row.first).text, row.second);
        same_at_every_cut(c, row.first);
    }
}

TEST(Dlp, EncodedSecretsOfAKnownFormAreFound)
{
    Configured c("dlp-filter", "{}");
    std::string t = token();
    for (const std::string &plain : {t, "token " + t, "the token is " + t + "."})
        for (const std::string &one : {base64(plain), hex(plain), "0x" + hex(plain)})
            for (const char *front : {"", "use ", "a long enough line in front of it: ", "x==", "\n"}) {
                Result r = c->whole(front + one + " now");
                EXPECT_EQ(r.text, std::string(front) + "[SECRET_1] now") << one;
                EXPECT_EQ(r.labels, "github-token:1 ");
                same_at_every_cut(c, front + one + " now");
            }
    for (const std::string end : {"", " ", "=", "\n"}) /* in the second piece of three: the first one stays */
        for (size_t more : {size_t(0), size_t(9000)}) {
            const std::string late = base64(std::string(4500, 'a') + " " + t + std::string(more, ' '));
            const std::string want = late.substr(0, 5460) + "[SECRET_1]";
            Result whole = c->whole(late + end);
            EXPECT_EQ(whole.text.substr(0, want.size()), want);
            std::vector<std::string> pieces;
            for (size_t at = 0; at < late.size(); at += 1365)
                pieces.push_back(late.substr(at, 1365));
            for (size_t cut : {size_t(5459), size_t(5460), size_t(5461), late.size() - 1, late.size()})
                EXPECT_EQ(c->run({late.substr(0, cut), late.substr(cut) + end}).text, whole.text) << cut;
            pieces.push_back(end);
            EXPECT_EQ(c->run(pieces).text, whole.text) << more;
        }
}

TEST(Dlp, EncodedSecretsMayBeDigitsForTheMostPart)
{
    Configured c("dlp-filter", "{}");
    std::string digits, word;
    for (int i = 0; i < 64; i++)
        digits += "0123456789abcdef"[random_bytes() % 14];
    for (int i = 0; i < 24; i++)
        word += "Q3xWz8Lm2Rk9TbV5nYc1GhJ4"[random_bytes() % 24];
    for (const std::string &t :
         {"dop_v1_" + digits, "dapi" + digits.substr(0, 32), "sbp_" + digits.substr(0, 40),
          "glptt-" + digits.substr(0, 40), "xoxb-263594206564-2343594206574-" + word,
          "cl\u00e9 \u2192 " + ("dop_v1_" + digits)})
        for (const std::string &one : {base64(t), hex(t)}) {
            Result r = c->whole("use " + one + " now");
            EXPECT_EQ(r.text, "use [SECRET_1] now") << t;
            same_at_every_cut(c, "use " + one + " now");
        }
}

TEST(Dlp, OrdinaryEncodedTextIsLeftAlone)
{
    Configured c("dlp-filter", "{}");
    std::string binary;
    for (size_t i = 0; i < slow::fewer(200000); i++)
        binary += (char)random_bytes();
    for (const std::string &text :
         {base64(binary), hex(binary), base64("password = \"Tr0ub4dor&31\""),
          base64("just a sentence, and no more"),
          base64("-----BEGIN CERTIFICATE-----\n" + base64(binary.substr(0, 900)) +
                 "\n-----END CERTIFICATE-----\n"),
          std::string("policyengine/detect/kt_secret_encoded/and/so/on"), std::string(100000, 'A')})
        EXPECT_EQ(c->whole("see " + text + " there").text, "see " + text + " there");
}

// What is no text by its first letters goes on as it comes; what may be waits for a piece at most.
TEST(DlpStream, OfEncodedDataOnlyTextIsHeld)
{
    Configured c("dlp-filter", "{}");
    std::string binary;
    for (size_t i = 0; i < slow::fewer(20000, 4); i++)
        binary += (char)random_bytes();
    for (const std::string &text : {base64(binary), hex(binary)}) {
        Result r = c->run(bytes(text));
        EXPECT_EQ(r.text, text);
        EXPECT_LE(r.most_held, 100u);
    }
    const std::string words = base64(std::string(9000, 'a') + " and no more");
    Result r = c->run(bytes(words));
    EXPECT_EQ(r.text, words);
    EXPECT_LE(r.most_held, 5462u);
}

TEST(Dlp, ToolCallArgumentsStayJson)
{
    Configured c("dlp-filter", "{detect_patterns: ['\\d{6}', '\"a\": \"b', 'EMP-\\d+'], secrets: true}");
    EXPECT_EQ(c->whole("{\"pin\": 123456, \"s\": \"pin 654321 EMP-7\"}", KT_FROM_TOOL_CALL).text,
              "{\"pin\": \"[PATTERN_1]\", \"s\": \"pin [PATTERN_2] [PATTERN_3]\"}");
    Result across = c->whole("{\"a\": \"b\"}", KT_FROM_TOOL_CALL);
    EXPECT_EQ(across.verdict, KT_VERDICT_BLOCK) << "cannot be replaced without breaking the JSON";
    EXPECT_EQ(c->whole("{\"a\": \"b\"}").text, "{[PATTERN_1]\"}");
}

TEST(DlpStream, HoldsLittle)
{
    Configured c("dlp-filter", "{blocked_terms: [Project Falcon], detect_patterns: ['EMP-\\d{5}']}");
    std::string prose;
    for (int i = 0; i < 40; i++)
        prose += "The project was done on time, and nobody said a word about tokens or keys (nor EMP-12). ";
    Result r = c->run(bytes(prose));
    EXPECT_EQ(r.text, prose);
    EXPECT_LE(r.most_held, 56u);
}

TEST(Dlp, BadOptionsAreNamed)
{
    struct {
        const char *options, *says;
    } bad[] = {
        {"{detect_patterns: ['ok', '(']}", "detect_patterns[1]"},
        {"{detect_patterns: ['a*']}", "detect_patterns[0]"},
        {"{detect_patterns: ['']}", "detect_patterns[0]"},
        {"{detect_patterns: ['(a)\\1']}", "detect_patterns[0]"},
        {"{detect_patterns: ['(?<=a)b']}", "detect_patterns[0]"},
        {"{blocked_terms: [ok, '  ']}", "blocked_terms[1]"},
        {"{max_distance: 9}", "E004"},
        {"{sensitivity_level: extreme}", "E004"},
        {"{blocked_words: []}", "E002"},
    };
    for (auto &b : bad)
        EXPECT_NE(Configured("dlp-filter", b.options).error().find(b.says), std::string::npos)
            << b.options << ": " << Configured("dlp-filter", b.options).error();
}

TEST(Dlp, AMegabyteOfAnythingStaysLinear)
{
    std::string many;
    for (int i = 0; i < 5000; i++)
        many += (i ? ", " : "") + std::string("secretword") + std::to_string(i);
    Configured c("dlp-filter",
                 "{blocked_terms: [" + many + "], detect_patterns: ['(a+)+b', 'x.{1,50}y', '(e|f)*g']}");
    ASSERT_EQ(c.error(), "");
    for (std::string unit : {"a", "secretword1 ", "x", "ef", "password=", "\xff", "[SECRET_1] "}) {
        double took[2];
        for (int big = 0; big < 2; big++) {
            std::string text;
            while (text.size() < slow::fewer(big ? 1u << 19 : 1u << 17))
                text += unit;
            auto start = std::chrono::steady_clock::now();
            Result r = c->whole(text);
            EXPECT_EQ(r.step, KT_STEP_DONE) << unit;
            took[big] = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
        }
        EXPECT_LT(took[1], 20 * took[0] + 0.5) << unit;
    }
}

namespace {

std::vector<std::string> warnings;
void keep(const char *line)
{
    warnings.push_back(line);
}

struct CacheTest : testing::Test {
    std::string dir;
    void SetUp() override
    {
        char name[] = "/tmp/kt-patterns-XXXXXX";
        dir = mkdtemp(name);
        warnings.clear();
        kt_log_set_hook(keep);
        kt_pattern_cache_open(dir.c_str(), false);
    }
    void TearDown() override
    {
        kt_pattern_cache_open(nullptr, true);
        kt_log_set_hook(nullptr);
        for (auto &f : files())
            unlink(f.c_str());
        rmdir((dir + "/patterns").c_str());
        rmdir(dir.c_str());
    }
    std::vector<std::string> files()
    {
        std::vector<std::string> out;
        if (DIR *d = opendir((dir + "/patterns").c_str())) {
            while (dirent *e = readdir(d))
                if (std::string(e->d_name).find_first_not_of('.') != std::string::npos)
                    out.push_back(dir + "/patterns/" + e->d_name);
            closedir(d);
        }
        return out;
    }
    static bool cached(const char *expression)
    {
        kt_patterns *p = nullptr;
        kt_error err{};
        char *one[] = {const_cast<char *>(expression)};
        EXPECT_TRUE(kt_is_ok(kt_patterns_new(one, 1, &p, &err))) << err.text;
        bool yes = p && kt_patterns_cached(p);
        size_t hits = 0;
        EXPECT_TRUE(p && kt_is_ok(kt_patterns_scan(
                             p, "xx ab12 ab3", 11, 0, 11, true,
                             [](void *n, size_t, size_t, size_t) { ++*static_cast<size_t *>(n); }, &hits)));
        EXPECT_EQ(hits, 2u);
        kt_patterns_free(p);
        return yes;
    }
};

} // namespace

TEST_F(CacheTest, CompilesOnceAndWarnsOnce)
{
    EXPECT_FALSE(cached("ab\\d+"));
    EXPECT_EQ(warnings.size(), 1u);
    ASSERT_EQ(files().size(), 1u);
    struct stat st;
    ASSERT_EQ(stat(files()[0].c_str(), &st), 0);
    EXPECT_EQ(st.st_mode & 0777, 0600u);
    EXPECT_TRUE(cached("ab\\d+"));
    EXPECT_EQ(warnings.size(), 1u);
    EXPECT_FALSE(cached("ab[0-9]+"));
    EXPECT_EQ(files().size(), 2u);
}

TEST_F(CacheTest, TornAndForeignFilesAreNotTrusted)
{
    EXPECT_FALSE(cached("ab\\d+"));
    std::string path = files().at(0), good;
    {
        std::ifstream in(path, std::ios::binary);
        good.assign(std::istreambuf_iterator<char>(in), {});
    }
    auto put = [&](const std::string &bytes) {
        unlink(path.c_str());
        std::ofstream(path, std::ios::binary) << bytes;
        chmod(path.c_str(), 0600);
    };
    for (size_t n : {size_t(0), size_t(1), size_t(100), good.size() / 2, good.size() - 1}) {
        put(good.substr(0, n));
        EXPECT_FALSE(cached("ab\\d+")) << n;
    }
    for (size_t at : {size_t(0), size_t(20), size_t(90), size_t(150), good.size() / 2, good.size() - 1}) {
        std::string bad = good;
        bad[at] = static_cast<char>(bad[at] ^ 1);
        put(bad);
        EXPECT_FALSE(cached("ab\\d+")) << at;
        EXPECT_TRUE(cached("ab\\d+")) << "written anew";
    }
    put(good);
    chmod(path.c_str(), 0666);
    EXPECT_FALSE(cached("ab\\d+")) << "anybody may have written it";
    put(good + "x");
    EXPECT_FALSE(cached("ab\\d+"));
    unlink(path.c_str());
    ASSERT_EQ(symlink("/etc/passwd", path.c_str()), 0);
    EXPECT_FALSE(cached("ab\\d+"));
}

TEST_F(CacheTest, AFolderThatCannotBeWrittenIsNoReasonToStop)
{
    kt_pattern_cache_open("/proc/no-such-folder", true);
    EXPECT_FALSE(cached("ab\\d+"));
    EXPECT_EQ(warnings.size(), 1u);
    kt_pattern_cache_open(std::string(5000, 'x').c_str(), true);
    EXPECT_FALSE(cached("ab\\d+"));
}
