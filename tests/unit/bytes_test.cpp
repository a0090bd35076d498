/* SPDX-License-Identifier: Apache-2.0 */
/* Sixteen bytes at a time against one at a time, on texts that end where their memory ends. */
#include "policyengine/detect/kt_bytes.h"
#include "policyengine/detect/kt_chars.h"
#include "policyengine/detect/kt_fold.h"
#include "policyengine/detect/kt_lexicon.h"

#include <gtest/gtest.h>
#include <random>
#include <vector>

namespace {

bool is_letter(unsigned char c)
{
    return kt_lexicon_letter(c);
}

bool is_stop(unsigned char c)
{
    return c == '.' || c == '!' || c == '?' || c == ';';
}

bool is_base64(unsigned char c)
{
    return kt_base64_value(c) >= 0;
}

bool is_digit(unsigned char c)
{
    return c >= '0' && c <= '9';
}

struct Set {
    const char *name;
    kt_bytes_set of;
    bool (*is)(unsigned char c);
};

const Set sets[] = {{"letters", kt_bytes_letters, is_letter},
                    {"stops", kt_bytes_stops, is_stop},
                    {"base64", kt_bytes_base64, is_base64},
                    {"digits", kt_bytes_digits, is_digit}};

/* Text of runs, in memory of its very size: a read behind the end is seen by ASan and Valgrind. */
std::vector<char> some_text(std::mt19937 &random, size_t len)
{
    std::vector<char> text;
    while (text.size() < len) {
        char c = random() % 3 ? "ab9 .-;_Z"[random() % 9] : static_cast<char>(random());
        for (unsigned n = random() % 24 + 1; n > 0 && text.size() < len; n--)
            text.push_back(c);
    }
    text.shrink_to_fit();
    return text;
}

TEST(Bytes, SetsHoldWhatTheySay)
{
    for (const Set &s : sets)
        for (unsigned base = 0; base < 256; base += 16) {
            char all[16];
            for (unsigned i = 0; i < 16; i++)
                all[i] = static_cast<char>(base + i);
            unsigned mask = kt_bytes_mask(s.of(kt_bytes_load(all)));
            for (unsigned i = 0; i < 16; i++)
                ASSERT_EQ(mask >> i & 1, static_cast<unsigned>(s.is(static_cast<unsigned char>(base + i))))
                    << s.name << " " << base + i;
        }
}

TEST(Bytes, FindsWhereASetBeginsAndEnds)
{
    std::mt19937 random(1);
    for (int round = 0; round < 3000; round++) {
        std::vector<char> text = some_text(random, random() % 90);
        const Set &s = sets[random() % KT_COUNT(sets)];
        size_t at = random() % (text.size() + 1), next = at, end = at;
        while (next < text.size() && !s.is(static_cast<unsigned char>(text[next])))
            next++;
        while (end < text.size() && s.is(static_cast<unsigned char>(text[end])))
            end++;
        ASSERT_EQ(kt_bytes_next(text.data(), text.size(), at, s.of), next) << s.name;
        ASSERT_EQ(kt_bytes_end(text.data(), text.size(), at, s.of), end) << s.name;
    }
}

TEST(Bytes, RunsAreThoseOfSingleBytes)
{
    std::mt19937 random(2);
    for (int round = 0; round < 2000; round++) {
        std::vector<char> text = some_text(random, round < 200 ? static_cast<size_t>(round) : random() % 400);
        const Set &s = sets[random() % KT_COUNT(sets)];
        kt_runs runs = kt_runs_of(text.data(), text.size());
        size_t start = 0, end = 0, at = 0;
        while (kt_runs_next(&runs, s.of, &start, &end)) {
            for (; at < start; at++)
                ASSERT_FALSE(s.is(static_cast<unsigned char>(text[at])));
            ASSERT_LT(start, end);
            ASSERT_LE(end, text.size());
            for (; at < end; at++)
                ASSERT_TRUE(s.is(static_cast<unsigned char>(text[at])));
            ASSERT_TRUE(end == text.size() || !s.is(static_cast<unsigned char>(text[end])));
        }
        for (; at < text.size(); at++)
            ASSERT_FALSE(s.is(static_cast<unsigned char>(text[at])));
    }
}

TEST(Bytes, EightAreThoseThatAreThere)
{
    const std::vector<char> text = {'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j'};
    for (size_t at = 0; at < text.size(); at++)
        for (size_t n = 0; n <= 8 && at + n <= text.size(); n++)
            EXPECT_EQ(kt_bytes_eight(text.data() + at, n, text.size() - at),
                      kt_lexicon_load(text.data() + at, n));
}

/* The fold of single bytes is the one that knows nothing of sixteen. */
TEST(Bytes, FoldsAsByteByByte)
{
    std::mt19937 random(3);
    for (int round = 0; round < 4000; round++) {
        std::vector<char> in;
        for (size_t n = random() % 120; in.size() < n;)
            in.push_back(random() % 12 ? "abcdeFGHIJ012 "[random() % 14]
                                       : " \n\t\\&~\x7f\xc3\xa9."[random() % 10]);
        in.shrink_to_fit();
        std::vector<char> whole(in.size() * 2 + 8), single(in.size() * 2 + 8);
        kt_fold a{}, b{};
        a.out = whole.data();
        b.out = single.data();
        a.cap = b.cap = whole.size();
        ASSERT_EQ(kt_fold_text(&a, in.data(), in.size(), true), in.size());
        for (size_t at = 0, n = 1; at < in.size(); n = 1) { /* the é is two bytes, or cut: as it comes */
            bool pair = in[at] == '\xc3' && at + 1 < in.size() && in[at + 1] == '\xa9';
            n = pair ? 2 : 1;
            ASSERT_EQ(kt_fold_text(&b, in.data() + at, n, true), n);
            at += n;
        }
        ASSERT_EQ(std::string(a.out, a.len), std::string(b.out, b.len));
    }
}

} // namespace
