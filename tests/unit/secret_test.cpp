/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/detect/kt_secret_rule.h"
#include "secret_texts.hpp"
#include "slow.hpp"

#include <ctime>
#include <cstring>
#include <gtest/gtest.h>

using secret_texts::fill;
using secret_texts::Made;
using secret_texts::make;

namespace {

struct Hit {
    size_t start, end;
    std::string label;
    double score;
    bool operator==(const Hit &o) const
    {
        return start == o.start && end == o.end && label == o.label;
    }
};

void on_hit(void *ctx, const kt_secret_hit *h)
{
    static_cast<std::vector<Hit> *>(ctx)->push_back({h->start, h->end, h->label, h->score});
}

std::vector<Hit> whole(const std::string &text)
{
    std::vector<Hit> hits;
    std::vector<char> exact(text.begin(), text.end());
    EXPECT_TRUE(kt_is_ok(kt_secret_find(exact.data() ? exact.data() : "", exact.size(), on_hit, &hits)));
    for (auto &h : hits) {
        EXPECT_LT(h.start, h.end);
        EXPECT_LE(h.end, text.size());
        EXPECT_GT(h.score, 0.5);
    }
    return hits;
}

/* In windows; *most is the most that was held back. */
std::vector<Hit> pieces(const std::vector<std::string> &parts, size_t *most = nullptr)
{
    std::vector<Hit> hits;
    kt_secret_stream s;
    memset(&s, 0, sizeof s);
    EXPECT_TRUE(kt_is_ok(kt_secret_prepare()));
    std::string held;
    size_t base = 0;
    for (size_t i = 0; i < parts.size(); i++) {
        std::string window = held + parts[i];
        std::vector<char> exact(window.begin(), window.end());
        size_t hold = 0;
        EXPECT_TRUE(kt_is_ok(kt_secret_stream_window(&s, exact.data() ? exact.data() : "", exact.size(), base,
                                                     i + 1 == parts.size(), on_hit, &hits, &hold)));
        EXPECT_GE(hold, base);
        EXPECT_LE(hold, base + window.size());
        held = window.substr(hold - base);
        base = hold;
        if (most && i + 1 < parts.size() && held.size() > *most)
            *most = held.size();
    }
    kt_secret_stream_free(&s);
    return hits;
}

std::vector<std::string> bytes(const std::string &text)
{
    std::vector<std::string> out;
    for (char c : text)
        out.emplace_back(1, c);
    out.emplace_back("");
    return out;
}

struct Token {
    const char *label, *prefix, *shape;
};
const Token tokens[] = {
#define KT_TOKEN(label, prefix, shape) {label, prefix, shape},
#include "policyengine/detect/patterns/secret_tokens.def"
#undef KT_TOKEN
};

std::vector<std::string> all_texts()
{
    std::mt19937 random(17);
    std::vector<std::string> out;
    for (auto &f : secret_texts::found())
        out.push_back(make(f.second, random).text);
    for (const char *t : secret_texts::innocent())
        out.push_back(make(t, random).text);
    for (auto &t : tokens)
        out.push_back("a = " + std::string(t.prefix) + fill(t.shape, random) + " b");
    return out;
}

} // namespace

/* Every line of the table, filled with random bytes, is found where it stands. */
TEST(Secret, EveryTokenIsFound)
{
    std::mt19937 random(1);
    for (auto &t : tokens)
        for (int round = 0; round < 5; round++) {
            std::string token = t.prefix + fill(t.shape, random), text = "see " + token + ", please";
            std::vector<Hit> hits = whole(text);
            ASSERT_EQ(hits.size(), 1u) << text;
            EXPECT_LE(hits[0].start, 4 + strlen(t.prefix)) << text;
            EXPECT_EQ(hits[0].end, 4 + token.size()) << text;
            EXPECT_GE(hits[0].score, KT_SECRET_SURE);
        }
}

TEST(Secret, NoTokenWhereItIsPartOfAWordOrToBeFilledIn)
{
    std::mt19937 random(2);
    for (auto &t : tokens) {
        if (isalnum(static_cast<unsigned char>(t.prefix[0]))) {
            for (auto &h : whole("abcdefgx" + (t.prefix + fill(t.shape, random))))
                EXPECT_NE(h.start, 8u) << t.prefix << " inside a word";
        }
        std::string blank = fill(t.shape, random);
        for (char &c : blank)
            c = isalnum(static_cast<unsigned char>(c)) ? 'x' : c;
        EXPECT_TRUE(whole(t.prefix + blank).empty()) << t.prefix + blank;
        EXPECT_TRUE(whole("the prefix " + std::string(t.prefix) + " alone").empty()) << t.prefix;
    }
}

