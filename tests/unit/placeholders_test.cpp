/* SPDX-License-Identifier: Apache-2.0 */
/* Names for values, and the way back. */
#include "policyengine/chain/kt_numbers.h"
#include "policyengine/chain/kt_restore.h"
#include "policyengine/chain/kt_shape.h"

#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <string>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace {

struct Free {
    void operator()(kt_placeholders *p) const
    {
        kt_placeholders_free(p);
    }
    void operator()(kt_restorer *r) const
    {
        kt_restorer_free(r);
    }
};
using Names = std::unique_ptr<kt_placeholders, Free>;
using Restorer = std::unique_ptr<kt_restorer, Free>;

Names names()
{
    return Names(kt_placeholders_new());
}

std::string name(const Names &n, const std::string &value, const char *kind = "EMAIL", bool restore = true)
{
    const char *s = kt_placeholders_name(n.get(), kind, value.data(), value.size(), restore);
    return s ? s : "";
}

Restorer restorer(const Names &n)
{
    kt_restorer *r = nullptr;
    EXPECT_EQ(kt_restorer_new(n.get(), &r).code, KT_OK);
    return Restorer(r);
}

struct Edit {
    size_t start, end;
    std::string with;
};

/* The restored text, shown in windows that end where `cuts` say. */
std::string restored(kt_restorer *r, const std::string &text, const std::vector<size_t> &cuts = {},
                     bool json = false, size_t *held_max = nullptr)
{
    if (!r)
        return text;
    std::string out;
    kt_restore_text t = {};
    t.json = json;
    size_t base = 0, written = 0;
    std::vector<size_t> ends = cuts;
    ends.push_back(text.size());
    for (size_t end : ends) {
        bool final = end == text.size();
        std::vector<Edit> edits;
        auto fn = [](void *arg, size_t a, size_t b, struct kt_span with) {
            static_cast<std::vector<Edit> *>(arg)->push_back({a, b, std::string(with.data, with.len)});
            return kt_ok();
        };
        /* A copy of exactly the window: reading past it is an error that the sanitizer sees. */
        std::string window(text, base, end - base);
        std::unique_ptr<char[]> exact(new char[window.size() + (window.empty() ? 1 : 0)]);
        std::copy(window.begin(), window.end(), exact.get());
        size_t hold = 0;
        EXPECT_EQ(kt_restorer_scan(r, &t, exact.get(), window.size(), base, final, fn, &edits, &hold).code,
                  KT_OK);
        EXPECT_LE(hold, end);
        EXPECT_GE(hold, base);
        if (held_max)
            *held_max = std::max(*held_max, end - hold);
        for (const Edit &e : edits) {
            EXPECT_GE(e.start, written);
            EXPECT_LE(e.end, hold) << "an edit of what is held";
            out += text.substr(written, e.start - written) + e.with;
            written = e.end;
        }
        out += text.substr(written, hold - written);
        written = base = hold;
    }
    EXPECT_EQ(written, text.size());
    return out;
}

} // namespace

/* ---- numbers ---- */

TEST(Placeholders, NumbersAreBoundedAndTheLatestStay)
{
    kt_numbers_forget();
    for (unsigned i = 0; i < 10 * KT_NUMBERS_MAX; i++) {
        std::string v = "value" + std::to_string(i);
        kt_numbers_put(0, "K", v.data(), v.size(), i + 1);
        ASSERT_EQ(kt_numbers_get(0, "K", "value0", 6), 1u) << "used all the time: it stays";
    }
    unsigned known = 0;
    for (unsigned i = 0; i < 10 * KT_NUMBERS_MAX; i++) {
        std::string v = "value" + std::to_string(i);
        unsigned n = kt_numbers_get(0, "K", v.data(), v.size());
        EXPECT_TRUE(n == 0 || n == i + 1) << i;
        known += n != 0;
    }
    EXPECT_LE(known, 2 * KT_NUMBERS_MAX);
    EXPECT_GE(known, KT_NUMBERS_MAX);
    EXPECT_EQ(kt_numbers_get(0, "K", ("value" + std::to_string(10 * KT_NUMBERS_MAX - 1)).c_str(), 10),
              81920u);
}

