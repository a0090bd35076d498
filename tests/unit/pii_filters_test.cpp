/* SPDX-License-Identifier: Apache-2.0 */
/* What the scanner does not ask (KT_PII_TOLD, forms, rows) must not be a value: texts full of numbers give
 * what they give where every kind is asked at every number. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow" /* a function has the name of its struct: of no matter in C */
#include "policyengine/detect/kt_pii_text.h"
#pragma GCC diagnostic pop

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

namespace {

struct Hit {
    std::string label;
    size_t start, end;
    bool operator==(const Hit &o) const
    {
        return label == o.label && start == o.start && end == o.end;
    }
};

std::ostream &operator<<(std::ostream &out, const Hit &h)
{
    return out << h.label << ' ' << h.start << ' ' << h.end;
}

std::vector<Hit> scanned(const std::string &text)
{
    std::vector<Hit> hits;
    kt_pii_table table = {};
    kt_pii_view v = {};
    size_t hold = 0;
    v.data = text.data();
    v.len = text.size();
    v.final = true;
    v.table = &table;
    kt_pii_scan(
        &v, 0, UINT32_MAX,
        [](void *ctx, const kt_pii_kind *k, size_t start, size_t end) {
            static_cast<std::vector<Hit> *>(ctx)->push_back({k->label, start, end});
        },
        &hits, &hold);
    return hits;
}

unsigned starts_with(const std::string &text, size_t at, size_t end)
{
    if (kt_pii_digit(static_cast<unsigned char>(text[at])))
        return KT_PII_AT_DIGIT;
    return end > at ? KT_PII_AT_LETTER : KT_PII_AT_SIGN;
}

/* A word of digits that is the rest of a number ("12.34") is never asked about. */
bool goes_on(const kt_pii_view *v, size_t at, size_t end)
{
    size_t i = at;
    while (i < end && kt_pii_digit(static_cast<unsigned char>(v->data[i])))
        i++;
    return end > at && i == end && !kt_pii_starts_number(v, at);
}

/* Asks every kind at every word, with no memory of what stands in front. Of texts of digits and words only.
 */
std::vector<Hit> asked(const std::string &text)
{
    std::vector<Hit> hits;
    size_t count;
    const kt_pii_kind *const *kinds = kt_pii_kinds(&count);
    kt_pii_view v = {};
    v.data = text.data();
    v.len = text.size();
    v.final = true;
    for (size_t at = 0; at < text.size();) {
        size_t word = at;
        while (word < text.size() && kt_pii_word(static_cast<unsigned char>(text[word])))
            word++;
        bool sign = text[at] == '+' || text[at] == '(', found = false;
        unsigned starts = starts_with(text, at, word);
        for (size_t i = 0;
             i < count && !found && (word > at || sign) && kt_pii_starts(&v, at) && !goes_on(&v, at, word);
             i++) {
            const kt_pii_kind *k = kinds[i];
            bool length = !k->words || k->words >> (word - at < 63 ? word - at : 63) & 1;
            size_t start = at, end = at;
            kt_pii_cache fresh;
            kt_pii_cache_init(&fresh);
            v.cache = &fresh;
            if (!(k->starts & starts) || !length || k->match(&v, at, &start, &end) != KT_PII_YES)
                continue;
            hits.push_back({k->label, start, end});
            v.floor = end;
            v.hit = start;
            v.last = k;
            found = true;
        }
        at = found ? v.floor : word > at ? word : at + 1;
    }
    return hits;
}

/* Rows of groups in the sizes of all kinds, right and wrong ones, some behind words. No tables. */
class Maker {
  public:
    explicit Maker(unsigned seed) : rng(seed) {}

    std::string text()
    {
        static const char *const joins[] = {" ", " ", " ", "-", ".", "/", " - ", " / ", ", ", "\n", "  "};
        static const char *const words[] = {"tel ",       "order ", "card ",          "DOB ",        "cvv ",
                                            "my tax id ", "exp ",   "routing ",       "NHS ",        "born ",
                                            "VAT ",       "SSN ",   "security code ", "MRN ",        "npi ",
                                            "passport ",  "and ",   "IBAN ",          "personal id "};
        std::string out;
        const char *join = joins[below(std::size(joins))];
        bool silent = below(2) == 0;
        while (out.size() < 400) {
            if (!silent && below(8) == 0)
                out += words[below(std::size(words))];
            out += value(below(3) ? join : joins[below(std::size(joins))]);
            out += below(4) ? join : " ";
        }
        return out;
    }

  private:
    std::mt19937 rng;

    size_t below(size_t n)
    {
        return rng() % n;
    }

    std::string digits(size_t n)
    {
        std::string out;
        while (out.size() < n)
            out += static_cast<char>('0' + below(10));
        return out;
    }

    static void luhn(std::string *all)
    {
        for (char c = '0'; c <= '9' && !kt_pii_luhn(all->data(), all->size()); c++)
            all->back() = c;
    }

    std::string value(const char *join)
    {
        static const char *const forms[] = {"4444", "465",
                                            "324",  "334",
                                            "9",    "a",
                                            "b",    "22222",
                                            "224",  "2333",
                                            "441",  "3",
                                            "4",    "22",
                                            "1",    "2",
                                            "5",    "1222332",
                                            "64",   "67",
                                            "333",  "444",
                                            "3332", "8",
                                            "233",  "12",
                                            "d",    "f",
                                            "g",    "1334",
                                            "7",    "6",
                                            "422",  "63",
                                            "451",  "54",
                                            "36",   "1111111111111111"};
        std::string form = forms[below(std::size(forms))], out;
        size_t sum = 0, at = 0;
        for (char c : form)
            sum += kt_pii_form_size(c);
        std::string all = digits(sum);
        if (below(3) == 0)
            all[0] = '4';
        if (below(3) == 0)
            luhn(&all);
        for (char c : form) {
            out += (at ? join : "") + all.substr(at, kt_pii_form_size(c));
            at += kt_pii_form_size(c);
        }
        return (below(20) == 0 ? "+" : "") + out + (below(30) == 0 ? "x" : "");
    }
};

} // namespace

TEST(PiiFilters, NoValueIsPassedOver)
{
    size_t hits = 0;
    for (unsigned seed = 0; seed < 2000; seed++) {
        std::string text = Maker(seed).text();
        std::vector<Hit> all = asked(text);
        EXPECT_EQ(scanned(text), all) << text;
        hits += all.size();
    }
    EXPECT_GT(hits, 2900u);
}

TEST(PiiFilters, RowsOfNumbersAreReadToTheirEnd)
{
    std::string row; /* longer than what is read of a row at once */
    for (unsigned i = 0; i < 300; i++)
        row += std::to_string(i % 90 + 10) + " ";
    std::vector<Hit> hits = scanned(row + "card 4111 1111 1111 1111");
    ASSERT_EQ(hits.size(), 1u);
    EXPECT_EQ(hits[0], (Hit{"card", row.size() + 5, row.size() + 24}));
}
