/* SPDX-License-Identifier: Apache-2.0 */
#include "policyengine/detect/kt_terms.h"

#include <chrono>
#include <cstring>
#include <gtest/gtest.h>
#include <random>
#include <string>
#include <vector>

namespace {

struct List {
    kt_terms *t = nullptr;
    std::string error;
    List(const std::vector<std::string> &terms, unsigned distance = 0)
    {
        std::vector<char *> p;
        for (auto &s : terms)
            p.push_back(const_cast<char *>(s.c_str()));
        kt_error err{};
        if (!kt_is_ok(kt_terms_new(p.data(), p.size(), distance, &t, &err)))
            error = err.text;
    }
    ~List()
    {
        kt_terms_free(t);
    }
    List(const List &) = delete;
    List &operator=(const List &) = delete;
};

struct Found {
    std::string text;
    std::vector<std::string> hits;
};

/* "0:term" as it stands in the text */
std::vector<std::string> pieces(const List &l, const std::vector<std::string> &parts, size_t *most = nullptr)
{
    std::string whole;
    for (auto &p : parts)
        whole += p;
    struct Ctx {
        std::vector<std::string> out;
        const std::string *whole;
        size_t last = 0;
    } ctx{{}, &whole};
    kt_terms_stream s{};
    std::string held;
    size_t base = 0;
    for (size_t i = 0; i < parts.size(); i++) {
        std::string window = held + parts[i];
        std::vector<char> exact(window.begin(), window.end());
        exact.reserve(exact.size() + 1);
        size_t hold = 0;
        kt_terms_window(
            l.t, &s, exact.data(), exact.size(), base, i + 1 == parts.size(),
            [](void *c, size_t term, size_t start, size_t end) {
                Ctx *x = static_cast<Ctx *>(c);
                EXPECT_LE(x->last, start);
                EXPECT_LT(start, end);
                x->last = end;
                x->out.push_back(std::to_string(term) + ":" + x->whole->substr(start, end - start));
            },
            &ctx, &hold);
        EXPECT_GE(hold, base);
        EXPECT_LE(hold, base + window.size());
        held = window.substr(hold - base);
        base = hold;
        if (most && i + 1 < parts.size() && held.size() > *most)
            *most = held.size();
    }
    return ctx.out;
}

std::vector<std::string> whole(const List &l, const std::string &text)
{
    return pieces(l, {text});
}

using V = std::vector<std::string>;

const V terms = {"Project Falcon", "falcon",  "C++",        "node.js", "project-x",  "Müller AG",
                 "机密",           "a b c d", "projekt x9", "café",    "a b c d e f"};

const std::vector<std::pair<const char *, V>> cases = {
    {"about PROJECT  falcon!", {"0:PROJECT  falcon"}},
    {"project\n\tfalcon", {"0:project\n\tfalcon"}},
    {"project-falcon", {"0:project-falcon"}},
    {"project_\xe2\x80\x8b"
     "falcon",
     {"0:project_\xe2\x80\x8b"
      "falcon"}},
    {"pro\xe2\x80\x8bject falcon", {"0:pro\xe2\x80\x8bject falcon"}},
    {"pr\xd0\xbej\xd0\xb5"
     "ct falcon",
     {"0:pr\xd0\xbej\xd0\xb5"
      "ct falcon"}},
    {"ＰＲＯＪＥＣＴ　ＦＡＬＣＯＮ", {"0:ＰＲＯＪＥＣＴ　ＦＡＬＣＯＮ"}},
    {"falcons projectfalcon xfalcon", {}},
    {"falcon, falcon", {"1:falcon", "1:falcon"}},
    {"project project falcon", {"0:project falcon"}},
    {"project. falcon", {"1:falcon"}},
    {"write c++ code, not c", {"2:c++"}},
    {"node.js and node js", {"3:node.js"}},
    {"Project X and projectx", {"4:Project X"}},
    {"MULLER ag", {"5:MULLER ag"}},
    {"这是机密文件", {"6:机密"}},
    {"a b c d e", {"7:a b c d"}},
    {"a b c d e f g", {"10:a b c d e f"}},
    {"a b c a b c d", {"7:a b c d"}},
    {"cafe CAFÉ cafe\xcc\x81", {"9:cafe", "9:CAFÉ", "9:cafe\xcc\x81"}},
    {"", {}},
    {"\xff\xfe", {}},
};

} // namespace