TEST(Placeholders, NumbersKeepKindAndValueApart)
{
    kt_numbers_forget();
    kt_numbers_put(0, "AB", "c", 1, 7);
    EXPECT_EQ(kt_numbers_get(0, "AB", "c", 1), 7u);
    EXPECT_EQ(kt_numbers_get(0, "A", "Bc", 2), 0u);
    EXPECT_EQ(kt_numbers_get(0, "ABc", "", 0), 0u);
    EXPECT_EQ(kt_numbers_get(0, "AB", "c\0", 2), 0u) << "zeros count";
    EXPECT_EQ(kt_numbers_get(0, "AB", "", 0), 0u);
}

TEST(Placeholders, NumbersSurviveThreadsAndForks)
{
    kt_numbers_forget();
    kt_numbers_put(0, "K", "parent", 6, 5);
    std::vector<std::thread> threads;
    std::atomic<bool> stop{false}, wrong{false};
    for (int t = 0; t < 3; t++)
        threads.emplace_back([&, t] {
            for (unsigned i = 1; !stop; i++) {
                std::string v = std::to_string(t) + ":" + std::to_string(i % 500);
                unsigned want = 1 + i % 500, n = kt_numbers_get(0, "K", v.data(), v.size());
                if (n != 0 && n != want)
                    wrong = true;
                kt_numbers_put(0, "K", v.data(), v.size(), want);
            }
        });
    for (int i = 0; i < 50; i++) {
        pid_t pid = fork();
        ASSERT_GE(pid, 0);
        if (pid == 0) {
            alarm(20);
            unsigned n = kt_numbers_get(0, "K", "parent", 6); /* known, or the table was torn and is empty */
            kt_numbers_put(0, "K", "child", 5, 9);
            _exit((n == 5 || n == 0) && kt_numbers_get(0, "K", "child", 5) == 9 ? 0 : 1);
        }
        int status = 0;
        ASSERT_EQ(waitpid(pid, &status, 0), pid);
        EXPECT_EQ(status, 0);
    }
    stop = true;
    for (auto &t : threads)
        t.join();
    EXPECT_FALSE(wrong);
    EXPECT_EQ(kt_numbers_get(0, "K", "child", 5), 0u);
}

/* ---- the shape ---- */

TEST(Shape, ToleratesWhatModelsDo)
{
    Names n = names();
    ASSERT_EQ(name(n, "bob@x.org"), "[EMAIL_1]");
    ASSERT_EQ(name(n, "4111", "CREDIT_CARD"), "[CREDIT_CARD_1]");
    Restorer r = restorer(n);
    const struct {
        const char *text, *want;
    } rows[] = {
        {"[EMAIL_1]", "bob@x.org"},
        {"[email_1]", "bob@x.org"},
        {"[Email_1]", "bob@x.org"},
        {"[EMAIL 1]", "bob@x.org"},
        {"[EMAIL-1]", "bob@x.org"},
        {"[EMAIL1]", "bob@x.org"},
        {"[EMAIL__1]", "bob@x.org"},
        {"[ EMAIL_1 ]", "bob@x.org"},
        {"[EMAIL: 1]", "bob@x.org"},
        {"[EMAIL #1]", "bob@x.org"},
        {"[EMAIL\\_1]", "bob@x.org"},
        {"\\[EMAIL\\_1\\]", "bob@x.org"},
        {"**[EMAIL_1]**", "**bob@x.org**"},
        {"[**EMAIL_1**]", "bob@x.org"},
        {"`[EMAIL_1]`", "`bob@x.org`"},
        {"[[EMAIL_1]]", "[bob@x.org]"},
        {"(EMAIL_1)", "(bob@x.org)"},
        {"<EMAIL_1>", "<bob@x.org>"},
        {"{EMAIL_1}", "{bob@x.org}"},
        {"{{EMAIL_1}}", "{{bob@x.org}}"},
        {"Bob <[EMAIL_1]>", "Bob <bob@x.org>"},
        {"[credit card 1]", "4111"},
        {"[CREDITCARD_1]", "4111"},
        {"[EMAIL_1][EMAIL_1]", "bob@x.orgbob@x.org"},
        /* and what they do not mean */
        {"(email_1)", "(email_1)"},
        {"(EMAIL 1)", "(EMAIL 1)"},
        {"<EMAIL_1)", "<EMAIL_1)"},
        {"EMAIL_1", "EMAIL_1"},
        {"[EMAIL_2]", "[EMAIL_2]"},
        {"[EMAIL_11]", "[EMAIL_11]"},
        {"[EMAIL_]", "[EMAIL_]"},
        {"[EMAIL]", "[EMAIL]"},
        {"[1]", "[1]"},
        {"[EMAIL\n_1]", "[EMAIL\n_1]"},
        {"[EMAIL, 1]", "[EMAIL, 1]"},
        {"[EMAIL_1", "[EMAIL_1"},
        {"EMAIL_1]", "EMAIL_1]"},
        {"[XEMAIL_1]", "[XEMAIL_1]"},
        {"[EMAIL_1](mailto)", "bob@x.org(mailto)"},
        {"\\[EMAIL_1]", "\\bob@x.org"},
        {"[]", "[]"},
        {"[", "["},
        {"\\", "\\"},
        {"", ""},
    };
    for (const auto &row : rows)
        EXPECT_EQ(restored(r.get(), row.text), row.want) << row.text;
    std::string wide = "[EMAIL_" + std::string(100, ' ') + "1]";
    EXPECT_EQ(restored(r.get(), wide), wide) << "too long for a placeholder";
}

