// SPDX-License-Identifier: Apache-2.0
#include "policyengine/body/kt_edits.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace {

struct Doc {
    std::string text;
    kt_json j{};
    kt_edits e{};
    explicit Doc(std::string t) : text(std::move(t))
    {
        EXPECT_EQ(kt_json_parse(&j, text.data(), text.size(), nullptr).code, KT_OK) << text;
    }
    ~Doc()
    {
        kt_edits_free(&e);
        kt_json_free(&j);
    }
    Doc(const Doc &) = delete;
    Doc &operator=(const Doc &) = delete;
    uint32_t at(const char *key, uint32_t obj = 0) const
    {
        return kt_json_member(&j, obj, key, nullptr);
    }
    std::string apply()
    {
        kt_buf out = KT_BUF_INIT(1 << 20);
        EXPECT_EQ(kt_edits_apply(&e, text.data(), text.size(), &out).code, KT_OK);
        std::string s(out.data ? out.data : "", out.len);
        kt_buf_free(&out);
        return s;
    }
};

// Not ASSERT_*: that is an if without braces, and these stand behind ifs.
void ok(kt_result r)
{
    EXPECT_EQ(r.code, KT_OK);
}

// Text of all members as "key=raw;" so that documents compare by meaning.
std::string flat(const std::string &text)
{
    kt_json j;
    kt_error err{};
    if (kt_json_parse(&j, text.data(), text.size(), &err).code != KT_OK)
        return "BROKEN " + text + ": " + err.text;
    std::string s;
    for (uint32_t k = 1; k < j.count; k = j.tok[k + 1].next) {
        struct kt_span key = kt_json_raw(&j, k), value = kt_json_raw(&j, k + 1);
        s += std::string(key.data, key.len) + "=" + std::string(value.data, value.len) + ";";
    }
    kt_json_free(&j);
    return s;
}

TEST(Edits, NothingChangesNothing)
{
    Doc d(" {\"a\" : 1.0e0 } \n");
    EXPECT_EQ(d.apply(), d.text);
}

TEST(Edits, PlainEditsKeepOrderAndPlace)
{
    Doc d("\"0123456789\"");
    ok(kt_edits_add(&d.e, 5, 7, "XY", 2));
    ok(kt_edits_add(&d.e, 5, 5, "<", 1));
    ok(kt_edits_add(&d.e, 5, 5, "=", 1));
    ok(kt_edits_add(&d.e, 1, 2, "", 0));
    ok(kt_edits_add(&d.e, 11, 11, "!", 1));
    EXPECT_EQ(d.apply(), "\"123<=XY6789!\"");
}

TEST(Edits, OverlapsLeaveNothingOfEitherRange)
{
    Doc d("\"0123456789\"");
    ok(kt_edits_add(&d.e, 3, 8, "B", 1));
    ok(kt_edits_add(&d.e, 1, 5, "A", 1));
    ok(kt_edits_add(&d.e, 1, 2, "C", 1));
    ok(kt_edits_add(&d.e, 4, 5, "D", 1));
    EXPECT_EQ(d.apply(), "\"A789\"");
}

TEST(Edits, RangesOutsideOfTheTextAreRefused)
{
    Doc d("\"ab\"");
    EXPECT_EQ(kt_edits_add(&d.e, 3, 2, "", 0).code, KT_ERR_STATE);
    ok(kt_edits_add(&d.e, 3, 9, "x", 1));
    kt_buf out = KT_BUF_INIT(100);
    EXPECT_EQ(kt_edits_apply(&d.e, d.text.data(), d.text.size(), &out).code, KT_ERR_STATE);
    kt_buf_free(&out);
    EXPECT_EQ(kt_edits_in_string(&d.e, &d.j, 0, 0, 3, "", 0).code, KT_ERR_STATE);
    EXPECT_EQ(kt_edits_in_string(&d.e, &d.j, 0, 3, 3, "", 0).code, KT_ERR_STATE);
    EXPECT_EQ(kt_edits_in_string(&d.e, &d.j, 7, 0, 0, "", 0).code, KT_ERR_STATE);
}

