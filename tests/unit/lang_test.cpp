/* SPDX-License-Identifier: Apache-2.0 */
#include "lang_sentences.hpp"

#include "policyengine/detect/kt_lang.h"
#include "policyengine/detect/kt_lang_words.h"

#include <gtest/gtest.h>
#include <map>
#include <random>
#include <string>
#include <vector>

static std::string lang(const std::string &text, double *confidence = nullptr)
{
    char out[3];
    double c = -1;
    std::vector<char> exact(text.begin(), text.end()); /* a sanitizer sees a byte read too far */
    exact.reserve(exact.size() + 1);
    EXPECT_TRUE(kt_is_ok(kt_lang_detect(exact.data() ? exact.data() : "", exact.size(), out, &c)));
    EXPECT_GE(c, 0.0);
    EXPECT_LE(c, 1.0);
    EXPECT_EQ(*out == 0, c == 0.0);
    if (confidence)
        *confidence = c;
    return out;
}

static const struct {
    const char *code, *text;
} texts[] = {
    {"en", "Please explain why the train was late and what we should tell the people who waited."},
    {"en", "How do I write a letter to my landlord?"},
    {"fr", "Bonjour, pouvez-vous m'expliquer pourquoi le train est en retard et ce que nous devons faire ?"},
    {"fr", "Écris une lettre à mon propriétaire, s'il te plaît."},
    {"de", "Bitte erkläre mir, warum der Zug zu spät kommt und was wir den Leuten sagen sollen."},
    {"de", "Wie schreibe ich einen Brief an meinen Vermieter?"},
    {"es", "Por favor, explícame por qué el tren llega tarde y qué debemos decir a la gente."},
    {"es", "¿Cómo escribo una carta a mi casero?"},
    {"it", "Per favore spiegami perché il treno è in ritardo e che cosa dobbiamo dire alla gente."},
    {"it", "Come si scrive una lettera al mio padrone di casa?"},
    {"pt", "Por favor, explique por que o trem está atrasado e o que devemos dizer às pessoas."},
    {"nl", "Leg alsjeblieft uit waarom de trein te laat is en wat wij tegen de mensen moeten zeggen."},
    {"pl", "Proszę wyjaśnij, dlaczego pociąg się spóźnia i co powinniśmy powiedzieć ludziom."},
    {"sv", "Förklara varför tåget är försenat och vad vi ska säga till dem som väntar."},
    {"da", "Forklar venligst, hvorfor toget er forsinket, og hvad vi skal sige til dem af os som venter."},
    {"no", "Forklar hvorfor toget er forsinket, hva vi skal si til noen av dem og hvordan vi ble så sene."},
    {"fi", "Selitä miksi juna on myöhässä ja mitä meidän pitää sanoa ihmisille jotka odottavat."},
    {"cs", "Prosím vysvětli, proč má vlak zpoždění a co bychom měli říct lidem, kteří už čekají."},
    {"ro", "Te rog să explici de ce trenul are întârziere și ce trebuie să le spunem oamenilor."},
    {"hu", "Kérem, magyarázza el, hogy miért késik a vonat, és mit kell mondani az embereknek."},
    {"tr", "Lütfen trenin neden geç kaldığını ve insanlara ne söylemek gerektiğini açıkla."},
    {"ru", "Пожалуйста, объясни, почему поезд опаздывает и что нам сказать людям, которые ждут."},
    {"uk", "Будь ласка, поясни, чому потяг запізнюється і що нам сказати людям, які чекають."},
    {"bg", "Моля, обясни защо влакът закъснява и какво трябва да кажем на хората, които чакат."},
    {"el", "Εξήγησε γιατί το τρένο καθυστερεί και τι πρέπει να πούμε στους ανθρώπους."},
    {"ar", "من فضلك اشرح لماذا تأخر القطار وماذا يجب أن نقول للناس الذين ينتظرون."},
    {"fa", "لطفاً توضیح دهید که چرا قطار دیر کرده است و به مردم چه بگوییم."},
    {"he", "בבקשה הסבר מדוע הרכבת מאחרת ומה עלינו לומר לאנשים שמחכים."},
    {"hi", "कृपया बताइए कि ट्रेन देर से क्यों आई और हमें लोगों से क्या कहना चाहिए।"},
    {"zh", "请解释火车为什么晚点,以及我们应该对等待的人说什么。"},
    {"ja", "電車が遅れた理由と、待っている人に何と言えばよいかを説明してください。"},
    {"ko", "기차가 늦은 이유와 기다리는 사람들에게 무엇을 말해야 하는지 설명해 주세요."},
    {"th", "กรุณาอธิบายว่าทำไมรถไฟถึงมาช้า"},
};