TEST(Shape, NoTwoNamesReadAlike)
{
    Names n = names();
    for (int i = 1; i <= 41; i++)
        name(n, "ip" + std::to_string(i), "IPV");
    ASSERT_EQ(name(n, "four", "IPV4"), "[IPV4_2]") << "[IPV4_1] reads as [IPV_41]";
    Restorer r = restorer(n);
    EXPECT_EQ(restored(r.get(), "[IPV_41] [ipv 41] [ipv4 1] [IPV42]"), "ip41 ip41 ip41 four");
    EXPECT_EQ(restored(r.get(), "(IPV4_1) (IPV_41)"), "(IPV4_1) (ip41)");
}

/* ---- what may be restored ---- */

TEST(Restore, OnlyWhatThePolicyAllowed)
{
    Names n = names();
    ASSERT_EQ(name(n, "secret@x.org", "EMAIL", false), "[EMAIL_1]");
    EXPECT_EQ(restorer(n), nullptr) << "nothing to do, nothing allocated";
    ASSERT_EQ(name(n, "open@x.org", "EMAIL", true), "[EMAIL_2]");
    Restorer r = restorer(n);
    EXPECT_EQ(restored(r.get(), "[EMAIL_1] [EMAIL_2]"), "[EMAIL_1] open@x.org");
    ASSERT_EQ(name(n, "late@x.org", "EMAIL", true), "[EMAIL_3]");
    EXPECT_EQ(restored(r.get(), "[EMAIL_3]"), "[EMAIL_3]") << "the request did not carry it";
    EXPECT_EQ(kt_restorer_value(r.get(), "[EMAIL_1]", 9).data, nullptr);
    EXPECT_EQ(kt_restorer_value(r.get(), "[email_2]", 9).data, nullptr);
    EXPECT_TRUE(kt_span_eq(kt_restorer_value(r.get(), "[EMAIL_2]", 9), "open@x.org"));
}

TEST(Restore, ValuesPastTheBoundStayAway)
{
    Names n = names();
    std::string big(KT_PLACEHOLDERS_BYTES, 'x');
    ASSERT_EQ(name(n, big, "A"), "[A_1]");
    ASSERT_EQ(name(n, "small", "A"), "[A]");
    Restorer r = restorer(n);
    EXPECT_EQ(restored(r.get(), "[A] [a]"), "[A] [a]");
    EXPECT_EQ(restored(r.get(), "[A 1]"), big);
}

