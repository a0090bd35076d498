/* SPDX-License-Identifier: Apache-2.0 */
/* What has no needle has no match: texts made from the phrases themselves, whole, cut and mixed, are asked of
 * the needles and of the pattern engine. */
#include "slow.hpp"
#include "policyengine/detect/kt_scan.h"

#include <cstring>
#include <gtest/gtest.h>
#include <ostream>
#include <random>
#include <set>
#include <string>
#include <vector>

namespace {

const char *const injection[] = {
#define KT_CONCEPT(name, words)
#define KT_PHRASE(family, weight, regex) regex,
#define KT_RULE(family, weight, gap, ...)
#define KT_NEXT(family, weight, gap, ...)
#include "policyengine/detect/patterns/injection.def"
};
const char *const safety[] = {
#include "policyengine/detect/patterns/safety.def"
};

/* One of the texts that an expression stands for, by chance. Knows what the tables use. */
class Maker {
  public:
    explicit Maker(unsigned seed) : random_(seed) {}

    std::string text(const char *regex)
    {
        at_ = regex;
        std::string out = either();
        EXPECT_EQ(*at_, '\0') << regex;
        return out;
    }

    size_t below(size_t n)
    {
        return random_() % n;
    }

  private:
    std::string either()
    {
        std::vector<std::string> all{row()};
        while (*at_ == '|') {
            at_++;
            all.push_back(row());
        }
        return all[below(all.size())];
    }

    std::string row()
    {
        std::string out;
        while (*at_ && *at_ != '|' && *at_ != ')')
            out += piece();
        return out;
    }

    /* Each repeat is made anew: a group is read as often as it stands there. */
    std::string piece()
    {
        const char *begin = at_;
        std::string one = atom();
        unsigned least = 1, most = 1;
        if (*at_ == '?' || *at_ == '*' || *at_ == '+') {
            least = *at_ == '+';
            most = *at_++ == '?' ? 1 : 3;
        } else if (*at_ == '{') {
            char *end;
            least = most = static_cast<unsigned>(strtoul(at_ + 1, &end, 10));
            if (*end == ',')
                most = static_cast<unsigned>(strtoul(end + 1, &end, 10));
            at_ = end + 1;
            if (most < least)
                most = least + 3;
        }
        const char *behind = at_;
        std::string out;
        for (size_t n = least + below(most - least + 1); n > 0; n--) {
            at_ = begin;
            out += atom();
        }
        at_ = behind;
        return out;
    }

    std::string atom()
    {
        char c = *at_++;
        if (c == '(') {
            at_ += 2;
            std::string out = either();
            at_++;
            return out;
        }
        if (c == '^' || c == '$')
            return "";
        if (c == '[')
            return std::string(1, in_class());
        if (c == '.')
            return "x";
        if (c != '\\')
            return std::string(1, c);
        c = *at_++;
        return c == 'b' ? "" : std::string(1, escaped(c));
    }

    char escaped(char c)
    {
        return c == 'n'   ? '\n'
               : c == 'w' ? "abz09_"[below(6)]
               : c == 's' ? " \n"[below(2)]
               : c == 'd' ? '7'
                          : c;
    }

    char in_class()
    {
        bool other = *at_ == '^';
        at_ += other;
        std::string all;
        while (*at_ != ']') {
            char c = *at_++;
            if (c == '\\')
                c = escaped(*at_++);
            all += c;
            if (at_[0] == '-' && at_[1] != ']') {
                for (int i = c + 1; i <= at_[1]; i++)
                    all += static_cast<char>(i);
                at_ += 2;
            }
        }
        at_++;
        if (!other)
            return all[below(all.size())];
        char c = 'a';
        while (all.find(c) != std::string::npos)
            c++;
        return c;
    }