TEST(Lang, TellsLanguages)
{
    for (auto &t : texts) {
        double c = 0;
        EXPECT_EQ(lang(t.text, &c), t.code) << t.text;
        EXPECT_TRUE(kt_lang_known(t.code));
    }
}

TEST(Lang, LongTextIsSure)
{
    for (auto &t : texts) {
        std::string text;
        for (int i = 0; i < 400; i++)
            text += std::string(t.text) + "\n";
        double c = 0;
        EXPECT_EQ(lang(text, &c), t.code);
        EXPECT_GE(c, 0.5) << t.text;
    }
}

TEST(Lang, UnknownRatherThanWrong)
{
    static const char *const unknown[] = {
        "",
        " ",
        "?!",
        "42",
        "ok",
        "Anna Schmidt",
        "Paris, Berlin, Madrid, Roma",
        "if (x == null) { return foo.bar(); }",
        "0x7f 12:30 2026-11-21",
        "jane.roe@example.org",
        "https://example.com/the/of/and?is=that",
        "```\nfor the_thing in of_that: if the_thing == and_is: return\n```",
        "int the=of+and*to[in]; is_was=that_it/for_with;",
        "\xff\xfe\xfd\xfc",
        "\xe2\x82",
        "{\"name\":\"Janet Sullivan\",\"mail\":\"abby@example.com\"}"};
    for (const char *text : unknown) {
        double c = 1;
        EXPECT_EQ(lang(text, &c), "") << text;
        EXPECT_EQ(c, 0.0);
    }
    double c = 0;
    std::string half = "Please explain why the train was late and what we should tell the people. "
                       "Bitte erkläre mir, warum der Zug zu spät kommt und was wir den Leuten sagen.";
    lang(half, &c);
    EXPECT_LT(c, 0.5) << "two languages, half and half";
}

TEST(Lang, ALongPrefixDoesNotHideTheRest)
{
    std::string text = "Please explain why the train was late. ";
    for (int i = 0; i < 3000; i++)
        text += "Bitte erkläre mir, warum der Zug zu spät kommt. ";
    EXPECT_EQ(lang(text), "de");
}

TEST(Lang, CaseAndTypographicApostrophes)
{
    EXPECT_EQ(lang("POURQUOI LE TRAIN N’EST PAS À L’HEURE ET CE QUE NOUS DEVONS FAIRE ?"), "fr");
    EXPECT_EQ(lang("ПОЧЕМУ ПОЕЗД ОПАЗДЫВАЕТ И ЧТО НАМ СКАЗАТЬ ЛЮДЯМ"), "ru");
    EXPECT_EQ(lang("ΕΞΗΓΗΣΕ ΓΙΑΤΙ ΤΟ ΤΡΕΝΟ ΚΑΘΥΣΤΕΡΕΙ"), "el");
}

TEST(Lang, AnyBytesAreSurvived)
{
    std::mt19937 random(5);
    for (int round = 0; round < 3000; round++) {
        std::string text;
        for (unsigned n = random() % 300; n > 0; n--)
            text += static_cast<char>(random());
        lang(text);
    }
    lang(std::string(1 << 20, 'a'));
    lang(std::string(1 << 20, '\xc3'));
    for (auto &t : texts)
        for (size_t n = 0; n <= strlen(t.text); n++)
            lang(std::string(t.text, n));
}