TEST(Restore, IntoJsonSource)
{
    Names n = names();
    ASSERT_EQ(name(n, "a\"b\\c\n", "NAME"), "[NAME_1]");
    Restorer r = restorer(n);
    EXPECT_EQ(restored(r.get(), "{\"to\":\"[NAME_1]\"}", {}, true), "{\"to\":\"a\\\"b\\\\c\\n\"}");
    EXPECT_EQ(restored(r.get(), "{\"to\":[NAME_1]}", {}, true), "{\"to\":\"a\\\"b\\\\c\\n\"}")
        << "no bare word in JSON";
    EXPECT_EQ(restored(r.get(), "{\"q\\\"\":\"\\\\[NAME\\\\_1\\\\]\"}", {}, true),
              "{\"q\\\"\":\"a\\\"b\\\\c\\n\"}");
    EXPECT_EQ(restored(r.get(), "[\"x\",\"[NAME_1]\",1]", {}, true), "[\"x\",\"a\\\"b\\\\c\\n\",1]");
}

/* Each string of JSON around a placeholder escapes the value once. */
TEST(Restore, IntoJsonWithinStringsOfJson)
{
    Names n = names();
    ASSERT_EQ(name(n, "a\"b\\c", "NAME"), "[NAME_1]");
    ASSERT_EQ(name(n, "1\",\"2", "NAME"), "[NAME_2]");
    Restorer r = restorer(n);
    for (bool known : {false, true}) {
        EXPECT_EQ(restored(r.get(), R"({"a":"{\"b\":\"[NAME_1]\"}"})", {}, known),
                  R"({"a":"{\"b\":\"a\\\"b\\\\c\"}"})");
        EXPECT_EQ(restored(r.get(), R"({"a":"{\"b\":\"{\\\"c\\\":\\\"[NAME_1]\\\"}\"}","d":"[NAME_1]"})", {},
                           known),
                  R"({"a":"{\"b\":\"{\\\"c\\\":\\\"a\\\\\\\"b\\\\\\\\c\\\"}\"}","d":"a\"b\\c"})");
        EXPECT_EQ(restored(r.get(), R"({"a":"no JSON: [NAME_1]"})", {}, known),
                  R"({"a":"no JSON: a\"b\\c"})");
        EXPECT_EQ(restored(r.get(), R"({"a":"[NAME_2]"})", {}, known), R"({"a":"1\",\"2"})")
            << "no member of its own";
    }
    EXPECT_EQ(restored(r.get(), R"(see {"a":"[NAME_1]"})"), R"(see {"a":"a"b\c"})") << "that text is no JSON";
    EXPECT_EQ(restored(r.get(), R"({"a":"{\"b\":[NAME_1]}"})", {}, true), R"({"a":"{\"b\":a\"b\\c}"})")
        << "no value of the inner JSON, and the outer one stays whole";
}

TEST(Restore, IsTheSameHoweverTheTextIsCut)
{
    Names n = names();
    ASSERT_EQ(name(n, "bob@x.org"), "[EMAIL_1]");
    ASSERT_EQ(name(n, "a\"\\b", "CREDIT_CARD"), "[CREDIT_CARD_1]");
    Restorer r = restorer(n);
    const std::string texts[] = {
        "to \\[email\\_1\\], [EMAIL 1] and (EMAIL_1); [EMAIL_2], [[CREDIT CARD_1]] \\\\[EMAIL_1\\] [",
        "{\"a\":\"[EMAIL_1]\\\\\",\"b\":[CREDIT_CARD_1],\"c\":\"\\\\[EMAIL_1\\\\]\",\"d\\\"\":\"[CREDIT_CARD_"
        "1]\"}",
        "\\\\\\\\\\\\[EMAIL_1\\\\]\\",
        R"({"a":"{\"b\":\"{\\\"c\\\":\\\"[CREDIT_CARD_1]\\\\\\\\[EMAIL_1\\\\\\\\]\\\"}\"}","d":"[CREDIT_CARD_1]"})",
    };
    for (const auto &text : texts)
        for (bool json : {false, true}) {
            std::string whole = restored(r.get(), text, {}, json);
            for (size_t a = 0; a <= text.size(); a++)
                for (size_t b = a; b <= text.size(); b += 3)
                    ASSERT_EQ(restored(r.get(), text, {a, b}, json), whole) << a << " " << b << " " << text;
            std::vector<size_t> every;
            for (size_t i = 1; i < text.size(); i++)
                every.push_back(i);
            EXPECT_EQ(restored(r.get(), text, every, json), whole);
        }
}

