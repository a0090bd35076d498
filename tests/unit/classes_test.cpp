/* SPDX-License-Identifier: Apache-2.0 */
/* The word classes of the linear model: what has which, and where an entry ends. */
#include "policyengine/detect/kt_classes.h"

#include <gtest/gtest.h>
#include <random>
#include <string>

namespace {

/* The class of a word as it stands in a text, with bytes behind it that must not count. */
unsigned class_of(const std::string &word, char behind = ' ')
{
    std::string text = word + std::string(KT_CLASS_WORD, behind);
    return kt_class_of(text.data(), word.size());
}

} // namespace

TEST(Classes, OnePartInFiveLanguages)
{
    for (const char *word :
         {"ignore", "disregarding", "vergiss", "ignoriere", "oublie", "oubliez", "olvida", "dimentica"})
        EXPECT_EQ(class_of(word), KT_CLASS_DROP) << word;
    for (const char *word : {"instructions", "anweisungen", "consignes", "instrucciones", "istruzioni"})
        EXPECT_EQ(class_of(word), KT_CLASS_ORDERS) << word;
    for (const char *word : {"your", "deine", "tes", "tus", "tuoi"})
        EXPECT_EQ(class_of(word), KT_CLASS_YOUR) << word;
    for (const char *word : {"my", "meine", "mes", "mis", "miei"})
        EXPECT_EQ(class_of(word), KT_CLASS_MY) << word;
    for (const char *word : {"without", "ohne", "sans", "sin", "senza"})
        EXPECT_EQ(class_of(word), KT_CLASS_WITHOUT) << word;
}

TEST(Classes, AStemTakesEndingsAWholeWordDoesNot)
{
    EXPECT_EQ(class_of("disregardable"), KT_CLASS_DROP);
    EXPECT_EQ(class_of("prompt"), KT_CLASS_PROMPT);
    EXPECT_EQ(class_of("promptly"), KT_CLASS_NONE);
    EXPECT_EQ(class_of("promp"), KT_CLASS_NONE);
    EXPECT_EQ(class_of("me"), KT_CLASS_ME);
    EXPECT_EQ(class_of("mee"), KT_CLASS_NONE);
}

/* "override" is said to do something to orders, and to stand above them: the longer entry wins. */
TEST(Classes, TheLongestEntryWins)
{
    EXPECT_EQ(class_of("overriding"), KT_CLASS_DROP);
    EXPECT_EQ(class_of("override"), KT_CLASS_POWER);
}

/* The key and the rest of a word are read eight bytes at a time: what follows the word may not decide. */
TEST(Classes, WhatFollowsTheWordDoesNotCount)
{
    for (char behind : {' ', 's', 'e', '\0', '\xff'}) {
        EXPECT_EQ(class_of("my", behind), KT_CLASS_MY);
        EXPECT_EQ(class_of("instruct", behind), KT_CLASS_ORDERS);
        EXPECT_EQ(class_of("qqqq", behind), KT_CLASS_NONE);
        EXPECT_EQ(class_of("q", behind), KT_CLASS_NONE);
    }
}

TEST(Classes, AnyBytes)
{
    std::mt19937 random(7);
    for (int round = 0; round < 200000; round++) {
        std::string word(1 + random() % 20, 0);
        for (char &c : word)
            c = static_cast<char>(random() % 3 ? 'a' + random() % 26 : random());
        ASSERT_LT(class_of(word), static_cast<unsigned>(KT_CLASS_COUNT));
    }
}