TEST(Terms, WholeWordsInAnyShape)
{
    List l(terms);
    ASSERT_EQ(l.error, "");
    for (auto &c : cases)
        EXPECT_EQ(whole(l, c.first), c.second) << c.first;
}

TEST(Terms, EverySplitPoint)
{
    List l(terms), near_by(terms, 2);
    for (auto &c : cases) {
        std::string text = std::string("x ") + c.first + " y";
        for (const List *list : {&l, &near_by}) {
            V all = whole(*list, text), bytes;
            for (size_t at = 0; at <= text.size(); at++)
                ASSERT_EQ(pieces(*list, {text.substr(0, at), text.substr(at)}), all) << text << " at " << at;
            for (char ch : text)
                bytes.emplace_back(1, ch);
            bytes.emplace_back("");
            ASSERT_EQ(pieces(*list, bytes), all) << text;
        }
    }
}

/* What is no letter, mark or digit is no part of a word, in whatever script. */
TEST(Terms, SignsStandBesideWords)
{
    List l({"Nachtfalter", "\U0001f344", "H2O"});
    ASSERT_EQ(l.error, "");
    for (const char *sign : {"😀", "🔒", "™", "€", "×", "÷", "①",  "²", "⁴", "؟", "،",
                             "۔", "।", "✅", "«", "•", "…", "🇩🇪", "½", "§", "〜"})
        for (const std::string &text : {sign + std::string("Nachtfalter"), std::string("Nachtfalter") + sign,
                                        sign + std::string("Nachtfalter") + sign})
            EXPECT_EQ(whole(l, "x " + text + " y"), (V{"0:Nachtfalter"})) << text;
    for (const char *letter : {"é", "ж", "م", "ि", "ª", "٣", "𝒳"})
        EXPECT_EQ(whole(l, std::string("Nachtfalter") + letter), V{}) << letter;
    EXPECT_EQ(whole(l, "Ⓝⓐⓒⓗⓣⓕⓐⓛⓣⓔⓡ, H₂O"), (V{"0:Ⓝⓐⓒⓗⓣⓕⓐⓛⓣⓔⓡ", "2:H₂O"}));
    EXPECT_EQ(whole(l, "a🍄b"), (V{"1:🍄"})) << "a sign can be a term";
}

TEST(Terms, Distance)
{
    List l({"falcon", "quarterly report", "tin"}, 2);
    EXPECT_EQ(whole(l, "falcom falkon falco fxlcxn tim"), (V{"0:falcom", "0:falkon", "0:falco"}));
    EXPECT_EQ(whole(l, "the quaterly reprt"), (V{"1:quaterly reprt"}));
    EXPECT_EQ(whole(l, "quatery reporting"), V{});
    List wide({"internationalisation"}, 8);
    EXPECT_EQ(whole(wide, "internationalization"), (V{"0:internationalization"}));
    EXPECT_EQ(whole(wide, "intrnatnalisaton"), (V{"0:intrnatnalisaton"}));
    EXPECT_EQ(whole(wide, "nationalist"), V{});
}

