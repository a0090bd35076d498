/* SPDX-License-Identifier: Apache-2.0 */
/* A data set through one policy: order, threads, failures. */
#include "tools/eval/kt_eval_run.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <unistd.h>
#include <vector>

namespace {

/* Redacts every "x"; says "never" is harmful; fails on "broken"; asks outside for "ask". */
kt_step look(const void *, void *, void *state, const kt_text *t, kt_sink *s)
{
    std::string text(t->data, t->len);
    EXPECT_EQ(*static_cast<int *>(state), 7) << "each text has a state of its own";
    *static_cast<int *>(state) = 8;
    if (text == "broken")
        return KT_STEP_ERROR;
    if (text == "ask")
        return KT_STEP_PENDING;
    if (text == "never")
        s->stop(s, KT_VERDICT_BLOCK, "test.stop", .75, "no");
    for (size_t at = text.size(); at-- > 0;) /* backwards: the order of hits is not the policy's */
        if (text[at] == 'x')
            s->redact(s, at, at + 1, s->placeholder(s, "X", "x", 1, true), 5, "the_x");
    if (text == "low")
        s->score(s, .25);
    return KT_STEP_DONE;
}

kt_result open_state(const void *, void *, enum kt_phase, void **state)
{
    *state = new int(7);
    return kt_ok();
}

void close_state(void *state)
{
    delete static_cast<int *>(state);
}

kt_step answer(const void *, void *, void *, int status, struct kt_span, kt_sink *)
{
    EXPECT_EQ(status, 0) << "nobody answers";
    return KT_STEP_ERROR;
}

struct Lab {
    kt_policy policy{};
    eval_probe *probe = nullptr;
    FILE *file = tmpfile();
    std::vector<std::string> rows;
    size_t count = 0, refuse_at = SIZE_MAX;
    eval_stop stop{};

    Lab()
    {
        policy.kind = "test";
        policy.phases = KT_PHASE_REQUEST;
        policy.open = open_state;
        policy.close = close_state;
        policy.text = look;
        policy.resume = answer;
        EXPECT_EQ(eval_probe_new(&policy, nullptr, &probe, nullptr).code, KT_OK);
    }
    ~Lab()
    {
        eval_probe_free(probe);
        fclose(file);
    }
    Lab(const Lab &) = delete;
    Lab &operator=(const Lab &) = delete;