    std::mt19937 random_;
    const char *at_ = "";
};

struct Found {
    size_t len;
    std::set<unsigned> patterns;
};

bool note(void *ctx, unsigned pattern, size_t end)
{
    auto *found = static_cast<Found *>(ctx);
    if (end <= found->len)
        found->patterns.insert(pattern);
    return false;
}

/* What the engine finds in it: so much behind it that needles are not asked. */
std::set<unsigned> matches(const kt_scan *scan, const std::string &text)
{
    Found found{text.size(), {}};
    std::string padded = text + std::string(300, '\n');
    EXPECT_EQ(kt_scan_run(scan, padded.data(), padded.size(), note, &found).code, KT_OK);
    return found.patterns;
}

std::set<unsigned> matches_alone(const kt_scan *scan, const std::string &text)
{
    Found found{text.size(), {}};
    EXPECT_EQ(kt_scan_run(scan, text.data(), text.size(), note, &found).code, KT_OK);
    return found.patterns;
}

struct Set {
    kt_scan_set id;
    const kt_scan_image *image;
    std::vector<const char *> phrases;
};

void PrintTo(const Set &set, std::ostream *out)
{
    *out << set.image->name;
}

class Needles : public testing::TestWithParam<Set> {
  protected:
    void SetUp() override
    {
        ASSERT_EQ(kt_scan_get(GetParam().id, &scan_, nullptr).code, KT_OK);
        ASSERT_NE(GetParam().image->needles, nullptr);
        ASSERT_EQ(GetParam().phrases.size(), GetParam().image->patterns);
    }

    bool may(const std::string &text) const
    {
        return kt_needles_may(GetParam().image->needles, text.data(), text.size());
    }

    const kt_scan *scan_ = nullptr;
};

TEST_P(Needles, StandInAllThatAPhraseStandsFor)
{
    Maker make(1);
    for (unsigned i = 0; i < GetParam().phrases.size(); i++) {
        int matched = 0;
        for (size_t k = 0; k < slow::fewer(150); k++) {
            std::string text = make.text(GetParam().phrases[i]);
            for (const std::string &whole : {text, " " + text + " ", "\n" + text + "\n"}) {
                if (!matches(scan_, whole).count(i))
                    continue;
                matched++;
                ASSERT_TRUE(may(whole)) << GetParam().phrases[i] << "\n" << whole;
            }
        }
        EXPECT_GT(matched, slow::machine() ? 0 : 30) << GetParam().phrases[i];
    }
}

/* Ends that no longer are ends, halves of two phrases, a byte that changed. */
TEST_P(Needles, StandInWhateverMatches)
{
    Maker make(2);
    const auto &phrases = GetParam().phrases;
    int matched = 0;
    for (size_t k = 0; k < slow::fewer(5000); k++) {
        std::string a = make.text(phrases[make.below(phrases.size())]),
                    b = make.text(phrases[make.below(phrases.size())]);
        std::string text = a.substr(make.below(a.size() + 1) / 2) + "x _.1\n'"[make.below(7)] +
                           b.substr(0, b.size() - make.below(b.size() + 1) / 2);
        if (make.below(2))
            text[make.below(text.size())] = "a \n0-"[make.below(5)];
        if (matches(scan_, text).empty())
            continue;
        matched++;
        ASSERT_TRUE(may(text)) << text;
    }
    EXPECT_GT(matched, slow::machine() ? 10 : 200);
}

TEST_P(Needles, AShortTextHasTheMatchesOfALongOne)
{
    Maker make(3);
    for (const char *phrase : GetParam().phrases)
        for (size_t k = 0; k < slow::fewer(20); k++) {
            std::string text = "\n" + make.text(phrase).substr(0, 240) + "\n";
            ASSERT_EQ(matches_alone(scan_, text), matches(scan_, text)) << text;
        }
}

TEST_P(Needles, AreNotInEveryText)
{
    for (const char *text :
         {"", "a", "ab", "abc", "summarise the note for a colleague who was not in the meeting.",
          "quelle est la capitale de la france ?", "technology headlines focus"})
        EXPECT_FALSE(may(text)) << text;
}

INSTANTIATE_TEST_SUITE_P(
    Sets, Needles,
    testing::Values(
        Set{KT_SCAN_INJECTION, &kt_scan_image_injection, {std::begin(injection), std::end(injection)}},
        Set{KT_SCAN_SAFETY, &kt_scan_image_safety, {std::begin(safety), std::end(safety)}}),
    [](const auto &set) { return std::string(set.param.image->name); });

} // namespace
