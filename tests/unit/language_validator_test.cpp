/* SPDX-License-Identifier: Apache-2.0 */
#include "configured_policy.hpp"

#include <gtest/gtest.h>

using policy_test::Configured;
using policy_test::Result;

static const char english[] =
    "Please explain why the train was late and what we should tell the people who waited.";
static const char german[] =
    "Bitte erkläre mir, warum der Zug zu spät kommt und was wir den Leuten sagen sollen.";
static const char chinese[] = "请解释火车为什么晚点,以及我们应该对等待的人说什么,谢谢你的帮助。";

TEST(LanguageValidator, AllowedAndBlocked)
{
    Configured only("language-validator", "{allowed_languages: [en, FR-ca]}");
    EXPECT_EQ(only->whole(english).verdict, KT_VERDICT_ALLOW);
    Result r = only->whole(german);
    EXPECT_EQ(r.verdict, KT_VERDICT_BLOCK);
    EXPECT_EQ(r.reason, "language.not_allowed");
    EXPECT_NE(r.message.find("'de'"), std::string::npos);
    EXPECT_EQ(only->whole(chinese).verdict, KT_VERDICT_BLOCK);
    Configured not_german("language-validator", "{blocked_languages: [de], action: escalate}");
    EXPECT_EQ(not_german->whole(english).verdict, KT_VERDICT_ALLOW);
    EXPECT_EQ(not_german->whole(german).verdict, KT_VERDICT_ESCALATE);
}

TEST(LanguageValidator, WhatCannotBeToldPasses)
{
    Configured c("language-validator", "{allowed_languages: [en]}");
    for (const char *text : {"", "ok", "Danke!", "Anna Schmidt, Berlin", "x = {'a': [1, 2, 3]}; foo(bar);",
                             "4111 1111 1111 1111", "https://beispiel.de/der/die/das"})
        EXPECT_EQ(c->whole(text).verdict, KT_VERDICT_ALLOW) << text;
    Configured longer("language-validator", "{allowed_languages: [en], min_chars: 500}");
    EXPECT_EQ(longer->whole(german).verdict, KT_VERDICT_ALLOW);
}

TEST(LanguageValidator, UserTextOnlyUnlessAsked)
{
    Configured c("language-validator", "{allowed_languages: [en]}");
    EXPECT_EQ(c->whole(german, KT_FROM_SYSTEM).verdict, KT_VERDICT_ALLOW);
    EXPECT_EQ(c->whole(german, KT_FROM_TOOL).verdict, KT_VERDICT_ALLOW);
    EXPECT_EQ(c->whole(german, KT_FROM_ASSISTANT, KT_PHASE_RESPONSE).verdict, KT_VERDICT_ALLOW);
    Configured both("language-validator", "{allowed_languages: [en], check_responses: true}");
    EXPECT_EQ(both->whole(german, KT_FROM_ASSISTANT, KT_PHASE_RESPONSE).verdict, KT_VERDICT_BLOCK);
    EXPECT_EQ(both->whole(english, KT_FROM_ASSISTANT, KT_PHASE_RESPONSE).verdict, KT_VERDICT_ALLOW);
}

TEST(LanguageValidator, TheCutOfAnAnswerDoesNotMatter)
{
    Configured c("language-validator", "{allowed_languages: [en], check_responses: true}");
    std::string long_german, tail;
    for (int i = 0; i < 40; i++)
        long_german += german;
    for (const std::string &text :
         {std::string(german), std::string(english), long_german, std::string(english) + long_german}) {
        Result whole = c->whole(text, KT_FROM_ASSISTANT, KT_PHASE_RESPONSE);
        for (size_t at = 0; at <= text.size(); at += 1 + text.size() / 97) {
            Result cut = c->run({text.substr(0, at), text.substr(at)}, KT_FROM_ASSISTANT, KT_PHASE_RESPONSE);
            ASSERT_EQ(cut.verdict, whole.verdict) << at;
            if (cut.verdict == KT_VERDICT_ALLOW) {
                ASSERT_LE(cut.most_held, 1024u) << "what is held is bounded";
            }
        }
    }
}

/* Nothing of an answer is out when it is stopped, and what is decided flows. */
TEST(LanguageValidator, NothingLeavesBeforeTheDecision)
{
    Configured c("language-validator", "{allowed_languages: [en], check_responses: true}");
    auto pieces = [](const std::string &text, size_t size) {
        std::vector<std::string> out;
        for (size_t at = 0; at < text.size(); at += size)
            out.push_back(text.substr(at, size));
        return out;
    };
    std::string long_german, long_english, no_words(3000, '7');
    for (int i = 0; i < 40; i++) {
        long_german += german;
        long_english += english;
    }
    for (size_t size : {1, 7, 100, 2000}) {
        for (const std::string &text : {std::string(german), long_german}) {
            Result r = c->run(pieces(text, size), KT_FROM_ASSISTANT, KT_PHASE_RESPONSE);
            EXPECT_EQ(r.verdict, KT_VERDICT_BLOCK) << size;
            EXPECT_EQ(r.text, "") << size;
        }
        Result r = c->run(pieces(long_english, size), KT_FROM_ASSISTANT, KT_PHASE_RESPONSE);
        EXPECT_EQ(r.verdict, KT_VERDICT_ALLOW);
        EXPECT_EQ(r.text, long_english);
        EXPECT_LE(r.most_held, 256u) << size;
        r = c->run(pieces(no_words, size), KT_FROM_ASSISTANT, KT_PHASE_RESPONSE);
        EXPECT_EQ(r.text, no_words);
        EXPECT_LE(r.most_held, 1024u) << size;
    }
}