TEST(Lang, TheWordTableHasRoomAndKnowsEveryWord)
{
    const kt_lang_table *w = kt_lang_words();
    ASSERT_NE(w, nullptr);
    size_t words = 0;
    static const char *const lists[] = {
#define KT_LANG(code, list) list,
#include "policyengine/detect/patterns/lang.def"
#undef KT_LANG
    };
    for (size_t i = 0; i < KT_LANG_WORDED; i++) {
        std::string list = lists[i];
        for (size_t at = 0; at < list.size();) {
            size_t end = list.find(' ', at);
            if (end == std::string::npos)
                end = list.size();
            std::string word = list.substr(at, end - at);
            if (!word.empty()) {
                EXPECT_TRUE(kt_lang_word(w, word.data(), word.size()) >> i & 1) << word;
                words++;
            }
            at = end + 1;
        }
        EXPECT_TRUE(kt_lang_known(kt_lang_code(static_cast<kt_lang_id>(i))));
    }
    EXPECT_LT(words, 8192u) << "at most half of the slots";
    EXPECT_EQ(kt_lang_word(w, "qqqq", 4), 0u);
    EXPECT_EQ(kt_lang_word(w, "", 0), 0u);
}

TEST(Lang, Codes)
{
    EXPECT_TRUE(kt_lang_known("zh"));
    EXPECT_TRUE(kt_lang_known("ar"));
    for (const char *bad : {"", "e", "xx", "eng", "r b", " a", "EN"})
        EXPECT_FALSE(kt_lang_known(bad)) << bad;
}

namespace {

/* The language as language-validator sees it by default: "?" = it passes; a language that cannot be told from
 * the right one counts as right. */
std::string seen(const char *text, const char *code)
{
    kt_langs g;
    EXPECT_TRUE(kt_is_ok(kt_lang_guess(text, strlen(text), &g)));
    for (size_t i = 0; i < g.count; i++)
        if (g.sets[i].confidence >= 0.6)
            return kt_lang_guessed(&g.sets[i], code) ? code : g.sets[i].codes[0];
    return "?";
}

struct Row {
    std::map<std::string, int> as;
    int all = 0;

    void add(const char *text, const char *code)
    {
        as[seen(text, code)]++;
        all++;
    }
    int wrong(const char *code)
    {
        return all - as[code] - as["?"];
    }
    std::string line(const char *code) const
    {
        std::string out = code;
        for (auto &c : as)
            if (c.second)
                out += " " + c.first + "=" + std::to_string(c.second);
        return out + " of " + std::to_string(all);
    }
};

} // namespace

/* The confusion of what people write: printed, and held to what it is. */
TEST(Lang, SentencesShortAndLong)
{
    Row all;
    for (auto &l : lang_sentences::all) {
        Row row;
        for (const char *text : l.brief)
            row.add(text, l.code);
        int brief = row.as[l.code];
        for (const char *text : l.longer)
            row.add(text, l.code);
        printf("  %s\n", row.line(l.code).c_str());
        EXPECT_EQ(row.wrong(l.code), 0) << l.code;
        EXPECT_GE(brief, 8) << l.code;
        EXPECT_GE(row.as[l.code], 18) << l.code;
        all.as["told"] += row.as[l.code];
        all.all += row.all;
    }
    EXPECT_GE(all.as["told"], 430) << "of " << all.all;
}

TEST(Lang, SentencesOfOtherSubjects)
{
    int told = 0, all = 0;
    for (auto &l : lang_sentences::unseen) {
        Row row;
        for (const char *text : l.text)
            row.add(text, l.code);
        printf("  %s\n", row.line(l.code).c_str());
        EXPECT_EQ(row.wrong(l.code), 0) << l.code;
        told += row.as[l.code];
        all += row.all;
    }
    EXPECT_GE(told * 100, all * 55) << told << " of " << all;
}

TEST(Lang, NamesAndCodeHaveNoLanguageStill)
{
    for (const char *text :
         {"Anna Schmidt", "Paris, Berlin, Madrid, Roma", "if (x == null) { return foo.bar(); }",
          "Jean de la Cruz", "SELECT id, name FROM users WHERE id = 7", "git commit -m fix",
          "Ludwig van Beethoven", "npm run build && npm test", "Die Hard 2 (1990)",
          "iPhone 15 Pro Max 256 GB", "Привет"}) {
        std::string as = seen(text, "en");
        bool latin = static_cast<unsigned char>(text[0]) < 0x80;
        EXPECT_TRUE(!latin || as == "?" || as == "en") << text << " " << as;
    }
}