TEST(Restore, HoldsOnlyWhatMayBecomeAPlaceholder)
{
    Names n = names();
    ASSERT_EQ(name(n, "bob@x.org"), "[EMAIL_1]");
    Restorer r = restorer(n);
    size_t held = 0;
    std::vector<size_t> every;
    std::string text = "see [1] and [Example 3], array[i], {\"a\": [1, 2]}, f(x), <b>, plain prose";
    for (size_t i = 1; i < text.size(); i++)
        every.push_back(i);
    EXPECT_EQ(restored(r.get(), text, every, false, &held), text);
    EXPECT_LE(held, 2u) << "a bracket, and an E behind it";
    std::string endless = "[" + std::string(5000, '_');
    every.clear();
    for (size_t i = 1; i < endless.size(); i++)
        every.push_back(i);
    held = 0;
    EXPECT_EQ(restored(r.get(), endless, every, false, &held), endless);
    EXPECT_LE(held, KT_SHAPE_MAX + 1u);
}

/* ---- there and back ---- */

TEST(Restore, RedactThenRestoreIsTheIdentity)
{
    std::mt19937 rng(20240607);
    const std::string scraps[] = {"[",
                                  "]",
                                  "\\",
                                  "(",
                                  ")",
                                  "[EMAIL_1]",
                                  "[email 2]",
                                  "EMAIL_1",
                                  " ",
                                  "_",
                                  "1",
                                  "<",
                                  ">",
                                  "EMAIL",
                                  "\xC3\xA9",
                                  "\n",
                                  "[EMAIL_",
                                  "(EMAIL_3)",
                                  "\\[EMAIL_1\\]",
                                  "{",
                                  "}",
                                  "[CARD-1]",
                                  "text",
                                  "\""};
    for (int round = 0; round < 4000; round++) {
        /* A text of values and scraps, the values known; as a policy would find them. */
        std::string text, redacted;
        struct Piece {
            std::string s;
            int kind; /* 0: no value */
        };
        std::vector<Piece> pieces;
        for (unsigned i = 0, count = rng() % 12; i < count; i++) {
            unsigned k = rng() % 4;
            if (k == 0)
                pieces.push_back({"v" + std::to_string(rng() % 4) + scraps[rng() % 24], 1});
            else if (k == 1)
                pieces.push_back({scraps[rng() % 24] + std::to_string(rng() % 3), 2});
            else
                pieces.push_back({scraps[rng() % 24], 0});
            text += pieces.back().s;
        }
        if (!pieces.empty() && pieces[0].kind == 0) { /* of JSON a policy tells what stands in its strings */
            pieces[0].s.insert(0, "x");
            text.insert(0, "x");
        }
        Names n = names();
        struct Arg {
            kt_placeholders *p;
            std::string *text;
        } arg = {n.get(), &text};
        kt_placeholders_on_restore(
            n.get(),
            [](void *a) {
                auto *x = static_cast<Arg *>(a);
                kt_placeholders_avoid(x->p, x->text->data(), x->text->size());
            },
            &arg);
        for (const Piece &p : pieces)
            redacted += p.kind ? name(n, p.s, p.kind == 1 ? "EMAIL" : "CARD") : p.s;
        Restorer r = restorer(n);
        ASSERT_EQ(restored(r.get(), redacted), text) << redacted;
        size_t a = redacted.empty() ? 0 : rng() % redacted.size();
        ASSERT_EQ(restored(r.get(), redacted, {a, std::min(a + rng() % 9, redacted.size())}), text)
            << redacted;
    }
}

TEST(Restore, NoNameIsSafeWhereTheTextHoldsTooManyLookAlikes)
{
    std::string text;
    for (unsigned i = 0; i < 70000; i++)
        text += "[K_" + std::to_string(i) + "]";
    Names n = names();
    kt_placeholders_on_restore(
        n.get(), [](void *) {}, nullptr);
    kt_placeholders_avoid(n.get(), text.data(), text.size());
    EXPECT_EQ(name(n, "value", "K").substr(0, 3), "[K_");
    EXPECT_EQ(restorer(n), nullptr);
}