/* A shape of one fixed length does not match a longer run. */
TEST(Secret, LongerRunsAreSomethingElse)
{
    std::mt19937 random(3);
    for (const char *prefix : {"ghp_", "AKIA", "hf_", "npm_", "dop_v1_", "shpat_"})
        for (auto &t : tokens)
            if (std::string(t.prefix) == prefix) {
                EXPECT_TRUE(whole(t.prefix + fill(t.shape, random, 40)).empty()) << t.prefix;
            }
}

TEST(Secret, NamedAndOthers)
{
    std::mt19937 random(4);
    for (auto &f : secret_texts::found())
        for (int round = 0; round < 5; round++) {
            Made m = make(f.second, random);
            std::vector<Hit> hits = whole(m.text);
            ASSERT_EQ(hits.size(), 1u) << m.text;
            EXPECT_EQ(hits[0].label, f.first) << m.text;
            EXPECT_EQ(m.text.substr(hits[0].start, hits[0].end - hits[0].start), m.secret) << m.text;
        }
}

TEST(Secret, LeavesAlone)
{
    std::mt19937 random(5);
    for (const char *t : secret_texts::innocent())
        for (int round = 0; round < 5; round++) {
            std::string text = make(t, random).text;
            std::vector<Hit> hits = whole(text);
            EXPECT_TRUE(hits.empty()) << text << ": " << (hits.empty() ? "" : hits[0].label);
        }
}

static std::string base64(const std::string &in, const char *alphabet, bool pad)
{
    std::string out;
    for (size_t i = 0; i < in.size(); i += 3) {
        uint32_t w = 0;
        for (size_t k = 0; k < 3; k++)
            w = w << 8 | (i + k < in.size() ? static_cast<unsigned char>(in[i + k]) : 0);
        for (size_t k = 0; k < 4; k++)
            if (i + k <= in.size())
                out += alphabet[w >> (18 - 6 * k) & 63];
            else if (pad)
                out += '=';
    }
    return out;
}
static const char url64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
static const char std64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

TEST(Secret, WebTokensNeedAHeader)
{
    std::mt19937 random(6);
    std::string header = base64("{\"alg\":\"HS256\",\"typ\":\"JWT\"}", url64, false);
    std::string body = base64("{\"sub\":\"1234567890\"}", url64, false), sig = fill("\\a{43}", random);
    std::string jwt = header + "." + body + "." + sig;
    std::vector<Hit> hits = whole("x " + jwt + " y");
    ASSERT_EQ(hits.size(), 1u);
    EXPECT_EQ(hits[0].label, "jwt");
    EXPECT_EQ(hits[0].end, 2 + jwt.size());
    EXPECT_TRUE(whole(base64("{\"notalg\":1,\"typ\":\"x\"}", url64, false) + "." + body + "." + sig).empty());
    EXPECT_TRUE(whole(header + "." + body).empty());
    hits = whole("Authorization: Bearer " + jwt);
    ASSERT_EQ(hits.size(), 1u);
}

TEST(Secret, BasicAuthorization)
{
    std::vector<Hit> hits = whole("Authorization: Basic " + base64("admin:S3cr"
                                                                   "3tXk9",
                                                                   std64, true));
    ASSERT_EQ(hits.size(), 1u);
    EXPECT_EQ(hits[0].start, 21u);
    EXPECT_TRUE(whole("basic understanding of things").empty());
    EXPECT_TRUE(whole("Basic " + base64("user:password", std64, true)).empty());
}

TEST(Secret, AChecksumRaisesTheScore)
{
    std::mt19937 random(7);
    std::string body = fill("\\a{30}", random);
    uint32_t crc = UINT32_MAX;
    for (char c : body) {
        crc ^= static_cast<unsigned char>(c);
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
    }
    crc = ~crc;
    std::string sum(6, '0');
    static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    for (size_t i = 6; i-- > 0; crc /= 62)
        sum[i] = digits[crc % 62];
    std::string prefix = std::string("gh") + "p_";
    ASSERT_EQ(whole(prefix + body + sum).size(), 1u);
    EXPECT_GT(whole(prefix + body + sum)[0].score, 0.98);
    sum[5] = sum[5] == 'a' ? 'b' : 'a';
    EXPECT_LT(whole(prefix + body + sum)[0].score, 0.98);
}