TEST(Edits, OutputLimitHolds)
{
    Doc d("\"ab\"");
    ok(kt_edits_in_string(&d.e, &d.j, 0, 0, 1, "0123456789", 10));
    kt_buf out = KT_BUF_INIT(8);
    EXPECT_EQ(kt_edits_apply(&d.e, d.text.data(), d.text.size(), &out).code, KT_ERR_LIMIT);
    kt_buf_free(&out);
}

TEST(Edits, InStringEscapesAndTakesWholeCharacters)
{
    const char *text = "[\"a\\n\xc3\xa9\\ud83d\\ude00z\"]"; // decoded: a \n é(2) emoji(4) z
    struct {
        size_t start, end;
        const char *with, *expect;
    } cases[] = {{0, 1, "\"q\"\n", "[\"\\\"q\\\"\\n\\n\xc3\xa9\\ud83d\\ude00z\"]"},
                 {1, 2, "", "[\"a\xc3\xa9\\ud83d\\ude00z\"]"},
                 {3, 4, "E", "[\"a\\nE\\ud83d\\ude00z\"]"},
                 {2, 3, "E", "[\"a\\nE\\ud83d\\ude00z\"]"},
                 {5, 6, "E",
                  "[\"a\\n\xc3\xa9"
                  "Ez\"]"},
                 {0, 9, "all", "[\"all\"]"},
                 {9, 9, "end", "[\"a\\n\xc3\xa9\\ud83d\\ude00zend\"]"},
                 {6, 6, "in", "[\"a\\n\xc3\xa9in\\ud83d\\ude00z\"]"}};
    for (const auto &c : cases) {
        Doc d(text);
        ok(kt_edits_in_string(&d.e, &d.j, 1, c.start, c.end, c.with, strlen(c.with)));
        EXPECT_EQ(d.apply(), c.expect);
    }
}

TEST(Edits, SeveralInOneStringInAnyOrder)
{
    for (int order = 0; order < 2; order++) {
        Doc d("[\"a\\tb\\tc\\td\"]");
        for (int i = 0; i < 3; i++) {
            size_t p = static_cast<size_t>(order ? 4 - 2 * i : 2 * i);
            std::string with = "<" + std::to_string(p) + ">";
            ok(kt_edits_in_string(&d.e, &d.j, 1, p, p + 1, with.data(), with.size()));
        }
        EXPECT_EQ(d.apply(), "[\"<0>\\t<2>\\t<4>\\td\"]");
    }
}

TEST(Edits, ManyRedactionsInOneEscapedStringAreNotQuadratic)
{
    std::string t = "\"";
    const size_t n = 200000;
    for (size_t i = 0; i < n; i++)
        t += "ab\\n";
    Doc d(t + "\"");
    for (size_t i = 0; i < n; i++) // quadratic would be 10^11 steps: the test would never end
        ok(kt_edits_in_string(&d.e, &d.j, 0, 3 * i, 3 * i + 1, "X", 1));
    std::string out = d.apply();
    EXPECT_EQ(out.substr(0, 9), "\"Xb\\nXb\\n");
    EXPECT_EQ(out.size(), d.text.size());
}