/* The band against the table in full. */
TEST(Terms, DistanceAgreesWithTheDefinition)
{
    std::mt19937 random(3);
    for (int round = 0; round < 3000; round++) {
        std::string a, b;
        for (unsigned n = 8 + random() % 12; n > 0; n--)
            a += static_cast<char>('a' + random() % 4);
        b = a;
        for (unsigned n = random() % 5; n > 0 && !b.empty(); n--) {
            size_t at = random() % b.size();
            if (random() % 3 == 0)
                b.erase(at, 1);
            else if (random() % 2)
                b[at] = static_cast<char>('a' + random() % 4);
            else
                b.insert(at, 1, static_cast<char>('a' + random() % 4));
        }
        std::vector<std::vector<size_t>> d(a.size() + 1, std::vector<size_t>(b.size() + 1));
        for (size_t i = 0; i <= a.size(); i++)
            for (size_t k = 0; k <= b.size(); k++)
                d[i][k] = i == 0   ? k
                          : k == 0 ? i
                                   : std::min({d[i - 1][k] + 1, d[i][k - 1] + 1,
                                               d[i - 1][k - 1] + (a[i - 1] != b[k - 1])});
        unsigned most = 1 + random() % 4;
        List l({a}, most);
        size_t allowed = std::min<size_t>(most, a.size() / 4);
        EXPECT_EQ(whole(l, b).size(), d[a.size()][b.size()] <= allowed ? 1u : 0u)
            << a << " " << b << " " << allowed;
    }
}

TEST(Terms, AnyBytesAndCuts)
{
    std::mt19937 random(4);
    List l(terms, 1);
    static const char *const parts[] = {"project",
                                        "falcon",
                                        " ",
                                        "-",
                                        "a",
                                        "b",
                                        "c",
                                        "d",
                                        "++",
                                        ".",
                                        "node",
                                        "js",
                                        "\xe2\x80\x8b",
                                        "\xe6\x9c\xba",
                                        "\xe5\xaf\x86",
                                        "\xff",
                                        "\xc3",
                                        "\xcc\x81",
                                        "\n",
                                        "projekt",
                                        "x9",
                                        "zzzz"};
    for (int round = 0; round < 4000; round++) {
        std::string text;
        for (unsigned n = random() % 30; n > 0; n--)
            text += parts[random() % (sizeof parts / sizeof *parts)];
        V all = whole(l, text);
        size_t at = text.empty() ? 0 : random() % text.size();
        ASSERT_EQ(pieces(l, {text.substr(0, at), text.substr(at)}), all) << text << " at " << at;
    }
}

TEST(Terms, HoldsLittle)
{
    List l(terms);
    std::string prose;
    for (int i = 0; i < 50; i++)
        prose += "The project of a big bird (not a falcon) was done in node, they say. ";
    V bytes;
    for (char c : prose)
        bytes.emplace_back(1, c);
    size_t most = 0;
    pieces(l, bytes, &most);
    EXPECT_LE(most, 20u);
    for (std::string hostile :
         {std::string(20000, 'x'), std::string(20000, ' '), "project" + std::string(20000, ' ')}) {
        bytes.clear();
        for (size_t at = 0; at < hostile.size(); at += 100)
            bytes.push_back(hostile.substr(at, 100));
        most = 0;
        pieces(l, bytes, &most);
        EXPECT_LE(most, 800u);
    }
}

TEST(Terms, ThousandsOfTermsAndAMegabyte)
{
    std::mt19937 random(5);
    V many;
    for (int i = 0; i < 20000; i++)
        many.push_back("term" + std::to_string(i) + " of list" + std::to_string(i % 7));
    List l(many), few({"term1 of list1"});
    ASSERT_EQ(l.error, "");
    EXPECT_EQ(whole(l, "see term19999 of list0 now"), (V{"19999:term19999 of list0"}));
    std::string text, hostile;
    while (text.size() < 1u << 20)
        text += "the term" + std::to_string(random() % 30000) + " of it ";
    while (hostile.size() < 1u << 20)
        hostile += "a b c ";
    auto took = [](const List &list, const std::string &t) {
        auto start = std::chrono::steady_clock::now();
        whole(list, t);
        return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    };
    EXPECT_LT(took(l, text), 8 * took(few, text) + 0.5);
    List own(terms, 2);
    EXPECT_LT(took(own, hostile), 10.0);
}

TEST(Terms, Refusals)
{
    EXPECT_NE(List({"ok", " - "}).error.find("[1]"), std::string::npos);
    EXPECT_NE(List({""}).error, "");
    EXPECT_NE(List({std::string(100, 'x')}).error, "");
    std::string words;
    for (int i = 0; i < 40; i++)
        words += "w ";
    EXPECT_NE(List({words}).error, "");
    EXPECT_EQ(List(V{}).error, "");
}
