/* SPDX-License-Identifier: Apache-2.0 */
/* What `kt policy eval` computes, against figures worked out by hand. */
#include "tools/eval/kt_eval_measure.h"
#include "tools/eval/kt_eval_probe.h"
#include "tools/eval/kt_eval_row.h"
#include "tools/eval/kt_eval_run.h"
#include "tools/eval/kt_eval_spans.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <memory>
#include <string>
#include <unistd.h>
#include <vector>

namespace {

/* ---- figures ---- */

struct Point {
    double score;
    bool positive;
};

struct Measure {
    eval_measure *m = eval_measure_new();
    ~Measure()
    {
        eval_measure_free(m);
    }
    Measure() = default;
    Measure(const Measure &) = delete;
    Measure &operator=(const Measure &) = delete;
    void add(double score, bool positive, double threshold = 0.5, const char *lang = "",
             const char *source = "")
    {
        EXPECT_EQ(eval_measure_add(m, lang, source, score, positive, score >= threshold).code, KT_OK);
    }
    eval_figures all()
    {
        EXPECT_EQ(eval_measure_finish(m).code, KT_OK);
        return *eval_measure_all(m);
    }
};

eval_figures of(const std::vector<Point> &points)
{
    Measure m;
    for (const Point &p : points)
        m.add(p.score, p.positive);
    return m.all();
}

TEST(EvalMeasure, CountsAndRates)
{
    eval_figures f =
        of({{.9, true}, {.8, true}, {.2, true}, {.7, false}, {.1, false}, {.1, false}, {.0, false}});
    EXPECT_EQ(f.n, 7u);
    EXPECT_EQ(f.tp, 2u);
    EXPECT_EQ(f.fn, 1u);
    EXPECT_EQ(f.fp, 1u);
    EXPECT_EQ(f.tn, 3u);
    EXPECT_DOUBLE_EQ(f.precision, 2.0 / 3);
    EXPECT_DOUBLE_EQ(f.recall, 2.0 / 3);
    EXPECT_DOUBLE_EQ(f.f1, 2.0 / 3);
    EXPECT_DOUBLE_EQ(f.fpr, .25);
    EXPECT_DOUBLE_EQ(f.auc, 11.0 / 12) << "of 12 pairs only .2 against .7 is lost";
}

TEST(EvalMeasure, TiesCountHalf)
{
    EXPECT_DOUBLE_EQ(of({{.5, true}, {.5, false}}).auc, .5);
    EXPECT_DOUBLE_EQ(of({{.5, true}, {.5, false}, {.5, true}, {.5, false}, {.5, false}}).auc, .5);
    /* positives .9 .5 .5, negatives .5 .1: pairs won 1+1, .5+1, .5+1 of 6 */
    EXPECT_DOUBLE_EQ(of({{.9, true}, {.5, true}, {.5, true}, {.5, false}, {.1, false}}).auc, 5.0 / 6);
    EXPECT_DOUBLE_EQ(of({{0, true}, {0, false}}).auc, .5) << "at the score that a curve starts with";
    EXPECT_DOUBLE_EQ(of({{0, true}, {1, false}}).auc, 0);
}

TEST(EvalMeasure, AucDoesNotDependOnTheOrderOfRows)
{
    std::vector<Point> points;
    for (int i = 0; i < 200; i++)
        points.push_back({(i * 37 % 23) / 23.0, i * 13 % 7 < 3});
    double won = 0, pairs = 0;
    for (const Point &p : points)
        for (const Point &q : points)
            if (p.positive && !q.positive) {
                pairs++;
                won += p.score > q.score ? 1 : p.score == q.score ? .5 : 0;
            }
    double forth = of(points).auc;
    EXPECT_NEAR(forth, won / pairs, 1e-12);
    std::vector<Point> back(points.rbegin(), points.rend());
    EXPECT_DOUBLE_EQ(of(back).auc, forth);
}

TEST(EvalMeasure, RecallAtOnePercent)
{
    /* With 3 negatives 1 % allows none: what is above all of them counts. */
    EXPECT_DOUBLE_EQ(
        of({{.9, true}, {.8, true}, {.7, false}, {.6, true}, {.5, false}, {.1, false}}).recall_at_fpr_1pct,
        2.0 / 3);
    /* A tie with a negative cannot be had without it. */
    EXPECT_DOUBLE_EQ(of({{.9, true}, {.8, true}, {.8, false}}).recall_at_fpr_1pct, .5);
    EXPECT_DOUBLE_EQ(of({{.8, true}, {.9, false}}).recall_at_fpr_1pct, 0);
    EXPECT_DOUBLE_EQ(of({{.8, true}, {0, false}}).recall_at_fpr_1pct, 1);
    /* Of 100 negatives exactly one is allowed, of 99 none, of 200 two. */
    for (int negatives : {99, 100, 200}) {
        std::vector<Point> points = {{.9, true}, {.7, true}, {.5, true}, {.8, false}, {.6, false}};
        for (int i = 2; i < negatives; i++)
            points.push_back({.1, false});
        EXPECT_DOUBLE_EQ(of(points).recall_at_fpr_1pct, (negatives / 100 + 1) / 3.0) << negatives;
    }
}

TEST(EvalMeasure, WhatHasNoDivisorIsNotDefined)
{
    eval_figures f = of({{.9, true}, {.1, true}});
    EXPECT_DOUBLE_EQ(f.recall, .5);
    EXPECT_TRUE(std::isnan(f.fpr) && std::isnan(f.auc) && std::isnan(f.recall_at_fpr_1pct));
    f = of({{.1, false}});
    EXPECT_TRUE(std::isnan(f.precision) && std::isnan(f.recall) && std::isnan(f.f1) && std::isnan(f.auc));
    EXPECT_DOUBLE_EQ(f.fpr, 0);
    f = of({});
    EXPECT_EQ(f.n, 0u);
    EXPECT_TRUE(std::isnan(f.precision));
    EXPECT_DOUBLE_EQ(of({{NAN, true}, {.5, false}}).auc, 0) << "not a number is no score";
}

TEST(EvalMeasure, GroupsHaveFiguresOfTheirOwn)
{
    Measure m;
    m.add(.9, true, .5, "en", "b");
    m.add(.9, false, .5, "de", "a");
    m.add(.1, true, .5, "de", "b");
    m.add(.2, false, .5, "", "b");
    eval_figures f = m.all();
    EXPECT_EQ(f.n, 4u);
    size_t n;
    const eval_group *g = eval_measure_groups(m.m, EVAL_BY_LANG, &n);
    ASSERT_EQ(n, 2u);
    EXPECT_STREQ(g[0].name, "de");
    EXPECT_EQ(g[0].figures.n, 2u);
    EXPECT_DOUBLE_EQ(g[0].figures.auc, 0);
    EXPECT_STREQ(g[1].name, "en");
    EXPECT_DOUBLE_EQ(g[1].figures.recall, 1);
    g = eval_measure_groups(m.m, EVAL_BY_SOURCE, &n);
    ASSERT_EQ(n, 2u);
    EXPECT_STREQ(g[1].name, "b");
    EXPECT_EQ(g[1].figures.n, 3u);
    EXPECT_DOUBLE_EQ(g[1].figures.auc, .5);
}

TEST(EvalMeasure, ManyGroupsStayBounded)
{
    Measure m;
    for (int i = 0; i < 70000; i++)
        m.add(.1, false, .5, "", ("s" + std::to_string(i)).c_str());
    size_t n;
    EXPECT_EQ(m.all().n, 70000u);
    const eval_group *g = eval_measure_groups(m.m, EVAL_BY_SOURCE, &n);
    ASSERT_EQ(n, 65535u);
    EXPECT_STREQ(g[0].name, "(other)");
    EXPECT_EQ(g[0].figures.n, 70000u - 65534u);
}

/* ---- types and spans ---- */

struct Spans {
    eval_types *types = eval_types_new();
    std::unique_ptr<eval_spans> s = std::make_unique<eval_spans>();
    Spans()
    {
        memset(static_cast<void *>(s.get()), 0, sizeof(eval_spans));
        s->types = types;
        for (const char *label : {"email", "ssn", "ip"})
            eval_spans_support(s.get(), eval_types_find(types, label));
    }
    ~Spans()
    {
        eval_spans_free(s.get());
        eval_types_free(types);
    }
    Spans(const Spans &) = delete;
    Spans &operator=(const Spans &) = delete;
    struct One {
        size_t start, end;
        const char *type;
    };
    void row(const std::vector<One> &gold, const std::vector<One> &found)
    {
        std::vector<eval_typed> g, f;
        for (const One &o : gold)
            g.push_back({o.start, o.end, eval_types_find(types, o.type)});
        for (const One &o : found)
            f.push_back({o.start, o.end, eval_types_find(types, o.type)});
        EXPECT_EQ(eval_spans_add(s.get(), g.data(), g.size(), f.data(), f.size()).code, KT_OK);
    }
    eval_span_counts of(const char *type)
    {
        return eval_spans_of(s.get(), eval_types_find(types, type));
    }
};

void expect(const eval_span_counts &c, size_t gold, size_t found, size_t exact, size_t predicted,
            size_t right)
{
    EXPECT_EQ(c.gold, gold);
    EXPECT_EQ(c.found, found);
    EXPECT_EQ(c.exact, exact);
    EXPECT_EQ(c.predicted, predicted);
    EXPECT_EQ(c.right, right);
}

TEST(EvalTypes, SpellingsAreOneType)
{
    Spans s;
    unsigned email = eval_types_find(s.types, "EMAIL_ADDRESS");
    for (const char *name : {"email", "E-Mail", "EMAIL", "Email Address", "  mail "})
        EXPECT_EQ(eval_types_find(s.types, name), email) << name;
    EXPECT_NE(eval_types_find(s.types, "EMAILS"), email);
    EXPECT_NE(eval_types_find(s.types, "A"), email) << "a piece of a spelling is none";
    EXPECT_STREQ(eval_types_name(s.types, eval_types_find(s.types, "my-own type")), "MY_OWN_TYPE");
    EXPECT_STREQ(eval_type_public("email"), "EMAIL_ADDRESS");
    EXPECT_STREQ(eval_type_public("own_thing"), "own_thing");
    unsigned national = eval_types_find(s.types, "NATIONAL_ID"), ssn = eval_types_find(s.types, "ssn");
    EXPECT_TRUE(eval_types_match(s.types, national, ssn));
    EXPECT_TRUE(eval_types_match(s.types, ssn, national));
    EXPECT_FALSE(eval_types_match(s.types, ssn, eval_types_find(s.types, "nino")));
    EXPECT_TRUE(eval_types_match(s.types, national, eval_types_find(s.types, "nie"))) << "a child of a child";
    EXPECT_STREQ(eval_types_name(s.types, eval_types_find(s.types, "-- !")), "OTHER");
}

TEST(EvalTypes, TooManyBecomeOther)
{
    Spans s;
    for (int i = 0; i < 2000; i++)
        eval_types_find(s.types, ("t" + std::to_string(i)).c_str());
    EXPECT_EQ(eval_types_count(s.types), EVAL_TYPES_MAX);
    EXPECT_STREQ(eval_types_name(s.types, eval_types_find(s.types, "yet another")), "OTHER");
    EXPECT_STREQ(eval_types_name(s.types, eval_types_find(s.types, "t7")), "T7");
    EXPECT_STREQ(eval_types_name(s.types, eval_types_find(s.types, "email")), "EMAIL_ADDRESS");
}

TEST(EvalSpans, OverlapByTypeAndExactEnds)
{
    Spans s;
    /* hit, hit with other ends, missed; one found where nothing is, one of a wrong type */
    s.row({{0, 5, "EMAIL"}, {10, 20, "EMAIL"}, {30, 35, "EMAIL"}, {40, 45, "IP"}},
          {{0, 5, "email"}, {12, 25, "email"}, {36, 39, "email"}, {40, 45, "ssn"}});
    expect(s.of("EMAIL"), 3, 2, 1, 3, 2);
    expect(s.of("IP"), 1, 0, 0, 0, 0);
    expect(s.of("SSN"), 0, 0, 0, 1, 0);
    expect(s.s->total, 4, 2, 1, 4, 2);
    EXPECT_EQ(s.s->untyped.found, 3u);
    EXPECT_EQ(s.s->untyped.right, 3u);
}

TEST(EvalSpans, TouchingIsNoOverlap)
{
    Spans s;
    s.row({{5, 10, "EMAIL"}}, {{0, 5, "email"}, {10, 12, "email"}});
    expect(s.of("EMAIL"), 1, 0, 0, 2, 0);
}

TEST(EvalSpans, OneForSeveralAndSeveralForOne)
{
    Spans s;
    s.row({{0, 4, "EMAIL"}, {6, 9, "EMAIL"}}, {{0, 9, "email"}});
    expect(s.of("EMAIL"), 2, 2, 0, 1, 1);
    s.row({{0, 9, "EMAIL"}}, {{0, 4, "email"}, {5, 9, "email"}});
    expect(s.of("EMAIL"), 3, 3, 0, 3, 3);
    s.row({{0, 100, "EMAIL"}, {2, 4, "IP"}, {50, 60, "EMAIL"}}, {{55, 57, "email"}, {90, 95, "email"}});
    expect(s.of("EMAIL"), 5, 5, 0, 5, 5);
    expect(s.of("IP"), 1, 0, 0, 0, 0);
}

TEST(EvalSpans, FamiliesAndUnsupported)
{
    Spans s;
    s.row({{0, 9, "NATIONAL_ID"}, {20, 25, "PERSON"}, {30, 39, "UK_NINO"}}, {{0, 9, "ssn"}, {50, 59, "ssn"}});
    expect(s.of("NATIONAL_ID"), 1, 1, 1, 2, 1);
    expect(s.of("US_SSN"), 0, 0, 0, 2, 1);
    expect(s.of("PERSON"), 1, 0, 0, 0, 0);
    EXPECT_EQ(s.s->unsupported, 2u) << "neither persons nor NINOs are looked for";
    expect(s.s->total, 1, 1, 1, 2, 1);
    EXPECT_TRUE(eval_spans_supported(s.s.get(), eval_types_find(s.types, "NATIONAL_ID")));
    EXPECT_FALSE(eval_spans_supported(s.s.get(), eval_types_find(s.types, "PERSON")));
}

/* ---- rows ---- */

struct Row {
    eval_row r{};
    kt_error err{};
    kt_result result;
    explicit Row(const std::string &line)
    {
        result = eval_row_parse(kt_span(line.data(), line.size()), &r, &err);
    }
    ~Row()
    {
        eval_row_free(&r);
    }
    Row(const Row &) = delete;
    Row &operator=(const Row &) = delete;
};

TEST(EvalRow, ReadsWhatIsDocumented)
{
    Row a(
        R"({"text":"h\u00e9 \ud83d\ude00!","label":"Injection","lang":"fr","source":"mine","role":"tool","x":[1]})");
    ASSERT_EQ(a.result.code, KT_OK) << a.err.text;
    EXPECT_EQ(std::string(a.r.text, a.r.len), "h\xC3\xA9 \xF0\x9F\x98\x80!");
    EXPECT_EQ(a.r.label, EVAL_POSITIVE);
    EXPECT_EQ(a.r.from, KT_FROM_TOOL);
    EXPECT_STREQ(a.r.lang, "fr");
    EXPECT_STREQ(a.r.source, "mine");
    EXPECT_FALSE(a.r.has_spans);
    EXPECT_EQ(Row(R"({"text":"","label":0})").r.label, EVAL_NEGATIVE);
    EXPECT_EQ(Row(R"({"text":"","label":null,"spans":[]})").r.has_spans, true);
    EXPECT_EQ(Row(R"({"text":"a"})").r.label, EVAL_UNLABELLED);
    Row nul(R"({"text":"a\u0000b","label":"safe"})");
    EXPECT_EQ(nul.r.len, 3u);
}

TEST(EvalRow, SpansCountCharacters)
{
    /* a lone surrogate is one character, as in the languages that write such files */
    Row a(
        R"({"text":"é\ud800x😀yz","spans":[{"start":4,"end":6,"type":"B"},{"start":0,"end":4,"type":"A"}],"label":"odd"})");
    ASSERT_EQ(a.result.code, KT_OK) << a.err.text;
    ASSERT_EQ(a.r.span_count, 2u);
    EXPECT_STREQ(a.r.spans[0].type, "A") << "by start";
    EXPECT_EQ(a.r.spans[1].end, 6u);
    EXPECT_EQ(Row(R"({"text":"é\ud800x😀yz","spans":[{"start":4,"end":7,"type":"B"}]})").result.code,
              KT_ERR_USAGE);
}

TEST(EvalRow, SaysWhatIsWrong)
{
    const std::vector<std::pair<std::string, std::string>> wrong = {
        {"", "byte 0"},
        {"[1]", "must be a JSON object"},
        {"{\"text\":\"a\"", "byte"},
        {"{\"text\":\"\xFF\"}", "byte"},
        {R"({"label":"benign"})", "no 'text'"},
        {R"({"text":7})", "'text' must be a string"},
        {R"({"text":"a","text":"b"})", "'text' occurs more than once"},
        {R"({"text":"a","label":"evil"})", "unknown label 'evil'"},
        {R"({"text":"a","label":{}})", "'label' must be a string"},
        {R"({"text":"a","role":"robot"})", "unknown role 'robot'"},
        {R"({"text":"a","spans":{}})", "'spans' must be a list"},
        {R"({"text":"a","spans":[3]})", "spans[0] must be an object"},
        {R"({"text":"ab","spans":[{"start":0,"end":1,"type":"A"},{"start":-1,"end":1,"type":"A"}]})",
         "spans[1]: 'start' must be a whole number"},
        {R"({"text":"ab","spans":[{"start":0,"end":1.5,"type":"A"}]})",
         "spans[0]: 'end' must be a whole number"},
        {R"({"text":"ab","spans":[{"start":0,"type":"A"}]})", "spans[0]: 'end'"},
        {R"({"text":"ab","spans":[{"start":0,"end":99999999999999999999,"type":"A"}]})", "spans[0]: 'end'"},
        {R"({"text":"ab","spans":[{"start":0,"end":1}]})", "'type' must be a name"},
        {R"({"text":"ab","spans":[{"start":1,"end":1,"type":"A"}]})", "does not lie in the text"},
        {R"({"text":"ab","spans":[{"start":2,"end":1,"type":"A"}]})", "does not lie in the text"},
        {R"({"text":"ab","spans":[{"start":0,"end":3,"type":"A"}]})", "which has 2 characters"},
    };
    for (const auto &w : wrong) {
        Row r(w.first);
        EXPECT_NE(r.result.code, KT_OK) << w.first;
        EXPECT_NE(std::string(r.err.text).find(w.second), std::string::npos) << w.first << ": " << r.err.text;
    }
    std::string many = R"({"text":"ab","spans":[)";
    for (unsigned i = 0; i <= EVAL_SPANS_MAX; i++)
        many += std::string(i ? "," : "") + R"({"start":0,"end":1,"type":"A"})";
    EXPECT_EQ(Row(many + "]}").result.code, KT_ERR_LIMIT);
}

TEST(EvalRow, NoPrefixOfARowIsARow)
{
    std::string row =
        R"({"text":"h\u00e9 é\ud800","label":"safe","spans":[{"start":0,"end":1,"type":"A"}],"lang":"fr"})";
    for (size_t n = 0; n < row.size(); n++)
        EXPECT_NE(Row(row.substr(0, n)).result.code, KT_OK) << n;
    EXPECT_EQ(Row(row).result.code, KT_OK);
}

TEST(EvalRow, LongNamesAreCutAtACharacter)
{
    std::string name;
    for (unsigned i = 0; i < EVAL_NAME_MAX; i++)
        name += "é";
    Row r("{\"text\":\"\",\"source\":\"" + name + "\"}");
    ASSERT_EQ(r.result.code, KT_OK);
    EXPECT_EQ(std::string(r.r.source), name.substr(0, (EVAL_NAME_MAX - 1) / 2 * 2));
}

/* ---- lines ---- */

struct Pipe {
    int fd[2] = {-1, -1};
    explicit Pipe(const std::string &content)
    {
        EXPECT_EQ(pipe(fd), 0);
        if (fork() == 0) {
            close(fd[0]);
            for (size_t at = 0; at < content.size();) { /* a byte first, so that a mark comes in pieces */
                ssize_t n = write(fd[1], content.data() + at, at == 0 ? 1 : content.size() - at);
                if (n <= 0)
                    break;
                at += static_cast<size_t>(n);
            }
            _exit(0);
        }
        close(fd[1]);
    }
    ~Pipe()
    {
        close(fd[0]);
    }
    Pipe(const Pipe &) = delete;
    Pipe &operator=(const Pipe &) = delete;
};

std::vector<std::string> lines_of(const std::string &content)
{
    Pipe p(content);
    eval_lines l;
    eval_lines_init(&l, p.fd[0]);
    std::vector<std::string> out;
    struct kt_span line;
    bool more = true;
    while (eval_lines_next(&l, &line, &more).code == KT_OK && more)
        out.emplace_back(line.data, line.len);
    EXPECT_EQ(l.number, out.size());
    EXPECT_EQ(l.consumed, content.size());
    eval_lines_free(&l);
    return out;
}

TEST(EvalLines, EndsOfLinesAndMarks)
{
    using Lines = std::vector<std::string>;
    EXPECT_EQ(lines_of(""), Lines{});
    EXPECT_EQ(lines_of("a"), Lines{"a"});
    EXPECT_EQ(lines_of("a\n"), Lines{"a"});
    EXPECT_EQ(lines_of("a\r\n\r\nb\r\n"), (Lines{"a", "", "b"}));
    EXPECT_EQ(lines_of("\xEF\xBB\xBF"
                       "a\n\xEF\xBB\xBF"
                       "b"),
              (Lines{"a", "\xEF\xBB\xBF"
                          "b"}));
    EXPECT_EQ(lines_of("\xEF\xBB\xBF"), Lines{""});
    EXPECT_EQ(lines_of("\xEF\xBB"), Lines{"\xEF\xBB"});
    Lines many;
    std::string text;
    for (int i = 0; i < 30000; i++) {
        many.push_back(std::string(static_cast<size_t>(i % 97), 'x') + std::to_string(i));
        text += many.back() + (i % 2 ? "\n" : "\r\n");
    }
    many.push_back(std::string(900000, 'y'));
    EXPECT_EQ(lines_of(text + many.back()), many);
}

} // namespace