TEST(Edits, EverySubsetOfMembersCanGo)
{
    const char *pads[][3] = {{"", "", ""}, {" ", " ", " "}, {"\n  ", "\n", " \t"}, {"", "  ", ""}};
    for (const auto &pad : pads)
        for (unsigned mask = 0; mask < 32; mask++)
            for (int added = 0; added < 3; added++)
                for (int backwards = 0; backwards < 2; backwards++) {
                    std::string text = "{";
                    std::vector<std::string> want;
                    for (int i = 0; i < 5; i++) {
                        std::string key = std::string("\"k") + char('0' + i) + "\"";
                        std::string value = i == 2   ? "{\"k0\":[1,{}]}"
                                            : i == 3 ? "\"},{\""
                                                     : std::to_string(i);
                        text +=
                            std::string(i ? "," : "") + pad[0] + key + pad[1] + ":" + pad[1] + value + pad[2];
                        if (!(mask >> i & 1))
                            want.push_back(key + "=" + value + ";");
                    }
                    Doc d(text + "}");
                    auto add = [&] {
                        for (int a = 0; a < added; a++)
                            ok(kt_edits_add_member(&d.e, &d.j, 0, a ? "y" : "x", a ? "[]" : "7", a ? 2 : 1));
                    };
                    if (backwards)
                        add();
                    for (int n = 0; n < 5; n++) {
                        int i = backwards ? 4 - n : n;
                        char key[] = {'k', char('0' + i), 0};
                        if (mask >> i & 1)
                            ok(kt_edits_remove_member(&d.e, &d.j, 0, d.at(key)));
                    }
                    if (!backwards)
                        add();
                    std::string expect;
                    for (const auto &w : want)
                        expect += w;
                    if (added > 0)
                        expect += "\"x\"=7;";
                    if (added > 1)
                        expect += "\"y\"=[];";
                    EXPECT_EQ(flat(d.apply()), expect) << d.text << " mask " << mask;
                }
}

TEST(Edits, RemovalRenameAndReplacementOfNeighboursCompose)
{
    for (unsigned what = 0; what < 4 * 4 * 4 * 4; what++) {
        Doc d("{\"a\": 1, \"b\":\"s\" ,\"c\":[0],\"d\":{}}");
        std::string expect;
        const char *keys[] = {"a", "b", "c", "d"}, *values[] = {"1", "\"s\"", "[0]", "{}"};
        for (unsigned i = 0; i < 4; i++) {
            unsigned op = what >> (2 * i) & 3;
            uint32_t v = d.at(keys[i]);
            std::string key = keys[i], value = values[i];
            if (op == 1)
                ok(kt_edits_remove_member(&d.e, &d.j, 0, v));
            if (op == 2) {
                ok(kt_edits_rename_key(&d.e, &d.j, v, "re\"named"));
                key = "re\\\"named";
            }
            if (op >= 2) {
                ok(kt_edits_replace_value(&d.e, &d.j, v, "null", 4));
                value = "null";
            }
            if (op != 1)
                expect += "\"" + key + "\"=" + value + ";";
        }
        ok(kt_edits_add_member(&d.e, &d.j, 0, "n\"ew", "1", 1));
        EXPECT_EQ(flat(d.apply()), expect + "\"n\\\"ew\"=1;") << what;
    }
}

TEST(Edits, RemovalWinsOverEverythingInside)
{
    Doc d("{\"a\":{\"b\":\"secret\",\"c\":1},\"d\":2}");
    uint32_t a = d.at("a");
    ok(kt_edits_in_string(&d.e, &d.j, d.at("b", a), 0, 6, "[X]", 3));
    ok(kt_edits_remove_member(&d.e, &d.j, a, d.at("c", a)));
    ok(kt_edits_add_member(&d.e, &d.j, a, "e", "3", 1));
    ok(kt_edits_rename_key(&d.e, &d.j, a, "z"));
    ok(kt_edits_remove_member(&d.e, &d.j, 0, a));
    ok(kt_edits_remove_member(&d.e, &d.j, 0, a)); // twice is once
    EXPECT_EQ(d.apply(), "{\"d\":2}");
}

TEST(Edits, AdditionsToNestedAndEmptyObjects)
{
    Doc d("{ \"a\" : { } , \"b\":{\"c\":{ \"x\":1 }}}");
    ok(kt_edits_add_member(&d.e, &d.j, d.at("a"), "k", "1", 1));
    ok(kt_edits_add_member(&d.e, &d.j, d.at("a"), "l", "2", 1));
    uint32_t c = d.at("c", d.at("b"));
    ok(kt_edits_add_member(&d.e, &d.j, c, "k", "1", 1));
    ok(kt_edits_remove_member(&d.e, &d.j, c, d.at("x", c)));
    ok(kt_edits_add_member(&d.e, &d.j, 0, "z", "[]", 2));
    EXPECT_EQ(d.apply(), "{ \"a\" : {\"k\":1,\"l\":2 } , \"b\":{\"c\":{ \"k\":1 }},\"z\":[]}");
}

