/* SPDX-License-Identifier: Apache-2.0 */
/* struct kt_option: what the table owns, defaults, scalars, "did you mean". */
#include "policyengine/config/kt_read.h"
#include "policyengine/base/kt_suggest.h"

#include <gtest/gtest.h>

#include <clocale>
#include <cstring>
#include <string>

namespace {

struct inner {
    char *text;
    int64_t number;
};
struct outer {
    bool flag;
    int64_t number;
    double real;
    int choice;
    char *text;
    kt_strings list;
    inner sub;
};

kt_option row(const char *name, kt_opt_type type, size_t offset, const char *def)
{
    kt_option o = {};
    o.name = name;
    o.type = type;
    o.offset = offset;
    o.def = def;
    return o;
}

struct Tables {
    kt_option sub[3] = {row("text", KT_OPT_STRING, offsetof(inner, text), "deep"),
                        row("number", KT_OPT_INT, offsetof(inner, number), "-7"), kt_option{}};
    kt_option top[9] = {row("flag", KT_OPT_BOOL, offsetof(outer, flag), "true"),
                        row("number", KT_OPT_INT, offsetof(outer, number), "42"),
                        row("real", KT_OPT_FLOAT, offsetof(outer, real), "0.25"),
                        row("choice", KT_OPT_ENUM, offsetof(outer, choice), "second"),
                        row("text", KT_OPT_STRING, offsetof(outer, text), "word"),
                        row("list", KT_OPT_STRING_LIST, offsetof(outer, list), "[a, \"b c\"]"),
                        row("sub", KT_OPT_TABLE, offsetof(outer, sub), nullptr),
                        row("own", KT_OPT_CUSTOM, 0, nullptr),
                        kt_option{}};
    Tables()
    {
        top[3].values = "first|second=zweite|third";
        top[6].table = sub;
    }
};

TEST(Options, DefaultsOfEveryTypeAndFreeing)
{
    Tables t;
    outer o = {};
    ASSERT_EQ(kt_read_defaults(t.top, &o).code, KT_OK);
    EXPECT_TRUE(o.flag);
    EXPECT_EQ(o.number, 42);
    EXPECT_EQ(o.real, 0.25);
    EXPECT_EQ(o.choice, 1);
    EXPECT_STREQ(o.text, "word");
    ASSERT_EQ(o.list.count, 2u);
    EXPECT_STREQ(o.list.items[1], "b c");
    EXPECT_STREQ(o.sub.text, "deep");
    EXPECT_EQ(o.sub.number, -7);
    kt_options_free(t.top, &o);
    EXPECT_EQ(o.text, nullptr);
    EXPECT_EQ(o.list.items, nullptr);
    EXPECT_EQ(o.list.count, 0u);
    EXPECT_EQ(o.sub.text, nullptr);
    EXPECT_EQ(o.number, 42) << "what is not owned stays";
    kt_options_free(t.top, &o); /* twice is fine */
}

TEST(Options, AWrongDefaultIsABugThatShows)
{
    Tables t;
    outer o = {};
    t.top[1].def = "many";
    EXPECT_EQ(kt_read_defaults(t.top, &o).code, KT_ERR_INTERNAL);
    kt_options_free(t.top, &o);
}

TEST(Options, ADefaultOutsideItsOwnRangeIsABug)
{
    Tables t;
    outer o = {};
    t.top[1].min = 1;
    t.top[1].max = 10;
    EXPECT_EQ(kt_read_defaults(t.top, &o).code, KT_ERR_INTERNAL);
    kt_options_free(t.top, &o);
}

TEST(Options, ANegativeDefaultBelowTheRangeMeansNotSet)
{
    Tables t;
    outer o = {};
    t.top[1].def = "-1";
    t.top[1].min = 0;
    t.top[1].max = 10;
    EXPECT_EQ(kt_read_defaults(t.top, &o).code, KT_OK);
    kt_options_free(t.top, &o);
}

TEST(Strings, AddCopiesAndFreeClears)
{
    kt_strings s = {};
    char word[] = "abc";
    ASSERT_EQ(kt_strings_add(&s, word).code, KT_OK);
    word[0] = 'X';
    ASSERT_EQ(kt_strings_add(&s, "").code, KT_OK);
    ASSERT_EQ(s.count, 2u);
    EXPECT_STREQ(s.items[0], "abc");
    EXPECT_STREQ(s.items[1], "");
    kt_strings_free(&s);
    EXPECT_EQ(s.count, 0u);
    kt_strings_free(&s);
}

TEST(Scalars, Integers)
{
    int64_t v = 5;
    EXPECT_TRUE(kt_parse_int("-9223372036854775808", &v));
    EXPECT_EQ(v, INT64_MIN);
    EXPECT_TRUE(kt_parse_int("+12", &v));
    EXPECT_EQ(v, 12);
    EXPECT_TRUE(kt_parse_int("010", &v));
    EXPECT_EQ(v, 10) << "no octal";
    for (const char *bad :
         {"", " 1", "1 ", "1.0", "0x10", "9223372036854775808", "1e3", "1_000", "-", "--1"}) {
        v = 77;
        EXPECT_FALSE(kt_parse_int(bad, &v)) << bad;
        EXPECT_EQ(v, 77) << bad;
    }
}

TEST(Scalars, FloatsIgnoreTheProgramsLocale)
{
    double v = 0;
    bool german = setlocale(LC_NUMERIC, "de_DE.UTF-8") != nullptr; /* where it is installed */
    EXPECT_TRUE(kt_parse_float("2.5", &v));
    EXPECT_EQ(v, 2.5) << (german ? "under de_DE" : "under C");
    setlocale(LC_NUMERIC, "C");
    EXPECT_TRUE(kt_parse_float("1e-3", &v));
    EXPECT_EQ(v, 1e-3);
    for (const char *bad : {"", "nan", "inf", "0x1p3", "1,5", "1e999", "1.5.2", "e", "."})
        EXPECT_FALSE(kt_parse_float(bad, &v)) << bad;
}

TEST(Scalars, Booleans)
{
    bool v = false;
    EXPECT_TRUE(kt_parse_bool("True", &v) && v);
    EXPECT_TRUE(kt_parse_bool("FALSE", &v) && !v);
    for (const char *bad : {"yes", "on", "1", "", "tRUE", "truer"})
        EXPECT_FALSE(kt_parse_bool(bad, &v)) << bad;
}

TEST(Scalars, EnumsWithAliases)
{
    const char *values = "a|bb=b2=b3|ccc";
    EXPECT_EQ(kt_parse_enum(values, "a"), 0);
    EXPECT_EQ(kt_parse_enum(values, "bb"), 1);
    EXPECT_EQ(kt_parse_enum(values, "b2"), 1);
    EXPECT_EQ(kt_parse_enum(values, "b3"), 1);
    EXPECT_EQ(kt_parse_enum(values, "ccc"), 2);
    for (const char *bad : {"", "b", "bb=b2", "a|bb", "cccc", "A"})
        EXPECT_EQ(kt_parse_enum(values, bad), -1) << bad;
}

const char *suggest(const char *word, std::initializer_list<const char *> known)
{
    static char text[96];
    kt_suggest s;
    kt_suggest_begin(&s, word);
    for (const char *k : known)
        kt_suggest_try(&s, k, strlen(k));
    return kt_suggest_text(&s, text);
}

TEST(Suggest, NearestWordOrNone)
{
    EXPECT_STREQ(suggest("treshold", {"action", "threshold"}), "did you mean 'threshold'?");
    EXPECT_STREQ(suggest("atcion", {"action", "threshold"}), "did you mean 'action'?")
        << "a swap is one edit";
    EXPECT_STREQ(suggest("Base-URL", {"base_url"}), "did you mean 'base_url'?");
    EXPECT_EQ(suggest("colour", {"action", "threshold"}), nullptr);
    EXPECT_EQ(suggest("id", {"up"}), nullptr) << "short words match only themselves";
    EXPECT_EQ(suggest("", {"a"}), nullptr);
    std::string longest(200, 'x');
    EXPECT_EQ(suggest(longest.c_str(), {longest.c_str()}), nullptr);
}

} // namespace