    static kt_result on_row(void *ctx, const eval_result *r)
    {
        Lab *lab = static_cast<Lab *>(ctx);
        if (r->index == lab->refuse_at)
            return kt_err(KT_ERR_MEMORY);
        std::string s = std::to_string(r->index) + " " + std::string(r->row->text, r->row->len) + " " +
                        (r->found->failed ? "failed" : kt_verdict_name(r->found->verdict)) + " " +
                        std::to_string(r->found->score).substr(0, 4) + (r->found->outside ? " outside" : "");
        for (size_t i = 0; i < r->found->count; i++)
            s += " " + std::to_string(r->found->hits[i].start) + "-" + std::to_string(r->found->hits[i].end) +
                 r->found->hits[i].label;
        lab->rows.push_back(s);
        return kt_ok();
    }
    kt_code run(const std::string &data, unsigned threads)
    {
        rows.clear();
        EXPECT_EQ(ftruncate(fileno(file), 0), 0);
        EXPECT_EQ(pwrite(fileno(file), data.data(), data.size(), 0), static_cast<ssize_t>(data.size()));
        EXPECT_EQ(lseek(fileno(file), 0, SEEK_SET), 0);
        struct eval_run run {};
        run.probe = probe;
        run.fd = fileno(file);
        run.threads = threads;
        run.ctx = this;
        run.on_row = on_row;
        return eval_run_rows(&run, &count, &stop).code;
    }
};

TEST(EvalRun, WhatThePolicySays)
{
    Lab lab;
    ASSERT_EQ(
        lab.run(
            "{\"text\":\"plain\"}\n\n  \n{\"text\":\"\xC3\xA9x-\xF0\x9F\x98\x80xx\"}\n{\"text\":\"never\"}\n"
            "{\"text\":\"broken\"}\n{\"text\":\"ask\"}\n{\"text\":\"low\"}\n{\"text\":\"\"}",
            1),
        KT_OK);
    EXPECT_EQ(lab.rows, (std::vector<std::string>{
                            "0 plain allow 0.00",
                            "1 \xC3\xA9x-\xF0\x9F\x98\x80xx redact 1.00 1-2the_x 4-5the_x 5-6the_x",
                            "2 never block 0.75", "3 broken failed 0.00", "4 ask failed 0.00 outside",
                            "5 low allow 0.25", "6  allow 0.00"}));
    EXPECT_EQ(lab.count, 7u);
}

TEST(EvalRun, ThreadsChangeNothing)
{
    Lab lab;
    std::string data;
    for (int i = 0; i < 5000; i++)
        data += "{\"text\":\"" + std::string(static_cast<size_t>(i * 31 % 97), i % 5 ? 'y' : 'x') +
                std::to_string(i) + "\"}\n";
    ASSERT_EQ(lab.run(data, 1), KT_OK);
    std::vector<std::string> alone = lab.rows;
    ASSERT_EQ(alone.size(), 5000u);
    for (unsigned threads : {2u, 8u, 100u}) {
        ASSERT_EQ(lab.run(data, threads), KT_OK);
        EXPECT_EQ(lab.rows, alone) << threads;
    }
}

TEST(EvalRun, StopsAtTheFirstBadLine)
{
    Lab lab;
    std::string data;
    for (int i = 0; i < 3000; i++)
        data += i == 1500 || i == 2000 ? "{oops\n" : "{\"text\":\"a\"}\n";
    ASSERT_EQ(lab.run(data, 4), KT_ERR_SYNTAX);
    EXPECT_EQ(lab.stop.line, 1501u);
    EXPECT_NE(std::string(lab.stop.err.text), "");
    EXPECT_EQ(lab.rows.size(), 1500u) << "the rows in front of it were handed on";
    lab.refuse_at = 10;
    ASSERT_EQ(lab.run(data, 4), KT_ERR_MEMORY);
    EXPECT_EQ(lab.stop.line, 0u);
    EXPECT_EQ(lab.rows.size(), 10u);
}

TEST(EvalRun, ALineWithoutEndIsRefused)
{
    Lab lab;
    std::string data = "{\"text\":\"a\"}\n{\"text\":\"" + std::string(EVAL_LINE_MAX + 10, 'a') + "\"}\n";
    ASSERT_EQ(lab.run(data, 1), KT_ERR_LIMIT);
    EXPECT_EQ(lab.stop.line, 2u);
    EXPECT_STREQ(lab.stop.err.text, "longer than 64 MiB");
}

TEST(EvalRun, AnUnreadableFileSaysSo)
{
    Lab lab;
    struct eval_run run {};
    run.probe = lab.probe;
    run.fd = -1;
    run.ctx = &lab;
    run.on_row = Lab::on_row;
    EXPECT_EQ(eval_run_rows(&run, &lab.count, &lab.stop).code, KT_ERR_IO);
    EXPECT_NE(std::string(lab.stop.err.text).find("cannot be read: Bad file descriptor"), std::string::npos);
}

/* ---- options by name ---- */

struct Options {
    double threshold;
    int action;
};

TEST(EvalProbe, OptionsByName)
{
    kt_option table[3] = {};
    table[0].name = "threshold";
    table[0].type = KT_OPT_FLOAT;
    table[0].offset = offsetof(Options, threshold);
    table[1].name = "action";
    table[1].type = KT_OPT_ENUM;
    table[1].offset = offsetof(Options, action);
    table[1].values = "redact=mask|block|escalate";
    kt_policy p{};
    p.options = table;
    Options o = {.5, 2};
    char word[32];
    ASSERT_TRUE(eval_option_enum(&p, &o, "action", word));
    EXPECT_STREQ(word, "escalate");
    EXPECT_TRUE(eval_set_enum(&p, &o, "action", "redact"));
    EXPECT_EQ(o.action, 0);
    ASSERT_TRUE(eval_option_enum(&p, &o, "action", word));
    EXPECT_STREQ(word, "redact") << "not its alias";
    EXPECT_FALSE(eval_set_enum(&p, &o, "action", "red"));
    EXPECT_FALSE(eval_set_enum(&p, &o, "mode", "redact"));
    EXPECT_FALSE(eval_set_enum(&p, &o, "threshold", "redact"));
    o.action = 9;
    EXPECT_FALSE(eval_option_enum(&p, &o, "action", word));
    ASSERT_TRUE(eval_option_float(&p, &o, "threshold"));
    EXPECT_EQ(*eval_option_float(&p, &o, "threshold"), .5);
    EXPECT_FALSE(eval_option_float(&p, &o, "action"));
}

} // namespace