TEST(SecretStream, EverySplitPoint)
{
    for (const std::string &text : all_texts()) {
        std::vector<Hit> all = whole(text);
        for (size_t at = 0; at <= text.size(); at += slow::stride())
            ASSERT_EQ(pieces({text.substr(0, at), text.substr(at)}), all)
                << "cut at " << at << " of " << text;
        ASSERT_EQ(pieces(bytes(text)), all) << text;
    }
}

TEST(SecretStream, ManyInOneTextInRandomPieces)
{
    std::mt19937 random(8);
    std::string text;
    for (const std::string &one : all_texts())
        text += one + (random() % 2 ? " " : "\n");
    std::vector<Hit> all = whole(text);
    EXPECT_GT(all.size(), 250u);
    for (size_t round = 0; round < 20; round += slow::stride()) {
        std::vector<std::string> parts;
        for (size_t at = 0; at < text.size();) {
            size_t n = 1 + random() % (round < 10 ? 8 : 200);
            parts.push_back(text.substr(at, n));
            at += n;
        }
        parts.emplace_back("");
        ASSERT_EQ(pieces(parts), all);
    }
}

TEST(SecretStream, HoldsLittleOfProse)
{
    std::string prose;
    for (int i = 0; i < 40; i++)
        prose +=
            "The secret of a quick password change is the key; tokens pass through GitHub on Monday. See "
            "https://example.com/path?x=1 for more, he said (42 times). ";
    size_t most = 0;
    EXPECT_TRUE(pieces(bytes(prose), &most).empty());
    EXPECT_LE(most, 56u);
}

TEST(SecretStream, HoldIsBoundedWhateverComes)
{
    for (std::string unit : {"-----BEGIN RSA PRIVATE KEY-----\n" + std::string(60000, 'A'),
                             "password=" + std::string(60000, 'a'), "eyJ" + std::string(60000, 'b'),
                             "://" + std::string(60000, 'c'), "sk-" + std::string(60000, 'd')}) {
        size_t most = 0;
        std::vector<std::string> parts;
        for (size_t at = 0; at < unit.size(); at += 500)
            parts.push_back(unit.substr(at, 500));
        parts.emplace_back("");
        EXPECT_EQ(pieces(parts, &most), whole(unit));
        EXPECT_LE(most, KT_SECRET_MAX + 500u) << unit.substr(0, 9);
    }
}

TEST(Secret, AnyBytesAreSurvivedAndCutsDoNotMatter)
{
    std::mt19937 random(9);
    static const char *const parts[] = {"password",  "=",       ": ",    "\"",          "'",
                                        "token",     "AKIA",    "sk-",   "-----BEGIN ", "PRIVATE KEY-----",
                                        "-----END ", "://",     "user",  "@",           "eyJ",
                                        ".",         "bearer ", "\\n",   "\\\"",        "is ",
                                        "--",        "value",   "x9Kq2", "7f",          "\n",
                                        " ",         "$",       "1/",    "{",           "}",
                                        ",",         "key",     "aws",   "GH",          "\xc3",
                                        "\xff"};
    for (size_t round = 0; round < slow::fewer(6000); round++) {
        std::string text;
        for (unsigned n = random() % 24; n > 0; n--)
            text += random() % 4 ? parts[random() % (sizeof parts / sizeof *parts)]
                                 : fill("\\e{" + std::to_string(random() % 50) + "}", random);
        std::vector<Hit> all = whole(text);
        size_t at = text.empty() ? 0 : random() % text.size(), to = at + random() % (text.size() - at + 1);
        ASSERT_EQ(pieces({text.substr(0, at), text.substr(at, to - at), text.substr(to)}), all)
            << text << " at " << at << "," << to;
    }
}

/* Four times the text is about four times the processor time. */
TEST(Secret, HostileTextStaysLinear)
{
    static const char *const units[] = {
        "password=", "sk-",     "pypi-",     "-----BEGIN RSA PRIVATE KEY-----",
        "://",       "eyJ.",    "token is ", "1/",
        "aws ",      "ATATT3=", "xoxd-%",    "a:@"};
    for (const char *unit : units) {
        double took[2];
        for (int big = 0; big < 2; big++) {
            std::string text;
            while (text.size() < slow::fewer(big ? 1u << 18 : 1u << 16, 4))
                text += unit;
            timespec t0, t1;
            clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t0);
            whole(text);
            clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t1);
            took[big] = static_cast<double>(t1.tv_sec - t0.tv_sec) +
                        1e-9 * static_cast<double>(t1.tv_nsec - t0.tv_nsec);
        }
        EXPECT_LT(took[1], 16 * took[0] + 0.05) << unit;
    }
}
