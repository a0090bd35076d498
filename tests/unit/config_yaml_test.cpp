/* SPDX-License-Identifier: Apache-2.0 */
/* Hostile and broken YAML: refused, with its place, in bounded time and memory. */
#include "policyengine/config/kt_yaml.h"
#include "tests/unit/config_fixture.h"

using kt::Lines;
using kt::Loaded;

namespace {

TEST(ConfigYaml, SyntaxErrorsHaveTheirPlace)
{
    EXPECT_EQ(Loaded("pack: {name: x\npolicies: [\n").all(), Lines{"E006@2:9 "});
    EXPECT_EQ(Loaded("pack:\n\tname: x\n").all(), Lines{"E006@2:1 "});
    EXPECT_EQ(Loaded("a: b: c\n").all(), Lines{"E006@1:5 "});
    EXPECT_EQ(Loaded("a: *nowhere\n").all(), Lines{"E006@1:4 "});
    EXPECT_EQ(Loaded("? [a, b]\n: c\n").all(), Lines{"E006@1:3 "});
    EXPECT_EQ(Loaded("a: !!python/object:os.system x\n").all(), Lines{"E006@1:4 "});
    EXPECT_EQ(Loaded("a: 1\n---\nb: 2\n").all(), Lines{"E006@2:1 "});
}

TEST(ConfigYaml, DuplicateKeysNameBothLines)
{
    Loaded l("pack: {name: a, version: 1.0.0}\npolicies: {chain: []}\nmode: enforce\nmode: observe\n");
    EXPECT_EQ(l.line(), "t.yaml:4:1: error[E006] duplicate key 'mode', first on line 3 (keep one of them)");
    EXPECT_EQ(Loaded("pack: {name: a, name: b}\n").all(), Lines{"E006@1:17 "});
    EXPECT_EQ(Loaded("\"a\": 1\na: 2\n").all(), Lines{"E006@2:1 "}) << "quotes make no other key";
    EXPECT_EQ(Loaded("a: &x {b: 1}\na: &x {b: 2}\nc: *x\nc: 1\n").all(), (Lines{"E006@2:1 ", "E006@4:1 "}))
        << "an anchor inside a duplicate stays usable";
}

TEST(ConfigYaml, BytesThatAreNoText)
{
    EXPECT_EQ(Loaded(std::string("pack:\n  name: a\xff\xfe\n")).all(), Lines{"E006@2:10 "});
    EXPECT_EQ(Loaded(std::string("pack:\n  name: a\0b\n", 18)).all(), Lines{"E006@2:10 "});
    EXPECT_EQ(Loaded("pack: {name: \"a\\0b\"}\n").all(), Lines{"E006@1:14 "}) << "an escaped NUL";
    EXPECT_EQ(Loaded(std::string("\xff\xfe"
                                 "p\0:\0 \0x\0",
                                 10))
                  .errors(),
              1u)
        << "UTF-16";
    EXPECT_EQ(Loaded("pack: {name: \"\xc3\x28\"}\n").errors(), 1u) << "a broken UTF-8 sequence";
    EXPECT_EQ(Loaded(std::string(64, '\0')).errors(), 1u);
}

TEST(ConfigYaml, AByteOrderMarkIsFine)
{
    Loaded l("\xef\xbb\xbf" + kt::base);
    EXPECT_EQ(l.code, KT_OK) << l.line();
}

TEST(ConfigYaml, EmptyMeansMissing)
{
    for (const char *text : {"", "\n\n", "# only a comment\n", "~\n", "{}\n"})
        EXPECT_EQ(Loaded(std::string(text)).all(), (Lines{"E005@1:1 pack", "E005@1:1 policies"})) << text;
    EXPECT_EQ(Loaded("just words\n").all(), Lines{"E004@1:1 "});
    EXPECT_EQ(Loaded("- a\n- b\n").all(), Lines{"E004@1:1 "});
}

TEST(ConfigYaml, BillionLaughs)
{
    std::string text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
    for (int i = 1; i < 12; i++) {
        std::string prev = "*a" + std::to_string(i - 1);
        text += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
        for (int j = 0; j < 10; j++)
            text += (j ? ", " : "") + prev;
        text += "]\n";
    }
    Loaded l(text);
    ASSERT_EQ(l.errors(), 1u);
    EXPECT_NE(l.line().find("aliases that expand to too much"), std::string::npos) << l.line();
}

TEST(ConfigYaml, AnAliasInsideItsOwnAnchorIsUnknown)
{
    EXPECT_EQ(Loaded("a: &a [*a]\n").all(), Lines{"E006@1:8 "});
}

TEST(ConfigYaml, AliasesAreCopies)
{
    Loaded l("pack: {name: &n same, version: 1.0.0, description: *n}\npolicies: {chain: []}\n");
    ASSERT_EQ(l.code, KT_OK) << l.line();
    EXPECT_STREQ(l->pack.name, "same");
    EXPECT_STREQ(l->pack.description, "same");
}

TEST(ConfigYaml, DepthIsCapped)
{
    for (char open : {'[', '{'}) {
        Loaded l("a: " + std::string(100000, open));
        ASSERT_EQ(l.errors(), 1u);
        EXPECT_EQ(l.all()[0].substr(0, 7), "E006@1:");
        EXPECT_NE(l.line().find("nested more than 32 levels"), std::string::npos) << l.line();
    }
    std::string block; /* the same through indentation */
    for (int i = 0; i < 40; i++)
        block += std::string((size_t)i, ' ') + "k:\n";
    EXPECT_NE(Loaded(block).line().find("nested more than 32 levels"), std::string::npos);
    std::string chained = "a0: &a0 [[[[[[[[[[x]]]]]]]]]]\n"; /* and through aliases */
    for (int i = 1; i < 5; i++)
        chained += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [[[[[[[[*a" +
                   std::to_string(i - 1) + "]]]]]]]]\n";
    EXPECT_NE(Loaded(chained).line().find("aliases that expand to too much"), std::string::npos);
}

TEST(ConfigYaml, SizeIsCapped)
{
    std::string text = kt::base + "#";
    text.append((1 << 20) - text.size(), 'x');
    EXPECT_EQ(Loaded(text).code, KT_OK) << "exactly 1 MiB";
    text += 'x';
    EXPECT_EQ(Loaded(text).line(), "t.yaml: error[E006] larger than 1 MiB");

    std::string items = "a:\n";
    for (int i = 0; i < 20000; i++)
        items += "- x\n";
    EXPECT_NE(Loaded(items).line().find("more than 20000 values"), std::string::npos);

    std::string anchors = "a:\n";
    for (int i = 0; i < 300; i++)
        anchors += "- &a" + std::to_string(i) + " x\n";
    EXPECT_NE(Loaded(anchors).line().find("more than 256 anchors"), std::string::npos);
}

/* libyaml searches its list of directives for each new one: 60000 of them took 13 seconds. */
TEST(ConfigYaml, DirectivesAreCapped)
{
    std::string text;
    for (int i = 0; i < 60000; i++)
        text += "%TAG !a" + std::to_string(i) + "! x\n";
    EXPECT_EQ(Loaded(text).line(), "t.yaml:1:1: error[E006] more than 8 %TAG directives");
    EXPECT_EQ(Loaded("%YAML 1.1\n---\n" + kt::base).code, KT_OK);
}

TEST(ConfigYaml, AFloodOfErrorsIsCut)
{
    std::string text = kt::base;
    for (int i = 0; i < 5000; i++)
        text += "unknown_key_" + std::to_string(i) + ": 1\n";
    EXPECT_EQ(Loaded(text).errors(), 100u);
}

TEST(ConfigYaml, ControlBytesOfTheFileDoNotReachTheTerminal)
{
    Loaded l(kt::base + "\"\\e[2Jx\\ny\": 1\n");
    ASSERT_EQ(l.errors(), 1u);
    EXPECT_NE(l.line().find("unknown key '?[2Jx?y'"), std::string::npos) << l.line();
}

TEST(ConfigYaml, LongKeysAreCutBetweenCharacters)
{
    std::string key;
    for (int i = 0; i < 200; i++)
        key += "\xc3\xa4";
    Loaded l(kt::base + key + ": 1\n");
    ASSERT_EQ(l.errors(), 1u);
    std::string shown;
    for (int i = 0; i < 30; i++)
        shown += "\xc3\xa4";
    EXPECT_NE(l.line().find("unknown key '" + shown + "'"), std::string::npos) << l.line();
}

TEST(ConfigYaml, EveryPrefixOfARealConfigIsSafe)
{
    std::string text = kt::target +
                       "      secret_key_ref: {env: &e KEY}\n      tls: {}\n"
                       "      description: \"\\u00e4 *e\"\nmodel_map: {gpt-4o: x}\nfail_mode: allow\n";
    size_t good = 0;
    for (size_t n = 0; n <= text.size(); n++)
        good += Loaded(text.substr(0, n)).code == KT_OK;
    EXPECT_GT(good, 1u);
    EXPECT_EQ(Loaded(text).code, KT_OK);
}

TEST(ConfigYaml, EveryByteReplacedByRubbishIsSafe)
{
    const std::string rubbish("\0\xff*&{[!\"\n:\t", 11);
    for (size_t n = 0; n < kt::target.size(); n++)
        for (char c : rubbish) {
            std::string text = kt::target;
            text[n] = c;
            Loaded l(text); /* the fixture checks that result, config and complaints agree */
        }
}

} // namespace