TEST(Edits, EverySubsetOfElementsCanGo)
{
    for (unsigned mask = 0; mask < 16; mask++) {
        Doc d("[ 1, [2,\"]\"] ,{\"a\":3},4 ]");
        std::string expect;
        const char *raw[] = {"1", "[2,\"]\"]", "{\"a\":3}", "4"};
        for (uint32_t i = 0, t = 1; i < 4; i++, t = d.j.tok[t].next) {
            if (mask >> i & 1)
                ok(kt_edits_remove_element(&d.e, &d.j, 0, t));
            else
                expect += std::string(raw[i]) + ";";
        }
        std::string out = d.apply(), got;
        Doc again(out);
        for (uint32_t t = 1; t < again.j.count; t = again.j.tok[t].next)
            got += std::string(kt_json_raw(&again.j, t).data, kt_json_raw(&again.j, t).len) + ";";
        EXPECT_EQ(got, expect) << out;
    }
}

TEST(Edits, WrappingTheLastValueGoesTogetherWithAddingBehindIt)
{
    Doc d("{\"f\":{\"n\":\"x\"}}");
    uint32_t f = d.at("f");
    ok(kt_edits_add_member(&d.e, &d.j, 0, "k", "1", 1));
    ok(kt_edits_add(&d.e, d.j.tok[f].start, d.j.tok[f].start, "[", 1));
    ok(kt_edits_add(&d.e, d.j.tok[f].end, d.j.tok[f].end, "]", 1));
    EXPECT_EQ(d.apply(), "{\"f\":[{\"n\":\"x\"}],\"k\":1}");
}

TEST(Edits, MergedListsBehaveLikeOne)
{
    Doc d("{\"a\":1,\"b\":2,\"c\":3}");
    kt_edits other{};
    ok(kt_edits_remove_member(&d.e, &d.j, 0, d.at("b")));
    ok(kt_edits_remove_member(&other, &d.j, 0, d.at("c")));
    ok(kt_edits_add_member(&other, &d.j, 0, "z", "9", 1));
    ok(kt_edits_merge(&d.e, &other));
    kt_edits_free(&other);
    EXPECT_EQ(d.apply(), "{\"a\":1,\"z\":9}");
}

TEST(Edits, WrongTokensAreRefused)
{
    Doc d("{\"a\":[1],\"b\":2}");
    uint32_t a = d.at("a");
    EXPECT_EQ(kt_edits_remove_member(&d.e, &d.j, a, a + 1).code, KT_ERR_STATE) << "an array has no members";
    EXPECT_EQ(kt_edits_remove_member(&d.e, &d.j, 0, 0).code, KT_ERR_STATE);
    EXPECT_EQ(kt_edits_remove_element(&d.e, &d.j, a, d.at("b")).code, KT_ERR_STATE);
    EXPECT_EQ(kt_edits_add_member(&d.e, &d.j, a, "k", "1", 1).code, KT_ERR_STATE);
    EXPECT_EQ(kt_edits_rename_key(&d.e, &d.j, 0, "k").code, KT_ERR_STATE);
    EXPECT_EQ(d.e.count, 0u);
}

TEST(Edits, TheNumberOfEditsIsCapped)
{
    Doc d("\"\"");
    for (size_t i = 0; i < KT_EDITS_MAX; i++)
        ASSERT_EQ(kt_edits_add(&d.e, 1, 1, "", 0).code, KT_OK);
    EXPECT_EQ(kt_edits_add(&d.e, 1, 1, "", 0).code, KT_ERR_LIMIT);
}

} // namespace