/* Languages of one script, and near ones, are told where the words tell them. */
TEST(LanguageValidator, NearLanguagesAreKeptApart)
{
    static const struct {
        const char *code, *text;
    } letters[] = {
        {"ru", "Напиши мне письмо начальнику, что я заболел и не смогу прийти на работу."},
        {"uk", "Напиши мені листа до начальника, що я захворів і не зможу прийти на роботу."},
        {"bg", "Напиши ми писмо до шефа, че съм болен и няма да дойда на работа днес."},
        {"cs", "Napiš mi e-mail šéfovi, že jsem nemocný a nemůžu dnes přijít do práce."},
        {"pt", "Escreva um e-mail para o meu chefe dizendo que estou doente e não posso ir trabalhar."}};
    for (auto &l : letters) {
        std::string list = std::string("_languages: [") + l.code + "]}";
        Configured blocked("language-validator", "{blocked" + list),
            only("language-validator", "{allowed" + list);
        EXPECT_EQ(blocked->whole(l.text).verdict, KT_VERDICT_BLOCK) << l.code;
        EXPECT_EQ(only->whole(l.text).verdict, KT_VERDICT_ALLOW) << l.code;
    }
    Configured ukrainian("language-validator", "{allowed_languages: [uk, en]}");
    EXPECT_EQ(ukrainian->whole(letters[0].text).verdict, KT_VERDICT_BLOCK);
    EXPECT_EQ(ukrainian->whole(letters[2].text).verdict, KT_VERDICT_BLOCK);
    Configured latin("language-validator", "{allowed_languages: [en, de]}");
    EXPECT_EQ(latin->whole("Погода хорошая, солнце светит.").verdict, KT_VERDICT_BLOCK) << "whichever it is";
}

/* Words of a language are in code, names and titles too. */
TEST(LanguageValidator, CodeNamesAndPhrasesPass)
{
    Configured c("language-validator", "{allowed_languages: [en]}");
    for (const char *text :
         {"import os, sys; os.path.join(a, b)", "Mercedes-Benz SE in Dresden AG und co",
          "const User = z.object({\n  id: z.string(),\n  age: z.number().int(),\n  mail: "
          "z.string().email(),\n"
          "  tags: z.array(z.string()),\n});",
          "for i in range(10): print(i)", "Que sera sera lyrics by Doris Day",
          "Stack.prototype.cut = function (start, count) {\n  for (var i = 0, at = this.head; at && i "
          "< start; i++) {\n    at = at.next\n  }\n  var ret = []\n  for (var i = 0; at && i < "
          "count; i++) {\n    ret.push(at.value)\n    at = this.drop(at)\n  }\n  return ret\n}",
          "ret = mod if start else var", "var ret = mod + start", "  for at = at.next ret var mod start",
          "while at && start && ret do mod", "ret = mod[var] + start for x;",
          "at = this.drop(at, ret, mod, var, for)", "a b c d e f g h i j k l m n o p q",
          "def main(): print(a, b, c, d, e)"})
        EXPECT_EQ(c->whole(text).verdict, KT_VERDICT_ALLOW) << text;
}

/* A line of code does not hide what stands beside it, nor a sign the sentence around it. */
TEST(LanguageValidator, TextBesideCodeIsRead)
{
    Configured c("language-validator", "{allowed_languages: [en]}");
    for (const char *text :
         {"Warum gibt diese Funktion hier immer null zurück, und was muss ich an ihr ändern?\nvar x = f(a);",
          "Bitte erkläre mir, warum in dieser Formel a = b gilt und was das für die Summe heißt.",
          "Warum ist bei mir die Summe = null?", "Das Ergebnis ist nicht richtig -> was muss ich tun?",
          "Pourquoi est-ce que la somme = zéro ici ?"})
        EXPECT_EQ(c->whole(text).verdict, KT_VERDICT_BLOCK) << text;
}

TEST(LanguageValidator, WhatIsQuotedSaysLittleBesideTheRest)
{
    Configured c("language-validator", "{allowed_languages: [en]}");
    for (const char *text :
         {"Translate \"Ich hätte gerne ein Bier, bitte\" to English.",
          "The song “Non, je ne regrette rien” is by Edith Piaf.", "Is \"La vita è bella\" a good film?",
          "What does «je ne sais quoi» mean in this letter?",
          "How does „Ich weiß nicht, was soll es bedeuten“ go on?", "What does \"je ne sais quoi\" mean?"})
        EXPECT_EQ(c->whole(text).verdict, KT_VERDICT_ALLOW) << text;
    for (const char *text : {
             "\"Bitte erkläre mir, warum der Zug zu spät kommt und was wir den Leuten sagen sollen.\"",
             "{\"q\": \"Bitte erkläre mir, warum der Zug heute zu spät kommt.\"}",
             "so: „Bitte sag mir, warum der Zug heute zu spät kommt.“",
             "Was heißt \"how do you do\" auf Deutsch, und wie sage ich es höflicher?",
             "12\" Zoll: Bitte sag mir, warum der Bildschirm so klein ist und was er kostet.",
             "Bitte sag mir \"warum\nder Zug heute zu spät kommt und was wir den Leuten sagen sollen.",
         })
        EXPECT_EQ(c->whole(text).verdict, KT_VERDICT_BLOCK) << text;
}

TEST(LanguageValidator, OptionsAreChecked)
{
    EXPECT_NE(Configured("language-validator", "{allowed_languages: [en, klingon]}")
                  .error()
                  .find("allowed_languages[1]"),
              std::string::npos);
    EXPECT_NE(Configured("language-validator", "{blocked_languages: ['']}").error(), "");
    EXPECT_NE(Configured("language-validator", "{min_confidence: 2}").error(), "");
}
